"""What a backtest's replay takes for each deployment and step; nothing is compared, all is printed.

50 deployments over 30 days at five minutes are 432,000 of those steps. The length here is a day, so
that it fits a benchmark; what is remembered does not grow with the length, but the first day holds
little of what seasons cost. Not measured: reading files, and fitting twins (a second or two for
each deployment with an action).
"""

import sys
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "server"))
from backtest_case import STEP_S, managed, past, senses

from homeostat.base.units import SECOND
from homeostat.server import wiring
from homeostat.server.backtest.play import play
from homeostat.server.backtest.recorded import grid_of, history
from homeostat.server.backtest.shadow import shadow

DAY_ROWS = 288


@pytest.mark.parametrize("deployments", [1, 25])
def test_replay_of_a_day(benchmark: BenchmarkFixture, deployments: int) -> None:
    """A day of some deployments of four replicas, one overload in each."""
    step_ns = STEP_S * SECOND
    frames = [past(DAY_ROWS, overload=range(200, 212), seed=seed) for seed in range(deployments)]
    entries = [shadow(managed(f"d-{number}"), step_ns) for number in range(deployments)]
    grid = grid_of(frames, step_ns)
    histories = [history(one, e, grid) for one, e in zip(frames, entries, strict=True)]

    began_s = process_time()

    def replay() -> list[Any]:
        return play(senses, wiring.loop_parts(), entries, histories, grid)

    benchmark.group = "backtest, a day at five minutes"
    benchmark.extra_info["steps"] = deployments * grid.ticks
    seen = benchmark.pedantic(replay, rounds=1, iterations=1)  # type: ignore[no-untyped-call]  # untyped
    assert len(seen) == deployments
    each_us = 1e6 * (process_time() - began_s) / (deployments * grid.ticks)
    print(f"{each_us:.0f} us of processor time for each deployment and step")
