"""Memory of accelerators, from reports to evidence: a level is never an incident, growth is."""

from dataclasses import dataclass, replace

import pytest
from fleet_sim import FleetSim, managed

from homeostat.base import names, raw
from homeostat.base.evidence import (
    Evidence,
    Family,
    Kind,
    Observation,
    Quality,
    SeriesKey,
    SourceReport,
)
from homeostat.base.world import ReplicaState, Snapshot
from homeostat.detect import diagnose, forecast, slo, utilisation, verdicts
from homeostat.detect.ewma import Config, Ewma
from homeostat.detect.panel import Panel
from homeostat.detect.shift import Shift
from homeostat.loop import sense
from homeostat.signals.fleet import Fleet

TOTAL = 80 * 2.0**30
A = "replica:a-1"
WARM = 60


@dataclass
class Run:
    """A simulated fleet one of whose replicas tells of its device; `share` is how full it is."""

    sim: FleetSim
    parts: sense.SenseParts
    state: sense.SenseState
    share: float = 0.5
    serves: bool = True
    tick: int = 0

    @classmethod
    def fresh(cls, share: float, *, serves: bool = True) -> "Run":
        parts = sense.SenseParts(
            signals=Fleet(),
            panel=Panel({"ewma": Ewma(Config())}),
            judge=verdicts.judge,
            shift=Shift(),
            forecasts=forecast.forecasts,
            utilisation=utilisation.utilisation,
            slo_met=slo.slo_met,
            diagnose=diagnose.diagnose,
        )
        return cls(FleetSim(7), parts, sense.init(parts), share, serves)

    def play(self, ticks: int, climb: float = 0.0) -> list[Evidence]:
        out = []
        for _ in range(ticks):
            self.share = min(self.share + climb, 1.0)
            self.tick += 1
            reports, world = self.sim.tick()
            self.state, _, evidence = sense.step(
                self.parts,
                self.state,
                (*reports, self._device()),
                [self._as_known(one) for one in world],
                (managed(),),
                frozenset(),
                self.sim.now,
                self.tick,
            )
            out.append(evidence[0])
        return out

    def _device(self) -> SourceReport:
        said = {raw.DEVICE_USED: self.share * TOTAL, raw.DEVICE_TOTAL: TOTAL, raw.DEVICE_BUSY: 0.4}
        seen = tuple(
            Observation(
                source="dcgm",
                key=SeriesKey(deployment="credit", subject=A, signal=signal),
                kind=Kind.GAUGE,
                value=value,
                observed_at=self.sim.now,
                epoch=None,
            )
            for signal, value in said.items()
        )
        return SourceReport(
            source="dcgm", at=self.sim.now, observations=seen, subjects=(A,), quality=Quality.GOOD
        )

    def _as_known(self, world: Snapshot) -> Snapshot:
        if self.serves:
            return world
        return replace(
            world,
            replicas=tuple(
                replace(one, state=ReplicaState.STARTING) if names.replica(one.name) == A else one
                for one in world.replicas
            ),
        )


def of_devices(evidence: list[Evidence]) -> list[str]:
    return [
        one.subject
        for tick in evidence
        for one in tick.suspicions
        if one.family is Family.DEVICE_MEMORY
    ]


@pytest.mark.parametrize("share", [0.3, 0.9, 0.97])
def test_a_device_that_stays_as_full_as_it_is_is_never_told(share: float) -> None:
    run = Run.fresh(share)
    seen = run.play(WARM + 40)
    assert of_devices(seen) == []
    told = {(one.subject, one.signal): one for one in seen[-1].readings}
    assert told[A, names.DEVICE_MEMORY_SHARE].value == pytest.approx(share)
    assert told[A, names.DEVICE_SHARE].value == pytest.approx(0.4)


def test_a_device_that_fills_is_told_before_it_is_full() -> None:
    run = Run.fresh(0.4)
    run.play(WARM)
    seen = run.play(40, climb=0.012)
    assert run.share < 0.9
    assert set(of_devices(seen)) == {A}
    first = next(n for n, one in enumerate(seen) if of_devices([one]))
    assert first < 16


def test_what_a_process_takes_while_it_starts_is_no_growth() -> None:
    """Weights are loaded and most of the device is set aside, in a minute, and then it serves."""
    run = Run.fresh(0.05, serves=False)
    run.play(WARM, climb=0.0145)
    assert run.share > 0.9
    run.serves = True
    assert of_devices(run.play(WARM)) == []


def test_a_device_that_filled_once_and_stays_so_is_not_told_for_long() -> None:
    """An allocator that keeps what it got: a step, and a level from then on."""
    run = Run.fresh(0.4)
    run.play(WARM)
    run.share = 0.96
    assert of_devices(run.play(WARM)) == []
