"""Facts about what leaves and what must be carried: each number worked out by hand."""

from dataclasses import replace

import pytest

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind
from homeostat.base.guard import GuardState, Load
from homeostat.base.intent import ActionState
from homeostat.base.units import MINUTE, TimeNs
from homeostat.base.world import ReplicaState
from homeostat.safety.change import bounds, change_of, leaving, replicas_delta
from homeostat.safety.facts import facts
from homeostat.safety.sight import look
from homeostat.safety.tree import Value
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_cases import flying, policy, used

K = ActionKind
BATCH = g.act(K.BATCH_UP, names.pool("a"), batch_max=16)
DOWN = g.scale(2, K.SCALE_DOWN)
SHIFT = g.act(K.SHIFT_TRAFFIC, names.pool("b"), weight__b=50.0)


def fact(name: str, state: GuardState, action: Action = BATCH, *, undo: bool = False) -> Value:
    return facts(action, look(state, g.NOW), undo=undo)[name]


@pytest.mark.parametrize(
    ("share", "after", "spare"), [(0.4, 600, 1200), (0.401, 602, 1203), (0.0, 0, 0)]
)
def test_what_remains_carries_what_all_carried(share: float, after: int, spare: int) -> None:
    """Three at that load, two left; then with one more lost, a single one."""
    state = used(g.scene(), share)
    assert fact("util_after_milli", state, DOWN) == after
    assert fact("util_spare_milli", state, DOWN) == spare


def test_of_one_that_remains_its_own_load_counts() -> None:
    state = used(g.scene(2), 0.3)
    down = g.scale(1, K.SCALE_DOWN)
    assert fact("util_after_milli", state, down) == 600
    assert fact("util_spare_milli", state, down) == 600
    assert fact("util_after_milli", state, g.scale(0, K.SCALE_DOWN)) is None


def test_the_most_of_what_was_watched_counts_and_since_when() -> None:
    loads = tuple(
        Load(pool="a", since=TimeNs(g.NOW - ago), until=g.NOW, milli=milli)
        for ago, milli in ((3 * MINUTE, 900), (2 * MINUTE, 2001), (MINUTE, 5))
    )
    state = replace(used(g.scene(4), 0.1), loads=loads)
    down = g.scale(3, K.SCALE_DOWN)
    assert fact("watched_ms", state, down) == 180_000
    assert fact("util_spare_milli", state, down) == 1001
    assert fact("util_after_milli", state, down) == 134
    other = g.act(K.SCALE_DOWN, names.pool("b"), replicas__b=0)
    assert fact("watched_ms", state, other) is None


def test_a_load_that_makes_no_sense_is_unknown() -> None:
    assert fact("util_after_milli", used(g.scene(), -0.1), DOWN) is None
    blind = g.without(g.scene(), [("pool:a", names.UTILISATION)])
    assert fact("util_after_milli", blind, DOWN) is None
    paired = policy(blind, evidence_rules=False)
    assert fact("util_after_milli", paired, DOWN) == 0


def test_traffic_that_is_shifted_is_carried_by_whom_it_goes_to() -> None:
    # a: 3 at 0.2, b: 1 at 0.2, together 0.8 of a replica; half of it for the one of b.
    assert fact("util_after_milli", g.scene(), SHIFT) == 400
    assert fact("growing_clean", g.scene(), SHIFT) is True
    less = g.act(K.SHIFT_TRAFFIC, names.pool("a"), weight__b=1.0)
    assert fact("util_after_milli", g.scene(), less) == 264  # 99 % of 800 over three
    assert fact("to_new", g.scene(), less) is True
    assert fact("to_new", g.scene(), SHIFT) is False
    same = g.act(K.SHIFT_TRAFFIC, names.pool("b"), weight__b=5.0)
    assert fact("util_after_milli", g.scene(), same) == 0
    assert fact("to_new", g.scene(), same) is False
    assert fact("to_new", replace(g.scene(), world=None), SHIFT) is None
    none = g.with_slot(g.scene(), "b-1", ReplicaState.STARTING)
    assert fact("util_after_milli", none, SHIFT) is None


def test_a_pool_that_serves_and_is_not_seen_leaves_the_load_unknown() -> None:
    blind = g.without(g.scene(), [("pool:a", names.UTILISATION)])
    assert fact("util_after_milli", blind, SHIFT) is None
    idle = g.with_levers(g.scene(), weight__b=0.0)
    unseen = g.without(idle, [("pool:b", names.UTILISATION)])
    assert fact("util_after_milli", unseen, SHIFT) == 300  # 600 of a's, half of it


@pytest.mark.parametrize(
    ("wanted", "after"), [(8, 400), (12, 267), (15, 214), (16, 200), (32, 200)]
)
def test_smaller_replicas_are_busier_by_as_much(wanted: int, after: int) -> None:
    resize = g.act(K.RESIZE_DOWN, names.pool("a"), concurrency_max=wanted)
    assert fact("util_after_milli", g.scene(), resize) == after


@pytest.mark.parametrize(("wanted", "after"), [(4, 400), (6, 267), (1, 1600), (8, 200)])
def test_smaller_batches_serve_fewer_at_worst_by_as_much(wanted: int, after: int) -> None:
    less = g.act(K.BATCH_DOWN, names.pool("a"), batch_max=wanted)
    assert fact("util_after_milli", g.scene(), less) == after
    both = g.act(K.BATCH_DOWN, names.pool("a"), batch_max=wanted, batch_wait_ms=1.0)
    assert fact("util_after_milli", g.scene(), both) == after
    assert (
        fact("util_after_milli", g.scene(), g.act(K.BATCH_UP, names.pool("a"), batch_max=16))
        is None
    )


def test_replicas_of_no_size_are_unknown() -> None:
    for wanted in (0, -1, "few", float("nan")):
        resize = g.act(K.RESIZE_DOWN, names.pool("a"), concurrency_max=wanted)
        assert fact("util_after_milli", g.scene(), resize) is None
    resize = g.act(K.RESIZE_DOWN, names.pool("a"), concurrency_max=8)
    for live in (0, -3):
        state = g.with_levers(g.scene(), concurrency_max=live)
        assert fact("util_after_milli", state, resize) is None
    busier = g.told(g.scene(), g.reading("pool:b", names.UTILISATION, 0.3))
    assert fact("util_after_milli", busier, resize) == 600


def rotation(state: GuardState, action: Action, *, undo: bool = False) -> tuple[Value, ...]:
    record = facts(action, look(state, g.NOW), undo=undo)
    return tuple(record[name] for name in ("taken", "left", "left_in_pool", "disturbed"))


def test_who_leaves_rotation_and_who_stays() -> None:
    bare = g.scene(spares=0)
    assert rotation(bare, DOWN) == (1, 2, 2, 1)
    assert rotation(bare, g.scale(0, K.SCALE_DOWN)) == (3, 0, 0, 3)
    assert rotation(bare, g.scale(4)) == (0, 3, 3, 0)
    assert rotation(bare, g.drain("a-1")) == (1, 2, 2, 1)
    assert rotation(bare, g.drain("b-1")) == (1, 3, 0, 1)
    assert rotation(bare, g.restart("a-1")) == (1, 2, 2, 1)
    assert rotation(g.scene(spares=1), g.restart("a-1")) == (0, 3, 3, 1)
    assert rotation(g.scene(spares=1), g.drain("a-1")) == (1, 2, 2, 1)
    assert rotation(bare, g.rollback()) == (0, 4, 4, 1)
    assert rotation(bare, BATCH) == (0, 4, 4, 0)
    assert rotation(g.hung(bare), g.restart("a-1")) == (0, 2, 2, 1)
    assert rotation(replace(bare, world=None), DOWN) == (None,) * 4


def test_what_an_action_claims_to_touch_can_only_add() -> None:
    many = replace(g.restart("a-1"), replicas_touched=3)
    assert rotation(g.scene(spares=0), many)[3] == 3
    out = g.with_slot(g.scene(spares=0), "a-1", ReplicaState.DRAINING)
    none = replace(g.restart("a-1"), replicas_touched=0)
    assert rotation(out, none) == (0, 2, 2, 1)
    assert rotation(g.scene(spares=0), replace(g.scale(4), replicas_touched=9))[3] == 0


def test_an_undo_takes_no_more_than_may_serve() -> None:
    grown = flying(
        g.with_levers(g.scene(6, spares=0), replicas__a=6), g.scale(6),
        ActionState.ROLLING_BACK, pre=(("replicas.a", 3),),
    )  # fmt: skip
    assert rotation(grown, g.scale(6), undo=True) == (3, 3, 3, 3)
    for number in (2, 3, 4, 5, 6):
        grown = g.with_slot(grown, f"a-{number}", ReplicaState.STARTING)
    assert rotation(grown, g.scale(6), undo=True)[0] == 1
    more = g.with_levers(grown, replicas__a=7)
    assert rotation(more, g.scale(6), undo=True)[0] == 2, "one is counted and not shown"
    gone = g.with_slot(grown, "a-1", ReplicaState.GONE)
    assert rotation(gone, g.scale(6), undo=True)[0] == 0
    crowd = flying(
        g.with_levers(g.scene(6, spares=0), replicas__a=1001), g.scale(1001),
        ActionState.ROLLING_BACK, pre=(("replicas.a", 0),),
    )  # fmt: skip
    assert rotation(crowd, g.scale(1001), undo=True)[0] == 1001


def test_a_slot_that_is_put_back_leaves_nothing() -> None:
    sight = look(g.with_levers(g.scene(), **{"drained__a-1": 1}), g.NOW)
    back = replace(g.restart("a-1"), change=(("drained.a-1", 0), ("incarnation.a-1", 1)))
    found = leaving(change_of(back, sight, undo=False), sight)
    assert found == (frozenset(), 0, "a")
    anew = replace(back, change=(("drained.a-1", 0), ("incarnation.a-1", 2)))
    assert leaving(change_of(anew, sight, undo=False), sight) == (frozenset({"a-1"}), 0, "a")


def test_replicas_are_counted_over_all_pools_that_change() -> None:
    sight = look(g.scene(), g.NOW)
    both = g.act(K.SCALE_UP, names.pool("a"), replicas__a=5, replicas__b=0)
    assert replicas_delta(change_of(both, sight, undo=False)) == 1


def limited(action: Action, **levers: float) -> tuple[Value, ...]:
    sight = look(g.with_levers(g.scene(), **levers), g.NOW)
    found = bounds(change_of(action, sight, undo=False), sight)
    return found.limited, found.excess_milli, found.step_milli


@pytest.mark.parametrize(
    ("live", "wanted", "excess", "step"),
    [
        (8, 16, 0, 0),
        (8, 17, 0, 1000),
        (8, 4, 0, 0),
        (8, 3, 0, 1000),
        (40, 64, 0, 0),
        (40, 65, 1000, 0),
        (40, 0, 1000, 20_000),
        (70, 67, 0, 0),
        (70, 71, 7000, 0),
        (70, 70, 6000, 0),
        (1, 2, 0, 0),
        (1, 3, 0, 1000),
    ],
)
def test_bounds_and_steps_by_hand(live: int, wanted: int, excess: int, step: int) -> None:
    """From 1 to 64, twice as much at a time or half, and one is always a step."""
    batch = g.act(K.BATCH_UP, names.pool("a"), batch_max=wanted)
    assert limited(batch, batch_max=live) == (True, excess, step)


@pytest.mark.parametrize(
    ("size", "wait", "excess", "step"),
    [(65, 6.0, 1000, 1000), (16, 101.0, 1000, 91_000), (65, 103.0, 3000, 93_000)],
)
def test_the_worst_lever_speaks_for_all(size: int, wait: float, excess: int, step: int) -> None:
    both = g.act(K.BATCH_UP, names.pool("a"), batch_max=size, batch_wait_ms=wait)
    assert limited(both, batch_max=32, batch_wait_ms=5.0) == (True, excess, step)


def test_a_limit_at_the_gateway_may_be_taken_away_and_set_from_none() -> None:
    def shed(wanted: int) -> Action:
        return g.act(K.SHED_LOAD, names.GATEWAY, gateway_limit=wanted)

    assert limited(shed(0), gateway_limit=100) == (True, 0, 0)
    assert limited(shed(100), gateway_limit=0) == (True, 0, 0)
    assert limited(shed(4), gateway_limit=0) == (True, 4000, 0)
    assert limited(shed(4), gateway_limit=100) == (True, 4000, 71_000)
    assert limited(shed(75), gateway_limit=100) == (True, 0, 0)
    assert limited(shed(74), gateway_limit=100) == (True, 0, 1000)


def test_a_share_beyond_the_ramps_next_rung_is_a_step_too_far() -> None:
    ramp = replace(SHIFT, ramp=(20.0, 40.0, 50.0))
    assert limited(ramp, weight__b=16.0) == (True, 0, 0), "the fallback may have it all at once"
    other = g.act(K.SHIFT_TRAFFIC, names.pool("c"), weight__c=50.0)
    ramped = replace(other, ramp=(20.0, 40.0, 50.0))
    assert limited(ramped, weight__c=16.0) == (True, 0, 0)
    assert limited(ramped, weight__c=4.0) == (True, 0, 12_000)
    assert limited(other, weight__c=16.0) == (True, 0, 18_000)
