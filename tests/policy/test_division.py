"""Dividing shared things: held to every whole answer there is, and to its own dual."""

import itertools
import math
from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.policy import division as program
from homeostat.policy.claim import Claim, Kind, Resource
from homeostat.policy.division import Division, divide
from homeostat.policy.whole import whole

_NEAR = 1e-5


def claim(
    name: str,
    *worth: float,
    floor: int = 0,
    held: int = 0,
    uses: tuple[tuple[str, float], ...] = (),
) -> Claim:
    return Claim(name=name, floor=floor, worth=worth, held=held, uses=uses or (("slots", 1.0),))


def slots(most: float) -> tuple[Resource, ...]:
    return (Resource(name="slots", most=most),)


def fits(claims: Sequence[Claim], resources: Sequence[Resource], units: Sequence[float]) -> bool:
    used = {
        one.name: sum(
            dict(c.uses).get(one.name, 0.0) * n for c, n in zip(claims, units, strict=True)
        )
        for one in resources
    }
    return all(used[one.name] <= one.most + _NEAR * max(one.most, 1.0) for one in resources)


def best(claims: Sequence[Claim], resources: Sequence[Resource]) -> float:
    """Return the worth of the best whole answer, by trying all of them; -inf = none fits."""
    every = itertools.product(*(range(one.floor, one.most + 1) for one in claims))
    return max(
        (
            sum(c.of(n) for c, n in zip(claims, units, strict=True))
            for units in every
            if fits(claims, resources, units)
        ),
        default=-math.inf,
    )


_WORTHS = st.lists(st.integers(-20, 40).map(lambda n: n / 4.0), min_size=1, max_size=5)


@st.composite
def cases(draw: st.DrawFn) -> tuple[tuple[Claim, ...], tuple[Resource, ...]]:
    resources = tuple(
        Resource(name=name, most=draw(st.integers(0, 12)) / 2.0) for name in ("slots", "budget")
    )
    claims = tuple(
        Claim(
            name=f"d{at}", floor=draw(st.integers(0, 2)), worth=tuple(draw(_WORTHS)),
            held=draw(st.integers(0, 5)),
            uses=(("slots", 1.0), ("budget", draw(st.integers(0, 6)) / 4.0)),
        )
        for at in range(draw(st.integers(1, 4)))
    )  # fmt: skip
    return claims, resources


@pytest.mark.slow
@given(cases())
@settings(max_examples=60, deadline=None)
def test_no_whole_answer_is_worth_more_and_what_was_lost_is_told(
    case: tuple[tuple[Claim, ...], tuple[Resource, ...]],
) -> None:
    claims, resources = case
    found, top = divide(claims, resources), best(claims, resources)
    rounded = whole(claims, resources, found)
    if top == -math.inf:
        assert found.kind is Kind.INFEASIBLE
        assert rounded.units == tuple(one.held for one in claims)
        return
    assert found.kind is Kind.DIVIDED
    assert found.value >= top - _NEAR
    assert fits(claims, resources, found.units)
    assert fits(claims, resources, rounded.units)
    assert all(one.floor <= n for one, n in zip(claims, rounded.units, strict=True))
    assert rounded.value == pytest.approx(
        sum(c.of(n) for c, n in zip(claims, rounded.units, strict=True))
    )
    assert rounded.value <= top + _NEAR
    assert top - rounded.value <= rounded.lost + _NEAR


@given(cases())
@settings(max_examples=30, deadline=None)
def test_a_price_is_never_negative_and_only_of_what_is_used_up(
    case: tuple[tuple[Claim, ...], tuple[Resource, ...]],
) -> None:
    claims, resources = case
    found = divide(claims, resources)
    if found.kind is not Kind.DIVIDED:
        assert all(math.isnan(price) for price in found.prices)
        return
    for resource, price in zip(resources, found.prices, strict=True):
        used = sum(
            dict(one.uses)[resource.name] * n for one, n in zip(claims, found.units, strict=True)
        )
        assert price >= 0.0
        assert price * (resource.most - used) == pytest.approx(0.0, abs=1e-3)


@given(st.lists(_WORTHS, min_size=1, max_size=4), st.integers(0, 8))
@settings(max_examples=25, deadline=None)
def test_more_to_divide_is_worth_more_at_a_price_that_only_falls(
    worths: list[list[float]], most: int
) -> None:
    claims = [claim(f"d{at}", *row) for at, row in enumerate(worths)]
    less, same, more = (divide(claims, slots(n)) for n in (most, most + 1.0, most + 2.0))
    assert less.value <= same.value + _NEAR
    assert less.prices[0] >= same.prices[0] - _NEAR
    # A price is between what the next one brings and what the last one brought.
    assert more.value - same.value <= same.prices[0] + _NEAR
    assert same.prices[0] <= same.value - less.value + _NEAR


@given(st.lists(_WORTHS, min_size=1, max_size=4), st.integers(0, 8))
@settings(max_examples=25, deadline=None)
def test_where_every_unit_is_worth_less_than_the_one_before_nothing_is_lost_by_rounding(
    gains: list[list[float]], most: int
) -> None:
    falling = [np.cumsum(sorted(row, reverse=True)) for row in gains]
    claims = [claim(f"d{at}", 0.0, *map(float, row)) for at, row in enumerate(falling)]
    rounded = whole(claims, slots(most), divide(claims, slots(most)))
    assert rounded.value == pytest.approx(best(claims, slots(most)))
    assert rounded.lost <= _NEAR


def test_of_equals_whoever_has_it_keeps_it_and_then_the_first_gets_it() -> None:
    twins = [claim("a", 0.0, 1.0, 2.0, held=0), claim("b", 0.0, 1.0, 2.0, held=2)]
    assert whole(twins, slots(2.0), divide(twins, slots(2.0))).units == (0, 2)
    fresh = [claim("a", 0.0, 1.0), claim("b", 0.0, 1.0), claim("c", 0.0, 1.0)]
    assert whole(fresh, slots(2.0), divide(fresh, slots(2.0))).units == (1, 1, 0)


def test_a_step_is_taken_by_who_can_reach_it() -> None:
    steps = [claim("five", 0.0, 0.0, 0.0, 0.0, 0.0, 9.0), claim("two", 0.0, 0.0, 8.0)]
    assert whole(steps, slots(5.0), divide(steps, slots(5.0))).units in {(5, 0), (3, 2)}
    assert whole(steps, slots(4.0), divide(steps, slots(4.0))).units[1] == 2


def test_floors_that_do_not_fit_are_named_and_nobody_moves() -> None:
    claims = [claim("a", 0.0, floor=4, held=3), claim("b", 0.0, 1.0, floor=3, held=3)]
    found = divide(claims, slots(6.0))
    assert found.kind is Kind.INFEASIBLE
    assert found.because == ("slots: the floors need 7 of 6",)
    assert found.units == (3.0, 3.0)
    assert whole(claims, slots(6.0), found).units == (3, 3)


def test_an_answer_that_its_own_dual_does_not_prove_is_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    claims = [claim("a", 0.0, 1.0, held=1), claim("b", 0.0, 5.0)]
    lies = {
        "worse": ([1.0, 0.0], [-1.0]),
        "too much": ([1.0, 1.0], [-1.0]),
        "no number": ([0.0, 1.0], [math.nan]),
    }
    for filled, marginals in lies.values():
        said = SimpleNamespace(
            x=np.array(filled), ineqlin=SimpleNamespace(marginals=np.array(marginals))
        )
        monkeypatch.setattr(program, "_linprog", lambda *_, said=said, **__: said)
        found = divide(claims, slots(1.0))
        assert found.kind is Kind.UNKNOWN
        assert found.units == (1.0, 0.0)
    monkeypatch.setattr(program, "_linprog", lambda *_, **__: None)
    assert divide(claims, slots(1.0)).because == ("the linear program was not solved",)


def test_numbers_of_any_size_are_divided() -> None:
    for size in (1e-9, 1.0, 1e12):
        claims = [claim("a", 0.0, 3.0 * size, 4.0 * size), claim("b", 0.0, 2.0 * size)]
        found = divide(claims, slots(2.0))
        assert found.units == pytest.approx((1.0, 1.0))
        assert size * (1 - _NEAR) <= found.prices[0] <= 2.0 * size * (1 + _NEAR)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused_by_name(bad: float) -> None:
    with pytest.raises(ValueError, match="claim a"):
        claim("a", 0.0, bad)
    with pytest.raises(ValueError, match="claim a: uses"):
        claim("a", 0.0, uses=(("slots", bad),))
    with pytest.raises(ValueError, match="resource slots"):
        slots(bad)


def test_what_nobody_declared_and_what_is_there_twice_are_refused() -> None:
    one = claim("a", 0.0, 1.0)
    with pytest.raises(ValueError, match="a uses 'slots', which nobody declared"):
        divide([one], ())
    with pytest.raises(ValueError, match="a is there twice"):
        divide([one, one], slots(1.0))
    with pytest.raises(ValueError, match="worths"):
        claim("a")


def test_of_nobody_and_of_nothing_there_is_an_answer() -> None:
    assert divide((), slots(1.0)) == Division(kind=Kind.DIVIDED, units=(), prices=(0.0,), value=0.0)
    free = [Claim(name="a", floor=0, worth=(0.0, 2.0), held=0)]
    assert whole(free, (), divide(free, ())).units == (1,)
