"""From resampled statistics to figures: a value, its 95 % interval, and how many episodes it has.

Intervals are clustered by scenario: scenarios are drawn first, seeds second. Rates of rare events
get more: the hull of that interval and Clopper-Pearson's over episodes; and where nothing (or
everything) was seen, resampling knows nothing, so the end is the one-sided bound over scenarios,
as if each scenario were one trial. Nothing here knows what is measured.
"""

from collections.abc import Callable, Sequence

import numpy as np

from homeostat.lab.judge_view import Floats
from homeostat.lab.thresholds import FROZEN, Thresholds
from homeostat.report.lab_results import Bound, Figure
from homeostat.stats.bootstrap import interval, resamples
from homeostat.stats.exact import clopper_pearson, lower_bound, upper_bound

Statistic = Callable[[Floats], Floats]
"""From rows of counts [draws, N] to one value each [draws]; NaN where it cannot be worked out."""

NOTHING = Figure(value=None, n=0)


class Draws:
    """Resamples of groups of episodes, kept, so that every policy and metric shares them.

    Args:
        thresholds: How many, and the confidence.
        seed: Of the resampling.
    """

    def __init__(self, thresholds: Thresholds = FROZEN, *, seed: int = 0) -> None:
        self.confidence = thresholds.confidence
        self._count = round(thresholds.resamples)
        self._seed = seed
        self._kept: dict[tuple[str, ...], Floats] = {}

    def of(self, scenarios: Sequence[str]) -> Floats:
        """Return the rows for these episodes [draws, N], the plain sample first."""
        key = tuple(scenarios)
        if key not in self._kept:
            drawn = resamples(key, self._count, seed=self._seed)
            self._kept[key] = np.vstack([np.ones((1, len(key))), drawn])
        return self._kept[key]


def figure(statistic: Statistic, rows: Floats, n: int, confidence: float) -> Figure:
    """Return a statistic of the plain sample with its percentile interval.

    Args:
        statistic: See `Statistic`.
        rows: From `Draws.of`: the plain sample, then resamples.
        n: Episodes that the statistic rests on; 0 = there is nothing to measure.
        confidence: Of the interval.
    """
    if n == 0:
        return NOTHING
    values = statistic(rows)
    if not np.isfinite(values[0]):
        return NOTHING
    ends = interval(values[1:], confidence) or (None, None)
    return Figure(value=float(values[0]), low=ends[0], high=ends[1], n=n)


def rate(hits: np.ndarray, scenarios: Sequence[str], rows: Floats, confidence: float) -> Figure:
    """Return the share of episodes in which something happened.

    Args:
        hits: Whether it did [N].
        scenarios: The episodes' scenarios [N].
        rows: From `Draws.of`.
        confidence: Of the interval.
    """
    count, n = int(np.sum(hits)), len(hits)
    if n == 0:
        return NOTHING
    clusters = len(set(scenarios))
    trials = clusters if clusters > 1 else n
    if count == 0:
        return Figure(value=0.0, low=0.0, high=upper_bound(0, trials, confidence), n=n)
    if count == n:
        return Figure(value=1.0, low=lower_bound(trials, trials, confidence), high=1.0, n=n)
    values = rows[1:] @ np.asarray(hits, dtype=np.float64) / n
    drawn = interval(values / (rows[1:].sum(axis=1) / n), confidence) or (0.0, 1.0)
    exact = clopper_pearson(count, n, confidence)
    return Figure(value=count / n, low=min(drawn[0], exact[0]), high=max(drawn[1], exact[1]), n=n)


def bounds(hits: np.ndarray, scenarios: Sequence[str], confidence: float) -> tuple[Bound, Bound]:
    """Return one-sided upper bounds over episodes and over scenarios (one trial each).

    The first speaks of this catalogue, the second of scenarios that are not in it: 0 of 4,300
    gives 0.07 %, 0 of 43 gives 6.7 %.
    """
    struck = {name for name, hit in zip(scenarios, hits, strict=True) if hit}
    everything = set(scenarios)
    count, n = int(np.sum(hits)), len(hits)
    return (
        Bound(events=count, n=n, upper=upper_bound(count, n, confidence)),
        Bound(
            events=len(struck),
            n=len(everything),
            upper=upper_bound(len(struck), len(everything), confidence),
        ),
    )
