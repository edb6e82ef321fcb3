"""Have the predictions or the features moved away from what was usual while healthy?

Distance is total variation between the window's histogram and a guarded reference (0 the same,
1 disjoint); a chi-square p-value on counts says whether the window is large enough to mean it.
Both must speak: a distance alone alarms on small windows, a p-value alone on large ones.

How far inputs were lately is a reading of its own (`shift_lately`): predictions that moved with the
inputs are not broken, also while these are back already.

Predictions are compared per version: another version may rightly predict otherwise. A version that
has no reference of its own yet is held against the one its pool ran before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from homeostat.base import names, raw
from homeostat.base.evidence import Anomaly, Quality, Reading, Verdict
from homeostat.base.policy import Managed
from homeostat.base.world import ReplicaState, Snapshot
from homeostat.detect.shift_lately import Seen, farthest, followed
from homeostat.detect.shift_reading import largest, reading_of
from homeostat.stats.chisq import two_sample

Floats = npt.NDArray[np.float64]
DETECTOR: Final = "shift"
# References keep this many events at most: a slow drift of healthy traffic is followed over
# minutes, and the test does not become infinitely sharp.
_MOST_REFERENCE: Final = 50_000.0


class HistogramLike(Protocol):
    """One page's histogram; see `signals.frame.Histogram`, and of new events `signals.fresh`."""

    @property
    def deployment(self) -> str: ...  # noqa: D102 - see the class
    @property
    def subject(self) -> str: ...  # noqa: D102 - see the class
    @property
    def signal(self) -> str: ...  # noqa: D102 - see the class
    @property
    def bounds(self) -> tuple[float, ...]: ...  # noqa: D102 - see the class
    @property
    def counts(self) -> Floats: ...  # noqa: D102 - see the class
    @property
    def quality(self) -> Quality: ...  # noqa: D102 - see the class


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings of the shift detector.

    Attributes:
        distance: Smallest total variation that counts as a shift. A step of half a standard
            deviation moves a Gaussian by 0.20; sampling alone moves 500 events in 12 bins by 0.05.
        neg_log10_p: Evidence asked for; 8 keeps a window looked at every second quiet for years.
        reference: Events a reference needs before anything is judged by it.
        invalid_share: Largest share of invalid predictions that passes.
        invalid_count: Fewest invalid predictions that count.
        delay: Ticks between seeing a window and learning from it.
    """

    distance: float = 0.15
    neg_log10_p: float = 8.0
    reference: float = 500.0
    invalid_share: float = 0.01
    invalid_count: float = 5.0
    delay: int = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference:
    """What was usual.

    Attributes:
        bounds: Upper bounds; a page with other bounds starts a new reference.
        counts: Events per bucket, fading.
        waiting: Windows seen but not learnt yet, oldest first.
        seen: Of a feature: how far it was lately.
    """

    bounds: tuple[float, ...]
    counts: Floats
    waiting: tuple[Floats, ...] = ()
    seen: Seen = ()


# (deployment, version or "" for features, raw signal)
Key = tuple[str, str, str]
ShiftState = dict[Key, Reference]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shifted:
    """What one deployment's histograms say: readings and claims, not yet a diagnosis."""

    readings: tuple[Reading, ...]
    anomalies: tuple[Anomaly, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Window:
    """Events of one group of replicas within the window."""

    bounds: tuple[float, ...]
    counts: Floats
    quality: Quality
    events: float
    """Events in the window, 0 where unknown."""


def _total(counts: Floats) -> float:
    # `counts.sum()` without what wraps it: histograms are short, and there are many.
    return float(np.add.reduce(counts))


def _window(bounds: tuple[float, ...], counts: Floats, quality: Quality) -> _Window:
    events = _total(counts)
    if events != events:  # noqa: PLR0124 - NaN is not itself
        events = float(np.nansum(counts))
    return _Window(bounds=bounds, counts=counts, quality=quality, events=events)


class Shift:
    """The shift detector as one part; see `loop.sense.ShiftPart`."""

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()

    def init(self) -> ShiftState:
        """Return the state before any reference."""
        return {}

    def opened(self, state: ShiftState) -> ShiftState:
        """Return the state that one tick's steps may write, for all deployments at once."""
        return dict(state)

    def step(
        self,
        state: ShiftState,
        histograms: Sequence[HistogramLike],
        invalid: Mapping[tuple[str, str], float],
        managed: Managed,
        world: Snapshot | None,
        learn: bool,  # noqa: FBT001 - same position as in every detector's step
    ) -> tuple[ShiftState, Shifted]:
        """Judge one deployment's windows, then learn from them where that is allowed.

        Args:
            state: From `opened` or the last step; it is written in place, for copying everybody's
                references for each deployment grows with the square of the fleet.
            histograms: The deployment's window histograms.
            invalid: Invalid predictions in the window by (deployment, subject).
            managed: The deployment.
            world: As last read back, None if unknown: then no pool can be told apart.
            learn: True while nothing is suspected and nothing of ours is in flight.
        """
        case = _Case(self.config, managed, world, histograms, invalid)
        readings: list[Reading] = []
        anomalies: list[Anomaly] = []
        learns: list[tuple[Key, _Window | None]] = []
        for pool in case.pools:
            key, reference = self._reference(state, case, pool)
            window = case.window(pool, raw.PREDICTION)
            subject = names.pool(pool)
            reading, score = self._judge(case, window, reference, subject, names.PREDICTION_SHIFT)
            readings += [reading, case.invalid_share(pool, window)]
            anomalies += _claims(reading, score)
            # A version that already looks wrong is never taken as its own measure.
            if key is not None and reading.verdict is not Verdict.ANOMALOUS:
                learns.append((key, window))
        found = []
        for signal in case.features:
            key, window = (managed.name, "", signal), case.window(None, signal)
            found.append(self._feature(state, case, key, window))
            if found[-1][0].verdict is not Verdict.ANOMALOUS:
                learns.append((key, window))
        feature, score = largest(found, naive=case.naive)
        lately = self._lately(state, case, feature)
        anomalies += _claims(feature, score)
        # All or none: predictions held against an older hour than their inputs are seem to move
        # alone, while what both do is a season.
        shifted = any(one.verdict is Verdict.ANOMALOUS for one in anomalies)
        for key, window in learns:
            self._learn(state, key, window, learn=learn and not shifted)
        return state, Shifted(readings=(*readings, feature, lately), anomalies=tuple(anomalies))

    def _reference(
        self, state: ShiftState, case: "_Case", pool: str
    ) -> tuple[Key | None, Reference | None]:
        """Return where this pool's predictions are learnt, and what they are held against."""
        version = case.version(pool)
        if version is None:
            return None, None
        own = (case.managed.name, version, raw.PREDICTION)
        if (found := self._enough(state.get(own))) is not None:
            return own, found
        for candidate in case.earlier(pool, version):
            found = self._enough(state.get((case.managed.name, candidate, raw.PREDICTION)))
            if found is not None:
                return own, found
        return own, None

    def _enough(self, reference: Reference | None) -> Reference | None:
        """Return a reference that anything may be judged by, else None."""
        if reference is None or _total(reference.counts) < self.config.reference:
            return None
        return reference

    def _feature(
        self, state: ShiftState, case: "_Case", key: Key, window: _Window | None
    ) -> tuple[Reading, float | None]:
        """Return one feature's distance and its score, and note how far it is."""
        reference = state.get(key)
        found = self._judge(case, window, reference, names.MODEL, names.FEATURE_SHIFT)
        if window is not None and reference is not None:
            value = found[0].value if window.quality is Quality.GOOD else None
            seen = followed(reference.seen, value, window.counts, reference.counts)
            state[key] = replace(reference, seen=seen)
        return found

    def _lately(self, state: ShiftState, case: "_Case", feature: Reading) -> Reading:
        """Return how far the inputs were lately; 0 is no farther than chance takes them."""
        keys = [(case.managed.name, "", signal) for signal in case.features]
        most = farthest(state[key].seen for key in keys if key in state)
        name = (names.MODEL, names.FEATURE_SHIFT_LATELY)
        if most is None or feature.value is None:
            unknown = feature.quality is not Quality.GOOD
            return reading_of(*name, feature.quality if unknown else Quality.FEW)
        return reading_of(*name, Quality.GOOD, Verdict.HEALTHY, value=most)

    def _judge(
        self,
        case: "_Case",
        window: _Window | None,
        reference: Reference | None,
        subject: str,
        signal: str,
    ) -> tuple[Reading, float | None]:
        """Return one distance as a reading, and its score."""
        seen = 0.0 if reference is None else _total(reference.counts)
        ready = (
            reference is not None
            and seen >= self.config.reference
            and (window is None or reference.bounds == window.bounds)
        )
        if window is None or window.quality is not Quality.GOOD:
            if case.naive and ready:
                # No overlap with an absent histogram: what comparing to zeros comes to.
                worst = reading_of(subject, signal, Quality.GOOD, Verdict.ANOMALOUS, value=1.0)
                return worst, 300.0
            return reading_of(subject, signal, _why(window)), None
        if reference is None or not ready or window.events < case.managed.guard.min_samples:
            return reading_of(subject, signal, Quality.FEW, samples=window.events), None
        now, then = window.counts, reference.counts
        distance = 0.5 * _total(np.abs(now / window.events - then / seen))
        # The p-value is worked out only where it can matter.
        score = two_sample(now, then) if distance >= self.config.distance else 0.0
        shifted = score >= self.config.neg_log10_p
        return reading_of(
            subject,
            signal,
            Quality.GOOD,
            Verdict.ANOMALOUS if shifted else Verdict.HEALTHY,
            value=distance,
            low=0.0,
            high=self.config.distance,
            samples=window.events,
        ), score

    def _learn(self, state: ShiftState, key: Key, window: _Window | None, *, learn: bool) -> None:
        """Queue the window, and learn from one that has waited long enough undisputed."""
        if window is None or window.quality is not Quality.GOOD:
            return
        reference = state.get(key)
        if reference is None or reference.bounds != window.bounds:
            reference = Reference(bounds=window.bounds, counts=np.zeros(len(window.bounds)))
        if not learn:
            state[key] = replace(reference, waiting=())
            return
        waiting = (*reference.waiting, window.counts)
        counts = reference.counts
        if len(waiting) > self.config.delay:
            # Windows overlap; the share that is new on a tick is not known, a fifth is typical.
            counts = counts + waiting[0] / 5.0
            counts = counts * min(1.0, _MOST_REFERENCE / max(_total(counts), 1.0))
            waiting = waiting[1:]
        state[key] = replace(reference, counts=counts, waiting=waiting)


class _Case:
    """One deployment's histograms, grouped by pool."""

    def __init__(
        self,
        config: Config,
        managed: Managed,
        world: Snapshot | None,
        histograms: Sequence[HistogramLike],
        invalid: Mapping[tuple[str, str], float],
    ) -> None:
        self.config, self.managed, self.world = config, managed, world
        self.naive = not managed.guard.evidence_rules
        self._invalid = invalid
        by_signal: dict[str, dict[str, HistogramLike]] = {}
        for histogram in histograms:
            by_signal.setdefault(histogram.signal, {})[histogram.subject] = histogram
        self._by_signal = {signal: sorted(pages.items()) for signal, pages in by_signal.items()}
        replicas = () if world is None else world.replicas
        self._members = {
            names.replica(replica.name): replica
            for replica in replicas
            if replica.state is not ReplicaState.GONE
        }
        self._pool = {subject: replica.pool for subject, replica in self._members.items()}
        self.pools = tuple(sorted(set(self._pool.values())))
        self.features = tuple(
            sorted(signal for signal in self._by_signal if raw.feature_name(signal) is not None)
        )

    def version(self, pool: str) -> str | None:
        """Return the one version that a pool runs, None while it runs several or cannot say."""
        versions = {r.version for r in self._members.values() if r.pool == pool}
        return versions.pop() if len(versions) == 1 else None

    def earlier(self, pool: str, version: str) -> tuple[str, ...]:
        """Return versions that the pool ran before, latest first."""
        releases = () if self.world is None else self.world.releases
        ran = [release.version for release in releases if release.pool == pool]
        return tuple(dict.fromkeys(name for name in reversed(ran) if name != version))

    def window(self, pool: str | None, signal: str) -> _Window | None:
        """Return the events of all believed pages of a pool (None: of the deployment)."""
        pages = [
            histogram
            for subject, histogram in self._by_signal.get(signal, ())
            if pool is None or self._pool.get(subject) == pool
        ]
        if not pages:
            return None
        believed = [page for page in pages if page.quality is Quality.GOOD]
        if not believed:
            return _window(pages[0].bounds, pages[0].counts, pages[0].quality)
        bounds, counts = believed[0].bounds, believed[0].counts.copy()
        for page in believed[1:]:
            if page.bounds != bounds:
                # Pages that cut differently cannot be added up.
                return _window(bounds, believed[0].counts, Quality.ABSURD)
            counts += page.counts
        return _window(bounds, counts, Quality.GOOD)

    def invalid_share(self, pool: str, window: _Window | None) -> Reading:
        """Return the share of a pool's predictions that were no number."""
        counts = [
            self._invalid.get((self.managed.name, subject), np.nan)
            for subject, own in self._pool.items()
            if own == pool
        ]
        known = [count for count in counts if count == count]  # noqa: PLR0124 - NaN is not itself
        name, most = (names.pool(pool), names.INVALID_SHARE), self.config.invalid_share
        if not known or window is None or window.quality is not Quality.GOOD:
            if self.naive:
                return reading_of(*name, Quality.GOOD, Verdict.HEALTHY, value=0.0, high=most)
            why = _why(window)
            missing = Quality.MISSING if why is Quality.GOOD else why
            return reading_of(*name, missing, high=most)
        bad = sum(known)
        total = bad + window.events
        if total < self.managed.guard.min_samples:
            return reading_of(*name, Quality.FEW, high=most, samples=total)
        share = bad / total
        broken = share > most and bad >= self.config.invalid_count
        verdict = Verdict.ANOMALOUS if broken else Verdict.HEALTHY
        return reading_of(*name, Quality.GOOD, verdict, value=share, high=most, samples=total)


def _why(window: _Window | None) -> Quality:
    return Quality.MISSING if window is None else window.quality


def _claims(reading: Reading, score: float | None) -> tuple[Anomaly, ...]:
    if reading.verdict is Verdict.HEALTHY:
        return ()
    return (
        Anomaly(
            detector=DETECTOR,
            subject=reading.subject,
            signal=reading.signal,
            verdict=reading.verdict,
            neg_log10_p=score if reading.verdict is Verdict.ANOMALOUS else None,
        ),
    )


STATE_CLASSES: Final = (Reference,)
"""What `stats.arrays.from_bytes` must know to read this part's state."""
