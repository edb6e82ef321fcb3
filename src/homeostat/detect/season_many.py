"""Which of many series have no season, asked of all at once: what `detect.season` would answer.

Nearly all searches end with "none", and one series after the other costs some sixty calls on a few
hundred numbers each. First a look at the spectrum (`suspects`), then the test (`without`): series
stand side by side, and those that are asked about the same period are asked together. Steps,
spectrum and test are those of `detect.season`, which says why; sums are in another order, so what
is within rounding of the line is left to it, and so is every series with a gap. Not here: which
season it is, hints, longer seasons.
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.detect import season
from homeostat.stats.esd import MAD_SIGMA

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

ROWS: Final = 512  # series at a time: their histories and spectra stay in the processor's cache
TOGETHER: Final = 8192  # series to ask together: 33 MB of histories at most
_ROUNDING: Final = 1e-6  # of -log10 p; sums of some hundred terms in another order differ by 1e-12
_WILD: Final = 6.0  # sigmas
_SIGMA: Final = 1.4826  # standard deviations to a median absolute deviation
_AROUND: Final = 16  # places on each side that a line is compared with
_LINE: Final = 6.0  # times their mean, itself included: of 256 places of noise, e^-6 each


def suspects(histories: Floats) -> Bools:
    """Return which series have a line in their spectrum that is worth a test. `[series]`.

    One in three of white noise does, so that the dear test is asked a third as often.

    Args:
        histories: `[series, time]`, NaN where unknown.
    """
    out = np.zeros(len(histories), dtype=np.bool_)
    for first in range(0, len(histories), ROWS):
        out[first : first + ROWS] = _stand_out(histories[first : first + ROWS])
    return out


def _stand_out(histories: Floats) -> Bools:
    """Do what `suspects` does for so many series that all stays in the cache."""
    steps = np.diff(histories, axis=1)
    steps = np.where(np.isfinite(steps), steps, 0.0)
    most = _WILD * _SIGMA * _medians(np.abs(steps))[:, None]
    steps = np.where(most > 0.0, np.clip(steps, -most, most), steps)
    power = np.abs(np.fft.rfft(steps, axis=1)) ** 2
    total = _summed(power)
    place = np.arange(season.LEAST_CYCLES - 1, power.shape[1])
    low, high = np.maximum(place - _AROUND, 1), np.minimum(place + _AROUND + 1, power.shape[1])
    mean = (total[:, high] - total[:, low]) / (high - low)
    return np.asarray((power[:, place] > _LINE * mean).any(axis=1))


def _summed(power: Floats) -> Floats:
    """Return the sum of each row up to each place, itself left out."""
    total = np.zeros((len(power), power.shape[1] + 1))
    np.cumsum(power, axis=1, out=total[:, 1:])
    return total


def without(histories: Floats, *, alpha: float) -> Bools:
    """Return which series `season.find_season` finds no season in, before it asks for proof.

    Args:
        histories: `[series, time]`; NaN where unknown.
        alpha: As for `season.find_season`, without hints.

    Returns:
        Bool `[series]`; False where only `find_season` can tell.
    """
    out = np.zeros(len(histories), dtype=np.bool_)
    if histories.shape[1] < season.LEAST:
        return ~out
    whole = np.flatnonzero(np.isfinite(histories).all(axis=1))
    out[whole] = _best(histories[whole]) <= -math.log10(alpha) - _ROUNDING
    return out


def _best(x: Floats) -> Floats:
    """Return -log10 p of the most significant of all periods, paid for; 0 for none. `[series]`."""
    series, n = x.shape
    peaks, own = np.zeros((series, n // 2 + 1), dtype=np.bool_), np.empty_like(x)
    for first in range(0, series, ROWS):
        part = slice(first, first + ROWS)
        steps = _steps(x[part])
        peaks[part] = _peaks(np.abs(np.fft.rfft(steps, axis=1)) ** 2, n)
        own[part] = _autocorrelation(steps)
    row, period = _asked(own, peaks)
    best = np.zeros(series)
    fit = (period >= 2) & (period <= n // 2) & (n >= season.LEAST_CYCLES * period)  # noqa: PLR2004 - two points
    for one in np.unique(period[fit]).tolist():
        rows = np.unique(row[fit & (period == one)])
        best[rows] = np.maximum(best[rows], _evidence(x[rows], one) - math.log10(n))
    return np.where(x.max(axis=1) > x.min(axis=1), best, 0.0)


def _peaks(power: Floats, n: int) -> Bools:
    """Return the places of each spectrum that stand out most, `[series, place]`."""
    total = _summed(power)
    (wide_low, wide_high), (near_low, near_high), count = season.surroundings(power.shape[1])
    around = total[:, wide_high] - total[:, wide_low]
    around -= total[:, near_high] - total[:, near_low]
    mean = np.maximum(around, 0.0) / count
    least = 1e-12 * np.maximum(power.max(axis=1, keepdims=True), 1e-300)
    ratio = power / np.maximum(mean, least)
    ratio[:, : season.LEAST_CYCLES] = 0.0
    ratio[:, : -(-n // (n // 2))] = 0.0
    most = np.partition(ratio, -season.SUSPECTS, axis=1)[:, -season.SUSPECTS, None]
    out: Bools = (ratio >= most) & (ratio > 0.0)
    return out


def _autocorrelation(steps: Floats) -> Floats:
    """Return how like itself each series of steps is some ticks later, by lag from 0 on."""
    n = steps.shape[1]
    level = np.cumsum(steps - steps.mean(axis=1, keepdims=True), axis=1)
    level -= level.mean(axis=1, keepdims=True)
    size = 1 << (2 * n - 1).bit_length()
    out: Floats = np.fft.irfft(np.abs(np.fft.rfft(level, size, axis=1)) ** 2, size, axis=1)[:, :n]
    return out


def _asked(own: Floats, peaks: Bools) -> tuple[Ints, Ints]:
    """Return the series and the periods that its peaks are, a pair for each peak."""
    n = own.shape[1]
    rows, periods = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for cycles in np.flatnonzero(peaks.any(axis=0)).tolist():
        some = np.flatnonzero(peaks[:, cycles])
        tries, lags = season.tries(n, cycles)
        inside = lags < n
        likeness = np.where(inside, own[some][:, np.where(inside, lags, 0)], 0.0).sum(axis=1)
        rows.append(some)
        periods.append(tries[np.argmax(likeness, axis=1)])
    return np.concatenate(rows), np.concatenate(periods)


def _evidence(x: Floats, period: int) -> Floats:
    """Return what `season.evidence` does for one period and each series, `[series]`."""
    cycles = x.shape[1] // period
    power = np.abs(np.fft.rfft(_steps(x[:, x.shape[1] - cycles * period :]), axis=1)) ** 2
    multiples = season.multiples(period)
    if not multiples:
        return np.zeros(len(x))
    scores, count = _lines(power, cycles, multiples), len(multiples)
    one = scores.max(axis=1) - math.log10(count)
    together = _joined(math.log(10.0) * scores.sum(axis=1), count)
    out: Floats = np.maximum(np.maximum(one, together) - math.log10(2.0), 0.0)
    return out


def _lines(power: Floats, cycles: int, multiples: list[int]) -> Floats:
    """Return -log10 p of multiples against the places up to the next, `[series, multiple]`."""
    width, places = min(cycles - 1, season.AROUND), np.array([one * cycles for one in multiples])
    count, last = np.full(len(places), 2 * width), power.shape[1] - 1
    total = np.empty((len(power), len(places)))
    whole = int((places + width <= last).sum())
    total[:, :whole] = power[:, places[:whole, None] + season.offsets(width)].sum(axis=2)
    for at in range(whole, len(places)):  # the last multiples have fewer places above
        low, high = places[at] - width, min(places[at] + width, last)
        around = np.concatenate(
            (power[:, low : places[at]], power[:, places[at] + 1 : high + 1]), 1
        )
        total[:, at], count[at] = around.sum(axis=1), around.shape[1]
    known = total > 0.0
    ratio = np.where(known, power[:, places] / np.where(known, total, 1.0), 0.0)
    out: Floats = count * np.log10(1.0 + ratio)
    return out


def _joined(half: Floats, count: int) -> Floats:
    """Return -log10 of the chi-square tail of `2 half` with `2 count` degrees of freedom.

    Of an even number it is a sum: a Poisson variable of mean `half` is below `count` (Abramowitz &
    Stegun, 26.4.21).
    """
    term, total = np.ones_like(half), np.ones_like(half)
    for k in range(1, count):
        term = term * half / k
        total += term
    out: Floats = (half - np.log(total)) / math.log(10.0)
    return out


def _steps(x: Floats) -> Floats:
    """Return what `season` tests: clipped differences of each series, `[series, time]`."""
    n = x.shape[1]
    x = _without_spikes(x)
    place = np.arange(n) - float(np.arange(n).mean())
    level = x - x.mean(axis=1, keepdims=True)
    x = x - place * ((level @ place) / max(float(place @ place), 1.0))[:, None]
    steps = np.empty_like(x)
    np.subtract(x[:, 0], x[:, -1], out=steps[:, 0])
    np.subtract(x[:, 1:], x[:, :-1], out=steps[:, 1:])
    sizes = np.abs(steps)
    size = MAD_SIGMA * _medians(sizes)
    size = np.where(size > 0.0, size, sizes.mean(axis=1))
    most = (season.CLIP * size)[:, None]
    np.minimum(np.maximum(steps, -most, out=steps), most, out=steps)
    return steps


def _without_spikes(x: Floats) -> Floats:
    """Return the series with outliers among five neighbours replaced by their median."""
    n, reach = x.shape[1], season.NEIGHBOURS // 2
    ring = np.concatenate((x[:, -reach:], x, x[:, :reach]), axis=1)
    a, b, c, d, e = (ring[:, shift : shift + n] for shift in range(season.NEIGHBOURS))
    low = np.maximum(np.minimum(a, b), np.minimum(c, d))
    high = np.minimum(np.maximum(a, b), np.maximum(c, d))
    middle = np.maximum(np.minimum(low, high), np.minimum(np.maximum(low, high), e))
    away = np.abs(x - middle)
    size = MAD_SIGMA * _medians(away)
    spikes = away > np.where(size > 0.0, season.CLIP * size, np.inf)[:, None]
    out: Floats = np.where(spikes, middle, x)
    return out


def _medians(sizes: Floats) -> Floats:
    """Return the median of each row, all known."""
    half = sizes.shape[1] // 2
    ordered = np.partition(sizes, half, axis=1)  # along memory, which is far cheaper
    above: Floats = ordered[:, half]
    # What is below the middle has its largest anywhere: cheaper than to ask for two places.
    return above if sizes.shape[1] % 2 else 0.5 * (ordered[:, :half].max(axis=1) + above)
