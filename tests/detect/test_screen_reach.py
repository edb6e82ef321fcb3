"""How far beyond its usual reach a score is, and that incidents do not stretch the reach."""

from typing import Any

import numpy as np
import pytest

from homeostat.detect import screen_reach


def _play(scores: Any) -> tuple[Any, Any]:
    state, out = screen_reach.init(np, scores.shape[1]), np.empty(scores.shape)
    for tick, one in enumerate(scores):
        state, times = screen_reach.step(np, state, one, np.ones(one.shape, dtype=bool))
        out[tick] = screen_reach.evidence(np, times)
    return state, out


def _sizes(ticks: int = 3000, rows: int = 6) -> Any:
    return np.abs(np.random.default_rng(0).normal(size=(ticks, rows)))


def test_the_reach_is_what_nineteen_of_twenty_scores_keep_to() -> None:
    state, _ = _play(_sizes())
    # The 95 % quantile of the size of a normal value; a step is 1 % of the reach.
    assert state.reach == pytest.approx(np.full(6, 1.96), rel=0.12)


def test_incidents_that_are_rare_hardly_move_it_however_large() -> None:
    calm, _ = _play(_sizes())
    sizes = _sizes()
    sizes[1000:1040] = 1e6
    sizes[2000:2040] = 1e6
    state, said = _play(sizes)
    # 40 ticks stretch it by half, and the thousand after them take most of that back.
    np.testing.assert_allclose(state.reach, calm.reach, rtol=0.25)
    assert (said[2000:2040] > 10.0).all()


def test_the_unit_does_not_matter() -> None:
    _, said = _play(_sizes(500))
    _, other = _play(_sizes(500) * 1024.0)
    np.testing.assert_allclose(said, other, atol=1e-9)


def test_silence_and_youth_are_unknown() -> None:
    sizes = _sizes(400, 1)
    sizes[300] = np.nan
    _, said = _play(sizes)
    assert np.isnan(said[:200]).all()
    assert np.isfinite(said[200:300]).all()
    assert np.isnan(said[300]).all()
    assert np.isfinite(said[301]).all()


def test_a_row_that_never_moved_says_much_when_it_does_and_nothing_before() -> None:
    sizes = np.zeros((300, 1))
    sizes[250] = 1.0
    _, said = _play(sizes)
    assert (said[200:250] == 0.0).all()
    assert said[250] > 10.0


def test_a_step_is_what_its_formula_says_at_every_age() -> None:
    ages = np.arange(1.0, 1_200.0)
    state = screen_reach.State(reach=np.ones(len(ages)), count=ages)
    share = np.maximum(0.5 / (1.0 + ages / 20.0), 0.01)
    for size, sign in ((2.0, 0.95), (0.5, -0.05)):
        moved, _ = screen_reach.step(np, state, np.full(len(ages), size), True)
        np.testing.assert_allclose(moved.reach, np.exp(share * sign), rtol=1e-15)


def test_the_largest_evidence_is_that_of_the_largest_ratio() -> None:
    times = np.random.default_rng(1).pareto(1.0, size=(500, 8))
    each = screen_reach.evidence(np, times)
    np.testing.assert_array_equal(screen_reach.evidence(np, times.max(axis=1)), each.max(axis=1))
