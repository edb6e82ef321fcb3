"""What may be wrong with the counts of the two pools that a ramp compares."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from ramp_world import RAMP, Ramp

from homeostat.base.evidence import Increments, Quality

WITHIN = 90  # seconds; without a fault a rung takes ten to forty
Spoil = Callable[[Increments], Increments | None]


def _set(**changes: object) -> Spoil:
    return lambda one: replace(one, **changes)  # type: ignore[arg-type] # wrong values are the point


HOW: Final[dict[str, Spoil]] = {
    "are not there": lambda _: None,
    "were not reached": _set(answered=None, failed=None, seconds=None, latency=(),
                             quality=Quality.UNREACHABLE),
    "went back": _set(answered=None, failed=None, quality=Quality.ABSURD),
    "do not say how many failed": _set(failed=None),
    "do not say how many answered": _set(answered=None),
    "are NaN": _set(answered=math.nan),
    "failed NaN": _set(failed=math.nan),
    "are infinite": _set(answered=math.inf),
    "are negative": _set(answered=-5.0),
    "failed less than none": _set(failed=-1.0),
    "failed more than there are": lambda one: replace(one, failed=(one.answered or 0.0) + 1.0),
    "cover other seconds": _set(seconds=3.0),
    "cover an unknown time": _set(seconds=None),
    "are none": _set(answered=0.0, failed=0.0, latency=()),
}  # fmt: skip
POOLS: Final = (("c",), ("a",), ("a", "c"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """One fault at one rung of a ramp.

    Attributes:
        rung: The traffic in percent on which it begins.
        pools: Whose counts are wrong.
        how: In which way.
    """

    rung: float
    pools: tuple[str, ...]
    how: str

    @property
    def name(self) -> str:
        """Say it in words."""
        return f"at {self.rung:g} %: counts of {' and '.join(self.pools)} {self.how}"


def placed() -> tuple[Placed, ...]:
    """Return every way at every rung, of the canary, of stable and of both."""
    return tuple(
        Placed(rung=rung, pools=pools, how=how)
        for rung in RAMP[:-1]
        for pools in POOLS
        for how in HOW
        # The same other seconds in both pools are no fault: they can be compared.
        if (len(pools), how) != (2, "cover other seconds")
    )


def at_rung(weight: float) -> Ramp:
    """Return a ramp whose comparison has just begun on a rung."""
    ramp = Ramp()
    ramp.begin()
    ramp.run(300, lambda: ramp.weight >= weight)
    assert ramp.weight == weight
    return ramp


def goes_on(ramp: Ramp, fault: Placed | None) -> bool:
    """Return whether the next rung is taken, with or without a fault from now on."""
    rungs = len(ramp.rungs())
    if fault is not None:
        spoil = HOW[fault.how]

        def spoilt(seen: tuple[Increments, ...]) -> tuple[Increments, ...]:
            told = (spoil(one) if one.pool in fault.pools else one for one in seen)
            return tuple(one for one in told if one is not None)

        ramp.spoil = spoilt
    ramp.run(WITHIN, lambda: len(ramp.rungs()) > rungs or ramp.state.record is None)
    later = ramp.rungs()[rungs:]
    return bool(later) and max(later) > ramp_rung(ramp, rungs)


def ramp_rung(ramp: Ramp, rungs: int) -> float:
    """Return the weight that was live before the later rungs."""
    return ramp.rungs()[rungs - 1]
