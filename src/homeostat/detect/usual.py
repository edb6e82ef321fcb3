"""What a series usually is: a guarded mean, learnt late and only from undisputed ticks.

A value is learnt a few ticks after it was seen, and only if nothing was suspected and nothing was
changed in between, so the onset of a fault never becomes part of what is usual. Also learnt: how a
replica's device time follows its batch size, which tells a heavier load from a slower model.
"""

import math
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# A fault shows in a five-tick window before anything can be suspected; learn from before that.
DELAY: Final = 5
# Weight of a new value once warmed up: a level that drifts over minutes is followed.
_WEIGHT: Final = 1.0 / 300.0
# Pairs of batch size and device time fade over about ten minutes of one-second ticks.
_FADE: Final = 1.0 - 1.0 / 600.0
# Fewest pairs, and smallest spread of batch sizes, that give a slope worth using.
_LEAST_PAIRS: Final = 30.0
_LEAST_SPREAD: Final = 0.05
_ERRORS: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Usual:
    """Guarded means, one entry per slot.

    Attributes:
        mean: NaN before the first value.
        count: Values learnt from.
    """

    mean: Floats
    count: Floats


def learn(state: Usual, delayed: Floats, allowed: npt.NDArray[np.bool_]) -> Usual:
    """Return the means after one tick.

    Args:
        state: The means before.
        delayed: The values of `DELAY` ticks ago, NaN where unknown.
        allowed: True where nothing was disputed since then.
    """
    takes = allowed & np.isfinite(delayed)
    weight = np.maximum(1.0 / (state.count + 1.0), _WEIGHT)
    before = np.where(np.isnan(state.mean), 0.0, state.mean)
    moved = before + weight * (np.where(takes, delayed, 0.0) - before)
    return Usual(
        mean=np.where(takes, moved, state.mean), count=np.where(takes, state.count + 1, state.count)
    )


def begun(state: Usual, slots: npt.NDArray[np.int64], past: Floats) -> Usual:
    """Return the means in which that of some slots is the mean of their last values.

    How much they have learnt stays: nobody who asks for it is left without an answer meanwhile.

    Args:
        state: The means before.
        slots: Which.
        past: Their last values, NaN where unknown, `[column, slots]`.
    """
    known = np.isfinite(past)
    count = known.sum(axis=0)
    level = np.where(known, past, 0.0).sum(axis=0) / np.maximum(count, 1)
    mean = state.mean.copy()
    mean[slots] = np.where(count > 0, level, mean[slots])
    return replace(state, mean=mean)


class Pairs(NamedTuple):
    """Fading sums over (batch size x, device time y) pairs of one deployment."""

    n: float = 0.0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    xy: float = 0.0
    yy: float = 0.0


def learn_pairs(pairs: Pairs, sizes: Floats, times: Floats) -> Pairs:
    """Return the sums with more pairs; pairs with an unknown half are left out."""
    both = np.isfinite(sizes) & np.isfinite(times)
    x, y = sizes[both], times[both]
    total = np.add.reduce  # `sum` without what wraps it: there are few, for each deployment
    return Pairs(
        n=pairs.n * _FADE + float(len(x)),
        x=pairs.x * _FADE + float(total(x)),
        y=pairs.y * _FADE + float(total(y)),
        xx=pairs.xx * _FADE + float(total(x * x)),
        xy=pairs.xy * _FADE + float(total(x * y)),
        yy=pairs.yy * _FADE + float(total(y * y)),
    )


class Device(NamedTuple):
    """How device time follows batch size: at least `time` at `size`, `slope` more per request.

    Attributes:
        size: Usual batch size.
        time: Usual device time per batch, milliseconds.
        slope: Most milliseconds per request more that the data allow, two standard errors above
            the estimate; None when it cannot be told.
    """

    size: float
    time: float
    slope: float | None

    def expected(self, size: float) -> float:
        """Return the device time that a batch of this size explains, milliseconds.

        A batch twice as large takes at most twice as long (setup time is not negative), so the
        proportional time is the most that size can explain; the learnt slope says less.
        """
        most = self.time * max(size / self.size, 1.0)
        if self.slope is None:
            return most
        return min(max(self.time + self.slope * (size - self.size), 0.0), most)


def device(pairs: Pairs) -> Device | None:
    """Return the learnt relation, None before there is any."""
    if pairs.n < 1.0 or pairs.x <= 0.0 or pairs.y <= 0.0:
        return None
    size, time = pairs.x / pairs.n, pairs.y / pairs.n
    spread = pairs.xx / pairs.n - size * size
    if pairs.n < _LEAST_PAIRS or spread < _LEAST_SPREAD**2:
        return Device(size=size, time=time, slope=None)
    slope = (pairs.xy / pairs.n - size * time) / spread
    left = max(pairs.yy / pairs.n - time * time - slope * slope * spread, 0.0)
    error = math.sqrt(left / (pairs.n * spread))
    # Healthy batches differ little in size, so the slope is uncertain where it is needed: what load
    # could explain is not blamed on the model.
    most = max(slope, 0.0) + _ERRORS * error
    return Device(size=size, time=time, slope=min(most, time / size))
