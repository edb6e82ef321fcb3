"""Whatever sits in the decision seat: what leaves it is permitted, and ways back do not wait."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seat_story import DEAD, ON, PARTS, SCALE_IS_BEST, SeatStory

from homeostat.base import codec
from homeostat.base.actions import HOLD, Action, ActionKind, Proposal, UndoKind
from homeostat.base.events import Rehearse
from homeostat.base.guard import Deny, GuardState
from homeostat.base.learning import Advice, Covering, Offer, Pick, Seating, SeatState, Standing
from homeostat.base.policy import Managed
from homeostat.base.units import TimeNs
from homeostat.loop.parts import LoopParts
from homeostat.loop.seat_parts import SeatParts
from homeostat.policy import bandit
from homeostat.policy.seat_learn import FORMAT, config, written
from homeostat.safety.guard import guard
from homeostat.safety.permit import permit

ANY = st.floats(allow_nan=True, allow_infinity=True)
ODD = st.sampled_from([0.0, 0.5, 1.0, 2.0, -1.0, math.nan, math.inf])


def act(kind: ActionKind, **levers: Any) -> Action:
    """An action on the stable pool that says what it likes of itself."""
    change = tuple((name.replace("__", "."), value) for name, value in sorted(levers.items()))
    return Action(
        kind=kind, subject="pool:a", actuator="host", change=change, undo=UndoKind.EXACT,
        exempt=True,
    )  # fmt: skip


WORST = (
    HOLD,
    act(ActionKind.RESTART_ALL),
    act(ActionKind.SCALE_DOWN, replicas__a=1),
    act(ActionKind.SCALE_UP, replicas__a=90),
    act(ActionKind.BATCH_UP, batch_max=4096),
    act(ActionKind.BATCH_DOWN, batch_max=4),
    act(ActionKind.ROLLBACK, version__a="never-seen"),
    act(ActionKind.SHIFT_TRAFFIC, weight__b=100.0),
)


class Watched:
    """The shipped guards; every proposal that is decided on is asked of them once more."""

    def __init__(self, seat: SeatParts) -> None:
        self.seen: GuardState | None = None
        self.left: list[Action] = []
        self.parts: LoopParts = replace(PARTS, seat=seat, permit=self.permit, decide=self.decide)

    def permit(self, wanted: Any, seen: GuardState, now: TimeNs) -> Any:
        self.seen = seen
        return permit(wanted, seen, now)

    def decide(self, proposal: Proposal, managed: Managed, now: TimeNs) -> Any:
        assert self.seen is not None
        assert not isinstance(guard(proposal.action, self.seen, now), Deny)
        self.left.append(proposal.action)
        return PARTS.decide(proposal, managed, now)


def hostile(draw: Any) -> SeatParts:
    """A learner that says anything, of anything, or fails."""

    def broken() -> None:
        if draw(st.integers(0, 5)) == 0:
            raise draw(st.sampled_from([ZeroDivisionError("x"), KeyError("y"), TypeError("z")]))

    def offers(*_: Any) -> Any:
        broken()
        return tuple(Offer(arm="hold", action=one) for one in draw(st.permutations(WORST)))

    def weigh(*_: Any, **asked: Any) -> Any:
        broken()
        pick_id, now, roll = asked["pick_id"], asked["now"], asked["roll"]
        number = draw(st.one_of(st.integers(-3, 9), st.sampled_from([None, "0", 0.0, True])))
        chance = draw(st.one_of(ODD, st.just(1.0), st.just(1.0)))
        pick = Pick(
            id=draw(st.sampled_from([pick_id, pick_id, pick_id, "d-9999"])), at=now,
            features=(roll,), arm=draw(st.sampled_from([-1, 0, 0, 7])), fraction=draw(ODD),
            propensity=chance, propensities=(chance,),
        )  # fmt: skip
        return Advice(number=number, pick=pick, arms=(), base=(0.0,) * 3, because=("so",))

    def payoff(*_: Any) -> Any:
        broken()
        return draw(st.sampled_from([None, 3]))

    return SeatParts(
        offers=offers,
        weigh=weigh,
        payoff=payoff,
        latency=lambda _: draw(ANY),
        learn=lambda *_: draw(st.text(max_size=9)),
        renew=lambda *_: draw(st.text(max_size=9)),
        cover=lambda *_: (Covering(drop=draw(st.booleans())), None),
        stand=lambda *_: Standing(answer=draw(st.sampled_from(["promote", "refuse", "so"]))),
    )


@pytest.mark.slow
@settings(max_examples=25)
@given(st.data())
def test_whatever_a_learner_says_only_what_the_guards_permit_leaves_the_seat(data: Any) -> None:
    watched = Watched(hostile(data.draw))
    story = SeatStory(ON, watched.parts)
    asked = None
    for _ in range(8):
        for command in story.tick():
            asked = command if isinstance(command, Rehearse) else asked
        if asked is not None:
            story.answer(asked, SCALE_IS_BEST)
            asked = None
    assert watched.left, "nothing was decided: the property would say nothing"
    for fact in story.facts(Seating):
        assert 0.0 < fact.pick.propensity <= 1.0
        assert math.isclose(sum(fact.pick.propensities), 1.0)
        assert codec.decode(codec.encode(fact)) == fact


SOUND = written(bandit.init(config(ON)))


def spoilt(draw: Any) -> str:
    """What was learnt, as if somebody had written into it: huge, absurd, cut off, or no text."""
    plain = json.loads(SOUND.removeprefix(FORMAT))
    for arm in plain["arms"]:
        for part in ("outer", "cross", "square", "count"):
            huge = draw(st.sampled_from([0, 1, -1, 10**6, -(10**9), 2**60, -(2**70), 10**300]))
            arm[part] = [huge * (n % 3 - 1) for n in range(len(arm[part]))]
        arm["block"] = [draw(st.sampled_from([0, -1, 7]))]
    plain["inflated"] = [draw(st.sampled_from([1.0, 0.0, -3.0, 8.0, 1e300]))] * len(plain["arms"])
    text = FORMAT + json.dumps(plain)
    cut = draw(st.sampled_from([None, None, None, 40, len(text) - 1]))
    said: str = draw(st.sampled_from([text[:cut], text[:cut], "null", "[]", "{}", "not a text"]))
    return said


@pytest.mark.slow
@settings(max_examples=25)
@given(st.data())
def test_whatever_was_learnt_only_what_the_guards_permit_leaves_the_seat(data: Any) -> None:
    assert PARTS.seat is not None
    watched = Watched(PARTS.seat)
    story = SeatStory(replace(ON, explore=0.5), watched.parts)
    story.state = replace(story.state, seat=SeatState(learnt=spoilt(data.draw)))
    ends_well = {kind: data.draw(ANY) for kind in SCALE_IS_BEST}
    with np.errstate(all="ignore"):
        story.answer(story.until_asked(), ends_well)
        for _ in range(21):
            story.tick(None, met=True)
    assert watched.left
    assert len(story.facts(Seating)) == 1


def always(arm: str) -> SeatParts:
    """The shipped learner's hands with a mind of one word."""

    def weigh(*named: Any, **asked: Any) -> Advice:
        found = [n for n, one in enumerate(named[0]) if one.arm == arm]
        pick = Pick(
            id=asked["pick_id"], at=asked["now"], features=(), arm=0, fraction=1.0, propensity=1.0,
            propensities=(1.0, 0.0, 0.0),
        )  # fmt: skip
        return Advice(number=found[0], pick=pick, arms=(), base=(0.0,) * 3, because=("so",))

    assert PARTS.seat is not None
    return replace(PARTS.seat, weigh=weigh)


def test_a_learner_that_always_holds_delays_a_cure_once_and_no_way_back_at_all() -> None:
    story, plain = SeatStory(ON, replace(PARTS, seat=always("hold"))), SeatStory(None)
    for one in (story, plain):
        one.tick(DEAD)
        assert one.written() == [ActionKind.RESTART_REPLICA]
    slow = SeatStory(ON, replace(PARTS, seat=always("hold")))
    slow.answer(slow.until_asked(), SCALE_IS_BEST)
    assert [fact.played for fact in slow.facts(Seating)] == ["hold"]
    began = slow.now
    while not slow.written() and slow.now < began + 60.0:
        for command in slow.tick():
            if isinstance(command, Rehearse):
                slow.answer(command, SCALE_IS_BEST)
    assert slow.written() == [ActionKind.BATCH_UP]
    # As long as the twin looked ahead, and what it takes to be asked anew.
    assert slow.now - began < 20.0 + 5.0
