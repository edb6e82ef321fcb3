"""How one deployment is reached: plain settings between the configuration and the wiring."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homeostat.base.policy import Managed
from homeostat.base.units import HOUR, SECOND
from homeostat.base.world import Replica

Settings = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartPlan:
    """One plug-in with its settings.

    Attributes:
        part: The plug-in's name.
        settings: As its configuration class takes them.
    """

    part: str
    settings: Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedPlan:
    """Something that deployments share, and how much there is of it.

    Attributes:
        name: As in `Managed.shares`.
        slots: Replicas that fit into it; None = nobody says.
        per_hour: What all their replicas may cost together an hour; None = nobody says.
    """

    name: str
    slots: int | None
    per_hour: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinPlan:
    """One deployment's twin, as its worker is started with it.

    Attributes:
        fit: The fit file.
        check: What `homeostat twin check --output json` said of it; None = it was never checked.
        oldest_ns: How old the fit may be.
        cache: Folder of compiled programs.
        draws: How many are usually asked for: what is compiled at the start.
        assume: Name, low and high end of ranges that replace priors.
        slots: Sizes to compile at the start.
        memory_bytes: The worker's limit; 0 = none.
    """

    fit: Path
    check: Path | None
    oldest_ns: int
    cache: Path
    draws: int = 64
    assume: tuple[tuple[str, float, float], ...] = ()
    slots: tuple[int, ...] = (8,)
    memory_bytes: int = 2 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentPlan:
    """One deployment with everything that it is reached through.

    In `per_replica` settings, `{name}`, `{pool}` and `{address}` in any text stand for the slot's
    name, its pool and its `host:port`.

    Attributes:
        managed: What the core sees.
        actuators: Its actuators.
        observed: What its replicas are read from if nothing can be changed, None if it can.
        sources: Sources that are always there, such as the gateway's page.
        per_replica: Sources made once for every replica that has an address.
        labels_path: Path of the page of recent predictions, None for no labels.
        twin: What its actions are rehearsed in, None for no twin.
        trainer: Who is asked for retraining, None for nobody.
    """

    managed: Managed
    actuators: tuple[PartPlan, ...]
    observed: PartPlan | None = None
    sources: tuple[PartPlan, ...] = ()
    per_replica: tuple[PartPlan, ...] = ()
    labels_path: str | None = None
    twin: TwinPlan | None = None
    trainer: PartPlan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresPlan:
    """A journal in PostgreSQL.

    Attributes:
        url: Where; it holds no password.
        password_file: Holds the password, None where libpq finds it by itself.
        schema: The schema that holds the journal and nothing else.
    """

    url: str
    password_file: Path | None = None
    schema: str = "homeostat"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackPlan:
    """How answers come in from Slack.

    Attributes:
        secret_file: Holds the app's signing secret.
        team: The workspace's id.
        channel: The channel's.
        people: Slack's id of somebody and their name here.
    """

    secret_file: Path
    team: str
    channel: str
    people: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsPlan:
    """How alerts of others come in.

    Attributes:
        token_file: Holds the token that lets them in.
        label: The label that names a deployment.
    """

    token_file: Path
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcesPlan:
    """Custom resources as configuration.

    Attributes:
        files: The folder that they may name files of, None for no files.
        every_s: How often they are looked at, seconds.
        status: Say on them what became of them.
    """

    files: Path | None
    every_s: float
    status: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPlan:
    """The Kubernetes cluster that a controller lives in.

    Attributes:
        url: The API server.
        namespace: Of the Lease and the resources, None for the pod's own.
        token_file: Holds a bearer token.
        ca_file: PEM certificates to trust.
        lease: The Lease that says who leads, None for the store's own way.
        resources: Which resources are read and how, None for none.
    """

    url: str
    namespace: str | None
    token_file: Path | None
    ca_file: Path | None
    lease: str | None
    resources: ResourcesPlan | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerPlan:
    """One controller process.

    Attributes:
        deployments: What it manages.
        journal: The journal's file; of one in PostgreSQL, the file that anchors it.
        kill_file: The kill switch's file.
        terminal: Whether notices are printed.
        notifiers: Who is told besides.
        api_host: Address the API listens on.
        api_port: Its port; 0 = any free one.
        token_file: Holds the shared bearer token; made with a fresh one if it is not there.
        people_file: Who has a token of their own; None for nobody.
        keep_frames: Journal one frame a tick, for `replay --recompute` and backtests.
        retention_ns: How long frames and ticks are kept; decisions and commands stay for ever.
            A week shows one whole weekly season.
        accept_missing_anchor: Start though the journal's anchor is gone, and make a new one.
        postgres: Where the journal lies if not in a file.
        lease_ns: How long a silent controller keeps the lead of a journal in a database.
        traces: Where spans are sent, None for nowhere.
        cluster: The Kubernetes cluster that it lives in, None where it does nothing there.
        pages: Host and port of the pages for kubelets and scrapers, None for none.
        slack: How answers come in from Slack, None where they do not.
        alerts: How alerts of others come in, None where they do not.
        false_incidents: Of the deployments' charts and scores, per 1,000 signals and day; None for
            the level that is shipped.
        false_share: Of what the fleet's tests tell; None: there are none.
        autoencoders: Deployments with a model, and its file.
        shared: How much there is of what they share.
    """

    deployments: tuple[DeploymentPlan, ...]
    journal: Path
    kill_file: Path
    terminal: bool = True
    notifiers: tuple[PartPlan, ...] = ()
    api_host: str = "127.0.0.1"
    api_port: int = 7373
    token_file: Path | None = None
    people_file: Path | None = None
    keep_frames: bool = True
    retention_ns: int = 7 * 24 * HOUR
    accept_missing_anchor: bool = False
    postgres: PostgresPlan | None = None
    lease_ns: int = 15 * SECOND
    traces: PartPlan | None = None
    cluster: ClusterPlan | None = None
    pages: tuple[str, int] | None = None
    slack: SlackPlan | None = None
    alerts: AlertsPlan | None = None
    false_incidents: float | None = None
    false_share: float | None = None
    autoencoders: tuple[tuple[str, Path], ...] = ()
    shared: tuple[SharedPlan, ...] = ()


def filled(settings: Any, replica: Replica) -> Any:
    """Return settings with `{name}`, `{pool}` and `{address}` replaced in every text."""
    if isinstance(settings, str):
        found = {"name": replica.name, "pool": replica.pool, "address": replica.address or ""}
        for word, value in found.items():
            settings = settings.replace("{" + word + "}", value)
        return settings
    if isinstance(settings, Mapping):
        return {key: filled(value, replica) for key, value in settings.items()}
    return settings
