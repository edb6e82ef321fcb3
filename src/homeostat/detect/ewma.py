"""EWMA control chart: has a series left the level and spread that it had while healthy?

HASH (section 3.1) tracks a baseline with mu_t = alpha x_t + (1 - alpha) mu_{t-1} and alarms on a
significant deviation. Taken literally that misfires: correlated noise cuts the run length between
false alarms from 500 ticks to 33 (AR(1), phi = 0.9), and a baseline that learns from a fault comes
to call it normal. `Config(as_written=True)` is the literal chart (see `ewma_as_written`). The
default here corrects it, per row and in O(1) memory:

* Whitening: an AR(1) model predicts each value; the chart sees standardised prediction errors.
* Estimation error is accounted for: the variance of the estimated mean is in the limits (for
  weight w it is s^2 w / (2 - w), Montgomery, "Introduction to Statistical Quality Control" 9.2),
  and the estimated spread turns sigmas into Student's t.
* A robust start: the first values are skipped, outliers are clipped before they are learnt from.
* Two baselines: one always learns; the guarded one only where it may, never from alarms.
* A second look at each single value (Lucas & Saccucci, Technometrics 32 (1990), combined
  Shewhart-EWMA), whose input to the average is clipped, so that one spike is one alarm.

Not here: seasons, limits people set, and calibration of p-values for heavy-tailed noise.
"""

from types import ModuleType
from typing import Any, Final, NamedTuple

from typing_extensions import override

from homeostat.base.part import Part
from homeostat.base.ports import Detector, DetectorOutput
from homeostat.detect.ewma_as_written import AsWritten
from homeostat.detect.ewma_config import Config, Side
from homeostat.stats.normal import neg_log10_p, normal_from_t, t_from_normal

# Innovations beyond this many sigmas are clipped before learning: under normal noise that is one
# value in 370, and takes from the variance the 0.5 % that _CLIPPED_VARIANCE gives back.
_CLIP_SIGMAS: Final = 3.0
_CLIPPED_VARIANCE: Final = 0.99501  # E[min(z^2, 9)] of a standard normal
# The guarded baseline does not learn from what is close to an alarm either: 1 value in 2,000.
_DOUBT_SIGMAS: Final = 3.5
# ... but when this share of values is clipped they are the process, not outliers (20 % is half of
# the breakdown point of a trimmed mean at 40 %).
_CLIP_SHARE: Final = 0.2
# Fewer values than this say nothing about the spread, so nothing is clipped yet.
_CLIP_AFTER: Final = 4.0
# A random walk has phi = 1 and no level to leave; stay where a level still exists.
_PHI_MAX: Final = 0.98
# Keeps squares finite in float32, the type that JAX uses.
_LARGEST: Final = 1e15
_SMALLEST: Final = 1e-18
_SIGMAS_MAX: Final = 1e6
_COUNT_MAX: Final = 1e6
_GAP_MAX: Final = 1e3
# Four looks (two baselines, average and single value) share one p-value: Bonferroni.
_LOG10_LOOKS: Final = 0.6020599913279624
_ADAPTIVE, _GUARDED = 0, 1


class State(NamedTuple):
    """All that the chart remembers: a tuple, so that JAX can trace it and a store can name it.

    Attributes:
        met: Values seen, `[series]`.
        floor: Smallest spread of the row, in its unit, `[series]`.
        min_change: Smallest departure of the row that may alarm, in its unit, `[series]`.
        count: Values learnt from; this and what follows is `[baseline, series]`.
        mean: Level.
        scale2: Variance of one-step prediction errors.
        lag0: Variance around the level, over neighbouring values.
        lag1: Covariance of neighbouring values.
        noise: Variance of the estimated mean, in units of the innovations' variance.
        clipped: Share of learnt values that were clipped.
        gap: Ticks since the last believed value.
        last: The last believed value, clipped.
        average: The chart's average of standardised prediction errors.
        fade: (1 - smoothing)^i after i values in the average.
    """

    met: Any
    floor: Any
    min_change: Any
    count: Any
    mean: Any
    scale2: Any
    lag0: Any
    lag1: Any
    noise: Any
    clipped: Any
    gap: Any
    last: Any
    average: Any
    fade: Any


class _Forecast(NamedTuple):
    """What both baselines expect of the next value, `[baseline, series]` each."""

    value: Any  # expected value
    sd: Any  # standard deviation of the prediction error, parameters known
    grown: Any  # factor in sd for the gap since the last value
    widen: Any  # factor on sd for the estimated mean
    dof: Any  # Student's degrees of freedom of sd


class Ewma(Detector[State]):
    """The corrected chart; see the module. Causal, pure, one row independent of the next."""

    def __init__(self, config: Config) -> None:
        self.config = config

    @override
    def init(
        self, xp: ModuleType, series: int, *, sigma_floor: Any = None, min_change: Any = None
    ) -> State:
        """Return the state of rows that have seen nothing.

        Args:
            xp: numpy or jax.numpy.
            series: Number of rows.
            sigma_floor: Per-row `Config.sigma_floor`, `[series]` or scalar; None for the config's.
            min_change: Per-row `Config.min_change`, `[series]` or scalar; None for the config's.
        """
        row, both = xp.zeros(series), xp.zeros((2, series))
        floor = self.config.sigma_floor if sigma_floor is None else sigma_floor
        least = self.config.min_change if min_change is None else min_change
        return State(
            met=row, floor=row + xp.asarray(floor), min_change=row + xp.asarray(least),
            count=both, mean=both, scale2=both, lag0=both, lag1=both, noise=both + 1.0,
            clipped=both, gap=both, last=both, average=both, fade=both + 1.0,
        )  # fmt: skip

    def restart(self, xp: ModuleType, state: State, rows: Any) -> State:
        """Return the state with these rows as if new: what they were no longer holds.

        Args:
            xp: numpy or jax.numpy.
            state: The state; its floors and least changes are kept.
            rows: Bool `[series]`.
        """
        fresh = self.init(
            xp, state.met.shape[0], sigma_floor=state.floor, min_change=state.min_change
        )
        return State(*(xp.where(rows, new, old) for new, old in zip(fresh, state, strict=True)))

    @override
    def step(
        self, xp: ModuleType, state: State, values: Any, learn: Any
    ) -> tuple[State, DetectorOutput]:
        """Judge one tick, then learn from it.

        Args:
            xp: numpy or jax.numpy.
            state: From `init` or the last step.
            values: Float `[series]`; NaN and infinities are unknown.
            learn: Bool `[series]`, or one bool: where the guarded baseline may learn.

        Returns:
            The next state, and p-values, bands and alarms. The band is where a single healthy
            value lies, from the guarded baseline (from the adaptive one until that is ready).
            With `side` up or down the edge that does not count is NaN.
        """
        raw = xp.asarray(values, dtype=state.mean.dtype)
        seen = xp.isfinite(raw)
        known = seen & (state.met >= self.config.skip)
        x = xp.clip(xp.where(known, raw, 0.0), -_LARGEST, _LARGEST)
        expected = self._expect(xp, state)
        ready = (state.count >= self.config.warmup) & known
        moved, sigmas = self._chart(xp, state, expected, x, ready)
        output = self._judge(xp, state, expected, x, ready, sigmas)
        doubt = xp.any(ready & (xp.max(xp.abs(sigmas), axis=0) > _DOUBT_SIGMAS), axis=0)
        allowed = known & xp.asarray(learn) & ~output.alarm & ~doubt
        learnt = self._learn(xp, state, expected, x, xp.stack([known, allowed]))
        # A value that is no step of the process is as good as missing for the next prediction;
        # else whitening would take a shift for the new normal after one tick.
        believed = known & ~(ready & (xp.abs(sigmas[1]) > self.config.spike_sigmas))
        return learnt._replace(
            met=xp.minimum(state.met + seen, _COUNT_MAX),
            gap=xp.where(believed, 0.0, xp.minimum(state.gap + 1.0, _GAP_MAX)),
            last=xp.where(believed, learnt.last, state.last),
            average=moved[0],
            fade=moved[1],
        ), output

    def _expect(self, xp: ModuleType, state: State) -> _Forecast:
        """Predict the next value of each row from its last one, across any gap."""
        noise = state.noise
        floor = xp.maximum(state.floor, self.config.sigma_floor_relative * xp.abs(state.mean))
        floor = xp.maximum(floor, _SMALLEST)
        sd = xp.sqrt(xp.maximum(state.scale2, floor * floor))
        dof = xp.maximum(1.0 / noise - 1.0, 1.0)
        widen = xp.sqrt(1.0 + noise)
        if not self.config.whiten:
            return _Forecast(state.mean, sd, xp.ones_like(sd), widen, dof)
        phi = self._phi(xp, state)
        reach = phi ** (state.gap + 1.0)
        grown = xp.sqrt((1.0 - reach * reach) / (1.0 - phi * phi))
        value = state.mean + reach * (state.last - state.mean)
        return _Forecast(value, sd * grown, grown, widen, dof)

    def _phi(self, xp: ModuleType, state: State) -> Any:
        """Estimate the correlation of neighbours from 0 (none) up.

        The sample value is low by (1 + 3 phi) / n (Kendall, Biometrika 41 (1954)). Negative
        correlation is left in: it makes false alarms rarer, not more frequent.
        """
        sample = state.lag1 / xp.maximum(state.lag0, _SMALLEST * _SMALLEST)
        sample = xp.clip(sample, 0.0, 1.0)
        return xp.clip(sample + (1.0 + 3.0 * sample) * state.noise, 0.0, _PHI_MAX)

    def _chart(
        self, xp: ModuleType, state: State, expected: _Forecast, x: Any, ready: Any
    ) -> tuple[tuple[Any, Any], Any]:
        """Return the chart's next (average, fade), and the departure in sigmas of two kinds.

        The sigmas are `[kind, baseline, series]`: of the average, and of the single value.
        """
        config = self.config
        u = xp.clip((x - expected.value) / expected.sd, -_SIGMAS_MAX, _SIGMAS_MAX)
        single = normal_from_t(xp, u / expected.widen, expected.dof)
        most = min(config.spike_sigmas, _SIGMAS_MAX)
        bounded = xp.clip(u, -most, most)
        average = state.average + config.smoothing * (bounded - state.average)
        fade = state.fade * (1.0 - config.smoothing)
        # Exact variance of the average after i values, plus that of the mean it is taken around.
        own = config.smoothing / (2.0 - config.smoothing) * (1.0 - fade * fade)
        spread = xp.sqrt(own + state.noise * (1.0 - fade) ** 2)
        smooth = normal_from_t(xp, average / spread, expected.dof)
        moved = (xp.where(ready, average, state.average), xp.where(ready, fade, state.fade))
        return moved, xp.stack([smooth, single])

    def _judge(
        self, xp: ModuleType, state: State, expected: _Forecast, x: Any, ready: Any, sigmas: Any
    ) -> DetectorOutput:
        """Turn departures into p-value, band and alarm; unknown where no baseline is ready."""
        config = self.config
        judged = ready[_ADAPTIVE] | ready[_GUARDED]
        level = xp.where(ready[_GUARDED], state.mean[_GUARDED], state.mean[_ADAPTIVE])
        least = xp.maximum(state.min_change, config.min_relative_change * xp.abs(level))
        matters = judged & (xp.abs(x - level) >= least)
        size = _sided(xp, sigmas, config.side)
        size = xp.where(ready, size, 0.0 if config.side is Side.BOTH else -_SIGMAS_MAX)
        over = (size[0] > config.limit_sigmas) | (size[1] > config.spike_sigmas)
        alarm = matters & (over[_ADAPTIVE] | over[_GUARDED])
        largest = xp.max(size, axis=(0, 1))
        score = neg_log10_p(xp, largest, two_sided=config.side is Side.BOTH) - _LOG10_LOOKS
        score = xp.where(matters, xp.maximum(score, 0.0), 0.0)
        spikes = config.spike_sigmas < _SIGMAS_MAX
        reach = config.spike_sigmas if spikes else config.limit_sigmas
        band = t_from_normal(xp, reach, expected.dof) * expected.widen * expected.sd
        pick = xp.where(ready[_GUARDED], 1, 0)
        centre = xp.where(pick, expected.value[_GUARDED], expected.value[_ADAPTIVE])
        half = xp.where(pick, band[_GUARDED], band[_ADAPTIVE])
        low = xp.minimum(centre - half, level - least)
        high = xp.maximum(centre + half, level + least)
        unknown = xp.full_like(x, xp.nan)
        return DetectorOutput(
            neg_log10_p=xp.where(judged, score, unknown),
            low=xp.where(judged & (config.side is not Side.UP), low, unknown),
            high=xp.where(judged & (config.side is not Side.DOWN), high, unknown),
            alarm=alarm,
        )

    def _learn(
        self, xp: ModuleType, state: State, expected: _Forecast, x: Any, learns: Any
    ) -> State:
        """Move the baselines by one clipped value where they learn."""
        config, count, noise = self.config, state.count, state.noise
        error = x - expected.value
        dof = xp.maximum(count - 2.0, 1.0)
        room = xp.maximum(1.0 - state.clipped / _CLIP_SHARE, _SMALLEST)
        most = t_from_normal(xp, _CLIP_SIGMAS, dof) * expected.sd * expected.widen / room
        most = xp.where(count >= _CLIP_AFTER, most, _LARGEST * 4.0)
        bounded = xp.clip(error, -most, most)
        was_clipped = xp.abs(error) > most
        cleaned = expected.value + bounded
        off, off_before = cleaned - state.mean, state.last - state.mean
        least = xp.asarray([[config.adaptive_weight], [config.guarded_weight]], dtype=x.dtype)
        weight = xp.maximum(1.0 / (count + 1.0), least)
        # The first value makes no prediction error, so the errors are one fewer.
        weight_error = xp.maximum(1.0 / xp.maximum(count, 1.0), least)
        own = (bounded / (expected.grown * expected.widen)) ** 2 / _CLIPPED_VARIANCE
        paired = learns & (state.gap == 0.0) & (count > 0.0)
        scale2 = state.scale2 + weight_error * (own - state.scale2)
        lag0 = state.lag0 + weight * (off_before**2 - state.lag0)
        lag1 = state.lag1 + weight * (off * off_before - state.lag1)
        clipped = state.clipped + weight * (was_clipped - state.clipped)
        return state._replace(
            count=xp.where(learns, xp.minimum(count + 1.0, _COUNT_MAX), count),
            mean=xp.where(learns, state.mean + weight * off, state.mean),
            scale2=xp.where(learns & (count > 0.0), scale2, state.scale2),
            lag0=xp.where(paired, lag0, state.lag0),
            lag1=xp.where(paired, lag1, state.lag1),
            noise=xp.where(learns, (1.0 - weight) ** 2 * noise + weight**2, noise),
            clipped=xp.where(learns, clipped, state.clipped),
            last=cleaned,
        )


def _sided(xp: ModuleType, sigmas: Any, side: Side) -> Any:
    """Return departures as sizes in the direction that counts."""
    match side:
        case Side.BOTH:
            return xp.abs(sigmas)
        case Side.UP:
            return sigmas
        case Side.DOWN:
            return -sigmas


def build(config: Config) -> Detector[Any]:
    """Return the chart that the settings ask for."""
    return AsWritten(config) if config.as_written else Ewma(config)


PART: Final = Part(
    kind="detector",
    name="ewma",
    summary="EWMA control chart with whitening and an adaptive and a guarded baseline.",
    config=Config,
    build=build,
)

__all__ = ["PART", "AsWritten", "Config", "Ewma", "Side", "State", "build"]
