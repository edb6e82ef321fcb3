"""What a deployment asks of shared things: the worth of each whole unit, and what a unit uses.

Worths may be anything, for example a promise that is kept from five replicas on and not below. The
program that divides (`division`) works with the least concave majorant, in which such a step is a
slope: an upper bound, exact at its corners.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

_MOST_UNITS: Final = 10_000
"""Of one claim: beyond it a unit is too small a thing to be counted in."""


class Kind(StrEnum):
    """Whether there is a division."""

    DIVIDED = "divided"
    INFEASIBLE = "infeasible"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """Something that is shared.

    Attributes:
        name: For example of a node pool, or `budget`.
        most: All there is of it: slots, GPU-hours an hour, USD an hour; 0 or more.
    """

    name: str
    most: float

    def __post_init__(self) -> None:
        """Refuse what is no amount.

        Raises:
            ValueError: Names the resource and its amount.
        """
        if not 0.0 <= self.most < math.inf:
            raise ValueError(f"resource {self.name}: most must be 0 or more, got {self.most}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One deployment's.

    Attributes:
        name: Of the deployment.
        floor: Fewest units it may be left with: what the guards want.
        worth: Of `floor` units, of one more, and so on; at least one number.
        held: Units it has now.
        uses: What a unit uses, by resource; 0 or more.
    """

    name: str
    floor: int
    worth: tuple[float, ...]
    held: int
    uses: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be weighed.

        Raises:
            ValueError: Names the claim, the value and the range.
        """
        if not 0 <= self.floor <= _MOST_UNITS or not 0 <= self.held <= _MOST_UNITS:
            raise ValueError(
                f"claim {self.name}: floor and held are 0 to {_MOST_UNITS}, "
                f"got {self.floor} and {self.held}"
            )
        if not 1 <= len(self.worth) <= _MOST_UNITS:
            raise ValueError(
                f"claim {self.name}: 1 to {_MOST_UNITS} worths are needed, got {len(self.worth)}"
            )
        for at, worth in enumerate(self.worth):
            if not math.isfinite(worth):
                raise ValueError(
                    f"claim {self.name}: the worth of {self.floor + at} units is {worth}; a claim "
                    "of which nothing is known keeps what is held: one worth, of that"
                )
        for name, amount in self.uses:
            if not 0.0 <= amount < math.inf:
                raise ValueError(f"claim {self.name}: uses {amount} of {name}; give 0 or more")

    @property
    def most(self) -> int:
        """Return the most units that are of any use."""
        return self.floor + len(self.worth) - 1

    def of(self, units: int) -> float:
        """Return the worth of whole units; beyond the ends that of the end.

        >>> Claim(name="a", floor=1, worth=(0.0, 3.0), held=1).of(2)
        3.0
        """
        return self.worth[min(max(units - self.floor, 0), len(self.worth) - 1)]

    @property
    def segments(self) -> tuple[tuple[float, float], ...]:
        """Return the least concave majorant: widths in units, and worths of a unit that only fall.

        >>> Claim(name="a", floor=0, worth=(0.0, 0.0, 4.0, 5.0), held=0).segments
        ((2.0, 2.0), (1.0, 1.0))
        """
        return tuple(self._segments())

    def _segments(self) -> Iterator[tuple[float, float]]:
        corners: list[int] = []
        for at in range(len(self.worth)):
            while len(corners) > 1 and not self._bends(corners[-2], corners[-1], at):
                corners.pop()
            corners.append(at)
        for left, right in pairwise(corners):
            yield float(right - left), self._slope(left, right)

    def _bends(self, first: int, middle: int, last: int) -> bool:
        """Return whether the worths bend down at the middle one; of a straight line none does."""
        return self._slope(first, middle) > self._slope(middle, last)

    def _slope(self, left: int, right: int) -> float:
        return (self.worth[right] - self.worth[left]) / (right - left)
