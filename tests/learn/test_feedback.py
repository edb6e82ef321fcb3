"""The feedback loop: what moves a line, what must not, and what no word can take away."""

from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from homeostat.learn import (
    feedback,
    feedback_counts,
    feedback_experts,
    feedback_line,
    feedback_steady,
)
from homeostat.learn.feedback import Config, Drawn, State
from homeostat.learn.feedback_channels import CHANNELS, OBJECTIVES, binned
from homeostat.learn.feedback_line import Budget
from homeostat.learn.feedback_words import Source, Word, verdict
from homeostat.stats.arrays import from_bytes, to_bytes

Ints = npt.NDArray[np.int64]

LATENCY = CHANNELS.index("chart latency_p95_ms")
QUEUE = CHANNELS.index("chart queue_length")
TRUE = (Word(source=Source.PERSON, trouble=True),)
NOTHING = (Word(source=Source.PERSON, trouble=False),)
SILENT = (Word(source=Source.SILENCE, trouble=False),)
MISSED = (Word(source=Source.OBJECTIVES, trouble=True),)
CONFIG = Config()


def tick(**strength: float) -> Ints:
    """Return the bins of one tick on which all is well but for what is named."""
    out = np.full((1, len(CHANNELS)), 0.2)
    for name, value in strength.items():
        out[0, CHANNELS.index(f"chart {name}")] = value
    return binned(out)


def heard(
    state: State,
    bins: Ints,
    words: tuple[Word, ...],
    *,
    times: int = 1,
    alarmed: bool = False,
    touched: bool = False,
    hours: float = 0.25,
) -> State:
    """Return the state after like stretches, each judged by what was in force then."""
    for _ in range(times):
        now = feedback.drawn(CONFIG, state)
        seen = feedback.stretch_of(now, bins, hours=hours, alarmed=alarmed, touched=touched)
        state = feedback.learnt(CONFIG, state, now, seen, words)
    return state


@cache
def taught() -> State:
    """Return a state that knows quiet time, latency that was trouble, and queues that were not."""
    state = heard(feedback.init(CONFIG), tick(), SILENT, times=240)
    for _ in range(12):
        state = heard(state, tick(latency_p95_ms=6.0), TRUE, alarmed=True)
        state = heard(state, tick(queue_length=6.0), NOTHING)
    return heard(state, tick(), SILENT, times=240)


def now(state: State) -> Drawn:
    return feedback.drawn(CONFIG, state)


def tells(state: State, bins: Ints) -> bool:
    return bool(feedback.told(now(state), bins, np.zeros(1, dtype=np.int64))[0])


def test_without_words_there_is_no_line_and_nothing_is_worth_anything() -> None:
    begin = now(feedback.init(CONFIG))
    assert begin.line == np.inf
    assert not begin.odds.any()
    assert not tells(feedback.init(CONFIG), tick(latency_p95_ms=1000.0))


def test_what_was_trouble_is_told_of_and_what_was_nothing_is_not() -> None:
    state = taught()
    assert tells(state, tick(latency_p95_ms=6.0))
    assert not tells(state, tick(queue_length=6.0))
    assert not tells(state, tick())


def test_a_stronger_departure_never_counts_for_less() -> None:
    odds = now(taught()).odds
    assert (np.diff(odds, axis=1) >= 0.0).all()
    assert (odds >= 0.0).all()


def test_a_line_comes_with_the_quiet_time_that_the_budget_needs() -> None:
    days = -np.log(1.0 - CONFIG.budget.sure)  # of quiet, without one false alarm
    short = heard(feedback.init(CONFIG), tick(), SILENT, hours=24.0 * days * 0.9)
    long = heard(feedback.init(CONFIG), tick(), SILENT, hours=24.0 * days * 1.1)
    assert now(short).line == np.inf
    assert now(long).line < np.inf


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.02, 0.1])
def test_false_alarms_on_fresh_quiet_time_stay_within_the_budget(share: float) -> None:
    """Quiet time is as noisy as it likes; what the line lets through is counted on other hours."""
    chance = np.random.default_rng(round(1000 * share))

    def noise() -> Ints:
        wild = chance.random(len(CHANNELS)) < share
        loud = 0.2 + wild * chance.exponential(2.0, len(CHANNELS))
        return binned(loud[None, :])

    state = feedback.init(CONFIG)
    for number in range(480):
        bins = noise()
        if number % 6 == 0:
            state = heard(state, np.maximum(bins, tick(latency_p95_ms=4.0)), MISSED)
        state = heard(state, bins, SILENT)
    drawn = now(state)
    assert drawn.line < np.inf
    hours = 0.25 * 4000
    fresh = np.concatenate([noise() for _ in range(4000)])
    false = int((feedback.score(drawn, fresh) >= drawn.line).sum())
    assert false <= CONFIG.budget.per_day * hours / 24.0 + 3.0 * np.sqrt(hours / 24.0)


def test_missed_objectives_are_told_of_whatever_the_score() -> None:
    for state in (feedback.init(CONFIG), taught()):
        late = np.array([feedback.PATIENCE])
        assert feedback.told(now(state), tick(), late)[0]
        assert not feedback.told(now(state), tick(), late - 1)[0]


def test_nobody_can_teach_that_a_missed_objective_is_normal() -> None:
    state = taught()
    denied = heard(state, tick(latency_p95_ms=6.0), NOTHING + MISSED, alarmed=True, times=100)
    quiet = feedback_counts.QUIET
    assert (denied.counts.reached[quiet] == state.counts.reached[quiet]).all()
    assert (denied.counts.reached[1] >= state.counts.reached[1] * 0.9).all()
    assert feedback_steady.changed(denied.steady)  # nor does whoever denies it go on teaching


def test_whoever_calls_everything_false_stops_learning_and_changes_little() -> None:
    state = taught()
    before = state
    for _ in range(200):
        state = heard(state, tick(latency_p95_ms=8.0), NOTHING, alarmed=True)
    assert feedback_steady.changed(state.steady)
    counted = state.counts.stretches[feedback_counts.QUIET]
    assert counted - before.counts.stretches[feedback_counts.QUIET] < 10.0
    assert now(state).line == np.inf  # the shipped alarm speaks alone, until somebody looks
    state = state._replace(steady=feedback_steady.restarted(state.steady))
    assert now(state).line < np.inf


def test_learning_goes_on_while_answers_are_as_the_budget_has_them() -> None:
    chance = np.random.default_rng(3)
    stops = 0
    for _ in range(20):
        state = feedback_steady.init()
        for _ in range(200):  # answers a quarter of an hour apart, of which one in twenty slips
            slip = bool(chance.random() < feedback_steady.SLIP)
            state = feedback_steady.step(state, days=0.25 / 24.0, per_day=1.0, nothing=slip)
        stops += feedback_steady.changed(state)
    assert stops == 0  # at most one in 100,000 answers on average


def test_whoever_confirms_everything_is_bounded_by_what_words_are_worth() -> None:
    state = heard(taught(), tick(queue_length=6.0), TRUE, alarmed=True, times=400, hours=0.1)
    # 40 hours at ten alarms an hour, all confirmed by word alone: the line has risen above them.
    assert not tells(state, tick(queue_length=6.0))


def test_what_our_own_action_touched_says_nothing_of_what_is_normal() -> None:
    state = taught()
    touched = heard(state, tick(latency_p95_ms=6.0), SILENT, touched=True, times=200)
    assert (touched.counts.reached == state.counts.reached).all()
    assert (touched.taken == state.taken).all()
    seen = heard(state, tick(latency_p95_ms=6.0), TRUE, touched=True)
    assert seen.counts.stretches[feedback_counts.TROUBLE] > 12 * 0.9


def test_counts_of_two_controllers_add_up() -> None:
    one, other = taught().counts, heard(taught(), tick(), TRUE).counts
    both = feedback_counts.merged(one, other)
    assert both.reached.sum() == pytest.approx(one.reached.sum() + other.reached.sum())
    assert feedback_counts.odds(feedback_counts.merged(one, one))[LATENCY] == pytest.approx(
        feedback_counts.odds(one)[LATENCY], abs=0.75
    )


def test_a_state_goes_through_bytes_and_learns_on_as_if_nothing_had_been() -> None:
    state = taught()
    again = from_bytes(to_bytes(state), feedback.STATE_CLASSES)
    assert to_bytes(again) == to_bytes(state)
    after = heard(again, tick(queue_length=3.0), TRUE, alarmed=True)
    assert to_bytes(after) == to_bytes(heard(state, tick(queue_length=3.0), TRUE, alarmed=True))


def test_a_strength_must_last_and_an_unknown_tick_breaks_its_run() -> None:
    strengths = np.full((7, len(CHANNELS)), np.nan)
    strengths[:, LATENCY] = [5, 4, 3, 6, 7, np.nan, 9]
    strengths[:, QUEUE] = 2.0
    found = feedback.lasting(strengths)
    assert found[3:5, LATENCY].tolist() == [3.0, 3.0]
    assert np.isnan(found[[0, 1, 2, 5, 6], LATENCY]).all()
    assert found[6, QUEUE] == 2.0


def test_objectives_count_as_missed_only_in_a_row_and_only_when_known() -> None:
    strengths = np.zeros((6, len(CHANNELS)))
    strengths[:, CHANNELS.index(OBJECTIVES)] = [1, 1, np.nan, 1, 0, 1]
    assert feedback.missed(strengths).tolist() == [1, 2, 0, 1, 0, 1]


def test_the_mixture_is_hardly_worse_than_the_best_number_of_channels() -> None:
    chance = np.random.default_rng(5)
    state, losses, own = feedback_experts.init(), [], []
    for _ in range(480):
        found = verdict(TRUE if chance.random() < 0.5 else NOTHING, touched=False)
        assert found is not None
        right = chance.random(len(feedback_experts.ADDED)) < np.array([0.55, 0.6, 0.9, 0.5])
        tells = np.where(right, found.trouble, not found.trouble)
        wrong = tells != found.trouble
        losses.append(float(feedback_experts.weights(state) @ wrong))
        own.append(wrong)
        state = feedback_experts.step(state, tells, found)
    best = np.array(own).mean(axis=0).min()
    assert np.mean(losses) <= best + np.sqrt(np.log(len(feedback_experts.ADDED)) / (2 * 300)) + 0.01


@pytest.mark.parametrize("bad", [{"per_day": 0.0}, {"per_day": float("inf")}, {"sure": 0.4}])
def test_a_budget_that_no_line_meets_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="feedback budget"):
        Budget(**bad)


def test_a_line_is_no_lower_than_buys_more_than_it_costs() -> None:
    found = np.array([5.0, 4.0, 3.0, 1.0])
    worst, one = np.array([2.0, 2.0, 1.5, 0.0]), np.ones(4)
    # The trouble at 1 would cost three false alarms; the one at 3 costs none.
    assert feedback_line.needed(found, worst, one, 0.5) == 3.0
    assert feedback_line.needed(found, worst, 0.01 * one, 0.5) == 1.0
    assert feedback_line.needed(found[:0], worst, one, 0.5) == 0.5
