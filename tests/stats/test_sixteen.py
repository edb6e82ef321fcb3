"""Sixteen bits keep the order of sizes, and each to half a thousandth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.stats import sixteen

SIZES = st.floats(0.0, 2.0**24, width=32)


@given(SIZES, SIZES)
def test_a_larger_size_never_has_a_smaller_code(one: float, other: float) -> None:
    low, high = sorted((np.float32(one), np.float32(other)))
    assert sixteen.coded(np, low) <= sixteen.coded(np, high)


@given(st.floats(2.0**-39, 2.0**23, width=32))
def test_a_size_comes_back_within_half_a_thousandth_and_to_the_same_code(size: float) -> None:
    code = sixteen.coded(np, np.array([size], dtype=np.float32))
    back = sixteen.sized(np, code)
    assert abs(back[0] / size - 1.0) < 0.0005
    assert sixteen.coded(np, back) == code


def test_nothing_is_below_zero_and_the_ends_hold() -> None:
    codes = sixteen.coded(np, np.array([0.0, 1e-30, 1e30], dtype=np.float32))
    assert codes.dtype == np.uint16
    assert codes.tolist() == [1, 1, 65535]
    empty = np.array([sixteen.EMPTY], dtype=np.uint16)
    assert sixteen.sized(np, np.append(empty, codes))[:3].tolist() == [-np.inf, 0.0, 0.0]


@pytest.mark.slow
def test_jax_has_the_same_codes() -> None:
    jnp = pytest.importorskip("jax.numpy")
    sizes = np.exp(np.random.default_rng(0).uniform(-30.0, 16.0, 4000)).astype(np.float32)
    codes = sixteen.coded(np, sizes)
    theirs = sixteen.coded(jnp, jnp.asarray(sizes))
    assert np.asarray(theirs).tolist() == codes.tolist()
    assert np.asarray(sixteen.sized(jnp, theirs)).tolist() == sixteen.sized(np, codes).tolist()
