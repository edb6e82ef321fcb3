"""The HASH paper's table: uptime, latency, error and recovery over 1,000 cycles of one hour.

A cycle is an hour of one deployment with as many incidents as the density says, drawn from the
catalogue's mix. Common random numbers: each cycle has one uniform number, and the incidents it
would have at any density in a fixed order; raising the density only adds incidents. An hour with
several has the deployment of the first of them, and the faults of all are drawn for it
(`draw.draw_together`); one that has no room beside the others gives way to the next. Which density
gives the threshold baseline the paper's uptime is found by bisection. What is played of them, and
the lines of the table, are in `cycles_table`.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from homeostat.base.errors import HomeostatError
from homeostat.lab.draw import Together, draw_together, rows_of, tick_s_for
from homeostat.lab.scenario import Scenario
from homeostat.lab.scenario_errors import DrawError
from homeostat.lab.types import Episode
from homeostat.twin.faults import Faults
from homeostat.twin.shapes import FAULTS, Shape

CYCLES: Final = 1000
CYCLE_S: Final = 3600
MOST: Final = 6  # incidents in one hour
_SPARE: Final = 6  # and as many to take the place of those that have no room
TARGET: Final = 0.78  # the paper's uptime before
TOLERANCE: Final = 0.02
FINEST: Final = 1e-3  # incidents per hour: 1,000 cycles cannot tell finer densities apart
PER_72_H: Final = 1.0 / 72.0  # incidents per hour: the hybrid-control paper's MTBF


class DensityError(HomeostatError, ValueError):
    """No density of incidents gives the baseline as little uptime as is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """One hour before its density is known.

    Attributes:
        number: Which.
        chance: Uniform; decides how many of the incidents happen.
        incidents: (scenario's index, seed), in the order in which they are added; more than can
            happen, for those that have no room beside the others.
    """

    number: int
    chance: float
    incidents: tuple[tuple[int, int], ...]

    def count(self, per_hour: float) -> int:
        """Return how many incidents there are at a density: the Poisson quantile of `chance`."""
        below, term, count = 0.0, math.exp(-per_hour), 0
        while count < MOST:
            below += term
            if self.chance < below:
                break
            count += 1
            term *= per_hour / count
        return count


def draw_cycles(scenarios: int, *, cycles: int = CYCLES, seed: int = 0) -> tuple[Cycle, ...]:
    """Return the cycles of a table.

    Chance and scenarios are stratified: one cycle has its chance in each of as many equal parts
    of (0, 1), and every scenario comes equally often (or once more) in every place of the order.
    So two tables of one density have nearly the same mix, and differ less than independent draws.

    Args:
        scenarios: How many to draw from, all equally likely.
        cycles: How many hours.
        seed: Of the table.
    """
    rng = np.random.default_rng(seed)
    chance = (rng.permutation(cycles) + rng.random(cycles)) / cycles
    rounds = -(-cycles // scenarios)
    decks = [[rng.permutation(scenarios) for _ in range(rounds)] for _ in range(MOST + _SPARE)]
    which = np.stack([np.concatenate(deck)[:cycles] for deck in decks], axis=1)
    # Seeds of their own: no cycle repeats an episode of the evaluation.
    seeds = rng.integers(2_000_000, 2**31, size=(cycles, MOST + _SPARE))
    return tuple(
        Cycle(
            number=k,
            chance=float(chance[k]),
            incidents=tuple(zip(which[k].tolist(), seeds[k].tolist(), strict=True)),
        )
        for k in range(cycles)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An incident that has room in its hour.

    Attributes:
        scenario: What happens.
        seed: Of its draw.
        slots: That it and those before it need together.
    """

    scenario: Scenario
    seed: int
    slots: int


def place(scenarios: Sequence[Scenario], cycle: Cycle, count: int) -> tuple[Placed, ...]:
    """Return the incidents of an hour with so many: those that have room.

    An episode holds so many fault instances, and so many replicas. What has no room beside what is
    there already gives way to the next, so that none is lost in part and every one that is counted
    happens; only where none of all has room are there fewer. An hour with fewer has the first ones.
    """
    found: list[Placed] = []
    there = Together()
    for which, seed in cycle.incidents:
        if len(found) == count:
            break
        more = there.beside(scenarios[which], seed)
        if (slots := _slots(more)) is not None:
            found.append(Placed(scenario=scenarios[which], seed=seed, slots=slots))
            there = more
    return tuple(found)


def happen(
    scenarios: Sequence[Scenario], cycle: Cycle, count: int
) -> tuple[tuple[Scenario, int], ...]:
    """Return the incidents of an hour with so many, with their seeds; see `place`."""
    return tuple((one.scenario, one.seed) for one in place(scenarios, cycle, count))


def _slots(together: Together) -> int | None:
    """Return the slots that they need in one episode; None where it does not hold them all."""
    if sum(rows_of(scenario) for scenario in together.scenarios) > FAULTS:
        return None
    try:
        return together.slots()
    except DrawError:
        return None


def size_of(scenarios: Sequence[Scenario], cycle: Cycle, count: int) -> tuple[int, float]:
    """Return the slots that an hour with so many of a cycle's incidents needs, and its ticks."""
    return size_among(place(scenarios, cycle, max(count, 1)))


def size_among(placed: Sequence[Placed]) -> tuple[int, float]:
    """Return the slots that an hour with these incidents needs, at least one, and its ticks."""
    return placed[-1].slots, min(tick_s_for(one.scenario) for one in placed)


def hour(scenarios: Sequence[Scenario], cycle: Cycle, count: int) -> Episode:
    """Return an hour with so many of a cycle's incidents.

    The deployment is that of the first incident. Without any, it is the same one in health.
    """
    placed = place(scenarios, cycle, max(count, 1))
    slots, tick_s = size_among(placed)
    drawn = draw_together([(one.scenario, one.seed) for one in placed], slots=slots)
    drawn = replace(drawn, length_s=CYCLE_S, tick_s=tick_s)
    if count == 0:
        return replace(drawn, faults=_none(drawn.faults), onset_s=math.inf, benign=True)
    return drawn


def _none(faults: Faults) -> Faults:
    """Return faults that never begin: unused rows, whose shape does not repeat either."""
    never = np.full_like(np.asarray(faults.start_s), np.inf)
    none = np.zeros_like(never)
    values: dict[str, Any] = {"start_s": never, "stop_s": never, "ramp_s": none, "period_s": none}
    values["shape"] = np.full_like(np.asarray(faults.shape), Shape.RAMP)
    return replace(faults, **values)


def bisect(
    uptime: Callable[[float], float],
    *,
    target: float = TARGET,
    tolerance: float = TOLERANCE / 4,
    most_per_hour: float = 4.0,
) -> Iterator[tuple[float, float]]:
    """Yield densities and their uptimes; the last one is within the tolerance of the target.

    Args:
        uptime: Of the threshold baseline at a density; falls as the density rises.
        target: Wanted.
        tolerance: Of the uptime; a quarter of what the table allows, so that noise cannot undo it.
        most_per_hour: Highest density to try.

    Raises:
        DensityError: Even the highest density leaves more uptime than the target.
    """
    low, high = 0.0, most_per_hour
    found = uptime(high)
    yield high, found
    if found > target + tolerance:
        raise DensityError(
            f"{high:g} incidents per hour leave {found:.1%} uptime, more than {target:.0%}; "
            "draw from harsher scenarios"
        )
    while abs(found - target) > tolerance and high - low > FINEST:
        middle = (low + high) / 2
        found = uptime(middle)
        yield middle, found
        if found > target:
            low = middle
        else:
            high = middle
