"""From a budget of false incidents to the level of evidence at which the stack starts one.

People say: at most so many false incidents per 1,000 signals and day (`stats.fdr_budget`). The
stack's evidence is about one tick, an incident is many, and how many ticks a day has is the
tick's length. So what a level means in incidents was counted: `CURVE` is how many start in a tick
at each level, on made-up series in which nothing is wrong (`benchmarks/detection`:
`python -m detection.false_incidents --curve`). What it is worth on normal days of real series the
same program prints, and docs/explanation/detection.md says.

A third of the budget is spent: on normal days of Numenta's series there are twice as many incidents
at a level as on made-up ones, whose tails are lighter. Series of one minute have still more a tick:
on half of AIOPS's an eighth kept the budgets up to 50, and on the other half too
(docs/decisions/0062-one-level-a-tick-stays-the-default.md). Not promised for several columns: an
entity of n signals may have n times as many incidents, by the same curve, which was counted on
single columns. Not here: which incidents are told of.
"""

from typing import Any, Final

import numpy as np

from homeostat.stats.fdr_budget import MOST, Budget

LEVELS: Final = (1.7, 2.0, 2.3, 2.6, 3.0, 3.4, 3.8, 4.2)
"""Evidence that starts an incident."""
CURVE: Final = (-2.41, -2.75, -3.16, -3.63, -4.16, -4.62, -5.04, -5.38)
"""log10 of how many start in a tick: 300 series of 6,000 ticks, from tick 2,016 on; at the last
level 5 did."""
# Share of the budget that is meant to be used up, by the length of a tick, seconds; see the module.
_LENGTHS_S: Final = (60.0, 300.0)
_SPENT: Final = (1.0 / 8.0, 1.0 / 3.0)
# Decades lost with each further unit of level: 0.7 from 3.8 to 4.6, where 3 incidents were left.
_BEYOND: Final = 0.7
USUAL_TICK_S: Final = 15.0
"""What a tick is taken for whose length nobody knows; the shorter, the stricter."""
_DAY_S: Final = 86_400.0


def level_of(budget: Budget, *, signals: int = 1) -> float:
    """Return the evidence that starts an incident under a budget.

    Args:
        budget: What may be false, and how many ticks a day has.
        signals: Of the entity; its share of the budget grows with them.

    Raises:
        ValueError: There is no signal.

    >>> five_minutes = Budget(false_incidents=1.0, tests_per_day=288.0)
    >>> round(level_of(five_minutes), 2), round(level_of(five_minutes, signals=20), 2)
    (5.0, 3.41)
    """
    if signals < 1:
        raise ValueError(f"budget: an entity needs a signal, got {signals}")
    return float(_level(np.log10(budget.level * signals), _DAY_S / budget.tests_per_day))


def levels_of(false_incidents: float, tick_s: Any, *, signals: int = 1) -> Any:
    """Return the same for ticks of different length, shaped as `tick_s`.

    Args:
        false_incidents: Per 1,000 signals and day, above 0 and at most `MOST`.
        tick_s: Length of each tick, seconds; NaN is `USUAL_TICK_S`, and more than a day is a day.
        signals: Of the entity, at least 1.

    Raises:
        ValueError: Names what is out of range.

    >>> levels_of(1.0, np.array([300.0, 15.0, np.nan])).round(2).tolist()
    [5.0, 7.46, 7.46]
    """
    if not 0.0 < false_incidents <= MOST:
        raise ValueError(
            f"false incidents per 1,000 signals and day must be above 0 and at most {MOST:g}, "
            f"got {false_incidents:g}"
        )
    seconds = np.asarray(tick_s, dtype=float)
    known = np.where(np.isfinite(seconds) & (seconds > 0.0), seconds, USUAL_TICK_S)
    daily = Budget(false_incidents=false_incidents, tests_per_day=1.0)
    if signals < 1:
        raise ValueError(f"budget: an entity needs a signal, got {signals}")
    length = np.minimum(known, _DAY_S)
    return _level(np.log10(daily.level * signals * (length / _DAY_S)), length)


def _level(log10_rate: Any, tick_s: Any) -> Any:
    """Return the level at which so many incidents start in a tick; none is below the first."""
    # Between the two lengths in proportion, so that a clock that trembles moves no level by much.
    spent = log10_rate + np.interp(np.log10(tick_s), np.log10(_LENGTHS_S), np.log10(_SPENT))
    inside = np.interp(-spent, -np.asarray(CURVE), LEVELS)
    return inside + np.maximum(CURVE[-1] - spent, 0.0) / _BEYOND
