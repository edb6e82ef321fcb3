"""What one histogram usually looks like: a guarded reference, and the evidence against it.

Events wait some looks before they are learnt, and are thrown away if doubt came up meanwhile. What
is tested against is a snapshot of what was learnt, renewed each time as much again has been learnt,
so that the test grows sharper with its reference and knows how sharp that is; each renewal gets its
part of the chance that a reference misleads, and all together spend no more than there is.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from homeostat.stats.in_order import total
from homeostat.stats.share_test import ShareBets, ShareEvidence, ShareTest

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Watched:
    """One histogram.

    Attributes:
        bounds: Upper bounds of the bins; others start anew.
        learnt: Events learnt per bin, fading, `[bin]`.
        fresh: Events learnt since the snapshot was taken.
        renewals: Snapshots of its own that were taken.
        waiting: Events of looks that are not learnt yet, oldest first.
        held: The snapshot that is tested against, None before there is one, `[bin]`.
        bets: Against it.
        against: The version that it is of.
        evidence: What the bets have won.
        absent: Looks in a row without this histogram.
    """

    bounds: tuple[float, ...]
    learnt: Floats
    evidence: ShareEvidence
    fresh: float = 0.0
    renewals: int = 0
    waiting: tuple[Floats, ...] = ()
    held: Floats | None = None
    bets: ShareBets | None = None
    against: str = ""
    absent: int = 0

    @property
    def won(self) -> float:
        """What the bets have won on average: what is compared with the run length."""
        if self.bets is None:
            return 0.0
        return float(total(self.evidence.won * self.bets.weight)[0])


def unseen(test: ShareTest, bounds: tuple[float, ...]) -> Watched:
    """Return a histogram of which nothing is known."""
    bins = len(bounds)  # none on a page that could not be read
    return Watched(bounds=bounds, learnt=np.zeros(bins), evidence=test.init(max(bins, 1), 1))


def learn(one: Watched, counts: Floats, *, delay: int, most: float) -> Watched:
    """Queue the events of a look, and learn from those that have waited long enough.

    Args:
        one: What is known.
        counts: Events per bin, `[bin]`.
        delay: Looks to wait.
        most: Events that the reference keeps; older ones fade.
    """
    waiting = (*one.waiting, counts)
    if len(waiting) <= delay:
        return replace(one, waiting=waiting)
    learnt = one.learnt + waiting[0]
    learnt = learnt * min(1.0, most / max(float(learnt.sum()), 1.0))
    fresh = one.fresh + float(waiting[0].sum())
    return replace(one, learnt=learnt, fresh=fresh, waiting=waiting[1:])


def part_of_chance(number: int, *, least: float, most: float) -> float:
    """Return the part of the chance to mislead that a snapshot gets; all parts sum to 1.

    Half goes in equal parts to those in which the reference doubles from its least size to its
    largest, half to all that follow, as 1 / (j (j + 1)).

    >>> [part_of_chance(j, least=500.0, most=50_000.0) for j in (1, 8, 9, 10)]
    [0.0625, 0.0625, 0.25, 0.08333333333333333]
    """
    doubling = 1 + math.ceil(math.log2(most / least))
    later = number - doubling
    return 0.5 / doubling if later < 1 else 0.5 / (later * (later + 1))


def renew(
    one: Watched, test: ShareTest, version: str, *, least: float, most: float, unlucky: float
) -> Watched:
    """Take a new snapshot if the first one is due, or if as much again has been learnt.

    Args:
        one: What is known.
        test: Makes the bets.
        version: The version that this histogram is of.
        least: Events that a first snapshot needs.
        most: Events that a reference keeps.
        unlucky: Chance that this histogram's references mislead, all renewals together.
    """
    due = float(one.held.sum()) if one.renewals and one.held is not None else least
    if one.fresh < due or one.learnt.sum() < least:
        return one
    number = one.renewals + 1
    part = part_of_chance(number, least=least, most=most)
    bets = test.against(one.learnt[:, None], unlucky=unlucky * part)
    return replace(
        one,
        held=one.learnt,
        fresh=0.0,
        renewals=number,
        bets=bets,
        against=version,
        # Evidence against another version's reference says nothing about this one.
        evidence=one.evidence if one.renewals else test.init(len(one.bounds), 1),
    )


def borrow(one: Watched, test: ShareTest, other: Watched, version: str, unlucky: float) -> Watched:
    """Hold a histogram that has no snapshot of its own against that of an earlier version."""
    borrowed = one.held is not None and one.against == version
    if other.held is None or other.bounds != one.bounds or borrowed:
        return one
    return replace(
        one,
        held=other.held,
        bets=test.against(other.held[:, None], unlucky=unlucky),
        against=version,
        evidence=test.init(len(one.bounds), 1),
    )
