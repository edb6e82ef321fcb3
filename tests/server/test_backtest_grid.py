"""Recordings on a grid: means of what was known, unknown where less than half was."""

import math
from typing import Any

import numpy as np
import pytest
from backtest_case import BEGAN_S, STEP_S, managed, past
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base import names
from homeostat.base.errors import ConfigError
from homeostat.base.policy import GuardPolicy, Mode
from homeostat.base.units import MINUTE, SECOND
from homeostat.base.world import ReplicaState
from homeostat.server.backtest.found import middle, rate, share
from homeostat.server.backtest.recorded import Grid, Worlds, grid_of, history
from homeostat.server.backtest.shadow import shadow
from homeostat.signals import past as column
from homeostat.twin.fit_frame import Frame, frame


def rows(step_s: float, **columns: Any) -> Frame:
    """Return a recording of a row each `step_s`."""
    count = len(next(iter(columns.values())))
    times = np.asarray(BEGAN_S + step_s * np.arange(1, count + 1), float)
    return frame(
        source="made.csv",
        sha256="",
        time_s=times,
        columns={name: np.array(values, float) for name, values in columns.items()},
    )


def on_grid(one: Frame, step_s: int = STEP_S) -> dict[str, Any]:
    """Return a recording's columns on the grid."""
    grid = grid_of([one], step_s * SECOND)
    return dict(history(one, shadow(managed(), step_s * SECOND), grid).recorded.columns)


def test_rows_of_one_step_become_their_mean_and_latencies_count_by_requests() -> None:
    found = on_grid(
        rows(60.0, request_rate=[10, 10, 10, 10, 60], latency_p95_s=[0.1, 0.1, 0.1, 0.1, 0.5])
    )
    assert found[column.ARRIVALS].tolist() == [20.0]
    assert found[column.P95][0] == pytest.approx((40 * 100 + 60 * 500) / 100)


def test_a_step_of_which_less_than_half_is_known_is_unknown() -> None:
    nan = math.nan
    found = on_grid(rows(60.0, request_rate=[5, 5, 5, nan, nan], queue=[1, 1, nan, nan, nan],
                         replicas=[1, 1, 1, 1, 1]))  # fmt: skip
    assert found[column.ARRIVALS].tolist() == [5.0]
    assert column.QUEUED not in found


def test_a_ratio_of_nothing_is_unknown_and_not_zero() -> None:
    found = on_grid(
        rows(300.0, request_rate=[0.0, 2.0], error_rate=[0.0, 1.0], throughput=[0.0, 1.0])
    )
    assert np.isnan(found[column.ERRORS][0])
    assert found[column.ERRORS][1] == 0.5


def test_what_is_served_at_once_says_how_long_it_takes() -> None:
    counted = {"throughput": [10.0, 0.0], "running": [4.0, 1.0], "replicas": [2.0, 2.0]}
    found = on_grid(rows(300.0, request_rate=[10.0, 1.0], **counted))
    assert found[column.SERVICE][0] == pytest.approx(400.0)
    assert np.isnan(found[column.SERVICE][1])
    assert found[column.BATCH].tolist() == [2.0, 0.5]
    timed = on_grid(rows(300.0, request_rate=[10.0, 1.0], service_s=[0.1, 0.1], **counted))
    assert timed[column.SERVICE].tolist() == [100.0, 100.0]


def test_a_finer_step_than_the_recording_has_is_refused() -> None:
    one = rows(300.0, request_rate=[1.0, 2.0])
    grid = grid_of([one], MINUTE)
    with pytest.raises(ConfigError, match="300s or more"):
        history(one, shadow(managed(), MINUTE), grid)


def test_too_many_steps_are_refused_with_what_to_do() -> None:
    one = frame(
        source="long.csv", sha256="", time_s=np.array([0.0, 3e7]), columns={"queue": np.ones(2)}
    )
    with pytest.raises(ConfigError, match="longer --step"):
        grid_of([one], MINUTE)


def test_since_keeps_the_latest_steps() -> None:
    one = past(rows=50)
    assert grid_of([one], STEP_S * SECOND).ticks == 50
    short = grid_of([one], STEP_S * SECOND, 10 * STEP_S * SECOND)
    assert short.ticks == 10
    assert short.at(9) == grid_of([one], STEP_S * SECOND).at(49)


def test_an_absurd_number_of_replicas_is_refused() -> None:
    one = rows(300.0, request_rate=[1.0, 1.0], replicas=[1e6, 1e6])
    with pytest.raises(ConfigError, match="replicas"):
        on_grid(one)


def test_the_world_is_as_recorded_and_unknown_without_replicas() -> None:
    nan = math.nan
    one = rows(300.0, request_rate=[1.0] * 3, replicas=[2.0, nan, 3.0],
               replicas_starting=[1.0, 0.0, 0.0], batch_limit=[8.0] * 3)  # fmt: skip
    entry = shadow(managed(), STEP_S * SECOND)
    grid = grid_of([one], STEP_S * SECOND)
    worlds = Worlds(history(one, entry, grid), entry)
    first, second, third = (worlds.at(tick, grid.at(tick)) for tick in range(3))
    assert second is None
    assert first is not None
    assert third is not None
    states = [replica.state for replica in first.replicas]
    assert states == [ReplicaState.READY, ReplicaState.READY, ReplicaState.STARTING]
    assert first.lever(names.lever_replicas("a")) == 3
    assert first.lever(names.BATCH_MAX) == 8
    assert len(third.replicas) == 3
    assert third.observed_at == grid.at(2)


def test_settings_in_scrapes_keep_their_length_and_what_lasts_is_seen_twice() -> None:
    entry = shadow(managed(), 5 * MINUTE)
    usual = GuardPolicy()
    assert entry.mode is Mode.SHADOW
    assert entry.guard.cooldown_scrapes * 300 == pytest.approx(usual.cooldown_scrapes * 15)
    assert entry.guard.watch_scrapes * 300 == pytest.approx(usual.watch_scrapes * 15)
    assert entry.guard.persist_scrapes == 2
    assert shadow(managed(), 15 * SECOND).guard.persist_scrapes == usual.persist_scrapes


@given(st.integers(0, 30), st.integers(1, 60))
def test_the_interval_of_a_rate_holds_the_rate(events: int, days: int) -> None:
    value, low, high = rate(events, days * 24 * 60 * MINUTE)
    assert low <= value <= high
    assert value == pytest.approx(events * 7 / days)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_the_interval_of_a_median_holds_the_median(values: list[float]) -> None:
    found = middle(np.array(values))
    assert found is not None
    assert min(values) <= found[1] <= found[0] <= found[2] <= max(values)


def test_the_interval_of_a_median_covers_as_often_as_it_says() -> None:
    chance = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        found = middle(chance.standard_normal(15))
        assert found is not None
        inside += found[1] <= 0.0 <= found[2]
    assert inside >= 0.9 * 400 - 3 * math.sqrt(400 * 0.09)


def test_nothing_has_no_interval() -> None:
    assert share(0, 0) is None
    assert middle(np.array([])) is None


def test_a_grid_says_when_its_ticks_are() -> None:
    grid = Grid(first_ns=10 * MINUTE, step_ns=MINUTE, ticks=3)
    assert [grid.at(tick) for tick in range(3)] == [10 * MINUTE, 11 * MINUTE, 12 * MINUTE]
