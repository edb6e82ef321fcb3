"""What candidates share of one look changes no fact of any of them."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.base import names
from homeostat.base.actions import HOLD, ActionKind
from homeostat.base.evidence import Verdict
from homeostat.base.guard import GuardState
from homeostat.base.world import ReplicaState
from homeostat.safety.facts import facts
from homeostat.safety.permit import permit
from homeostat.safety.sight import look
from homeostat.testing import guard_scene as g

K = ActionKind
ACTIONS = (
    g.restart("a-1"),
    g.restart("b-1"),
    g.restart("nobody"),
    g.drain("a-2"),
    g.rollback(),
    g.scale(4),
    g.scale(2, K.SCALE_DOWN),
    g.act(K.SCALE_UP, "pool:new", replicas__new=2),
    g.act(K.BATCH_UP, "pool:a", batch_max=16),
    g.act(K.RESIZE_DOWN, "pool:a", concurrency_max=12),
    g.act(K.SHIFT_TRAFFIC, "pool:b", weight__b=25.0),
    g.act(K.SHIFT_TRAFFIC, "pool:b", weight__b=1),
    g.act(K.SHED_LOAD, names.GATEWAY, gateway_limit=100),
    g.act(K.RETRAIN, names.MODEL),
)
# Equal to the same shift to 1 percent, and no number: what is kept must not mix them up.
TRUE = g.act(K.SHIFT_TRAFFIC, "pool:b", weight__b=True)
STATES = (
    g.scene(),
    g.hung(g.scene()),
    g.slow(g.scene()),
    g.bad_release(g.scene()),
    g.overload(g.scene()),
    g.with_slot(g.scene(), "a-1", ReplicaState.GONE),
    g.told(g.scene(), g.reading("pool:b", names.ERROR_RATIO, 0.5, Verdict.ANOMALOUS)),
    g.told(g.scene(), g.reading("replica:a-1", names.DEVICE_TIME, 9.0, Verdict.ANOMALOUS)),
    replace(g.scene(), world=None),
    replace(g.scene(), evidence=None),
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(STATES), st.permutations((*ACTIONS, TRUE)), st.booleans(), st.data())
def test_facts_do_not_depend_on_what_was_asked_about_before(
    state: GuardState,
    order: list,  # type: ignore[type-arg]
    undo: bool,  # noqa: FBT001 - given by hypothesis
    data: st.DataObject,
) -> None:
    if state.evidence is not None:
        some = data.draw(st.lists(st.sampled_from(state.evidence.readings), unique=True))
        state = replace(state, evidence=replace(state.evidence, readings=tuple(some)))
    shared = look(state, g.NOW)
    for action in order:
        assert facts(action, shared, undo=undo) == facts(action, look(state, g.NOW), undo=undo)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(STATES), st.permutations(ACTIONS))
def test_asking_no_further_than_the_first_allowed_finds_that_one(
    state: GuardState,
    order: list,  # type: ignore[type-arg]
) -> None:
    whole = permit(order, state, g.NOW)
    short = permit(order, state, g.NOW, first=True)
    assert short.allowed == whole.allowed[:2]
    asked = order if len(short.allowed) == 1 else order[: order.index(short.allowed[-1]) + 1]
    assert {one.action for one in short.refused} <= set(asked)
    assert short == permit(asked, state, g.NOW)
    assert HOLD in short.allowed
