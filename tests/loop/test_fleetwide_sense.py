"""The fleet's tests in the senses: what is called alone, and that nothing else moves for it."""

import copy
from dataclasses import replace
from typing import Any

import pytest
from fleet_sim import FleetSim, managed

from homeostat.base import codec, names
from homeostat.base.evidence import Evidence, Quality, Verdict
from homeostat.detect import diagnose, forecast, slo, utilisation, verdicts
from homeostat.detect.ewma import Config as EwmaConfig
from homeostat.detect.ewma import Ewma
from homeostat.detect.fleet_chain import Config as ChainConfig
from homeostat.detect.fleet_told import Config as ToldConfig
from homeostat.detect.fleetwide import Config, FleetTests
from homeostat.detect.panel import Panel
from homeostat.detect.shift import Shift
from homeostat.loop import sense
from homeostat.loop.as_usual import as_usual
from homeostat.signals.fleet import Fleet
from homeostat.stats.conformal import Config as TablesConfig
from homeostat.stats.fdr_past import Config as PastConfig
from homeostat.testing import build

WARM = 136


def config(false_incidents: float | None = 1.0) -> Config:
    """Return settings with which a hundred ticks of one deployment are enough."""
    told = ToldConfig(
        chain=ChainConfig(seasons=None, tables=TablesConfig(size=64, block=1)),
        past=PastConfig(least=3, fleet=64),
        block=16,
        warm=64,
    )
    return Config(told=told, false_incidents=false_incidents, tick_s=1.0)


class Run:
    """A simulated deployment being sensed, with the fleet's tests or without."""

    def __init__(self, tests: FleetTests | None, seed: int = 7) -> None:
        self.parts = sense.SenseParts(
            signals=Fleet(),
            panel=Panel({"ewma": Ewma(EwmaConfig())}),
            judge=verdicts.judge,
            shift=Shift(),
            forecasts=forecast.forecasts,
            utilisation=utilisation.utilisation,
            slo_met=slo.slo_met,
            diagnose=diagnose.diagnose,
            fleetwide=tests,
        )
        self.sim, self.state, self.number = FleetSim(seed), sense.init(self.parts), 0

    def play(self, ticks: int) -> list[Evidence]:
        return [self.tick() for _ in range(ticks)]

    def tick(self) -> Evidence:
        self.number += 1
        reports, world = self.sim.tick()
        self.state, _, (one,) = sense.step(
            self.parts, self.state, reports, world, (managed(),), frozenset(), self.sim.now,
            self.number,
        )  # fmt: skip
        return one

    def branch(self) -> "Run":
        again = copy.copy(self)
        again.sim = copy.deepcopy(self.sim)
        return again


@pytest.fixture(scope="module")
def warm() -> Run:
    run = Run(FleetTests(config()))
    run.play(WARM)
    return run


def crowd(sim: Any) -> None:
    sim.rate = 320.0


def slow(sim: Any) -> None:
    sim.server("a-1").slowdown = 6.0


def killed(sim: Any) -> None:
    sim.server("a-0").gone = True


def drifted(sim: Any) -> None:
    sim.feature_shift = 2.0


@pytest.mark.slow
def test_what_charts_alone_show_is_alone_until_the_fleet_tells_of_it(warm: Run) -> None:
    run = warm.branch()
    assert run.play(1)[0].fleetwide.told is False  # type: ignore[union-attr]
    slow(run.sim)
    seen = run.play(48)
    spoken = [one for one in seen if one.suspicions and one.slo_met is True]
    assert spoken
    assert spoken[0].fleetwide is not None
    assert spoken[0].fleetwide.alone
    assert spoken[0].fleetwide.told is False
    told = [k for k, one in enumerate(seen) if one.fleetwide and one.fleetwide.told]
    assert told
    assert told[0] < 2 * 16 + 8
    assert not any(seen[k].fleetwide.alone for k in told)  # type: ignore[union-attr]
    said = seen[told[0]].fleetwide
    assert said is not None
    assert {subject for subject, _ in said.series} == {"replica:a-1"}


@pytest.mark.slow
@pytest.mark.parametrize("fault", [killed, drifted])
def test_a_process_that_is_gone_and_a_histogram_are_never_charts_alone(
    warm: Run, fault: Any
) -> None:
    run = warm.branch()
    fault(run.sim)
    seen = run.play(12)
    assert any(one.suspicions for one in seen)
    assert not any(one.fleetwide.alone for one in seen if one.fleetwide is not None)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [crowd, slow, killed, drifted])
def test_all_else_of_the_evidence_is_what_it_is_without_the_tests(warm: Run, fault: Any) -> None:
    with_it, without = warm.branch(), warm.branch()
    without.parts = replace(warm.parts, fleetwide=None)
    without.state = replace(warm.state, fleetwide=None)
    fault(with_it.sim)
    fault(without.sim)
    for one, other in zip(with_it.play(12), without.play(12), strict=True):
        assert one.fleetwide is not None
        assert codec.encode(replace(one, fleetwide=None)) == codec.encode(other)


def test_without_a_budget_nothing_is_alone(warm: Run) -> None:
    run = warm.branch()
    run.parts = replace(run.parts, fleetwide=FleetTests(config(false_incidents=None)))
    slow(run.sim)
    seen = run.play(12)
    assert any(one.suspicions for one in seen)
    assert not any(one.fleetwide.alone for one in seen if one.fleetwide is not None)


def test_dead_pages_are_unknown_to_the_fleet(warm: Run) -> None:
    run = warm.branch()
    pages = ("envoy", "scrape-a-0", "scrape-a-1", "scrape-a-2", "scrape-b-0")
    run.sim.outage = dict.fromkeys(pages, "503")
    last = run.play(12)[-1]
    assert last.fleetwide is not None
    # Probes are no pages: what they say of latency is seen still, and nothing else.
    seen = {r.signal for r in last.readings if r.quality is Quality.GOOD}
    assert names.DEVICE_TIME not in seen
    assert not last.fleetwide.alone


def test_readings_as_usual_change_what_is_known_and_nothing_else() -> None:
    known = build.reading("gateway", names.LATENCY_P95, 190.0, verdict=Verdict.ANOMALOUS)
    gone = build.reading("gateway", names.ARRIVAL_RATE, None)
    fresh = build.reading("gateway", names.LATENCY_P50, 70.0)
    readings = {(one.subject, one.signal): one for one in (known, gone, fresh)}
    usual = {("gateway", names.LATENCY_P95): 80.0, ("gateway", names.ARRIVAL_RATE): 100.0}
    out = as_usual(readings, usual, [*readings, ("model", names.ACCURACY)])
    assert out["gateway", names.LATENCY_P95] == replace(known, value=80.0, verdict=Verdict.HEALTHY)
    assert out["gateway", names.ARRIVAL_RATE] is gone
    assert out["gateway", names.LATENCY_P50] is fresh
    assert readings["gateway", names.LATENCY_P95] is known
