"""SPOT and DSPOT: alarm where the tail of the series' own past says a value is rarer than `risk`.

Siffer, Fouque, Termier & Largouet (KDD 2017) fit a generalised Pareto law to the peaks over a high
threshold and alarm beyond the value that it gives the probability `risk`; DSPOT looks at distances
from a moving average, so that slow drift is no alarm. Alarms never enter the fit, peaks do.

Each side has its own tail: what is rare upwards may be common downwards. As in the paper: peaks
over a threshold from the first values, a moving average, one look a value, no memory of the value
before. Different: the threshold follows the table (`stats.conformal`), below which p-values are
conformal; and the fit is averaged over what its shape may be, because the maximum-likelihood fit
of a few dozen peaks claims far too much (measured in `stats.tail`). Assumes neighbours in time
that are not alike; `detect.conformal` does not.
"""

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np
from typing_extensions import override

from homeostat.base.part import Part
from homeostat.base.ports import Detector, DetectorOutput
from homeostat.detect.ewma_config import Side
from homeostat.stats import conformal as tables

_LOG10_TWO: Final = 0.3010299956639812  # two sides, one p-value
_LARGEST: Final = 1e15  # differences stay finite in single precision
_COUNT_MAX: Final = 1e6
# Distances from the average of fewer values say little about the noise.
_YOUNG: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        risk: Alarm at p-values up to this, of both sides together, in (0, 1). A young table needs
            the default to find eight deviations of normal noise; for alarms on many series set
            what `stats.fdr_budget` gives, and let the tables fill.
        depth: Values in the moving average (DSPOT), at least 2; infinite for the mean of all
            values so far (SPOT).
        side: Which departures count.
        floor_relative: Departures smaller than this share of the level are rounding.
        table: What is kept of each side; a quarter of the usual, since half of all values enter
            neither tail.
    """

    risk: float = 2e-3
    depth: float = 50.0
    side: Side = Side.BOTH
    floor_relative: float = 1e-9
    table: tables.Config = field(
        default_factory=lambda: tables.Config(size=256, block=1, least=_LEAST)
    )

    def __post_init__(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        if not 0.0 < self.risk < 1.0:
            raise ValueError(f"spot: risk must be in (0, 1), got {self.risk}")
        if not self.depth >= 2.0:  # noqa: PLR2004 - an average
            raise ValueError(f"spot: depth must be 2 or more, got {self.depth}")
        if not 0.0 <= self.floor_relative < float("inf"):
            raise ValueError(f"spot: floor_relative must be 0 or more, got {self.floor_relative}")


# Half of 256: from then on a table has a tail.
_LEAST: Final = 128


class State(NamedTuple):
    """All that the detector remembers.

    Attributes:
        count: Values in the average, `[series]`.
        mean: The moving average, `[series]`.
        up: Distances above it.
        down: Distances below it.
    """

    count: Any
    mean: Any
    up: tables.Table
    down: tables.Table


class Spot(Detector[State]):
    """See the module. Causal, pure, one row independent of the next.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.tables = tables.Conformal(config.table)

    @override
    def init(self, xp: ModuleType, series: int) -> State:
        """Return the state of rows that have seen nothing."""
        row = xp.zeros(series)
        return State(row, row, self.tables.init(xp, series), self.tables.init(xp, series))

    def restart(self, xp: ModuleType, state: State, rows: Any) -> State:
        """Return the state with these rows (bool `[series]`) as if new."""
        return State(
            count=xp.where(rows, 0.0, state.count),
            mean=xp.where(rows, 0.0, state.mean),
            up=self.tables.restart(xp, state.up, rows),
            down=self.tables.restart(xp, state.down, rows),
        )

    @override
    def step(
        self, xp: ModuleType, state: State, values: Any, learn: Any
    ) -> tuple[State, DetectorOutput]:
        """Judge one tick, then learn from it.

        Args:
            xp: numpy or jax.numpy.
            state: From `init` or the last step.
            values: Float `[series]`; NaN and infinities are unknown.
            learn: Bool `[series]`, or one bool: where anything may be learnt.

        Returns:
            The next state, p-values, alarms, and the band in which the tables' values lie.
        """
        raw = xp.asarray(values, dtype=state.mean.dtype)
        known = xp.isfinite(raw)
        x = xp.clip(xp.where(known, raw, 0.0), -_LARGEST, _LARGEST)
        off = x - state.mean
        off = xp.where(xp.abs(off) <= self.config.floor_relative * xp.abs(x), 0.0, off)
        old_enough = known & (state.count >= _YOUNG)
        size = xp.where(old_enough, off, xp.nan)
        score = self._score(xp, state, size)
        judged = xp.isfinite(score)
        alarm = judged & (xp.where(judged, score, 0.0) >= -np.log10(self.config.risk))
        allowed = known & xp.asarray(learn) & ~alarm
        count = xp.where(allowed, xp.minimum(state.count + 1.0, _COUNT_MAX), state.count)
        weight = 1.0 / xp.clip(count, 1.0, min(self.config.depth, _COUNT_MAX))
        after = State(
            count=count,
            mean=xp.where(allowed, state.mean + weight * (x - state.mean), state.mean),
            up=self.tables.learn(xp, state.up, size, allowed),
            down=self.tables.learn(xp, state.down, -size, allowed),
        )
        return after, self._output(xp, state, score, alarm)

    def _score(self, xp: ModuleType, state: State, size: Any) -> Any:
        """Return -log10 p of the sides that count."""
        up = self.tables.neg_log10_p(xp, state.up, size)
        down = self.tables.neg_log10_p(xp, state.down, -size)
        match self.config.side:
            case Side.BOTH:
                return xp.maximum(xp.maximum(up, down) - _LOG10_TWO, 0.0)
            case Side.UP:
                return up
            case Side.DOWN:
                return down

    def _output(self, xp: ModuleType, state: State, score: Any, alarm: Any) -> DetectorOutput:
        """Return the claims; the edge of a side that does not count is NaN."""
        judged, side = xp.isfinite(score), self.config.side
        low = state.mean - state.down.scores[-1]
        high = state.mean + state.up.scores[-1]
        return DetectorOutput(
            neg_log10_p=score,
            low=xp.where(judged & (side is not Side.UP), low, xp.nan),
            high=xp.where(judged & (side is not Side.DOWN), high, xp.nan),
            alarm=alarm,
        )


PART: Final = Part(
    kind="detector",
    name="spot",
    summary="DSPOT: extreme values of the distance from a moving average, each side by itself.",
    config=Config,
    build=Spot,
)
