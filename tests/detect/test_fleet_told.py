"""A fleet tells each incident once, keeps what its rule promises, and goes on from bytes."""

from typing import Any

import numpy as np
import pytest

from homeostat.detect import fleet_checkpoint
from homeostat.detect.fleet_chain import Config as ChainConfig
from homeostat.detect.fleet_told import Config, Fleet, Told
from homeostat.stats.conformal import Config as TablesConfig
from homeostat.stats.fdr_past import Config as PastConfig

WARM, BLOCK, SERIES = 320, 16, 24


def config(**settings: Any) -> Config:
    chain = ChainConfig(seasons=None, tables=TablesConfig(size=256, block=1))
    past = PastConfig(least=8, fleet=200)
    whole: dict[str, Any] = {"chain": chain, "past": past, "warm": WARM}
    return Config(**(whole | settings))


def noise(ticks: int, series: int = SERIES, seed: int = 1) -> Any:
    return np.random.default_rng(seed).normal(10.0, 1.0, (ticks, series))


def played(fleet: Fleet, values: Any, state: Any = None) -> tuple[Any, list[Told]]:
    state, out = fleet.init() if state is None else state, []
    for row in values:
        state, told = fleet.step(state, row)
        out.append(told)
    return state, out


def alarms(told: list[Told]) -> list[tuple[int, int]]:
    return [(k, int(at)) for k, one in enumerate(told) for at in np.flatnonzero(one.alarm)]


@pytest.mark.slow
def test_a_shift_is_told_once_at_the_end_of_a_block_and_what_follows_it_is_the_same_incident() -> (
    None
):
    values = noise(800)
    values[600:680, 3] += 40.0
    _, told = played(Fleet([1] * SERIES, config()), values)
    assert len(alarms(told)) == 1
    (tick, entity) = alarms(told)[0]
    assert entity == 3
    assert 600 <= tick < 600 + 2 * BLOCK
    assert tick % BLOCK == BLOCK - 1
    active = [k for k, one in enumerate(told) if one.active[3]]
    assert active == list(range(tick, active[-1] + 1))
    assert 680 <= active[-1] < 680 + 8 * BLOCK


@pytest.mark.slow
def test_nothing_is_told_while_a_series_or_the_fleet_is_young() -> None:
    values = noise(WARM + 64)
    values[100:150, 0] += 30.0
    _, told = played(Fleet([1] * SERIES, config()), values)
    assert alarms(told) == []
    assert all(np.isnan(one.neg_log10_p).all() for one in told[:WARM])
    assert np.isfinite(told[-1].neg_log10_p).all()
    # Two series see a thousand blocks after 8,000 ticks.
    values = noise(700, 2)
    values[600:650, 0] += 30.0
    _, told = played(Fleet([1, 1], config(past=PastConfig(least=8, fleet=1000))), values)
    assert all(np.isnan(one.neg_log10_p).all() for one in told)


@pytest.mark.slow
def test_a_level_that_stays_becomes_what_the_series_does() -> None:
    values = noise(1200)
    values[600:, 3] += 1e6  # so far off that no tick of it is ever calm
    _, told = played(Fleet([1] * SERIES, config(patience=64)), values)
    assert [entity for _, entity in alarms(told)] == [3]
    active = [k for k, one in enumerate(told) if one.active[3]]
    assert active[-1] < 900
    _, patient = played(Fleet([1] * SERIES, config(patience=10**6)), values)
    assert patient[-1].active[3]


@pytest.mark.slow
def test_an_entity_pays_for_its_columns_and_says_which_one_it_was() -> None:
    values = noise(800)
    values[600:680, 5] += 40.0
    alone, together = Fleet([1] * SERIES, config()), Fleet([4] * (SERIES // 4), config())
    _, one = played(alone, values)
    _, four = played(together, values)
    assert [entity for _, entity in alarms(four)] == [1]
    tick = alarms(four)[0][0]
    assert four[tick].shares[4:8].argmax() == 1
    np.testing.assert_allclose(four[tick].shares[4:8].sum(), 1.0)
    np.testing.assert_allclose(four[tick].block, one[tick].block)
    # Bonferroni: the smallest of four p-values, times four.
    want = one[tick].block.reshape(-1, 4).max(axis=1) - np.log10(4.0)
    np.testing.assert_allclose(four[tick].neg_log10_p, np.maximum(want, 0.0))


@pytest.mark.slow
def test_a_gap_is_unknown_and_neither_ends_an_incident_nor_begins_one() -> None:
    values = noise(900)
    values[600:760, 3] += 40.0
    values[640:700] = np.nan
    _, told = played(Fleet([1] * SERIES, config()), values)
    assert len(alarms(told)) == 1
    for tick in range(640, 700):
        assert np.isnan(told[tick].neg_log10_p).all()
        assert told[tick].active[3]


@pytest.mark.slow
@pytest.mark.parametrize("wild", [np.inf, -np.inf, 1e300, -1e300, 0.0])
def test_absurd_values_raise_nothing_and_stay_with_their_series(wild: float) -> None:
    values = noise(700)
    values[500:, 2] = wild
    with np.errstate(all="raise", under="ignore"):
        _, told = played(Fleet([1] * SERIES, config()), values)
    assert {entity for _, entity in alarms(told)} <= {2}
    assert np.isfinite(np.delete(told[-1].neg_log10_p, 2)).all()
    if np.isinf(wild):
        assert np.isnan(told[-1].neg_log10_p[2])


@pytest.mark.slow
def test_what_is_said_of_a_prefix_is_what_is_said_of_the_whole_from_bytes_too() -> None:
    values = noise(800)
    values[600:680, 3] += 40.0
    fleet = Fleet([2] * (SERIES // 2), config())
    state, whole = played(fleet, values)
    half, _ = played(fleet, values[:611])  # within a block, and within the shift
    data = fleet_checkpoint.to_bytes(fleet, half)
    state_again, rest = played(fleet, values[611:], fleet_checkpoint.from_bytes(fleet, data))
    for one, other in zip(whole[611:], rest, strict=True):
        for mine, theirs in zip(one, other, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    again = fleet_checkpoint.to_bytes(fleet, state_again)
    assert again == fleet_checkpoint.to_bytes(fleet, state)


def test_bytes_of_another_fleet_are_refused() -> None:
    fleet = Fleet([1, 1], config())
    data = fleet_checkpoint.to_bytes(fleet, fleet.init())
    for other in (Fleet([2], config()), Fleet([1, 1], config(rate=0.1))):
        with pytest.raises(ValueError, match="other settings or entities"):
            fleet_checkpoint.from_bytes(other, data)
    for broken in (b"", data[:-8], b"nonsense" * 9):
        with pytest.raises(ValueError, match="start without it"):
            fleet_checkpoint.from_bytes(fleet, broken)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"rate": 0.0}, "rate"),
        ({"rate": float("nan")}, "rate"),
        ({"warm": -1}, "warm"),
        ({"patience": 0}, "patience"),
    ],
)
def test_settings_that_promise_nothing_are_refused(settings: Any, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        config(**settings)


@pytest.mark.parametrize("columns", [[], [1, 0]])
def test_a_fleet_without_series_is_refused(columns: list[int]) -> None:
    with pytest.raises(ValueError, match="needs a series"):
        Fleet(columns)
