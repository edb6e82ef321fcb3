"""Shares of the traffic in whole percent, from weights that are relative to one another."""

import math
from collections.abc import Mapping
from typing import Final

from homeostat.adapters.actuators import _stamp
from homeostat.base.world import Scalar

PERCENT: Final = 100


def percent(part: int, total: int) -> int:
    """Return a part's share in percent; something is never said to be nothing, nor all.

    >>> percent(1, 3), percent(1, 1000), percent(999, 1000), percent(0, 7)
    (33, 1, 99, 0)
    """
    if part in {0, total}:
        return PERCENT * part // total
    return min(PERCENT - 1, max(1, math.floor(PERCENT * part / total + 0.5)))


def problem(lever: str, value: Scalar) -> str:
    """Return why a lever can never be this share, empty if it can.

    >>> problem("weight.b", 30), problem("weight.b", 130)
    ('', 'weight.b must be a whole number from 0 to 100, got 130')
    """
    if _stamp.whole(value, PERCENT):
        return ""
    return f"{lever} must be a whole number from 0 to {PERCENT}, got {value!r}"


def completed(shares: Mapping[str, int], wanted: Mapping[str, int], stable: str) -> dict[str, int]:
    """Return every pool's share once some are set: the stable pool takes what is left.

    Args:
        shares: Live shares, percent.
        wanted: Those that are set, percent; not the stable pool's.
        stable: The pool that takes what is left.

    Raises:
        ValueError: There is less than nothing left.

    >>> completed({"a": 90, "b": 10, "c": 0}, {"c": 5}, "a")
    {'a': 85, 'b': 10, 'c': 5}
    """
    others = {pool: share for pool, share in shares.items() if pool != stable} | dict(wanted)
    left = PERCENT - sum(others.values())
    if left < 0:
        raise ValueError(f"the shares {others} leave {left} % for pool {stable!r}")
    return {pool: left if pool == stable else others[pool] for pool in shares}
