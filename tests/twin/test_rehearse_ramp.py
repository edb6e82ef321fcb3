"""A ramp is rehearsed stage by stage: the worst of them is what is foreseen of it."""

import numpy as np
from rehearsed_by_hand import SLOTS, drawn, fitted, stage, standing

from homeostat.base.actions import Action, ActionKind
from homeostat.base.rehearsal import Prospect, Rehearsal, Trust
from homeostat.base.units import TimeNs
from homeostat.twin.rehearse import Candidate, Question, rehearse
from homeostat.twin.rehearse_orders import orders_of, stages_of, standing_orders
from homeostat.twin.rehearse_situation import Situation, Slot
from homeostat.twin.shapes import Phase


def two_pools() -> Situation:
    """Two replicas of the stable pool and one of another, which is as good and has no traffic."""
    slots = (
        Slot(name="a-1", variant=0, phase=Phase.READY),
        Slot(name="a-2", variant=0, phase=Phase.READY),
        Slot(name="b-1", variant=1, phase=Phase.READY),
    )
    return standing(slots=slots, rate_rps=250.0, pools=("a", "b"), wanted=(2.0, 1.0, 0.0))


def shift(*ramp: float) -> Action:
    return Action(
        kind=ActionKind.SHIFT_TRAFFIC, subject="pool:b", change=(("weight.b", ramp[-1]),), ramp=ramp
    )


def rehearsed(*actions: Action) -> Rehearsal:
    now = two_pools()
    candidates = [
        Candidate(action=one, orders=orders_of(one, now, SLOTS), before=stages_of(one, now, SLOTS))
        for one in actions
    ]
    question = Question(id="r-1", at=TimeNs(7), horizon_s=120.0)
    return rehearse(
        stage(), drawn(now, fitted()), question, standing_orders(now, SLOTS), candidates, Trust()
    )


def of(answer: Rehearsal, action: Action) -> Prospect:
    found = answer.of(action)
    assert found is not None
    return found


def test_a_stage_that_hurts_is_what_is_foreseen_of_the_whole_ramp() -> None:
    # All of 250 requests a second on one replica is too much; a third of them is not.
    end, through, calm = shift(30.0), shift(100.0, 30.0), shift(10.0, 20.0, 30.0)
    answer = rehearsed(end, through, calm)
    assert of(answer, end).foreseen.breach.p50 == 0.0
    assert of(answer, through).against_hold.breach.p5 > 0.0
    assert of(answer, through).holds == 0.0
    assert of(answer, calm).foreseen.breach.p50 == 0.0
    assert any(note.endswith("the worst, stage 100") for note in answer.notes)
    assert len([note for note in answer.notes if "each stage of the ramp" in note]) == 2


def test_an_end_that_hurts_is_not_hidden_by_its_stages() -> None:
    ramp = shift(10.0, 30.0, 100.0)
    answer = rehearsed(ramp)
    assert of(answer, ramp).holds == 0.0
    assert any(note.endswith("the worst, the end") for note in answer.notes)
    assert of(answer, ramp).foreseen == of(rehearsed(shift(100.0)), shift(100.0)).foreseen


def test_a_ramp_between_others_leaves_them_what_they_are() -> None:
    up = Action(kind=ActionKind.SCALE_UP, subject="pool:a", change=(("replicas.a", 3),))
    down = Action(kind=ActionKind.SCALE_DOWN, subject="pool:a", change=(("replicas.a", 1),))
    together = rehearsed(up, shift(10.0, 20.0, 30.0), down)
    for alone in (up, down):
        assert of(together, alone) == of(rehearsed(alone), alone)
    assert [one.action.kind for one in together.prospects[1:]] == [
        ActionKind.SCALE_UP, ActionKind.SHIFT_TRAFFIC, ActionKind.SCALE_DOWN,
    ]  # fmt: skip


def test_stages_order_what_they_say_and_an_action_without_a_ramp_has_none() -> None:
    now = two_pools()
    stages = stages_of(shift(25.0, 50.0, 100.0), now, SLOTS)
    assert [value for value, _ in stages] == [25.0, 50.0]
    np.testing.assert_allclose(stages[0][1].weights, [0.75, 0.25, 0.0])
    assert stages_of(shift(100.0), now, SLOTS) == ()


def test_each_stage_must_lie_where_the_deployment_was_seen() -> None:
    from homeostat.twin.rehearse_answer import _candidates  # noqa: PLC0415 - the rule alone

    inside, through = shift(30.0), shift(100.0, 30.0)
    kept, left_out = _candidates(fitted(), two_pools(), [inside, through], SLOTS)
    assert [one.action for one in kept] == [inside]
    assert len(left_out) == 1
    assert "was not rehearsed: it never saw" in left_out[0]
