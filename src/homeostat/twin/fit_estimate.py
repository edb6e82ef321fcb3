"""One fitted number with its interval, and how far it may be believed."""

import math
from dataclasses import dataclass
from enum import StrEnum

from homeostat.twin import fit_bootstrap as bootstrap
from homeostat.twin.fit_frame import Floats


class Known(StrEnum):
    """How well the recording says what a parameter is.

    `identified`: its interval may be used. `weak`: the recording hardly bounds it. `bound`: it is
    at least the value given. `no`: the recording does not say; nobody may assume a value.
    """

    IDENTIFIED = "identified"
    WEAK = "weak"
    BOUND = "bound"
    NO = "no"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A parameter.

    Attributes:
        name: As in the twin's parameters, or of what the recording alone shows.
        unit: Of the value.
        value: NaN if not known.
        low: Lower end of the 90 % interval; NaN if not known.
        high: Upper end; NaN if not known.
        known: How well.
        why: What that rests on, or what is missing.
    """

    name: str
    unit: str
    value: float
    low: float
    high: float
    known: Known
    why: str


def unknown(name: str, unit: str, why: str) -> Estimate:
    """Return the estimate of what the recording does not say."""
    return Estimate(
        name=name,
        unit=unit,
        value=math.nan,
        low=math.nan,
        high=math.nan,
        known=Known.NO,
        why=why,
    )


def estimate(
    name: str, unit: str, value: float, draws: Floats, *, known: Known = Known.IDENTIFIED, why: str
) -> Estimate:
    """Return an estimate with the percentile interval of its draws."""
    low, high = bootstrap.interval(draws)
    return Estimate(
        name=name, unit=unit, value=float(value), low=low, high=high, known=known, why=why
    )
