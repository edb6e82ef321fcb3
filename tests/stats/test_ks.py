"""Kolmogorov-Smirnov on counts: against the published quantiles, and honest on binned samples."""

import numpy as np
import pytest

from homeostat.stats.ks import distance, neg_log10_tail, two_sample


@pytest.mark.parametrize(
    ("size", "tail"), [(1.2238, 0.10), (1.3581, 0.05), (1.6276, 0.01), (1.9495, 0.001)]
)
def test_the_tail_has_the_published_quantiles(size: float, tail: float) -> None:
    """Smirnov, Ann. Math. Stat. 19 (1948)."""
    assert 10.0 ** -neg_log10_tail(size) == pytest.approx(tail, rel=2e-3)


def test_far_tails_keep_their_size() -> None:
    assert neg_log10_tail(40.0) == pytest.approx((3200.0 - np.log(2.0)) / np.log(10.0))


def test_binned_samples_of_one_law_are_not_called_different() -> None:
    rng = np.random.default_rng(1)
    shares = np.full(12, 1.0 / 12.0)
    scores = np.array([
        two_sample(
            rng.multinomial(200, shares).astype(float), rng.multinomial(1000, shares).astype(float)
        )
        for _ in range(500)
    ])
    for level in (0.1, 0.01):
        assert (scores >= -np.log10(level)).mean() <= level + 3.0 * np.sqrt(level / scores.size)
    assert (scores > 0.5).any()


def test_a_shift_is_found_and_the_distance_is_the_largest_gap() -> None:
    now, then = np.array([10.0, 20.0, 70.0]), np.array([300.0, 400.0, 300.0])
    assert distance(now, then) == pytest.approx(0.4)
    assert two_sample(now, then) > 10.0


def test_an_empty_histogram_is_an_error_and_its_distance_unknown() -> None:
    with pytest.raises(ValueError, match="events in both"):
        two_sample(np.zeros(3), np.ones(3))
    assert np.isnan(distance(np.zeros(3), np.ones(3)))
