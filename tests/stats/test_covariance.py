"""Fading covariance and principal components, against NumPy's own and against known factors."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from homeostat.stats.covariance import Basis, Moments, components, init, learn


def learnt(rows: Any, memory: float = 1e6, *, at_once: int = 50) -> Moments:
    state = init(np, rows.shape[1], rows.shape[2])
    for first in range(0, len(rows), at_once):
        state = learn(np, state, rows[first : first + at_once], memory)
    return state


def basis(state: Moments, rows: float, explained: float = 1.0) -> Basis:
    usable = np.ones(state.sums.shape[:2], dtype=bool)
    return components(np, state, usable, np.full(len(usable), rows), explained=explained)


def factors(ticks: int, seed: int, *, columns: int = 12, noise: float = 0.5) -> Any:
    """Return one entity that two factors move."""
    rng = np.random.default_rng(seed)
    loads = rng.choice([-1.0, 1.0], (2, columns))
    return (
        rng.standard_normal((ticks, 2)) @ loads + noise * rng.standard_normal((ticks, columns))
    )[:, None]


def test_moments_are_those_of_numpy() -> None:
    rows = factors(300, 1)
    state = learnt(rows)
    mean = np.diagonal(state.sums[0]) / np.diagonal(state.pairs[0])
    assert np.allclose(mean, rows[:, 0].mean(axis=0))
    found = state.products[0] / state.pairs[0] - np.outer(mean, mean)
    assert np.allclose(found, np.cov(rows[:, 0], rowvar=False, bias=True))


@given(st.integers(1, 300))
def test_moments_do_not_depend_on_how_many_rows_come_at_once(at_once: int) -> None:
    rows = factors(300, 2, columns=3)
    for ours, theirs in zip(learnt(rows, at_once=at_once), learnt(rows), strict=True):
        assert np.allclose(ours, theirs)


def test_a_gap_does_not_make_a_column_uncorrelated() -> None:
    rows = factors(4000, 3, noise=0.1)
    rows[np.random.default_rng(4).random(len(rows)) < 0.7, 0, 0] = np.nan
    whole, gaps = factors(4000, 3, noise=0.1), rows
    one, other = basis(learnt(whole), 4000), basis(learnt(gaps), 4000)
    assert np.allclose(one.variances[0, :2], other.variances[0, :2], rtol=0.05)


def test_the_past_fades_and_never_weighs_more_than_the_memory() -> None:
    quiet, loud = factors(5000, 5), 3.0 * factors(5000, 6)
    state = learnt(np.concatenate([quiet, loud]), memory=500.0)
    assert state.pairs.max() <= 500.0 + 1e-9
    assert np.allclose(basis(state, 500).width[0], 3.0 * np.sqrt(2.25), rtol=0.15)


def test_as_many_components_as_factors_are_kept() -> None:
    assert basis(learnt(factors(2000, 7)), 2000).kept.sum() == 2
    noise = np.random.default_rng(8).standard_normal((2000, 40, 12))
    # Pure noise has none: the limit is where the largest of its variances is expected.
    assert basis(learnt(noise), 2000).kept.any(axis=1).mean() < 0.5


def test_the_share_to_explain_limits_the_components() -> None:
    state = learnt(factors(2000, 7))
    assert basis(state, 2000, explained=0.3).kept.sum() == 1


def test_components_are_an_orthogonal_basis_with_a_fixed_sign() -> None:
    found = basis(learnt(factors(500, 9)), 500)
    vectors = found.vectors[0]
    assert np.allclose(vectors.T @ vectors, np.eye(12), atol=1e-9)
    assert (np.diff(found.variances[0]) <= 0.0).all()
    largest = np.argmax(np.abs(vectors), axis=0)
    assert (vectors[largest, np.arange(12)] > 0.0).all()


def test_columns_that_are_of_no_use_share_no_component_with_others() -> None:
    rows = factors(500, 10)
    rows[:, 0, 3] = 7.0
    usable = np.ones((1, 12), dtype=bool)
    usable[0, 5] = False
    found = components(np, learnt(rows), usable, np.array([500.0]), explained=1.0)
    touched = np.abs(found.vectors[0, [3, 5]]).max(axis=0) > 1e-6
    assert touched.sum() == 2
    others = np.delete(found.vectors[0], [3, 5], axis=0)
    assert np.allclose(others[:, touched], 0.0)
    assert not found.kept[0, touched].any()
    assert (found.width[0, [3, 5]] == 1.0).all()
    assert (found.variances > 0.0).all()


def test_nothing_learnt_claims_nothing() -> None:
    found = basis(init(np, 1, 4), 0)
    assert not found.kept.any()
    assert np.isfinite(found.vectors).all()
