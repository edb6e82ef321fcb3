"""Checks without which no figure means anything.

Degenerate detectors (always on, by chance, every 200 rows) must score next to nothing by the same
judge; what is said of a prefix must be what is said of the whole; and another unit, name or
neighbour must not change what is said. A shift rounds values anew, so it may move a score
by a little, but no alarm.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from detection import playing
from detection.sets import Recording

# Ticks that the checks of invariance play: several seasons of most recordings.
_TICKS = 4000
CHANCE = "by chance"
"""The one of `degenerate` that has no line of its own."""


def degenerate(recordings: Sequence[Recording]) -> dict[str, list[Any]]:
    """Return the scores of detectors that know nothing, one list for each."""
    draw = np.random.default_rng(0)
    rows = [len(one.rows) for one in recordings]
    return {
        "always on": [np.ones(count) for count in rows],
        CHANCE: [draw.random(count) for count in rows],
        "every 200 rows": [(np.arange(count) % 200 == 0) * 1.0 for count in rows],
    }


def invariances(recordings: Sequence[Recording], *, ticks: int = _TICKS) -> dict[str, bool]:
    """Return what holds of the shipped stack on the beginnings of recordings."""
    some = [_cut(one, ticks) for one in recordings]
    whole = playing.played(some)
    prefix = playing.played([_cut(one, len(one.values) * 2 // 3) for one in some])
    turned = playing.played(some[::-1])[::-1]
    alone = playing.played(some[:1])
    scaled = playing.played([_moved(one, times=4.0, plus=0.0) for one in some])
    shifted = playing.played([_moved(one, times=1.0, plus=_reach(one)) for one in some])
    return {
        "a prefix is judged as in the whole": all(
            np.array_equal(part.score, full.score[: len(part.score)])
            for part, full in zip(prefix, whole, strict=True)
        ),
        "the order of files changes nothing": _same(turned, whole),
        "a file alone is judged as among others": _same(alone, whole[:1]),
        "another unit and name change nothing": _same(scaled, whole),
        "a shift moves no alarm": all(
            np.array_equal(one.alarm, other.alarm)
            for one, other in zip(shifted, whole, strict=True)
        ),
    }


def _same(one: Sequence[playing.Said], other: Sequence[playing.Said]) -> bool:
    return all(np.array_equal(a.score, b.score) for a, b in zip(one, other, strict=True))


def _cut(one: Recording, ticks: int) -> Recording:
    rows = one.rows[one.rows < ticks]
    return Recording(
        name=one.name, values=one.values[:ticks], rows=rows, labels=one.labels[: len(rows)]
    )


def _moved(one: Recording, *, times: float, plus: float) -> Recording:
    """Return the recording in another unit; a power of two, and rounding stays the same."""
    values = one.values * times + plus
    return Recording(name="renamed", values=values, rows=one.rows, labels=one.labels)


def _reach(one: Recording) -> float:
    """Return a shift as far as the recording reaches, of few digits so that little is rounded."""
    reach = float(np.nanmax(np.abs(one.values))) or 1.0
    return float(2.0 ** np.ceil(np.log2(reach)))
