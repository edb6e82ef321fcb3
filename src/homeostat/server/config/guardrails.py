"""The settings of the guards as people write them, and their way into `base.policy`.

Every key may be left out; what is left out keeps the default of `base.policy.GuardPolicy`. A
deployment's own guardrails go over those of the policy it names, key by key.
"""

from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from homeostat.base import names
from homeostat.base.actions import ActionKind
from homeostat.base.policy import GuardPolicy, LeverLimit
from homeostat.server.config.rulings import Never, Ruling, added
from homeostat.server.config.units import Duration, Money, Share, Span

Count = Annotated[int, Field(ge=0, le=1_000_000, strict=True)]
Some = Annotated[int, Field(ge=1, le=1_000_000, strict=True)]
Fraction = Annotated[Share, Field(gt=0.0, le=1.0)]
Number = Annotated[float, Field(ge=0.0, le=1e12, allow_inf_nan=False, strict=False)]
_PASSIVE: Final = {ActionKind.HOLD, ActionKind.ESCALATE, ActionKind.RESTART_ALL}

# What people call a lever, and what the core calls it; `replicas` speaks for every pool.
LEVERS: Final = {
    "replicas": "replicas.",
    "weight": "weight.",
    "batchMax": names.BATCH_MAX,
    "batchWaitMs": names.BATCH_WAIT,
    "concurrencyMax": names.CONCURRENCY,
    "gatewayLimit": names.GATEWAY_LIMIT,
}


class Strict(BaseModel):
    """Keys in camelCase; a key that is not known is an error."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=False
    )


class Limit(Strict):
    """Bounds of one lever, and its largest step."""

    min: Number = Field(description="Smallest permitted value.")
    max: Number = Field(description="Largest permitted value.")
    step_up: Annotated[Share, Field(gt=0.0, le=100.0)] = Field(
        default=1.0, description="Largest increase in one action; at least one unit is a step."
    )
    step_down: Fraction = Field(
        default=0.25, description="Largest decrease in one action; at least one unit is a step."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}; swap them")
        return self


class Correlated(Strict):
    """When so many deployments go wrong together that the fault is elsewhere."""

    targets: Some = Field(default=3, description="This many anomalous deployments,")
    fleet: Some = Field(default=5, description="of at least this many,")
    share: Fraction = Field(default=0.20, description="and more than this share,")
    window: Span | None = Field(default=None, description="within this time, stop all.")


class Autonomy(Strict):
    """What runs without asking in mode auto, and who said so."""

    granted_by: str = Field(min_length=1, max_length=200, description="A person, for the record.")
    auto: tuple[ActionKind, ...] = Field(description="Kinds of actions.")
    earn: tuple[ActionKind, ...] = Field(
        default=(), description="Kinds that may come to run unasked after 59 that helped."
    )
    lost_on_harm: bool = Field(
        default=True, strict=True, description="The first harm takes a kind away, until a grant."
    )

    @model_validator(mode="after")
    def _can_be_granted(self) -> Self:
        if not self.granted_by.strip():
            raise ValueError("grantedBy is blank; name the person who grants this")
        for kind in (*self.auto, *self.earn):
            if kind in _PASSIVE:
                raise ValueError(
                    f"{kind.value} cannot be granted: it changes nothing or is refused"
                )
        return self


class Guardrails(Strict):
    """Settings of the guards G0 to G14; docs/reference/guards.md explains each."""

    evidence_rules: bool | None = Field(
        default=None, strict=True, description="G0; off only for paired test runs."
    )
    freshness: Span | None = Field(default=None, description="G0: older than this is stale.")
    min_samples: Number | None = Field(default=None, description="G0: requests a window needs.")
    failed_probes: Some | None = Field(default=None, description="G0: rounds that prove it.")
    persistence: Some | None = Field(
        default=None, description="Scrapes a suspicion must last before it may act."
    )
    never_below_ready_replicas: Annotated[int, Field(ge=2, le=1_000_000, strict=True)] | None = (
        Field(default=None, description="G2: replicas in rotation; at least two.")
    )
    limits: dict[str, Limit] | None = Field(
        default=None, description="G2: by lever: " + ", ".join(LEVERS) + ", or replicas.POOL."
    )
    cooldown: Span | None = Field(default=None, description="G3: after any action.")
    scale_in_stabilization: Span | None = Field(default=None, description="G3.")
    scale_in_watch: Span | None = Field(
        default=None, description="G7: how long load is watched before capacity is taken away."
    )
    max_tries: Some | None = Field(default=None, description="G3: then a person is told.")
    max_actions_per_hour: Some | None = Field(default=None, description="G4: per deployment.")
    max_fleet_actions_per_hour: Some | None = Field(default=None, description="G4.")
    max_targets_changing: Fraction | None = Field(default=None, description="G5: at least one.")
    max_replicas_changing: Fraction | None = Field(default=None, description="G5: at least one.")
    correlated_stop: Correlated | None = Field(default=None, description="G6.")
    max_utilisation: Fraction | None = Field(default=None, description="G7: after the action.")
    budget_per_hour: Money | None = Field(default=None, description="G8: all replicas together.")
    autonomy: Autonomy | None = Field(default=None, description="G12.")
    approval_ttl: Span | None = Field(default=None, description="G13: how long a question lives.")
    receipt_deadline: Duration | None = Field(
        default=None, description="After this a write's result is unknown."
    )
    readiness_deadline: Duration | None = Field(
        default=None, description="How long an accepted change may take to be carried out."
    )
    verify: Span | None = Field(default=None, description="How long an effect may take to show.")
    blind: Span | None = Field(
        default=None, description="How long an effect may go unseen before it is taken back."
    )
    rules: tuple[Ruling, ...] | None = Field(
        default=None, max_length=100, description="Rules of the policy's own, beside the guards."
    )
    never: tuple[Never, ...] | None = Field(
        default=None, max_length=100, description="Properties for `homeostat policy verify`."
    )

    @model_validator(mode="after")
    def _distinct_names(self) -> Self:
        for said in (self.rules or (), self.never or ()):
            names_ = [one.name for one in said]
            twice = next((name for name in names_ if names_.count(name) > 1), None)
            if twice is not None:
                raise ValueError(f"{twice!r} is said twice; rename one")
        return self

    @model_validator(mode="after")
    def _known_levers(self) -> Self:
        for lever in self.limits or {}:
            if lever_name(lever) is None:
                raise ValueError(f"limits: unknown lever {lever!r}; known: {', '.join(LEVERS)}")
        return self


def lever_name(written: str) -> str | None:
    """Return the core's name of a lever, None if there is no such lever.

    >>> lever_name("batchMax"), lever_name("replicas.a"), lever_name("replica")
    ('batch_max', 'replicas.a', None)
    """
    if written in LEVERS:
        return LEVERS[written]
    head, dot, pool = written.partition(".")
    name = LEVERS.get(head, "")
    return f"{name}{pool}" if dot and pool and name.endswith(".") else None


_SPANS: Final = {
    "fresh_scrapes": "freshness",
    "cooldown_scrapes": "cooldown",
    "scale_in_scrapes": "scale_in_stabilization",
    "watch_scrapes": "scale_in_watch",
    "approval_ttl_scrapes": "approval_ttl",
    "verify_scrapes": "verify",
    "blind_scrapes": "blind",
}
_SAME: Final = {
    "evidence_rules": "evidence_rules",
    "min_samples": "min_samples",
    "failed_probes": "failed_probes",
    "persist_scrapes": "persistence",
    "min_replicas": "never_below_ready_replicas",
    "max_tries": "max_tries",
    "actions_per_hour": "max_actions_per_hour",
    "fleet_actions_per_hour": "max_fleet_actions_per_hour",
    "targets_share": "max_targets_changing",
    "replicas_share": "max_replicas_changing",
    "utilisation_max": "max_utilisation",
    "budget_usd_per_hour": "budget_per_hour",
    "receipt_deadline_ns": "receipt_deadline",
    "readiness_deadline_ns": "readiness_deadline",
}


def merged(base: Guardrails, over: Guardrails) -> Guardrails:
    """Return the settings with those of `over` put over them, key by key."""
    stated = {name: getattr(over, name) for name in over.model_fields_set}
    return base.model_copy(update=stated)


def to_policy(rails: Guardrails, scrape_ns: int) -> GuardPolicy:
    """Return the core's form; what was not said keeps its default.

    Args:
        rails: The settings.
        scrape_ns: The deployment's scrape interval.
    """
    said: dict[str, Any] = {}
    for field, name in _SAME.items():
        value = getattr(rails, name)
        if value is not None:
            said[field] = value
    for field, name in _SPANS.items():
        value = getattr(rails, name)
        if value is not None:
            said[field] = value.in_scrapes(scrape_ns)
    if rails.correlated_stop is not None:
        said.update(_correlated(rails.correlated_stop, scrape_ns))
    if rails.autonomy is not None:
        said["auto_kinds"] = tuple(sorted(set(rails.autonomy.auto)))
        said["earn_kinds"] = tuple(sorted(set(rails.autonomy.earn)))
        said["lost_on_harm"] = rails.autonomy.lost_on_harm
        said["granted_by"] = rails.autonomy.granted_by.strip()
    if rails.rules is not None:
        said["rules"] = added(rails.rules)
    if rails.limits is not None:
        said["limits"] = tuple(
            LeverLimit(
                lever=lever_name(lever) or lever,
                low=limit.min,
                high=limit.max,
                step_up=limit.step_up,
                step_down=limit.step_down,
            )
            for lever, limit in sorted(rails.limits.items())
        )
    return GuardPolicy(**said)


def _correlated(stop: Correlated, scrape_ns: int) -> dict[str, Any]:
    said: dict[str, Any] = {
        "correlated_targets": stop.targets,
        "correlated_fleet": stop.fleet,
        "correlated_share": stop.share,
    }
    if stop.window is not None:
        said["correlated_scrapes"] = stop.window.in_scrapes(scrape_ns)
    return said
