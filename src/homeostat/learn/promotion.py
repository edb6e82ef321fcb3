"""May a candidate take over? A gate that may be asked after every round.

Yes, when the lower confidence bound of its difference to the incumbent is above zero and the upper
bound of what each of its costs is above the incumbent's is within its limit. All must hold, so each
is tested at alpha in full (an intersection-union test). Who looks after every round and stops when
it suits would be fooled by ordinary intervals one time in four; these are confidence sequences.
They are **asymptotic**: the chance of a false yes is about alpha once the lead-in is over, not at
most alpha. Finite-sample sequences exist, and said yes to nothing within ten thousand rounds at
weights of thirty.

A yes is a word, not an act: shadow, canary and rollback come after it (`govern`).
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from homeostat.learn.off_policy import Scored, half_width

Floats = npt.NDArray[np.float64]


class Answer(StrEnum):
    """What the gate says."""

    PROMOTE = "promote"
    REFUSE = "refuse"  # surely worse, or a cost is surely above its limit
    WAIT = "wait"  # not enough data yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Settings.

    Attributes:
        limits: How much each cost may be above the incumbent's.
        alpha: Chance of a false yes, about.
        lead_in: Rounds before anything is said; the sequences rest on a central limit.
        tuned: Rounds at which they are tightest.
        most_unknown: Share of rounds whose outcome may be unknown. An arm that blinds its own
            metrics would look better the more it does; above this nothing is promoted. It
            shields from no refusal: that rests on what was seen.
    """

    limits: tuple[float, ...] = ()
    alpha: float = 0.05
    lead_in: int = 500
    tuned: float = 3000.0
    most_unknown: float = 0.05

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            ValueError: A setting is out of its range.
        """
        if not (0.0 < self.alpha < 0.5 and self.lead_in >= 2 and self.tuned > 0.0):  # noqa: PLR2004 - a side; a deviation needs two
            raise ValueError("promotion: need alpha in (0, 0.5), lead_in >= 2 and tuned > 0")


class State(NamedTuple):
    """Running moments of the difference and of each cost, `[1 + cost]`; O(1) per round.

    Attributes:
        rounds: Rounds scored.
        mean: Running means.
        squares: Sums of squared distances from them.
        unknown: Rounds whose outcome is not known.
    """

    rounds: int
    mean: Any
    squares: Any
    unknown: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The gate's answer with its reasons.

    Attributes:
        answer: One of three.
        gain: Mean difference to the incumbent, and its lower bound.
        costs: Mean and upper bound of each cost.
        rounds: Scored so far.
        needed: How many more rounds, if the means stay as they are; None = no number would do.
        because: Short sentences for people.
    """

    answer: Answer
    gain: tuple[float, float]
    costs: tuple[tuple[float, float], ...]
    rounds: int
    needed: int | None
    because: tuple[str, ...]


def init(gate: Gate) -> State:
    """Return the state before any round."""
    return State(0, np.zeros(1 + len(gate.limits)), np.zeros(1 + len(gate.limits)), 0)


def step(gate: Gate, state: State, scored: Scored) -> State:
    """Return the state after more rounds (`off_policy.scored`).

    Raises:
        ValueError: They are of another number of costs.
    """
    if scored.costs.shape[1] != len(gate.limits):
        raise ValueError(f"promotion: {scored.costs.shape[1]} costs for {len(gate.limits)} limits")
    values = np.column_stack([scored.difference, scored.costs])
    count, mean, squares = state.rounds, state.mean, state.squares
    for row in values:  # Welford: stable, and the same in one step or many
        count += 1
        off = row - mean
        mean = mean + off / count
        squares = squares + off * (row - mean)
    return State(count, mean, squares, state.unknown + scored.unknown)


def verdict(gate: Gate, state: State) -> Verdict:
    """Return the answer, valid whenever it is asked."""
    n = state.rounds
    if n < gate.lead_in:
        blank = tuple((math.nan, math.inf) for _ in gate.limits)
        why = f"not enough data: need {gate.lead_in - n} more before anything can be said"
        return Verdict(
            answer=Answer.WAIT, gain=(math.nan, -math.inf), costs=blank, rounds=n,
            needed=gate.lead_in - n, because=(why,),
        )  # fmt: skip
    deviation = np.sqrt(state.squares / (n - 1))
    half = half_width(n, deviation, gate.tuned, gate.alpha)
    signs = np.array([-1.0, *(1.0 for _ in gate.limits)])
    bound, other = state.mean + signs * half, state.mean - signs * half
    limits = np.array([0.0, *gate.limits])
    # Of the difference what lies above 0 is good, of a cost what lies below its limit.
    good = signs * (limits - bound) > 0.0
    bad = signs * (limits - other) < 0.0
    needed, because = _needed(gate, state, deviation), _because(gate, state, bound, good)
    answer = Answer.PROMOTE if good.all() else Answer.REFUSE if bad.any() else Answer.WAIT
    if state.unknown > gate.most_unknown * (n + state.unknown):
        # What is surely worse by what was seen is no better for what was not.
        answer = Answer.WAIT if answer is Answer.PROMOTE else answer
        needed = None
        because = (f"{state.unknown} outcomes of {n + state.unknown} are not known", *because)
    if answer is Answer.WAIT and needed is not None:
        because = (f"not enough data: need {needed} more", *because)
    return Verdict(
        answer=answer,
        gain=(float(state.mean[0]), float(bound[0])),
        costs=tuple(zip(state.mean[1:].tolist(), bound[1:].tolist(), strict=True)),
        rounds=n,
        needed=0 if answer is Answer.PROMOTE else needed,
        because=because,
    )


def _needed(gate: Gate, state: State, deviation: Floats) -> int | None:
    """Return how many more rounds would do at the present means, None for never."""
    room = np.array([state.mean[0], *(np.array(gate.limits) - state.mean[1:])])
    if (room <= 0.0).any():
        return None
    low, high = state.rounds, state.rounds
    while (half_width(high, deviation, gate.tuned, gate.alpha) >= room).any():
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        short = half_width(middle, deviation, gate.tuned, gate.alpha) >= room
        low, high = (middle, high) if short.any() else (low, middle)
    return high - state.rounds


def _because(gate: Gate, state: State, bound: Floats, good: Any) -> tuple[str, ...]:
    first = f"gain {state.mean[0]:+.3g} on the incumbent, surely {bound[0]:+.3g} or more"
    rest = [
        f"cost {number} is {state.mean[number]:.3g}, surely {bound[number]:.3g} or less; "
        f"{limit:.3g} is allowed"
        for number, limit in enumerate(gate.limits, start=1)
        if not good[number]
    ]
    return (first, *rest)


def ever(gate: Gate, differences: Floats) -> npt.NDArray[np.int64]:
    """Return the first round at which each run would be promoted, 0 for never `[run]`.

    For measuring: the gate without costs, asked after every round.

    Args:
        gate: Settings.
        differences: One run a row `[run, round]`.
    """
    n = np.arange(1, differences.shape[1] + 1, dtype=np.float64)
    mean = np.cumsum(differences, axis=1) / n
    variance = (np.cumsum(differences**2, axis=1) / n - mean**2) * n / np.maximum(n - 1.0, 1.0)
    half = half_width(n, np.sqrt(np.maximum(variance, 0.0)), gate.tuned, gate.alpha)
    yes = (mean - half > 0.0) & (n >= gate.lead_in)
    return np.where(yes.any(axis=1), yes.argmax(axis=1) + 1, 0)
