"""Chance by a hash stays within (0, 1) for every word, so that no draw is infinite."""

import jax.numpy as jnp
import numpy as np

from homeostat.twin import chance

WORDS = np.array([0, 1, 255, 256, 2**31, 2**32 - 256, 2**32 - 1], np.uint32)


def test_no_word_is_a_zero_or_a_one() -> None:
    """The greatest word once was 1: one tick in 17 million had infinite noise, and then NaN."""
    drawn = np.asarray(chance._uniform(jnp.asarray(WORDS)))
    assert (drawn > 0.0).all()
    assert (drawn < 1.0).all()
    assert (np.diff(drawn) >= 0.0).all()


def test_no_word_is_an_infinite_normal_and_both_tails_reach_as_far() -> None:
    drawn = np.asarray(chance.as_normal(chance._uniform(jnp.asarray(WORDS))))
    assert np.isfinite(drawn).all()
    assert -6.0 < drawn[0] < -5.0
    assert 5.0 < drawn[-1] < 6.0


def test_the_exponential_draw_of_a_process_is_never_infinite() -> None:
    assert np.isfinite(-np.log(np.asarray(chance._uniform(jnp.asarray(WORDS))))).all()
