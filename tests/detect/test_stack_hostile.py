"""Whatever comes in, what is said is a score, a share or unknown, and nothing is raised."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from homeostat.detect.stack import Stack
from homeostat.detect.stack_play import play

ODD = st.sampled_from([
    0.0,
    -0.0,
    1.0,
    1e-300,
    -1e300,
    1e300,
    float("inf"),
    float("-inf"),
    float("nan"),
])


def _sound(said: Any) -> None:
    known = ~said.unknown
    for field in (said.neg_log10_p, said.anomaly_score):
        assert np.isfinite(field[known]).all()
        assert np.isnan(field[~known]).all()
        assert (field[known] >= 0.0).all()
    assert (said.anomaly_score[known] <= 1.0).all()
    assert not said.alarm[~known].any()
    shares = said.contributions[np.isfinite(said.contributions)]
    assert ((shares >= 0.0) & (shares <= 1.0 + 1e-12)).all()


@pytest.mark.slow
@settings(max_examples=5, deadline=None)
@given(arrays.arrays(float, (12, 1, 2), elements=ODD))
def test_odd_values_after_a_healthy_past_are_judged_or_unknown(odd: Any) -> None:
    healthy = np.random.default_rng(0).normal(size=(180, 1, 2))
    _sound(play(Stack(), np.concatenate([healthy, odd, healthy[:20]])).said)


@pytest.mark.slow
@pytest.mark.parametrize("value", [0.0, 3.5, -1e12, 1e-12])
def test_a_constant_is_healthy_for_ever(value: float) -> None:
    said = play(Stack(), np.full((400, 1, 1), value)).said
    _sound(said)
    assert not said.alarm.any()
    assert not said.unknown[-1].any()


@pytest.mark.parametrize("ticks", [0, 1])
def test_one_point_or_none_is_unknown(ticks: int) -> None:
    said = play(Stack(), np.ones((ticks, 1, 1))).said
    assert said.unknown.shape == (ticks, 1)
    assert said.unknown.all()


@pytest.mark.slow
def test_a_column_that_never_reports_does_not_hide_the_other() -> None:
    values = np.random.default_rng(0).normal(size=(340, 1, 2))
    values[:, 0, 1] = np.nan
    said = play(Stack(), values).said
    _sound(said)
    assert not said.unknown[-20:].any()


@pytest.mark.parametrize(("columns", "entities"), [(0, 1), (1, 0)])
def test_nothing_to_judge_is_refused(columns: int, entities: int) -> None:
    with pytest.raises(ValueError, match="need columns and entities"):
        Stack().init(columns, entities=entities)


def test_values_without_three_axes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[time, entity, column\]"):
        play(Stack(), np.ones((4, 2)))
