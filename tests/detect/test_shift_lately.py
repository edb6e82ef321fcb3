import numpy as np
import pytest

from homeostat.detect.shift_lately import SCRAPES, chance, farthest, followed

USUAL = np.array([0.4, 0.3, 0.2, 0.1])
REFERENCE = 20_000.0 * USUAL


@pytest.mark.parametrize("buckets", [2, 12])
@pytest.mark.parametrize("events", [500, 20_000])
def test_samples_of_one_law_are_not_farther_apart_than_chance_allows(
    buckets: int, events: int
) -> None:
    rng = np.random.default_rng(7)
    law = rng.dirichlet(np.ones(buckets))
    now, then = rng.multinomial(events, law, 5_000), rng.multinomial(50_000, law, 5_000)
    apart = 0.5 * np.abs(now / events - then / 50_000).sum(axis=1)
    allowed = chance(events * law, 50_000 * law)
    assert apart.max() < allowed
    assert allowed < 4.0 * apart.mean() + 8.0 * apart.std()  # and no more than the sample asks for


def test_a_feature_that_came_back_was_away_lately_until_the_longest_window_is_over() -> None:
    seen = followed((), 0.3, 1_000.0 * USUAL[::-1], REFERENCE)
    for _ in range(SCRAPES - 1):
        seen = followed(seen, 0.02, 1_000.0 * USUAL, REFERENCE)
        assert farthest([seen]) == 0.3
    assert farthest([followed(seen, 0.02, 1_000.0 * USUAL, REFERENCE)]) == 0.0


def test_what_is_not_known_is_no_stillness() -> None:
    assert farthest([followed((), None, USUAL, REFERENCE)]) is None
    assert farthest([]) is None
