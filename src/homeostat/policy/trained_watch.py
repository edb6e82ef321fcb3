"""What is remembered from tick to tick for a trained policy: charts, two means of load, calm.

As `lab.environment_seen` and `lab.environment_facts` remember it in training, but of readings as
the product believes them. The charts themselves are a detector's, and come as an argument. What is
remembered is a function of the journal and goes into its snapshots.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from homeostat.base import names
from homeostat.base.evidence import Evidence
from homeostat.base.learning import Watched
from homeostat.base.policy import Managed
from homeostat.policy.trained_look import Look, look
from homeostat.policy.trained_scales import FAST, LONG, SLOW, mean, most

Numbers = tuple[float, ...]
Chart = Callable[[Numbers, Sequence[float]], tuple[Numbers, tuple[float | None, ...]]]
"""`detect.charted.charted`: what it remembers, and values; the same after it, and scores."""

LATENCY_P99: Final = "latency_p99_ms"
"""As training calls it. The product measures no p99: it is never known."""
SCORED: Final = (
    names.ARRIVAL_RATE, names.ERROR_RATIO, names.LATENCY_P50, names.LATENCY_P95, LATENCY_P99,
    names.QUEUE_LENGTH, names.MEMORY_SHARE, names.PREDICTION_SHIFT,
)  # fmt: skip
"""What the charts watch, in their order."""
_LEAST_RATE: Final = 1e-3


def watched(before: Watched | None, evidence: Evidence, managed: Managed, chart: Chart) -> Watched:
    """Return what is remembered after one tick.

    Args:
        before: What was remembered, None before the first tick.
        evidence: The tick's.
        managed: The deployment's configuration.
        chart: The control charts.
    """
    then = before or Watched()
    seen = look(evidence, managed)
    values = [math.nan] * len(SCORED) if seen is None else _values(seen)
    charts, scores = chart(then.charts, values)
    rate = values[SCORED.index(names.ARRIVAL_RATE)]
    level = math.nan if math.isnan(rate) else math.log(max(rate, _LEAST_RATE))
    jobs = math.nan if seen is None else seen.lever(names.CONCURRENCY)
    return Watched(
        charts=charts,
        scores=scores,
        fast=_towards(then.fast, level, FAST),
        slow=_towards(then.slow, level, SLOW),
        calm=min(then.calm + 1, round(LONG)) if evidence.slo_met is True else 0,
        jobs=then.jobs if then.jobs is not None or math.isnan(jobs) else jobs,
    )


def _values(seen: Look) -> list[float]:
    found = {name: seen.gateway(name) for name in SCORED}
    found[names.QUEUE_LENGTH] = mean(seen.of_serving(names.QUEUE_LENGTH))
    found[names.MEMORY_SHARE] = most(seen.of_serving(names.MEMORY_SHARE))
    pool = names.pool(seen.managed.stable_pool)
    found[names.PREDICTION_SHIFT] = seen.value(pool, names.PREDICTION_SHIFT)
    return [found[name] for name in SCORED]


def _towards(before: float | None, value: float, weight: float) -> float | None:
    """Return a mean moved towards a value; in float32, so that machines do not differ by a bit."""
    if math.isnan(value):
        return before
    return float(np.float32(value if before is None else before + weight * (value - before)))
