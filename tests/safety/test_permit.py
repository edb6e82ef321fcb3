from dataclasses import replace

import pytest

from homeostat.base.actions import HOLD, ActionKind, Proposal, SafeSet
from homeostat.base.errors import UnsafeActionError
from homeostat.base.policy import Mode
from homeostat.safety.guard import guard
from homeostat.safety.permit import permit
from homeostat.testing import guard_scene as g

UP = g.scale(4)
BATCH = g.act(ActionKind.BATCH_UP, "pool:a", batch_max=16)
RESTART = g.restart("a-1")


def test_a_safe_set_sorts_candidates_by_the_guards_answers() -> None:
    state = g.scene(policy=replace(g.POLICY, auto_kinds=(ActionKind.SCALE_UP,)))
    safe = permit((UP, BATCH, RESTART, UP), state, g.NOW)
    assert safe.allowed == (HOLD, UP)
    assert safe.approvals == (BATCH,)
    assert [refusal.action for refusal in safe.refused] == [RESTART]
    assert safe.refused[0].reasons[0].startswith("G0 replica evidence")
    assert (safe.at, safe.policy_digest) == (g.NOW, state.managed.policy_digest)


def test_hold_is_in_every_safe_set_once() -> None:
    for candidates in ((), (HOLD,), (HOLD, RESTART, HOLD)):
        assert permit(candidates, g.scene(), g.NOW).allowed == (HOLD,)


def test_a_refused_action_cannot_be_proposed() -> None:
    safe = permit((RESTART,), g.scene(), g.NOW)
    with pytest.raises(UnsafeActionError):
        Proposal(action=RESTART, safe_set=safe, policy="test")


def test_what_only_equals_an_allowed_action_cannot_be_proposed() -> None:
    down = g.act(ActionKind.SHIFT_TRAFFIC, "pool:a", weight__b=1)
    disguised = g.act(ActionKind.SHIFT_TRAFFIC, "pool:a", weight__b=True)
    assert disguised == down
    safe = permit((down,), g.scene(), g.NOW)
    assert safe.holds(down)
    assert not safe.holds(disguised)
    with pytest.raises(UnsafeActionError):
        Proposal(action=disguised, safe_set=safe, policy="test")
    rungs = replace(down, ramp=(1.0,))
    assert not permit((rungs,), g.scene(), g.NOW).holds(replace(rungs, ramp=(True,)))


def test_nobody_else_can_build_a_safe_set() -> None:
    with pytest.raises(UnsafeActionError):
        SafeSet(
            allowed=(HOLD, RESTART),
            approvals=(),
            refused=(),
            at=g.NOW,
            policy_digest="",
            seal=object(),
        )


def test_a_shadow_refuses_with_the_mode_as_a_reason() -> None:
    state = replace(g.scene(), managed=g.managed(mode=Mode.SHADOW))
    safe = permit((BATCH,), state, g.NOW)
    assert safe.allowed == (HOLD,)
    assert safe.refused[0].reasons == (
        "G12 shadow: mode shadow: says what it would do, changes nothing",
    )


def test_a_senseless_candidate_or_state_is_refused_and_the_rest_stands() -> None:
    odd = replace(UP, change=(("replicas.a",),))  # type: ignore[arg-type]
    safe = permit((odd, BATCH), g.scene(), g.NOW)
    assert safe.allowed == (HOLD, BATCH)
    assert "cannot be judged" in safe.refused[0].reasons[0]
    broken = replace(g.scene(), fleet=None)  # type: ignore[arg-type]
    assert permit((BATCH,), broken, g.NOW).allowed == (HOLD,)
    unseen = replace(g.scene(), evidence=3)  # type: ignore[arg-type]
    assert permit((BATCH,), unseen, g.NOW).allowed == (HOLD,)


def test_permit_and_guard_never_disagree() -> None:
    for state in (g.scene(), g.hung(g.scene()), g.bad_release(g.scene())):
        for action in (UP, BATCH, RESTART, g.rollback()):
            safe = permit((action,), state, g.NOW)
            assert safe.holds(action) == (type(guard(action, state, g.NOW)).__name__ != "Deny")
