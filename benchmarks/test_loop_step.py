"""One `loop.step`: a healthy tick, and a tick of an incident that is being held.

Goal: at most 50 microseconds a healthy step on one core.
"""

from pytest_benchmark.fixture import BenchmarkFixture

from homeostat.base import codec
from homeostat.base.events import FleetView, Started, Ticked
from homeostat.base.evidence import Evidence, Family
from homeostat.base.policy import KillLevel
from homeostat.base.state import LoopState
from homeostat.loop.step import initial, step
from homeostat.server.wiring import loop_parts
from homeostat.testing import build

PARTS = loop_parts()
WARM = 60


def warmed(count: int) -> LoopState:
    state = initial(build.managed())
    state, _ = step(PARTS, state, Started(at=build.at(0), epoch=1, managed=state.managed))
    for tick in range(1, count):
        state, _ = step(PARTS, state, ticked(build.evidence(build.at(tick), tick), tick))
    return state


def ticked(evidence: Evidence, tick: int) -> Ticked:
    fleet = FleetView(targets=1, replicas=4)
    return Ticked(at=build.at(tick), evidence=evidence, fleet=fleet, kill=KillLevel.OFF)


def test_a_healthy_step(benchmark: BenchmarkFixture) -> None:
    benchmark.group = "loop.step"
    state = warmed(WARM)
    event = ticked(build.evidence(build.at(WARM), WARM), WARM)
    benchmark(step, PARTS, state, event)


def test_a_step_of_an_incident_that_is_held(benchmark: BenchmarkFixture) -> None:
    benchmark.group = "loop.step"
    state = warmed(WARM)
    drift = build.suspicion(Family.DRIFT, "model")
    event = ticked(build.evidence(build.at(WARM), WARM, suspicions=(drift,), slo_met=False), WARM)
    for tick in range(WARM, WARM + 8):
        state, _ = step(PARTS, state, ticked(event.evidence, tick))
    benchmark(step, PARTS, state, event)


def test_a_tick_to_the_journal_and_back(benchmark: BenchmarkFixture) -> None:
    benchmark.group = "codec"
    event = ticked(build.evidence(build.at(WARM), WARM), WARM)
    benchmark(lambda: codec.decode(codec.encode(event)))
