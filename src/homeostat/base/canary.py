"""What a canary comparison is asked, keeps and says; journaled. Who judges is `govern.canary`.

Two arms serve side by side: the canary (what is new) and stable (what is trusted). Counts are
increments of counters, the same moments in both arms. None, NaN and negative are *unknown*: never
zero.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from homeostat.base.units import MINUTE, TimeNs

ERRORS: Final = "errors"
"""The metric that is always there: bad among all responses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCounts:
    """One histogram's increments in both arms.

    Attributes:
        metric: Name, as in the configuration.
        canary: Increments of the cumulative buckets, one per bound and the total last; empty for
            not reported.
        stable: The same of the other arm.
    """

    metric: str
    canary: tuple[float, ...] = ()
    stable: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What came since the last counts; any cadence, buckets are made by the judge.

    Attributes:
        at: End of the time that they cover.
        canary_total: Responses of the canary.
        canary_bad: Bad ones among them.
        stable_total: Responses of stable.
        stable_bad: Bad ones among them.
        since: Beginning of that time, of use in the first counts only; None for not known.
        share: Traffic share that the canary was given, 0..1; None for not known. At 0 nothing is
            expected of it, and its silence is no missing evidence.
        histograms: Latency, scores and whatever else falls into buckets.
    """

    at: TimeNs
    canary_total: float | None
    canary_bad: float | None
    stable_total: float | None
    stable_bad: float | None
    since: TimeNs | None = None
    share: float | None = None
    histograms: tuple[ArmCounts, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryMetric:
    """One metric: the share of responses that are bad, or above each bound of a histogram.

    Attributes:
        name: `errors` reads the bad counts; any other the histogram of that name.
        margin: A ratio canary / stable up to this is no harm, at least 1.
        promote_ratio: The certificate says "the ratio is below this"; above 1. None: this metric
            certifies nothing (it can still harm).
        weight: In the weighted mean of e-values, above 0.
        bounds: Ascending upper bounds of the histogram's buckets, without infinity.
    """

    name: str
    margin: float = 1.2
    promote_ratio: float | None = None
    weight: float = 1.0
    bounds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be compared.

        Raises:
            ValueError: Names the metric, the value and the range.
        """
        if not 1.0 <= self.margin < float("inf"):
            raise ValueError(f"canary metric {self.name}: margin must be >= 1, got {self.margin}")
        if self.promote_ratio is not None and not 1.0 < self.promote_ratio < float("inf"):
            raise ValueError(
                f"canary metric {self.name}: promote_ratio must be above 1, got "
                f"{self.promote_ratio}; leave it out to certify nothing"
            )
        if not 0.0 < self.weight < float("inf"):
            raise ValueError(f"canary metric {self.name}: weight must be > 0, got {self.weight}")
        if (self.name == ERRORS) == bool(self.bounds) or list(self.bounds) != sorted(
            set(self.bounds)
        ):
            raise ValueError(
                f"canary metric {self.name}: bounds must ascend, at least one, and none for "
                f"{ERRORS!r}; got {self.bounds}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryConfig:
    """What is promised, and how long it may take.

    Attributes:
        alpha: Chance that a harmless canary is ever called harmful, over the whole ramp; and that
            a certificate is ever wrong.
        metrics: What is compared.
        bucket_ns: Bets are made over this long at least; longer than a burst of errors lasts.
        missing_buckets: More buckets in a row than this without the canary while stable serves
            are NO_EVIDENCE.
        dead_buckets: So many buckets in a row without one good response, while stable has good
            ones, are harm at once.
        deadline_ns: After this long without a certificate: DEADLINE.
        pods: Pods of the canary; None for not known.
        calibrated: The margins hold what earlier stable pods differed by; see `canary_margin`.
    """

    alpha: float = 0.05
    metrics: tuple[CanaryMetric, ...] = (CanaryMetric(name=ERRORS, promote_ratio=2.0),)
    bucket_ns: int = MINUTE
    missing_buckets: int = 5
    dead_buckets: int = 3
    deadline_ns: int = 240 * MINUTE
    pods: int | None = None
    calibrated: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be promised.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        if not 0.0 < self.alpha <= 0.5:  # noqa: PLR2004 - one error in two is no promise
            raise ValueError(f"canary: alpha must be in (0, 0.5], got {self.alpha}")
        names = [metric.name for metric in self.metrics]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"canary: metrics must be there, each named once; got {names}")
        for setting in ("bucket_ns", "dead_buckets", "deadline_ns"):
            if getattr(self, setting) < 1:
                raise ValueError(f"canary: {setting} must be > 0, got {getattr(self, setting)}")
        if self.missing_buckets < 0 or (self.pods is not None and self.pods < 1):
            raise ValueError(
                f"canary: missing_buckets must be >= 0 and pods >= 1 (or None), got "
                f"{self.missing_buckets} and {self.pods}"
            )


class CanaryVerdict(StrEnum):
    """What is known of a canary."""

    HARM = "harm"  # worse than the margin: take the traffic back
    CERTIFIED = "certified"  # the ratio is below promote_ratio: may be promoted
    UNDECIDED = "undecided"  # hold
    NO_EVIDENCE = "no_evidence"  # the canary is not seen: take the traffic back, blame nobody
    DEADLINE = "deadline"  # too long without a certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryRow:
    """One comparison: of bad responses, or of those above one bound.

    Attributes:
        counts: Canary total, canary bad, stable total, stable bad; since the start, judged ones.
        open: The same of the bucket that is not full yet.
        harm: ln of what each stake has become that bets on harm.
        safe: The same of those that bet on the certificate; empty where none is asked for.
    """

    counts: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    open: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    harm: tuple[float, ...] = ()
    safe: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryState:
    """All that the judge remembers; additive, so that a journal replays it bit for bit.

    Attributes:
        started_at: First counts.
        at: Newest counts.
        opened_at: Where the open bucket begins.
        rows: One per comparison, in the order of the configuration.
        seen: The open bucket has moments in which both arms were seen.
        canary: Responses and bad ones in the open bucket, whether or not stable was seen.
        stable: The same, whether or not the canary was seen.
        expected: The canary was given traffic in the open bucket.
        buckets: How many were judged.
        served: Both arms answered something in the newest full bucket.
        missing: Buckets in a row without the canary while stable served.
        dead: Buckets in a row without one good response of the canary.
        dead_bad: Bad responses in them.
        harm_at: When harm was found; stays.
        certified_at: When the certificate was first earned; the verdict asks whether it still is.
    """

    started_at: TimeNs | None = None
    at: TimeNs | None = None
    opened_at: TimeNs | None = None
    rows: tuple[CanaryRow, ...] = ()
    seen: bool = False
    canary: tuple[float, float] = (0.0, 0.0)
    stable: tuple[float, float] = (0.0, 0.0)
    expected: bool = False
    buckets: int = 0
    served: bool = False
    missing: int = 0
    dead: int = 0
    dead_bad: float = 0.0
    harm_at: TimeNs | None = None
    certified_at: TimeNs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricEvidence:
    """What one metric says.

    Attributes:
        metric: Its name.
        harm_e: e-value against "the ratio is at most the margin".
        safe_e: e-value against "the ratio is at least promote_ratio"; None where nothing is
            certified.
        margin: The margin it was judged by.
        ratio: Bad share of the canary over that of stable, so far; None while either has none. Of
            a histogram: the worst bound's.
        canary_bad: So far; of a histogram: above that bound.
        canary_total: So far.
        stable_bad: So far.
        stable_total: So far.
    """

    metric: str
    harm_e: float
    safe_e: float | None
    margin: float
    ratio: float | None
    canary_bad: float
    canary_total: float
    stable_bad: float
    stable_total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryJudgement:
    """What is known after the newest counts.

    Attributes:
        verdict: The answer.
        at: When.
        harm_e: Weighted mean of the metrics' e-values; harm at 1 / alpha.
        safe_e: Smallest of the metrics' certificates; certified at 1 / alpha. None where none is
            asked for.
        threshold: 1 / alpha.
        buckets: How many were judged.
        metrics: Each metric's own.
        because: In words.
        caveats: What the verdict cannot know: `uncalibrated`, `confounded`, `pods unknown`.
    """

    verdict: CanaryVerdict
    at: TimeNs
    harm_e: float
    safe_e: float | None
    threshold: float
    buckets: int
    metrics: tuple[MetricEvidence, ...]
    because: tuple[str, ...]
    caveats: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlikeState:
    """What was learnt while both pools served the same version; the newest comparisons are kept.

    Attributes:
        canary: The pool that new versions are tried in.
        stable: The pool that it is compared with.
        config: By which the kept ends were judged.
        version: What both pools served during the newest pretended ramp; empty before the first.
        share: Weight of the canary's pool during it.
        judge: What the judge remembers of it; None while none is open.
        window: Canary's responses and bad ones, stable's responses and bad ones, of whole ramps
            that are not yet enough for a ratio.
        ratios: Bad share of the canary's pool over that of stable, oldest first.
        ends: Of each whole pretended ramp, whether it ended in a false alarm; oldest first.
    """

    canary: str
    stable: str
    config: CanaryConfig
    version: str = ""
    share: int | float | str | None = None
    judge: CanaryState | None = None
    window: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    ratios: tuple[float, ...] = ()
    ends: tuple[bool, ...] = ()
