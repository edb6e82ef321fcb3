"""Comparing methods over the same tasks: interquartile means, paired differences, many at once.

The interquartile mean is the mean of the middle half: no single disaster or stroke of luck moves
it far, and it is steadier than the median. Its interval is a bootstrap stratified by task: runs are
drawn anew within each task, so it speaks of other runs of these tasks, not of other tasks.

Source: Agarwal, Schwarzer, Castro, Courville & Bellemare, "Deep Reinforcement Learning at the Edge
of the Statistical Precipice", NeurIPS 2021, section 4.3; Holm, "A Simple Sequentially Rejective
Multiple Test Procedure", Scandinavian Journal of Statistics 6 (1979).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from homeostat.stats.bootstrap import interval

Floats = npt.NDArray[np.float64]

_QUARTER = 0.25
_CHUNK = 250  # resamples at once: 43 tasks of 100 runs take 9 MB


class Estimate(NamedTuple):
    """A figure with its interval; NaN ends = too few runs to say, or none of a task differ.

    Attributes:
        value: Of the runs as they are.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float


def middle(values: npt.ArrayLike) -> Floats:
    """Return the interquartile mean along the last axis: a quarter of the weight cut at each end.

    Args:
        values: At least one; where a quarter of them is no whole number, the next one counts in
            part.

    Raises:
        ValueError: There are none, or one is no number.

    >>> float(middle([0.0, 1.0, 2.0, 3.0, 100.0, 3.0, 2.0, 1.0]))
    2.0
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64), axis=-1)
    count = ordered.shape[-1] if ordered.ndim else 0
    if count == 0 or not np.isfinite(ordered).all():
        raise ValueError(f"need numbers to take the middle of, got {count}, all finite or not")
    place = np.arange(count)
    cut = _QUARTER * count
    weight = np.clip(np.minimum(place + 1, count - cut) - np.maximum(place, cut), 0.0, 1.0)
    return np.asarray(ordered @ weight / weight.sum())


def middle_estimate(
    runs: npt.ArrayLike, *, draws: int = 2000, confidence: float = 0.95, seed: int = 0
) -> Estimate:
    """Return the interquartile mean over all runs, with its stratified interval.

    Args:
        runs: `[task, run]`.
        draws: Resamples.
        confidence: In (0, 1).
        seed: Equal seeds give equal intervals.

    Raises:
        ValueError: There are none, or one is no number.
    """
    table = np.asarray(runs, dtype=np.float64)
    found = [middle(part) for part in _drawn(table, draws, seed)]
    return _estimate(float(middle(table.reshape(-1))), np.concatenate(found), table, confidence)


def mean_estimate(
    runs: npt.ArrayLike, *, draws: int = 2000, confidence: float = 0.95, seed: int = 0
) -> Estimate:
    """Return the mean over all runs, with its stratified interval; arguments as above."""
    table = np.asarray(runs, dtype=np.float64)
    found = [part.mean(axis=-1) for part in _drawn(table, draws, seed)]
    return _estimate(float(table.mean()), np.concatenate(found), table, confidence)


def _estimate(value: float, drawn: Floats, table: Floats, confidence: float) -> Estimate:
    ends = interval(drawn, confidence)
    # Where runs of a task never differ, and one alone cannot, drawing anew knows nothing.
    if ends is None or (table == table[:, :1]).all():
        return Estimate(value, np.nan, np.nan)
    return Estimate(value, *ends)


def _drawn(table: Floats, draws: int, seed: int) -> Iterator[Floats]:
    """Yield resamples, runs drawn within each task `[some draws, task x run]`."""
    tasks, runs = table.shape
    generator = np.random.default_rng(seed)
    for first in range(0, draws, _CHUNK):
        count = min(_CHUNK, draws - first)
        chosen = generator.integers(runs, size=(count, tasks, runs))
        yield table[np.arange(tasks)[:, None], chosen].reshape(count, -1)


def sign_flip(differences: npt.ArrayLike, *, draws: int = 20_000, seed: int = 0) -> float:
    """Return the p-value of a mean difference of 0, two-sided, by flips of sign.

    Whole tasks are flipped, so that runs of one task may depend on each other: with nothing
    between two methods, each task's difference is as likely the one way as the other.

    Args:
        differences: A mean difference for each task `[task]`.
        draws: Flips; the smallest p-value is 1 / (draws + 1).
        seed: Equal seeds give equal values.

    Raises:
        ValueError: There are none, or one is no number.
    """
    each = np.asarray(differences, dtype=np.float64)
    if not each.size or not np.isfinite(each).all():
        raise ValueError(f"need differences that are numbers, got {each.size}")
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(draws, each.size))
    # Sums of the same numbers in another order differ in their last bits.
    slack = 1e-12 * np.abs(each).sum()
    as_far = np.count_nonzero(np.abs(signs @ each) >= abs(each.sum()) - slack)
    return (1.0 + as_far) / (1.0 + draws)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted so that all that are below a level may be believed together.

    Args:
        p_values: In 0..1.

    Raises:
        ValueError: One is not.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    if not all(0.0 <= one <= 1.0 for one in p_values):  # NaN is in no range
        raise ValueError(f"p-values are in 0..1, got {list(p_values)}")
    out, worst = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda at: p_values[at])):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[place]))
        out[place] = worst
    return out
