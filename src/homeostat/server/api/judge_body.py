"""What `POST /v1/judge` takes and answers."""

import math
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from homeostat.base.canary import ERRORS, CanaryConfig, CanaryMetric, CanaryVerdict
from homeostat.base.units import TimeNs, ns
from homeostat.govern.canary_counters import ArmReading, Reading
from homeostat.server.api.schemas import Body

SAMPLES_MAX = 500
NAME = r"^[A-Za-z0-9]([-A-Za-z0-9._/]{0,251}[A-Za-z0-9])?$"

Counter = Annotated[float, Field(allow_inf_nan=False, le=1e18)] | None
Time = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]


class HistogramBody(Body):
    """Cumulative buckets of both arms at one moment, one per bound and the total last."""

    bounds: Annotated[list[float], Field(min_length=1, max_length=60)]
    canary: Annotated[list[Counter], Field(max_length=61)]
    stable: Annotated[list[Counter], Field(max_length=61)]

    @model_validator(mode="after")
    def _as_many(self) -> "HistogramBody":
        for arm in (self.canary, self.stable):
            if len(arm) != len(self.bounds) + 1:
                raise ValueError(
                    f"{len(arm)} numbers at {len(self.bounds)} bounds: one for each, and the total"
                )
        return self


class SampleBody(Body):
    """Both arms' counters at one moment; null is not known, never zero."""

    t: Time = Field(description="Seconds since the epoch.")
    canary_total: Counter
    canary_bad: Counter
    stable_total: Counter
    stable_bad: Counter
    share: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="The canary's share of traffic since the sample before."
    )
    histograms: Annotated[dict[str, HistogramBody], Field(max_length=8)] = Field(
        default_factory=dict
    )

    def reading(self) -> Reading:
        """Return what it says as counters."""
        return Reading(
            at=TimeNs(ns(self.t)),
            canary=ArmReading(
                total=self.canary_total,
                bad=self.canary_bad,
                histograms=tuple((k, tuple(h.canary)) for k, h in self.histograms.items()),
            ),
            stable=ArmReading(
                total=self.stable_total,
                bad=self.stable_bad,
                histograms=tuple((k, tuple(h.stable)) for k, h in self.histograms.items()),
            ),
            share=self.share,
        )


class ConfigBody(Body):
    """What is promised; the defaults are those of `homeostat judge`."""

    alpha: float = 0.05
    margin: float = 1.2
    slow_margin: float = 1.1
    below: float | None = Field(2.0, description="What a certificate says; null for none.")
    bucket_s: float = 60.0
    missing_buckets: int = 5
    deadline_s: float = 14_400.0
    pods: int | None = None
    calibrated: bool = Field(
        default=False, description="The margin holds what pods of one version differ by."
    )

    def config(self, bounds: dict[str, tuple[float, ...]]) -> CanaryConfig:
        """Return the judge's configuration.

        Args:
            bounds: Of each histogram.

        Raises:
            ValueError: A value is out of range.
        """
        if not (math.isfinite(self.bucket_s) and math.isfinite(self.deadline_s)):
            raise ValueError(
                f"bucket_s and deadline_s are seconds, got {self.bucket_s} and {self.deadline_s}"
            )
        slow = [
            CanaryMetric(name=name, margin=self.slow_margin, bounds=found)
            for name, found in sorted(bounds.items())
        ]
        errors = CanaryMetric(name=ERRORS, margin=self.margin, promote_ratio=self.below)
        return CanaryConfig(
            alpha=self.alpha,
            metrics=(errors, *slow),
            bucket_ns=ns(self.bucket_s),
            missing_buckets=self.missing_buckets,
            deadline_ns=ns(self.deadline_s),
            pods=self.pods,
            calibrated=self.calibrated,
        )


Wish = Literal["certified", "no_harm", "return_traffic"]


class JudgeBody(Body):
    """A question about one canary.

    Without a name, the samples are judged and forgotten. With one, they are added to those that
    came before under it. A name without samples asks what is known. Fields from `phase` on are
    what Flagger sends; all but `metadata.require` are taken and not looked at.
    """

    name: Annotated[str, Field(pattern=NAME)] | None = None
    namespace: Annotated[str, Field(pattern=NAME)] | None = None
    samples: Annotated[list[SampleBody], Field(max_length=SAMPLES_MAX)] = Field(
        default_factory=list
    )
    config: ConfigBody | None = None
    begin: bool = Field(default=False, description="Forget what came before under this name.")
    require: Wish | None = Field(
        None, description="Answer 403 unless it is so: for callers that read the status alone."
    )
    phase: Any = None
    checksum: Any = None
    build_id: Any = Field(None, alias="buildId")
    type: Any = None
    failed_checks: Any = Field(None, alias="failedChecks")
    canary_weight: Any = Field(None, alias="canaryWeight")
    iterations: Any = None
    remaining_time: Any = Field(None, alias="remainingTime")
    metadata: Annotated[dict[str, str], Field(max_length=50)] | None = None

    @field_validator("metadata")
    @classmethod
    def _required(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        wish = (value or {}).get("require", "certified")
        if wish not in {"certified", "no_harm", "return_traffic"}:
            raise ValueError(f"require is certified, no_harm or return_traffic, got {wish!r}")
        return value

    @property
    def key(self) -> str | None:
        """Return what the canary is kept under; None to keep nothing."""
        if self.name is None:
            return None
        return self.name if self.namespace is None else f"{self.namespace}/{self.name}"

    @property
    def wish(self) -> str | None:
        """Return what must be so; None for any answer."""
        return self.require or (self.metadata or {}).get("require")

    def bounds(self) -> dict[str, tuple[float, ...]]:
        """Return the bounds of each histogram.

        Raises:
            ValueError: Samples differ in them.
        """
        out: dict[str, tuple[float, ...]] = {}
        for sample in self.samples:
            for name, one in sample.histograms.items():
                if out.setdefault(name, tuple(one.bounds)) != tuple(one.bounds):
                    raise ValueError(f"histogram {name!r}: the samples differ in bounds")
        return out


class ArmOut(Body):
    """Responses so far."""

    total: float
    bad: float


class MetricOut(Body):
    """What one metric says."""

    metric: str
    harm_e: float
    certificate_e: float | None
    margin: float
    ratio: float | None
    canary: ArmOut
    stable: ArmOut


class JudgeOut(Body):
    """The verdict; `harm`, `certified` and `return_traffic` are for rules with a condition."""

    verdict: CanaryVerdict
    harm: bool
    certified: bool
    return_traffic: bool
    harm_e: float
    certificate_e: float | None
    threshold: float
    buckets: int
    metrics: list[MetricOut]
    because: list[str]
    caveats: list[str]
    name: str | None = None
    counted: int = Field(description="Samples that were new.")
    age_s: float | None = Field(
        None,
        description="Seconds since the newest sample of the name, by the controller's clock; null "
        "for samples of the body alone.",
    )
