"""Where a policy is worth more than the one that it is measured by."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from scipy import stats

from homeostat.lab.metrics_score import Scores

_LEAST: Final = 1e-6  # hourly budgets: less is rounding
_CONFIDENCE: Final = 0.975  # of each side


def excess(ours: Scores, best: Scores) -> Iterator[tuple[str, float, float | None]]:
    """Yield each scenario in which a policy is worth more on average.

    Args:
        ours: Its scores.
        best: Those of the other one, of the same episodes in any order.

    Yields:
        Scenario; mean of J over the seeds, in hourly budgets; lower end of its 95 % interval, which
        is Student's over the paired differences, None with one seed.

    Raises:
        KeyError: An episode of ours is not among the other's.
    """
    pairs = zip(best.scenario, best.seed, strict=True)
    theirs = dict(zip(pairs, best.value.tolist(), strict=True))
    apart: dict[str, list[float]] = {}
    for scenario, seed, value in zip(ours.scenario, ours.seed, ours.value.tolist(), strict=True):
        apart.setdefault(scenario, []).append(value - theirs[scenario, seed])
    for scenario, differences in apart.items():
        more = float(np.mean(differences))
        if more <= _LEAST:
            continue
        low = None
        if (n := len(differences)) > 1:
            spread = float(np.std(differences, ddof=1)) / n**0.5
            low = more - float(stats.t.ppf(_CONFIDENCE, n - 1)) * spread
        yield scenario, more, low
