"""What a fault and its cure did to users: recovery and effects, from the twin's seconds.

The demo's judge says the same of real processes from the load generator's log; the definitions are
its own: met is a second whose p95 and error ratio keep the objectives, recovered the first ten
such seconds after the cause was gone, stamped at their start. NumPy only: whoever starts real
processes may use it.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CALM_S: Final = 10  # as `demo.loadlog.CALM_S`
WINDOW_S: Final = 10  # before the fault, and after recovery
LEVEL: Final = 0.90
_LEAST_MS: Final = 0.1
_TAIL: Final = 1e-4  # share of requests beyond the longest time that is kept of a second


@dataclass(frozen=True, slots=True, kw_only=True)
class Seconds:
    """One policy's run over `N` draws, second by second of the deployment's own time.

    Attributes:
        offered: Unique requests let in, 1/s [N, S].
        good: Of them answered well in time, 1/s [N, S].
        p50_ms: Latency over unique requests [N, S], like `p95_ms` and `p99_ms`.
        p95_ms: See `p50_ms`.
        p99_ms: See `p50_ms`.
        faulty: Whether the cause is in the world at the end of the second [N, S], bool.
        acted_s: When the first action was decided, since the onset [N]; NaN = none.
        actions: What was done, first to last, one text for each draw.
    """

    offered: Floats
    good: Floats
    p50_ms: Floats
    p95_ms: Floats
    p99_ms: Floats
    faulty: npt.NDArray[np.bool_]
    acted_s: Floats
    actions: tuple[tuple[str, ...], ...]

    @property
    def errors(self) -> Floats:
        """Share of requests let in that fail for good [N, S]."""
        lost = np.maximum(self.offered - self.good, 0.0)
        return np.where(self.offered > 0.0, lost / np.maximum(self.offered, 1e-9), 0.0)

    def met(self, p95_ms: float, error_ratio: float) -> npt.NDArray[np.bool_]:
        """Return which seconds keep the objectives [N, S]."""
        return (self.p95_ms <= p95_ms) & (self.errors <= error_ratio)


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """What the twin says of one fault.

    Attributes:
        onsets: When it begins in each draw, seconds of the deployment's time [N].
        hold: If nobody acts.
        acting: With the real controller.
    """

    onsets: Floats
    hold: Seconds
    acting: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How users were served in a stretch of time.

    Attributes:
        error_ratio: Failed for good / let in.
        p99_ms: Of latency, failed requests included.
        throughput: Good answers, 1/s.
    """

    error_ratio: float
    p99_ms: float
    throughput: float

    def minus(self, other: "State") -> "State":
        """Return the change from another state to this one."""
        return State(
            error_ratio=self.error_ratio - other.error_ratio,
            p99_ms=self.p99_ms - other.p99_ms,
            throughput=self.throughput - other.throughput,
        )


def recovery_s(
    run: Seconds, onsets: Floats, p95_ms: float, error_ratio: float, *, must_hurt: bool
) -> Floats:
    """Return seconds from the onset until service was well again [N]; inf = not within the run.

    Args:
        run: What happened.
        onsets: When the fault began, seconds of the run [N].
        p95_ms: The objective.
        error_ratio: The objective.
        must_hurt: Whether what was never ill has not recovered (a crowd has no cause to remove).
    """
    met = run.met(p95_ms, error_ratio)
    found = [
        _recovered(met[row], run.faulty[row], float(onset), must_hurt=must_hurt)
        for row, onset in enumerate(onsets)
    ]
    return np.asarray(found) - onsets


def _recovered(
    met: npt.NDArray[np.bool_], faulty: npt.NDArray[np.bool_], onset: float, *, must_hurt: bool
) -> float:
    first = math.ceil(onset)
    broken = np.flatnonzero(~met[first:])
    if must_hurt and not broken.size:
        return math.inf
    since = first + (int(broken[0]) if broken.size else 0)
    if not must_hurt:  # the cause must be gone, for good
        active = np.flatnonzero(faulty[first:])
        if active.size and active[-1] + 1 == len(faulty[first:]):
            return math.inf
        since = max(since, first + (int(active[-1]) + 1 if active.size else 0))
    calm = 0
    for second in range(since, len(met)):
        calm = calm + 1 if met[second] else 0
        if calm == CALM_S:
            return float(second - CALM_S + 1)
    return math.inf


def state(run: Seconds, row: int, start_s: float, end_s: float) -> State:
    """Return how one draw's users were served from one second to another.

    Whole seconds only; at least one.
    """
    first = max(math.floor(start_s), 0)
    span = slice(first, max(math.ceil(end_s), first + 1))
    weight = run.offered[row, span]
    quantiles = np.stack([q[row, span] for q in (run.p50_ms, run.p95_ms, run.p99_ms)])
    lost = float((weight - run.good[row, span]).clip(0.0).sum())
    return State(
        error_ratio=lost / max(float(weight.sum()), 1e-9),
        p99_ms=pooled_p99_ms(quantiles, weight),
        throughput=float(run.good[row, span].mean()),
    )


def pooled_p99_ms(quantiles: Floats, weight: Floats) -> float:
    """Return the p99 of all requests of several seconds together, ms.

    Each second's distribution is laid through its quantiles, straight in log time and log share.

    Args:
        quantiles: p50, p95 and p99 of each second, ms [3, S].
        weight: Requests of each second [S].

    >>> round(pooled_p99_ms(np.array([[10.0] * 2, [20.0] * 2, [30.0] * 2]), np.ones(2)), 1)
    30.0
    """
    shares = np.log([1.0, 0.5, 0.05, 0.01, _TAIL])
    low, high = 0.0, math.log(max(float(quantiles.max()), 1.0) * 4.0)

    def beyond(log_ms: float) -> float:
        found = 0.0
        for (p50, p95, p99), count in zip(quantiles.T, weight, strict=True):
            times = np.log(np.maximum((_LEAST_MS, p50, p95, p99, 1.5 * p99), _LEAST_MS))
            times = np.maximum.accumulate(times + np.arange(5) * 1e-9)
            found += count * math.exp(float(np.interp(log_ms, times, shares)))
        return found / max(float(weight.sum()), 1e-9)

    for _ in range(40):  # halving: to a billionth
        middle = (low + high) / 2.0
        low, high = (middle, high) if beyond(middle) > 0.01 else (low, middle)  # noqa: PLR2004 - 1 %
    return math.exp((low + high) / 2.0)
