"""Harm is charged to the choice that did it, whoever repaired it since."""

from dataclasses import replace

import pytest
from seat_story import DEAD, HOLD_IS_BEST, ON, SCALE_IS_BEST, TWIN, SeatStory

from homeostat.base import names
from homeostat.base.actions import ActionKind
from homeostat.base.decisions import Effect
from homeostat.base.guard import PastAction
from homeostat.base.intent import ActionRecord, ActionState
from homeostat.base.learning import Lesson
from homeostat.base.policy import AdaptivePolicy
from homeostat.base.units import SECOND
from homeostat.policy.seat_learn import opened
from homeostat.testing import build

WRONG = {(names.MODEL, names.ACCURACY): 0.4}
EXPLORES = replace(ON, explore=0.4)


def story_of(adaptive: AdaptivePolicy = ON, *, horizon_s: int = 300) -> SeatStory:
    """A story in which the twin looks this far ahead."""
    story = SeatStory(adaptive)
    managed = replace(story.state.managed, twin=replace(TWIN, horizon_ns=horizon_s * SECOND))
    story.state = replace(story.state, managed=managed)
    return story


def ended(story: SeatStory) -> ActionState | None:
    """Return how the last action ended."""
    found = [one for one in story.facts(ActionRecord) if one.state.is_terminal]
    return found[-1].state if found else None


def harmed(story: SeatStory) -> None:
    """Let the twin's arm be played, do harm and be taken back; all is well thereafter."""
    story.answer(story.until_asked(), SCALE_IS_BEST)
    for _ in range(60):
        story.tick(None, values=WRONG)
        if ended(story) is ActionState.ROLLED_BACK:
            break
    for _ in range(5):
        story.tick(None, met=True)


@pytest.mark.parametrize("horizon_s", [300, 3])
def test_harm_that_was_undone_inside_the_horizon_or_after_it_is_the_arms_own(
    horizon_s: int,
) -> None:
    story = story_of(EXPLORES, horizon_s=horizon_s)
    harmed(story)
    assert ended(story) is ActionState.ROLLED_BACK
    (lesson,) = story.facts(Lesson)
    assert lesson.arm == "twin"
    assert lesson.payoff.costs[0] == 1.0
    gains = lesson.payoff.gains()
    assert gains is not None
    assert gains[0] < -0.2, "it is worse than the runbook's, of which 0.3 were to end well"
    assert "harm" in lesson.because
    seat = story.state.seat
    assert seat is not None
    assert opened(seat.learnt, EXPLORES)[0].sums[2].count.sum() == 1.0
    assert (seat.standing.rounds, seat.standing.unknown) == (1, 0)
    assert seat.standing.mean[1] > 0.0


def test_harm_found_after_a_success_and_repaired_by_another_is_the_arms_own_too() -> None:
    story = story_of(EXPLORES)
    story.answer(story.until_asked(), SCALE_IS_BEST)
    while ended(story) is None:
        story.tick(None, met=True)
    own = story.state.past[-1]
    other = PastAction(
        id="d-0099", kind=ActionKind.ROLLBACK, subject="pool:a", at=build.at(story.now)
    )
    found = replace(own, effect=Effect.HARMED)  # as `undoing` writes it, before it takes it back
    story.state = replace(story.state, past=(*story.state.past[:-1], found, other))
    story.tick(None, met=True)
    (lesson,) = story.facts(Lesson)
    assert lesson.payoff.costs[0] == 1.0


def test_a_hold_that_ended_because_the_objectives_were_missed_is_charged_with_it() -> None:
    story = SeatStory(EXPLORES)
    story.answer(story.until_asked(met=True), HOLD_IS_BEST)
    story.tick(met=True)
    assert not story.facts(Lesson)
    story.tick(met=False)
    (lesson,) = story.facts(Lesson)
    assert (lesson.arm, lesson.payoff.costs[0]) == ("hold", 1.0)
    seat = story.state.seat
    assert seat is not None
    assert opened(seat.learnt, EXPLORES)[0].sums[1].count.sum() == 1.0
    assert (seat.standing.rounds, seat.standing.unknown) == (1, 0)


def test_a_hold_that_began_while_they_were_missed_is_judged_by_how_it_ends() -> None:
    story = SeatStory(EXPLORES)
    story.answer(story.until_asked(met=False), HOLD_IS_BEST)
    for _ in range(19):
        story.tick(None, met=False)
    assert not story.facts(Lesson)
    for _ in range(3):
        story.tick(None, met=True)
    (lesson,) = story.facts(Lesson)
    assert lesson.payoff.costs[0] < 1.0


def test_a_round_in_which_another_had_a_hand_counts_as_unknown_against_learning() -> None:
    story = SeatStory(EXPLORES)
    story.answer(story.until_asked(met=True), HOLD_IS_BEST)
    for _ in range(6):
        story.tick(DEAD, met=True)
    assert story.written()[0] is ActionKind.RESTART_REPLICA
    (lesson,) = story.facts(Lesson)
    assert lesson.payoff.gains() is None
    seat = story.state.seat
    assert seat is not None
    assert (seat.standing.rounds, seat.standing.unknown) == (0, 1)
    assert lesson.standing == seat.standing


def test_what_was_taken_back_for_another_reason_than_harm_teaches_nothing() -> None:
    story = story_of(EXPLORES)
    story.answer(story.until_asked(), SCALE_IS_BEST)
    while ended(story) is None:
        story.tick(None, met=True)
    done = story.state.finished[-1]
    back = replace(done, state=ActionState.ROLLED_BACK, blameless=True)
    story.state = replace(story.state, finished=(*story.state.finished[:-1], back))
    story.tick(None, met=True)
    (lesson,) = story.facts(Lesson)
    assert lesson.payoff.gains() is None
    assert "another reason" in lesson.because
