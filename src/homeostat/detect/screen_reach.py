"""How far beyond its usual reach is a score: a guarded memory of one number.

`detect.screen_rates` learns what recurs, which is right for alarms: what comes again and again is
no news. How bad things are must not fade with it. So each score is also compared with the reach
that it keeps to in nineteen of twenty ticks, which a stochastic approximation follows (Robbins &
Monro, Annals of Mathematical Statistics 22 (1951)): a tick moves it by a bounded share, however
large its score, so that incidents that take less than a twentieth of the time hardly move it.
"""

from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.stats.chosen import alike, where

_BEYOND: Final = 0.05  # share of ticks beyond the reach
_STEP: Final = 0.01  # share of itself by which the reach moves up; down a nineteenth of that
_FIRST: Final = 20.0  # early steps are half as large as the reach, until so many ticks
_LEAST: Final = 200.0  # ticks before anything is said
_SMALLEST: Final = 1e-9
# -log10 p at the reach, and its growth with each power of ten beyond: a t law with 3 degrees of
# freedom, as heavy as those of operators' signals.
_AT_REACH: Final = 1.3
_TAIL: Final = 3.0
# Steps are all alike from so many ticks on; before, there is one for each count.
_EVEN: Final = int(_FIRST * (0.5 / _STEP - 1.0))
_SHARES: Final = np.maximum(0.5 / (1.0 + np.arange(_EVEN + 1) / _FIRST), _STEP)
# What the reach is multiplied by: first where the score is within, then where it is beyond.
_MOVES: Final = np.exp(np.concatenate([_SHARES * -_BEYOND, _SHARES * (1.0 - _BEYOND)]))


class State(NamedTuple):
    """What is remembered of each row, `[row]` each.

    Attributes:
        reach: What nineteen of twenty scores keep to.
        count: Scores seen.
    """

    reach: Any
    count: Any


def init(xp: ModuleType, rows: int) -> State:
    """Return rows that have seen nothing."""
    return State(reach=xp.zeros(rows), count=xp.zeros(rows))


def restart(xp: ModuleType, state: State, rows: Any) -> State:
    """Return the state with these rows (bool `[row]`) as if new."""
    return State(*(xp.where(rows, 0.0, part) for part in state))


def step(xp: ModuleType, state: State, scores: Any, learn: Any) -> tuple[State, Any]:
    """Judge one score of each row, then learn from it.

    Args:
        xp: numpy or jax.numpy.
        state: From `init` or the last step.
        scores: Float `[row]`, 0 or more; NaN is unknown.
        learn: Bool `[row]`: where the score may be learnt.

    Returns:
        The next state, and how many times the reach before this tick the score is (`evidence`
        makes -log10 p of it), 0 or more, NaN where unknown, `[row]`.
    """
    known = xp.isfinite(scores)
    size = where(xp, known, scores, 0.0)
    ratio = size / xp.maximum(state.reach, _SMALLEST)
    ratio = where(xp, known & (state.count >= _LEAST), ratio, xp.nan)
    teaches = known & learn
    reach = where(xp, teaches, state.reach * _move(xp, state, size), state.reach)
    reach = where(xp, ~teaches | (state.count > 0.0), reach, 2.0 * size)
    return State(xp.maximum(reach, _SMALLEST), state.count + teaches), ratio


def _move(xp: ModuleType, state: State, size: Any) -> Any:
    """Return what the reach is multiplied by."""
    beyond, count = size > state.reach, alike(xp, state.count)
    if count is not None:
        at = int(min(count, _EVEN))
        return np.where(beyond, _MOVES[_EVEN + 1 + at], _MOVES[at])
    place = xp.minimum(state.count, _EVEN) + xp.where(beyond, _EVEN + 1.0, 0.0)
    return xp.asarray(_MOVES)[place.astype(xp.int32)]


def evidence(xp: ModuleType, ratio: Any) -> Any:
    """Return -log10 p, 0 or more, of scores so many times their reach; NaN stays, any shape.

    The larger the ratio, the larger the evidence: of several the largest is that of the largest.
    """
    return xp.maximum(_AT_REACH + _TAIL * xp.log10(xp.maximum(ratio, _SMALLEST)), 0.0)
