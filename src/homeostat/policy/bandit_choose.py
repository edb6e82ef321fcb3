"""Which arm, at which fraction: bounds in, a choice and its exact probability out.

Arithmetic only: no action is named here, and nothing is permitted. `weighed` and `chosen` are for
one deployment; `bandit_fleet` does the same for thousands at once.
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from homeostat.policy.bandit import Config, View
from homeostat.policy.ellipsoid import FRACTION_GRID
from homeostat.policy.features import snapped

Floats = npt.NDArray[np.float64]

_STEPS: Final = 1.0 / FRACTION_GRID


class Weighed(NamedTuple):
    """One arm, as the bounds see it.

    Attributes:
        value: Optimistic gain: what decides. -inf = may not be played.
        fraction: The most that it may be given, on the grid; 0 = nothing.
        least: The least that it must be given, where the incumbent itself is over a limit.
        gain: Lower and upper bound of its gain at full fraction.
        extra: Upper bounds of its extra costs at full fraction.
        costs: Lower and upper bounds of them.
    """

    value: float
    fraction: float
    least: float
    gain: tuple[float, float]
    extra: tuple[float, ...]
    costs: tuple[tuple[float, float], ...] = ()


def weighed(config: Config, seen: View, x: Floats, room: Sequence[float]) -> list[Weighed]:
    """Return every arm as the bounds see it here.

    Args:
        config: Settings.
        seen: The ellipsoids.
        x: Context `[d]`, on the grid.
        room: Of each constraint, its limit less an upper bound of the incumbent's cost. NaN = not
            known: then no arm may be played.
    """
    k, d = config.arms, config.features
    both = seen.both @ x
    squares = (both[: k * d].reshape(k, d) @ x).tolist()
    means = both[k * d :].reshape(k, -1).tolist()
    return [
        _arm(math.sqrt(max(square, 0.0)), mean, bound, room)
        for square, mean, bound in zip(squares, means, seen.bounds, strict=True)
    ]


def _arm(
    width: float,
    means: list[float],
    bounds: Sequence[tuple[float, float]],
    room: Sequence[float],
) -> Weighed:
    """Return one arm, in plain numbers: for so few of them arrays take longer."""
    sure = hoped = 1.0
    costs, over = [], False
    for left, mean, (beta, cap) in zip(room, means[1:], bounds[1:], strict=True):
        low, high = _ends(mean, beta * width, cap)
        # Written so that NaN, of which every comparison is false, leaves no room.
        if not high <= left:
            sure = min(sure, share(left, high))
        if not low <= left:
            hoped = min(hoped, share(left, low))
        over |= left < 0.0
        costs.append((low, high))
    beta, cap = bounds[0]
    low, high = _ends(means[0], beta * width, cap)
    fraction = math.floor(sure * _STEPS) / _STEPS
    value = hoped * high if fraction > 0.0 else -math.inf
    extra = tuple(most for _, most in costs)
    return Weighed(value, fraction, 1.0 if over else 0.0, (low, high), extra, tuple(costs))


def _ends(mean: float, wide: float, cap: float) -> tuple[float, float]:
    low, high = mean - wide, mean + wide
    return max(low, -cap), min(high, cap)


def context(x: Floats) -> Floats:
    """Return features as the bandit takes them: on the grid, unknown numbers refused.

    Raises:
        ValueError: A number is not finite: say that it is not known by its place (`features`).
    """
    on_grid = snapped(x)
    if not math.isfinite(on_grid.sum()):
        raise ValueError("bandit: a feature is not finite; encode it with policy.features")
    return on_grid


def rounded_down(fraction: float) -> float:
    """Return a fraction on its grid, never more than asked."""
    return math.floor(fraction * _STEPS) / _STEPS


def share(room: float, extra: float) -> float:
    """Return the largest fraction in 0..1 at which the extra cost fits into the room.

    Where the incumbent itself is over the limit there is no mix that is known to be safe; only an
    arm that surely brings the cost below it may be played, and only in full.

    >>> share(0.3, 0.6), share(0.3, 0.2), share(float("nan"), 0.1), share(-0.1, 0.0)
    (0.5, 1.0, 0.0, 0.0)
    """
    if extra <= room:
        return 1.0
    return room / extra if room > 0.0 and extra > 0.0 else 0.0


class Option(NamedTuple):
    """One thing that may be played.

    Attributes:
        arm: Its index; -1 = the incumbent.
        fraction: What it would be given.
        value: What decides between options; the incumbent's is 0.
    """

    arm: int
    fraction: float
    value: float


class Chosen(NamedTuple):
    """A choice.

    Attributes:
        number: Which option.
        best: Which has the largest value.
        propensities: Of every option; they add up to 1, and none that is explored is below
            explore / explored.
    """

    number: int
    best: int
    propensities: tuple[float, ...]


def chosen(
    options: Sequence[Option], explore: float, roll: float, aim: int | None = None
) -> Chosen:
    """Return the best option, or with probability `explore` any of those that are explored.

    Equal values go to the larger fraction, then to the first.

    Args:
        options: What may be played, the incumbent among it.
        explore: Declared probability of choosing evenly.
        roll: Uniform in [0, 1), from the journal or a seeded generator.
        aim: The arm that is explored, where one is to be compared with the incumbent soon; all
            options where it may not be played, or none is named.

    Raises:
        ValueError: The roll is out of range, or there is nothing to choose from.
    """
    if not (0.0 <= roll < 1.0 and options):
        raise ValueError(f"bandit: need options and a roll in [0, 1), got {len(options)}, {roll}")
    best = -max((one.value, one.fraction, -i) for i, one in enumerate(options))[2]
    tried: Sequence[int] = range(len(options))
    if aim is not None:
        tried = [i for i, one in enumerate(options) if one.arm == aim] or tried
    n = len(tried)
    number = tried[min(int(roll / explore * n), n - 1)] if roll < explore else best
    chances = [0.0] * len(options)
    for i in tried:
        chances[i] = explore / n
    chances[best] += 1.0 - explore
    return Chosen(number, best, tuple(chances))
