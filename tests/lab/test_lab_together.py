"""Deployments that share a pool: who gets replicas, and that no way ever orders too many."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.lab.together import DIVIDE, Member, Mode, Sharing, Together, own_best

_LOADS = st.one_of(st.just(math.nan), st.floats(0.0, 12.0))


def member(start: int = 4, **more: Any) -> Member:
    said: dict[str, Any] = {"start": start, "most": 12, "rps": 10.0, "usd": 1.0, "budget": 9.0}
    return Member(**(said | more))


@pytest.mark.slow
@given(
    mode=st.sampled_from(list(Mode)), room=st.sampled_from([0.0, 0.15, 0.5]),
    group=st.lists(st.tuples(st.integers(1, 6), st.floats(0.5, 4.0)), min_size=1, max_size=4),
    loads=st.lists(_LOADS, min_size=4, max_size=4),
    turns=st.integers(0, 3),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_what_is_ordered_never_leaves_the_pool_or_the_budget(
    mode: Mode,
    room: float,
    group: list[tuple[int, float]],
    loads: list[float],
    turns: int,
) -> None:
    members = [member(start, usd=usd, budget=2.0 * start * usd) for start, usd in group]
    sharing = Sharing(members=len(members), room=room)
    held = [one.start for one in members]
    pool = sharing.pool([float(one) for one in held])
    usd = sharing.usd([float(one) for one in held], [one.usd for one in members])
    for turn in range(turns + 1):
        needs = [one.need(f"d{at}", held[at], loads[at]) for at, one in enumerate(members)]
        orders = DIVIDE[mode](members, needs, sharing, turn)
        # Who is given more has it at once, who is to give some back has it for some time yet.
        held = [max(has, order) for has, order in zip(held, orders, strict=True)]
        assert sum(held) <= pool
        assert sum(n * one.usd for n, one in zip(held, members, strict=True)) <= usd * (1 + 1e-8)
        floors = [need.floor for need in needs]
        assert all(order >= floor for order, floor in zip(orders, floors, strict=True))
        assert all(
            order == need.held
            for order, need in zip(orders, needs, strict=True)
            if math.isnan(need.load)
        )


@pytest.mark.slow
def test_by_price_the_one_in_need_is_served_whose_turn_it_is_not() -> None:
    members, sharing = [member(4), member(4)], Sharing(members=2, room=0.25)
    needs = [members[0].need("calm", 4, 2.9), members[1].need("busy", 4, 5.0)]
    assert own_best(needs[0]) > 4
    assert DIVIDE[Mode.FIRST](members, needs, sharing, 0) == [own_best(needs[0]), 5]
    calm, busy = DIVIDE[Mode.PRICED](members, needs, sharing, 0)
    assert (calm, busy) == (4, 6)


def test_where_everybody_s_own_best_fits_every_way_but_the_split_is_the_same() -> None:
    members, sharing = [member(4), member(4)], Sharing(members=2, room=2.0)
    needs = [members[0].need("a", 4, 3.0), members[1].need("b", 4, 5.0)]
    best = [own_best(one) for one in needs]
    assert DIVIDE[Mode.FIRST](members, needs, sharing, 1) == best
    assert DIVIDE[Mode.PRICED](members, needs, sharing, 0) == best


def test_a_rate_that_is_not_reported_is_kept_for_a_while_and_then_not_known() -> None:
    policy = Together(Mode.PRICED, Sharing(members=1, room=0.0))
    policy._members = [member()]
    policy._rate, policy._silent = np.full(1, np.nan), np.zeros(1, int)

    def seen(rate: float) -> float:
        gateway = np.full((1, 32), rate)
        scrape: Any = SimpleNamespace(gateway=gateway, weights=np.array([[1.0, 0.0, 0.0]]))
        return float(policy._loads(scrape)[0])

    assert math.isnan(seen(math.nan))
    assert seen(20.0) == pytest.approx(2.0)
    assert [seen(math.nan) for _ in range(3)] == [2.0, 2.0, 2.0]
    assert math.isnan(seen(math.nan))
    assert seen(20.0) == pytest.approx(2.0)


@pytest.mark.parametrize(("members", "room"), [(0, 0.1), (2, -0.1), (2, math.nan), (2, math.inf)])
def test_what_is_no_sharing_is_refused(members: int, room: float) -> None:
    with pytest.raises(ValueError, match="together: needs members"):
        Sharing(members=members, room=room)
