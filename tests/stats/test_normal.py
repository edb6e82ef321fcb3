"""Tails in logarithms: checked against erfc, and against a continued fraction where erfc ends."""

import math
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.stats.normal import ln_tail, neg_log10_p, normal_from_t, t_from_normal


def mills(z: float) -> float:
    """Return the Mills ratio by Laplace's continued fraction, from the far end."""
    ratio = 0.0
    for k in range(400, 0, -1):
        ratio = k / (z + ratio)
    return 1.0 / (z + ratio)


def ln_tail_reference(z: float) -> float:
    if z < 5.0:
        return math.log(0.5 * math.erfc(z / math.sqrt(2.0)))
    return math.log(mills(z)) - 0.5 * z * z - 0.5 * math.log(2.0 * math.pi)


@given(st.floats(0.0, 1e4))
def test_the_tail_is_within_its_stated_accuracy_everywhere(z: float) -> None:
    expected = ln_tail_reference(z)
    assert abs(float(ln_tail(np, np.float64(z))) - expected) <= 1e-7 + 4e-16 * abs(expected)


@given(st.floats(-8.0, 0.0))
def test_the_other_half_is_one_minus_the_tail(z: float) -> None:
    expected = math.log1p(-0.5 * math.erfc(-z / math.sqrt(2.0)))
    assert float(ln_tail(np, np.float64(z))) == pytest.approx(expected, abs=1e-7)


def test_forty_sigma_is_a_number_and_not_infinity() -> None:
    # Q(40) = 3.6558935409150e-350, below the smallest double.
    score = float(neg_log10_p(np, np.float64(40.0), two_sided=False))
    assert score == pytest.approx(350.0 - math.log10(3.655893540915), abs=1e-6)
    assert np.isfinite(neg_log10_p(np, np.float64(1e6), two_sided=True))


def test_two_sided_p_is_symmetric_and_one_at_zero() -> None:
    z = np.linspace(-9, 9, 37)
    scores = neg_log10_p(np, z, two_sided=True)
    assert np.array_equal(scores, scores[::-1])
    assert float(neg_log10_p(np, np.float64(0.0), two_sided=True)) == pytest.approx(0.0, abs=1e-7)


def test_nan_stays_unknown() -> None:
    assert np.isnan(neg_log10_p(np, np.array([np.nan, 1.0]), two_sided=True)).tolist() == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("dof", "t", "p"),
    # Two-sided critical values of Student's t from the usual tables.
    [(5, 2.571, 0.05), (5, 6.869, 0.001), (10, 4.587, 0.001), (20, 2.845, 0.01), (60, 3.46, 0.001)],
)
def test_student_deviates_keep_their_p_value(dof: int, t: float, p: float) -> None:
    z = float(normal_from_t(np, np.float64(t), np.float64(dof)))
    ours = math.erfc(z / math.sqrt(2.0))
    assert 0.99 * p <= ours <= 1.10 * p  # never claims more than the data say


@given(st.floats(-8.0, 8.0), st.floats(2.0, 1e4))
def test_student_and_normal_are_inverse(z: float, dof: float) -> None:
    back = normal_from_t(np, t_from_normal(np, np.float64(z), np.float64(dof)), np.float64(dof))
    assert float(back) == pytest.approx(z, abs=1e-6)


@pytest.mark.slow
def test_jax_agrees_to_single_precision() -> None:
    jnp: ModuleType = pytest.importorskip("jax.numpy")
    z = np.linspace(-6.0, 200.0, 500)
    ours = neg_log10_p(np, z, two_sided=False)
    theirs = np.asarray(neg_log10_p(jnp, jnp.asarray(z), two_sided=False), dtype=float)
    assert np.allclose(ours, theirs, rtol=2e-6, atol=2e-6)
