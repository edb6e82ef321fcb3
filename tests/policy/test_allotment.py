"""Several deployments on one budget: who gets what, and what is not known changes nothing."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.policy.allotment import Need, allot, floor_of, shortfall
from homeostat.policy.claim import Kind, Resource


def need(name: str, load: float, **more: Any) -> Need:
    said: dict[str, Any] = {
        "held": 3, "floor": 1, "most": 8, "violation": 10.0, "unit_cost": 0.1,
        "uses": (("slots", 1.0),),
    }  # fmt: skip
    return Need(name=name, load=load, **(said | more))


def test_whoever_needs_it_gets_what_another_has_over() -> None:
    found = allot([need("busy", 4.0), need("idle", 0.5)], [Resource(name="slots", most=6.0)])
    assert found.kind is Kind.DIVIDED
    busy, idle = found.shares
    assert busy.units > 4
    assert idle.units < 3
    assert busy.units + idle.units <= 6


def test_capacity_that_is_worth_less_than_it_costs_is_given_back_at_no_price() -> None:
    found = allot([need("idle", 0.5)], [Resource(name="slots", most=8.0)])
    assert found.shares[0].units == 1
    assert found.shares[0].price == 0.0


def test_scarcity_has_a_price_that_grows_with_the_load() -> None:
    def price(load: float) -> float:
        shared = [Resource(name="slots", most=7.0)]
        return allot([need("a", load), need("b", load)], shared).shares[0].price

    calm, busy = price(1.0), price(3.5)
    assert calm == 0.0
    assert busy > 0.1


def test_of_which_nothing_is_known_keeps_what_it_has_and_the_others_share_the_rest() -> None:
    found = allot(
        [need("silent", math.nan, held=4), need("busy", 6.0)], [Resource(name="slots", most=8.0)]
    )
    silent, busy = found.shares
    assert (silent.units, silent.known) == (4, False)
    assert (busy.units, busy.known) == (4, True)


def test_floors_that_do_not_fit_leave_everybody_as_is_without_a_price() -> None:
    found = allot(
        [need("a", 4.0, floor=4, held=4), need("b", 4.0, floor=4, held=4)],
        [Resource(name="slots", most=7.0)],
    )
    assert found.kind is Kind.INFEASIBLE
    assert [one.units for one in found.shares] == [4, 4]
    assert all(math.isnan(one.price) for one in found.shares)
    assert found.because == ("slots: the floors need 8 of 7",)


@given(
    held=st.integers(0, 12), least=st.integers(0, 12),
    load=st.one_of(st.just(math.nan), st.floats(0.0, 20.0)),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_no_floor_is_above_what_is_held_and_none_gives_up_what_the_load_fills(
    held: int, least: int, load: float
) -> None:
    floor = floor_of(held, least, load, 0.8)
    assert 0 <= floor <= held
    assert floor >= min(held, least)
    if math.isnan(load):
        assert floor == held
    elif floor < held:
        assert load <= 0.8 * floor + 1e-6


def test_every_further_unit_leaves_less_unserved_and_is_worth_less_than_the_one_before() -> None:
    left = [shortfall(3.0, 0.2, units) for units in range(9)]
    assert left[0] == 1.0
    gains = -np.diff(left)
    assert (gains >= 0.0).all()
    assert (np.diff(gains) <= 1e-12).all()
    assert shortfall(0.0, 0.2, 0) == 0.0


def test_the_shortfall_is_what_draws_of_the_load_come_to() -> None:
    loads = 3.0 * np.exp(0.3 * np.random.default_rng(1).standard_normal(200_000))
    for units in (1, 3, 4):
        drawn = np.maximum(loads - units, 0.0).mean() / loads.mean()
        assert shortfall(3.0, 0.3, units) == pytest.approx(drawn, abs=0.003)


@pytest.mark.parametrize(
    ("key", "bad"),
    [("load", -1.0), ("load", math.inf), ("violation", math.nan), ("unit_cost", -1.0),
     ("spread", 0.0), ("violation", math.inf)],
)  # fmt: skip
def test_what_is_no_need_is_refused_by_name(key: str, bad: float) -> None:
    said = {"load": 1.0} | {key: bad}
    with pytest.raises(ValueError, match=f"need of a: {key}"):
        need("a", **said)
