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
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.base import names, raw
from homeostat.base.evidence import Anomaly, Quality, Reading, Verdict
from homeostat.base.policy import Managed
from homeostat.base.world import Snapshot
from homeostat.detect.shift_case import Case, HistogramLike, Window, total, why
from homeostat.detect.shift_lately import SCRAPES, Seen, farthest, followed
from homeostat.detect.shift_long import away, learnt
from homeostat.detect.shift_reading import largest, reading_of
from homeostat.stats.chisq import two_sample

Floats = npt.NDArray[np.float64]
DETECTOR: Final = "shift"
# References keep this many events at most: a slow drift of healthy traffic is followed over
# minutes, and the test does not become infinitely sharp.
_MOST_REFERENCE: Final = 50_000.0


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
        long: Events per bucket, fading over hours; empty before the first. See `shift_long`.
        seen_long: Of a feature: how far it was from those lately.
    """

    bounds: tuple[float, ...]
    counts: Floats
    waiting: tuple[Floats, ...] = ()
    seen: Seen = ()
    long: Floats = field(default_factory=lambda: np.zeros(0))
    seen_long: Seen = ()


# (deployment, version or "" for features, raw signal)
Key = tuple[str, str, str]
ShiftState = dict[Key, Reference]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shifted:
    """What one deployment's histograms say: readings and claims, not yet a diagnosis."""

    readings: tuple[Reading, ...]
    anomalies: tuple[Anomaly, ...]


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
        case = Case(managed, world, histograms, invalid)
        readings: list[Reading] = []
        anomalies: list[Anomaly] = []
        learns: list[tuple[Key, Window | None]] = []
        most, least = self.config.invalid_share, self.config.invalid_count
        for pool in case.pools:
            key, reference = self._reference(state, case, pool)
            window = case.window(pool, raw.PREDICTION)
            subject = names.pool(pool)
            reading, score = self._judge(case, window, reference, subject, names.PREDICTION_SHIFT)
            readings += [reading, case.invalid_share(pool, window, most=most, count=least)]
            readings.append(self._long(window, reference, reading, names.PREDICTION_SHIFT_LONG))
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
        readings += [feature, *self._lately(state, case, feature)]
        anomalies += _claims(feature, score)
        # All or none: predictions held against an older hour than their inputs are seem to move
        # alone, while what both do is a season.
        shifted = any(one.verdict is Verdict.ANOMALOUS for one in anomalies)
        for key, window in learns:
            self._learn(state, key, window, learn=learn and not shifted)
        return state, Shifted(readings=tuple(readings), anomalies=tuple(anomalies))

    def _reference(
        self, state: ShiftState, case: Case, pool: str
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
        if reference is None or total(reference.counts) < self.config.reference:
            return None
        return reference

    def _feature(
        self, state: ShiftState, case: Case, key: Key, window: Window | None
    ) -> tuple[Reading, float | None]:
        """Return one feature's distance and its score, and note how far it is."""
        reference = state.get(key)
        found = self._judge(case, window, reference, names.MODEL, names.FEATURE_SHIFT)
        if window is not None and reference is not None:
            value = found[0].value if window.quality is Quality.GOOD else None
            seen = followed(reference.seen, value, window.counts, reference.counts)
            far = away(window, reference.long, least=self.config.reference)
            far_lately = (*reference.seen_long, far)[-SCRAPES:]
            state[key] = replace(reference, seen=seen, seen_long=far_lately)
        return found

    def _long(
        self, window: Window | None, reference: Reference | None, judged: Reading, signal: str
    ) -> Reading:
        """Return how far predictions are from what was usual for hours, where that is known."""
        name, least = (judged.subject, signal), self.config.reference
        far = None if reference is None else away(window, reference.long, least=least)
        if far is None or judged.value is None:
            unknown = judged.quality is not Quality.GOOD
            return reading_of(*name, judged.quality if unknown else Quality.FEW)
        samples = min(judged.samples, total(reference.long)) if reference is not None else 0.0
        return reading_of(*name, Quality.GOOD, Verdict.HEALTHY, value=far, samples=samples)

    def _lately(self, state: ShiftState, case: Case, feature: Reading) -> tuple[Reading, Reading]:
        """Return how far inputs were lately: from minutes before, 0 for chance, and from hours."""
        keys = [(case.managed.name, "", signal) for signal in case.features]
        known = [state[key] for key in keys if key in state]
        most = (farthest(one.seen for one in known), farthest(one.seen_long for one in known))
        unknown = feature.quality if feature.quality is not Quality.GOOD else Quality.FEW
        near, far = (
            reading_of(names.MODEL, signal, unknown)
            if value is None or feature.value is None
            else reading_of(names.MODEL, signal, Quality.GOOD, Verdict.HEALTHY, value=value)
            for signal, value in zip(
                (names.FEATURE_SHIFT_LATELY, names.FEATURE_SHIFT_LONG), most, strict=True
            )
        )
        return near, far

    def _judge(
        self,
        case: Case,
        window: Window | None,
        reference: Reference | None,
        subject: str,
        signal: str,
    ) -> tuple[Reading, float | None]:
        """Return one distance as a reading, and its score."""
        seen = 0.0 if reference is None else total(reference.counts)
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
            return reading_of(subject, signal, why(window)), None
        if reference is None or not ready or window.events < case.managed.guard.min_samples:
            return reading_of(subject, signal, Quality.FEW, samples=window.events), None
        now, then = window.counts, reference.counts
        distance = 0.5 * total(np.abs(now / window.events - then / seen))
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

    def _learn(self, state: ShiftState, key: Key, window: Window | None, *, learn: bool) -> None:
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
        counts, long = reference.counts, reference.long
        if len(waiting) > self.config.delay:
            # Windows overlap; the share that is new on a tick is not known, a fifth is typical.
            counts, long = counts + waiting[0] / 5.0, learnt(long, waiting[0] / 5.0)
            counts = counts * min(1.0, _MOST_REFERENCE / max(total(counts), 1.0))
            waiting = waiting[1:]
        state[key] = replace(reference, counts=counts, long=long, waiting=waiting)


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
