"""The whole chain on a fleet: whitened, calibrated, tested in blocks, at most 5 % false.

Five kinds of noise that a fleet may have, some series with a lasting shift of eight standard
deviations. `long` runs the full size, 10,000 series; the shorter form is the same on fewer. Series
with a season have it taken away first, by a profile that has to find the season itself.

The chain is the product's (`detect.fleet_told`). Asked of it: the alarms that it tells, one an
incident, and those that LORD++ and SAFFRON make of the same blocks, each block a test. The share of
false ones may be above the promise by three standard errors of the promise itself.

The last test takes what real series do while nothing is wrong: normal days, drawn again and again
(`detection.normal_days` of the benchmarks). So a fleet of any size has the noise, the seasons and
the tails of real series and no fault but those put in.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from noise_families import FAMILIES

from homeostat.detect.fleet_chain import Config as ChainConfig
from homeostat.detect.fleet_told import Config as FleetConfig
from homeostat.detect.fleet_told import Fleet
from homeostat.detect.seasonal_memory import Config as SeasonConfig
from homeostat.stats.fdr import Config, OnlineFdr

WARM, TESTED, BLOCK, LASTS = 800, 320, 16, 32
SEASONAL_WARM = 1600  # eight cycles: three to find the season, three to fill the table after it
SHIFT = 8.0
DATA = Path(__file__).parents[3] / "shared" / "data"


class Played(NamedTuple):
    """p-values of blocks and what was told of them, `[block, series]`, and which are ill."""

    scores: Any
    told: Any
    ill: Any
    just_after: Any
    healthy: Any


def play(family: str, *, series: int, ill: int, seed: int) -> Played:
    """Return the p-values of a fleet in which the first series fall ill, each once."""
    rng = np.random.default_rng(seed)
    warm = SEASONAL_WARM if family == "seasonal" else WARM
    onset = np.full(series, 10**6)
    onset[:ill] = warm + rng.integers(0, TESTED - LASTS, ill)
    fleet = fleet_of(series, seasonal=family == "seasonal", warm=warm)
    return run(fleet, FAMILIES[family](rng, series), onset, SHIFT, warm=warm)


def fleet_of(series: int, *, seasonal: bool, warm: int) -> Fleet:
    """Return a fleet in which every series is an entity of its own."""
    chain = ChainConfig(seasons=SeasonConfig() if seasonal else None)
    return Fleet([1] * series, FleetConfig(chain=chain, warm=warm, block=BLOCK))


def run(
    fleet: Fleet,
    values: Iterator[Any],
    onset: Any,
    shift: Any,
    *,
    warm: int,
    tested: int = TESTED,
) -> Played:
    """Return what is said of a fleet whose series shift at their onsets for a while."""
    state, said, told = fleet.init(), [], []
    for tick in range(warm + tested):
        sick = (tick >= onset) & (tick < onset + LASTS)
        state, now = fleet.step(state, next(values) + shift * sick)
        if now.block is not None and tick >= warm:
            said.append(now.block)
            told.append(now.alarm)
        else:
            assert not now.alarm.any(), "nothing is told within a block, or before it is known"
    first = warm + BLOCK * np.arange(tested // BLOCK)[:, None]
    touches = (first + BLOCK > onset) & (first < onset + LASTS)
    # Its end is a jump too: true news, though no anomaly.
    after = (first + BLOCK > onset + LASTS) & (first < onset + LASTS + 2 * BLOCK) & ~touches
    healthy = onset > warm + tested
    return Played(np.array(said), np.array(told), touches, after, healthy)


class Counted(NamedTuple):
    """What alarms came to.

    Attributes:
        share: Of them that are false.
        bound: What it may be: the promise, and three standard errors of a share that is just what
            was promised among as many alarms. The share that came out has no say in it: one that
            is too large would widen its own bound.
        found: Share of the anomalies that were found.
        alarms: How many there were.
    """

    share: float
    bound: float
    found: float
    alarms: int


def counted(played: Played, alarms: Any, rate: float) -> Counted:
    """Return what alarms, bool `[block, series]`, came to."""
    false = (alarms & ~played.ill & ~played.just_after).sum()
    true = (alarms & played.ill).sum()
    number = int(false + true)
    bound = rate + 3.0 * np.sqrt(rate * (1.0 - rate) / max(number, 1))
    there = played.ill.any(axis=0)
    found = (alarms & played.ill).any(axis=0)[there].mean()
    return Counted(false / max(number, 1), bound, found, number)


def every_way(played: Played) -> Iterator[tuple[str, Counted]]:
    """Yield what is told, and what each rule makes of the same blocks, one test each."""
    yield "told", counted(played, played.told, Config().rate)
    for name, config in (("lord", Config()), ("saffron", Config(candidate=0.5))):
        rule = OnlineFdr(config)
        state, rejected = rule.init(np), []
        for scores in played.scores:
            state, decided = rule.step(np, state, scores)
            rejected.append(decided.rejected)
        yield name, counted(played, np.array(rejected), config.rate)


def show(what: str, way: str, one: Counted) -> None:
    print(
        f"{what}, {way}: {one.alarms} alarms, false {one.share:.3f} (at most {one.bound:.3f}), "
        f"found {one.found:.3f}"
    )


def check(family: str, *, series: int, ill: int, seed: int) -> None:
    played = play(family, series=series, ill=ill, seed=seed)
    for way, one in every_way(played):
        show(family, way, one)
        assert one.share <= one.bound, (family, way)
        assert one.found >= 0.9, (family, way)
    # The p-values themselves, where nothing is wrong.
    healthy = played.scores[:, played.healthy]
    for level in (0.01, 0.001):
        got = (healthy >= -np.log10(level)).mean()
        print(f"{family}: p <= {level:g} in {got:.2g} of healthy blocks")
        assert got <= level + 3.0 * np.sqrt(level / healthy.size)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_fleet_keeps_its_false_alarms_to_a_twentieth_and_finds_shifts(family: str) -> None:
    check(family, series=300, ill=40, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize("family", FAMILIES)
def test_ten_thousand_series_keep_the_promise_too(family: str, seed: int) -> None:
    check(family, series=10_000, ill=200, seed=seed)


@pytest.mark.long
@pytest.mark.skipif(not DATA.is_dir(), reason=f"the public data sets are not at {DATA}")
@pytest.mark.parametrize(
    ("name", "ticks", "series", "warm_days"),
    [("nab", 288, 400, 10), ("aiops", 288, 210, 10), ("aiops", 1440, 110, 8)],
)
def test_real_noise_keeps_the_promise(
    monkeypatch: pytest.MonkeyPatch, name: str, ticks: int, series: int, warm_days: int
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    from detection import normal_days  # noqa: PLC0415 - found by the line above

    sources = normal_days.sources(name, ticks)
    rng, ill, warm = np.random.default_rng(5), series // 5, warm_days * ticks
    values, sd = normal_days.drawn(sources, series, warm_days + 1, rng)
    onset = np.full(series, 10**9)
    sick = rng.permutation(series)[:ill]
    onset[sick] = warm + rng.integers(0, ticks - LASTS, ill)
    shift = SHIFT * sd * rng.choice([-1.0, 1.0], series)
    tested = ticks // BLOCK * BLOCK
    fleet = fleet_of(series, seasonal=True, warm=warm)
    played = run(fleet, values, onset, shift, warm=warm, tested=tested)
    for way, one in every_way(played):
        show(f"{name} {ticks}, {len(sources)} sources", way, one)
        # How many of the shifts are found is a figure and no promise: eight robust deviations for
        # 32 ticks are no rarer there than what healthy stretches do. docs/explanation/detection.md
        # has it, and the gate of nine in ten is missed by it.
        assert one.share <= one.bound, way
