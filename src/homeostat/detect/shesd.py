"""Seasonal Hybrid ESD on a stream: is this value an outlier beside those of its season?

The batch test (`detect.shesd_exact`) looks at the future and costs a decomposition. Here a refit
on what has been seen (`detect.shesd_refit`) leaves a seasonal profile, a centre (median) and a
scale (median absolute deviation); until the next refit each value's residual is tested as ESD would
test it as the most deviant of the lot. Rosner's lambda_1 with the value among the n tested is the
same test as Student's t with the value outside, against n others (Rosner, Technometrics 25 (1983),
eq. 2.5, solved for t); here t has the degrees of freedom that a median absolute deviation is worth,
and the error of the median widens the scale.

Until the first refit there is no season, and centre and scale are those of a ring of the last
values. The ring is guarded: values that alarm, nearly alarm, or may not be learnt from never enter.

Not here: finding the season and refitting (`shesd_refit`, `season`), and p-values that hold for
heavy tails or correlated noise. Source: Hochenbaum, Vallis & Kejariwal, arXiv:1704.07706 (2017).
"""

import math
from statistics import NormalDist
from types import ModuleType
from typing import Any, Final, NamedTuple

from typing_extensions import override

from homeostat.base.part import Part
from homeostat.base.ports import Detector, DetectorOutput
from homeostat.detect.shesd_config import Config
from homeostat.stats.esd import MAD_SIGMA, Direction
from homeostat.stats.normal import neg_log10_p, normal_from_t, t_from_normal

# A median has the variance of a mean of 2 n / pi values; a median absolute deviation that of a
# standard deviation with 0.37 n degrees of freedom (Rousseeuw & Croux, JASA 88 (1993), table 1:
# efficiency 37 %).
_MEDIAN_COST: Final = math.pi / 2.0
_MAD_WORTH: Final = 0.37
# Bias of the median absolute deviation of few values: n / (n - 0.8) (same paper, section 4).
MAD_BIAS: Final = 0.8
# A scale below this share of the level is rounding.
_ROUNDING: Final = 1e-6
_LARGEST: Final = 1e15  # keeps squares finite in float32, the type that JAX uses
_SIGMAS_MAX: Final = 1e6
_SMALLEST: Final = 1e-18


class ShesdState(NamedTuple):
    """All that the stream remembers.

    Attributes:
        turn: Whose turn it is to have centre and scale taken anew. Scalar int.
        phase: Ticks since the profile's first place, `[series]` int.
        period: Ticks of the season, 0 for none, `[series]` int.
        place: Next place in the ring, `[series]` int.
        fitted: Values behind the last refit, 0 before the first, `[series]` int.
        origin: The first value seen: the ring holds differences from it, `[series]`.
        centre: Median of the residuals, as differences from the origin, `[series]`.
        scale: Their spread in standard deviations; 0 for unknown, `[series]`.
        count: Values behind centre and scale, `[series]`; the ring's fill can be more.
        ring: Last residuals, NaN where empty. Float32 `[ring, series]`.
        profile: The season. Float32 `[bins, series]`.
    """

    turn: Any
    phase: Any
    period: Any
    place: Any
    fitted: Any
    origin: Any
    centre: Any
    scale: Any
    count: Any
    ring: Any
    profile: Any


class Shesd(Detector[ShesdState]):
    """The stream; see the module. Causal and pure."""

    def __init__(self, config: Config) -> None:
        self.config = config

    @override
    def init(self, xp: ModuleType, series: int) -> ShesdState:
        """Return the state of rows that have seen nothing."""
        whole, number = xp.zeros(series, dtype=xp.int32), xp.zeros(series)
        single = xp.float32
        return ShesdState(
            turn=xp.zeros((), dtype=xp.int32),
            phase=whole, period=whole, place=whole, fitted=whole,
            origin=number + xp.nan, centre=number, scale=number, count=number,
            ring=xp.full((self.config.ring, series), xp.nan, dtype=single),
            profile=xp.zeros((self.config.bins, series), dtype=single),
        )  # fmt: skip

    def restart(self, xp: ModuleType, state: ShesdState, rows: Any) -> ShesdState:
        """Return the state with these rows as if new: what they were no longer holds.

        Args:
            xp: numpy or jax.numpy.
            state: The state.
            rows: Bool `[series]`.
        """
        fresh = self.init(xp, state.phase.shape[0])
        pairs = zip(fresh[1:], state[1:], strict=True)
        return ShesdState(state.turn, *(xp.where(rows, new, old) for new, old in pairs))

    @override
    def step(
        self, xp: ModuleType, state: ShesdState, values: Any, learn: Any
    ) -> tuple[ShesdState, DetectorOutput]:
        """Judge one tick, then learn from it where that is allowed.

        Args:
            xp: numpy or jax.numpy.
            state: From `init`, the last step, or a refit.
            values: Float `[series]`; NaN and infinities are unknown.
            learn: Bool `[series]`, or one bool: where the ring may learn.
        """
        raw = xp.asarray(values, dtype=state.centre.dtype)
        seen = xp.isfinite(raw)
        x = xp.clip(xp.where(seen, raw, 0.0), -_LARGEST, _LARGEST)
        origin = xp.where(xp.isnan(state.origin) & seen, x, state.origin)
        state = state._replace(origin=origin)
        season = self.season(xp, state)
        output, sigmas = self._judge(xp, state, x, season, seen)
        allowed = seen & xp.asarray(learn) & ~output.alarm & (xp.abs(sigmas) <= self.config.doubt)
        state = self._learn(xp, state, x - season - origin, allowed)
        phase = xp.where(state.phase + 1 >= state.period, 0, state.phase + 1)
        return self._refreshed(xp, state._replace(phase=phase)), output

    def judge(self, xp: ModuleType, state: ShesdState, values: Any) -> DetectorOutput:
        """Judge without learning; rows may be ticks, when each has its own phase."""
        raw = xp.asarray(values, dtype=state.centre.dtype)
        seen = xp.isfinite(raw)
        x = xp.clip(xp.where(seen, raw, 0.0), -_LARGEST, _LARGEST)
        return self._judge(xp, state, x, self.season(xp, state), seen)[0]

    def season(self, xp: ModuleType, state: ShesdState) -> Any:
        """Return the season's part of the tick's values, 0 without a season. `[series]`."""
        period = xp.maximum(state.period, 1)
        used = xp.minimum(period, self.config.bins)
        along = state.phase * used  # below 2^31 for seasons up to a million ticks
        low = along // period
        share = (along - low * period) / period
        high = xp.where(low + 1 >= used, 0, low + 1)
        first = xp.take_along_axis(state.profile, low[None, :], axis=0)[0]
        second = xp.take_along_axis(state.profile, high[None, :], axis=0)[0]
        out = first + share * (second - first)
        return xp.where(state.period > 0, out, 0.0).astype(state.centre.dtype)

    def _judge(
        self, xp: ModuleType, state: ShesdState, x: Any, season: Any, seen: Any
    ) -> tuple[DetectorOutput, Any]:
        config = self.config
        count = xp.maximum(state.count, 1.0)
        expected = season + xp.where(xp.isnan(state.origin), 0.0, state.origin) + state.centre
        enough = (state.fitted > 0) | (state.count >= config.warmup)
        rounding = _ROUNDING * xp.abs(expected)
        judged = seen & enough & (state.scale > xp.maximum(rounding, _SMALLEST))
        spread = xp.where(judged, state.scale, 1.0) * xp.sqrt(1.0 + _MEDIAN_COST / count)
        dof = xp.maximum(_MAD_WORTH * count, 1.0)
        off = xp.clip((x - expected) / spread, -_SIGMAS_MAX, _SIGMAS_MAX)
        sigmas = xp.where(judged, normal_from_t(xp, off, dof), 0.0)
        both = config.direction is Direction.BOTH
        size = -sigmas if config.direction is Direction.NEG else sigmas
        score = xp.maximum(neg_log10_p(xp, size, two_sided=both), 0.0)
        limit = math.log10(config.horizon / config.alpha)
        half = t_from_normal(xp, _sigmas_of(config), dof) * spread
        unknown = xp.full_like(x, xp.nan)
        up, down = config.direction is not Direction.NEG, config.direction is not Direction.POS
        return DetectorOutput(
            neg_log10_p=xp.where(judged, score, unknown),
            low=xp.where(judged & down, expected - half, unknown),
            high=xp.where(judged & up, expected + half, unknown),
            alarm=judged & (score > limit),
        ), sigmas

    def _learn(self, xp: ModuleType, state: ShesdState, residual: Any, allowed: Any) -> ShesdState:
        """Put residuals into the ring where that is allowed."""
        column = xp.arange(state.place.shape[0])
        kept = state.ring[state.place, column]
        put = xp.where(allowed, residual.astype(state.ring.dtype), kept)
        if hasattr(state.ring, "at"):  # JAX: its arrays cannot be written to
            ring = state.ring.at[state.place, column].set(put)
        else:
            ring = state.ring.copy()
            ring[state.place, column] = put
        place = xp.where(allowed, state.place + 1, state.place)
        return state._replace(ring=ring, place=xp.where(place >= self.config.ring, 0, place))

    def _refreshed(self, xp: ModuleType, state: ShesdState) -> ShesdState:
        """Take centre and scale of the rows whose turn it is from their rings.

        Rows take turns because sorting a ring is the dearest thing here.
        """
        series, turns = state.phase.shape[0], self.config.refresh
        share = -(-series // turns)
        rows = (state.turn * share + xp.arange(share)) % max(series, 1)
        centre, scale, count = ring_spread(xp, state.ring[:, rows])
        theirs = (xp.arange(series) - state.turn * share) % max(series, 1)
        due = (theirs < share) & (state.fitted == 0)
        at = xp.minimum(theirs, share - 1)
        turn = xp.where(state.turn + 1 >= turns, 0, state.turn + 1)
        kind = state.centre.dtype
        return state._replace(
            turn=xp.asarray(turn, dtype=state.turn.dtype),
            centre=xp.where(due, centre[at].astype(kind), state.centre),
            scale=xp.where(due, scale[at].astype(kind), state.scale),
            count=xp.where(due, count[at].astype(kind), state.count),
        )


def ring_spread(xp: ModuleType, ring: Any) -> tuple[Any, Any, Any]:
    """Return median, scale and number of each column's known values."""
    count = xp.sum(~xp.isnan(ring), axis=0)
    centre = _middle(xp, xp.sort(ring, axis=0), count)
    away = xp.sort(xp.abs(ring - centre), axis=0)
    bias = count / xp.maximum(count - MAD_BIAS, MAD_BIAS)
    return centre, MAD_SIGMA * bias * _middle(xp, away, count), count


def _middle(xp: ModuleType, ordered: Any, count: Any) -> Any:
    """Return the median of each column's first `count` values, 0 for none."""
    low = xp.maximum(count - 1, 0) // 2
    high = xp.maximum(count, 1) // 2
    pair = xp.take_along_axis(ordered, xp.stack([low, high]), axis=0)
    return xp.where(count > 0, 0.5 * (pair[0] + pair[1]), 0.0)


def _sigmas_of(config: Config) -> float:
    """Return the normal deviate at which an alarm begins."""
    sides = 2.0 if config.direction is Direction.BOTH else 1.0
    return -NormalDist().inv_cdf(config.alpha / config.horizon / sides)


PART: Final = Part(
    kind="detector",
    name="shesd",
    summary="Seasonal Hybrid ESD: outliers beside a refitted season, or beside the last values.",
    config=Config,
    build=Shesd,
)

__all__ = ["PART", "Config", "Shesd", "ShesdState"]
