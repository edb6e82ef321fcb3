"""Seasonal Hybrid ESD over a whole series, exactly as Twitter's program answers.

The season of a robust decomposition and the series' median are taken away (the median, not the
trend: a trend bends towards the anomalies), what is left goes through the hybrid ESD test.
Source: Hochenbaum, Vallis & Kejariwal, "Automatic anomaly detection in the cloud via statistical
learning", arXiv:1704.07706 (2017), sections 4 and 5; with the options of their program.

This looks at the future of every point it judges. The causal form is `detect.shesd`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from homeostat.stats.esd import MAD_SIGMA, Direction, esd
from homeostat.stats.stl import stl_periodic

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

# A median breaks down when half of the values are anomalous.
_MOST: Final = 0.49


class Threshold(StrEnum):
    """Report only values that are at least this, of the largest values of all periods."""

    MED_MAX = "med_max"
    P95 = "p95"
    P99 = "p99"


# Of the largest value: the last bits of sums and differences of it.
_ROUNDING: Final = 4.0 * float(np.finfo(np.float64).eps)
_QUANTILE: Final = {Threshold.MED_MAX: 0.5, Threshold.P95: 0.95, Threshold.P99: 0.99}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is looked for.

    Attributes:
        period: Points per season, at least 2.
        direction: Which deviations count.
        alpha: Probability to find anything in a series without anomalies, in (0, 1).
        max_anoms: Largest share of the points that may be anomalous, in (0, 0.49].
        longterm_period: Points per piece (two weeks of them, say) that a longer series is cut
            into, so that the median may move; None for one piece. At least two periods.
        only_last: Report the last period only.
        threshold: Report large values only.
    """

    period: int
    direction: Direction = Direction.BOTH
    alpha: float = 0.05
    max_anoms: float = 0.10
    longterm_period: int | None = None
    only_last: bool = False
    threshold: Threshold | None = None

    def __post_init__(self) -> None:
        """Refuse settings that the test cannot have.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        if self.period < 2:  # noqa: PLR2004 - one point is no season
            raise ValueError(f"shesd: period must be at least 2, got {self.period}")
        if not 0.0 < self.alpha < 1.0:
            raise ValueError(f"shesd: alpha must be in (0, 1), got {self.alpha}")
        if not 0.0 < self.max_anoms <= _MOST:
            raise ValueError(f"shesd: max_anoms must be in (0, {_MOST}], got {self.max_anoms}")
        if self.longterm_period is not None and self.longterm_period < 2 * self.period:
            raise ValueError(
                f"shesd: longterm_period must be at least two periods ({2 * self.period}), "
                f"got {self.longterm_period}"
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """The anomalies, in order of time.

    Attributes:
        index: Places in the series, from 0. `[anomaly]`
        value: The series there. `[anomaly]`
        expected: What the decomposition expected, cut to a whole number. `[anomaly]`
        deviation: How far out each value of the series is, the way that was asked for: from its
            season and the median, in scales of what is left without the anomalies; of two pieces
            the larger one. NaN where unknown. `[time]`
        unknown: Why nothing could be judged; empty when the answer is one.
    """

    index: Places
    value: Floats
    expected: Floats
    deviation: Floats
    unknown: str = ""


def shesd(values: npt.ArrayLike, options: Options) -> Found:
    """Find the anomalies of an equally spaced series.

    Args:
        values: `[time]`; NaN and infinities are unknown. Unknown values at the ends are left out
            as in Twitter's program; inside, where that stops, they carry no weight.
        options: What is looked for.

    Returns:
        The anomalies; nothing, and the reason, for fewer than two periods or values without
        spread around their season.
    """
    x = np.asarray(values, dtype=np.float64).ravel()
    known = np.flatnonzero(np.isfinite(x))
    if not len(known):
        return _nothing(len(x), "no value is known")
    whole, first, last = np.full(len(x), np.nan), int(known[0]), int(known[-1]) + 1
    x = np.where(np.isfinite(x[first:last]), x[first:last], np.nan)
    if len(x) < 2 * options.period:
        why = f"{len(x)} values are fewer than two periods of {options.period}"
        return _nothing(len(whole), why)
    cuts = _pieces(len(x), options)
    pieces = [_piece(x, cut, options) for cut in cuts]
    if not any(piece.steps for piece in pieces):
        why = "more than half of the values are exactly the season: no spread to measure"
        return _nothing(len(whole), why)
    index = np.concatenate([piece.places for piece in pieces])
    expected = np.concatenate([piece.expected for piece in pieces])
    for cut, piece in zip(cuts, pieces, strict=True):
        part = whole[first + cut.start : first + cut.stop]
        part[:] = np.fmax(part, piece.deviation)
    index, once = np.unique(index, return_index=True)
    keep = _reported(x, index, options)
    index, expected = index[keep], expected[once][keep]
    return Found(index=index + first, value=x[index], expected=expected, deviation=whole)


def _nothing(n: int, why: str) -> Found:
    empty, places = np.empty(0), np.empty(0, dtype=np.int64)
    unknown = np.full(n, np.nan)
    return Found(index=places, value=empty, expected=empty, deviation=unknown, unknown=why)


def _pieces(n: int, options: Options) -> list[slice]:
    """Return the pieces; the last is a whole one that overlaps the one before."""
    length = options.longterm_period
    if length is None or length >= n:
        return [slice(0, n)]
    return [
        slice(begin, begin + length) if begin + length <= n else slice(n - length, n)
        for begin in range(0, n, length)
    ]


class _Piece(NamedTuple):
    """What was found in a piece.

    Attributes:
        places: Of the anomalies in the series. `[anomaly]`
        expected: What was expected there. `[anomaly]`
        deviation: As in `Found`, of the piece. `[time]`
        steps: How many steps the test could take.
    """

    places: Places
    expected: Floats
    deviation: Floats
    steps: int


def _piece(x: Floats, piece: slice, options: Options) -> _Piece:
    part = x[piece]
    deviation = np.full(len(part), np.nan)
    known = np.flatnonzero(np.isfinite(part))
    most = max(int(len(known) * options.max_anoms), 1)
    if len(known) < most + 2:
        return _Piece(np.empty(0, dtype=np.int64), np.empty(0), deviation, 0)
    parts = stl_periodic(part, options.period)
    rest = (part - parts.seasonal - np.median(part[known]))[known]
    # What is left of an exact season is rounding, which differs between processors: no spread.
    rest[np.abs(rest) <= _ROUNDING * np.abs(part[known]).max()] = 0.0
    test = esd(rest, most, options.alpha, direction=options.direction)
    found = known[test.found]
    expected = np.trunc(parts.seasonal + parts.trend)[found]
    if len(test.removed):
        deviation[known] = _out(rest, np.delete(rest, test.found), options.direction)
    return _Piece(found + piece.start, expected, deviation, len(test.removed))


def _out(rest: Floats, usual: Floats, direction: Direction) -> Floats:
    """Return how far out values are beside the usual ones, infinite where these are all alike."""
    off = rest - np.median(usual)
    scale = MAD_SIGMA * float(np.median(np.abs(usual - np.median(usual))))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(off == 0.0, 0.0, off / scale)
    match direction:
        case Direction.POS:
            return share
        case Direction.NEG:
            return -share
        case Direction.BOTH:
            return np.abs(share)


def _reported(x: Floats, index: Places, options: Options) -> npt.NDArray[np.bool_]:
    """Return which anomalies the options ask for."""
    keep = np.ones(len(index), dtype=bool)
    if options.only_last:
        keep &= index >= len(x) - options.period
    if options.threshold is not None:
        largest = [
            float(np.nanmax(cycle))
            for cycle in np.split(x, range(options.period, len(x), options.period))
            if np.isfinite(cycle).any()
        ]
        keep &= x[index] >= np.quantile(largest, _QUANTILE[options.threshold])
    return keep
