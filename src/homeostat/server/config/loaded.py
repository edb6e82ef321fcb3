"""What the files say, worked out: deployments for the core, settings for the wiring.

`Config` is a value; loading it again gives an equal one for equal files. Freezes depend on the
time, so `managed` asks for it.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from homeostat.base import codec
from homeostat.base.budgets import MoneyPolicy, SloSpec
from homeostat.base.errors import ConfigError
from homeostat.base.policy import GuardPolicy, Managed, Mode, Objective
from homeostat.base.units import SECOND, TimeNs
from homeostat.server import compiled
from homeostat.server.config import (
    adaptives,
    canaries,
    clusters,
    detections,
    feedbacks,
    notifies,
    prices,
    prometheus,
    reached,
    sharing,
    stores,
    traces,
    trainings,
    twins,
)
from homeostat.server.config.freezes import FreezeSpec, next_freeze
from homeostat.server.config.guardrails import Guardrails, merged, to_policy
from homeostat.server.config.kinds import ControllerSpec, ModelSpec, ScrapeSpec
from homeostat.server.config.reached import Envoy, ProcessHost
from homeostat.server.plan import (
    AlertsPlan,
    ClusterPlan,
    PartPlan,
    PostgresPlan,
    SharedPlan,
    SlackPlan,
    TwinPlan,
)

_AHEAD: Final = timedelta(days=35)  # how far the next freeze is looked for


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrapeTarget:
    """One metrics page, or a template of one per replica.

    Attributes:
        subject: What it speaks for; None for one page per replica.
        url: The address; with `{address}`, `{name}`, `{pool}` for one page per replica.
        preset: What the series mean.
        pools: Pools to report; empty for all.
        timeout_s: Deadline of a round, in seconds.
    """

    subject: str | None
    url: str
    preset: str
    pools: tuple[str, ...]
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """The canned question; see `adapters.sources.probe`."""

    model: str
    features: tuple[float, ...]
    timeout_s: float
    expect_low: float | None
    expect_high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One managed deployment, as the wiring needs it.

    Attributes:
        managed: What the core sees, with no freeze in force.
        process: Settings of its process actuator, None if it has none.
        observed: What its replicas are read from if nothing can be changed, None if it can.
        elsewhere: Actuators of other platforms.
        envoy: Settings of its Envoy actuator, None if it has none.
        scrape: Its metrics pages.
        prometheus: What is read of it from a Prometheus.
        probe: Its canned question, None if it has none.
        labels_path: Path of each replica's page of recent predictions, None for no labels.
        twin: What its actions are rehearsed in, None for no twin.
        trainer: Who is asked for retraining, None for nobody.
        rails: The guards' settings as written, its own over those of the policy it names.
        prices_milli: What a replica costs, by pool, thousandths an hour; empty = nobody says.
    """

    managed: Managed
    process: ProcessHost | None
    observed: PartPlan | None
    elsewhere: tuple[PartPlan, ...]
    envoy: Envoy | None
    scrape: tuple[ScrapeTarget, ...]
    prometheus: tuple[PartPlan, ...]
    probe: Probe | None
    labels_path: str | None = None
    twin: TwinPlan | None = None
    trainer: PartPlan | None = None
    rails: Guardrails = field(default_factory=Guardrails)
    prices_milli: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The deployment's name."""
        return self.managed.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerSettings:
    """The controller process itself.

    Attributes:
        store_path: The journal's file; in PostgreSQL the file that anchors it.
        postgres: The journal's database, None for the file.
        lease_ns: How long a silent controller keeps the lead of a journal in a database.
        traces: Where spans are sent, None for nowhere.
        cluster: The Kubernetes cluster that it lives in, None where it does nothing there.
        pages: Host and port of the pages for kubelets and scrapers, None for none.
        retention_ns: How long its frames and ticks are kept.
        accept_missing_anchor: Start though the journal's anchor is gone, and make a new one.
        api_host: Where the API listens.
        api_port: Its port; 0 for any free one.
        token_file: File that holds, or will hold, the API's shared bearer token.
        people_file: File of everybody with a token of their own.
        kill_file: The kill switch's file.
        terminal: Whether notices are printed.
        notifiers: Who is told besides.
        slack: How answers come in from Slack, None where they do not.
        alerts: How alerts of others come in, None where they do not.
        false_incidents: Of the deployments' charts and scores, per 1,000 signals and day; None for
            the level that is shipped.
        false_share: Of what the fleet's tests tell; None: there are none.
        autoencoders: Deployments with a model, and its file.
        shared: How much there is of what deployments share.
    """

    store_path: Path
    postgres: PostgresPlan | None
    lease_ns: int
    retention_ns: int
    accept_missing_anchor: bool
    api_host: str
    api_port: int
    token_file: Path
    people_file: Path
    kill_file: Path
    terminal: bool
    notifiers: tuple[PartPlan, ...]
    slack: SlackPlan | None = None
    alerts: AlertsPlan | None = None
    traces: PartPlan | None = None
    cluster: ClusterPlan | None = None
    pages: tuple[str, int] | None = None
    false_incidents: float | None = None
    false_share: float | None = None
    autoencoders: tuple[tuple[str, Path], ...] = ()
    shared: tuple[SharedPlan, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All that the files say.

    Attributes:
        deployments: By name.
        freezes: By name.
        controller: The controller process.
        files: Where it was read from.
        digest: SHA-256 over everything above except the files' names.
        beside: Files that those refer to and that are read with them.
    """

    deployments: tuple[Deployment, ...]
    freezes: tuple[tuple[str, FreezeSpec], ...]
    controller: ControllerSettings
    files: tuple[str, ...]
    digest: str
    beside: tuple[Path, ...] = ()

    def managed(self, now: TimeNs | None = None) -> tuple[Managed, ...]:
        """Return what the core sees at a time; without a time no freeze is in force."""
        return tuple(self._at(deployment.managed, now) for deployment in self.deployments)

    def next_freeze(self, name: str, now: TimeNs) -> tuple[TimeNs, TimeNs | None, str] | None:
        """Return a deployment's freeze in force, or the next within five weeks; None for none."""
        return next_freeze((one for _, one in self.freezes), name, now, _AHEAD)

    def deployment(self, name: str) -> Deployment | None:
        """Return one deployment, None if there is none of that name."""
        return next((one for one in self.deployments if one.name == name), None)

    def _at(self, managed: Managed, now: TimeNs | None) -> Managed:
        if now is None or not any(one.covers(managed.name, now) for _, one in self.freezes):
            return managed
        return replace(managed, guard=replace(managed.guard, frozen=True))


def deployment(
    name: str,
    spec: ModelSpec,
    policy: Guardrails,
    base: Path,
    *,
    slos: tuple[SloSpec, ...] = (),
    refuse: Callable[[str], Exception] = ConfigError,
) -> Deployment:
    """Return one deployment.

    Args:
        name: Its name.
        spec: What its document says.
        policy: The settings of the policy it names, or none.
        base: Folder that relative paths start from.
        slos: Promises with an error budget.
        refuse: Makes the error for amounts that do not fit together.

    Raises:
        ConfigError: A trained policy cannot be used.
        Exception: What `refuse` makes.
    """
    rails = merged(policy, spec.guardrails)
    money, guard = prices.money(spec.objective, to_policy(rails, spec.interval), refuse)
    pools = spec.target.pools
    return Deployment(
        managed=Managed(
            name=name,
            mode=spec.mode,
            scrape_ns=spec.interval,
            objective=_objective(spec),
            stable_pool=pools.stable,
            fallback_pool=pools.fallback,
            scale_actuator=spec.target.scale,
            traffic_actuator=spec.target.traffic,
            replica_usd_per_hour=_usual_price(money, pools.stable),
            guard=guard,
            policy_digest=policy_digest(guard, spec.mode, money),
            twin=twins.policy(spec.twin),
            canary=canaries.policy(spec.canary),
            adaptive=adaptives.policy(spec.adaptive, base, name),
            feedback=feedbacks.policy(spec.feedback),
            training=trainings.policy(spec.training),
            slos=slos,
            money=money,
            shares=tuple(sorted(set(spec.shares))),
        ),
        process=reached.process(spec.target, spec.interval),
        observed=_observed(spec, base),
        elsewhere=reached.elsewhere(spec.target, spec.interval, base),
        envoy=reached.envoy(spec.target, spec.interval),
        scrape=tuple(_scrape(one, spec) for one in spec.metrics.scrape),
        prometheus=prometheus.queries(
            spec.metrics.prometheus,
            deployment=name,
            interval=spec.interval,
            timeout_s=reached.seconds(spec.metrics.timeout, spec.interval),
            base=base,
        ),
        probe=_probe(spec),
        labels_path=None if spec.labels is None else spec.labels.path,
        twin=twins.plan(
            spec.twin, base, compiled.folder(compiled.processor(), state_folder() / "programs")
        ),
        trainer=trainings.plan(spec.training, base),
        rails=rails,
        prices_milli=tuple(price for price in spec.objective.milli if price > 0),
    )


def policy_digest(guard: GuardPolicy, mode: Mode, money: MoneyPolicy | None = None) -> str:
    """Return the SHA-256 of the guard settings' canonical JSON and the mode, hex.

    A budget of a day or a month is a setting of the guards too.
    """
    body = codec.encode(replace(guard, frozen=False, unproved="")) + b"\n" + mode.value.encode()
    if money is not None and (money.day_milli, money.month_milli) != (None, None):
        body += b"\n" + codec.encode(money)
    return hashlib.sha256(body).hexdigest()


def _usual_price(money: MoneyPolicy | None, pool: str) -> float:
    """Return what a replica of the stable pool costs, 0 where nobody named it."""
    price = None if money is None else money.price(pool)
    return 0.0 if price is None else price / 1000


def controller(spec: ControllerSpec, base: Path) -> ControllerSettings:
    """Return the controller's settings.

    Args:
        spec: What its document says.
        base: Folder that relative paths start from.
    """
    state = state_folder()
    kept = spec.store
    store, database = stores.place(kept, base, state)
    return ControllerSettings(
        store_path=store,
        postgres=database,
        lease_ns=stores.LEASE_NS if kept is None else kept.lease,
        retention_ns=stores.RETENTION_NS if kept is None else kept.retention,
        accept_missing_anchor=kept is not None and kept.accept_missing_anchor,
        traces=traces.plan(spec.traces, base),
        cluster=clusters.plan(spec.cluster, base),
        pages=clusters.pages(spec.api.outside),
        api_host=spec.api.host,
        api_port=spec.api.port,
        token_file=(
            store.parent / "token" if spec.api.token_file is None else base / spec.api.token_file
        ),
        people_file=(
            store.parent / "people.json"
            if spec.api.people_file is None
            else base / spec.api.people_file
        ),
        kill_file=store.parent / "kill" if spec.kill_file is None else base / spec.kill_file,
        terminal=not spec.notify or any(one.terminal for one in spec.notify),
        notifiers=notifies.parts(spec.notify, base, store.parent),
        slack=notifies.answers(spec.notify, base),
        alerts=notifies.alerts(spec.alerts, base),
        false_incidents=detections.budget(spec.detection),
        false_share=detections.share(spec.detection),
        autoencoders=detections.autoencoders(spec.detection, base),
        shared=sharing.plan(spec.shared),
    )


def state_folder() -> Path:
    """Return where state lies by default: `$XDG_STATE_HOME/homeostat`."""
    home = os.environ.get("XDG_STATE_HOME", "")
    root = Path(home) if home.startswith("/") else Path.home() / ".local" / "state"
    return root / "homeostat"


def _objective(spec: ModelSpec) -> Objective:
    latency = next(one.latency.below for one in spec.slo if one.latency is not None)
    errors = next(one.errors.at_most for one in spec.slo if one.errors is not None)
    accuracy = [one.accuracy.at_least for one in spec.slo if one.accuracy is not None]
    return Objective(
        latency_p95_ms=latency / (SECOND / 1000),
        error_ratio=errors,
        accuracy=accuracy[0] if accuracy else None,
    )


def _observed(spec: ModelSpec, base: Path) -> PartPlan | None:
    target, entries = spec.target, spec.metrics.prometheus
    if not target.observe:
        return None
    return prometheus.replicas(entries, target.pools.stable, interval=spec.interval, base=base)


def _scrape(one: ScrapeSpec, spec: ModelSpec) -> ScrapeTarget:
    return ScrapeTarget(
        subject=one.subject,
        url=one.url,
        preset=one.preset,
        pools=one.pools,
        timeout_s=reached.seconds(spec.metrics.timeout, spec.interval),
    )


def _probe(spec: ModelSpec) -> Probe | None:
    if spec.probe is None:
        return None
    return Probe(
        model=spec.probe.model,
        features=spec.probe.features,
        timeout_s=reached.seconds(spec.probe.timeout, spec.interval),
        expect_low=spec.probe.expect_low,
        expect_high=spec.probe.expect_high,
    )
