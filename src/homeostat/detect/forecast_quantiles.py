"""Forecasts with their uncertainty: between which values a series will be in so many ticks.

How far a forecast may be off is what forecasts over the same horizon were off before, in units of
the recent size of a step: a table of past errors for every row and horizon (`stats.conformal`), and
its quantiles. Two outer edges, say 5 % and 95 %, are steered by what they did: an edge that was
passed moves out, one that was not moves in a little, so that in the long run it is passed as often
as it says, whatever the series does (Gibbs & Candes, NeurIPS 2021; on quantiles instead of levels:
Angelopoulos, Candes & Tibshirani, NeurIPS 2023, equation 3). The steps are multiplicative, so that
the unit of a series does not matter. Truth comes a horizon late, and so does the steering.

Quantiles are of one moment. For the highest value on the way see `breach`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final, NamedTuple

from homeostat.detect.demand import LARGEST, Points
from homeostat.detect.demand_pending import PLACES, Pending
from homeostat.stats import conformal as tables

# A passed edge moves out by about a tenth.
_RATE: Final = 0.1
# Edges are at least a tenth of the table's and at most 50 times as far out.
_IN, _OUT = -2.3, 3.9
# Errors are kept in single precision, and so many steps are as good as any more.
_FAR: Final = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        horizons: Ticks ahead, as those of the points.
        levels: Quantiles, ascending in (0, 1); the first and the last are steered.
        table: Past errors of each horizon: by default a random 128 of about the last 5,000 ticks.
    """

    horizons: tuple[int, ...] = (20, 60, 240)
    levels: tuple[float, ...] = (0.05, 0.25, 0.5, 0.75, 0.95)
    table: tables.Config = field(
        default_factory=lambda: tables.Config(size=128, block=40, least=19)
    )

    def __post_init__(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            ValueError: Names the setting and its value.
        """
        Pending(self.horizons)
        levels = self.levels
        if len(levels) < 2 or list(levels) != sorted({*levels}):  # noqa: PLR2004 - two edges
            raise ValueError(f"forecast: levels must be two or more and ascend, got {levels}")
        if not (0.0 < levels[0] < 0.5 < levels[-1] < 1.0):  # noqa: PLR2004 - the median
            raise ValueError(f"forecast: levels must lie in (0, 1) around 0.5, got {levels}")


class QuantileState(NamedTuple):
    """All that is remembered.

    Attributes:
        tick: Ticks seen, int scalar.
        errors: Past errors in steps, one table for each horizon.
        stretch: Logarithm of how much further out the edges are, `[edge, horizon, series]`.
        said: Point, step and edges under way, `[horizon, place, 4, series]`.
        calm: Whether nothing was done since they were made, bool `[horizon, place, series]`.
    """

    tick: Any
    errors: tuple[tables.Table, ...]
    stretch: Any
    said: Any
    calm: Any


class Quantiles:
    """See the module. Causal, pure, one row independent of the next.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.pending = Pending(config.horizons)
        self.tables = tables.Conformal(config.table)

    def init(self, xp: ModuleType, series: int) -> QuantileState:
        """Return the state of rows that have seen nothing."""
        heads = len(self.config.horizons)
        return QuantileState(
            tick=xp.asarray(0, dtype=xp.int32),
            errors=tuple(self.tables.init(xp, series) for _ in self.config.horizons),
            stretch=xp.zeros((2, heads, series)),
            said=xp.full((heads, PLACES, 4, series), xp.nan),
            calm=xp.zeros((heads, PLACES, series), dtype=bool),
        )

    def step(
        self, xp: ModuleType, state: QuantileState, values: Any, points: Points, held: Any
    ) -> tuple[QuantileState, Any]:
        """Take in one tick and return the quantiles from it on.

        Args:
            xp: numpy or jax.numpy.
            state: From `init` or the last step.
            values: Float `[series]`; NaN and infinities are unknown.
            points: This tick's forecasts from these values.
            held: Bool `[series]`, or one bool: nothing of ours changed the series on this tick.
                Forecasts across a change are not judged: they were made for what is no more.

        Returns:
            The next state, and `[horizon, level, series]`, ascending along levels; NaN where the
            table is too young or the point unknown.
        """
        raw = xp.clip(xp.asarray(values, dtype=state.stretch.dtype), -LARGEST, LARGEST)
        calm = state.calm & xp.asarray(held)
        if self.pending.idle(xp, state.tick):
            # Nobody is judged: tables only grow older.
            errors = tuple(self.tables.learn(xp, one, xp.nan, False) for one in state.errors)
            return self._said(xp, state, points, errors, state.stretch, calm)
        due, place = self.pending.due(xp, state.tick)
        then = self.pending.taken(xp, state.said, place)
        allowed = due[:, None] & self.pending.taken(xp, calm, place) & xp.isfinite(values)
        allowed = allowed & xp.isfinite(then[:, 0])
        error = xp.where(allowed, xp.clip((raw - then[:, 0]) / then[:, 1], -_FAR, _FAR), xp.nan)
        errors = tuple(
            self.tables.learn(xp, table, error[head], allowed[head])
            for head, table in enumerate(state.errors)
        )
        stretch = self._steered(xp, state.stretch, raw, then, allowed)
        return self._said(xp, state, points, errors, stretch, calm)

    def _said(
        self, xp: ModuleType, state: QuantileState, points: Points,
        errors: tuple[tables.Table, ...], stretch: Any, calm: Any,
    ) -> tuple[QuantileState, Any]:  # fmt: skip
        """Return the next state and the quantiles, from what was learnt on this tick."""
        out = self._quantiles(xp, errors, stretch, points)
        new = xp.stack(
            [points.at, points.scale + xp.zeros_like(points.at), out[:, 0], out[:, -1]], axis=1
        )
        return QuantileState(
            tick=state.tick + 1,
            errors=errors,
            stretch=stretch,
            said=self.pending.put(xp, state.said, new, state.tick),
            calm=self.pending.put(xp, calm, xp.ones_like(points.at), state.tick),
        ), out

    def _steered(self, xp: ModuleType, stretch: Any, raw: Any, then: Any, allowed: Any) -> Any:
        """Move the edges out where they were passed, and in by a little where they were not."""
        first, last = self.config.levels[0], 1.0 - self.config.levels[-1]
        judged = allowed & xp.isfinite(then[:, 2])
        passed = xp.stack([raw < then[:, 2], raw > then[:, 3]])
        target = xp.asarray([first, last])[:, None, None]
        moved = xp.clip(stretch + _RATE * (passed - target), _IN, _OUT)
        return xp.where(judged, moved, stretch)

    def _quantiles(
        self, xp: ModuleType, errors: tuple[tables.Table, ...], stretch: Any, points: Points
    ) -> Any:
        """Return `[horizon, level, series]`."""
        side = xp.asarray([0 if level < 0.5 else 1 for level in self.config.levels])  # noqa: PLR2004 - the median
        out = []
        for head, table in enumerate(errors):
            said = at(xp, table, (0.5, *self.config.levels))
            middle = said[0]
            wide = middle + (said[1:] - middle) * xp.exp(stretch[:, head])[side]
            known = xp.minimum(table.entered, self.config.table.size) >= self.config.table.least
            out.append(xp.where(known, points.at[head] + wide * points.scale, xp.nan))
        return xp.stack(out)


def at(xp: ModuleType, table: tables.Table, levels: Sequence[float]) -> Any:
    """Return quantiles of each table, `[level, series]`: rank ceil(level (n + 1)) of n, as Vovk's.

    Args:
        xp: numpy or jax.numpy.
        table: Ascending scores; an empty one gives 0.
        levels: In (0, 1).
    """
    size = table.scores.shape[0]
    there = xp.minimum(table.entered, size)
    rank = xp.ceil(xp.asarray(levels)[:, None] * (there + 1.0))
    rank = xp.minimum(xp.maximum(rank, 1.0), there + 0.0)
    row = xp.asarray(size - there + rank, dtype=xp.int32) - 1
    found = xp.take_along_axis(table.scores, xp.maximum(row, 0), axis=0)
    return xp.where(xp.isfinite(found), found, 0.0)
