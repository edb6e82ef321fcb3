"""Made-up recordings with known anomalies, on which defaults are chosen instead of on benchmarks.

What is normal is drawn from what operators' signals do: levels, seasons with weekday effects,
correlated noise with normal and heavy tails, bursts that recur, rounding, counts that stop at zero.
What is not normal is a spike, a dip, a shift for a while or for good, more or less spread, a slow
climb, a season that fails to come, or a signal that freezes. The windows around them take a tenth
of a recording, as the Numenta benchmark does, so that the same score can be computed.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

_DAYS = (144, 288)
# Crowded recordings: how long they are, what happens in them, and what their incidents take for a
# day, so that none lasts longer.
_CROWDED = 10_000
_BRIEF = ("spike", "spike", "shift", "wild", "frozen", "climb")
_BRIEF_DAY = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One made-up recording.

    Attributes:
        name: `family/number`, the family being the kind of noise.
        values: Float `[time]`.
        events: First and last tick of each anomaly.
        kinds: What each is.
    """

    name: str
    values: Any
    events: tuple[tuple[int, int], ...]
    kinds: tuple[str, ...]


def recordings(count: int, *, seed: int, crowded: bool = False) -> list[Recording]:
    """Return so many recordings; the same seed gives the same ones.

    Args:
        count: Recordings.
        seed: Of all.
        crowded: Longer ones, with a dozen incidents that are mostly short, as people find them who
            label a key figure for half a year.
    """
    return [
        _one(np.random.default_rng([seed, number]), number, crowded=crowded)
        for number in range(count)
    ]


def healthy(count: int, *, ticks: int, seed: int) -> Any:
    """Return so many made-up series in which nothing is wrong, float `[tick, series]`.

    Args:
        count: Series, the four families in turn.
        ticks: Of each.
        seed: Of all; other ones than those of `recordings`.
    """
    out = np.empty((ticks, count))
    for number in range(count):
        draw = np.random.default_rng([seed, number, 1])
        out[:, number] = _shown(draw, _normal(draw, number, ticks).values)
    return out


class _Normal(NamedTuple):
    """What is normal in a recording: its values, the season in them, and how long a day is."""

    family: str
    values: Any
    season: Any
    day: int


def _normal(draw: np.random.Generator, number: int, ticks: int) -> _Normal:
    family = ("plain", "season", "bursts", "heavy")[number % 4]
    noise = _noise(draw, ticks, heavy=family == "heavy")
    day = int(draw.choice(_DAYS))
    season = _season(draw, ticks, day) if family in {"season", "heavy"} else np.zeros(ticks)
    normal = season * float(draw.uniform(1.5, 6.0)) + noise
    if family == "bursts":
        normal += _bursts(draw, ticks, day)
    return _Normal(family, normal, season, day)


def _one(draw: np.random.Generator, number: int, *, crowded: bool) -> Recording:
    ticks = _CROWDED if crowded else int(draw.integers(2500, 6000))
    family, normal, season, day = _normal(draw, number, ticks)
    values, events, kinds = normal.copy(), [], []
    wanted = int(draw.integers(8, 20) if crowded else draw.integers(1, 4))
    starts = np.linspace(0.22, 0.9, wanted + 1)
    for first, last in pairwise(starts):
        at = int(draw.uniform(first, first + 0.7 * (last - first)) * ticks)
        kind = str(draw.choice(_BRIEF if crowded else list(_KINDS)))
        where = _Where(at, season, _BRIEF_DAY if crowded else day)
        length = _KINDS[kind](draw, values, where)
        events.append((at, min(at + length, ticks) - 1))
        kinds.append(kind)
    return Recording(
        name=f"{family}/{number:03d}",
        values=_shown(draw, values),
        events=tuple(events),
        kinds=tuple(kinds),
    )


def _noise(draw: np.random.Generator, ticks: int, *, heavy: bool) -> Any:
    """Return AR(1) noise with variance near 1."""
    phi = float(draw.choice([0.0, 0.3, 0.6, 0.9, 0.97]))
    law = str(draw.choice(["t", "lognormal"])) if heavy else "normal"
    if law == "t":
        steps = draw.standard_t(3.5, ticks) / 1.53
    elif law == "lognormal":
        steps = (draw.lognormal(0.0, 0.7, ticks) - 1.28) / 1.02
    else:
        steps = draw.normal(size=ticks)
    out, last = np.empty(ticks), 0.0
    # Numbers of the language itself: the same sums, three times as fast as one array cell each.
    for tick, step in enumerate((steps * np.sqrt(1.0 - phi * phi)).tolist()):
        last = phi * last + step
        out[tick] = last
    return out


def _season(draw: np.random.Generator, ticks: int, day: int) -> Any:
    """Return a daily shape with unit deviation, lower on two days of seven in half of the cases."""
    phase = np.arange(ticks) / day
    shape = np.zeros(ticks)
    for order in (1, 2, 3, 5):
        shape += draw.normal() / order * np.sin(2 * np.pi * (order * phase + draw.uniform()))
    shape = (shape - shape.mean()) / shape.std()
    weekend = (phase.astype(int) % 7) >= 5
    return np.where(weekend, 0.6, 1.0) * shape if draw.uniform() < 0.5 else shape


def _bursts(draw: np.random.Generator, ticks: int, day: int) -> Any:
    """Return bursts that are normal: by chance, or by the clock as a nightly job does."""
    out, size = np.zeros(ticks), float(draw.uniform(4.0, 20.0))
    if draw.uniform() < 0.5:
        starts = np.arange(int(draw.integers(day)), ticks, day)
    else:
        starts = np.flatnonzero(draw.uniform(size=ticks) < 1.0 / draw.uniform(80.0, 250.0))
    width = int(draw.choice([1, 2, 6, 20]))
    for start in starts:
        out[start : start + width] += size * draw.uniform(0.7, 1.2)
    return out


def _shown(draw: np.random.Generator, values: Any) -> Any:
    """Return values in some unit, rounded or cut at zero in some cases."""
    unit, offset = 10.0 ** draw.uniform(-3, 4), float(draw.uniform(0.0, 30.0))
    out = values + offset
    how = draw.uniform()
    if how < 0.25:
        out = np.round(out * 4.0) / 4.0
    elif how < 0.5:
        out = np.maximum(out, 0.0)
    return out * unit


def _local(values: Any) -> float:
    """Return how far the values reach: half the range of their middle 98 %."""
    low, high = np.quantile(values, [0.01, 0.99])
    return max(float(high - low) / 2.0, 0.5)


def _sign(draw: np.random.Generator) -> float:
    return float(draw.choice([-1.0, 1.0]))


class _Where(NamedTuple):
    """Where an anomaly begins, and what is normal there."""

    at: int
    season: Any
    day: int


def _spike(draw: Any, x: Any, where: _Where) -> int:
    length = int(draw.choice([1, 2, 5]))
    x[where.at : where.at + length] += _sign(draw) * draw.uniform(1.5, 4.0) * _local(x)
    return length


def _shift(draw: Any, x: Any, where: _Where) -> int:
    length = int(draw.integers(30, where.day))
    x[where.at : where.at + length] += _sign(draw) * draw.uniform(0.8, 2.5) * _local(x)
    return length


def _for_good(draw: Any, x: Any, where: _Where) -> int:
    x[where.at :] += _sign(draw) * draw.uniform(0.8, 2.5) * _local(x)
    return where.day


def _wild(draw: Any, x: Any, where: _Where) -> int:
    length = int(draw.integers(30, where.day))
    x[where.at : where.at + length] += (
        draw.normal(size=x[where.at : where.at + length].size) * 0.8 * _local(x)
    )
    return length


def _frozen(draw: Any, x: Any, where: _Where) -> int:
    length = int(draw.integers(60, where.day))
    x[where.at : where.at + length] = x[where.at]
    return length


def _climb(draw: Any, x: Any, where: _Where) -> int:
    length = int(draw.integers(where.day // 2, where.day))
    part = x[where.at : where.at + length]
    part += _sign(draw) * np.linspace(0.0, draw.uniform(1.5, 3.0), part.size) * _local(x)
    return length


def _no_season(draw: Any, x: Any, where: _Where) -> int:
    at, day = where.at, where.day
    if where.season[at : at + day].std() < 0.1:  # there is no season
        return _shift(draw, x, where)
    x[at : at + day] = x[at : at + day] * 0.15 + np.median(x) * 0.85
    return day


_KINDS = {
    "spike": _spike,
    "shift": _shift,
    "for_good": _for_good,
    "wild": _wild,
    "frozen": _frozen,
    "climb": _climb,
    "no_season": _no_season,
}
