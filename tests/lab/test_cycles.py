"""The cycles of the HASH table: densities, common chance, and the bisection."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base.errors import HomeostatError
from homeostat.lab import cycles


def test_the_number_of_incidents_follows_the_density() -> None:
    drawn = cycles.draw_cycles(43, cycles=4000, seed=1)
    for per_hour in (cycles.PER_72_H, 0.5, 1.5):
        counts = np.array([cycle.count(per_hour) for cycle in drawn])
        assert counts.mean() == pytest.approx(per_hour, abs=4 * math.sqrt(per_hour / 4000))
        assert counts.var() == pytest.approx(per_hour, rel=0.15)


@given(chance=st.floats(0, 1, exclude_max=True), low=st.floats(0, 4), more=st.floats(0, 4))
def test_a_higher_density_only_adds_incidents(chance: float, low: float, more: float) -> None:
    cycle = cycles.Cycle(number=0, chance=chance, incidents=((0, 0),) * cycles.MOST)
    assert 0 <= cycle.count(low) <= cycle.count(low + more) <= cycles.MOST


def test_without_density_there_is_no_incident() -> None:
    drawn = cycles.draw_cycles(5, cycles=200)
    assert {cycle.count(0.0) for cycle in drawn} == {0}


def test_cycles_are_drawn_from_all_scenarios_and_repeat_with_their_seed() -> None:
    drawn = cycles.draw_cycles(7, cycles=300, seed=3)
    assert drawn == cycles.draw_cycles(7, cycles=300, seed=3)
    assert drawn != cycles.draw_cycles(7, cycles=300, seed=4)
    first = [cycle.incidents[0][0] for cycle in drawn]
    assert set(first) == set(range(7))
    assert min(seed for cycle in drawn for _, seed in cycle.incidents) >= 2_000_000


@pytest.mark.parametrize("slope", [0.1, 0.25, 0.9])
def test_bisection_ends_within_the_tolerance(slope: float) -> None:
    asked = list(cycles.bisect(lambda density: 1.0 - slope * density))
    density, uptime = asked[-1]
    assert abs(uptime - cycles.TARGET) <= cycles.TOLERANCE / 4
    assert uptime == 1.0 - slope * density
    assert len(asked) < 15


def test_a_world_too_kind_for_the_target_is_an_error() -> None:
    with pytest.raises(cycles.DensityError, match=r"leave 96\.0% uptime, more than 78%"):
        list(cycles.bisect(lambda density: 1.0 - 0.01 * density))
    assert issubclass(cycles.DensityError, HomeostatError)  # told in one line, not as a bug
