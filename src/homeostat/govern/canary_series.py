"""From counters of many targets, as a monitoring system keeps them, to both arms' counts.

Each target (`job`, `instance`) is followed by itself: a sum of counters hides that one of them
began anew. Between two scrapes an arm's gain is known where all of its targets were read at both,
and none of their counters went back. A counter that is not on a page that was read has counted
nothing yet (its client makes it with the first event); one that is on no page was not read.

Where a target appears or disappears for good, the stretch in which it did is unknown; where it is
away and comes back, all of the time between. So it is with a single counter of it that disappears:
only where its process began anew meanwhile has it counted nothing since. Nothing is ever repeated,
interpolated or taken for zero.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Final

from homeostat.base.canary import ArmCounts, Counts
from homeostat.base.units import TimeNs

Labels = Mapping[str, str]
Samples = Sequence[tuple[TimeNs, float]]
Sampled = tuple[Labels, Samples]
"""One counter: its labels without the metric's name, and (time, value), oldest first."""

Bounds = tuple[float, ...]
"""Of a histogram's buckets, ascending, the infinite one last."""

BOUND: Final = "le"
_TARGET: Final = ("job", "instance")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSeries:
    """One arm's counters over some time.

    Attributes:
        total: Of all responses.
        part: Of the bad ones, or the good ones; see `part_is_good`.
        part_is_good: Bad ones are then all the others.
        histograms: By metric: buckets with `le`, the infinite one is the total.
    """

    total: tuple[Sampled, ...]
    part: tuple[Sampled, ...]
    part_is_good: bool = False
    histograms: Mapping[str, tuple[Sampled, ...]] = field(default_factory=dict)


def counts(canary: ArmSeries, stable: ArmSeries) -> tuple[tuple[Counts, ...], dict[str, Bounds]]:
    """Return both arms' counts, one a scrape interval, and the bounds of their histograms.

    Args:
        canary: What is new.
        stable: What is trusted.

    Raises:
        ValueError: Neither arm has two scrapes, or a histogram's bounds differ.
    """
    step = _interval(canary, stable)
    first = min(at for arm in (canary, stable) for _, s in arm.total for at, _ in s)
    last = max(at for arm in (canary, stable) for _, s in arm.total for at, _ in s)
    size = (last - first) // step + 1
    bounds = {
        name: _bounds(name, canary.histograms[name], stable.histograms.get(name, ()))
        for name in canary.histograms
    }
    arms = [_Arm(one, first, step, size, bounds) for one in (canary, stable)]
    out = []
    for k in range(1, size):
        pairs = [arm.gained(k) for arm in arms]
        out.append(
            Counts(
                at=TimeNs(first + (k + 1) * step),
                since=TimeNs(first + k * step),
                canary_total=pairs[0][0],
                canary_bad=pairs[0][1],
                stable_total=pairs[1][0],
                stable_bad=pairs[1][1],
                histograms=tuple(
                    ArmCounts(
                        metric=name,
                        canary=arms[0].buckets(name, k),
                        stable=arms[1].buckets(name, k),
                    )
                    for name in bounds
                ),
            )
        )
    return tuple(out), {name: one[:-1] for name, one in bounds.items()}


def _interval(canary: ArmSeries, stable: ArmSeries) -> int:
    """Return the longest usual time between two scrapes of a target, in ns.

    Raises:
        ValueError: Nothing was scraped twice.
    """
    usual = []
    for arm in (canary, stable):
        for _, samples in arm.total:
            gaps = [b[0] - a[0] for a, b in pairwise(samples)]
            usual += [median(gaps)] if gaps else []
    if not usual or max(usual) <= 0:
        raise ValueError(
            "no counter of all responses was scraped twice; ask for a longer time, or look at "
            "what the query returns"
        )
    return round(max(usual))


def _bounds(name: str, *arms: Sequence[Sampled]) -> Bounds:
    found = []
    for arm in arms:
        try:
            found.append(tuple(sorted({float(labels[BOUND]) for labels, _ in arm})))
        except (KeyError, ValueError):
            raise ValueError(f"{name}: needs buckets, each with a number as its `le`") from None
    if len(set(found)) > 1 or len(found[0]) < 2 or found[0][-1] != math.inf:  # noqa: PLR2004 - a bound and the total
        raise ValueError(
            f"{name}: both arms need the same bounds, one or more and +Inf; got "
            f"{' and '.join(str(list(one)) for one in found)}"
        )
    return found[0]


class _Arm:
    """One arm on the grid of scrapes."""

    def __init__(
        self, arm: ArmSeries, first: int, step: int, size: int, bounds: Mapping[str, Bounds]
    ) -> None:
        self._arm, self._size = arm, size
        begun: dict[tuple[str, ...], int] = {}
        for labels, samples in arm.total:
            if samples:
                who = _target(labels)
                begun[who] = min(begun.get(who, samples[0][0]), samples[0][0])
        place = _Grid(begun=begun, first=first, step=step, size=size)
        self._total = place.rows(arm.total)
        self._part = place.rows(arm.part)
        self._buckets = {
            (name, bound): place.rows([s for s in arm.histograms.get(name, ())
                                       if float(s[0][BOUND]) == bound])
            for name, all_bounds in bounds.items() for bound in all_bounds
        }  # fmt: skip
        # A target was read where any counter of all of its responses was.
        self._read = {
            who: [any(not math.isnan(row[k]) for row in rows) for k in range(size)]
            for who, rows in self._total.items()
        }
        counters = (self._total, self._part, *self._buckets.values())
        for who, rows in self._total.items():
            begun_anew = _restarts(rows)
            for row in (row for one in counters for row in one.get(who, [])):
                _mark_away(row, begun_anew)
        self._lived = {
            who: (read.index(True), size - 1 - read[::-1].index(True))
            for who, read in self._read.items()
            if any(read)
        }

    def gained(self, k: int) -> tuple[float | None, float | None]:
        total, part = self._sum(self._total, k), self._sum(self._part, k)
        if total is None or part is None or part > total:
            return None, None
        return total, total - part if self._arm.part_is_good else part

    def buckets(self, name: str, k: int) -> tuple[float, ...]:
        found = [
            self._sum(rows, k) for (metric, _), rows in self._buckets.items() if metric == name
        ]
        known = [one for one in found if one is not None]
        return tuple(known) if len(known) == len(found) else ()

    def _sum(self, counters: Mapping[tuple[str, ...], list[list[float]]], k: int) -> float | None:
        """Return what came between two scrapes of all targets, None where it is not known."""
        total, anybody = 0.0, False
        for who, (begun, ended) in self._lived.items():
            if not begun <= k <= ended + 1:
                continue  # not there yet, or gone for good
            if not (self._read[who][k] and self._read[who][k - 1]):
                return None
            anybody = True
            for row in counters.get(who, []):
                gain = _gain(row[k - 1], row[k])
                if not 0.0 <= gain < math.inf:
                    return None
                total += gain
        return total if anybody else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    """Where samples of a target belong; targets are scraped at different moments of an interval."""

    begun: Mapping[tuple[str, ...], int]
    first: int
    step: int
    size: int

    def rows(self, counters: Iterable[Sampled]) -> dict[tuple[str, ...], list[list[float]]]:
        out: dict[tuple[str, ...], list[list[float]]] = {}
        for labels, samples in counters:
            who = _target(labels)
            if who not in self.begun:
                continue  # of a target without any response: nothing to set it beside
            row = [math.nan] * self.size
            base = (self.begun[who] - self.first) // self.step
            for at, value in samples:
                place = base + round((at - self.begun[who]) / self.step)
                if 0 <= place < self.size:
                    row[place] = value
            out.setdefault(who, []).append(row)
        return out


def _restarts(rows: Sequence[Sequence[float]]) -> frozenset[int]:
    """Return the scrapes at which some counter of a target had gone back: its process began anew.

    >>> sorted(_restarts([[5.0, 6.0, math.nan, 2.0, 3.0]]))
    [3]
    """
    found: set[int] = set()
    for row in rows:
        read = [k for k, value in enumerate(row) if not math.isnan(value)]
        found.update(after for before, after in pairwise(read) if row[after] < row[before])
    return frozenset(found)


def _mark_away(row: list[float], begun_anew: frozenset[int]) -> None:
    """Write infinity, from and to which no gain is known, where a counter that comes back is away.

    >>> row = [7.0, math.nan, math.nan, 9.0]
    >>> _mark_away(row, frozenset())
    >>> row
    [7.0, inf, inf, 9.0]
    """
    read = [k for k, value in enumerate(row) if not math.isnan(value)]
    for gone, back in pairwise(read):
        known_from = min((k for k in begun_anew if gone < k <= back), default=back)
        row[gone + 1 : known_from] = [math.inf] * (known_from - gone - 1)


def _gain(before: float, after: float) -> float:
    """Return what a counter gained on pages that were read; NaN where it is gone from the second.

    >>> _gain(3.0, 5.0), _gain(math.nan, 2.0), _gain(math.nan, math.nan), _gain(3.0, math.nan)
    (2.0, 2.0, 0.0, nan)
    """
    if math.isnan(before):
        return 0.0 if math.isnan(after) else after
    return after - before


def _target(labels: Labels) -> tuple[str, ...]:
    return tuple(labels.get(name, "") for name in _TARGET)
