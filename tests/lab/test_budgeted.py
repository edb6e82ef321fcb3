"""A budget in the lab: each episode is a fleet of its own, whatever is played beside it."""

from typing import Any

import numpy as np
import pytest

from homeostat.base import names
from homeostat.base.evidence import Quality, SeriesKey, Signals
from homeostat.base.units import SECOND, TimeNs
from homeostat.detect.fleet_chain import Config as ChainConfig
from homeostat.detect.fleet_told import Config as ToldConfig
from homeostat.detect.fleetwide import Config, FleetTests
from homeostat.detect.layout import layout
from homeostat.lab.budgeted import SHARE, Apart, with_budget
from homeostat.lab.controller_parts import sense_parts
from homeostat.stats.conformal import Config as TablesConfig
from homeostat.stats.fdr_past import Config as PastConfig
from homeostat.testing import build

SIGNALS = (names.ARRIVAL_RATE, names.LATENCY_P50, names.LATENCY_P95, names.ERROR_RATIO)


def config() -> Config:
    told = ToldConfig(
        chain=ChainConfig(seasons=None, tables=TablesConfig(size=64, block=1)),
        past=PastConfig(least=3, fleet=64),
        warm=64,
    )
    return Config(told=told, false_incidents=1.0)


def frame(deployments: int) -> tuple[SeriesKey, ...]:
    return tuple(
        SeriesKey(deployment=f"e{number}", subject=names.GATEWAY, signal=signal)
        for number in range(deployments)
        for signal in SIGNALS
    )


def signals(keys: tuple[SeriesKey, ...], values: Any, tick: int) -> Signals[Any]:
    return Signals(
        at=TimeNs(build.START + tick * 15 * SECOND), tick=tick, keys=keys, values=values,
        age_ns=np.zeros(len(keys), dtype=np.int64), samples=np.ones(len(keys)),
        quality=(Quality.GOOD,) * len(keys), world=(),
    )  # fmt: skip


@pytest.mark.slow
def test_an_episode_beside_others_is_told_what_it_is_told_alone() -> None:
    apart, alone = Apart(config()), FleetTests(config())
    several, single = apart.init(), alone.init()
    keys, rng, said = frame(3), np.random.default_rng(4), []
    whole, own = layout(keys), layout(frame(1))
    for tick in range(1, 480):
        values = rng.normal(50.0, 1.0, len(keys))
        values[0] += 60.0 if tick > 420 else 0.0
        several, seen = apart.step(several, signals(keys, values, tick), whole, ())
        single, one = alone.step(single, signals(own.keys, values[:4], tick), own, ())
        assert seen["e0"] == one["e0"]
        said.append(seen)
    assert said[-1]["e0"].said.told
    assert [said[-1][name].said.told for name in ("e1", "e2")] == [False, False]


def test_a_budget_is_half_the_scores_and_half_the_fleets() -> None:
    parts: Any = with_budget(sense_parts(), 1.0)
    assert parts.fused.config.false_incidents == 0.5
    assert parts.fused.config.tick_s == 15.0
    assert isinstance(parts.fleetwide, Apart)
    assert SHARE == 0.05
    assert sense_parts().fleetwide is None
