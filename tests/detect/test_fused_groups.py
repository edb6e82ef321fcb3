"""Batches that grow and entities that begin anew: the arrays are those made the plain way."""

from typing import Any

import numpy as np
import pytest

from homeostat.detect import stack, stack_incident
from homeostat.detect.fused_batch import Batch
from homeostat.detect.fused_groups import filled, grown, leaves, renewed
from homeostat.detect.fused_rooms import Group, Seen
from homeostat.stats.arrays import to_bytes

WIDTH = 8
BATCH = Batch(stack.StackConfig())


def fresh(entities: int) -> Seen:
    return BATCH._fresh(WIDTH, entities)


def filled_by_chance(entities: int, seed: int) -> Seen:
    """Return a state in which every number is another."""
    chance = np.random.default_rng(seed)
    some = [
        leaf
        if leaf.ndim == 0
        else chance.integers(0, 2 if leaf.dtype == bool else 100, leaf.shape).astype(leaf.dtype)
        for leaf in leaves(fresh(entities))
    ]
    whole = filled(fresh(entities), some)
    assert isinstance(whole, Seen)
    return whole


def plan() -> Any:
    return BATCH._plan(WIDTH)


def of_entity(state: Seen, entity: int, entities: int) -> list[Any]:
    """Return an entity's part of each array that has one: by its rows where it has several."""
    out = []
    for place, unit, leaf in zip(plan().where, plan().units, leaves(state), strict=True):
        if place is None:
            continue
        axis, size = place
        rows = [
            look * entities * unit + entity * unit + one
            for look in range(size // unit)
            for one in range(unit)
        ]
        out.append(np.take(leaf, rows, axis=axis))
    return out


def same(one: list[Any], other: list[Any]) -> bool:
    pairs = zip(one, other, strict=True)
    return all(a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True) for a, b in pairs)


def test_a_batch_that_grows_keeps_every_entity_and_the_others_have_seen_nothing() -> None:
    old = filled_by_chance(3, seed=1)
    new = grown(plan().where, plan().units, old, plan().blank, 3, 7)
    wanted = leaves(fresh(7))
    assert [(one.shape, one.dtype) for one in leaves(new)] == [
        (one.shape, one.dtype) for one in wanted
    ]
    for entity in range(3):
        assert same(of_entity(new, entity, 7), of_entity(old, entity, 3))
    for entity in range(3, 7):
        assert same(of_entity(new, entity, 7), of_entity(fresh(7), entity, 7))


@pytest.mark.parametrize("which", [[True, False, True], [False, False, False], [True] * 3])
def test_entities_that_begin_anew_have_seen_nothing_and_the_others_stay(which: list[bool]) -> None:
    old = filled_by_chance(3, seed=2)
    before = to_bytes(old)
    new = renewed(plan().where, plan().units, old, plan().blank, np.array(which))
    for entity, anew in enumerate(which):
        wanted = fresh(3) if anew else old
        assert same(of_entity(new, entity, 3), of_entity(wanted, entity, 3))
    assert to_bytes(old) == before


def test_what_is_rare_and_the_seasons_stay_when_levels_begin_anew() -> None:
    old = filled_by_chance(2, seed=3)
    group = Group(
        owners=("one", "two"), names=((), ()), last=np.zeros(2, dtype=np.int64),
        heard=np.zeros((2, WIDTH), dtype=np.int64), seen=old,
        incident=stack_incident.init(np, 2),
    )  # fmt: skip
    which = np.array([False, True])
    new = BATCH._renewed(group, WIDTH, which).seen
    plain = renewed(plan().where, plan().units, old, plan().blank, which)
    rows = old.stack.rows
    kept = plain.stack.rows._replace(rates=rows.rates, reach=rows.reach, season=rows.season)
    assert to_bytes(new) == to_bytes(plain._replace(stack=plain.stack._replace(rows=kept)))
    assert to_bytes(new) != to_bytes(plain)
