"""Columns judged together: a relation that breaks, and the few columns that it is about."""

from typing import Any

import numpy as np
import pytest

from homeostat.detect import pca, screen_rates, stack_frozen
from homeostat.detect.stack import Stack, scale
from homeostat.detect.stack_entity import Entities
from homeostat.detect.stack_play import play


def _factors(ticks: int, columns: int) -> Any:
    """Return columns that follow two common factors, `[time, 1, column]`."""
    draw = np.random.default_rng(3)
    factors = np.cumsum(draw.normal(size=(ticks, 2)), axis=0) * 0.2
    factors -= 0.98 * np.vstack([np.zeros((1, 2)), factors[:-1]])
    loads = draw.normal(size=(2, columns))
    return (factors @ loads * 3.0 + 0.3 * draw.normal(size=(ticks, columns)))[:, None]


@pytest.mark.slow
def test_a_column_that_parts_from_the_others_is_found_and_named() -> None:
    values = _factors(1500, 6)
    values[1200:1260, 0, 4] *= -1.0
    values[1200:1260, 0, 4] += 1.5
    said = play(Stack(), values).said
    known = ~said.unknown[:, 0]
    during = said.neg_log10_p[1200:1260, 0]
    before = said.neg_log10_p[600:1200, 0][known[600:1200]]
    assert during.max() > np.quantile(before, 0.999)
    at = 1200 + int(during.argmax())
    assert said.contributions[at, 0].argmax() == 4


@pytest.mark.slow
def test_shares_sum_to_one_where_there_is_evidence() -> None:
    values = _factors(420, 3)
    values[350:, 0, 2] = np.nan
    said = play(Stack(), values).said
    total = said.contributions.sum(axis=2)[:, 0]
    some = np.nan_to_num(said.neg_log10_p[:, 0]) > 0.0
    assert some[300:].any()
    np.testing.assert_allclose(total[some], 1.0)
    assert (np.nan_to_num(said.contributions) >= 0.0).all()


def test_a_column_that_vanishes_leaves_the_others_judged() -> None:
    values = _factors(420, 3)
    values[350:, 0, 2] = np.nan
    said = play(Stack(), values).said
    assert not said.unknown[350:].any()
    assert (np.nan_to_num(said.contributions[351:, 0, 2]) <= 0.5).all()


@pytest.mark.slow
def test_what_is_far_beyond_all_is_larger_and_hardly_rarer_than_what_is_beyond_it() -> None:
    values = _factors(700, 6)[:, 0]
    far, farther = values.copy(), values.copy()
    far[600, 0] += 40.0
    farther[600, 0] += 40_000.0
    entities = Entities(pca.Config(), screen_rates.Config(), stack_frozen.Config(first=128))
    table = np.stack([values, far, farther], axis=1)
    state = entities.init(6, entities=3)
    learn, none = np.ones((3, 6), dtype=bool), np.zeros((3, 6))
    _, early = entities.step(state, table[0], learn, none)
    assert np.isnan(early.beyond).all(), "no model yet"
    for row in table[:600]:
        state, _ = entities.step(state, row, learn, none)
    _, said = entities.step(state, table[600], learn, none)
    usual, beyond, most = said.beyond
    assert usual < 1.3 < beyond < most
    rarer = said.evidence[2] - said.evidence[1]
    assert most - beyond > 3.0
    assert 0.0 <= rarer < 1.0


@pytest.mark.slow
def test_the_score_of_several_columns_is_of_how_rare_and_how_large_and_alarms_of_how_rare() -> None:
    values = _factors(700, 6)
    values[600, 0, 0] += 40_000.0
    said = play(Stack(), values).said
    lesser = (said.anomaly_score >= 0.4) & ~said.alarm
    rare = scale(said.neg_log10_p, said.alarm, lesser)
    assert said.anomaly_score[600, 0] > rare[600, 0]
    before = np.flatnonzero(np.isfinite(said.neg_log10_p[:600, 0]) & ~said.alarm[:600, 0])
    assert not (said.anomaly_score[before, 0] >= 0.5).any()
    assert (said.neg_log10_p[said.alarm] >= 2.0).all()
