"""The arm `ppo`: ranks what others permit, says nothing blind, and is told only what is known."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base import names
from homeostat.base.actions import HOLD, Action, ActionKind
from homeostat.base.evidence import Quality
from homeostat.base.guard import GuardState
from homeostat.base.learning import Liked, Watched
from homeostat.base.policy import AdaptivePolicy, LeverLimit
from homeostat.base.world import ReplicaState
from homeostat.detect.charted import charted
from homeostat.policy.runbook import ESCALATE
from homeostat.policy.seat_trained import like
from homeostat.policy.trained_menu import MENU, line
from homeostat.policy.trained_numbers import NEVER, NUMBERS, numbers, observation
from homeostat.policy.trained_watch import watched
from homeostat.safety.permit import permit
from homeostat.testing import guard_scene as g

POLICY = AdaptivePolicy(arms=("hold", "twin", "ppo"), snapshot="12345678" * 8)
LATELY = Watched(fast=math.log(100.0), slow=math.log(100.0), jobs=16.0)
LEARNT = frozenset({
    "batch_down", "batch_up", "restart_replica", "rollback", "scale_down", "scale_up",
    "shed_load", "shift_traffic",
})  # fmt: skip
BATCH = g.act(ActionKind.BATCH_UP, names.pool("a"), batch_max=16)
UP = g.scale(4)
SHIFT = replace(
    g.act(ActionKind.SHIFT_TRAFFIC, names.pool("b"), weight__b=100.0), ramp=(25.0, 50.0, 100.0)
)
RETRAIN = Action(kind=ActionKind.RETRAIN, subject=names.MODEL)
NAMED = (BATCH, UP, SHIFT, RETRAIN, ESCALATE)


class Fixed:
    """A policy with one opinion."""

    digest = POLICY.snapshot
    granted = LEARNT

    def __init__(self, **opinions: float) -> None:
        self.opinions, self.told = opinions, list[float]()

    def logits(self, told: Sequence[float]) -> list[float]:
        self.told = list(told)
        return [self.opinions.get(name, 0.0) for name in MENU]


def scene() -> GuardState:
    state = g.bad_release(g.scene())
    return replace(state, managed=replace(state.managed, adaptive=POLICY))


def asked(
    policy: Fixed | None, state: GuardState | None = None, incumbent: Action = RETRAIN
) -> Liked:
    seen = scene() if state is None else state
    permitted = permit(NAMED, seen, g.NOW)
    return like(incumbent, seen, permitted, LATELY, g.NOW, find=lambda _: policy)


def test_what_it_likes_best_is_offered_and_how_much_it_likes_each_is_said() -> None:
    found = asked(Fixed(scale_up_a=2.0, batch_up=1.0))
    assert [(one.arm, one.action) for one in found.offers] == [("ppo", UP)]
    assert found.said.startswith("ppo 12345678 likes scale_up pool:a ")
    assert found.said.index("scale_up") < found.said.index("batch_up") < found.said.index("hold")
    assert "retrain" not in found.said  # it was never let do that
    assert "escalate" not in found.said


def test_a_shift_is_offered_rung_by_rung_as_the_twins_is() -> None:
    found = asked(Fixed(shift_to_b=5.0))
    assert [one.action.change[0][1] for one in found.offers] == [25.0, 50.0, 100.0]
    assert all(one.whole == SHIFT for one in found.offers[:-1])
    assert [one.fraction for one in found.offers] == sorted(one.fraction for one in found.offers)


def test_liking_to_hold_it_offers_nothing_since_holding_is_an_arm_that_is_counted() -> None:
    found = asked(Fixed(hold=3.0))
    assert found.offers == ()
    assert found.said.startswith("ppo 12345678 likes hold ")


def test_what_the_runbook_does_anyway_is_no_offer() -> None:
    assert asked(Fixed(scale_up_a=3.0), incumbent=UP).offers == ()


def test_what_the_guards_refuse_is_passed_over_for_the_next() -> None:
    state = scene()
    full = (LeverLimit(lever="replicas.", low=1.0, high=3.0), *state.managed.guard.limits[1:])
    guard = replace(state.managed.guard, limits=full)
    full_up = replace(state, managed=replace(state.managed, guard=guard))
    found = asked(Fixed(scale_up_a=9.0, batch_up=5.0), full_up)
    assert [one.action for one in found.offers] == [BATCH]
    assert "scale_up" not in found.said


@pytest.mark.parametrize("signal", [names.ARRIVAL_RATE, names.ERROR_RATIO, names.LATENCY_P95])
def test_blind_it_says_nothing(signal: str) -> None:
    state = scene()
    assert state.evidence is not None
    left = tuple(
        replace(one, value=None, quality=Quality.MISSING)
        if (one.subject, one.signal) == (names.GATEWAY, signal)
        else one
        for one in state.evidence.readings
    )
    blind = replace(state, evidence=replace(state.evidence, readings=left))
    found = asked(Fixed(batch_up=9.0), blind)
    assert found.offers == ()
    assert found.said.startswith("ppo 12345678 says nothing: ")
    assert found.said.endswith("not known")


def test_a_snapshot_that_is_not_here_says_nothing() -> None:
    assert asked(None) == Liked(said="ppo says nothing: there is no snapshot 12345678")


@given(
    opinions=st.lists(st.floats(-50, 50), min_size=len(MENU), max_size=len(MENU)),
    which=st.sets(st.sampled_from(NAMED)),
    incumbent=st.sampled_from(NAMED),
)
def test_nothing_is_ever_offered_but_what_was_named_permitted_and_learnt(
    opinions: list[float], which: set[Action], incumbent: Action
) -> None:
    state = scene()
    permitted = permit([one for one in NAMED if one in which], state, g.NOW)
    policy = Fixed(**dict(zip(MENU, opinions, strict=True)))
    found = like(incumbent, state, permitted, LATELY, g.NOW, find=lambda _: policy)
    assert "likes" in found.said
    for one in found.offers:
        whole = one.whole or one.action
        assert whole in which
        assert permitted.holds(whole)
        assert whole.kind.value in LEARNT
        assert not whole.is_passive
        assert one.action != incumbent
        assert one.arm == "ppo"


def test_an_action_is_the_line_of_the_menu_that_training_called_so() -> None:
    managed = scene().managed
    lines = {
        HOLD: "hold", BATCH: "batch_up", UP: "scale_up_a", SHIFT: "shift_to_b",
        RETRAIN: "retrain", ESCALATE: None,
        g.act(ActionKind.SCALE_DOWN, names.pool("b"), replicas__b=0): "scale_down_b",
        g.act(ActionKind.SCALE_UP, names.pool("c"), replicas__c=2): None,
        g.act(ActionKind.ROLLBACK, names.pool("b"), version__b="v0"): None,
        g.act(ActionKind.SHED_LOAD, names.GATEWAY, gateway_limit=40): "shed_load",
        g.act(ActionKind.SHED_LOAD, names.GATEWAY, gateway_limit=0): "admit_all",
        g.drain("a-1"): "drain_replica",
        g.restart("a-1"): "restart_replica",
    }  # fmt: skip
    assert {action: line(action, managed) for action in lines} == lines


def test_what_is_not_known_is_zero_with_its_bit_and_a_known_zero_is_not() -> None:
    told = observation(numbers(scene(), Watched(), g.NOW))
    known = dict(zip(NUMBERS, told[len(NUMBERS) :], strict=True))
    value = dict(zip(NUMBERS, told[: len(NUMBERS)], strict=True))
    assert (known["errors"], known["p50"], value["p50"]) == (1.0, 0.0, 0.0)
    assert all((known[name], value[name]) == (0.0, 0.0) for name in NEVER)
    assert known["arrivals"] == 0.0  # nothing is remembered of load yet
    bare = replace(scene(), evidence=None)
    assert not observation(numbers(bare, Watched(), g.NOW)).any()


ODD = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([-1.0, 0.0, 1e308]))


@given(values=st.lists(ODD, min_size=40, max_size=40), low=st.sampled_from([0.0, 1.0, math.inf]))
def test_whatever_is_read_the_numbers_are_in_bounds_and_the_bits_are_bits(
    values: list[float], low: float
) -> None:
    state = scene()
    assert state.evidence is not None
    odd = iter(values * 4)
    readings = tuple(replace(one, value=next(odd)) for one in state.evidence.readings)
    spoilt = replace(state.evidence, readings=readings, slo_met=None)
    limits = tuple(replace(one, high=low) for one in state.managed.guard.limits)
    managed = replace(state.managed, guard=replace(state.managed.guard, limits=limits))
    memory: Watched | None = None
    for _ in range(3):
        memory = watched(memory, spoilt, managed, charted)
    assert memory is not None
    seen = replace(state, evidence=spoilt, managed=managed)
    told = observation(numbers(seen, memory, g.NOW))
    size = len(NUMBERS)
    assert ((told >= -1.0) & (told <= 1.0)).all()
    assert set(told[size:].tolist()) <= {0.0, 1.0}
    assert not told[:size][told[size:] == 0.0].any()


def test_calm_and_the_means_are_remembered_and_an_unread_tick_moves_no_mean() -> None:
    state = scene()
    assert state.evidence is not None
    well = replace(state.evidence, slo_met=True)
    first = watched(None, well, state.managed, charted)
    again = watched(first, well, state.managed, charted)
    assert (first.calm, again.calm) == (1, 2)
    assert first.fast == first.slow == pytest.approx(math.log(100.0), abs=1e-6)
    assert first.jobs == 16.0
    blind = watched(again, replace(well, world=None, slo_met=None), state.managed, charted)
    assert (blind.fast, blind.slow, blind.calm, blind.jobs) == (again.fast, again.slow, 0, 16.0)
    assert len(blind.charts) == len(first.charts) == 200


def test_what_starts_or_is_gone_is_counted_as_such() -> None:
    state = scene()
    assert state.evidence is not None
    assert state.world is not None
    slots: list[Any] = list(state.world.replicas)
    slots[0] = replace(slots[0], state=ReplicaState.STARTING)
    world = replace(state.world, replicas=tuple(slots))
    found = numbers(replace(state, evidence=replace(state.evidence, world=world)), Watched(), g.NOW)
    assert found["pending"] == pytest.approx(2.0 / 200.0 - 1.0)
