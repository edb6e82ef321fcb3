"""Many histograms at once: the test's step and the sizes, for all that have as many bins.

A row by itself and the same row among others come to the same bits (`stats.in_order`), so that a
deployment's answers do not depend on who else is judged on the tick. What goes out owns its memory:
a view would keep the arrays of the whole fleet alive for as long as one deployment is silent.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from homeostat.detect.drift_reference import Watched
from homeostat.stats import ks
from homeostat.stats.psi import psi, total_variation
from homeostat.stats.share_test import ShareBets, ShareEvidence, ShareTest, allowed

Floats = npt.NDArray[np.float64]


class Look(NamedTuple):
    """One histogram with bets, and its new events.

    Attributes:
        one: What is known of it.
        counts: New events, `[bin]`.
        among: How many histograms its family has.
    """

    one: Watched
    counts: Floats
    among: int


class Row(NamedTuple):
    """What one look came to.

    Attributes:
        evidence: To go on with.
        won: What the bets have won on average.
        log10_e: log10 of the e-value, NaN where there were no events.
        age: Looks since the best bet began.
        counts: Events since then, by the largest window that is half as old, `[bin]`.
    """

    evidence: ShareEvidence
    won: float
    log10_e: float
    age: int
    counts: Floats


class Sizes(NamedTuple):
    """How far apart two histograms are.

    Attributes:
        total_variation: See `stats.psi`.
        psi: See there.
        gap: Largest gap of the cumulative shares.
        bin: Where it is; never the last bin.
        share: Of recent events in that bin and those before.
        low, high: Where the reference's lies.
    """

    total_variation: float
    psi: float
    gap: float
    bin: int
    share: float
    low: float
    high: float


def step(test: ShareTest, looks: Sequence[Look]) -> list[Row]:
    """Return what each look came to, in order; all must have bets."""
    out: list[Any] = [None] * len(looks)
    for places in _alike([len(look.one.bounds) for look in looks]):
        ours = [looks[place] for place in places]
        bets = _bets(ours)
        state = ShareEvidence(*map(_stacked, zip(*(one.one.evidence for one in ours), strict=True)))
        counts = np.array([look.counts for look in ours]).T
        among = np.array([float(look.among) for look in ours])
        after, heard = test.step(bets, state, counts, among=among)
        parts = zip(*(_apart(part) for part in after), strict=True)
        numbers = (heard.evidence.tolist(), heard.log10_e.tolist(), heard.age.tolist())
        recent = _apart(heard.counts)
        for place, part, won, log10_e, age, own in zip(
            places, parts, *numbers, recent, strict=True
        ):
            out[place] = Row(ShareEvidence(*part), won, log10_e, int(age), own[:, 0])
    return out


def sizes(looks: Sequence[Look]) -> list[Sizes]:
    """Return how far the events of each look are from what its histogram is held against."""
    out: list[Any] = [None] * len(looks)
    for places in _alike([len(look.one.bounds) for look in looks]):
        ours = [looks[place] for place in places]
        now = np.array([look.counts for look in ours]).T
        then = np.array([look.one.held for look in ours]).T
        shares = ks.cumulative(now)
        # Below the last bound is everything.
        gaps = np.abs(shares - ks.cumulative(then))[:-1]
        widest = gaps.argmax(axis=0)[None]
        low, high = allowed(_bets(ours), len(gaps))
        columns = (
            total_variation(now, then),
            psi(now, then),
            *(np.take_along_axis(part, widest, axis=0)[0] for part in (gaps, shares, low, high)),
        )
        rows = zip(*(column.tolist() for column in columns), widest[0].tolist(), strict=True)
        for place, (variation, index, gap, share, least, most, at) in zip(
            places, rows, strict=True
        ):
            out[place] = Sizes(variation, index, gap, at, share, least, most)
    return out


def _alike(bins: Sequence[int]) -> Iterator[list[int]]:
    """Return the places of those that have as many bins, group by group."""
    found: dict[int, list[int]] = {}
    for place, count in enumerate(bins):
        found.setdefault(count, []).append(place)
    yield from found.values()


def _bets(looks: Sequence[Look]) -> ShareBets:
    every = [look.one.bets for look in looks if look.one.bets is not None]
    return ShareBets(*map(_stacked, zip(*every, strict=True)))


def _stacked(rows: Sequence[Any]) -> Any:
    """Return arrays `[..., 1]` side by side, `[..., row]`."""
    return np.moveaxis(np.array(rows)[..., 0], 0, -1)


def _apart(stacked: Any) -> list[Any]:
    """Return arrays `[..., row]` one by one, `[..., 1]` each."""
    rows = np.ascontiguousarray(np.moveaxis(stacked, -1, 0))
    return [row[..., None].copy() for row in rows]
