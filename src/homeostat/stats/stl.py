"""Seasonal-trend decomposition by loess with a periodic season: x = seasonal + trend + remainder.

The season repeats exactly; each of its phases is a weighted mean over the cycles, and the robust
passes take weight from outliers. Spans, jumps and passes are those of R's
`stl(s.window = "periodic")`, so that the components agree with R's to rounding.
Source: Cleveland, Cleveland, McRae & Terpenning, J. Official Statistics 6 (1990), sections 2 and 3.

An addition: a point may be missing. It has no weight in any pass, and the value used in its place
matters only where a whole neighbourhood is missing.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.stats.stl_loess import FAR, NEAR, Floats, Smoother, smoother, tricube

# Robust passes, and the share of the data that the season spans so that it counts as periodic: R.
_ROBUST_PASSES: Final = 15
_PLAIN_PASSES: Final = 2
_PERIODIC: Final = 10
_JUMPS: Final = 10  # a fit every tenth of a span
# Bisquare: no weight from six median absolute deviations on (the paper's equation 3.2).
_OUTLIER: Final = 6.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decomposition:
    """The parts of a series, `[time]` each.

    Attributes:
        seasonal: Repeats with the period exactly.
        trend: The smooth rest.
        weights: Robustness weight of each point, 0 (outlier or missing) to 1.
    """

    seasonal: Floats
    trend: Floats
    weights: Floats


def stl_periodic(values: Floats, period: int, *, robust: bool = True) -> Decomposition:
    """Decompose an equally spaced series whose season repeats exactly.

    Args:
        values: `[time]`, at least two periods; NaN where unknown.
        period: Points per cycle, at least 2.
        robust: Give outliers less weight.

    Raises:
        ValueError: Too short, a period below 2, an infinite value, or nothing known.
    """
    known = np.isfinite(values)
    n = len(values)
    if period < 2 or n < 2 * period:  # noqa: PLR2004 - two cycles make a season
        raise ValueError(f"need period >= 2 and two periods of values, got {n} at {period}")
    if np.isinf(values).any() or not known.any():
        raise ValueError("need finite values (NaN for unknown), at least one of them known")
    whole = bool(known.all())
    filled = values if whole else _filled(values, known)
    return _Passes.of(n, period).run(filled, None if whole else known * 1.0, robust=robust)


def _filled(values: Floats, known: npt.NDArray[np.bool_]) -> Floats:
    place = np.arange(len(values))
    return np.interp(place, place[known], values[known])


def _odd(number: float) -> int:
    whole = round(number)
    return whole + 1 - whole % 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Passes:
    """Everything that depends on the lengths only.

    Attributes:
        period: Points per cycle.
        low: Smoother of the season's low frequencies.
        trend: Smoother of the trend.
        span: Span of the season's means, in cycles.
    """

    period: int
    low: Smoother
    trend: Smoother
    span: int

    @classmethod
    def of(cls, n: int, period: int) -> "_Passes":
        span = _PERIODIC * n + 1
        wide = _odd(math.ceil(1.5 * period / (1.0 - 1.5 / span)))
        low = _odd(period)
        return cls(
            period=period,
            low=smoother(n, low, math.ceil(low / _JUMPS)),
            trend=smoother(n, wide, math.ceil(wide / _JUMPS)),
            span=span,
        )

    def run(self, values: Floats, known: Floats | None, *, robust: bool) -> Decomposition:
        trust, trend = known, np.zeros_like(values)
        seasonal = trend
        for number in range(1 + _ROBUST_PASSES if robust else _PLAIN_PASSES):
            if robust and number:
                trust = _trust(np.abs(values - trend - seasonal), known)
            seasonal, trend = self._inner(values, trend, trust)
        phase = np.arange(len(values)) % self.period
        mean = np.bincount(phase, seasonal) / np.bincount(phase)
        weights = np.ones_like(values) if trust is None else trust
        return Decomposition(seasonal=mean[phase], trend=trend, weights=weights)

    def _inner(self, values: Floats, trend: Floats, trust: Floats | None) -> tuple[Floats, Floats]:
        """Return season and trend after one inner loop (section 2.2, steps 1 to 6)."""
        n, period = len(values), self.period
        cycles = _cycle_means(values - trend, trust, period, self.span)
        slow = _mean_of(_mean_of(_mean_of(cycles, period), period), 3)
        seasonal = cycles[period : period + n] - self.low.smooth(slow)
        return seasonal, self.trend.smooth(values - seasonal, trust)


def _trust(residual: Floats, known: Floats | None) -> Floats:
    """Return the bisquare weights of residuals (section 3.2's robustness weights)."""
    seen = residual if known is None else residual[known > 0.0]
    limit = _OUTLIER * float(np.median(seen))
    if limit <= 0.0:  # more than half fits exactly: only those count
        weights = np.where(residual <= 0.0, 1.0, 0.0)
    else:
        share = residual / limit
        weights = np.where(share <= NEAR, 1.0, (1.0 - share * share) ** 2)
        weights = np.where(share <= FAR, weights, 0.0)
    return weights if known is None else weights * known


def _mean_of(values: Floats, length: int) -> Floats:
    """Return moving means, shorter than the input by `length` - 1."""
    total = np.cumsum(np.concatenate(([0.0], values)))
    out: Floats = (total[length:] - total[:-length]) / length
    return out


def _cycle_means(values: Floats, trust: Floats | None, period: int, span: int) -> Floats:
    """Smooth each phase over the cycles, one cycle beyond either end.

    Returns:
        `[n + 2 * period]`: the season from one period before the first value on.
    """
    n = len(values)
    rows, longer = -(-n // period), n % period or period
    out = np.zeros((rows + 2, period))
    for phases, length in ((slice(longer), rows), (slice(longer, period), rows - 1)):
        grid = _grid(values, period, length)[:, phases]
        weights = None if trust is None else _grid(trust, period, length)[:, phases]
        out[: length + 2, phases] = _phase_lines(grid, weights, span)
    return out.ravel()[: n + 2 * period]


def _grid(values: Floats, period: int, length: int) -> Floats:
    """Return the first `length` cycles, the last one possibly ragged. `[cycle, phase]`."""
    need = length * period
    padded = values if len(values) >= need else np.pad(values, (0, need - len(values)))
    return padded[:need].reshape(length, period)


def _phase_lines(grid: Floats, trust: Floats | None, span: int) -> Floats:
    """Fit constants around the first and last cycle and the ones beyond, with lines between.

    The span covers all cycles, so four fits per phase are all that differ. `[cycle + 2, phase]`
    """
    length = len(grid)
    at = np.array([0, 1, length, length + 1])
    cycle = np.arange(1, length + 1)
    distance = np.abs(at[:, None] - cycle).astype(np.float64)
    reach = np.maximum(at - 1, length - at) + (span - length) // 2
    weight = tricube(distance, reach[:, None].astype(np.float64))
    if trust is None:
        fitted = weight @ grid / weight.sum(axis=1)[:, None]
    else:
        total = weight @ trust
        own = grid[[0, 0, -1, -1]]
        some = total > 0.0
        fitted = np.where(some, weight @ (trust * grid) / np.where(some, total, 1.0), own)
    before, first, last, after = fitted
    share = (np.arange(length) / max(length - 1, 1))[:, None]
    middle = first + share * (last - first)
    return np.vstack([before, middle, after])
