"""Pods that differ widen the margin, and narrow what a certificate may promise."""

import math
from typing import Any

import numpy as np
import pytest

from homeostat.base.canary import CanaryConfig, CanaryMetric
from homeostat.govern.canary_margin import apply, measure, of_ratios

CONFIG = CanaryConfig(metrics=(CanaryMetric(name="errors", margin=1.2, promote_ratio=2.0),))


def rng(seed: int = 1) -> Any:
    return np.random.default_rng(seed)


def pods(rates: Any, total: float = 100_000.0) -> dict[str, tuple[float, float]]:
    return {f"p{i}": (total, round(total * rate)) for i, rate in enumerate(rates)}


def test_pods_that_do_not_differ_ask_for_no_wider_margin() -> None:
    found = measure([pods([0.01] * 25)], 1, rng())
    assert (found.ratio, found.lucky, found.samples) == (1.0, 1.0, 25)
    after = apply(CONFIG, found)
    assert after.calibrated
    assert after.metrics == CONFIG.metrics


def test_the_margin_is_what_nineteen_in_twenty_pods_stay_below() -> None:
    rates = [0.01] * 18 + [0.02, 0.05]
    found = measure([pods(rates)], 1, rng())
    rest = (sum(rates) - 0.02) / 19
    assert found.ratio == pytest.approx(0.02 / rest, rel=1e-3)
    after = apply(CONFIG, found).metrics[0]
    assert after.margin == found.ratio
    assert found.lucky is not None
    assert after.promote_ratio == pytest.approx(2.0 * found.lucky)


def test_more_pods_differ_less_from_the_rest() -> None:
    rates = 0.01 * np.exp(0.6 * rng(3).standard_normal(30))
    one, five = (measure([pods(rates)], k, rng()) for k in (1, 5))
    assert one.ratio is not None
    assert five.ratio is not None
    assert 1.0 < five.ratio < one.ratio
    assert five.samples == 2000  # drawn, there are 142,506


def test_a_certificate_that_luck_could_earn_is_not_offered() -> None:
    found = measure([pods([0.001] * 3 + [0.01] * 20)], 1, rng())
    assert apply(CONFIG, found).metrics[0].promote_ratio is None


@pytest.mark.parametrize("few", [[], [0.01] * 5, [0.0] * 30])
def test_too_little_is_uncalibrated_and_says_what_is_needed(few: list[float]) -> None:
    found = measure([pods(few)], 1, rng())
    assert found.ratio is None
    assert "needed" in found.why
    tight = CanaryConfig(metrics=(CanaryMetric(name="errors", margin=1.0),))
    after = apply(tight, found)
    assert (after.metrics[0].margin, after.calibrated) == (1.2, False)


def test_a_pod_that_has_all_the_errors_is_not_thrown_away() -> None:
    windows = [{"a": (1000.0, 0.0), "b": (1000.0, 50.0)}] * 20
    found = measure(windows, 1, rng())
    assert (found.ratio, found.certified, found.is_endless) == (None, None, True)
    assert found.samples == 40, "20 times none of the errors, 20 times all of them"
    assert "all of the bad responses" in found.why
    after = apply(CONFIG, found)
    assert (after.metrics[0].margin, after.calibrated) == (1.2, False)


@pytest.mark.parametrize(("worst", "endless"), [(2, False), (3, True)])
def test_one_in_twenty_may_have_all_the_errors(worst: int, endless: bool) -> None:  # noqa: FBT001
    ratios = [1.1] * (40 - worst) + [math.inf] * worst
    found = of_ratios(ratios, "comparisons")
    assert found.is_endless is endless
    assert found.ratio == (None if endless else 1.1)
    assert of_ratios([math.nan] * 40, "comparisons").samples == 0


def test_windows_add_up() -> None:
    assert measure([pods([0.01] * 10)] * 3, 1, rng()).samples == 30


@pytest.mark.parametrize("odd", [(1.0, 2.0), (-1.0, 0.0), (math.nan, 0.0)])
def test_a_pod_whose_counts_cannot_be_is_refused_by_name(odd: Any) -> None:
    with pytest.raises(ValueError, match="pod bad"):
        measure([{"bad": odd}], 1, rng())
    with pytest.raises(ValueError, match="1 pod or more"):
        measure([], 0, rng())


def test_other_metrics_keep_their_margins() -> None:
    both = CanaryConfig(
        metrics=(CONFIG.metrics[0], CanaryMetric(name="ms", margin=1.1, bounds=(1.0,)))
    )
    found = measure([pods([0.01] * 18 + [0.02, 0.05])], 1, rng())
    assert apply(both, found).metrics[1] == both.metrics[1]
