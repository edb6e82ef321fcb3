"""The published batch form of Seasonal Hybrid ESD on whole recordings of several columns.

`detect.shesd_exact` judges one series whose season is known; here each column of a recording is
judged by itself, its season is found where nobody says it, and what is found is said as methods say
it (`stack.Said`). It is no method of a stream (`detect.method`): each row is judged by all rows,
later ones too, so that nothing can be said before the end, and more rows may change what was said.
"""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.detect.method import no_each
from homeostat.detect.method_rows import most, shares
from homeostat.detect.season import find_season
from homeostat.detect.shesd_exact import Floats, Found, Options, Threshold, shesd
from homeostat.detect.stack import Said, scale
from homeostat.stats.esd import Direction
from homeostat.stats.normal import neg_log10_p

_SIGMAS_MAX: Final = 1e6  # squares of more are no numbers; as `detect.shesd`


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is looked for; as `shesd_exact.Options`, but that the season may be left open.

    Attributes:
        period: Ticks of the season; None = found in each column.
        direction: Which deviations count.
        alpha: Probability to find anything in a series without anomalies, in (0, 1).
        max_anoms: Largest share of the points that may be anomalous, in (0, 0.49].
        longterm_period: Ticks of the pieces that a longer series is cut into; None = one piece.
        only_last: Report the last period only.
        threshold: Report large values only.
    """

    period: int | None = None
    direction: Direction = Direction.BOTH
    alpha: float = 0.05
    max_anoms: float = 0.10
    longterm_period: int | None = None
    only_last: bool = False
    threshold: Threshold | None = None

    def options(self, period: int) -> Options:
        """Return what is looked for in a column with this season.

        Raises:
            ValueError: A setting is impossible; it is named with its value and range.
        """
        return Options(
            period=period,
            direction=self.direction,
            alpha=self.alpha,
            max_anoms=self.max_anoms,
            longterm_period=self.longterm_period,
            only_last=self.only_last,
            threshold=self.threshold,
        )


class Judged(NamedTuple):
    """What is said of a recording.

    Attributes:
        said: Time first. A row is active where the test calls it an anomaly in any column, and
            alarms where the row before it is not. `[tick]`, contributions and bands
            `[tick, column]`.
        periods: Ticks of each column's season, 0 where none was found. `[column]`.
        unknown: Why a column could not be judged, empty where it could. `[column]`.
    """

    said: Said
    periods: tuple[int, ...]
    unknown: tuple[str, ...]


def judge(values: Any, asked: Asked, *, hints: tuple[int, ...] = ()) -> Judged:
    """Judge a whole recording, each column by itself.

    Args:
        values: Float `[tick, column]`, equally spaced; NaN is unknown.
        asked: What is looked for.
        hints: Seasons to ask about first where the season is left open, in ticks.
    """
    table = np.asarray(values, dtype=float)
    each, loud = np.full(table.shape, np.nan), np.zeros(len(table), dtype=bool)
    periods, reasons = [], []
    for column in range(table.shape[1]):
        period, found = _column(table[:, column], asked, hints)
        periods.append(period)
        reasons.append(found.unknown)
        each[:, column] = _evidence(found, asked.direction)
        loud[found.index] = True
    evidence = most(each)
    alarm = loud & ~np.concatenate([[False], loud[:-1]])
    nothing = np.full(table.shape, np.nan)
    said = Said(
        neg_log10_p=evidence,
        anomaly_score=scale(evidence, alarm, loud),
        alarm=alarm,
        active=loud,
        unknown=np.isnan(evidence),
        contributions=shares(each),
        low=nothing,
        high=nothing,
        each=no_each(len(table)),
        spoke=loud,
    )
    return Judged(said, tuple(periods), tuple(reasons))


def _column(x: Floats, asked: Asked, hints: tuple[int, ...]) -> tuple[int, Found]:
    """Return the season of a column, 0 if it has none, and what was found in it."""
    period = find_season(x, hints=hints).period if asked.period is None else asked.period
    if not period:
        return 0, _unknown(x, "no season was found, which the test takes away")
    try:
        return period, shesd(x, asked.options(period))
    except ValueError as error:  # a piece shorter than two of the periods that were found
        return period, _unknown(x, str(error))


def _unknown(x: Floats, why: str) -> Found:
    places, nothing = np.empty(0, dtype=np.int64), np.empty(0)
    deviation = np.full(len(x), np.nan)
    return Found(index=places, value=nothing, expected=nothing, deviation=deviation, unknown=why)


def _evidence(found: Found, direction: Direction) -> Floats:
    """Return -log10 of how rare so large a deviation is among as many normal values. `[tick]`."""
    known = max(int(np.isfinite(found.deviation).sum()), 1)
    size = np.clip(found.deviation, -_SIGMAS_MAX, _SIGMAS_MAX)
    strength = neg_log10_p(np, size, two_sided=direction is Direction.BOTH)
    out: Floats = np.maximum(strength - np.log10(known), 0.0)
    return out
