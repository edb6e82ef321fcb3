"""Rehearse candidate actions in the twin before any of them may touch the deployment.

`rehearse` plays every candidate and HOLD in the same draws of parameters, load and chance, and
says what comes of each with intervals, and what difference it makes to holding. The intervals are
of the twin as it was fitted: whether the twin may be believed is `rehearse_trust`'s question.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import jax
import jax.numpy as jnp
import numpy as np

from homeostat.base.actions import HOLD, Action
from homeostat.base.rehearsal import (
    MOST_FAILED,
    Foreseen,
    Means,
    Prospect,
    Quantiles,
    Rehearsal,
    Trust,
)
from homeostat.base.units import SECOND, TimeNs
from homeostat.stats.exact import clopper_pearson
from homeostat.twin.fit_frame import Floats
from homeostat.twin.orders import Orders
from homeostat.twin.rehearse_draw import Draws
from homeostat.twin.rehearse_play import Stage, Sums
from homeostat.twin.shapes import SCRAPE_S

LEVEL: Final = 0.9
_ENDS: Final = (0.05, 0.5, 0.95)
_HOUR_S: Final = 3600.0
AT_A_TIME: Final = 4  # candidates of one call of the program, HOLD included


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An action, and what it orders in the twin.

    Attributes:
        action: The action.
        orders: All levers at absolute values, and its impulses; of a ramp at its end.
        before: Of a ramp, each stage before its end: the lever's value, and the orders.
        loads: Of the stable pool with each that is played; empty = as it stands. Of how it is
            loaded depends how far the curves' p95 may be from what is seen.
    """

    action: Action
    orders: Orders
    before: tuple[tuple[float, Orders], ...] = ()
    loads: tuple[float, ...] = ()

    @property
    def played(self) -> tuple[Orders, ...]:
        """All that is played of it, its end last."""
        return (*(orders for _, orders in self.before), self.orders)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of a rehearsal.

    Attributes:
        id: Names the answer.
        at: When the state was read that the draws start from.
        horizon_s: How far to look.
    """

    id: str
    at: TimeNs
    horizon_s: float


def horizon_s(wanted_s: float, candidates: Sequence[Action]) -> tuple[float, str]:
    """Return how far to look, and a sentence if that is further than was wanted.

    A horizon that ends before a candidate's effect shows would compare its price with nothing: it
    reaches at least to the slowest candidate's settle time, in whole scrapes.

    >>> horizon_s(60.0, [HOLD])
    (60.0, '')
    """
    settles = max((action.settle_ns / SECOND for action in candidates), default=0.0)
    whole = math.ceil(max(wanted_s, settles, 1e-9) / SCRAPE_S - 1e-9) * SCRAPE_S
    if settles > wanted_s:
        why = f"looks {whole:g} s ahead, not {wanted_s:g}: the slowest candidate needs {settles:g}"
        return float(whole), why
    return float(whole), ""


def rehearse(
    stage: Stage,
    draws: Draws,
    question: Question,
    hold: Orders,
    candidates: Sequence[Candidate],
    trust: Trust,
) -> Rehearsal:
    """Return what the twin foresees of HOLD and of every candidate.

    Args:
        stage: The compiled program.
        draws: Parameters, faults, state and chance, each as it may be [D, ...].
        question: What is asked.
        hold: Orders that change nothing.
        candidates: Any number; HOLD among them is not played twice.
        trust: Whether the twin may be believed here; passed on.
    """
    asked = [one for one in candidates if one.action != HOLD]
    seconds, why = horizon_s(question.horizon_s, [one.action for one in asked])
    every = [hold, *[orders for one in asked for orders in one.played]]
    loads = [draws.errors.load]
    loads += [load for one in asked for load in one.loads or loads[:1] * len(one.played)]
    stretch = np.stack([draws.errors.stretch(load) for load in loads])
    sums = _played(stage, draws, every, stretch / stretch[0], round(seconds / SCRAPE_S))
    found = summed(sums, stretch, seconds)
    prospects, stages = _prospects(asked, found)
    return Rehearsal(
        id=question.id,
        at=question.at,
        horizon_ns=round(seconds * SECOND),
        draws=draws.number,
        prospects=(expected(HOLD, found, 0), *prospects),
        trust=trust,
        notes=tuple(note for note in (why, *stages, *draws.notes) if note),
    )


def _played(
    stage: Stage, draws: Draws, orders: Sequence[Orders], wider: Floats, scrapes: int
) -> Sums:
    """Return what comes of every candidate in every draw [C, D], so many at a time.

    One size is compiled, which takes longer than any rehearsal; candidates in different groups
    share their draws and their chance all the same.
    """
    found = []
    for first in range(0, len(orders), AT_A_TIME):
        some = [*orders[first : first + AT_A_TIME]]
        missing = AT_A_TIME - len(some)
        some += [orders[0]] * missing
        p95 = np.pad(wider[first : first + AT_A_TIME], ((0, missing), (0, 0)), constant_values=1.0)
        stacked: Orders = jax.tree.map(lambda *leaves: jnp.stack(leaves), *some)
        sums = stage.play(draws.lanes, stacked, scrapes, p95)
        found.append(jax.tree.map(np.asarray, sums))
    return jax.tree.map(  # type: ignore[no-any-return]
        lambda *leaves: np.concatenate(leaves)[: len(orders)], *found
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What was played, by quantity [C, D]."""

    latency_ms: Floats
    error_ratio: Floats
    availability: Floats
    usd_per_hour: Floats
    breach: Floats
    ended: Floats
    missed: Floats


def summed(sums: Sums, stretch: Floats, seconds: float) -> Played:
    """Return what was played as quantities, from what was added up over so many seconds."""
    got = {name: np.asarray(value, float) for name, value in vars(sums).items()}
    with np.errstate(invalid="ignore", divide="ignore"):
        # Nobody asked, nobody was served badly; a share of nothing is not zero.
        return Played(
            latency_ms=1000.0 * stretch * got["slow"] / got["offered"],
            error_ratio=got["errors"] / got["attempts"],
            availability=got["good"] / got["offered"],
            usd_per_hour=got["usd"] * _HOUR_S / seconds,
            breach=(got["breached"] > 0.0).astype(float),
            ended=(got["ended"] > 0.0).astype(float),
            missed=got["breached"] / round(seconds / SCRAPE_S),
        )


def _prospects(asked: Sequence[Candidate], found: Played) -> tuple[list[Prospect], list[str]]:
    """Return one prospect of each candidate, of a ramp its worst stage's, and which that is.

    Each stage is played as if the ramp stopped there: a stage waits until it is verified.
    """
    prospects, notes, at = [], [], 1
    for one in asked:
        stages = [expected(one.action, found, at + k) for k in range(len(one.played))]
        at += len(stages)
        worst = max(range(len(stages)), key=lambda k: _harm(stages[k]))
        prospects.append(stages[worst])
        if one.before:
            values = [f"{value:g}" for value, _ in one.before]
            which = f"stage {values[worst]}" if worst < len(values) else "the end"
            notes.append(
                f"{one.action.kind} {one.action.subject}: each stage of the ramp was rehearsed "
                f"({', '.join(values)}, the end); shown is the worst, {which}"
            )
    return prospects, notes


def _harm(one: Prospect) -> tuple[float, ...]:
    """Return how much worse than HOLD a stage is: first by what the guard refuses it for."""
    against = one.against_hold
    parts = (
        against.breach.p5,
        against.breach.p50,
        -one.holds,
        -against.availability.p50,
        against.latency_ms.p50,
    )
    return tuple(math.inf if math.isnan(part) else part for part in parts)


def expected(action: Action, found: Played, at: int) -> Prospect:
    """Return what is foreseen of the candidate at a place; HOLD is at place 0."""

    def seen(values: Floats) -> Quantiles:
        return quantiles(values[at])

    def against(values: Floats) -> Quantiles:
        return quantiles(values[at] - values[0])

    def foreseen(of: Callable[[Floats], Quantiles], breach: Quantiles) -> Foreseen:
        return Foreseen(
            latency_ms=of(found.latency_ms),
            error_ratio=of(found.error_ratio),
            availability=of(found.availability),
            usd_per_hour=of(found.usd_per_hour),
            breach=breach,
        )

    return Prospect(
        action=action,
        foreseen=foreseen(seen, probability(found.breach[at])),
        against_hold=foreseen(against, difference(found.breach[at], found.breach[0])),
        holds=float(1.0 - found.ended[at].mean()),
        means=Means(
            missed=float(found.missed[at].mean()),
            failed=float(np.minimum(found.error_ratio[at] / MOST_FAILED, 1.0).mean()),
            usd_per_hour=float(found.usd_per_hour[at].mean()),
        ),
    )


def quantiles(values: Floats) -> Quantiles:
    """Return the ends between which a further draw falls nine times in ten, and the middle.

    By the (n + 1) p rule: of n draws the interval between order statistics i and j holds another
    one with probability (j - i) / (n + 1). NaN among the values makes all three NaN.
    Source: Hyndman & Fan, "Sample quantiles in statistical packages", American Statistician 50
    (1996), definition 6.
    """
    if not np.isfinite(values).all():
        return Quantiles(p5=math.nan, p50=math.nan, p95=math.nan)
    low, mid, high = np.quantile(values, _ENDS, method="weibull")
    return Quantiles(p5=float(low), p50=float(mid), p95=float(high))


def probability(happened: Floats) -> Quantiles:
    """Return the share of draws in which something happened, with its exact 90 % interval.

    >>> probability(np.zeros(64)).p95 < 0.06
    True
    """
    events, trials = int(happened.sum()), len(happened)
    low, high = clopper_pearson(events, trials, LEVEL)
    return Quantiles(p5=low, p50=events / trials, p95=high)


def difference(ours: Floats, theirs: Floats) -> Quantiles:
    """Return how much more often something happens, with a conservative 90 % interval.

    The draws are pairs: only those that differ tell. Each of the two kinds of them has its exact
    interval, at half the error (Bonferroni).
    """
    more, less = int((ours > theirs).sum()), int((ours < theirs).sum())
    trials = len(ours)
    side = 0.5 + 0.5 * LEVEL
    more_low, more_high = clopper_pearson(more, trials, side)
    less_low, less_high = clopper_pearson(less, trials, side)
    return Quantiles(p5=more_low - less_high, p50=(more - less) / trials, p95=more_high - less_low)
