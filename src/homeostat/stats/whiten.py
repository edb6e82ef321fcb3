"""Whitening: what a value says that the one before it did not.

Neighbours in time are alike, and every promise about p-values assumes that they are not. An AR(1)
model per series predicts each value from the last; the error, in its own standard deviations, is
what is judged. The model learns with a fading memory, from clipped errors, where the caller says
it may. A value that is no step of the process is as good as missing for the next prediction, so a
shift stays visible instead of becoming the new normal after one tick; after `patience` of them in
a row, and where learning is allowed, the level moves there, or a series would be lost for good.

`detect.ewma` has its own whitening, inside two baselines; this is the plain one for p-values that
are calibrated afterwards: it need not know the law of the errors. Not here: seasons.
Source: Box & Jenkins, "Time Series Analysis" (1970), chapter 5; the correction of the sample
correlation is Kendall's, Biometrika 41 (1954).
"""

from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np

_CLIP_SIGMAS: Final = 3.0  # under normal noise one error in 370 is clipped
_CLIP_AFTER: Final = 8.0  # fewer errors than this say nothing about their spread
_PHI_MAX: Final = 0.98  # a random walk has no level to return to
_LARGEST: Final = 1e15  # squares stay finite in single precision
_SMALLEST: Final = 1e-18
_SIGMAS_MAX: Final = 1e6
_COUNT_MAX: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        weight: Weight of the newest value in level, spread and correlation, in (0, 1].
        warmup: Values before errors are given, at least 8.
        doubt_sigmas: An error this large is not taken for the last value, above 0; 1 in 2,000
            normal ones.
        patience: After so many doubted values in a row the level moves, at least 1.
        sigma_floor_relative: Smallest spread as a share of the level; covers rounding.
    """

    weight: float = 0.01
    warmup: int = 30
    doubt_sigmas: float = 3.5
    patience: int = 60
    sigma_floor_relative: float = 1e-6

    def __post_init__(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        if not 0.0 < self.weight <= 1.0:
            raise ValueError(f"whiten: weight must be in (0, 1], got {self.weight}")
        if self.warmup < 8:  # noqa: PLR2004 - see the attribute
            raise ValueError(f"whiten: warmup must be 8 or more, got {self.warmup}")
        if not self.doubt_sigmas > 0.0:
            raise ValueError(f"whiten: doubt_sigmas must be above 0, got {self.doubt_sigmas}")
        if self.patience < 1:
            raise ValueError(f"whiten: patience must be 1 or more, got {self.patience}")
        if not 0.0 <= self.sigma_floor_relative < float("inf"):
            raise ValueError(
                f"whiten: sigma_floor_relative must be 0 or more, got {self.sigma_floor_relative}"
            )


class Model(NamedTuple):
    """What is known of each series, `[series]` each.

    Attributes:
        count: Values learnt from.
        mean: Level.
        lag0: Variance around it.
        lag1: Covariance of neighbours.
        scale2: Variance of one-step errors.
        last: The last believed value, clipped.
        gap: Ticks since it.
        doubted: Values in a row that were not believed.
    """

    count: Any
    mean: Any
    lag0: Any
    lag1: Any
    scale2: Any
    last: Any
    gap: Any
    doubted: Any


class Error(NamedTuple):
    """One tick's errors, `[series]` each.

    Attributes:
        sigmas: Error in its standard deviations; NaN where unknown.
        expected: Value that was expected.
        sd: Standard deviation of the error, in the series' unit.
        grown: How a gap has widened it.
    """

    sigmas: Any
    expected: Any
    sd: Any
    grown: Any


class Whitener:
    """The AR(1) model, batched over series; see the module.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        self.config = config

    def init(self, xp: ModuleType, series: int) -> Model:
        """Return models that have seen nothing."""
        return Model(*(xp.zeros(series) for _ in Model._fields))

    def errors(self, xp: ModuleType, state: Model, values: Any) -> Error:
        """Return how far values are from what was expected; nothing is learnt.

        Args:
            xp: numpy or jax.numpy.
            state: From `init` or `learn`.
            values: `[series]`; NaN and infinities are unknown.
        """
        raw = xp.asarray(values, dtype=state.mean.dtype)
        known = xp.isfinite(raw) & (state.count >= self.config.warmup)
        expected, sd, grown = self._expect(xp, state)
        off = xp.clip(xp.where(known, raw, 0.0), -_LARGEST, _LARGEST) - expected
        sigmas = xp.clip(off / sd, -_SIGMAS_MAX, _SIGMAS_MAX)
        return Error(xp.where(known, sigmas, xp.nan), expected, sd, grown)

    def learn(
        self, xp: ModuleType, state: Model, values: Any, allowed: Any, said: Error | None = None
    ) -> Model:
        """Move on by one tick.

        Args:
            xp: numpy or jax.numpy.
            state: From `init` or `learn`.
            values: `[series]`; NaN and infinities are unknown.
            allowed: Bool `[series]`, or one bool: where level and spread may be learnt. The last
                value is taken over in any case, unless it is doubted.
            said: What `errors` said with this state, where it was asked; it costs a third of this.
        """
        raw = xp.asarray(values, dtype=state.mean.dtype)
        known = xp.isfinite(raw)
        x = xp.clip(xp.where(known, raw, 0.0), -_LARGEST, _LARGEST)
        expected, sd, grown = self._expect(xp, state) if said is None else said[1:]
        # A series that never moved has no spread to clip by: the floor would be learnt for one.
        bounded = (state.count >= _CLIP_AFTER) & (state.scale2 > 0.0)
        most = xp.where(bounded, _CLIP_SIGMAS * sd, _LARGEST * 4.0)
        error = xp.clip(x - expected, -most, most)
        ready = state.count >= self.config.warmup
        strange = known & ready & (xp.abs(x - expected) > self.config.doubt_sigmas * sd)
        moved = strange & (state.doubted >= self.config.patience) & xp.asarray(allowed)
        doubted = strange & ~moved
        learns = known & xp.asarray(allowed) & ~strange
        weight = xp.maximum(1.0 / (state.count + 1.0), self.config.weight)
        off, before = expected + error - state.mean, state.last - state.mean
        paired = learns & (state.gap == 0.0) & (state.count > 0.0)
        own = (error / grown) ** 2
        believed = known & ~doubted
        row = xp.minimum(state.doubted + 1.0, _COUNT_MAX)
        # A level that moved is learnt as fast as a young one; spread and correlation stay. Without
        # a spread all but the old level is doubted for ever, so that the series begins anew.
        young = xp.where(state.scale2 > 0.0, float(self.config.warmup), 1.0)
        count = xp.where(learns, xp.minimum(state.count + 1.0, _COUNT_MAX), state.count)
        mean = xp.where(learns, state.mean + weight * off, state.mean)
        return Model(
            count=xp.where(moved, young, count),
            mean=xp.where(moved, x, mean),
            lag0=xp.where(paired, state.lag0 + weight * (before * before - state.lag0), state.lag0),
            lag1=xp.where(paired, state.lag1 + weight * (off * before - state.lag1), state.lag1),
            scale2=xp.where(paired, state.scale2 + weight * (own - state.scale2), state.scale2),
            last=xp.where(believed, xp.where(moved, x, expected + error), state.last),
            gap=xp.where(believed, 0.0, xp.minimum(state.gap + 1.0, _COUNT_MAX)),
            doubted=xp.where(known, xp.where(doubted, row, 0.0), state.doubted),
        )

    def ahead(self, xp: ModuleType, state: Model, ticks: Any) -> tuple[Any, Any]:
        """Return what a coming value is expected to be, and the error's deviation, `[series]` each.

        Args:
            xp: numpy or jax.numpy.
            state: From `init` or `learn`.
            ticks: How far ahead: 1 is the next tick. A number or `[series]`.
        """
        expected, sd, _ = self._expect(xp, state, ticks)
        return expected, sd

    def move(self, xp: ModuleType, state: Model, rows: Any, level: Any, sd: Any) -> Model:
        """Return the models with the level of these rows moved, as `patience` does.

        Args:
            xp: numpy or jax.numpy.
            state: From `init` or `learn`.
            rows: Bool `[series]`.
            level: Where to, `[series]`.
            sd: Deviation of values there, `[series]`: they are as wide as that and not alike until
                more is known. NaN where spread and correlation stay.
        """
        young = xp.minimum(state.count, float(self.config.warmup))
        anew = rows & xp.isfinite(sd)
        wide = xp.where(anew, xp.maximum(state.scale2, sd * sd), 0.0)
        return state._replace(
            count=xp.where(rows, young, state.count),
            mean=xp.where(rows, level, state.mean),
            lag0=xp.where(anew, wide, state.lag0),
            lag1=xp.where(anew, 0.0, state.lag1),
            scale2=xp.where(anew, wide, state.scale2),
            last=xp.where(rows, level, state.last),
            gap=xp.where(rows, 0.0, state.gap),
            doubted=xp.where(rows, 0.0, state.doubted),
        )

    def restart(self, xp: ModuleType, state: Model, rows: Any) -> Model:
        """Return the models with those of these rows (bool `[series]`) as if new."""
        return Model(*(xp.where(rows, 0.0, part) for part in state))

    def _expect(self, xp: ModuleType, state: Model, ticks: Any = 1.0) -> tuple[Any, Any, Any]:
        """Return the expected value, the error's deviation, and how a gap widened it."""
        sample = xp.clip(state.lag1 / xp.maximum(state.lag0, _SMALLEST * _SMALLEST), 0.0, 1.0)
        share = xp.maximum(1.0 / xp.maximum(state.count, 1.0), self.config.weight / 2.0)
        phi = xp.clip(sample + (1.0 + 3.0 * sample) * share, 0.0, _PHI_MAX)
        reach, grown = _reached(xp, phi, state.gap + ticks)
        floor = xp.maximum(self.config.sigma_floor_relative * xp.abs(state.mean), _SMALLEST)
        sd = grown * xp.sqrt(xp.maximum(state.scale2, floor * floor))
        return state.mean + reach * (state.last - state.mean), sd, grown


def _reached(xp: ModuleType, phi: Any, ticks: Any) -> tuple[Any, Any]:
    """Return how much of a departure is left after some ticks, and how they widened the error."""
    if xp is np:
        rows = np.flatnonzero(ticks != 1.0)  # powers are dear, and nearly all look one tick ahead
        reach, grown = phi.copy(), np.ones_like(phi)
        if rows.size:
            reach[rows], grown[rows] = _grown(np, phi[rows], ticks[rows])
        return reach, grown
    return _grown(xp, phi, ticks)


def _grown(xp: ModuleType, phi: Any, ticks: Any) -> tuple[Any, Any]:
    """Do what `_reached` does, for any number of ticks."""
    reach = phi**ticks
    return reach, xp.sqrt((1.0 - reach * reach) / (1.0 - phi * phi))
