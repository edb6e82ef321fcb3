"""The EWMA chart as HASH and the textbook write it: the reference, not the default.

    mu_t = alpha x_t + (1 - alpha) mu_{t-1}

with an alarm when mu_t leaves mu0 +- L s sqrt(alpha / (2 - alpha) [1 - (1 - alpha)^(2 i)]); mu0
and s are known, or taken once from the first values. It promises run lengths for independent
normal noise only and calls the estimated mu0 and s exact; `detect.ewma` says what it corrects.
Source: HASH, section 3.1; NIST/SEMATECH e-Handbook 6.3.2.4; Lucas & Saccucci, Technometrics 32
(1990). Has no PART of its own: it is `ewma` with `as_written`.
"""

from types import ModuleType
from typing import Any, Final, NamedTuple

from typing_extensions import override

from homeostat.base.ports import Detector, DetectorOutput
from homeostat.detect.ewma_config import Config
from homeostat.stats.normal import neg_log10_p

_LARGEST: Final = 1e15  # keeps squares finite in float32, the type that JAX uses
_SMALLEST: Final = 1e-18


class State(NamedTuple):
    """What the textbook chart remembers, `[series]` each.

    Attributes:
        count: Values the level and spread were taken from.
        mean: mu0, the level.
        squares: Sum of squared departures from it during the warm-up.
        average: mu_t, the chart's average.
        fade: (1 - alpha)^i after i charted values.
    """

    count: Any
    mean: Any
    squares: Any
    average: Any
    fade: Any


class AsWritten(Detector[State]):
    """The two-sided textbook chart with frozen parameters; see the module."""

    def __init__(self, config: Config) -> None:
        self.config = config

    @override
    def init(self, xp: ModuleType, series: int) -> State:
        """Return the state of rows that have seen nothing."""
        row = xp.zeros(series)
        start = row if self.config.target is None else row + self.config.target
        return State(count=row, mean=start, squares=row, average=start, fade=row + 1.0)

    @override
    def step(
        self, xp: ModuleType, state: State, values: Any, learn: Any
    ) -> tuple[State, DetectorOutput]:
        """Chart one tick; `learn` has no say, because the parameters are frozen after warm-up.

        The band is where mu_t (not x_t) is expected.
        """
        raw = xp.asarray(values, dtype=state.mean.dtype)
        known = xp.isfinite(raw)
        x = xp.clip(xp.where(known, raw, 0.0), -_LARGEST, _LARGEST)
        given = self.config.target is not None and self.config.sigma is not None
        ready = known if given else known & (state.count >= self.config.warmup)
        average = state.average + self.config.smoothing * (x - state.average)
        fade = state.fade * (1.0 - self.config.smoothing)
        spread = self._spread(xp, state, fade)
        z = (average - state.mean) / spread
        half = self.config.limit_sigmas * spread
        unknown = xp.full_like(x, xp.nan)
        output = DetectorOutput(
            neg_log10_p=xp.where(ready, neg_log10_p(xp, z, two_sided=True), unknown),
            low=xp.where(ready, state.mean - half, unknown),
            high=xp.where(ready, state.mean + half, unknown),
            alarm=ready & (xp.abs(z) > self.config.limit_sigmas),
        )
        learnt = self._learn(xp, state, x, known & ~ready)
        return learnt._replace(
            average=xp.where(ready, average, learnt.average),
            fade=xp.where(ready, fade, state.fade),
        ), output

    def _spread(self, xp: ModuleType, state: State, fade: Any) -> Any:
        """Return the standard deviation of the average after this value."""
        if self.config.sigma is None:
            variance = state.squares / xp.maximum(state.count - 1.0, 1.0)
        else:
            variance = xp.full_like(fade, self.config.sigma**2)
        grown = xp.ones_like(fade) if self.config.fixed_limits else 1.0 - fade * fade
        own = self.config.smoothing / (2.0 - self.config.smoothing) * grown
        return xp.maximum(xp.sqrt(variance * own), _SMALLEST)

    def _learn(self, xp: ModuleType, state: State, x: Any, learns: Any) -> State:
        """Take the level and spread of the warm-up (Welford, Technometrics 4 (1962))."""
        count = state.count + learns
        if self.config.target is None:
            mean = state.mean + xp.where(learns, (x - state.mean) / xp.maximum(count, 1.0), 0.0)
        else:
            mean = state.mean
        squares = state.squares + xp.where(learns, (x - state.mean) * (x - mean), 0.0)
        return state._replace(count=count, mean=mean, squares=squares, average=mean)
