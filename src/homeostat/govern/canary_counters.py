"""From counters to counts: what came between two readings of both arms.

A counter that went back, was not read or is no number makes its arm unknown from the reading before
to the reading after: what came in between cannot be set beside the other arm's. It is never zero,
and nothing is guessed of a counter that began anew.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from homeostat.base.canary import ArmCounts, Counts
from homeostat.base.units import SECOND, TimeNs

Cumulative = tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmReading:
    """One arm's counters at one moment.

    Attributes:
        total: Responses since its processes started; None for not read.
        bad: Bad ones among them.
        histograms: Cumulative buckets by metric, the total last; None for a bucket not read.
    """

    total: float | None
    bad: float | None
    histograms: tuple[tuple[str, Cumulative], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Both arms' counters at one moment.

    Attributes:
        at: When.
        canary: What is new.
        stable: What is trusted.
        share: Traffic share of the canary since the reading before; None for not known.
    """

    at: TimeNs
    canary: ArmReading
    stable: ArmReading
    share: float | None = None


def counts(readings: Iterable[Reading]) -> Iterator[Counts]:
    """Yield the increments between readings, one fewer than there are readings.

    Args:
        readings: Ascending in time.

    Raises:
        ValueError: A reading is not later than the one before; names both.
    """
    for number, (before, after) in enumerate(pairwise(readings), start=2):
        if after.at <= before.at:
            raise ValueError(
                f"reading {number}: its time, {after.at / SECOND:.15g} s, is not after "
                f"{before.at / SECOND:.15g} s; sort the readings and send each moment once"
            )
        canary, canary_bad = _pair(before.canary, after.canary)
        stable, stable_bad = _pair(before.stable, after.stable)
        yield Counts(
            at=after.at,
            since=before.at,
            canary_total=canary,
            canary_bad=canary_bad,
            stable_total=stable,
            stable_bad=stable_bad,
            share=after.share,
            histograms=_histograms(before, after),
        )


def increments(before: Cumulative, after: Cumulative) -> tuple[float, ...]:
    """Return what came in between; empty for unknown.

    >>> increments((10.0, 1.0), (25.0, 1.0)), increments((10.0, 1.0), (4.0, 1.0))
    ((15.0, 0.0), ())
    >>> increments((10.0, 1.0), (None, 1.0)), increments((float("nan"), 1.0), (2.0, 2.0))
    ((), ())
    """
    out = []
    for one, other in zip(before, after, strict=True):
        if one is None or other is None or not 0.0 <= one <= other < math.inf:
            return ()
        out.append(other - one)
    return tuple(out)


def _pair(before: ArmReading, after: ArmReading) -> tuple[float | None, float | None]:
    found = increments((before.total, before.bad), (after.total, after.bad))
    return (found[0], found[1]) if found else (None, None)


def _histograms(before: Reading, after: Reading) -> tuple[ArmCounts, ...]:
    arms = [
        dict(arm.histograms) for arm in (before.canary, after.canary, before.stable, after.stable)
    ]
    names = sorted({name for arm in arms for name in arm})
    return tuple(
        ArmCounts(
            metric=name,
            canary=_same_size(arms[0].get(name, ()), arms[1].get(name, ())),
            stable=_same_size(arms[2].get(name, ()), arms[3].get(name, ())),
        )
        for name in names
    )


def _same_size(before: Cumulative, after: Cumulative) -> tuple[float, ...]:
    return increments(before, after) if len(before) == len(after) else ()


def bounds_of(names: Sequence[str]) -> tuple[float, ...]:
    """Return the finite bounds that `le` labels name, ascending.

    Raises:
        ValueError: A label is no number, or the infinite one (the total) is not there.

    >>> bounds_of(["250", "100", "inf"])
    (100.0, 250.0)
    """
    found = sorted(map(float, names))
    if not found or found[-1] != math.inf or any(map(math.isnan, found)):
        raise ValueError(f"a histogram needs numbers and `inf`, its total, as bounds; got {names}")
    return tuple(found[:-1])
