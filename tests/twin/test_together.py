"""What a fleet does as one is what each of its deployments would have done alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fleet_by_hand import Case, Fault, lane, leaves, play
from hypothesis import given
from hypothesis import strategies as st
from jax import Array

from homeostat.twin.params import Params
from homeostat.twin.together import if_any, put_row

ROWS = 5
SCRAPES = 8


def _halved_or_not(flag: Array, value: Array) -> Array:
    # `rest` is wrong on purpose where the flag is up: only so it shows which of them was asked.
    return if_any(flag, lambda: value / 2.0, lambda: value)


@given(st.lists(st.booleans(), min_size=3, max_size=3))
def test_work_is_done_for_all_if_one_needs_it_and_for_none_otherwise(flags: list[bool]) -> None:
    values = np.array([1.0, 2.0, 3.0], np.float32)
    found = jax.vmap(_halved_or_not)(jnp.array(flags), jnp.asarray(values))
    np.testing.assert_array_equal(found, values / 2.0 if any(flags) else values)


@pytest.mark.parametrize("where", [None, (0, 1), (2, 0)])
def test_fleets_side_by_side_are_one_fleet(where: tuple[int, int] | None) -> None:
    flags, values = np.zeros((3, 2), bool), np.arange(6.0, dtype=np.float32).reshape(3, 2)
    if where is not None:
        flags[where] = True
    found = jax.jit(jax.vmap(jax.vmap(_halved_or_not)))(flags, values)
    np.testing.assert_array_equal(found, values if where is None else values / 2.0)


def test_a_flag_that_all_share_is_asked_once() -> None:
    values = np.array([1.0, 2.0], np.float32)
    for flag in (False, True):
        found = jax.vmap(_halved_or_not, in_axes=(None, 0))(jnp.array(flag), jnp.asarray(values))
        np.testing.assert_array_equal(found, values / 2.0 if flag else values)


@given(st.lists(st.integers(0, ROWS - 1), min_size=4, max_size=4))
def test_each_writes_the_row_at_its_own_place(places: list[int]) -> None:
    rows = np.arange(4 * ROWS * 2, dtype=np.float32).reshape(4, ROWS, 2)
    new = -1.0 - np.arange(8, dtype=np.float32).reshape(4, 2)
    found = jax.vmap(put_row)(jnp.asarray(rows), jnp.array(places, jnp.int32), jnp.asarray(new))
    right = rows.copy()
    right[np.arange(4), places] = new
    np.testing.assert_array_equal(found, right)
    alone = put_row(jnp.asarray(rows[0]), jnp.int32(places[0]), jnp.asarray(new[0]))
    np.testing.assert_array_equal(alone, right[0])


@pytest.mark.slow
def test_a_calm_deployment_is_the_same_beside_broken_ones(plain: Params) -> None:
    broken = [
        Fault(name="contention", magnitude=2.0),
        Fault(name="metric_delay_s", magnitude=30.0, start_s=45.0, stop_s=75.0),
        Fault(name="metric_scale", magnitude=3.0, start_s=75.0),
    ]
    among_calm = play([Case(deployment=plain)], SCRAPES)
    among_broken = play(
        [Case(deployment=plain), *[Case(deployment=plain, faults=[one]) for one in broken]], SCRAPES
    )
    calm, beside = leaves(lane(among_calm, 0)), leaves(lane(among_broken, 0))
    for name, values in calm.items():
        np.testing.assert_array_equal(beside[name], values, err_msg=name)
    for number in range(1, len(broken) + 1):
        other = leaves(lane(among_broken, number))
        assert any(not np.array_equal(other[name], calm[name], equal_nan=True) for name in calm)
