import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.stats.bootstrap import interval, ratio, resamples


@given(clusters=st.lists(st.sampled_from("abcd"), min_size=1, max_size=30), seed=st.integers(0, 99))
def test_a_resample_draws_as_many_clusters_and_all_of_their_size(
    clusters: list[str], seed: int
) -> None:
    rows = resamples(clusters, 20, seed=seed)
    sizes = {name: clusters.count(name) for name in clusters}
    drawn = np.zeros(20)
    for name, size in sizes.items():
        members = np.array([one == name for one in clusters])
        times = rows[:, members].sum(axis=1) / size
        assert np.array_equal(times, np.round(times))  # whole clusters, members anew
        drawn += times
    assert (drawn == len(sizes)).all()


def test_members_are_drawn_anew_each_time_their_cluster_is() -> None:
    rows = resamples(["a"] * 50, 400, seed=1)
    assert (rows.sum(axis=1) == 50).all()
    assert rows.var() == pytest.approx(1.0 - 1.0 / 50.0, rel=0.1)  # multinomial, not all ones


def test_equal_seeds_give_equal_resamples_and_others_do_not() -> None:
    names = ["a", "a", "b", "b", "c"]
    assert np.array_equal(resamples(names, 50, seed=3), resamples(names, 50, seed=3))
    assert not np.array_equal(resamples(names, 50, seed=3), resamples(names, 50, seed=4))


def test_nothing_to_resample_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        resamples([], 10, seed=0)


def test_a_ratio_of_nothing_is_unknown_and_leaves_the_others() -> None:
    rows = np.array([[1.0, 0.0], [0.0, 1.0]])
    out = ratio(rows, [3.0, 5.0], [0.0, 2.0])
    assert np.isnan(out[0])
    assert out[1] == 2.5


def test_the_interval_leaves_out_what_is_unknown_and_is_none_without_anything() -> None:
    assert interval(np.array([np.nan, 1.0, 1.0])) == (1.0, 1.0)
    assert interval(np.array([np.nan, np.nan])) is None


@pytest.mark.slow
def test_the_interval_covers_the_mean_of_a_known_mixture() -> None:
    """40 clusters of 10, variance 1 between and 1 within: the mean's truth is 0."""
    rng = np.random.default_rng(11)
    names = np.repeat(np.arange(40), 10).tolist()
    rows = resamples(names, 400, seed=2)
    covered = naive = 0
    runs = 600
    for _ in range(runs):
        values = np.repeat(rng.standard_normal(40), 10) + rng.standard_normal(400)
        low, high = interval(ratio(rows, values, np.ones(400))) or (0.0, 0.0)
        covered += low <= 0.0 <= high
        half = 1.96 * values.std() / 20.0
        naive += abs(values.mean()) <= half
    assert 0.92 <= covered / runs <= 0.98
    assert naive / runs < 0.75  # what ignoring the clusters would have claimed at 95 %
