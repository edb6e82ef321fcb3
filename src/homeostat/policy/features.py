"""From named numbers to the context of a bandit: bounded, on a grid, and unknown is not zero.

Every number has two places: its size, scaled and clipped to [-1, 1], and whether it is known. One
that is not known is 0 in both, which no known number can be. A constant comes first, and the whole
is divided so that its length is at most 1, as the confidence ellipsoids ask (`policy.ellipsoid`).

The grid makes sums of products of features exact in floating point: they are the same in whatever
order they are added, so that states of two sites merge without rounding.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

GRID: Final = 2.0**-9
"""Features are multiples of it. With fractions on 2^-8 a product of two regressors is a multiple of
2^-34, and half a million of them add up within the 53 bits of a float64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """One number that the context is made of.

    Attributes:
        name: As whoever collects it says it: `score:ewma`, `latency_ms`.
        low: What becomes -1; what is below counts as it.
        high: What becomes 1.
    """

    name: str
    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuse a range without a length.

        Raises:
            ValueError: low is not below high.
        """
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(
                f"feature {self.name}: need low < high, got {self.low} and {self.high}"
            )


@dataclass(frozen=True, slots=True)
class Encoder:
    """Turns named numbers into a context.

    Attributes:
        scales: The numbers, in the order of their places.
    """

    scales: tuple[Scale, ...]

    @property
    def size(self) -> int:
        """How many places a context has."""
        return 1 + 2 * len(self.scales)

    def encode(self, values: Mapping[str, float]) -> Floats:
        """Return the context `[size]`, at most 1 long up to the grid.

        Args:
            values: By name; absent, NaN and infinite are not known. Names without a place are
                left out: another policy may read them.

        >>> some = Encoder((Scale(name="load", low=0.0, high=2.0),)).encode({"load": 2.0})
        >>> some[1] == some[2] > 0.5
        np.True_
        """
        places = [1.0]
        for scale in self.scales:
            value = values.get(scale.name, math.nan)
            if math.isfinite(value):
                share = (value - scale.low) / (scale.high - scale.low)
                places += [min(max(2.0 * share - 1.0, -1.0), 1.0), 1.0]
            else:
                places += [0.0, 0.0]
        return snapped(np.array(places) / math.sqrt(self.size))


def snapped(x: Floats) -> Floats:
    """Return features on the grid, each towards zero, so that no context becomes longer."""
    return np.asarray(np.trunc(x * (1.0 / GRID)) * GRID)
