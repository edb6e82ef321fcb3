"""The probability that any promise is broken, without knowing how they go along.

Latency and errors rise together or do not; nobody has measured it on this deployment. So the answer
is an interval that holds whatever they do (Frechet, "Generalisation du theoreme des probabilites
totales", Fundamenta Mathematicae 25 (1935)): at least the largest, at most the sum. The point
between is what it would be if they did not know of each other. An unknown signal may hold
anything: the upper end is 1, and there is no point.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyBreach:
    """A breach of any of several limits within one horizon.

    Attributes:
        low: At least so probable.
        high: At most so probable.
        chance: As if independent; None while any signal is unknown.
        first: The most probable one's name; None where all are unknown.
        unknown: Names of those of which nothing is known.
    """

    low: float
    high: float
    chance: float | None
    first: str | None
    unknown: tuple[str, ...]


def any_breach(chances: Mapping[str, float | None]) -> AnyBreach:
    """Return the probability that at least one limit is passed.

    Args:
        chances: By signal, in 0..1; None or NaN where unknown. No signals at all is unknown.

    Raises:
        ValueError: A probability is outside 0..1.

    >>> any_breach({"latency": 0.5, "errors": 0.2})
    AnyBreach(low=0.5, high=0.7, chance=0.6, first='latency', unknown=())
    """
    known: dict[str, float] = {}
    for name, chance in chances.items():
        if chance is None or math.isnan(chance):
            continue
        if not 0.0 <= chance <= 1.0:
            raise ValueError(f"breach of {name}: a probability must be in 0..1, got {chance}")
        known[name] = chance
    unknown = tuple(sorted(name for name in chances if name not in known))
    low = max(known.values(), default=0.0)
    sure = bool(known) and not unknown
    return AnyBreach(
        low=low,
        high=min(sum(known.values()), 1.0) if sure else 1.0,
        chance=1.0 - math.prod(1.0 - one for one in known.values()) if sure else None,
        first=min(known, key=lambda name: (-known[name], name)) if known else None,
        unknown=unknown,
    )
