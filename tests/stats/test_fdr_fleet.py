"""The whole chain on a fleet: whitened, calibrated, tested in blocks, at most 5 % false.

Five kinds of noise that a fleet may have, some series with a lasting shift of eight standard
deviations. `long` runs the full size, 10,000 series; the shorter form is the same on fewer. Series
with a season have it taken away first, by a profile that has to find the season itself.

A block's p-value is the larger of two: bets on its ticks, and its place in the fleet's own past,
without which a season's levels that jump made one alarm in six false.

The last test takes what real series do while nothing is wrong: normal days, drawn again and again
(`detection.normal_days` of the benchmarks). So a fleet of any size has the noise, the seasons and
the tails of real series and no fault but those put in.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pytest

from homeostat.detect.seasonal_memory import Config as SeasonConfig
from homeostat.detect.seasonal_memory import Seasons
from homeostat.stats.conformal import Config as TableConfig
from homeostat.stats.conformal import Conformal
from homeostat.stats.edetector_blocks import BlockTests
from homeostat.stats.fdr import Config, OnlineFdr
from homeostat.stats.fdr_past import Config as PastConfig
from homeostat.stats.fdr_past import FleetPast
from homeostat.stats.fdr_past import size as block_size
from homeostat.stats.whiten import Config as WhitenConfig
from homeostat.stats.whiten import Whitener

WARM, TESTED, BLOCK, LASTS = 800, 320, 16, 32
SEASONAL_WARM = 1600  # eight cycles: three to find the season, three to fill the table after it
SHIFT = 8.0
DATA = Path(__file__).parents[3] / "shared" / "data"
SILENT = 0.1  # share of shifts found in real noise, at most


def independent(draw: Callable[[Any, int], Any]) -> Callable[[Any, int], Iterator[Any]]:
    def ticks(rng: Any, series: int) -> Iterator[Any]:
        while True:
            yield draw(rng, series)

    return ticks


def correlated(rng: Any, series: int) -> Iterator[Any]:
    y = rng.standard_normal(series)
    while True:
        y = 0.9 * y + np.sqrt(1.0 - 0.81) * rng.standard_normal(series)
        yield y


def seasonal(rng: Any, series: int) -> Iterator[Any]:
    """A season of 200 ticks and two deviations, and levels that jump by about one now and then."""
    phase, level, tick = rng.random(series) * 200.0, np.zeros(series), 0
    while True:
        jumps = rng.random(series) < 1.0 / 400.0
        level = 0.995 * level + jumps * rng.standard_normal(series)
        wave = 2.0 * np.sin(2.0 * np.pi * (tick + phase) / 200.0)
        yield wave + level + rng.standard_normal(series)
        tick += 1


# Each in its own standard deviations; those of the seasonal one are its noise's.
FAMILIES: dict[str, Callable[[Any, int], Iterator[Any]]] = {
    "normal": independent(lambda rng, n: rng.standard_normal(n)),
    "t4": independent(lambda rng, n: rng.standard_t(4, n) / np.sqrt(2.0)),
    "lognormal": independent(lambda rng, n: np.exp(rng.standard_normal(n)) / 2.1612),
    "correlated": correlated,
    "seasonal": seasonal,
}


class Played(NamedTuple):
    """p-values of blocks `[block, series]`, and which blocks touch an anomaly."""

    scores: Any
    ill: Any
    just_after: Any
    healthy: Any


class Judge(Protocol):
    """What gives p-values to a row, and learns from it where it is calm."""

    def scores(self, row: Any) -> tuple[Any, Any]: ...
    def p(self, score: Any) -> Any: ...
    def restarted(self) -> Any: ...
    def learn(self, row: Any, rest: Any, score: Any, calm: Any) -> None: ...


class Chain:
    """Whitening and calibration of a fleet, with its seasons taken away before if there are any."""

    def __init__(self, series: int, *, seasonal: bool) -> None:
        self.whitener, self.tables = Whitener(WhitenConfig()), Conformal(TableConfig())
        self.model, self.table = self.whitener.init(np, series), self.tables.init(np, series)
        self.seasons = Seasons(SeasonConfig()) if seasonal else None
        self.memory = self.seasons.init(np, series) if self.seasons else None

    def scores(self, row: Any) -> tuple[Any, Any]:
        """Return the row without its season, and its errors."""
        rest = row
        if self.seasons and self.memory:
            rest = self.seasons.remove(np, self.memory, row).values
        return rest, self.whitener.errors(np, self.model, rest).sigmas

    def p(self, score: Any) -> Any:
        return self.tables.neg_log10_p(np, self.table, np.abs(score))

    def restarted(self) -> Any:
        """Return the series whose season has just been found, None for none."""
        fresh = self.memory.fresh if self.memory else None
        return fresh if fresh is not None and fresh.any() else None

    def learn(self, row: Any, rest: Any, score: Any, calm: Any) -> None:
        self.model = self.whitener.learn(np, self.model, rest, calm)
        self.table = self.tables.learn(np, self.table, np.abs(score), calm)
        if not (self.seasons and self.memory):
            return
        calm = calm & (self.model.doubted == 0.0)
        self.memory = self.seasons.learn(np, self.memory, row, allowed=True, calm=calm)
        fresh = self.memory.fresh
        if fresh.any():  # as `detect.seasonal` does: errors with and without season are not alike
            self.model = self.whitener.restart(np, self.model, fresh)
            self.table = self.tables.restart(np, self.table, fresh)


def play(family: str, *, series: int, ill: int, seed: int) -> Played:
    """Return the p-values of a fleet in which the first series fall ill, each once."""
    rng = np.random.default_rng(seed)
    warm = SEASONAL_WARM if family == "seasonal" else WARM
    onset = np.full(series, 10**6)
    onset[:ill] = warm + rng.integers(0, TESTED - LASTS, ill)
    chain = Chain(series, seasonal=family == "seasonal")
    return run(chain, FAMILIES[family](rng, series), onset, SHIFT, warm=warm)


class Blockwise:
    """A test for each series and block: rare among its own errors and among the fleet's blocks."""

    def __init__(self, series: int) -> None:
        self.blocks, self.past = BlockTests(BLOCK), FleetPast(PastConfig())
        self.block, self.seen = self.blocks.init(np, series), self.past.init(series)
        self.rule = OnlineFdr(Config())
        self.balance = self.rule.init(np)
        self.errors: list[Any] = []

    def step(self, p: Any, error: Any, *, judging: bool) -> tuple[Any, Any]:
        """Return where a tick is calm, and the p-values of a block that ends; None else."""
        self.block, peeked = self.blocks.step(np, self.block, p)
        self.errors.append(error)
        # Who is ill is flagged by what the alarm would say: nothing here knows the truth.
        calm = ~(peeked.neg_log10_p > 3.0) | (not judging)
        if not peeked.full:
            return calm, None
        far = block_size(np.array(self.errors))
        self.errors.clear()
        said = np.minimum(peeked.neg_log10_p, self.past.neg_log10_p(self.seen, far))
        rejected = np.zeros(calm.shape, dtype=bool)
        if judging:
            self.balance, decided = self.rule.step(np, self.balance, said)
            rejected = decided.rejected
        self.seen = self.past.learn(self.seen, far, rejected)
        return calm, said if judging else None

    def restart(self, rows: Any) -> None:
        """Begin these series anew, if there are any."""
        if rows is not None:
            self.seen = self.past.restart(self.seen, rows)
            # What is there of the block is of the series as it was.
            self.errors = [np.where(rows, np.nan, one) for one in self.errors]


def run(
    chain: Judge,
    values: Iterator[Any],
    onset: Any,
    shift: Any,
    *,
    warm: int,
    tested: int = TESTED,
) -> Played:
    """Return the p-values of a fleet whose series shift at their onsets for a while."""
    series = len(onset)
    tests, out = Blockwise(series), []
    for tick in range(warm + tested):
        sick = (tick >= onset) & (tick < onset + LASTS)
        row = next(values) + shift * sick
        rest, score = chain.scores(row)
        calm, said = tests.step(chain.p(score), score, judging=tick >= warm)
        if said is not None:
            out.append(said)
        chain.learn(row, rest, score, calm)
        tests.restart(chain.restarted())
    first = warm + BLOCK * np.arange(tested // BLOCK)[:, None]
    touches = (first + BLOCK > onset) & (first < onset + LASTS)
    # Its end is a jump too: true news, though no anomaly.
    after = (first + BLOCK > onset + LASTS) & (first < onset + LASTS + 2 * BLOCK) & ~touches
    return Played(np.array(out), touches, after, onset > warm + tested)


def judged(played: Played, config: Config) -> tuple[float, float, float]:
    """Return the share of false alarms, its standard error, and the share of anomalies found."""
    rule = OnlineFdr(config)
    state, rejected = rule.init(np), []
    for scores in played.scores:
        state, decided = rule.step(np, state, scores)
        rejected.append(decided.rejected)
    alarms = np.array(rejected)
    false = (alarms & ~played.ill & ~played.just_after).sum()
    true = (alarms & played.ill).sum()
    share = false / max(false + true, 1)
    error = np.sqrt(share * (1.0 - share) / max(false + true, 1))
    there = played.ill.any(axis=0)
    return share, error, (alarms & played.ill).any(axis=0)[there].mean()


def check(family: str, *, series: int, ill: int, seed: int) -> None:
    played = play(family, series=series, ill=ill, seed=seed)
    for name, config in (("lord", Config()), ("saffron", Config(candidate=0.5))):
        share, error, power = judged(played, config)
        print(f"{family} {name}: false {share:.3f} +- {error:.3f}, found {power:.3f}")
        assert share <= config.rate + 3.0 * error, (family, name)
        assert power >= 0.9, (family, name)
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
def test_real_noise_keeps_the_promise_by_saying_nothing(
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
    chain = Chain(series, seasonal=True)
    played = run(chain, values, onset, shift, warm=warm, tested=tested)
    for rule, config in (("lord", Config()), ("saffron", Config(candidate=0.5))):
        share, error, power = judged(played, config)
        print(
            f"{name} {ticks}, {len(sources)} sources, {rule}: "
            f"false {share:.3f} +- {error:.3f}, found {power:.3f}"
        )
        assert share <= config.rate + 3.0 * error
        # Eight robust deviations for 32 ticks are no rarer there than healthy stretches are: who
        # finds them finds as many of those. Should this change, say what is found instead.
        assert power <= SILENT, "real shifts are found now: ask for a share of them here"
