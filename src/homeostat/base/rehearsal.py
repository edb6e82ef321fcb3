"""What the twin foresees of candidate actions, and whether anybody may act on it.

A rehearsal is advice: it ranks and explains, and it can forbid. It never permits anything, and a
rehearsal that did not come is no yes. Who rehearses is `twin.rehearse`; who obeys is `safety`.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from homeostat.base.actions import HOLD, Action
from homeostat.base.units import TimeNs


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles:
    """What a quantity may be: nine in ten between the ends.

    Attributes:
        p5: Lower end.
        p50: Middle.
        p95: Upper end.
    """

    p5: float
    p50: float
    p95: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """One candidate over the whole horizon, or the difference that it makes to holding.

    Attributes:
        latency_ms: p95 of latency, mean over requests.
        error_ratio: Failed / answered, 0..1.
        availability: Answered well / offered, 0..1; refused on purpose counts as not answered.
        usd_per_hour: Mean spend.
        breach: Probability that the objectives are missed in some scrape of the horizon, with its
            exact interval (of a difference: in -1..1).
    """

    latency_ms: Quantiles
    error_ratio: Quantiles
    availability: Quantiles
    usd_per_hour: Quantiles
    breach: Quantiles


MOST_FAILED: Final = 0.05
"""The share of failed requests beyond which no worse is told apart (`Means.failed`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What is to be expected of one candidate: means over the draws, of which a middle says little.

    Attributes:
        missed: Share of the horizon's scrapes in which the objectives are missed, 0..1.
        failed: Share of failed requests in units of `MOST_FAILED`, at most 1 in a draw.
        usd_per_hour: Spend.
    """

    missed: float
    failed: float
    usd_per_hour: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """What the twin foresees of one candidate.

    Attributes:
        action: The candidate.
        foreseen: What comes of it.
        against_hold: The difference to HOLD, draw by draw, with the same chance; negative = less.
        holds: Share of the draws in which the objectives are met at the end of the horizon.
        means: What is to be expected; None = it was not said.
    """

    action: Action
    foreseen: Foreseen
    against_hold: Foreseen
    holds: float
    means: Means | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whether the twin may be believed here and now.

    Attributes:
        reasons: Why not, one sentence each; empty = it may be.
    """

    reasons: tuple[str, ...] = ()

    @property
    def is_given(self) -> bool:
        """True when nothing speaks against it."""
        return not self.reasons


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """The answer to one question: what would these candidates do?

    Attributes:
        id: The question's.
        at: When the state was read that it starts from.
        horizon_ns: How far it looks ahead.
        draws: Parameter and load draws; 0 = nothing is foreseen.
        prospects: HOLD first, then the candidates in the order in which they were asked about.
        trust: Whether it may be acted on.
        notes: What was left out or lengthened, one sentence each.
    """

    id: str
    at: TimeNs
    horizon_ns: int
    draws: int
    prospects: tuple[Prospect, ...]
    trust: Trust
    notes: tuple[str, ...] = ()

    def of(self, action: Action) -> Prospect | None:
        """Return what was foreseen of an action, None if it was not rehearsed."""
        return next((one for one in self.prospects if one.action == action), None)

    @property
    def hold(self) -> Prospect | None:
        """What is foreseen if nothing is done."""
        return self.of(HOLD)


def ranked(prospects: Iterable[Prospect]) -> tuple[Prospect, ...]:
    """Return prospects, the best foreseen first; equal ones stay in their order, HOLD before all.

    By the probability that the objectives are missed, then by how often they are missed at the
    end, then by what it costs; what is not a number is worst. An order among what others permit:
    it permits nothing, and who chooses is free to weigh more than this (see `policy`).
    """

    def merit(one: Prospect) -> tuple[float, ...]:
        parts = (one.foreseen.breach.p50, -one.holds, one.foreseen.usd_per_hour.p50)
        return tuple(math.inf if math.isnan(part) else part for part in parts)

    return tuple(sorted(prospects, key=lambda one: (*merit(one), one.action != HOLD)))
