import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from homeostat.stats.exact import (
    beta_cdf,
    beta_quantile,
    clopper_pearson,
    lower_bound,
    upper_bound,
)


@given(
    trials=st.integers(1, 6000),
    share=st.floats(0.0, 1.0),
    confidence=st.sampled_from([0.5, 0.9, 0.95, 0.999]),
)
def test_the_bounds_are_the_quantiles_of_scipys_beta(
    trials: int, share: float, confidence: float
) -> None:
    events = round(share * trials)
    low, high = clopper_pearson(events, trials, confidence)
    tail = (1.0 - confidence) / 2.0
    wanted_low = beta.ppf(tail, events, trials - events + 1) if events else 0.0
    wanted_high = beta.ppf(1.0 - tail, events + 1, trials - events) if events < trials else 1.0
    assert low == pytest.approx(wanted_low, abs=1e-10)
    assert high == pytest.approx(wanted_high, abs=1e-10)


def test_nothing_seen_gives_the_bounds_that_are_quoted() -> None:
    assert f"{upper_bound(0, 43):.1%}" == "6.7%"
    assert f"{upper_bound(0, 4300):.2%}" == "0.07%"
    assert f"{upper_bound(0, 1200):.2%}" == "0.25%"
    assert f"{upper_bound(0, 300):.1%}" == "1.0%"
    assert upper_bound(0, 43) == pytest.approx(1.0 - 0.05 ** (1.0 / 43.0), abs=1e-12)


def test_everything_seen_mirrors_nothing_seen() -> None:
    assert upper_bound(43, 43) == 1.0
    assert lower_bound(43, 43) == pytest.approx(1.0 - upper_bound(0, 43), abs=1e-12)


@pytest.mark.parametrize(("n", "p"), [(5, 0.1), (20, 0.5), (43, 0.02), (100, 0.9)])
def test_the_interval_covers_at_least_as_often_as_it_says(n: int, p: float) -> None:
    covered = 0.0
    for events in range(n + 1):
        low, high = clopper_pearson(events, n)
        if low <= p <= high:
            covered += math.comb(n, events) * p**events * (1.0 - p) ** (n - events)
    assert covered >= 0.95


@given(x=st.floats(0.0, 1.0), a=st.floats(0.01, 500.0), b=st.floats(0.01, 500.0))
def test_the_incomplete_beta_function_is_scipys(x: float, a: float, b: float) -> None:
    assert beta_cdf(x, a, b) == pytest.approx(float(beta.cdf(x, a, b)), abs=1e-11)


@pytest.mark.parametrize(("events", "trials"), [(-1, 10), (11, 10), (0, 0)])
def test_impossible_counts_are_refused(events: int, trials: int) -> None:
    with pytest.raises(ValueError, match="events <= trials"):
        clopper_pearson(events, trials)


def test_impossible_arguments_of_the_beta_function_are_refused() -> None:
    with pytest.raises(ValueError, match="positive shapes"):
        beta_cdf(0.5, 0.0, 1.0)
    with pytest.raises(ValueError, match="0 <= p <= 1"):
        beta_quantile(1.1, 1.0, 1.0)
    with pytest.raises(ValueError, match="confidence"):
        upper_bound(0, 10, 1.0)
