"""Whole units out of a division: rounded down, then raised where it pays and fits.

Of whole units the best answer is a knapsack's, which nothing needs solved here: the program's own
value bounds it from above, so what rounding may have lost is known and told.

Source of the order of raises: Dantzig, "Discrete-Variable Extremum Problems", Operations Research 5
(1957): the most worth for what it uses up.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from homeostat.policy.claim import Claim, Kind, Resource
from homeostat.policy.division import Division

_DUST: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """Whole units, in the order of the claims.

    Attributes:
        units: What each gets; what is held where there is no division.
        value: Their worth; NaN where there is no division.
        lost: At most so much worth is lacking of the best whole answer; NaN as above.
    """

    units: tuple[int, ...]
    value: float
    lost: float


def whole(claims: Sequence[Claim], resources: Sequence[Resource], division: Division) -> Whole:
    """Return whole units that fit.

    Args:
        claims: As they were divided for.
        resources: As above.
        division: Of them.
    """
    if division.kind is not Kind.DIVIDED:
        return Whole(units=tuple(one.held for one in claims), value=math.nan, lost=math.nan)
    units = _down(claims, resources, division.units)
    left = _left(claims, resources, units)
    sizes = {one.name: max(one.most, _DUST) for one in resources}
    while (best := max(_raises(claims, units, left, sizes), default=None)) is not None:
        _, place, to = best
        units[-place] = to
        left = _left(claims, resources, units)
    value = sum(one.of(count) for one, count in zip(claims, units, strict=True))
    return Whole(units=tuple(units), value=value, lost=max(division.value - value, 0.0))


def _down(
    claims: Sequence[Claim], resources: Sequence[Resource], real: Sequence[float]
) -> list[int]:
    """Return whole units, rounded down; what the solver's tolerance let in too much goes."""
    units = [
        min(max(math.floor(one + _DUST), claim.floor), claim.most)
        for claim, one in zip(claims, real, strict=True)
    ]
    for at in reversed(range(len(claims))):
        while (
            units[at] > claims[at].floor
            and min(_left(claims, resources, units).values(), default=0.0) < 0.0
        ):
            units[at] -= 1
    return units


def _left(
    claims: Sequence[Claim], resources: Sequence[Resource], units: Sequence[int]
) -> dict[str, float]:
    """Return what is left of each resource; a sum's rounding counts as nothing."""
    left = {one.name: one.most * (1.0 + 1e-9) for one in resources}
    for claim, count in zip(claims, units, strict=True):
        for name, amount in claim.uses:
            left[name] -= count * amount
    return left


def _raises(
    claims: Sequence[Claim],
    units: Sequence[int],
    left: Mapping[str, float],
    sizes: Mapping[str, float],
) -> Iterator[tuple[float, int, int]]:
    """Yield what each raise that fits and pays brings for what it uses, whose it is, and to what.

    Places are counted from the end, as lists are: of equal raises the earliest claim's is largest.
    """
    for at, claim in enumerate(claims):
        used = sum(amount / sizes[name] for name, amount in claim.uses)
        for to in range(units[at] + 1, claim.most + 1):
            more = to - units[at]
            if any(more * amount > left[name] for name, amount in claim.uses):
                break
            gain = claim.of(to) - claim.of(units[at])
            if gain > _DUST * max(abs(claim.of(to)), 1.0):
                yield gain / max(more * used, _DUST), len(claims) - at, to
