"""How far inputs were lately, and whether chance alone takes them so far.

Predictions are counted over other moments than inputs are: they wait in queues and batches, and an
exporter may smooth them. So inputs are back where predictions are not yet, and "the inputs are what
they were" is said of the longest window and not of one scrape.

Chance is a statement on the counts and needs no number of bins: the distance of two samples of one
law has at most the mean that its bins' binomial deviations add up to, and one event more or less
moves it by one part of its sample, so that it passes that mean by t with a probability of at most
exp(-2 t^2 / (1/n + 1/m)). Sources: Devroye, "A Course in Density Estimation" (1987), for the mean;
McDiarmid, "On the method of bounded differences", Surveys in Combinatorics (1989), for the rest.
"""

import math
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

# Ratios and quantiles look back over up to so many scrapes (`causes_common.LONGEST_WINDOW`).
SCRAPES: Final = 20
# Asked on every scrape and of every feature: once in a million is not seen for months.
_LOG_RARE: Final = math.log(1e6)
_MEAN_DEVIATION: Final = math.sqrt(2.0 / math.pi)  # of a standard normal, absolute


Seen = tuple[float | None, ...]
"""How far a feature was on the last scrapes: 0 where chance explains it, None where unknown."""


def followed(before: Seen, distance: float | None, now: Any, then: Any) -> Seen:
    """Return what is seen of a feature one scrape later.

    Args:
        before: Oldest first.
        distance: Total variation between `now` and `then`, None where it is not known.
        now: Events per bucket `[bucket]`.
        then: The same of the reference.
    """
    if distance is not None and (distance <= _slack(now, then) or distance <= chance(now, then)):
        distance = 0.0  # most are within the slack, for which nobody looks at the bins
    return (*before, distance)[-SCRAPES:]


def farthest(seen: Iterable[Seen]) -> float | None:
    """Return the farthest that any feature was, None where nothing is known.

    >>> farthest([(0.2, None), (0.0, 0.1)]), farthest([(None,), ()])
    (0.2, None)
    """
    return max((one for each in seen for one in each if one is not None), default=None)


def chance(now: Any, then: Any) -> float:
    """Return the distance that two samples of one law hardly ever have.

    Args:
        now: Events per bucket `[bucket]`, not all zero.
        then: The same of another time.

    >>> round(chance(np.array([400.0, 100.0]), np.array([8000.0, 2000.0])), 3)
    0.135
    """
    n, m = float(np.add.reduce(now)), float(np.add.reduce(then))
    spread = 1.0 / n + 1.0 / m
    share = (now + then) / (n + m)
    deviations = float(np.add.reduce(np.sqrt(share * (1.0 - share) * spread)))
    return 0.5 * _MEAN_DEVIATION * deviations + _slack(now, then)


def _slack(now: Any, then: Any) -> float:
    """Return how far a distance hardly ever is above its mean."""
    spread = 1.0 / float(np.add.reduce(now)) + 1.0 / float(np.add.reduce(then))
    return math.sqrt(spread * _LOG_RARE / 2.0)
