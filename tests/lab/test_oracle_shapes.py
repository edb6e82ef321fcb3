"""Whole shapes of replicas are as large as the load to come needs, and the search takes them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from traces_by_hand import during, episode, group, orders, truth

from homeostat.lab import oracle
from homeostat.lab.oracle_shapes import USES, needed, shapes
from homeostat.lab.types import Episode
from homeostat.twin import params as p
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Truth

PEAK = slice(100, 160)  # scrapes: from the 5 min before 1800 s, so that starts are over by then


def of(cap: float = 20.0) -> Episode:
    one = episode()
    params = replace(
        one.params,
        provision=group(p.Provision, delay_s=np.float32(60), load_s=np.float32(60)),
        money=group(p.Money, hard_cap=np.float32(cap)),
    )
    return replace(one, params=params)


def hold(**changes: Any) -> Truth:
    told = truth(demand=during(1800, 2400, 240.0, 100.0), **changes)
    return jax.tree.map(lambda leaf: leaf[0], told)  # type: ignore[no-any-return]


def plan() -> Orders:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[0], orders())  # type: ignore[no-any-return]


def test_as_many_are_needed_as_the_load_takes_and_before_it_comes() -> None:
    need = needed(of(), hold())
    high, low = np.ceil(240.0 / (30.0 * USES[0])), np.ceil(100.0 / (30.0 * USES[0]))
    assert set(need[0, PEAK].tolist()) == {high}
    assert set(np.delete(need[0], np.r_[PEAK]).tolist()) == {low}
    assert (np.diff(need, axis=0) >= 0).all(), "less use of each needs more of them"


def test_what_is_lost_is_asked_for_again_and_a_pool_without_any_needs_all() -> None:
    ready = np.tile([4.0, 1.0, 0.0], (1, 3600, 1))
    ready[:, 1800:] = [2.0, 1.0, 0.0]
    capacity = during(1800, 3600, 90.0, 150.0)
    fewer = needed(of(), hold(ready=ready, capacity=capacity))
    np.testing.assert_array_equal(fewer[:, PEAK], needed(of(), hold())[:, PEAK] + 2)
    never = needed(of(), hold(ready=0.0 * ready, capacity=0.0 * capacity))
    assert np.isinf(never).all()
    for _, edit in shapes(of(7.0), never):
        assert np.asarray(edit(plan()).replicas).sum(axis=1).max() == 7.0


def test_a_shape_shares_with_b_until_traffic_is_to_move() -> None:
    edits = dict(shapes(of(), needed(of(), hold())))
    alone, shared = (edits[f"as many as {who}"](plan()) for who in (
        f"the load needs at {USES[0]:g}", f"it needs at {USES[0]:g} with B",
    ))  # fmt: skip
    a, b = np.asarray(alone.replicas)[:, 0], np.asarray(shared.replicas)[:, 0]
    np.testing.assert_array_equal(a - 1, b)
    np.testing.assert_allclose(np.asarray(shared.weights)[:, 1], 1.0 / (b + 1))
    weights = np.array(plan().weights)
    weights[200:] = [0.0, 0.0, 1.0]
    moving = replace(plan(), weights=weights)  # type: ignore[arg-type]
    kept = np.asarray(edits[f"as many as it needs at {USES[0]:g} with B"](moving).weights)
    np.testing.assert_array_equal(kept[200:], weights[200:])
    assert (kept[:200, 1] > 0.0).all()


def test_the_search_orders_several_replicas_where_one_more_is_worth_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    need = needed(of(), hold())

    def costs(_: object, at: int, scrapes: int, pairs: Sequence[tuple[int, Orders]]) -> np.ndarray:
        ahead = [np.asarray(one.replicas)[at : at + scrapes, 0] for _, one in pairs]
        short = [(a < need[0, at : at + scrapes]).any() for a in ahead]
        return np.array([10.0 * s + 1e-3 * a.sum() for s, a in zip(short, ahead, strict=True)])

    monkeypatch.setattr(oracle._Attempt, "_costs", costs)
    attempt = object.__new__(oracle._Attempt)
    attempt._plans = [plan()]
    tries = {0: list(shapes(of(), need[:, 90:]))}
    attempt._climb(90, 60, tries, 3)
    found = np.asarray(attempt._plans[0].replicas)[:, 0]
    assert (found[:90] == 4.0).all(), "what was is as it was"
    np.testing.assert_array_equal(found[90:], need[0, 90:])
    assert found[PEAK].min() >= 4 + 4
