"""Seasonal Hybrid ESD with its refits, as a method: `detect.shesd_stream`, tick by tick.

`detect.shesd` holds no past that a refit could read, because a controller of many series could not;
here it is held, 160 KB a column for two weeks of minutes. What is said is what `shesd_stream.run`
says of each column alone, but that a column that was silent since its last refit is not fitted
again. Before their first refit columns do not take turns, as they do in a controller: what is said
of one would depend on how many there are.
"""

from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np
from typing_extensions import override

from homeostat.base.part import Part
from homeostat.base.ports import Detector, DetectorOutput
from homeostat.detect.method_rows import Rows
from homeostat.detect.shesd import Shesd, ShesdState, ring_spread
from homeostat.detect.shesd_config import Config
from homeostat.detect.shesd_refit import fit, install
from homeostat.detect.shesd_stream import FIRST, next_refit

# Ticks that are kept apart, so that the whole past is copied once in so many.
_CHUNK: Final = 64


class State(NamedTuple):
    """What is remembered.

    Attributes:
        shesd: Of each series.
        tick: Ticks so far, int64, no axis.
        until: The number of ticks at which each is fitted next, int64 `[series]`.
        heard: Ticks so far when each last said something, int64 `[series]`.
        fitted: Ticks so far when each was fitted, int64 `[series]`.
        past: Values in full chunks, a ring; NaN where none may be learnt. `[window, series]`.
        flagged: Which of them alarmed, bool `[window, series]`.
        recent: Values of the chunk under way, `[chunk, series]`.
        loud: Which of them alarmed, bool `[chunk, series]`.
    """

    shesd: ShesdState
    tick: Any
    until: Any
    heard: Any
    fitted: Any
    past: Any
    flagged: Any
    recent: Any
    loud: Any


class Refitted(Detector[State]):
    """S-H-ESD on rows, each refitted when its season has passed. NumPy only.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        self.config, self.shesd = config, Shesd(config)
        self._room = -(-config.window // _CHUNK) * _CHUNK

    @override
    def init(self, xp: ModuleType, series: int) -> State:
        """Return the state of rows that have seen nothing."""
        whole = np.zeros(series, dtype=np.int64)
        return State(
            shesd=self.shesd.init(np, series), tick=np.asarray(0, dtype=np.int64),
            until=whole + FIRST, heard=whole, fitted=whole,
            past=np.full((self._room, series), np.nan),
            flagged=np.zeros((self._room, series), dtype=bool),
            recent=np.full((_CHUNK, series), np.nan),
            loud=np.zeros((_CHUNK, series), dtype=bool),
        )  # fmt: skip

    @override
    def step(
        self, xp: ModuleType, state: State, values: Any, learn: Any
    ) -> tuple[State, DetectorOutput]:
        """Judge one tick, then learn from it, and fit the rows whose turn it is.

        Args:
            xp: numpy.
            state: From `init` or the last step.
            values: Float `[series]`; NaN and infinities are unknown.
            learn: Bool `[series]`, or one bool: where anything may be learnt.
        """
        row = np.asarray(values, dtype=float)
        stepped, output = self.shesd.step(np, state.shesd, row, learn)
        after = _refreshed(stepped)
        known = np.isfinite(row)
        kept = np.where(known & np.asarray(learn), row, np.nan)
        place, tick = int(state.tick) % _CHUNK, state.tick + 1
        recent, loud = state.recent.copy(), state.loud.copy()
        recent[place], loud[place] = kept, output.alarm
        moved = state._replace(
            shesd=after, tick=np.asarray(tick), recent=recent, loud=loud,
            heard=np.where(known, tick, state.heard),
        )  # fmt: skip
        if place == _CHUNK - 1:
            moved = self._put_away(moved)
        due = np.flatnonzero(moved.until <= tick)
        return (self._refit(moved, due) if len(due) else moved), output

    def _put_away(self, state: State) -> State:
        """Return the state with a full chunk in the ring."""
        end = int(state.tick) % self._room or self._room
        past, flagged = state.past.copy(), state.flagged.copy()
        past[end - _CHUNK : end], flagged[end - _CHUNK : end] = state.recent, state.loud
        return state._replace(past=past, flagged=flagged)

    def _refit(self, state: State, due: Any) -> State:
        """Return the state with these rows fitted to their past."""
        tick, until, fitted = int(state.tick), state.until.copy(), state.fitted.copy()
        fits, rows = [], []
        for series in due.tolist():
            found = None
            if state.heard[series] > state.fitted[series]:
                past, flagged = self._past(state, series)
                found = fit(past, self.config, flagged=flagged)
                fits.append(found)
                rows.append(series)
                fitted[series] = tick
            until[series] = next_refit(tick, 0 if found is None else found.period)
        shesd = install(state.shesd, rows, fits) if rows else state.shesd
        return state._replace(shesd=shesd, until=until, fitted=fitted)

    def _past(self, state: State, series: int) -> tuple[Any, Any]:
        """Return the last values of one series, oldest first, and which of them alarmed."""
        tick = int(state.tick)
        begun = tick % _CHUNK
        at = (np.arange(self._room) + (tick - begun)) % self._room
        kept = min(tick, self.config.window)
        values = np.concatenate([state.past[at, series], state.recent[:begun, series]])
        flagged = np.concatenate([state.flagged[at, series], state.loud[:begun, series]])
        return values[len(values) - kept :], flagged[len(flagged) - kept :]


def _refreshed(state: ShesdState) -> ShesdState:
    """Return the state with centre and scale of all rows without a fit taken from their rings."""
    young = np.flatnonzero(state.fitted == 0)
    if not len(young):
        return state
    found = ring_spread(np, state.ring[:, young])
    parts = [state.centre.copy(), state.scale.copy(), state.count.copy()]
    for part, new in zip(parts, found, strict=True):
        part[young] = new
    return state._replace(centre=parts[0], scale=parts[1], count=parts[2])


PART: Final = Part(
    kind="method",
    name="shesd",
    summary="Seasonal Hybrid ESD: outliers beside a season that is found and refitted.",
    config=Config,
    build=lambda config, model=None: Rows("shesd", Refitted(config), config),  # noqa: ARG005
)
