"""OpenSLO v1: the `SLO` documents that can be kept here, and a clear refusal of all others.

What is read: one objective over one rolling window, `Occurrences` or `Timeslices`, a `ratioMetric`
of the gateway's requests or a `thresholdMetric` of any signal, with `metricSource.type: Homeostat`.
Whatever else the standard knows is an error that says what to write instead: a promise that is
half understood would be kept wrongly.
Source: OpenSLO v1, https://github.com/OpenSLO/OpenSLO.
"""

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from homeostat.base import names
from homeostat.base.budgets import MILLION, Method, SloSpec
from homeostat.base.units import HOUR, MILLISECOND, MINUTE, SECOND
from homeostat.govern.slo import ERRORS, WITHIN
from homeostat.server.config.guardrails import Strict
from homeostat.server.config.units import Duration

API: Final = "openslo/v1"
REQUESTS: Final = "requests"
SERVED: Final = "served"
COMPARED: Final = (
    names.ERROR_RATIO,
    names.LATENCY_P50,
    names.LATENCY_P95,
    names.REFUSED_RATIO,
    names.ACCURACY,
    names.UTILISATION,
)
_UNITS: Final = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": 24 * HOUR, "w": 168 * HOUR}
_SHORT: Final = re.compile(r"([0-9]{1,6})([smhdw])\Z")
SHORTEST_NS: Final = HOUR
LONGEST_NS: Final = 92 * 24 * HOUR


def shorthand(value: Any) -> int:
    """Return an OpenSLO duration in nanoseconds.

    Raises:
        ValueError: It is none, or one of the calendar (`1M`, `1Q`, `1Y`).

    >>> shorthand("28d") == 4 * shorthand("1w")
    True
    """
    found = _SHORT.match(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(
            f"{value!r} is no length that can be kept; write whole minutes, hours, days or weeks: "
            "5m, 28d, 4w (months and years differ in length)"
        )
    return int(found[1]) * _UNITS[found[2]]


def _rolling(length: int) -> int:
    if not SHORTEST_NS <= length <= LONGEST_NS:
        raise ValueError("must be between 1h and 92d")
    return length


def _refused(fix: str) -> BeforeValidator:
    def refuse(value: Any) -> None:
        if value not in (None, [], {}):
            raise ValueError(f"is not supported; {fix}")

    return BeforeValidator(refuse)


_SCHEMA: Final = WithJsonSchema({"type": "string", "pattern": r"^[0-9]{1,6}[smhdw]$"})
Shorthand = Annotated[int, BeforeValidator(shorthand), _SCHEMA]
Text = Annotated[str, Field(max_length=2000)]
_NO_SCHEMA: Final = WithJsonSchema({"type": "null"})


class OpenMetadata(Strict):
    """Who the document is about."""

    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
    display_name: Text | None = None
    labels: dict[str, Any] = Field(default_factory=dict, max_length=64)
    annotations: dict[str, Text] = Field(default_factory=dict, max_length=64)


class SourceSpec(Strict):
    """One of the controller's own signals."""

    signal: str = Field(
        description=f"{REQUESTS}, {ERRORS} or {SERVED} in a ratioMetric; else one of "
        + ", ".join(COMPARED)
        + "."
    )
    within: Duration | None = Field(
        default=None,
        description="Of served requests those answered within it, a histogram's bound.",
    )
    subject: str = Field(
        default=names.GATEWAY, pattern=r"^(gateway|model|pool:[a-z0-9-]+)$", description="Whose."
    )


class MetricSource(Strict):
    """Where numbers come from: the signals that the controller reads anyway."""

    metric_source_ref: Annotated[
        None, _refused("write type: Homeostat and spec: {signal: ...}"), _NO_SCHEMA
    ] = None
    type: str
    spec: SourceSpec

    @model_validator(mode="before")
    @classmethod
    def _ours(cls, value: Any) -> Any:
        kind = value.get("type") if isinstance(value, dict) else None
        if isinstance(kind, str) and kind != "Homeostat":
            raise ValueError(
                f"type {kind!r} is not asked; write type: Homeostat and spec: {{signal: errors}}, "
                "a signal that the controller reads anyway"
            )
        return value


class Metric(Strict):
    """One metric."""

    metric_source: MetricSource


class RatioMetric(Strict):
    """Good or bad events of all."""

    counter: bool = True
    good: Metric | None = None
    bad: Metric | None = None
    total: Metric | None = None
    raw_type: Annotated[None, _refused("write good or bad, and total"), _NO_SCHEMA] = None
    raw: Annotated[None, _refused("write good or bad, and total"), _NO_SCHEMA] = None

    @model_validator(mode="after")
    def _of_requests(self) -> Self:
        said = {
            name: getattr(self, name).metric_source.spec
            for name in ("good", "bad", "total")
            if getattr(self, name) is not None
        }
        if ("good" in said) == ("bad" in said) or "total" not in said:
            raise ValueError("says good or bad (one of them), and total; write both")
        for name, wanted in (("good", SERVED), ("bad", ERRORS), ("total", REQUESTS)):
            if name in said and said[name].signal != wanted:
                raise ValueError(
                    f"{name} is {said[name].signal!r}; only the gateway's requests are counted: "
                    f"write signal: {wanted}"
                )
        if any(spec.within is not None for name, spec in said.items() if name != "good"):
            raise ValueError("within belongs to good: write good: served within 250ms, and total")
        if {spec.subject for spec in said.values()} != {names.GATEWAY}:
            raise ValueError("requests are counted at the gateway; write subject: gateway")
        return self


class IndicatorSpec(Strict):
    """What is measured."""

    description: Text | None = None
    ratio_metric: RatioMetric | None = None
    threshold_metric: Metric | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.ratio_metric is None) == (self.threshold_metric is None):
            raise ValueError("says ratioMetric or thresholdMetric; write one of them")
        if self.threshold_metric is not None:
            signal = self.threshold_metric.metric_source.spec.signal
            if self.threshold_metric.metric_source.spec.within is not None:
                raise ValueError("within belongs to the good of a ratioMetric; write op and value")
            if signal not in COMPARED:
                raise ValueError(
                    f"thresholdMetric of {signal!r}; it is one of {', '.join(COMPARED)}"
                )
        return self


class Indicator(Strict):
    """An indicator written in place."""

    metadata: OpenMetadata | None = None
    spec: IndicatorSpec


class TimeWindow(Strict):
    """The window of the promise."""

    duration: Annotated[Shorthand, AfterValidator(_rolling)]
    is_rolling: bool = Field(default=False, strict=True)
    calendar: Annotated[
        None, _refused("windows roll: write isRolling: true and drop it"), _NO_SCHEMA
    ] = None

    @model_validator(mode="after")
    def _rolls(self) -> Self:
        if not self.is_rolling:
            raise ValueError("isRolling is false; calendar windows are not kept, write true")
        return self


class OpenObjective(Strict):
    """How much of it must be good."""

    display_name: Text | None = None
    op: Literal["lte", "lt", "gte", "gt"] | None = None
    value: float | None = Field(default=None, allow_inf_nan=False)
    target: float | None = Field(default=None, gt=0.0, lt=1.0)
    target_percent: float | None = Field(default=None, gt=0.0, lt=100.0)
    time_slice_target: float | None = Field(default=None, gt=0.0, le=1.0)
    time_slice_window: Shorthand | None = None
    composite_weight: Annotated[None, _refused("one objective stands alone"), _NO_SCHEMA] = None
    indicator: Annotated[None, _refused("write it at spec.indicator"), _NO_SCHEMA] = None
    indicator_ref: Annotated[None, _refused("write it at spec.indicator"), _NO_SCHEMA] = None

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.target is None) == (self.target_percent is None):
            raise ValueError("says target or targetPercent; write one of them, target: 0.995")
        return self

    @property
    def ppm(self) -> int:
        """The target in millionths."""
        if self.target is not None:
            return round(self.target * MILLION)
        return round((self.target_percent or 0.0) * MILLION / 100)


class OpenSpec(Strict):
    """What is promised."""

    description: Text | None = None
    service: Text | None = None
    indicator: Indicator
    indicator_ref: Annotated[
        None, _refused("write the indicator in place, at spec.indicator"), _NO_SCHEMA
    ] = None
    time_window: tuple[TimeWindow, ...] = Field(min_length=1, max_length=1)
    budgeting_method: str
    objectives: tuple[OpenObjective, ...] = Field(min_length=1, max_length=1)
    alert_policies: Annotated[
        None, _refused("burn rates are watched without them; drop the key"), _NO_SCHEMA
    ] = None

    @model_validator(mode="after")
    def _method(self) -> Self:
        if self.budgeting_method not in {"Occurrences", "Timeslices"}:
            raise ValueError(
                f"budgetingMethod {self.budgeting_method!r} is not kept; write Occurrences or "
                "Timeslices"
            )
        one = self.objectives[0]
        slices = (one.time_slice_target is not None, one.time_slice_window is not None)
        if slices != (self.budgeting_method == "Timeslices",) * 2:
            raise ValueError(
                "timeSliceTarget and timeSliceWindow belong to Timeslices, both; write them there"
            )
        compared = self.indicator.spec.threshold_metric is not None
        if (one.op is not None, one.value is not None) != (compared,) * 2:
            raise ValueError("op and value belong to a thresholdMetric, both; write them there")
        return self


class OpenSlo(Strict):
    """An OpenSLO document."""

    api_version: Literal["openslo/v1"]
    kind: Literal["SLO"]
    metadata: OpenMetadata
    spec: OpenSpec


def to_spec(document: OpenSlo) -> SloSpec:
    """Return what is counted for a document."""
    spec, one = document.spec, document.spec.objectives[0]
    metric = spec.indicator.spec.threshold_metric
    source = None if metric is None else metric.metric_source.spec
    sliced = spec.budgeting_method == "Timeslices"
    ratio = spec.indicator.spec.ratio_metric
    good = None if ratio is None or ratio.good is None else ratio.good.metric_source.spec
    within = None if good is None else good.within
    if within is not None:
        op, limit = "lte", within / MILLISECOND
    else:
        op, limit = one.op or "lte", one.value or 0.0
    counted = ERRORS if within is None else WITHIN
    return SloSpec(
        name=document.metadata.name,
        signal=counted if source is None else source.signal,
        subject=names.GATEWAY if source is None else source.subject,
        target_ppm=min(MILLION - 1, one.ppm),
        window_ns=spec.time_window[0].duration,
        method=Method.TIMESLICES if sliced else Method.OCCURRENCES,
        slice_ns=one.time_slice_window or 0,
        slice_target_ppm=round((one.time_slice_target or 0.0) * MILLION),
        op=op,
        limit=limit,
    )
