"""One deployment's histograms on one tick, grouped by pool: the windows that `shift` judges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from homeostat.base import names, raw
from homeostat.base.evidence import Quality, Reading, Verdict
from homeostat.base.policy import Managed
from homeostat.base.world import ReplicaState, Snapshot
from homeostat.detect.shift_reading import reading_of

Floats = npt.NDArray[np.float64]
# No counter is beyond: its increments would not be exact.
_MOST_COUNTED: Final = 2.0**53


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """Events of one group of replicas within the window."""

    bounds: tuple[float, ...]
    counts: Floats
    quality: Quality
    events: float
    """Events in the window, 0 where unknown."""


def total(counts: Floats) -> float:
    """Return how many events there are in all buckets."""
    # `counts.sum()` without what wraps it: histograms are short, and there are many.
    return float(np.add.reduce(counts))


def counted(bounds: tuple[float, ...], counts: Floats) -> bool:
    """Return whether counts can be those of a histogram: one per bound, each a number of events.

    NaN is neither 0 or more nor at most anything.
    """
    if not len(counts) == len(bounds) > 1:
        return False
    return bool(((counts >= 0.0) & (counts <= _MOST_COUNTED)).all())


def _window(bounds: tuple[float, ...], counts: Floats, quality: Quality) -> Window:
    events = total(counts)
    if events != events:  # noqa: PLR0124 - NaN is not itself
        events = float(np.nansum(counts))
    return Window(bounds=bounds, counts=counts, quality=quality, events=events)


class Case:
    """One deployment's histograms, grouped by pool."""

    def __init__(
        self,
        managed: Managed,
        world: Snapshot | None,
        histograms: Sequence[HistogramLike],
        invalid: Mapping[tuple[str, str], float],
    ) -> None:
        self.managed, self.world = managed, world
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

    def window(self, pool: str | None, signal: str) -> Window | None:
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
        if not counted(bounds, counts):
            with np.errstate(over="ignore"):
                return _window(bounds, counts, Quality.ABSURD)
        return _window(bounds, counts, Quality.GOOD)

    def invalid_share(
        self, pool: str, window: Window | None, *, most: float, count: float
    ) -> Reading:
        """Return the share of a pool's predictions that were no number.

        Args:
            pool: Which.
            window: Its predictions that were numbers.
            most: Largest share that passes.
            count: Fewest that count.
        """
        counts = [
            self._invalid.get((self.managed.name, subject), np.nan)
            for subject, own in self._pool.items()
            if own == pool
        ]
        known = [count for count in counts if count == count]  # noqa: PLR0124 - NaN is not itself
        name = (names.pool(pool), names.INVALID_SHARE)
        if not known or window is None or window.quality is not Quality.GOOD:
            if self.naive:
                return reading_of(*name, Quality.GOOD, Verdict.HEALTHY, value=0.0, high=most)
            because = why(window)
            missing = Quality.MISSING if because is Quality.GOOD else because
            return reading_of(*name, missing, high=most)
        bad = sum(known)
        every = bad + window.events
        if every < self.managed.guard.min_samples:
            return reading_of(*name, Quality.FEW, high=most, samples=every)
        share = bad / every
        broken = share > most and bad >= count
        verdict = Verdict.ANOMALOUS if broken else Verdict.HEALTHY
        return reading_of(*name, Quality.GOOD, verdict, value=share, high=most, samples=every)


def why(window: Window | None) -> Quality:
    """Return why a window cannot be judged; one that is not there is missing."""
    return Quality.MISSING if window is None else window.quality
