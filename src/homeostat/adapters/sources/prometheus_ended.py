"""Which series of a round go on, and when the processes behind them began."""

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Final

from homeostat.adapters.sources.prometheus_answer import Series
from homeostat.adapters.sources.rules import Preset

# So many usual steps without a sample end a series. Scrapes are evenly spaced and rarely late by
# more than one; Prometheus itself waits five minutes where it was not told.
_ENDED_STEPS: Final = 2.5


def began(preset: Preset, one: Series) -> float:
    """Return when a process began, in seconds since 1970, 0 if the series does not say."""
    at_s, last = one.samples[-1]
    said = 0.0
    if one.name == preset.started_sample:
        said = last
    elif one.name == preset.uptime_sample:
        said = at_s - last
    return said if math.isfinite(said) else 0.0


def ended(series: Sequence[Series]) -> set[int]:
    """Return the places of series that do not go on."""
    if not series:
        return set()
    newest = max(one.samples[-1][0] for one in series)
    steps = [_step(one) for one in series]
    usual = [step for step in steps if not math.isnan(step)]
    fallback = median(usual) if usual else math.inf
    return {
        place
        for place, (one, step) in enumerate(zip(series, steps, strict=True))
        if newest - one.samples[-1][0] > _ENDED_STEPS * (fallback if math.isnan(step) else step)
    }


def _step(one: Series) -> float:
    """Return a series' usual step in seconds, NaN if it has a single sample."""
    if len(one.samples) < 2:  # noqa: PLR2004 - a step needs two times
        return math.nan
    steps = sorted(later[0] - sooner[0] for sooner, later in pairwise(one.samples))
    return steps[len(steps) // 2]  # `median` would cost as much as all the rest of a series
