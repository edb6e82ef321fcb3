"""The control charts of a few series as plain numbers, for whoever keeps them in a journal.

The chart is `ewma` with its default settings. What is remembered is rounded to float32 after each
step: the last bits of a logarithm differ between machines, and a replay must not.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from homeostat.detect.ewma import Ewma, State
from homeostat.detect.ewma_config import Config

_CHART: Final = Ewma(Config())
_ROWS: Final = tuple(leaf.ndim for leaf in _CHART.init(np, 1))
"""Axes of each part of what the chart remembers: 1 = a row, 2 = a row for each baseline."""


def charted(
    before: tuple[float, ...], values: Sequence[float]
) -> tuple[tuple[float, ...], tuple[float | None, ...]]:
    """Judge one tick of some series, then learn from it.

    Args:
        before: What was returned last, empty at the start or for another number of series.
        values: One for each series; NaN = not known.

    Returns:
        What is remembered, and of each series the evidence against healthy as -log10 of a p-value;
        None = not judged.
    """
    state = _opened(before, len(values))
    after, said = _CHART.step(np, state, np.asarray(values, np.float64), np.asarray(True))
    flat = np.concatenate([np.ravel(leaf) for leaf in after]).astype(np.float32)
    scores = np.asarray(said.neg_log10_p).astype(np.float32).tolist()
    return tuple(flat.tolist()), tuple(None if one != one else one for one in scores)  # noqa: PLR0124 - NaN


def _opened(before: tuple[float, ...], series: int) -> State:
    """Return the chart's state from plain numbers; a fresh one where they do not fit."""
    fresh = _CHART.init(np, series)
    if len(before) != sum(np.size(leaf) for leaf in fresh):
        return fresh
    flat, at = np.array(before, np.float64), 0
    parts = []
    for axes in _ROWS:
        size = axes * series
        parts.append(flat[at : at + size].reshape((2, series) if axes > 1 else (series,)))
        at += size
    return State(*parts)
