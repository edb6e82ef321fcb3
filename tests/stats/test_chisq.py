import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.stats.chisq import neg_log10_tail, two_sample

# Upper 5 %, 1 % and 0.1 % points (NIST/SEMATECH e-Handbook, table 1.3.6.7.4).
_POINTS = {
    (1, 0.05): 3.841, (1, 0.001): 10.828, (2, 0.01): 9.210, (5, 0.05): 11.070,
    (10, 0.001): 29.588, (20, 0.01): 37.566, (40, 0.05): 55.758, (100, 0.001): 149.449,
}  # fmt: skip


@pytest.mark.parametrize(("case", "point"), _POINTS.items())
def test_the_tail_agrees_with_printed_tables(case: tuple[int, float], point: float) -> None:
    degrees, p = case
    assert 10.0 ** -neg_log10_tail(point, degrees) == pytest.approx(p, rel=2e-3)


def test_two_degrees_of_freedom_are_an_exponential_however_far_out() -> None:
    for statistic in (0.5, 10.0, 1_000.0, 1e6):
        expected = statistic / 2.0 / math.log(10.0)
        assert neg_log10_tail(statistic, 2) == pytest.approx(expected, rel=1e-9)


@given(st.floats(0.0, 1e5), st.floats(0.0, 1e5), st.integers(1, 200))
def test_more_deviation_is_never_less_evidence(one: float, other: float, degrees: int) -> None:
    low, high = sorted((one, other))
    assert neg_log10_tail(low, degrees) <= neg_log10_tail(high, degrees) + 1e-9
    assert math.isfinite(neg_log10_tail(high, degrees))


@pytest.mark.parametrize(("statistic", "degrees"), [(-1.0, 1), (math.nan, 1), (1.0, 0)])
def test_nonsense_is_refused_by_name(statistic: float, degrees: int) -> None:
    with pytest.raises(ValueError, match="statistic"):
        neg_log10_tail(statistic, degrees)


def test_equal_histograms_reject_about_as_often_as_promised() -> None:
    rng = np.random.default_rng(1)
    shape = np.array([0.3, 0.25, 0.2, 0.1, 0.08, 0.05, 0.02])
    pairs = [(rng.multinomial(500, shape), rng.multinomial(5_000, shape)) for _ in range(4_000)]
    scores = np.array([two_sample(a.astype(float), b.astype(float)) for a, b in pairs])
    for level in (0.1, 0.01):
        share = float((scores >= -math.log10(level)).mean())
        assert share == pytest.approx(level, abs=4.0 * math.sqrt(level / 4_000))


def test_a_handful_of_events_is_no_evidence_however_odd_they_look() -> None:
    reference = np.array([5_000.0, 5_000.0, 10.0])
    assert two_sample(np.array([0.0, 2.0, 2.0]), reference) < 8.0
    assert two_sample(np.array([0.0, 200.0, 200.0]), reference) > 100.0
