"""What is observed, and what the detectors make of it.

`Observation` is what one source said. `Signals` is one tick of the fleet, aligned; a missing
series is NaN and its cause is named. `Evidence` is what one deployment's decisions may use.
Absence is never zero: anything that judges says healthy, anomalous or unknown.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeVar

from homeostat.base.drift import DriftTest
from homeostat.base.family import Family as Family  # noqa: PLC0414 - evidence speaks of it
from homeostat.base.fleetwide import Fleetwide
from homeostat.base.promise import PromiseTest
from homeostat.base.units import TimeNs
from homeostat.base.world import Snapshot

ArrayT = TypeVar("ArrayT")

LOOKBACK_SCRAPES: Final = 5  # that ratios and quantiles of a signal with traffic look back over
UNLIKE_ITSELF: Final = 0.1  # confidence of what rests on the score alone; nobody is woken for it


class Verdict(StrEnum):
    """Three answers, not two (docs/decisions/0002)."""

    HEALTHY = "healthy"
    ANOMALOUS = "anomalous"
    UNKNOWN = "unknown"


class Quality(StrEnum):
    """Why a value may not be believed; GOOD is the only one that may be judged."""

    GOOD = "good"
    MISSING = "missing"  # the source answered, this series was not there
    UNREACHABLE = "unreachable"  # the source did not answer, or answered an error
    STALE = "stale"  # older than the freshness limit, or the page is frozen
    ABSURD = "absurd"  # NaN, infinite, negative counter, counters that went back without a restart
    FEW = "few"  # fewer samples than a judgement needs


class Kind(StrEnum):
    """How to read an observation's value."""

    GAUGE = "gauge"
    COUNTER = "counter"  # cumulative; only increments mean anything
    BUCKET = "bucket"  # cumulative count at or below `le`


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesKey:
    """Names one series: which deployment, which part of it, which signal.

    Attributes:
        deployment: The managed model's name.
        subject: `gateway`, `model`, `pool:NAME` or `replica:NAME`.
        signal: A name from `base.names`.
    """

    deployment: str
    subject: str
    signal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one source said about one series.

    Attributes:
        source: The source's name in the configuration.
        key: The series.
        kind: Gauge, counter or histogram bucket.
        value: The raw value in the signal's unit; NaN and infinities arrive here unfiltered.
        observed_at: When the world had this value, by our clock.
        le: Upper bound for `BUCKET`, in the signal's unit (`inf` for the last), else None.
        epoch: Identifies the process that counts (start time or pid); a change explains a reset.
    """

    source: str
    key: SeriesKey
    kind: Kind
    value: float
    observed_at: TimeNs
    le: float | None = None
    epoch: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceReport:
    """One round of one source: what it said, or why it said nothing.

    Attributes:
        source: The source's name in the configuration.
        at: When the round ended.
        observations: What was read; empty when unreachable.
        subjects: Subjects this source speaks for, also when it is silent.
        quality: GOOD, or why nothing of this round may be believed.
        detail: For a person: status code, size, parse error.
    """

    source: str
    at: TimeNs
    observations: tuple[Observation, ...]
    subjects: tuple[str, ...]
    quality: Quality
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals(Generic[ArrayT]):
    """One fleet tick: aligned values, ages and sample counts, one row per series.

    Attributes:
        at: The tick's time.
        tick: The tick's number since the controller first started.
        keys: The series, one per row.
        values: Float64 `[series]`, NaN where missing.
        age_ns: Int64 `[series]`, age of the value at the tick.
        samples: Float64 `[series]`, how many events (requests, probes) the value summarises.
        quality: One per row.
        world: The deployments as last read back, one per deployment.
    """

    at: TimeNs
    tick: int
    keys: tuple[SeriesKey, ...]
    values: ArrayT
    age_ns: ArrayT
    samples: ArrayT
    quality: tuple[Quality, ...]
    world: tuple[Snapshot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One judged series, as decisions and people see it.

    Attributes:
        subject, signal: See `SeriesKey`.
        value: In the signal's unit; None when unknown.
        verdict: Three answers.
        quality: Why it is unknown, if it is.
        low, high: Edges of what was expected, None when not known.
        age_ns: Age of the value at the tick.
        samples: How many events it summarises.
    """

    subject: str
    signal: str
    value: float | None
    verdict: Verdict
    quality: Quality
    low: float | None
    high: float | None
    age_ns: int
    samples: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """One detector's claim about one series.

    Attributes:
        detector: The detector's name.
        subject, signal: See `SeriesKey`.
        verdict: Three answers; HEALTHY claims are not carried.
        neg_log10_p: Evidence against healthy, as -log10 of a p-value; None when unknown.
    """

    detector: str
    subject: str
    signal: str
    verdict: Verdict
    neg_log10_p: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What one series is about to do under HOLD.

    Attributes:
        subject, signal: See `SeriesKey`.
        limit: The value it must not cross; infinite where none is known.
        time_to_limit_ns: Earliest credible crossing (lower bound), None if none is in sight.
        likely_ns: When it crosses as likely as not, None if that is not in sight.
        horizons_ns: How far ahead the next two look, ascending; empty where they are not asked.
        chances: Probability that the limit is crossed by then, None where unknown.
        quantiles: Value at each horizon with probability 5 %, 50 % and 95 %; empty where unknown.
        left_ns: Until it crosses, with the same three, None: not in sight; empty where unknown.
    """

    subject: str
    signal: str
    limit: float
    time_to_limit_ns: int | None
    likely_ns: int | None = None
    horizons_ns: tuple[int, ...] = ()
    chances: tuple[float | None, ...] = ()
    quantiles: tuple[tuple[float, ...], ...] = ()
    left_ns: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Increments:
    """What one pool's counters at the gateway gained since the tick before.

    Attributes:
        pool: The pool's name, `replica:NAME` for one replica; empty for the whole deployment.
        answered, failed: Requests, well or not, and failed ones; None: a gap, a reset, a bad page.
        seconds: The time that they cover, more than a tick's after a gap; None = not known.
        latency: Per upper bound in ms, the last infinite: answers that took no longer; or empty.
        quality: Why nothing is known, if nothing is.
        timed, judged: It has a histogram of latency, counted labels: unknown is then unread.
        labelled, right: Its predictions whose label came since, and right ones; None = not known.
    """

    pool: str
    answered: float | None
    failed: float | None
    seconds: float | None
    latency: tuple[tuple[float, float], ...] = ()
    quality: Quality = Quality.GOOD
    timed: bool = False
    judged: bool = False
    labelled: float | None = None
    right: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """A fault family and its subject, as suspected on one tick.

    Attributes:
        family: The suspected kind of fault.
        subject: The suspected part: a replica, a pool, the gateway, the model.
        confidence: 0..1, ordinal; used to rank, never as a probability.
        because: Short sentences with numbers, for people.
        urgent: True when the evidence is direct (a dead process): no persistence is asked for.
    """

    family: Family
    subject: str
    confidence: float
    because: tuple[str, ...]
    urgent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthPart:
    """One concern of one signal, and what it takes away from the health score.

    Attributes:
        concern: What it is about: objective, breach, time_left, alarm, suspicion.
        subject: See `SeriesKey`.
        signal: A name from `base.names`; of a suspicion, the family.
        verdict: Three answers; UNKNOWN takes away too.
        loss: Share that it takes away, 0..1.
        because: One short sentence with numbers, for people.
    """

    concern: str
    subject: str
    signal: str
    verdict: Verdict
    loss: float
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """One number for how a deployment is. It orders situations; it is no probability.

    Attributes:
        score: 0 (an objective is missed, or nobody sees whether) to 100.
        low: The score if all that is unknown were as bad as it can be.
        high: The score if all that is unknown were well.
        verdict: Three answers; UNKNOWN where what is known is well but not all is known.
        parts: What takes most away, worst first; what is well is left out.
    """

    score: float
    low: float
    high: float
    verdict: Verdict
    parts: tuple[HealthPart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What one series adds to the score of its deployment.

    Attributes:
        subject, signal: See `SeriesKey`.
        share: Of the evidence, above 0 and at most 1.
    """

    subject: str
    signal: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How unlike itself a whole deployment is: all its charted series as one answer.

    Attributes:
        verdict: ANOMALOUS while an onset lasts, UNKNOWN where nothing can be judged yet or now.
        neg_log10_p: Evidence against healthy as -log10 of a p-value, None when unknown.
        score: The same in 0..1; at or above 0.5 exactly where an onset begins. None when unknown.
        since: When the onset began that still lasts, None if there is none.
        contributions: The series that the evidence is about, largest share first.
        renewed: Series whose new level is usual from this tick on, as (subject, signal).
    """

    verdict: Verdict
    neg_log10_p: float | None
    score: float | None
    since: TimeNs | None
    contributions: tuple[Contribution, ...] = ()
    renewed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that one deployment's decisions may use from one tick.

    Attributes:
        deployment: The managed model's name.
        at, tick: The tick's time and number.
        readings: Every judged series, sorted by subject and signal.
        anomalies: Claims that are not HEALTHY.
        forecasts: What is about to happen under HOLD.
        suspicions: Ranked, most confident first.
        slo_met: The objectives on this tick: True, False, or None for unknown.
        ready: False while baselines are still being learnt.
        world: The deployment as last read back, None if it could not be read.
        health: One number for all of it, None where nobody asked.
        score: How unlike itself the deployment is as a whole, None where nobody asked.
        increments: What it served since the tick before, where something asks for it.
        promises: Tests of objectives, where any is counted; nothing follows from them.
        drifts: Tests of histograms, where any are read; nothing follows from them.
        fleetwide: What the tests of the whole fleet say of it, None where nobody asked.
    """

    deployment: str
    at: TimeNs
    tick: int
    readings: tuple[Reading, ...]
    anomalies: tuple[Anomaly, ...]
    forecasts: tuple[Forecast, ...]
    suspicions: tuple[Suspicion, ...]
    slo_met: bool | None
    ready: bool
    world: Snapshot | None
    health: Health | None = None
    score: Score | None = None
    increments: tuple[Increments, ...] = ()
    promises: tuple[PromiseTest, ...] = ()
    drifts: tuple[DriftTest, ...] = ()
    fleetwide: Fleetwide | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One onset of trouble: opened once, closed once, with one suspected cause at a time.

    Attributes:
        id: `i-NNNN`, unique within the deployment's journal.
        deployment: The managed model's name.
        family, subject: The suspected kind of fault and part.
        opened_at: Tick time of the onset.
        confirmed_at: When persistence was reached, None before.
        tries: Actions tried so far that did not help.
        escalated: True once a person was told.
        because: The evidence at the last change of mind.
    """

    id: str
    deployment: str
    family: Family
    subject: str
    opened_at: TimeNs
    confirmed_at: TimeNs | None
    tries: int
    escalated: bool
    because: tuple[str, ...]
