"""Rows to ticks: missing rows of a regular grid become ticks at which nothing is known.

What is judged is one value a tick. The step between ticks is the median of the last sixteen steps
between rows, so it follows a change of the sampling, and needs nothing that comes later. If those
steps are mostly whole multiples of it the rows lie on a grid, and a step of several times it means
that rows are missing; they become ticks of unknown values, which have no row in the output. Rows
that lie on no grid are a tick each. A row at the time of the one before, or at an earlier time, is
a tick in its turn: when it was written is known better than what its clock says.

Counters become rates: the increment since the last known value over the seconds in between. Where
a counter goes back it was started again, and how much was lost nobody knows.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from homeostat.cli.detect_cells import Floats, Ints

_WINDOW: Final = 16  # steps that the grid is found from
LEAST_STEPS: Final = 3
"""Steps that a grid is found from, at least."""
_NEAR: Final = 0.15  # by what part of a step a row may be early or late
_SHARE: Final = 0.75  # of the steps that must be whole multiples
_MULTIPLE: Final = 3.0  # largest multiple that speaks for a grid: any time is near some multiple
_APART: Final = 1.5  # steps that a row is late, from which on one is missing
_CHANGED: Final = 0.25  # relative change of the step that is worth telling
_LARGEST: Final = 1e100  # its square, and the sum of squares of all rows, are numbers still
MOST_JUDGED: Final = 1e15
"""Values beyond are not judged: the detectors count to there (`detect.screen`), and what is cut off
would be a constant, which is healthy for ever."""
MOST_MISSING: Final = 20_160
"""Ticks that one gap becomes at most: two weeks of minutes. A longer one is cut, and told."""


class Grid(NamedTuple):
    """What is remembered of the rows' times.

    Attributes:
        steps: The last steps between rows, nanoseconds, NaN where there was none. `[window]`.
        last: The last row's time, -1 if there was no row. `[1]`.
        step: The last step that was told, NaN if none. `[1]`.
    """

    steps: Floats
    last: Ints
    step: Floats


class Counts(NamedTuple):
    """What is remembered of counters.

    Attributes:
        value: The last known value, NaN if none. `[column]`.
        at: Its time. `[column]`.
    """

    value: Floats
    at: Ints


class Timing(NamedTuple):
    """What rows' times say.

    Attributes:
        missing: Ticks to be put before each row. `[row]`.
        cut: Where a gap was longer than that. Bool `[row]`.
        repeated: Rows at the time of the one before them. Bool `[row]`.
        back: Rows at an earlier time. Bool `[row]`.
        changed: Rows from which on the step is another one. Bool `[row]`.
        length_s: How long a tick is by the last rows, this one among them, whether they lie on a
            grid or not: the median of their steps, seconds; NaN at the first. `[row]`.
    """

    missing: Ints
    cut: np.ndarray
    repeated: np.ndarray
    back: np.ndarray
    changed: np.ndarray
    length_s: Floats


def new_grid() -> Grid:
    """Return a grid that has seen no row."""
    return Grid(np.full(_WINDOW, np.nan), np.array([-1]), np.array([np.nan]))


def timing(grid: Grid, at: Ints) -> tuple[Grid, Timing]:
    """Return the next grid and what the times of some rows say.

    Args:
        grid: From `new_grid` or the last call.
        at: Nanoseconds since the epoch, one row at least. `[row]`.
    """
    started = not np.isnan(grid.steps[-1]) or grid.last[0] >= 0
    before = np.concatenate([grid.last if started else at[:1], at[:-1]])
    steps = (at - before).astype(float)
    if not started:
        steps[0] = np.nan
    every = np.concatenate([grid.steps, steps])
    usual, length = _usual(every)
    with np.errstate(invalid="ignore"):
        ratio = steps / usual[:-1]
        missing = np.where(ratio > _APART, np.round(ratio) - 1.0, 0.0)
    told, changed = _changes(usual[1:], float(grid.step[0]))
    said = Timing(
        missing=np.minimum(missing, MOST_MISSING).astype(np.int64),
        cut=missing > MOST_MISSING,
        repeated=steps == 0.0,
        back=steps < 0.0,
        changed=changed,
        length_s=length[1:] / 1e9,
    )
    return Grid(every[-_WINDOW:], at[-1:].copy(), np.array([told])), said


def _usual(steps: Floats) -> tuple[Floats, Floats]:
    """Return the step of the grid as the last window of steps shows it, and their median.

    Args:
        steps: The steps of the last window, then those of `n` rows.

    Returns:
        Before each of the rows, and after the last; NaN where there is none, the first also where
        rows lie on no grid. `[n + 1]` both.
    """
    if np.all(steps == steps[0]) and steps[0] > 0.0:
        same = np.full(len(steps) - _WINDOW + 1, steps[0])
        return same, same
    forward = np.where(steps > 0.0, steps, np.nan)
    windows = sliding_window_view(forward, _WINDOW)
    ordered = np.sort(windows, axis=1)  # unknown ones last
    known = np.isfinite(ordered).sum(axis=1)
    middle = np.maximum(known - 1, 0) // 2
    median = np.take_along_axis(ordered, middle[:, None], axis=1)
    ratio = ordered / median
    whole = np.round(ratio)
    near = (np.abs(ratio - whole) <= _NEAR) & (whole >= 1.0) & (whole <= _MULTIPLE)
    far = ratio > _MULTIPLE + _NEAR
    judged = known - far.sum(axis=1)
    regular = (judged >= LEAST_STEPS) & (near.sum(axis=1) >= _SHARE * judged)
    middle_step: Floats = median[:, 0]
    out: Floats = np.where(regular, middle_step, np.nan)
    return out, middle_step


def _changes(usual: Floats, told: float) -> tuple[float, np.ndarray]:
    """Return the step last told, and the rows at which another one is to be told."""
    changed = np.zeros(len(usual), dtype=bool)
    known = np.flatnonzero(np.isfinite(usual))
    while len(known):
        if np.isnan(told):
            told = float(usual[known[0]])
        off = np.flatnonzero(np.abs(usual[known] / told - 1.0) > _CHANGED)
        if not len(off):
            break
        changed[known[off[0]]] = True
        told = float(usual[known[off[0]]])
        known = known[off[0] + 1 :]
    return told, changed


def judgeable(values: Floats) -> Floats:
    """Return values as they are judged: infinities are unknown, huge ones as large as squares bear.

    >>> judgeable(np.array([1.0, np.inf, 1e300])).tolist()
    [1.0, nan, 1e+100]
    """
    out: Floats = np.where(np.isfinite(values), np.clip(values, -_LARGEST, _LARGEST), np.nan)
    return out


def reachable(values: Floats) -> Floats:
    """Return values with those as unknown that are larger than the detectors can tell apart.

    >>> reachable(np.array([-2.0, 1e15, 1.7e18])).tolist()
    [-2.0, 1000000000000000.0, nan]
    """
    with np.errstate(invalid="ignore"):
        out: Floats = np.where(np.abs(values) <= MOST_JUDGED, values, np.nan)
    return out


def new_counts(columns: int) -> Counts:
    """Return counters that have shown no value."""
    return Counts(np.full(columns, np.nan), np.zeros(columns, dtype=np.int64))


def rates(counts: Counts, at: Ints, values: Floats, counters: np.ndarray) -> tuple[Counts, Floats]:
    """Return the values with counters as increments per second.

    Args:
        counts: From `new_counts` or the last call.
        at: Nanoseconds since the epoch. `[row]`.
        values: `[row, column]`.
        counters: Which columns are counters. Bool `[column]`.

    Returns:
        What to go on with, and the values; NaN at a counter's first value, where it went back, and
        where no time has passed.
    """
    out = values.copy()
    value, when = counts.value.copy(), counts.at.copy()
    for column in np.flatnonzero(counters):
        known = np.flatnonzero(np.isfinite(values[:, column]))
        if not len(known):
            continue
        # Of several values at one time the first counts: later ones are in the next increment.
        later = np.diff(at[known], prepend=when[column]) != 0
        later[0] |= np.isnan(value[column])
        out[:, column] = np.nan
        known = known[later]
        series = np.concatenate([value[column : column + 1], values[known, column]])
        stamps = np.concatenate([when[column : column + 1], at[known]])
        seconds = np.diff(stamps) / 1e9
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            risen = np.diff(series)
            rate = np.where((risen >= 0.0) & (seconds > 0.0), risen / seconds, np.nan)
        out[known, column] = rate
        value[column], when[column] = series[-1], stamps[-1]
    return Counts(value, when), out
