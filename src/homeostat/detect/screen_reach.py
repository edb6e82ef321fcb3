"""How far beyond its usual reach is a score: a guarded memory of one number.

`detect.screen_rates` learns what recurs, which is right for alarms: what comes again and again is
no news. How bad things are must not fade with it. So each score is also compared with the reach
that it keeps to in nineteen of twenty ticks, which a stochastic approximation follows (Robbins &
Monro, Annals of Mathematical Statistics 22 (1951)): a tick moves it by a bounded share, however
large its score, so that incidents that take less than a twentieth of the time hardly move it.
"""

from types import ModuleType
from typing import Any, Final, NamedTuple

_BEYOND: Final = 0.05  # share of ticks beyond the reach
_STEP: Final = 0.01  # share of itself by which the reach moves up; down a nineteenth of that
_FIRST: Final = 20.0  # early steps are half as large as the reach, until so many ticks
_LEAST: Final = 200.0  # ticks before anything is said
_SMALLEST: Final = 1e-9
# -log10 p at the reach, and its growth with each power of ten beyond: a t law with 3 degrees of
# freedom, as heavy as those of operators' signals.
_AT_REACH: Final = 1.3
_TAIL: Final = 3.0


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
        The next state, and the evidence, 0 or more, NaN where unknown, `[row]`.
    """
    known = xp.isfinite(scores)
    size = xp.where(known, scores, 0.0)
    ratio = size / xp.maximum(state.reach, _SMALLEST)
    said = _AT_REACH + _TAIL * xp.log10(xp.maximum(ratio, _SMALLEST))
    said = xp.where(known & (state.count >= _LEAST), xp.maximum(said, 0.0), xp.nan)
    teaches = known & learn
    first = teaches & (state.count == 0.0)
    share = xp.maximum(0.5 / (1.0 + state.count / _FIRST), _STEP)
    moved = state.reach * xp.exp(share * (xp.where(size > state.reach, 1.0, 0.0) - _BEYOND))
    reach = xp.where(first, 2.0 * size, xp.where(teaches, moved, state.reach))
    return State(xp.maximum(reach, _SMALLEST), state.count + teaches), said
