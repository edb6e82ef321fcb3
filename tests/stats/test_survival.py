import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.stats.survival import curve, quantile, restricted_mean

# Ten patients, worked by hand: product of (1 - events / at risk).
TIMES = [3, 5, 5, 8, 10, 12, 12, 15, 20, 20]
EVENTS = [True, True, False, True, False, True, True, False, True, False]


def test_the_curve_is_the_one_worked_by_hand() -> None:
    at, waiting = curve(TIMES, EVENTS)
    assert at.tolist() == [3, 5, 8, 10, 12, 15, 20]
    after_3 = 9 / 10
    after_5 = after_3 * 8 / 9
    after_8 = after_5 * 6 / 7
    after_12 = after_8 * 3 / 5
    after_20 = after_12 * 1 / 2
    expected = [after_3, after_5, after_8, after_8, after_12, after_12, after_20]
    assert waiting[0].tolist() == pytest.approx(expected)


def test_the_restricted_mean_is_the_area_worked_by_hand() -> None:
    s3, s5, s8, s12 = 0.9, 0.8, 0.8 * 6 / 7, 0.8 * 6 / 7 * 0.6
    to_20 = 3 + 2 * s3 + 3 * s5 + 4 * s8 + 8 * s12
    assert restricted_mean(TIMES, EVENTS, 20.0)[0] == pytest.approx(to_20)
    assert restricted_mean(TIMES, EVENTS, 6.0)[0] == pytest.approx(3 + 2 * s3 + s5)
    # Nobody is watched after 20: who is left counts for the rest of the horizon.
    assert restricted_mean(TIMES, EVENTS, 30.0)[0] == pytest.approx(to_20 + 10 * s12 / 2)


def test_quantiles_are_those_of_the_curve_and_infinite_when_not_reached() -> None:
    assert quantile(TIMES, EVENTS, 0.1)[0] == 3.0
    assert quantile(TIMES, EVENTS, 0.3)[0] == 8.0
    assert quantile(TIMES, EVENTS, 0.5)[0] == 12.0
    assert quantile(TIMES, EVENTS, 0.95)[0] == np.inf


@given(st.lists(st.floats(0.0, 100.0), min_size=1, max_size=40))
def test_without_censoring_it_is_the_plain_mean(times: list[float]) -> None:
    everyone = [True] * len(times)
    assert restricted_mean(times, everyone, 1000.0)[0] == pytest.approx(np.mean(times))


@given(
    st.lists(st.tuples(st.integers(0, 20), st.booleans(), st.integers(0, 3)), min_size=1).filter(
        lambda rows: any(count for _, _, count in rows)
    )
)
def test_a_weight_is_the_same_as_that_many_observations(
    rows: list[tuple[int, bool, int]],
) -> None:
    times, events, counts = zip(*rows, strict=True)
    weighted = restricted_mean(times, events, 25.0, np.array([counts], float))[0]
    long = [(t, e) for t, e, n in rows for _ in range(n)]
    plain = restricted_mean([t for t, _ in long], [e for _, e in long], 25.0)[0]
    assert weighted == pytest.approx(plain)


def test_nobody_recovering_counts_the_whole_horizon() -> None:
    assert restricted_mean([5.0, 9.0], [False, False], 14.0)[0] == 14.0


def test_what_does_not_apply_is_refused() -> None:
    with pytest.raises(ValueError, match="leave out what does not apply"):
        curve([1.0, np.nan], [True, True])
    with pytest.raises(ValueError, match="leave out what does not apply"):
        curve([], [])
    with pytest.raises(ValueError, match="positive horizon"):
        restricted_mean([1.0], [True], 0.0)
