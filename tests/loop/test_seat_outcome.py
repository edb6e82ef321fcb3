"""What comes of a pick is measured and learnt, or left out; and the twin is held to its word."""

from dataclasses import replace

import numpy as np
import pytest
from seat_story import HOLD_IS_BEST, ON, SCALE_IS_BEST, SHADOW, SeatStory

from homeostat.base.actions import ActionKind
from homeostat.base.decisions import Ask, DecisionRecord, Urgency
from homeostat.base.events import Reconfigured, Tell
from homeostat.base.learning import Covering, Lesson, Seating, SeatState, Standing
from homeostat.base.policy import AdaptivePolicy
from homeostat.base.units import SECOND
from homeostat.loop.memory import guard_state
from homeostat.loop.seat import DISTRUST
from homeostat.loop.seat_ways import WAYS_BACK
from homeostat.policy import bandit, seat_effect
from homeostat.policy.seat_learn import config, opened, written
from homeostat.testing import build


def test_an_outcome_is_learnt_when_it_has_settled_and_not_before() -> None:
    story = SeatStory(ON)
    story.answer(story.until_asked(), SCALE_IS_BEST)
    began = story.now
    while story.now < began + 19.0:
        story.tick(None, met=True)
    assert not story.facts(Lesson)
    story.tick(None, met=True)
    story.tick(None, met=True)
    (lesson,) = story.facts(Lesson)
    assert (lesson.arm, lesson.held) == ("twin", True)
    gains = lesson.payoff.gains()
    assert gains is not None
    # It ended well, where 0.3 of the runbook's were foreseen to; spending was as foreseen.
    assert gains[1:] == pytest.approx((-0.7, 0.0))
    assert gains[0] > 0.5
    seat = story.state.seat
    assert seat is not None
    assert seat.awaited is None
    assert opened(seat.learnt, ON)[0].sums[2].count.sum() == 1.0


def test_what_was_not_seen_is_left_out_and_not_taken_for_zero() -> None:
    story = SeatStory(ON)
    story.answer(story.until_asked(), SCALE_IS_BEST)
    for _ in range(25):
        story.tick(None, blind=True)
    (lesson,) = story.facts(Lesson)
    assert lesson.payoff.gains() is None
    assert lesson.held is None
    assert lesson.covering.unknown == 1
    seat = story.state.seat
    assert seat is not None
    assert opened(seat.learnt, ON)[0].sums[2].count.sum() == 0.0


def test_whoever_recovers_sooner_has_more_of_the_reward_and_no_less_of_the_cost() -> None:
    found = []
    for recovers in (3, 15):
        story = SeatStory(ON)
        story.answer(story.until_asked(), SCALE_IS_BEST)
        for number in range(22):
            story.tick(None, met=number >= recovers)
        (lesson,) = story.facts(Lesson)
        found.append(lesson.payoff)
    sooner, later = found
    assert sooner.costs == later.costs == (0.0, 0.0)
    # Ten elevenths of the reward is violation; 12 ticks of some 20 lie between.
    assert sooner.reward - later.reward == pytest.approx(12 / 20 * 10 / 11, abs=0.05)


def test_how_it_ended_is_not_known_by_one_tick_of_three() -> None:
    story = SeatStory(ON)
    story.answer(story.until_asked(), SCALE_IS_BEST)
    while not story.facts(Lesson):
        seat = story.state.seat
        assert seat is not None
        awaited = seat.awaited
        ends = awaited is not None and story.now + 1.5 >= (awaited.until - build.at(0)) / SECOND
        story.tick(None, met=True, blind=ends)
    (lesson,) = story.facts(Lesson)
    assert lesson.payoff.gains() is None


def test_holding_back_is_learnt_from_too() -> None:
    story = SeatStory(ON)
    story.answer(story.until_asked(met=True), HOLD_IS_BEST)
    for _ in range(22):
        story.tick(None, met=True)
    (lesson,) = story.facts(Lesson)
    assert lesson.arm == "hold"
    assert lesson.payoff.costs[0] == 0.0
    assert not story.written()


def distrusted(adaptive: AdaptivePolicy) -> SeatStory:
    """A story in which the twin's eleventh interval in a row misses."""
    story = SeatStory(adaptive)
    before = SeatState(covering=Covering(hits=(False,) * 10))
    story.state = replace(story.state, seat=before)
    story.answer(story.until_asked(), SCALE_IS_BEST, latency_ms=10.0)
    for _ in range(25):
        story.tick(None, met=True)
    assert story.facts(Lesson)[0].held is False
    return story


def test_a_twin_that_is_too_sure_of_itself_makes_all_but_ways_back_ask_again() -> None:
    story = distrusted(ON)
    told = [c.notice for c in story.commands if isinstance(c, Tell)]
    (warned,) = [one for one in told if "too sure of itself" in one.title]
    assert warned.urgency is Urgency.INFO
    seen = guard_state(story.state)
    assert set(seen.managed.guard.auto_kinds) == WAYS_BACK
    best = SCALE_IS_BEST | {ActionKind.BATCH_UP: 0.95}
    story.answer(story.until_asked(), best)
    asked = story.facts(DecisionRecord)[-1].decision
    assert isinstance(asked, Ask)
    assert asked.action.kind is ActionKind.BATCH_UP
    assert DISTRUST in asked.because
    assert asked.because[-1].startswith("a yes is needed: G12 autonomy")
    later = build.at(story.now)
    person = Reconfigured(at=later, managed=story.state.managed, by="R. Ashby")
    story.take(person)
    again = guard_state(story.state).managed.guard.auto_kinds
    assert set(again) == set(story.state.managed.guard.auto_kinds) > WAYS_BACK
    assert story.state.seat is not None
    assert story.state.seat.covering.hits == ()


def test_learning_that_did_worse_than_the_runbook_loses_its_say_until_a_person_sets_the_mode() -> (
    None
):
    story = SeatStory(replace(ON, explore=0.4))
    room = seat_effect.room(ON.missed, ON.failed)
    poor = Standing(
        rounds=2000, mean=(-0.3, 0.0, 0.0), squares=(20.0, 1.0, 1.0), limits=room
    )  # fmt: skip
    story.state = replace(story.state, seat=SeatState(standing=poor))
    story.answer(story.until_asked(), SCALE_IS_BEST)
    for _ in range(25):
        story.tick(None, met=True)
    (lesson,) = story.facts(Lesson)
    assert (lesson.standing.answer, lesson.standing.rounds) == ("refuse", 2001)
    titles = [c.notice.title for c in story.commands if isinstance(c, Tell)]
    assert sum("did worse than the runbook" in title for title in titles) == 1
    story.answer(story.until_asked(), SCALE_IS_BEST)
    said = story.facts(Seating)[-1]
    assert (said.wanted, said.played, said.pick.propensity) == ("twin", "runbook", 1.0)
    assert "did worse" in said.because[-1]
    assert story.written()[-1] is ActionKind.BATCH_UP
    by = Reconfigured(at=build.at(story.now), managed=story.state.managed, by="R. Ashby")
    story.take(by)
    seat = story.state.seat
    assert seat is not None
    assert (seat.demoted, seat.standing.rounds) == (False, 0)


def test_an_alarm_refuses_until_a_person_sets_the_mode_and_a_file_is_no_person() -> None:
    story = SeatStory(ON)
    alarmed = bandit.init(config(ON))._replace(inflated=np.array([2.0, 1.0, 1.0]))
    story.state = replace(story.state, seat=SeatState(learnt=written(alarmed)))
    story.answer(story.until_asked(), SCALE_IS_BEST)
    (said,) = story.facts(Seating)
    assert said.played == "runbook"
    assert all("a person" in one.refused[-1] for one in said.arms if one.name != "runbook")
    managed = story.state.managed
    for by, left in (("the file", 2.0), ("R. Ashby", 1.0)):
        story.take(Reconfigured(at=build.at(story.now), managed=managed, by=by))
        assert story.state.seat is not None
        assert opened(story.state.seat.learnt, ON)[0].inflated[0] == left


def test_in_shadow_what_the_runbook_came_to_is_learnt() -> None:
    story = SeatStory(SHADOW)
    story.answer(story.until_asked(), SCALE_IS_BEST)
    for _ in range(22):
        story.tick(None, met=True)
    (lesson,) = story.facts(Lesson)
    assert (lesson.arm, lesson.payoff.gains() is None) == ("runbook", False)
    seat = story.state.seat
    assert seat is not None
    counts = [sums.count.sum() for sums in opened(seat.learnt, SHADOW)[0].sums]
    assert counts == [1.0, 0.0, 0.0]


def test_in_shadow_it_is_told_and_nothing_follows() -> None:
    story = distrusted(SHADOW)
    told = [c.notice.title for c in story.commands if isinstance(c, Tell)]
    assert any("too sure of itself" in title for title in told)
    kinds = guard_state(story.state).managed.guard.auto_kinds
    assert kinds == story.state.managed.guard.auto_kinds
