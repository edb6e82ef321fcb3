"""Local regression on equally spaced points, evaluated at every few of them: STL's smoother.

Geometry (which points, which distance weights) is fixed by the lengths, so a `Smoother` is built
once and used in every pass. Source: Cleveland, Cleveland, McRae & Terpenning, "STL: A
Seasonal-Trend Decomposition Procedure Based on Loess", J. Official Statistics 6 (1990), section 2
(tricube weights, spans longer than the data, local slope) and section 6.1 (evaluation at jumps with
straight lines between). Where the paper leaves room (which neighbours the last point has, how near
counts as distance zero) this follows what R's `stl` computes.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Beyond this share of the span a point has no weight, below this it has all (R's `stl`).
FAR: Final = 0.999
NEAR: Final = 0.001
# A local spread below this share of the whole range gives no slope worth having (R's `stl`).
_LEAST_SPREAD: Final = 0.001


def tricube(distance: Floats, span: Floats) -> Floats:
    """Return the weights of points at these distances; span is the distance of no weight.

    >>> tricube(np.array([0.0, 0.5, 1.0]), np.array([1.0])).round(4)
    array([1.    , 0.6699, 0.    ])
    """
    share = distance / span
    weights = (1.0 - share * share * share) ** 3
    weights = np.where(distance <= NEAR * span, 1.0, weights)
    return np.where(distance <= FAR * span, weights, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Smoother:
    """Local lines over `size` points at fixed places; see `smoother`.

    Attributes:
        size: Number of points.
        at: Points at which a line is fitted, ascending, first and last included. `[place]`
        start: First neighbour of each place. `[place]`
        offset: Neighbours' distance from the place, signed. `[place, neighbour]`
        weight: Tricube weights. `[place, neighbour]`
    """

    size: int
    at: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    offset: Floats
    weight: Floats

    def smooth(self, values: Floats, trust: Floats | None = None) -> Floats:
        """Return the smoothed values.

        Args:
            values: `[size]`, finite.
            trust: Further weights, 0..1, `[size]`; None for all 1. A place whose neighbours all
                have none keeps its value.
        """
        y = self._near(values)
        w = self.weight if trust is None else self.weight * self._near(trust)
        total = w.sum(axis=1)
        known = total > 0.0
        total = np.where(known, total, 1.0)
        drift = w * self.offset
        centre = drift.sum(axis=1) / total
        spread = np.einsum("pn,pn->p", drift, self.offset) / total - centre * centre
        level = np.einsum("pn,pn->p", w, y) / total
        along = np.einsum("pn,pn->p", drift, y) / total - centre * level
        sloped = np.sqrt(np.maximum(spread, 0.0)) > _LEAST_SPREAD * (self.size - 1)
        slope = np.where(sloped, along / np.where(sloped, spread, 1.0), 0.0)
        fitted = np.where(known, level - centre * slope, values[self.at])
        return np.interp(np.arange(self.size), self.at, fitted)

    def _near(self, values: Floats) -> Floats:
        """Return every place's neighbours. `[place, neighbour]`."""
        windows = np.lib.stride_tricks.sliding_window_view(values, self.weight.shape[1])
        return windows[self.start]


def smoother(size: int, span: int, jump: int) -> Smoother:
    """Return the smoother of `size` points.

    Args:
        size: Number of points, at least 2.
        span: Points per local fit, odd; more than `size` widens the weights.
        jump: Fit at every so many points and at the last.
    """
    step = min(jump, size - 1)
    at = np.arange(0, size, step)
    width = min(span, size)
    half = (span + 1) // 2
    start = np.clip(at - half + 1, 0, size - width)
    if at[-1] != size - 1:  # the last point sees what the last regular place sees (R's `stl`)
        at, start = np.append(at, size - 1), np.append(start, start[-1])
    offset = (start[:, None] + np.arange(width) - at[:, None]).astype(np.float64)
    reach = np.maximum(at - start, start + width - 1 - at) + max(span - size, 0) // 2
    weight = tricube(np.abs(offset), reach[:, None].astype(np.float64))
    return Smoother(size=size, at=at, start=start, offset=offset, weight=weight)
