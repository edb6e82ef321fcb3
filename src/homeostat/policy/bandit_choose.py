"""Which arm, at which fraction: bounds in, a choice and its exact probability out.

Arithmetic only: no action is named here, and nothing is permitted. `weighed` and `chosen` are for
one deployment; `bandit_fleet` does the same for thousands at once.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from homeostat.policy.bandit import Config, View, rounded_down

Floats = npt.NDArray[np.float64]


class Weighed(NamedTuple):
    """One arm, as the bounds see it.

    Attributes:
        value: Optimistic gain: what decides. -inf = may not be played.
        fraction: The most that it may be given, on the grid; 0 = nothing.
        least: The least that it must be given, where the incumbent itself is over a limit.
        gain: Lower and upper bound of its gain at full fraction.
        extra: Upper bounds of its extra costs at full fraction.
    """

    value: float
    fraction: float
    least: float
    gain: tuple[float, float]
    extra: tuple[float, ...]


def weighed(config: Config, seen: View, x: Floats, room: Sequence[float]) -> list[Weighed]:
    """Return every arm as the bounds see it here.

    Args:
        config: Settings.
        seen: The ellipsoids.
        x: Context `[d]`, on the grid.
        room: Of each constraint, its limit less an upper bound of the incumbent's cost. NaN = not
            known: then no arm may be played.
    """
    k = config.arms
    with np.errstate(all="ignore"):  # what is not a number may not be played; see `share`
        squares = (seen.spread @ x).reshape(k, -1) @ x
        means = (seen.theta @ x).reshape(k, -1)
        widths = seen.beta * np.sqrt(np.maximum(squares, 0.0))[:, None]
        lows = np.maximum(means - widths, -seen.cap).tolist()
        highs = np.minimum(means + widths, seen.cap).tolist()
    return [_arm(low, high, room) for low, high in zip(lows, highs, strict=True)]


def _arm(low: list[float], high: list[float], room: Sequence[float]) -> Weighed:
    sure = hoped = 1.0
    for left, least, most in zip(room, low[1:], high[1:], strict=True):
        sure, hoped = min(sure, share(left, most)), min(hoped, share(left, least))
    fraction = rounded_down(sure)
    value = hoped * high[0] if fraction > 0.0 else -math.inf
    least = 1.0 if min(room, default=0.0) < 0.0 else 0.0
    return Weighed(value, fraction, least, (low[0], high[0]), tuple(high[1:]))


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
        propensities: Of every option; they add up to 1, and none that may be played is below
            explore / options.
    """

    number: int
    propensities: tuple[float, ...]


def chosen(options: Sequence[Option], explore: float, roll: float) -> Chosen:
    """Return the best option, or with probability `explore` any of them.

    Equal values go to the larger fraction, then to the first.

    Args:
        options: What may be played, the incumbent among it.
        explore: Declared probability of choosing evenly.
        roll: Uniform in [0, 1), from the journal or a seeded generator.

    Raises:
        ValueError: The roll is out of range, or there is nothing to choose from.
    """
    if not (0.0 <= roll < 1.0 and options):
        raise ValueError(f"bandit: need options and a roll in [0, 1), got {len(options)}, {roll}")
    n = len(options)
    best = max(range(n), key=lambda i: (options[i].value, options[i].fraction, -i))
    number = min(int(roll / explore * n), n - 1) if roll < explore else best
    even = explore / n
    return Chosen(number, tuple(even + (1.0 - explore) * (i == best) for i in range(n)))
