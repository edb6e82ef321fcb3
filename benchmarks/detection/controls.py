"""Checks without which no figure means anything.

Degenerate detectors (always on, by chance, every 200 rows) must score next to nothing by the same
judge; what is said of a file's first rows must be what is said of them in the whole file; and
another unit, another year or a neighbour must not change what is said. A shift, and a unit that is
no power of two, round values anew, so they may move a score by a little, but no alarm. Names are
not checked: nothing that is played sees one.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from detection import playing
from detection.sets import Recording, beginning, made

# Rows that the checks of invariance play: several seasons of most recordings.
_TICKS = 4000
_LATER_S = 400.0 * 86_400.0  # another year, another day of the week
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
    """Return what holds of the shipped stack on the first `ticks` rows of recordings."""
    some = [beginning(one, ticks) for one in recordings]
    whole = playing.played(some)
    prefix = playing.played([beginning(one, len(one.read.values) * 2 // 3) for one in some])
    turned = playing.played(some[::-1])[::-1]
    alone = playing.played(some[:1])
    scaled = playing.played([_moved(one, times=4.0) for one in some])
    odd_unit = playing.played([_moved(one, times=3.7) for one in some])
    shifted = playing.played([_moved(one, plus=_reach(one)) for one in some])
    later = playing.played([_moved(one, later_s=_LATER_S) for one in some])
    return {
        "a prefix is judged as in the whole": all(
            np.array_equal(part.score, full.score[: len(part.score)])
            for part, full in zip(prefix, whole, strict=True)
        ),
        "the order of files changes nothing": _same(turned, whole),
        "a file alone is judged as among others": _same(alone, whole[:1]),
        "a unit four times as large changes nothing": _same(scaled, whole),
        "another unit moves no alarm": _alike(odd_unit, whole),
        "a shift moves no alarm": _alike(shifted, whole),
        "another year changes nothing": _same(later, whole),
    }


def _alike(one: Sequence[playing.Said], other: Sequence[playing.Said]) -> bool:
    return all(np.array_equal(a.alarm, b.alarm) for a, b in zip(one, other, strict=True))


def _same(one: Sequence[playing.Said], other: Sequence[playing.Said]) -> bool:
    return all(np.array_equal(a.score, b.score) for a, b in zip(one, other, strict=True))


def _moved(
    one: Recording, *, times: float = 1.0, plus: float = 0.0, later_s: float = 0.0
) -> Recording:
    """Return the recording in another unit, or of another time."""
    read = one.read
    stamps = None if read.times is None else read.times + later_s
    return made(one.name, read._replace(times=stamps, values=read.values * times + plus))


def _reach(one: Recording) -> float:
    """Return a shift as far as the recording reaches, of few digits so that little is rounded."""
    reach = float(np.nanmax(np.abs(one.values))) or 1.0
    return float(2.0 ** np.ceil(np.log2(reach)))
