"""Which changes of a setting go to some replicas first, and when that is not known."""

from dataclasses import replace

import pytest

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind
from homeostat.base.guard import Deny, GuardState
from homeostat.base.intent import ActionState, Proof
from homeostat.base.policy import CanaryPolicy
from homeostat.safety.change import change_of
from homeostat.safety.guard import guard
from homeostat.safety.one_first import one_first
from homeostat.safety.room import room
from homeostat.safety.sight import look
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_cases import record
from homeostat.testing.guard_lately import replaced

BATCH = names.BATCH_MAX


def state(**own: float | None) -> GuardState:
    """Return four replicas, none with a batch of its own but for what is said; None = untold."""
    values = {f"a-{n}": own.get(f"a{n}", 0) for n in range(1, 5)} | {"b-1": own.get("b1", 0)}
    told = {names.lever_own(BATCH, slot): v for slot, v in values.items() if v is not None}
    found = g.with_levers(g.scene(4), **told)
    return replace(found, managed=replace(found.managed, canary=CanaryPolicy(pool="c")))


def staged(*slots: str, to: int = 16) -> Action:
    own = tuple((names.lever_own(BATCH, slot), 0) for slot in slots)
    plain = g.act(ActionKind.BATCH_UP, names.pool("a"), batch_max=to)
    return replace(plain, change=tuple(sorted((*plain.change, *own))), beside="a")


def said(action: Action, seen: GuardState) -> bool | None:
    return one_first(action, look(seen, g.NOW), None)


def test_half_of_the_replicas_may_have_it_first_and_what_they_had_is_theirs() -> None:
    assert said(staged("a-1", "a-2"), state()) is True
    assert said(staged("a-1", "a-2"), state(a1=4, a2=8)) is True
    assert said(staged("a-1", "a-2", "a-3"), state()) is False


@pytest.mark.parametrize("other", [{"a3": 4}, {"a3": 16}, {"a4": None}, {"b1": 4}])
def test_nothing_is_tried_while_another_replica_has_or_may_have_a_value_of_its_own(
    other: dict[str, float | None],
) -> None:
    """It would be counted to the rest; and the setting of all would end it, for good."""
    assert said(staged("a-1", "a-2"), state(**other)) is False
    answer = guard(staged("a-1", "a-2"), state(**other), g.NOW)
    assert isinstance(answer, Deny)
    assert [one for one in answer.reasons if one.startswith("G2 one first")]


def test_all_at_once_is_denied_where_some_could_and_not_known_where_some_are_not_told() -> None:
    plain = g.act(ActionKind.BATCH_UP, names.pool("a"), batch_max=16)
    assert said(plain, state()) is False
    assert said(plain, state(a3=None)) is None
    assert said(plain, state(a1=None, a2=None, a3=None, a4=None)) is None, "b-1's is told"
    assert said(plain, state(a1=None, a2=None, a3=None, a4=None, b1=None)) is True


@pytest.mark.parametrize(("other", "known"), [
    ({}, True), ({"a3": 4}, False), ({"b1": 16}, False), ({"a4": None}, None), ({"b1": None}, None),
    ({"a1": float("nan")}, False), ({"a1": 4, "a4": None}, False),
])  # fmt: skip
def test_what_goes_to_all_at_once_ends_nobodys_own_value_whyever_it_may(
    other: dict[str, float | None],
    known: bool | None,  # noqa: FBT001
) -> None:
    """No undo of ours restores what somebody else gave one replica: it was never read as ours."""
    plain, seen = g.act(ActionKind.BATCH_UP, names.pool("a"), batch_max=16), state(**other)
    uncompared = replace(seen, managed=replace(seen.managed, canary=None))
    assert said(plain, uncompared) is known
    for what in (uncompared, replaced(seen, 16), replaced(uncompared, 16)):
        answer = guard(plain, what, g.NOW)
        reasons = answer.reasons if isinstance(answer, Deny) else ()
        assert any(one.startswith("G2 one first") for one in reasons) is (known is not True)


def test_where_another_pools_replica_is_not_told_nothing_is_tried() -> None:
    assert said(staged("a-1", "a-2"), state(b1=None)) is False


@pytest.mark.parametrize(("own", "promised_ms", "fits"), [
    ({}, 239.0, False), ({}, 241.0, True), ({"a2": 12}, 239.0, False), ({"a2": 12}, 241.0, True),
])  # fmt: skip
def test_a_batch_is_judged_by_the_replica_that_it_grows_most_for(
    own: dict[str, float | None],
    promised_ms: float,
    fits: bool,  # noqa: FBT001
) -> None:
    """From 8 to 16 it takes twice as long, whatever else grows from 12."""
    seen = state(**own)
    objective = replace(seen.managed.objective, latency_p95_ms=promised_ms)
    seen = replace(seen, managed=replace(seen.managed, objective=objective))
    slots = [names.replica(f"a-{n}") for n in range(1, 5)]
    seen = g.told(seen, *(g.reading(slot, names.DEVICE_TIME, 60.0) for slot in slots))
    answer = guard(staged("a-1", "a-2"), seen, g.NOW)
    reasons = answer.reasons if isinstance(answer, Deny) else ()
    assert any(one.startswith("G7 room for the batch") for one in reasons) is not fits


@pytest.mark.parametrize(("own", "more"), [({}, True), ({"a2": 12}, False)])
def test_a_smaller_batch_serves_more_only_where_it_does_on_every_replica(
    own: dict[str, float | None],
    more: bool,  # noqa: FBT001
) -> None:
    """Half of the work is done again: from 8 to 6 is worth it, from 12 to 6 is not."""
    slots = [names.replica(f"a-{n}") for n in range(1, 5)]
    seen = g.told(state(**own), *(g.reading(s, names.PREEMPTION_RATIO, 0.5) for s in slots))
    down = replace(staged("a-1", "a-2", to=6), kind=ActionKind.BATCH_DOWN)
    sight = look(seen, g.NOW)
    assert room(down, change_of(down, sight, undo=False), sight)["serves_more"] is more


@pytest.mark.parametrize("proof", list(Proof))
def test_in_flight_the_first_write_is_permitted_and_the_second_on_a_proof_alone(
    proof: Proof,
) -> None:
    whole = staged("a-1", "a-2")
    own = replace(record(whole, ActionState.INTENT), proof=proof)
    seen = look(replace(state(), in_flight=own), g.NOW)
    assert one_first(replace(whole, change=whole.first), seen, own) is True
    proven = proof in {Proof.CERTIFIED, Proof.UNPROVEN}
    assert one_first(whole, seen, own) is proven
    other = replace(whole, change=((names.lever_own(BATCH, "a-3"), 16),))
    assert one_first(other, seen, own) is False, "neither of its two writes"
