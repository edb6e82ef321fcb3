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

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.stats.chisq import neg_log10_tail
from homeostat.stats.esd import MAD_SIGMA

Floats = npt.NDArray[np.float64]

_CLIP: Final = 6.0  # sigmas; of the differences, and of what is called a spike
_NEIGHBOURS: Final = 5
_HARMONICS: Final = 12
_AROUND: Final = 8  # surroundings: as many places on each side of a multiple, at most
_SUSPECTS: Final = 3  # peaks looked at closely
_LEAST_CYCLES: Final = 3  # for a season that was searched for; 2 for one that was asked about
_LONGER: Final = (2, 3, 4, 5, 6, 7)  # how many short seasons a longer one may be: a week of days
_LEAST: Final = 16  # values
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
    x = np.where(np.isfinite(values), values, np.nan)
    if np.isfinite(x).sum() < _LEAST or np.nanmax(x) <= np.nanmin(x):
        return NO_SEASON
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
    ratio[:_LEAST_CYCLES] = 0.0
    ratio[: -(-n // longest)] = 0.0
    suspects = np.argsort(-ratio)[:_SUSPECTS].tolist()
    periods = {_refined(steps, cycles) for cycles in suspects if ratio[cycles] > 0.0}
    found = [
        Season(period=period, neg_log10_p=evidence(x, period) - math.log10(n))
        for period in sorted(periods)
        if 2 <= period <= longest and n >= _LEAST_CYCLES * period  # noqa: PLR2004 - two points
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
        if len(x) >= (2 if multiple in hints else _LEAST_CYCLES) * multiple
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
    scores = [
        _line(power, multiple * cycles, cycles)
        for multiple in range(1, min(_HARMONICS, (period - 1) // 2) + 1)
        if not known or multiple % known
    ]
    if not scores:
        return 0.0
    one = max(scores) - math.log10(len(scores))
    together = neg_log10_tail(2.0 * math.log(10.0) * sum(scores), 2 * len(scores))
    return max(max(one, together) - math.log10(2.0), 0.0)


def _line(power: Floats, place: int, cycles: int) -> float:
    """Return -log10 p of one multiple against the places up to the next multiples."""
    width = min(cycles - 1, _AROUND)
    around = np.concatenate((power[place - width : place], power[place + 1 : place + 1 + width]))
    total = float(around.sum())
    if not total > 0.0:
        return 0.0
    return len(around) * math.log10(1.0 + float(power[place]) / total)


def _steps(x: Floats) -> Floats:
    """Return clipped differences of neighbours, 0 where unknown. `[time]`.

    A drift is taken away before: left in, it would be a jump from the last value to the first.
    """
    x = _without_spikes(x)
    seen = np.isfinite(x)
    place = np.arange(len(x)) - float(np.flatnonzero(seen).mean())
    level = np.where(seen, x - float(x[seen].mean()), 0.0)
    x = x - place * float(level @ place) / max(float(seen @ place**2), 1.0)
    steps = x - np.roll(x, 1)
    known = np.isfinite(steps)
    if not known.any():
        return np.zeros_like(x)
    size = MAD_SIGMA * float(np.median(np.abs(steps[known])))
    size = size or float(np.abs(steps[known]).mean())
    return np.clip(np.where(known, steps, 0.0), -_CLIP * size, _CLIP * size)


def _without_spikes(x: Floats) -> Floats:
    """Return the series with outliers among five neighbours replaced by their median."""
    shifts = range(-(_NEIGHBOURS // 2), _NEIGHBOURS // 2 + 1)
    middle = np.sort(np.stack([np.roll(x, shift) for shift in shifts]), axis=0)[_NEIGHBOURS // 2]
    away = np.abs(x - middle)
    known = np.isfinite(away)
    size = MAD_SIGMA * float(np.median(away[known])) if known.any() else 0.0
    return np.where(known & (size > 0.0) & (away > _CLIP * size), middle, x)


def _over_surroundings(power: Floats) -> Floats:
    """Return each place's power over the mean of the places around, itself and next left out."""
    place = np.arange(len(power))
    total = np.concatenate(([0.0], np.cumsum(power)))
    width = np.minimum(np.maximum(place // 2, 3), _AROUND)

    def between(low: npt.NDArray[np.int64], high: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
        low, high = np.clip(low, 1, len(power)), np.clip(high, 1, len(power))
        return total[high] - total[low], (high - low).astype(np.float64)

    wide, many = between(place - width, place + width + 1)
    near, few = between(place - 1, place + 2)
    mean = np.maximum(wide - near, 0.0) / np.maximum(many - few, 1.0)
    out: Floats = power / np.maximum(mean, 1e-12 * max(float(power.max()), 1e-300))
    return out


def _refined(steps: Floats, cycles: int) -> int:
    """Return the period near n / cycles at whose multiples the series is most like itself."""
    n = len(steps)
    level = np.cumsum(steps - steps.mean())
    level -= level.mean()
    size = 1 << (2 * n - 1).bit_length()
    own = np.fft.irfft(np.abs(np.fft.rfft(level, size)) ** 2, size)[:n]
    low = max(n // (cycles + 1), 2)
    periods = np.arange(low, max(-(-n // max(cycles - 1, 1)), low + 1) + 1)
    times = np.arange(1, cycles)[:, None]
    lags = periods * times
    likeness = np.where(lags < n, own[np.minimum(lags, n - 1)], 0.0).sum(axis=0)
    return int(periods[int(np.argmax(likeness))])


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
