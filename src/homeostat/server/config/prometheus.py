"""`spec.metrics.prometheus`: what is read from a Prometheus, and how it is reached.

Secrets have no place here: a token or a password is in a file of its own.
"""

from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from homeostat.adapters._guard import kept_secret
from homeostat.base.units import SECOND, seconds
from homeostat.server.config.guardrails import Strict
from homeostat.server.config.units import Duration
from homeostat.server.plan import PartPlan

_WINDOW_NS: Final = 75 * SECOND  # five scrapes at the usual 15 s
_WINDOW_INTERVALS: Final = 5
_FILE: Final = 4096
READ_SHARE: Final = 0.6
"""Of an interval: how long the world may take to be read (`server.reading` gives up then)."""

Label = Annotated[str, Field(pattern=r"^[a-zA-Z_]\w{0,99}$")]


class PrometheusSpec(Strict):
    """One query a round to one Prometheus, Thanos, Mimir or VictoriaMetrics."""

    url: str = Field(
        min_length=1, max_length=2000, description="Base of the API, http(s)://HOST:PORT."
    )
    select: dict[Label, str] = Field(
        min_length=1,
        max_length=20,
        description="Labels of the series; a value that begins with ~ is a pattern.",
    )
    subject: str | None = Field(
        default=None,
        pattern=r"^(gateway|model|pool:[a-z0-9-]+|replica:[a-z0-9-]+)$",
        description="What series speak for that name no replica.",
    )
    replica_label: Label | None = Field(
        default=None, description="Label that holds the replica's name."
    )
    presets: tuple[str, ...] = Field(
        default=(),
        max_length=10,
        description="What the series mean, best first (`homeostat get presets`); default: by "
        "what is there.",
    )
    pools: tuple[str, ...] = Field(default=(), description="Pools to report; empty for all.")
    window: Duration | None = Field(
        default=None, description="How far back a round looks; default 75s, or five intervals."
    )
    reach: Literal["any", "public", "private"] = Field(
        default="any", description="Which addresses the host's name may resolve to."
    )
    ca_file: str | None = Field(default=None, min_length=1, max_length=_FILE)
    token_file: str | None = Field(default=None, min_length=1, max_length=_FILE)
    username: str = Field(default="", max_length=256)
    password_file: str | None = Field(default=None, min_length=1, max_length=_FILE)
    tenant: str = Field(default="", max_length=150, description="X-Scope-OrgID of Mimir.")

    @model_validator(mode="after")
    def _speaks_for_somebody(self) -> Self:
        if self.subject is None and self.replica_label is None:
            raise ValueError("says neither subject nor replicaLabel; whom does it speak for?")
        kept_secret(self.url, self.token_file, self.password_file)
        return self


def queries(
    specs: tuple[PrometheusSpec, ...],
    *,
    deployment: str,
    interval: int,
    timeout_s: float,
    base: Path,
) -> tuple[PartPlan, ...]:
    """Return the sources of one deployment.

    Args:
        specs: As written.
        deployment: Its name.
        interval: Its tick, in nanoseconds.
        timeout_s: Deadline of a round, in seconds.
        base: Folder that relative paths start from.
    """
    return tuple(
        PartPlan(
            part="prometheus",
            settings=_settings(one, interval=interval, base=base)
            | {"name": f"prometheus:{place}", "deployment": deployment, "timeout_s": timeout_s},
        )
        for place, one in enumerate(specs)
    )


def replicas(
    specs: tuple[PrometheusSpec, ...], pool: str, *, interval: int, base: Path
) -> PartPlan:
    """Return what the replicas of a deployment that is only watched are read from.

    Args:
        specs: As written; the first with a `replicaLabel` says which replicas there are.
        pool: The pool that they serve in.
        interval: Its tick, in nanoseconds.
        base: Folder that relative paths start from.
    """
    one = next(spec for spec in specs if spec.replica_label)
    ours = _settings(one, interval=interval, base=base)
    drop = ("subject", "presets", "pools", "window_s")
    settings = {key: value for key, value in ours.items() if key not in drop}
    # As long as the runtime waits for the world: the rest of the tick is for the numbers.
    wait_s = READ_SHARE * seconds(interval)
    return PartPlan(part="observed", settings=settings | {"pool": pool, "timeout_s": wait_s})


def _settings(one: PrometheusSpec, *, interval: int, base: Path) -> dict[str, Any]:
    window = max(_WINDOW_NS, _WINDOW_INTERVALS * interval) if one.window is None else one.window
    return {
        "url": one.url,
        "select": tuple(sorted(one.select.items())),
        "subject": one.subject or "",
        "replica_label": one.replica_label or "",
        "presets": one.presets,
        "pools": one.pools,
        "window_s": seconds(window),
        "reach": one.reach,
        "username": one.username,
        "tenant": one.tenant,
    } | {
        key: None if path is None else base / path
        for key, path in (
            ("ca_file", one.ca_file),
            ("token_file", one.token_file),
            ("password_file", one.password_file),
        )
    }
