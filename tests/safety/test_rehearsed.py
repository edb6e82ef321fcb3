"""The twin's answer can only forbid: no answer makes the safe set larger than without it."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.base import names
from homeostat.base.actions import HOLD, Action, ActionKind, SafeSet
from homeostat.base.guard import GuardState
from homeostat.base.rehearsal import Rehearsal
from homeostat.base.units import SECOND
from homeostat.safety.permit import permit
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_rehearsals import rehearsal, twinned

ACTIONS = (
    g.scale(4),
    g.scale(5),
    g.scale(2, ActionKind.SCALE_DOWN),
    g.act(ActionKind.BATCH_UP, names.pool("a"), batch_max=16),
    g.act(ActionKind.BATCH_DOWN, names.pool("a"), batch_max=6),
    g.act(ActionKind.SHIFT_TRAFFIC, names.pool("a"), weight__b=2.0),
    g.act(ActionKind.SHIFT_TRAFFIC, names.pool("b"), weight__b=10.0),
    g.act(ActionKind.SHED_LOAD, names.GATEWAY, gateway_limit=100),
    g.act(ActionKind.RESIZE_DOWN, names.pool("a"), concurrency_max=12),
    g.act(ActionKind.RETRAIN, names.MODEL),
    g.restart("a-1"),
    g.drain("a-1"),
    g.rollback(),
)
SCENES = (
    g.scene(),
    g.hung(g.scene()),
    g.slow(g.scene()),
    g.bad_release(g.scene()),
    g.overload(g.scene()),
    g.missed(g.scene()),
    g.scene(spares=0),
)


def answers() -> st.SearchStrategy[Rehearsal | None]:
    asked = st.lists(st.sampled_from(ACTIONS), unique=True, max_size=len(ACTIONS))
    said = st.builds(
        lambda actions, breach, why, age_s: rehearsal(
            *actions, breach=breach, why=why, age_ns=round(age_s * SECOND)
        ),
        asked,
        st.floats(-1, 1),
        st.sampled_from(["", "it was never checked"]),
        st.floats(-5, 60),
    )
    return st.none() | said


def split(state: GuardState) -> SafeSet:
    return permit(ACTIONS, state, g.NOW)


@settings(max_examples=200)
@given(scene=st.sampled_from(SCENES), answer=answers())
def test_no_answer_of_the_twin_permits_what_is_not_permitted_without_it(
    scene: GuardState, answer: Rehearsal | None
) -> None:
    without, with_twin = split(scene), split(twinned(scene, answer))
    assert set(with_twin.allowed) <= set(without.allowed)
    assert set(with_twin.approvals) <= set(without.allowed) | set(without.approvals)
    assert HOLD in with_twin.allowed
    # Nor does an answer that is lying about change anything for a deployment without a twin.
    assert split(replace(scene, rehearsal=answer)).allowed == without.allowed


@pytest.mark.parametrize("scene", SCENES)
def test_an_untrusted_twin_leaves_layer_one_what_heals(scene: GuardState) -> None:
    doubt = rehearsal(*ACTIONS, why="it was never checked")
    kept = (g.restart("a-1"), g.drain("a-1"), g.rollback(), g.scale(4), g.scale(5))
    before, after = split(scene), split(twinned(scene, doubt))
    for action in kept:
        assert (action in before.allowed) == (action in after.allowed)
    for action in after.allowed:
        assert action.kind not in {ActionKind.SCALE_DOWN, ActionKind.RETRAIN}


def test_a_person_is_asked_where_the_twin_is_not_trusted_and_told_why() -> None:
    down: Action = ACTIONS[2]
    trusted = split(twinned(g.scene(), rehearsal(down)))
    doubted = split(twinned(g.scene(), rehearsal(down, why="it was never checked")))
    assert down in trusted.allowed
    assert down in doubted.approvals
