"""A learner is heard between proposal and guards, and followed where that is safe."""

from dataclasses import replace

import pytest
from seat_story import (
    DEAD,
    HOLD_IS_BEST,
    ON,
    SCALE_IS_BEST,
    SHADOW,
    SLOW_BATCHES,
    SeatStory,
)

from homeostat.base import codec, names
from homeostat.base.actions import ActionKind
from homeostat.base.decisions import DecisionRecord, Hold
from homeostat.base.events import Command, Reconfigured, Rehearse
from homeostat.base.guard import Setting
from homeostat.base.learning import Lesson, Seating
from homeostat.base.policy import AdaptiveMode
from homeostat.loop.deciding import IDLE_NS
from homeostat.loop.seat import draw
from homeostat.loop.step import initial, step
from homeostat.testing import build


def test_draws_are_even_and_depend_on_the_decision_alone() -> None:
    draws = sorted(draw(f"m|d-{number:04d}") for number in range(4000))
    assert min(draws) >= 0.0
    assert max(draws) < 1.0
    # Kolmogorov and Smirnov: further than 1.95 / sqrt(n) from even comes by chance once in 1,000.
    apart = max(abs(one - n / len(draws)) for n, one in enumerate(draws))
    assert apart < 1.95 / len(draws) ** 0.5
    assert draw("m|d-0001") != draw("n|d-0001")


def test_in_shadow_it_is_heard_and_written_down_and_nothing_follows() -> None:
    with_it, without = SeatStory(SHADOW), SeatStory(None)
    for story in (with_it, without):
        story.answer(story.until_asked(), SCALE_IS_BEST)
    (heard,) = with_it.facts(Seating)
    assert (heard.mode, heard.wanted, heard.played) == ("shadow", "twin", "runbook")
    assert (heard.pick.arm, heard.pick.propensity, heard.pick.propensities[-1]) == (-1, 1.0, 1.0)
    assert with_it.written() == without.written() == [ActionKind.BATCH_UP]
    left = [c for c in with_it.commands if c not in without.commands]
    assert [type(getattr(c, "fact", c)).__name__ for c in left if "Seating" in str(c)] == [
        "Seating"
    ]
    assert with_it.facts(DecisionRecord) == without.facts(DecisionRecord)


def test_switched_off_nobody_is_heard() -> None:
    story = SeatStory(replace(ON, mode=AdaptiveMode.OFF))
    story.answer(story.until_asked(), SCALE_IS_BEST)
    assert not story.facts(Seating)
    assert story.state.seat is None
    assert story.written() == [ActionKind.BATCH_UP]


def test_when_on_the_arm_with_the_most_to_gain_is_played_with_its_exact_chance() -> None:
    story = SeatStory(replace(ON, explore=0.3))
    story.answer(story.until_asked(), SCALE_IS_BEST)
    (heard,) = story.facts(Seating)
    chances = {arm.name: arm.chance for arm in heard.arms if not arm.refused}
    # Even over the two that may be played, the runbook's and the twin's; hold costs too much.
    assert chances == {"runbook": 0.15, "twin": 0.85}
    assert heard.pick.propensity == chances[heard.played]
    assert sum(heard.pick.propensities) == pytest.approx(1.0)
    wanted = {"twin": ActionKind.SCALE_UP, "runbook": ActionKind.BATCH_UP}
    assert story.written() == [wanted[heard.played]]
    hold = next(arm for arm in heard.arms if arm.name == "hold")
    assert hold.refused[0].startswith("it might add")


def test_what_is_foreseen_to_end_worse_than_the_runbooks_is_not_played() -> None:
    story = SeatStory(ON)
    worse = SCALE_IS_BEST | {ActionKind.SCALE_UP: 0.25, ActionKind.HOLD: 0.2}
    story.answer(story.until_asked(), worse)
    (heard,) = story.facts(Seating)
    assert heard.played == "runbook"
    assert all(arm.refused for arm in heard.arms if arm.name == "hold")
    assert story.written() == [ActionKind.BATCH_UP]


def test_a_way_back_is_never_kept_waiting_and_nobody_is_heard_on_it() -> None:
    story = SeatStory(ON)
    story.tick(DEAD)
    assert story.written() == [ActionKind.RESTART_REPLICA]
    assert not story.facts(Seating)
    assert not [c for c in story.commands if isinstance(c, Rehearse)]


def test_a_setting_that_served_is_gone_back_to_without_hearing_anybody() -> None:
    story = SeatStory(ON)
    question = story.until_asked(met=True)
    served = Setting(
        lever="batch_max", value=16, version="v2", since=build.at(0), until=build.at(1), served=True
    )
    story.state = replace(story.state, settings=(served,))
    story.answer(question, HOLD_IS_BEST)
    assert not story.facts(Seating)
    assert story.written() == [ActionKind.BATCH_UP]


def test_a_way_back_ends_what_is_held_back_and_the_outcome_is_unknown() -> None:
    story = SeatStory(ON)
    story.answer(story.until_asked(met=True), HOLD_IS_BEST)
    assert story.facts(Seating)[-1].played == "hold"
    story.tick(met=True)
    assert not story.written()
    for _ in range(6):
        story.tick(DEAD, met=True)
    assert story.written()[0] is ActionKind.RESTART_REPLICA
    (lesson,) = story.facts(Lesson)
    assert lesson.payoff.gains() is None
    assert "another action" in lesson.because
    assert story.state.seat is not None
    assert story.state.seat.learnt == ""


def test_a_cure_is_held_back_once_at_most_for_one_incident() -> None:
    story = SeatStory(ON)
    story.answer(story.until_asked(met=True), HOLD_IS_BEST)
    assert [fact.played for fact in story.facts(Seating)] == ["hold"]
    held = [d for d in story.facts(DecisionRecord) if isinstance(d.decision, Hold)]
    assert held[-1].id == story.facts(Seating)[-1].decision_id
    for _ in range(40):
        for command in story.tick(met=True):
            if isinstance(command, Rehearse):
                story.answer(command, HOLD_IS_BEST)
        if story.written():
            break
    assert story.written() == [ActionKind.BATCH_UP]
    said = story.facts(Seating)[1]
    assert (said.wanted, said.played) == ("hold", "runbook")
    assert "may not hold back" in said.because[-1]


def test_holding_back_ends_when_the_objectives_are_missed_that_were_met() -> None:
    story = SeatStory(ON)
    story.answer(story.until_asked(met=True), HOLD_IS_BEST)
    story.tick(met=True)
    assert not story.written()
    for _ in range(4):
        for command in story.tick(met=False):
            if isinstance(command, Rehearse):
                story.answer(command, HOLD_IS_BEST)
    assert story.written() == [ActionKind.BATCH_UP]


def test_holding_back_ends_when_a_person_sets_the_mode_to_shadow() -> None:
    story = SeatStory(ON)
    story.answer(story.until_asked(met=True), HOLD_IS_BEST)
    story.tick(met=True)
    assert not story.written()
    managed = replace(story.state.managed, adaptive=SHADOW)
    story.take(Reconfigured(at=build.at(story.now), managed=managed, by="R. Ashby"))
    for _ in range(2):
        for command in story.tick(met=True):
            if isinstance(command, Rehearse):
                story.answer(command, HOLD_IS_BEST)
    assert story.written() == [ActionKind.BATCH_UP]


class Calm(SeatStory):
    """A deployment that is well and larger than it has to be."""

    def __init__(self) -> None:
        guard = build.guard(limits=build.LIMITS, scale_in_scrapes=5.0, watch_scrapes=15.0)
        super().__init__(ON, guard=guard)

    def held(self) -> None:
        """Tick until learning has held a saving back once more.

        Raises:
            AssertionError: It is not heard within 200 ticks.
        """
        before = len(self.facts(Seating))
        idle = {(names.pool("a"), names.UTILISATION): 0.05}
        for _ in range(200):
            for command in self.tick(None, met=True, values=idle):
                if isinstance(command, Rehearse):
                    self.answer(command, {ActionKind.SCALE_DOWN: 0.3, ActionKind.HOLD: 0.95})
            if len(self.facts(Seating)) > before:
                return
        raise AssertionError("learning was not heard")


def test_each_saving_that_is_held_back_in_calm_has_a_record_a_number_and_a_draw_of_its_own() -> (
    None
):
    story = Calm()
    for _ in range(3):
        story.held()
    said = story.facts(Seating)
    assert [fact.played for fact in said] == ["hold"] * 3
    assert said[-1].at - said[0].at < IDLE_NS
    assert len({fact.roll for fact in said}) == len({fact.decision_id for fact in said}) == 3
    recorded = {one.id: one for one in story.facts(DecisionRecord)}
    for fact in said:
        assert isinstance(recorded[fact.decision_id].decision, Hold)
        assert recorded[fact.decision_id].at == fact.at
    assert len(recorded) == len(story.facts(DecisionRecord))


def test_a_way_back_after_a_hold_in_calm_is_not_the_holds_own() -> None:
    story = Calm()
    story.held()
    held = story.facts(Seating)[-1]
    for _ in range(6):
        story.tick(DEAD, met=True)
    assert story.written() == [ActionKind.RESTART_REPLICA]
    assert held.decision_id not in {one.id for one in story.state.past}
    (lesson,) = story.facts(Lesson)
    assert (lesson.decision_id, lesson.payoff.gains()) == (held.decision_id, None)


def test_what_no_trusted_twin_foresaw_is_not_compared() -> None:
    story = SeatStory(ON)
    story.answer(story.until_asked(), SCALE_IS_BEST, why="it was never checked")
    (heard,) = story.facts(Seating)
    assert heard.played == "runbook"
    assert all(arm.refused for arm in heard.arms if arm.name != "runbook")
    assert story.state.seat is None or story.state.seat.awaited is None
    assert story.written() == [ActionKind.BATCH_UP]


@pytest.mark.parametrize("adaptive", [SHADOW, ON])
def test_a_replay_from_the_journal_gives_the_same_choice_bit_for_bit(adaptive: object) -> None:
    story = SeatStory(adaptive)  # type: ignore[arg-type]
    story.answer(story.until_asked(), SCALE_IS_BEST)
    for _ in range(25):
        story.tick(SLOW_BATCHES)
    assert story.facts(Lesson)
    state = initial(story.events[0].managed)  # type: ignore[union-attr]
    again: list[Command] = []
    for event in story.events:
        state, commands = step(story.parts, state, codec.decode(codec.encode(event)))
        again += commands
        state = codec.decode(codec.encode(state))
    assert [codec.encode(c) for c in again] == [codec.encode(c) for c in story.commands]
    assert state == codec.decode(codec.encode(story.state))
