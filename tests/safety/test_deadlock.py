"""The guards must never be a trap: at every fleet size the right remedy stays permitted."""

from dataclasses import replace

import pytest

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind, UndoKind
from homeostat.base.decisions import Effect
from homeostat.base.events import FleetView
from homeostat.base.evidence import Family
from homeostat.base.guard import Allow, Deny, GuardState, NeedApproval, PastAction
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import ReplicaState
from homeostat.safety.guard import guard
from homeostat.testing import guard_scene as g

K = ActionKind
SIZES = (1, 2, 5, 100)


def just_acted(state: GuardState) -> GuardState:
    """Return the state right after another action, with the hour's rate used up."""
    done = tuple(
        PastAction(
            id=f"d-{number}",
            kind=K.BATCH_UP,
            subject="pool:a",
            at=TimeNs(g.NOW - SECOND // 10),
            effect=Effect.HELPED,
        )
        for number in range(6)
    )
    return replace(state, past=done)


def at_the_floor(state: GuardState, size: int) -> GuardState:
    policy = replace(state.managed.guard, min_replicas=max(2, size))
    return replace(state, managed=replace(state.managed, guard=policy))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("fallback", [0, 1])
@pytest.mark.parametrize("spares", [0, 1])
def test_a_proven_failing_replica_can_always_be_restarted(
    size: int, fallback: int, spares: int
) -> None:
    base = g.scene(size, fallback=fallback, spares=spares)
    for ill in (g.hung(base), g.with_slot(base, "a-1", ReplicaState.GONE)):
        for state in (ill, just_acted(ill), at_the_floor(just_acted(ill), size)):
            assert guard(g.restart("a-1"), state, g.NOW) == Allow()


@pytest.mark.parametrize("size", SIZES)
def test_a_slow_or_leaking_replica_can_be_restarted_when_a_spare_is_ready(size: int) -> None:
    for family in (Family.REPLICA, Family.MEMORY, Family.DEVICE_MEMORY):
        ill = at_the_floor(g.slow(g.scene(size), family=family), size)
        assert guard(g.restart("a-1"), ill, g.NOW) == Allow()


@pytest.mark.parametrize("size", SIZES)
def test_without_a_spare_capacity_comes_first_and_then_the_restart(size: int) -> None:
    base = at_the_floor(g.slow(g.scene(size, spares=0)), size)
    base = replace(base, past=just_acted(base).past[:1])
    grown = size
    while isinstance(guard(g.restart("a-1"), grow(base, grown), COOL), Deny):
        assert guard(g.scale(grown + 1), at_now(grow(base, grown)), g.NOW) == Allow()
        grown += 1
        assert grown <= size + 2


COOL = TimeNs(g.NOW + 60 * SECOND)


def at_now(state: GuardState) -> GuardState:
    assert state.evidence is not None
    assert state.world is not None
    return replace(
        state,
        evidence=replace(state.evidence, at=g.NOW),
        world=replace(state.world, observed_at=g.NOW),
    )


def grow(state: GuardState, size: int) -> GuardState:
    """Return the state after scaling to `size`, a minute later."""
    bigger = g.slow(g.scene(size, spares=0))
    assert bigger.evidence is not None
    assert bigger.world is not None
    return replace(
        bigger,
        managed=state.managed,
        past=state.past,
        evidence=replace(bigger.evidence, at=COOL),
        world=replace(bigger.world, observed_at=COOL),
    )


@pytest.mark.parametrize("size", SIZES)
def test_a_bad_release_can_always_be_rolled_back(size: int) -> None:
    ill = g.bad_release(g.scene(size, spares=0))
    for state in (ill, just_acted(ill), at_the_floor(just_acted(ill), size)):
        assert guard(g.rollback(), state, g.NOW) == Allow()


@pytest.mark.parametrize("size", SIZES)
def test_one_replica_can_always_be_added_under_overload(size: int) -> None:
    ill = g.overload(g.scene(size, spares=0))
    blind = replace(ill, evidence=None)
    for state in (ill, just_acted(ill), at_the_floor(just_acted(ill), size), just_acted(blind)):
        assert guard(g.scale(size + 1), state, g.NOW) == Allow()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "action",
    [
        g.act(K.BATCH_UP, "pool:a", batch_max=16),
        g.act(K.SHED_LOAD, names.GATEWAY, gateway_limit=100),
        g.act(K.RESIZE_UP, "pool:a", concurrency_max=32),
    ],
    ids=lambda action: str(action.kind),
)
def test_overload_and_misconfigured_batching_have_their_remedies(size: int, action: Action) -> None:
    assert guard(action, at_the_floor(g.overload(g.scene(size)), size), g.NOW) == Allow()


@pytest.mark.parametrize("targets", SIZES)
def test_one_ill_deployment_of_a_fleet_of_any_size_is_healed(targets: int) -> None:
    fleet = FleetView(targets=targets, replicas=4 * targets, anomalous=1, actions_last_hour=20)
    for ill, action in (
        (g.hung(g.scene()), g.restart("a-1")),
        (g.bad_release(g.scene()), g.rollback()),
        (g.overload(g.scene()), g.scale(4)),
    ):
        assert guard(action, replace(just_acted(ill), fleet=fleet), g.NOW) == Allow()


def test_reasons_name_the_guard_the_value_and_the_limit() -> None:
    past = (
        PastAction(
            id="d-1",
            kind=K.RESTART_REPLICA,
            subject="replica:a-2",
            at=TimeNs(g.NOW - 12 * SECOND),
        ),
    )
    hot = replace(g.scene(), past=past)
    answer = guard(g.act(K.BATCH_UP, "pool:a", batch_max=16), hot, g.NOW)
    assert answer == Deny(reasons=("G3 cooldown: 12 s of 20 s since restart_replica replica:a-2",))
    blind = g.without(g.scene(), [("pool:a", names.UTILISATION)])
    answer = guard(g.scale(2, K.SCALE_DOWN), blind, g.NOW)
    assert answer == Deny(
        reasons=(
            "G7 capacity: predicted utilisation unknown, allowed 0.8; not known: util_after_milli",
            (
                "G7 one to spare: predicted utilisation unknown at the most load seen and with one "
                "more lost, allowed 0.8; not known: util_spare_milli"
            ),
        )
    )


def test_a_question_without_a_time_to_live_is_no_question() -> None:
    policy = replace(g.POLICY, approval_ttl_scrapes=0.0)
    state = g.scene(policy=policy)
    gone = replace(g.act(K.BATCH_UP, "pool:a", batch_max=16), undo=UndoKind.NONE)
    answer = guard(gone, state, g.NOW)
    assert isinstance(answer, Deny)
    assert answer.reasons[0].startswith("G13 approval")


def test_a_question_lives_as_long_as_the_policy_says() -> None:
    gone = replace(g.act(K.BATCH_UP, "pool:a", batch_max=16), undo=UndoKind.NONE)
    answer = guard(gone, g.scene(), g.NOW)
    assert isinstance(answer, NeedApproval)
    assert answer.ttl_ns == 60 * SECOND
