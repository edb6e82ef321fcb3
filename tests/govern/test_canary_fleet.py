"""A fleet of canaries: the harmful are named, few of the harmless with them, and fast."""

import time
from typing import Any

import numpy as np
import pytest

from homeostat.base.canary import ArmCounts, CanaryConfig, CanaryMetric, Counts
from homeostat.base.units import MINUTE, TimeNs
from homeostat.govern import canary
from homeostat.govern.canary_fleet import harmful

CONFIG = CanaryConfig(
    metrics=(
        CanaryMetric(name="errors", margin=1.2, promote_ratio=2.0),
        CanaryMetric(name="ms", margin=1.1, bounds=tuple(float(b) for b in range(1, 11))),
    )
)


def bucket(rng: Any, minute: int, ratio: float) -> Counts:
    def below(n: int) -> tuple[float, ...]:
        return tuple(np.cumsum(rng.multinomial(n, [1 / 11] * 11)).astype(float).tolist())

    return Counts(
        at=TimeNs(minute * MINUTE),
        since=TimeNs((minute - 1) * MINUTE),
        canary_total=200.0,
        canary_bad=float(min(200, rng.poisson(2.0 * ratio))),
        stable_total=1800.0,
        stable_bad=float(rng.poisson(18.0)),
        histograms=(ArmCounts(metric="ms", canary=below(200), stable=below(1800)),),
    )


def test_the_harmful_are_named_and_the_harmless_are_not() -> None:
    rng = np.random.default_rng(1)
    ratios = [6.0] * 3 + [1.0] * 27
    states = [canary.init(CONFIG) for _ in ratios]
    judged: list[Any] = []
    for minute in range(1, 16):
        items = [
            (state, bucket(rng, minute, ratio), CONFIG)
            for state, ratio in zip(states, ratios, strict=True)
        ]
        stepped = canary.step_many(items)
        states, judged = [state for state, _ in stepped], [one for _, one in stepped]
    assert harmful(judged) == (0, 1, 2)
    assert harmful([]) == ()
    with pytest.raises(ValueError, match="level"):
        harmful(judged, 0.0)


@pytest.mark.slow
def test_a_thousand_canaries_are_judged_in_half_a_second() -> None:
    rng = np.random.default_rng(2)
    news = [bucket(rng, 1, 1.0) for _ in range(20)]
    items = [(canary.init(CONFIG), news[i % 20], CONFIG) for i in range(1000)]
    canary.step_many(items[:10])
    took = []
    for _ in range(3):
        began = time.process_time()
        harmful([judged for _, judged in canary.step_many(items)])
        took.append(time.process_time() - began)
    assert min(took) <= 0.5, took
