"""Feedback on recorded hours, made by hand: what is told, who says what, and what is measured."""

import numpy as np
import pytest

from homeostat.lab.feedback_learn import CALM, Hour, alarms, hours
from homeostat.lab.feedback_measure import average_precision, best, measure, tally, taught
from homeostat.lab.feedback_people import People, without_people
from homeostat.lab.feedback_record import SCRAPES, Recording, by_name, joined
from homeostat.learn import feedback
from homeostat.learn.feedback_channels import CHANNELS, OBJECTIVES
from homeostat.learn.feedback_line import Budget
from homeostat.learn.feedback_words import Source, Word

LATENCY = CHANNELS.index("chart latency_p95_ms")
QUEUE = CHANNELS.index("chart queue_length")
MISSED = CHANNELS.index(OBJECTIVES)


def recording(count: int, *, seed: int, shipped: float = 0.5) -> Recording:
    """Return hours: one in three has a fault that latency shows; queues tremble in all of them.

    Args:
        count: Hours.
        seed: Of the chance.
        shipped: Share of the faults that the shipped alarm finds.
    """
    chance = np.random.default_rng(seed)
    strength = 0.3 * chance.random((count, SCRAPES, len(CHANNELS))).astype(np.float32)
    strength[:, :, MISSED] = 0.0
    event = np.zeros((count, SCRAPES), dtype=bool)
    alarm = np.zeros_like(event)
    for hour in range(count):
        at = int(chance.integers(0, SCRAPES - 30))
        strength[hour, at : at + 20, QUEUE] = 4.0  # worthless: it trembles in quiet hours too
        if hour % 3 == 0:
            onset = int(chance.integers(30, 120))
            event[hour, onset : onset + 60] = True
            strength[hour, onset + 4 : onset + 40, LATENCY] = 1.5 + 2.0 * chance.random()
            alarm[hour, onset + 10 : onset + 30] = chance.random() < shipped
    none = np.zeros_like(event)
    return Recording(
        number=np.arange(count),
        strength=strength,
        alarm=alarm,
        busy=none,
        outcome=np.zeros(event.shape, dtype=np.int64),
        event=event,
        hurt=event,
    )


def test_an_alarm_lasts_until_it_has_been_calm() -> None:
    told = np.zeros(60, dtype=bool)
    told[[3, 4, 10, 10 + CALM, 50, 59]] = True
    assert alarms(told) == [
        slice(3, 10 + CALM),
        slice(10 + CALM, 10 + 2 * CALM),
        slice(50, 50 + CALM),
        slice(59, 60),
    ]


@pytest.mark.slow
def test_feedback_finds_what_the_shipped_alarm_misses_within_the_budget() -> None:
    first, unseen = recording(120, seed=1, shipped=0.9), recording(60, seed=2)
    # Five days of hours are few to promise one false alarm a day by; two are soon kept.
    config = feedback.Config(budget=Budget(per_day=2.0))
    found = measure(list(hours(first)), list(hours(unseen)), config=config)
    shipped, one, own, placed = found.arms
    assert own.f1.value is not None
    assert shipped.f1.value is not None
    assert own.missed <= shipped.missed / 4
    assert own.false_a_day <= config.budget.per_day
    assert found.removed.value is not None
    assert found.removed.value > 0.5
    # One line for all cannot tell a queue that trembles from latency that does not.
    assert placed.f1.value is not None
    assert one.f1.value is not None
    assert placed.f1.value > one.f1.value
    assert found.curve[0].f1 == pytest.approx(shipped.f1.value)
    assert all(arm.missed <= shipped.missed for arm in found.poisoned)


def test_nothing_is_learnt_from_hours_to_come() -> None:
    every = list(hours(recording(40, seed=3)))
    early = taught(every[:20], People(), seed=0)[-1]
    late = taught(every, People(), seed=0)
    middle = late[(len(late) - 1) // 2]
    assert (early.counts.reached == middle.counts.reached).all()
    assert early.watched_h == middle.watched_h


def test_hours_in_which_nobody_answers_teach_silence_and_missed_objectives_only() -> None:
    mute = People(answers=0.0, reports_hurt=0.0, reports_other=0.0)
    recorded = recording(12, seed=4, shipped=1.0)
    state = taught(list(hours(recorded)), mute, seed=0)[-1]
    assert state.counts.stretches[1] == 0.0
    assert state.asked[0] > 0
    assert state.asked[1] == 0
    assert 8.0 <= state.watched_h < 12.0  # hours without a fault, and what surely was none
    recorded.strength[:, :, MISSED][recorded.event] = 1.0
    assert taught(list(hours(recorded)), mute, seed=0)[-1].counts.stretches[1] > 0.0


def test_answers_are_as_often_given_and_as_often_wrong_as_was_said() -> None:
    chance, people = np.random.default_rng(0), People()
    said = [people.on_alarm(chance, true=True) for _ in range(4000)]
    given = [words[0] for words in said if words]
    assert len(given) / 4000 == pytest.approx(people.answers, abs=0.03)
    wrong = sum(not word.trouble for word in given) / len(given)
    assert wrong == pytest.approx(people.wrong, abs=0.015)
    liar = People(always=False, answers=1.0)
    assert liar.on_alarm(chance, true=True) == (Word(source=Source.PERSON, trouble=False),)
    assert liar.on_untold(chance, hurt=True) == ()


def test_objectives_and_outcomes_speak_for_themselves() -> None:
    yes, no = np.array([False, True]), np.array([False, False])
    assert without_people(no, no) == ()
    sources = {word.source for word in without_people(yes, yes)}
    assert sources == {Source.OBJECTIVES, Source.OUTCOME}


def test_an_alarm_that_begins_before_the_event_is_false_and_does_not_find_it() -> None:
    hour = next(hours(recording(2, seed=5)))
    event = np.zeros(SCRAPES, dtype=bool)
    event[100:150] = True
    hour = Hour(
        bins=hour.bins,
        missed=hour.missed,
        shipped=hour.shipped,
        busy=hour.busy,
        helped=hour.helped,
        event=event,
        hurt=event,
    )
    told = np.zeros(SCRAPES, dtype=bool)
    told[98:110] = True
    early = tally([hour], [told])
    assert (early.found[0], early.missed[0], early.false[0]) == (0.0, 1.0, 1.0)
    told[:] = False
    told[[120, 121, 200]] = True
    late = tally([hour], [told])
    assert (late.found[0], late.missed[0], late.false[0]) == (1.0, 0.0, 1.0)
    assert late.f1 == pytest.approx(2 / 3)
    assert late.false_a_day == pytest.approx(24.0)


def test_controls_that_know_nothing_score_as_they_should() -> None:
    every = list(hours(recording(60, seed=6)))
    always = [np.ones(SCRAPES) for _ in every]
    never = [np.zeros(SCRAPES) for _ in every]
    none = [np.zeros(SCRAPES, dtype=bool) for _ in every]
    assert (
        best(every, always, 1.0, none).found.sum() == 0.0
    )  # told of all the time: out of the budget
    assert best(every, never, 1.0, none).f1 == 0.0
    true = np.concatenate([hour.event for hour in every])
    share = true.mean()
    chance = np.random.default_rng(0).random(len(true))
    assert average_precision(np.ones(len(true)), true) == pytest.approx(share)
    assert average_precision(chance, true) == pytest.approx(share, abs=0.02)
    assert average_precision(true.astype(np.float64), true) == pytest.approx(1.0)


def test_recordings_join_by_number_and_strengths_by_name() -> None:
    one, other = recording(3, seed=7), recording(2, seed=8)
    moved = Recording(
        number=other.number + 3,
        **{
            name: getattr(other, name)
            for name in ("strength", "alarm", "busy", "outcome", "event", "hurt")
        },
    )
    both = joined([moved, one])
    assert both.number.tolist() == [0, 1, 2, 3, 4]
    assert (both.event[:3] == one.event).all()
    with pytest.raises(ValueError, match="twice"):
        joined([one, other])
    turned = by_name(one.strength[:, :, ::-1], CHANNELS[::-1])
    assert (turned == one.strength).all()
    assert np.isnan(by_name(one.strength[:, :, :2], CHANNELS[:2])[:, :, 2:]).all()
