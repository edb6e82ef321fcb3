"""What share of shifts is found beside a season, by three detectors that know no more than it.

Each series has a season of its own with a job that runs once in it, and noise whose neighbours
correlate with 0.4; a shift of 3, 5 or 8 of its deviations lasts 30 ticks, in the last two cycles.
The table is in docs/explanation/detection.md.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from homeostat.detect import conformal, seasonal, shesd_config, shesd_stream

SIZES = (3.0, 5.0, 8.0)
LASTS, WITHIN, PHI = 30, 20, 0.4


class Kind(NamedTuple):
    """A kind of series.

    Attributes:
        period: Of the season, in ticks.
        cycles: How many there are.
        weekend: Two cycles of seven have less than half of the season.
        shifts: Levels move for good twice, by four deviations, the last time four cycles before.
        heavy: The noise is Student's t with 4 degrees of freedom.
    """

    period: int
    cycles: int
    weekend: bool = False
    shifts: bool = False
    heavy: bool = False


KINDS = {
    "period 96": Kind(96, 16),
    "period 288": Kind(288, 9),
    "period 1440": Kind(1440, 6),
    "weekends": Kind(96, 35, weekend=True),
    "level shifts": Kind(96, 16, shifts=True),
    "heavy tails": Kind(96, 16, heavy=True),
}


class Fleet(NamedTuple):
    """Series `[tick, series]`, and for each when its shift begins, and how large it is."""

    values: Any
    onset: Any
    size: Any
    start: int


def fleet(kind: Kind, each: int, *, seed: int) -> Fleet:
    """Return `each` series for each size of shift."""
    rng, series = np.random.default_rng(seed), 3 * each
    ticks = kind.period * kind.cycles
    time = np.arange(ticks)[:, None]
    angle = 2.0 * np.pi * (time / kind.period + rng.random(series))
    wave: Any = np.zeros((ticks, series))
    for k in range(1, 6):
        wave += rng.standard_normal(series) / k * np.sin(k * angle + rng.random(series) * 6.0)
    job = (time + rng.integers(0, kind.period, series)) % kind.period < kind.period // 24
    wave = wave + 2.0 * job
    wave = 3.0 * wave / wave.std(axis=0)
    if kind.weekend:
        day = (time // kind.period + rng.integers(0, 7, series)) % 7
        wave = wave * np.where(day >= 5, 0.4, 1.0)
    shape = (ticks, series)
    noise = rng.standard_t(4, shape) / np.sqrt(2.0) if kind.heavy else rng.standard_normal(shape)
    for tick in range(1, ticks):
        noise[tick] = PHI * noise[tick - 1] + np.sqrt(1.0 - PHI * PHI) * noise[tick]
    start = ticks - 2 * kind.period
    if kind.shifts:
        for begin in rng.integers(2 * kind.period, start - 4 * kind.period, (2, series)):
            wave = wave + 4.0 * rng.choice([-1.0, 1.0], series) * (time >= begin)
    onset = rng.integers(start, ticks - LASTS, series)
    size = np.repeat(SIZES, each)
    ill = (time >= onset) & (time < onset + LASTS)
    return Fleet(100.0 + wave + noise + size * rng.choice([-1.0, 1.0], series) * ill,
                 onset, size, start)  # fmt: skip


def stepped(detector: Any, values: Any) -> Any:
    """Return alarms of a batched detector, `[tick, series]`."""
    state, out = detector.init(np, values.shape[1]), []
    for row in values:
        state, said = detector.step(np, state, row, True)
        out.append(said.alarm)
    return np.array(out)


def refitted(values: Any) -> Any:
    """Return alarms of Seasonal Hybrid ESD with its refits, `[tick, series]`."""
    config = shesd_config.Config()
    return np.array([shesd_stream.run(one, config).alarm for one in values.T]).T


DETECTORS: dict[str, Callable[[Any], Any]] = {
    "seasonal": lambda x: stepped(seasonal.SeasonalDetector(seasonal.Config()), x),
    "conformal": lambda x: stepped(conformal.ConformalDetector(conformal.Config()), x),
    "shesd": refitted,
}


def told(fleet: Fleet, alarms: Any) -> tuple[list[float], float]:
    """Return the share found of each size, and false episodes in 1,000 ticks before the shifts."""
    time = np.arange(len(alarms))[:, None]
    found = (alarms & (time >= fleet.onset) & (time < fleet.onset + WITHIN)).any(axis=0)
    calm = (time >= fleet.start) & (time < fleet.onset)
    begins = alarms & ~np.vstack([np.zeros((1, alarms.shape[1]), dtype=bool), alarms[:-1]])
    false = 1000.0 * float((begins & calm).sum()) / float(calm.sum())
    return [float(found[fleet.size == size].mean()) for size in SIZES], false


def compare(kind: str, each: int, *, seed: int) -> dict[str, tuple[list[float], float]]:
    """Return what each detector told, and print it."""
    series, out = fleet(KINDS[kind], each, seed=seed), {}
    for name, judge in DETECTORS.items():
        out[name] = told(series, judge(series.values))
        shares = ", ".join(f"{share:.0%}" for share in out[name][0])
        print(f"{kind}, {name}: {shares}; {out[name][1]:.2f} false episodes in 1,000 ticks")
    return out


@pytest.mark.long
def test_a_shift_beside_a_season_is_found_and_the_season_is_no_alarm() -> None:
    shares, false = compare("period 96", 8, seed=1)["seasonal"]
    assert shares[2] == 1.0
    assert shares[1] >= 0.75
    assert false <= 0.5


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_more_shifts_are_found_than_without_the_season(kind: str) -> None:
    said = compare(kind, 40, seed=2)
    ours, plain = said["seasonal"], said["conformal"]
    assert ours[0][2] >= 0.95
    assert ours[0][1] > plain[0][1]
    assert ours[1] <= plain[1]
