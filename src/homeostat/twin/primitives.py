"""The fault primitives: every word a scenario may use, what its magnitude means, where it acts.

The catalogue's kernel lists them by channel; `PRIMITIVES` keeps that order, and a `Faults` value
refers to them by index. Combination: several instances of a multiplicative primitive multiply,
of an additive one add; strength between 0 and 1 interpolates from the neutral value (geometrically
for the multiplicative).
"""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """What an instance is aimed at."""

    DEPLOYMENT = "deployment"
    VARIANT = "variant"
    SLOT = "slot"
    SIGNAL = "signal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Primitive:
    """One word of the fault language.

    Attributes:
        name: As scenario files write it.
        channel: The kernel channel it belongs to: `arrival`, `speed`, ...
        neutral: Magnitude that changes nothing.
        multiplies: Whether instances multiply (else they add to `neutral`).
        level: What it is aimed at.
        low: Least magnitude that makes sense.
        high: Greatest one.
        unit: Of the magnitude: `x`, `s`, `1`, `GiB`, ...
        meaning: One sentence for people.
    """

    name: str
    channel: str
    neutral: float
    multiplies: bool
    level: Level
    low: float
    high: float
    unit: str
    meaning: str
