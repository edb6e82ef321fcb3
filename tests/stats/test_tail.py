"""The tail's claims against the truth, and the cases that have no tail."""

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from homeostat.stats.tail import ln_exceeded

SIZE, PEAKS = 512, 64


def normal_exceeded(x: Any) -> Any:
    return np.array([math.erfc(one / math.sqrt(2.0)) for one in x])


def t4_exceeded(x: Any) -> Any:
    """Return P(|t| > x) for four degrees of freedom, in closed form."""
    s = x / np.sqrt(4.0 + x * x)
    return 1.0 - s * (3.0 - s * s) / 2.0


def lognormal_exceeded(x: Any) -> Any:
    return 0.5 * normal_exceeded(np.log(x))


FAMILIES: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any], Any]]] = {
    "normal": (lambda rng, shape: np.abs(rng.standard_normal(shape)), normal_exceeded),
    "t4": (lambda rng, shape: np.abs(rng.standard_t(4, shape)), t4_exceeded),
    "lognormal": (lambda rng, shape: np.exp(rng.standard_normal(shape)), lognormal_exceeded),
}


def size_at(peaks: Any, claimed: float) -> Any:
    """Return the size over the threshold at which so small a probability is claimed."""
    wanted = np.log(claimed * (SIZE + 1) / (PEAKS + 1))
    low, high = np.zeros(peaks.shape[1]), peaks[-1] * 1e5
    for _ in range(36):
        middle = 0.5 * (low + high)
        over = ln_exceeded(np, peaks, middle[None])[0] > wanted
        low, high = np.where(over, middle, low), np.where(over, high, middle)
    return high


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_no_more_is_claimed_than_is_true_on_average(family: str) -> None:
    draw, exceeded = FAMILIES[family]
    rng, series = np.random.default_rng(1), 100
    table = np.sort(draw(rng, (SIZE, series)), axis=0)
    threshold = table[SIZE - PEAKS - 1]
    for claimed in (1e-4, 1e-6):
        true = exceeded(threshold + size_at(table[SIZE - PEAKS :] - threshold, claimed))
        ratio = true / claimed
        print(f"{family} {claimed:g}: true / claimed {ratio.mean():.2f}")
        assert ratio.mean() <= 1.0 + 3.0 * ratio.std() / np.sqrt(series)


def test_eight_sigma_is_far_out_all_the_same() -> None:
    rng = np.random.default_rng(2)
    table = np.sort(np.abs(rng.standard_normal((SIZE, 40))), axis=0)
    threshold = table[SIZE - PEAKS - 1]
    ln_p = ln_exceeded(np, table[SIZE - PEAKS :] - threshold, (8.0 - threshold)[None])[0]
    assert np.median(ln_p) + np.log(PEAKS / SIZE) < np.log(1e-4)


def test_the_exponential_law_is_found_where_it_holds() -> None:
    grid = (np.arange(1, 65) - 0.5) / 64.0
    peaks = -np.log1p(-grid)[:, None]  # quantiles of Exp(1)
    sizes = np.array([[1.0], [2.0], [4.0]])
    claimed = ln_exceeded(np, peaks, sizes)
    assert claimed[0, 0] == pytest.approx(-1.0, abs=0.1)
    assert (np.diff(claimed[:, 0]) < 0.0).all()
    assert (claimed[:, 0] > -sizes[:, 0] - 0.1).all()  # unsure, so never far below


def test_scale_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    peaks = np.sort(rng.pareto(4.0, (64, 5)), axis=0)
    sizes = np.full((1, 5), 3.0)
    for scale in (1e-12, 1e9):
        moved = ln_exceeded(np, peaks * scale, sizes * scale)
        assert np.allclose(moved, ln_exceeded(np, peaks, sizes))


@pytest.mark.parametrize("peaks", [np.zeros((16, 1)), np.array([*[0.0] * 15, 1.0])[:, None]])
def test_peaks_of_one_value_claim_nothing_wild(peaks: Any) -> None:
    claimed = ln_exceeded(np, peaks, np.array([[0.0], [2.0]]))
    assert np.isfinite(claimed).all()
    assert claimed[0, 0] <= 0.0
    if peaks.max() == 0.0:
        assert (claimed == 0.0).all()


@pytest.mark.slow
def test_jax_claims_the_same() -> None:
    jnp: ModuleType = pytest.importorskip("jax.numpy")
    peaks = np.sort(np.random.default_rng(4).exponential(size=(64, 8)), axis=0)
    sizes = np.full((2, 8), 9.0)
    theirs = ln_exceeded(jnp, jnp.asarray(peaks), jnp.asarray(sizes))
    assert np.allclose(ln_exceeded(np, peaks, sizes), np.asarray(theirs), rtol=1e-3, atol=1e-3)
