"""How a reading becomes a number of a trained policy: the scales of `lab.environment_seen`.

The lab trains, and the product may not import it; `tests/lab/test_seat_numbers.py` holds the two
against each other. Not known is NaN, in and out.
"""

import math
from typing import Final

DECADES: Final = 10.0
"""Of a p-value: beyond it one alarm is as good as another."""
AHEAD: Final = 20.0
"""Scrapes: how far load is carried on by its trend."""
LONG: Final = 40.0
"""Scrapes: what is longer ago counts as so long."""
FAST: Final = 0.3
"""Weight of the mean of load over the last few scrapes."""
SLOW: Final = 0.05
"""Weight of the one over the last five minutes, at 15 seconds a scrape."""
FLAT: Final = 1e-4
"""Growth of load in a scrape below which it does not grow."""
RATE: Final = 6
"""Actions an hour at most, as in training."""
P95_OF_P99: Final = 0.65
"""The promised p95 over the promised p99, as `lab.controller_parts` has it."""

_DOUBLINGS: Final = 4.0  # a sixteenth and sixteen times are the ends of a ratio's scale
_LEAST: Final = 1e-6


def share(value: float) -> float:
    """Return 0..1 as -1..1.

    >>> share(0.75)
    0.5
    """
    return 2.0 * value - 1.0


def ratio(value: float, usual: float) -> float:
    """Return how many doublings a value is away from what is usual, in fours.

    >>> ratio(4.0, 1.0), ratio(math.nan, 1.0)
    (0.5, nan)
    """
    if math.isnan(value) or math.isnan(usual):
        return math.nan
    return (math.log2(max(value, _LEAST)) - math.log2(max(usual, _LEAST))) / _DOUBLINGS


def rare(value: float) -> float:
    """Return a share whose orders of magnitude matter: 1e-4 is -1, all of it is 1.

    >>> rare(0.01)
    0.0
    """
    return value if math.isnan(value) else 1.0 + math.log10(max(value, 1e-4)) / 2.0


def mean(values: list[float]) -> float:
    """Return the mean of what is known, NaN where nothing is."""
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan


def most(values: list[float]) -> float:
    """Return the largest of what is known, NaN where nothing is."""
    return max((value for value in values if math.isfinite(value)), default=math.nan)
