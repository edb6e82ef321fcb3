"""The stack: one alarm an incident, whatever the scale, from what was seen so far."""

from typing import Any

import numpy as np
import pytest

from homeostat.detect import method_recurring
from homeostat.detect.stack import Stack, StackConfig
from homeostat.detect.stack_checkpoint import from_bytes, to_bytes
from homeostat.detect.stack_play import play


def _noise(ticks: int, entities: int, columns: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(ticks, entities, columns))


def _said_equal(one: Any, two: Any) -> None:
    for name in one._fields:
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name), err_msg=name)


@pytest.mark.slow
def test_a_shift_is_one_alarm_with_its_column_to_blame() -> None:
    values = _noise(700, 2, 3)
    values[500:600, 0, 1] += 9.0
    said = play(Stack(), values).said
    assert np.argwhere(said.alarm[:, 1]).size == 0
    starts = np.flatnonzero(said.alarm[:, 0])
    assert starts.tolist() == [500]
    assert said.active[500:520, 0].all()
    assert said.contributions[500, 0].argmax() == 1
    assert said.contributions[500, 0].sum() == pytest.approx(1.0)


@pytest.mark.slow
def test_what_comes_again_in_one_column_is_told_of_each_time_on_request() -> None:
    begins = (900, 1400, 1900, 2400)
    values = _noise(2600, 8, 1)
    for begin in begins:
        values[begin : begin + 60] += 20.0
    told = {}
    for config in (StackConfig(), method_recurring.Config()):
        alarm = play(Stack(config), values).said.alarm
        told[config.recurring] = [int(alarm[at : at + 60].any(axis=0).sum()) for at in begins]
    assert told[True] == [8, 8, 8, 8]
    assert told[False][0] == 8
    assert sum(told[False]) < 24  # decision 73: what the default leaves out


@pytest.mark.slow
def test_the_score_is_above_one_half_exactly_at_alarms() -> None:
    values = _noise(700, 1, 1)
    values[500:600] += 9.0
    said = play(Stack(), values).said
    known = ~said.unknown
    assert said.alarm.any()
    assert ((said.anomaly_score[known] >= 0.5) == said.alarm[known]).all()
    assert said.anomaly_score[known].min() >= 0.0
    assert said.anomaly_score[known].max() <= 1.0


def test_several_columns_have_a_lower_level_once_their_past_has_a_tail() -> None:
    config = StackConfig()
    assert config.told(1)[0].start == 2.6
    level = config.told(2)[0].start + config.young(np.array([0.0, 100.0, 1000.0, 1e5, 1e9]))
    assert level[:2].tolist() == [2.6, 2.6], "a short past is told of as a single column is"
    assert (np.diff(level[1:]) < 0.0).all()
    assert level[-1] == pytest.approx(2.0)


def test_lesser_incidents_are_told_of_ever_more_seldom() -> None:
    more = StackConfig().old(np.array([0.0, 100.0, 5_000.0, 50_000.0, 500_000.0]))
    np.testing.assert_allclose(more, [0.0, 0.0, 0.0, 1.0, 2.0])
    with pytest.raises(ValueError, match="seldom"):
        StackConfig(seldom=0.5)


@pytest.mark.slow
def test_a_lesser_incident_of_an_old_row_has_no_place_above_stronger_ticks() -> None:
    values = _noise(900, 40, 1)
    young = play(Stack(), values).said.anomaly_score
    old = play(Stack(StackConfig(seldom=1.0)), values).said.anomaly_score
    hints = (young >= 0.4) & (young < 0.5)
    assert hints.any()
    assert not ((old >= 0.4) & (old < 0.5)).any()
    np.testing.assert_array_equal(old[~hints], young[~hints])


@pytest.mark.long
def test_an_alarm_of_several_columns_has_reached_the_level_of_its_age() -> None:
    values = _noise(1600, 6, 4)
    values[1200:1215, ::2, 0] += 4.0
    config = StackConfig()
    said = play(Stack(config), values).said
    assert said.alarm[1200:1215, ::2].any(axis=0).all()
    age = np.cumsum(np.isfinite(said.neg_log10_p), axis=0)
    usual = config.several.start + config.young(age)
    assert (said.neg_log10_p[said.alarm] >= usual[said.alarm]).all()
    told_of = said.neg_log10_p[said.alarm].min()
    assert told_of < config.incident.start, "the level of a single column would have been silent"


def test_nothing_reported_is_unknown_and_not_healthy() -> None:
    values = _noise(340, 2, 2)
    values[200:, 0] = np.nan
    said = play(Stack(), values).said
    assert said.unknown[200:, 0].all()
    assert np.isnan(said.neg_log10_p[200:, 0]).all()
    assert np.isnan(said.anomaly_score[200:, 0]).all()
    assert not said.unknown[300:, 1].any()


@pytest.mark.slow
def test_what_is_said_of_a_prefix_is_what_is_said_of_the_whole() -> None:
    values = _noise(400, 2, 2)
    values[250:] += 6.0
    whole = play(Stack(), values).said
    part = play(Stack(), values[:300]).said
    _said_equal(part, type(whole)(*(field[:300] for field in whole)))


def test_entities_do_not_know_of_each_other() -> None:
    values = _noise(300, 3, 2)
    together = play(Stack(), values).said
    alone = play(Stack(), values[:, 1:2]).said
    _said_equal(alone, type(together)(*(field[:, 1:2] for field in together)))


@pytest.mark.slow
def test_a_state_goes_to_bytes_and_goes_on_where_it_stopped() -> None:
    stack, values = Stack(), _noise(400, 2, 2)
    values[300:] += 6.0
    first = play(stack, values[:250])
    data = to_bytes(stack, first.state)
    state = from_bytes(stack, data, columns=2, entities=2)
    assert to_bytes(stack, state) == data
    second = play(stack, values[250:], state=state).said
    _said_equal(second, type(second)(*(field[250:] for field in play(stack, values).said)))


def test_a_checkpoint_of_other_columns_is_refused() -> None:
    stack = Stack()
    data = to_bytes(stack, stack.init(3))
    with pytest.raises(ValueError, match="not of 1 entities with 2 columns"):
        from_bytes(stack, data, columns=2)


def test_a_damaged_checkpoint_is_refused() -> None:
    stack = Stack()
    data = to_bytes(stack, stack.init(1))
    with pytest.raises(ValueError, match="checkpoint"):
        from_bytes(stack, data[: len(data) // 2], columns=1)


def test_a_series_of_one_column_takes_less_than_eight_kibibytes() -> None:
    series = 100
    state = Stack().init(1, entities=series)
    assert len(to_bytes(Stack(), state)) / series < 8192
