"""Does a series have a season, and how long is it? "None" is an answer.

A season puts all its power on multiples of one frequency; noise of any colour spreads its power
smoothly. So each multiple is compared with what lies between the multiples, which makes the test
honest for correlated noise, drift and random walks, where comparing with white noise is not.

* Outliers and steps: single outliers are replaced by the median of five neighbours (Hampel), then
  the test sees clipped differences, the first value following on the last.
* Search: peaks of the periodogram over their surroundings, each refined by the autocorrelation at
  its multiples (Vlachos, Yu & Castelli, "On periodicity detection and structural similarity", SDM
  2005, section 3). Everything searched is paid for (Bonferroni).
* Longer seasons must earn their place on what the shorter one leaves: a week on a day.

Source of the test: a line against its surroundings is an F-test with 2 and 2 k degrees of freedom
(Percival & Walden, "Spectral Analysis for Physical Applications", 10.11); Fisher's method joins the
multiples.
"""

import functools
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.stats.chisq import neg_log10_tail
from homeostat.stats.esd import MAD_SIGMA

Floats = npt.NDArray[np.float64]
_Places = npt.NDArray[np.int64]

CLIP: Final = 6.0  # sigmas; of the differences, and of what is called a spike
NEIGHBOURS: Final = 5
_HARMONICS: Final = 12
AROUND: Final = 8  # surroundings: as many places on each side of a multiple, at most
SUSPECTS: Final = 3  # peaks looked at closely
LEAST_CYCLES: Final = 3  # for a season that was searched for; 2 for one that was asked about
_LONGER: Final = (2, 3, 4, 5, 6, 7)  # how many short seasons a longer one may be: a week of days
LEAST: Final = 16  # values
_ROUNDS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Season:
    """What was found.

    Attributes:
        period: In ticks; 0 for no season.
        neg_log10_p: Evidence for it against no season, everything searched paid for.
    """

    period: int
    neg_log10_p: float


NO_SEASON: Final = Season(period=0, neg_log10_p=0.0)


def find_season(
    values: Floats, *, hints: tuple[int, ...] = (), alpha: float = 0.001, longest: int = 0
) -> Season:
    """Find the season of an equally spaced series.

    Args:
        values: `[time]`; NaN and infinities are unknown.
        hints: Periods to ask about first, in ticks. They need two cycles, others three.
        alpha: Probability to answer with a season where there is none, in (0, 1).
        longest: Longest period of interest in ticks; 0 for any.

    Returns:
        The season, or none: also for too few values, or values that never change.
    """
    seen = np.isfinite(values)
    known = values[seen]
    if known.size < LEAST or known.max() <= known.min():
        return NO_SEASON
    x = np.where(seen, values, np.nan)
    longest = longest or len(x) // 2
    level = -math.log10(alpha)
    best = _asked(x, [hint for hint in hints if hint <= longest])
    if best.neg_log10_p <= level:
        best = _searched(x, longest)
    if best.neg_log10_p <= level or not _predicts(x, best.period):
        return NO_SEASON
    for _ in range(_ROUNDS):
        longer = _longer(x, best.period, longest, hints)
        if longer.neg_log10_p <= level or not _predicts(x, longer.period):
            break
        best = longer
    return best


def _asked(x: Floats, hints: list[int]) -> Season:
    """Return the most significant of the periods asked about."""
    found = [
        Season(period=hint, neg_log10_p=evidence(x, hint) - math.log10(len(hints)))
        for hint in hints
        if len(x) >= 2 * hint
    ]
    return max(found, key=lambda season: season.neg_log10_p, default=NO_SEASON)


def _searched(x: Floats, longest: int) -> Season:
    """Return the most significant of all periods, paid for by the number of values."""
    steps = _steps(x)
    n = len(steps)
    power = np.abs(np.fft.rfft(steps)) ** 2
    ratio = _over_surroundings(power)
    ratio[:LEAST_CYCLES] = 0.0
    ratio[: -(-n // longest)] = 0.0
    suspects = np.argsort(-ratio)[:SUSPECTS].tolist()
    suspects = [cycles for cycles in suspects if ratio[cycles] > 0.0]
    own = _autocorrelation(steps) if suspects else steps
    periods = {_refined(own, cycles) for cycles in suspects}
    found = [
        Season(period=period, neg_log10_p=evidence(x, period) - math.log10(n))
        for period in sorted(periods)
        if 2 <= period <= longest and n >= LEAST_CYCLES * period  # noqa: PLR2004 - two points
    ]
    return max(found, key=lambda season: season.neg_log10_p, default=NO_SEASON)


def _longer(x: Floats, period: int, longest: int, hints: tuple[int, ...]) -> Season:
    """Return the most significant multiple of a season on what that season leaves."""
    left = x - seasonal_median(x, period)
    multiples = [times * period for times in _LONGER if times * period <= longest]
    found = [
        Season(
            period=multiple,
            neg_log10_p=evidence(left, multiple, known=multiple // period)
            - math.log10(len(_LONGER)),
        )
        for multiple in multiples
        if len(x) >= (2 if multiple in hints else LEAST_CYCLES) * multiple
    ]
    return max(found, key=lambda season: season.neg_log10_p, default=NO_SEASON)


def evidence(x: Floats, period: int, *, known: int = 0) -> float:
    """Return -log10 p that a series has no season of this period.

    Args:
        x: `[time]`, at least two periods; NaN where unknown.
        period: In ticks, at least 2.
        known: Multiples of the frequency that are multiples of this number do not count: they
            belong to a shorter season already taken away; 0 for none.
    """
    cycles = len(x) // period
    part = x[len(x) - cycles * period :]
    if not np.isfinite(part).any():
        return 0.0
    power = np.abs(np.fft.rfft(_steps(part))) ** 2
    scores = _lines(power, cycles, [one for one in multiples(period) if not known or one % known])
    if not scores:
        return 0.0
    one = max(scores) - math.log10(len(scores))
    together = neg_log10_tail(2.0 * math.log(10.0) * sum(scores), 2 * len(scores))
    return max(max(one, together) - math.log10(2.0), 0.0)


def multiples(period: int) -> list[int]:
    """Return which multiples of a season's frequency are looked at."""
    return list(range(1, min(_HARMONICS, (period - 1) // 2) + 1))


def _lines(power: Floats, cycles: int, multiples: list[int]) -> list[float]:
    """Return -log10 p of multiples against the places up to the next multiples."""
    width = min(cycles - 1, AROUND)
    places = [multiple * cycles for multiple in multiples]
    whole = [place for place in places if place + width < len(power)]
    totals: list[float] = []
    if whole:
        # One sum over each row, in the order in which `_around` would be summed.
        around = power[np.array(whole)[:, None] + offsets(width)]
        totals = around.sum(axis=1).tolist()
    out = [_line(float(power[p]), one, 2 * width) for p, one in zip(whole, totals, strict=True)]
    for place in places[len(whole) :]:  # the last multiples have fewer places above
        cut = _around(power, place, width)
        out.append(_line(float(power[place]), float(cut.sum()), len(cut)))
    return out


def _around(power: Floats, place: int, width: int) -> Floats:
    return np.concatenate((power[place - width : place], power[place + 1 : place + 1 + width]))


@functools.cache
def offsets(width: int) -> npt.NDArray[np.int64]:
    """Return the places around one, itself left out."""
    return np.array([*range(-width, 0), *range(1, width + 1)], dtype=np.int64)


def _line(power: float, total: float, count: int) -> float:
    """Return -log10 p of a power against the total of so many around it."""
    return count * math.log10(1.0 + power / total) if total > 0.0 else 0.0


def _steps(x: Floats) -> Floats:
    """Return clipped differences of neighbours, 0 where unknown. `[time]`.

    A drift is taken away before: left in, it would be a jump from the last value to the first.
    """
    x = _without_spikes(x)
    seen = np.isfinite(x)
    place = np.arange(len(x)) - float(np.flatnonzero(seen).mean())
    level = np.where(seen, x - float(x[seen].mean()), 0.0)
    x = x - place * float(level @ place) / max(float(seen @ place**2), 1.0)
    steps = np.concatenate((x[:1] - x[-1:], np.diff(x)))
    known = np.isfinite(steps)
    if not known.any():
        return np.zeros_like(x)
    sizes = np.abs(steps[known])
    size = MAD_SIGMA * _median(sizes)
    size = size or float(sizes.mean())
    return np.clip(np.where(known, steps, 0.0), -CLIP * size, CLIP * size)


def _without_spikes(x: Floats) -> Floats:
    """Return the series with outliers among five neighbours replaced by their median."""
    away = np.abs(x - (middle := _middle(x)))
    known = np.isfinite(away)
    size = MAD_SIGMA * _median(away[known]) if known.any() else 0.0
    return np.where(known & (size > 0.0) & (away > CLIP * size), middle, x)


def _middle(x: Floats) -> Floats:
    """Return the median of each value and two neighbours on each side, unknown ones the largest."""
    n, reach = len(x), NEIGHBOURS // 2
    ring = np.concatenate((x[-reach:], x, x[:reach]))
    a, b, c, d, e = (ring[shift : shift + n] for shift in range(NEIGHBOURS))
    if not np.isfinite(x).all():
        middle: Floats = np.sort(np.stack([a, b, c, d, e]), axis=0)[reach]
        return middle
    # Of two pairs neither the smallest nor the largest is the median of all five.
    low = np.maximum(np.minimum(a, b), np.minimum(c, d))
    high = np.minimum(np.maximum(a, b), np.maximum(c, d))
    out: Floats = np.maximum(np.minimum(low, high), np.minimum(np.maximum(low, high), e))
    return out


def _median(values: Floats) -> float:
    """Return the median of known values, at least one."""
    half = len(values) // 2
    ordered = np.partition(values, half)
    above = float(ordered[half])
    # What is below the middle has its largest anywhere: cheaper than to ask for two places.
    return above if len(values) % 2 else 0.5 * (float(ordered[:half].max()) + above)


def _over_surroundings(power: Floats) -> Floats:
    """Return each place's power over the mean of the places around, itself and next left out."""
    total = np.concatenate(([0.0], np.cumsum(power)))
    (wide_low, wide_high), (near_low, near_high), count = surroundings(len(power))
    wide = total[wide_high] - total[wide_low]
    near = total[near_high] - total[near_low]
    mean = np.maximum(wide - near, 0.0) / count
    out: Floats = power / np.maximum(mean, 1e-12 * max(float(power.max()), 1e-300))
    return out


@functools.lru_cache(maxsize=64)
def surroundings(n: int) -> tuple[tuple[_Places, _Places], tuple[_Places, _Places], Floats]:
    """Return what is around each of so many places, what is next to it, and how many are between.

    The first two from where to where, the last without the second.
    """
    place = np.arange(n)
    width = np.minimum(np.maximum(place // 2, 3), AROUND)
    wide = (np.clip(place - width, 1, n), np.clip(place + width + 1, 1, n))
    near = (np.clip(place - 1, 1, n), np.clip(place + 2, 1, n))
    many, few = ((high - low).astype(np.float64) for low, high in (wide, near))
    return wide, near, np.maximum(many - few, 1.0)


def _autocorrelation(steps: Floats) -> Floats:
    """Return how like itself a series of steps is some ticks later, by lag from 0 on."""
    n = len(steps)
    level = np.cumsum(steps - steps.mean())
    level -= level.mean()
    size = 1 << (2 * n - 1).bit_length()
    out: Floats = np.fft.irfft(np.abs(np.fft.rfft(level, size)) ** 2, size)[:n]
    return out


def _refined(own: Floats, cycles: int) -> int:
    """Return the period near n / cycles at whose multiples the series is most like itself."""
    n = len(own)
    periods, lags = tries(n, cycles)
    likeness = np.where(lags < n, own[np.minimum(lags, n - 1)], 0.0).sum(axis=0)
    return int(periods[int(np.argmax(likeness))])


def tries(n: int, cycles: int) -> tuple[_Places, _Places]:
    """Return the periods near n / cycles and their multiples, `[times, period]`."""
    low = max(n // (cycles + 1), 2)
    periods = np.arange(low, max(-(-n // max(cycles - 1, 1)), low + 1) + 1)
    return periods, periods * np.arange(1, cycles)[:, None]


def seasonal_median(x: Floats, period: int, *, cycles: int = 0) -> Floats:
    """Return the median of each phase over the cycles, repeated; each cycle's level taken away.

    Args:
        x: `[time]`; NaN where unknown. A phase that is never known is 0.
        period: In ticks.
        cycles: Use the last so many cycles only (seven days, say); 0 for all.
    """
    n = len(x)
    grid = np.full((-(-n // period), period), np.nan)
    grid.ravel()[-n:] = x
    grid -= medians(grid.T)[:, None]
    profile = medians(grid[-cycles:] if cycles else grid)
    out: Floats = np.tile(profile, len(grid))[-n:]
    return out


def medians(grid: Floats) -> Floats:
    """Return the median of each column's known values, 0 where none is."""
    ordered = np.sort(grid, axis=0)
    count = np.isfinite(ordered).sum(axis=0)
    column = np.arange(ordered.shape[1])
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, len(ordered) - 1)
    middle = 0.5 * (ordered[low, column] + ordered[high, column])
    return np.where(count > 0, middle, 0.0)


def without_season(x: Floats, period: int) -> Floats:
    """Return what the seasonal median and each cycle's own median leave. `[time]`.

    Args:
        x: `[time]`; NaN where unknown.
        period: In ticks; cycles are counted from the end.
    """
    n = len(x)
    grid = np.full((-(-n // period), period), np.nan)
    grid.ravel()[-n:] = x
    level = np.repeat(medians(grid.T), period)[-n:]
    return x - level - seasonal_median(x, period)


def _predicts(x: Floats, period: int) -> bool:
    """Return whether a cycle is nearer to the others' season than to no season at all.

    Leaving a cycle out of a mean of m makes its residuals m / (m - 1) larger.
    """
    cycles = len(x) // period
    x = x[len(x) - cycles * period :]
    left = without_season(x, period)
    flat = left + seasonal_median(x, period)
    grown = cycles / (cycles - 1.0)
    return bool(grown * np.nanmean(np.abs(left)) < np.nanmean(np.abs(flat)))
