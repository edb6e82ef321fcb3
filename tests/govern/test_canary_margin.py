"""Pods that differ widen the margin; a self-check counts what the judge gets wrong."""

import math
from typing import Any

import numpy as np
import pytest

from homeostat.base.canary import CanaryConfig, CanaryMetric, CanaryVerdict
from homeostat.base.units import MINUTE, TimeNs
from homeostat.govern import canary
from homeostat.govern.canary_margin import (
    SelfCheck,
    apply,
    chosen,
    measure,
    needs_pods,
    pretend,
)

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
    assert needs_pods(after) == 2
    assert needs_pods(apply(tight, measure([pods([0.01] * 25)], 1, rng()))) == 1


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


def test_pods_play_a_canary_and_the_rest_stable() -> None:
    told = pretend({"a": (10.0, 1.0), "b": (20.0, 2.0), "c": (30.0, 0.0)}, ("a", "c"), TimeNs(5))
    assert (told.canary_total, told.canary_bad) == (40.0, 1.0)
    assert (told.stable_total, told.stable_bad) == (20.0, 2.0)


@pytest.mark.parametrize(
    "lost", [{"b": (1.0, 0.0)}, {"a": (math.nan, 0.0), "b": (1.0, 0.0)}, {"a": (1.0, 2.0)}]
)
def test_a_pod_that_is_not_read_makes_its_arm_unknown(lost: Any) -> None:
    told = pretend(lost, ("a",), TimeNs(5))
    assert told.canary_total is None


def test_every_pod_plays_the_canary_now_and_then() -> None:
    names = [f"p{i}" for i in range(6)]
    seen = {name for seed in range(40) for name in chosen(names, 2, rng(seed))}
    assert seen == set(names)
    assert chosen(names, 2, rng(1)) == chosen(names[::-1], 2, rng(1))
    with pytest.raises(ValueError, match="1 to 5 of 6"):
        chosen(names, 6, rng())


def test_the_self_check_counts_false_alarms_and_says_when_the_promise_is_broken() -> None:
    check = SelfCheck(promised=0.05)
    assert check.rate is None
    assert check.interval == (0.0, 1.0)
    assert not check.is_broken
    assert not check.is_shown
    for _ in range(99):
        check = check.after(CanaryVerdict.UNDECIDED)
    check = check.after(CanaryVerdict.NO_EVIDENCE)
    assert (check.runs, check.alarms, check.is_shown) == (99, 0, True)
    for _ in range(20):
        check = check.after(CanaryVerdict.HARM)
    assert check.rate == pytest.approx(20 / 119)
    assert check.is_broken


@pytest.mark.slow
def test_the_judge_keeps_its_promise_on_pods_of_one_version() -> None:
    """The whole self-check: 20 stable pods, two of them as if new, 60 ramps of 20 minutes."""
    chance, check = rng(8), SelfCheck(promised=0.05)
    for _ in range(60):
        canary_pods = chosen([f"p{i}" for i in range(20)], 2, chance)
        state = canary.init(CONFIG)
        said = None
        for minute in range(1, 21):
            bads = chance.poisson(4.0, 20)
            window = {f"p{i}": (400.0, float(bad)) for i, bad in enumerate(bads)}
            told = pretend(window, canary_pods, TimeNs(minute * MINUTE))
            state, said = canary.step(state, told, CONFIG)
        assert said is not None
        check = check.after(said.verdict)
    assert check.runs == 60
    assert not check.is_broken
