"""A self-check: stable pods play the canary, and the judge's false alarms are counted."""

import math
from typing import Any

import numpy as np
import pytest

from homeostat.base import codec
from homeostat.base.canary import CanaryConfig, CanaryMetric, CanaryVerdict
from homeostat.base.units import MINUTE, TimeNs
from homeostat.govern.canary_selfcheck import SelfCheck, Watch, chosen, pretend, step

CONFIG = CanaryConfig(metrics=(CanaryMetric(name="errors", promote_ratio=2.0),), pods=2)
RAMP = 20 * MINUTE


def rng(seed: int = 1) -> Any:
    return np.random.default_rng(seed)


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


def watch(minutes: int, rates: Any, lost: Any = ()) -> Watch:
    """Watch pods with these mean errors a minute; in `lost` minutes the canary is gone."""
    chance, seen = rng(8), Watch(check=SelfCheck(promised=0.05), seed=3)
    for minute in range(1, minutes + 1):
        bads = chance.poisson(rates)
        window = {f"p{i}": (400.0, float(min(bad, 400))) for i, bad in enumerate(bads)}
        if minute in lost:
            window = {name: one for name, one in window.items() if name not in seen.chosen}
        seen = step(seen, window, TimeNs(minute * MINUTE), CONFIG, RAMP)
    return seen


def test_a_ramp_is_counted_when_its_time_is_over_and_others_are_chosen() -> None:
    before, after = watch(20, [4.0] * 10), watch(22, [4.0] * 10)
    assert (before.check.runs, before.ramps, len(before.chosen)) == (0, 1, 2)
    assert (after.check.runs, after.ramps) == (1, 2)
    assert after.chosen != before.chosen
    assert after.state is not None
    assert codec.decode(codec.encode(after.state)) == after.state


def test_a_moment_that_comes_twice_is_not_counted() -> None:
    seen = watch(5, [4.0] * 10)
    assert step(seen, {"p0": (1.0, 1.0)}, TimeNs(5 * MINUTE), CONFIG, RAMP) == seen


def test_a_ramp_that_loses_its_pods_is_no_run() -> None:
    seen = watch(12, [4.0] * 10, lost=range(3, 12))
    assert seen.check.runs == 0
    assert seen.ramps == 2


def test_too_few_pods_play_nothing() -> None:
    seen = watch(40, [4.0] * 2)
    assert (seen.ramps, seen.check.runs) == (0, 0)


@pytest.mark.slow
def test_pods_that_differ_show_the_promise_broken() -> None:
    seen = watch(600, [1.0, 30.0, 1.0, 1.0, 30.0, 1.0])
    assert seen.check.alarms >= 5
    assert seen.check.is_broken


@pytest.mark.slow
def test_the_judge_keeps_its_promise_on_pods_of_one_version() -> None:
    seen = watch(1260, [4.0] * 20)
    assert seen.check.runs >= 55
    assert not seen.check.is_broken
