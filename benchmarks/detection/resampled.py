"""Intervals of the public sets' figures: files (or series, or machines) drawn again.

Each file's share in a figure is worked out once, on a fixed set of thresholds; a resample is how
often each file is in it, and has its own best threshold, as the figure has. So the interval speaks
of other files like these, not of other settings. With four machines it is too narrow.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from detection import judging
from homeostat.stats.bootstrap import ratio, resamples

DRAWS = 400
_GRID = 300
_PROFILES = {"standard": "standard", "low false alarms": "reward_low_FP_rate"}


def nab(
    names: Sequence[str], scores: Sequence[Any], volumes: Any, threshold: float
) -> dict[str, Any]:
    """Return resamples of each figure of the Numenta benchmark, float `[draw]`.

    Args:
        names: The files.
        scores: Of each, a row each.
        volumes: VUS-PR of each, NaN where a file has no window; None = they are not wanted.
        threshold: At which alarms are counted.
    """
    corpus, by_name = judging.corpus_of(tuple(names)), dict(zip(names, scores, strict=True))
    weights = resamples(list(names), DRAWS, seed=1)
    grid = _grid(scores, threshold)
    out: dict[str, Any] = {}
    for key, profile in _PROFILES.items():
        raw, null, most = _raw(corpus, by_name, profile, grid)
        out[key] = _score((weights @ raw).max(axis=1), weights @ null, weights @ most)
        if key == "standard":
            out["shipped threshold"] = _score(
                weights @ raw[:, _place(grid, threshold)], weights @ null, weights @ most
            )
            out["one category out"] = _one_out(names, weights, (raw, null, most))
    counts = np.array([judging.events(corpus, by_name, name, threshold) for name in names])
    found, false, known, days = counts.T
    out["event F1"] = ratio(weights, 2.0 * found, found + false + known)
    out["false a day"] = ratio(weights, false, days)
    if volumes is not None:
        there = np.isfinite(volumes)
        out["VUS-PR"] = ratio(weights, np.where(there, volumes, 0.0), there)
    return out


def means(values: Sequence[float]) -> Any:
    """Return the mean of values drawn again, float `[draw]`; NaN are left out."""
    each = np.asarray(values, dtype=float)
    there = np.isfinite(each)
    weights = resamples(list(range(len(each))), DRAWS, seed=1)
    return ratio(weights, np.where(there, each, 0.0), there)


def _grid(scores: Sequence[Any], threshold: float) -> Any:
    """Return thresholds from high to low; what is asked is among them."""
    every = np.concatenate([np.asarray(one, dtype=float) for one in scores])
    shares = np.concatenate([[0.0], np.logspace(-6.0, -0.3, _GRID)])
    return np.unique(np.append(np.quantile(every, 1.0 - shares), [threshold, 1.1]))[::-1]


def _place(grid: Any, threshold: float) -> int:
    return int(np.flatnonzero(grid == threshold)[0])


def _raw(corpus: Any, scores: dict[str, Any], profile: str, grid: Any) -> tuple[Any, Any, Any]:
    """Return each file's score at each threshold, without any alarm, and at best."""
    raw, null, most = [], [], []
    for name in corpus.files:
        tried, at, nothing = corpus.sweep(scores, profile, [name])
        # The last threshold that is not below what is asked, as the scorer takes it.
        last = np.searchsorted(-tried, -grid, side="right") - 1
        raw.append(at[last])
        null.append(nothing)
        most.append(len(corpus.wins[name]) * judging.scorer().PROFILES[profile][0])
    return np.array(raw), np.array(null, dtype=float), np.array(most, dtype=float)


def _one_out(names: Sequence[str], weights: Any, parts: tuple[Any, Any, Any]) -> Any:
    raw, null, most = parts
    kind = np.array([name.partition("/")[0] for name in names])
    if len(set(kind)) < 2:
        return np.full(len(weights), np.nan)
    total = np.zeros(len(weights))
    for one in sorted(set(kind)):
        own = kind == one
        best = (weights[:, ~own] @ raw[~own]).argmax(axis=1)
        total += np.take_along_axis(weights[:, own] @ raw[own], best[:, None], axis=1)[:, 0]
    return _score(total, weights @ null, weights @ most)


def _score(raw: Any, null: Any, most: Any) -> Any:
    """Return Numenta's score; NaN where a resample has no window."""
    wide = most - null
    safe = np.where(wide > 0.0, wide, 1.0)
    return np.where(wide > 0.0, 100.0 * (raw - null) / safe, np.nan)
