"""Columns judged together: a relation that breaks, and the few columns that it is about."""

from typing import Any

import numpy as np
import pytest

from homeostat.detect.stack import Stack
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
