"""The planner's minutes are those in which made-up canaries end."""

import math

import numpy as np
import pytest

from homeostat.govern.canary_plan import Question, by_share, plan, span, words
from homeostat.stats.share_bet_runs import Law

FAST = Law(requests=10_000.0, ratio=4.0)


def test_a_plan_is_the_same_with_the_same_seed_and_true_with_another() -> None:
    asked = Question(law=FAST, minutes=60)
    one, again, other = (plan(asked, np.random.default_rng(seed), runs=300) for seed in (1, 1, 2))
    assert one == again
    assert one.find.minutes is not None
    assert one.find.low is not None
    assert one.find.high is not None
    assert one.find.low <= one.find.minutes <= one.find.high
    assert other.find.minutes is not None
    assert one.find.low - 1 <= other.find.minutes <= one.find.high + 1


@pytest.mark.slow
def test_more_traffic_a_larger_share_and_a_larger_ratio_take_less_time() -> None:
    def minutes(law: Law) -> float:
        found = plan(Question(law=law, minutes=90), np.random.default_rng(3), runs=200).find
        return math.inf if found.minutes is None else found.minutes

    usual = minutes(Law(requests=2000.0, ratio=3.0))
    assert minutes(Law(requests=4000.0, ratio=3.0)) < usual
    assert minutes(Law(requests=2000.0, ratio=6.0)) < usual
    assert minutes(Law(requests=2000.0, ratio=3.0, burst=8.0)) > usual
    quarter, half = by_share(
        Question(law=Law(requests=2000.0, ratio=3.0), minutes=90),
        np.random.default_rng(3),
        shares=(0.1, 0.5),
        runs=200,
    )
    assert quarter.certify is not None
    assert half.certify is not None
    assert quarter.certify.share < half.certify.share


def test_the_interval_covers_the_true_quantile_as_often_as_it_says() -> None:
    rng = np.random.default_rng(4)
    true = -math.log(0.1)  # 90 % of exponential times are below
    spans = [span(rng.exponential(1.0, 200)) for _ in range(400)]
    inside = sum(
        s.low is not None and s.high is not None and s.low <= true <= s.high for s in spans
    )
    assert 0.92 <= inside / 400 <= 0.99


def test_what_does_not_come_in_time_is_not_a_number() -> None:
    found = span(np.array([1.0] * 80 + [math.inf] * 20))
    assert found.minutes is None
    assert found.share == 0.8
    assert found.share_low < 0.8 < found.share_high
    few = span(np.array([1.0] * 91 + [math.inf] * 9))
    assert few.minutes == 1.0
    assert few.high is None


def test_the_words_name_the_minutes_the_margin_and_the_blindness() -> None:
    told = "\n".join(
        words(plan(Question(law=FAST, minutes=60), np.random.default_rng(1), runs=100))
    )
    assert "minutes in nine of ten runs" in told
    assert "blind" not in told
    weak = Question(law=Law(requests=100.0, ratio=1.1), minutes=10, promote_ratio=None)
    told = "\n".join(words(plan(weak, np.random.default_rng(1), runs=50)))
    assert "certificate" not in told
    assert "no harm by definition" in told
    assert "nearly blind" in told


@pytest.mark.parametrize("ratio", [2.0, 3.0])
def test_nothing_is_found_sooner_than_the_first_minute(ratio: float) -> None:
    found = plan(
        Question(law=Law(requests=1e6, bad=0.01, ratio=ratio), minutes=20),
        np.random.default_rng(1),
        runs=50,
    ).find
    assert found.minutes is not None
    assert found.minutes >= 2.0  # one bet wins at most 1 / (its share of the traffic)
