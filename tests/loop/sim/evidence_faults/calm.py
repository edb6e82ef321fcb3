"""A deployment that is idle and about to give a replica back: pages in, decisions out."""

import copy
from dataclasses import replace

from fleet_sim import START, FleetSim

from homeostat.base import names
from homeostat.base.actions import ActionKind
from homeostat.base.events import Command, FleetView, Record, Started, Ticked, Write
from homeostat.base.evidence import SourceReport
from homeostat.base.intent import ActionRecord
from homeostat.base.policy import KillLevel, LeverLimit, Managed
from homeostat.base.state import LoopState
from homeostat.base.units import TimeNs
from homeostat.base.world import Levers, Scalar, Snapshot, Stamp
from homeostat.detect import diagnose, forecast, panel, shift, slo, utilisation, verdicts
from homeostat.detect.ewma import Config, Ewma
from homeostat.loop import sense
from homeostat.loop.step import initial, step
from homeostat.server.wiring import loop_parts
from homeostat.signals import fleet
from homeostat.testing import build

RATE = 18.0  # requests a second: three replicas are idle with it, two would be
LIMITS = (LeverLimit(lever="replicas.a", low=1, high=6, step_down=0.5),)
TAKES = frozenset({ActionKind.SCALE_DOWN, ActionKind.RESIZE_DOWN, ActionKind.SHIFT_TRAFFIC})
Seen = tuple[tuple[SourceReport, ...], Snapshot | None]


def managed() -> Managed:
    """Return the deployment: it watches for half a minute where others watch for hours."""
    guard = build.guard(
        limits=LIMITS, watch_scrapes=30.0, scale_in_scrapes=30.0, cooldown_scrapes=5.0,
    )  # fmt: skip
    return build.managed(name="credit", guard=guard)


def parts() -> sense.SenseParts:
    """Return the shipped stages from pages to evidence."""
    return sense.SenseParts(
        signals=fleet.Fleet(),
        panel=panel.Panel({"ewma": Ewma(Config())}),
        judge=verdicts.judge,
        shift=shift.Shift(),
        forecasts=forecast.forecasts,
        utilisation=utilisation.utilisation,
        slo_met=slo.slo_met,
        diagnose=diagnose.diagnose,
    )


class Calm:
    """One deployment, second by second, under the real senses and the real loop."""

    def __init__(self, seed: int = 7) -> None:
        self.sim = FleetSim(seed, rate=RATE)
        self.managed = managed()
        self.sense_parts, self.loop_parts = parts(), loop_parts()
        self.senses = sense.init(self.sense_parts)
        self.state: LoopState = initial(self.managed)
        self.tick = 0
        self.taken: list[str] = []
        self._feed(Started(at=TimeNs(START), epoch=1, managed=self.managed))

    def branch(self, seed: int) -> "Calm":
        """Return the same moment once more; what comes then is drawn anew."""
        other = copy.copy(self)
        other.sim = copy.deepcopy(self.sim)
        other.sim.rng.bit_generator.advance(seed + 1)  # type: ignore[attr-defined] # PCG64 has it
        other.taken = list(self.taken)
        return other

    def second(self, seen: Seen | None = None) -> None:
        """Live through a second; `seen` replaces what was read."""
        reports, world = self.read() if seen is None else seen
        self.tick += 1
        self.senses, _, evidence = sense.step(
            self.sense_parts, self.senses, reports, () if world is None else (world,),
            (self.managed,), frozenset(), self.sim.now, self.tick,
        )  # fmt: skip
        view = FleetView(targets=1, replicas=4)
        self._feed(Ticked(at=self.sim.now, evidence=evidence[0], fleet=view, kill=KillLevel.OFF))

    def read(self) -> Seen:
        """Play a second of traffic and read everything, as it is."""
        reports, (bare,) = self.sim.tick()
        levers: dict[str, Scalar] = {
            "batch_max": 8, "replicas.a": 3, "replicas.b": 1, "version.a": "v2", "version.b": "v1",
            "weight.b": 5, "gateway_limit": 0,
        }  # fmt: skip
        for slot in bare.replicas:
            levers[names.lever_incarnation(slot.name)] = slot.incarnation
            levers[names.lever_drained(slot.name)] = 0
        known: Levers = tuple(sorted(levers.items()))
        stamps = (
            Stamp(actuator="envoy", token=None, intent=None, epoch=None),
            Stamp(actuator="host", token="1", intent=None, epoch=1),
        )
        return reports, replace(bare, levers=known, stamps=stamps, spares=1)

    def _feed(self, event: Started | Ticked) -> None:
        self.state, commands = step(self.loop_parts, self.state, event)
        self.taken += [kind for command in commands if (kind := _taken(command))]
        # What was begun is not carried out: the next second is asked the same question.
        self.state = replace(self.state, record=None) if self.taken else self.state


def _taken(command: Command) -> str:
    """Return what a command takes away or promotes, empty if nothing."""
    if isinstance(command, Write):
        return "write"
    fact = command.fact if isinstance(command, Record) else None
    begun = isinstance(fact, ActionRecord) and fact.intent is not None
    return fact.action.kind.value if begun and fact.action.kind in TAKES else ""  # type: ignore[union-attr] # begun says what it is
