"""A deployment whose series are what a test says, through `sense.step` with real charts and rules.

Levels are those of the local deployment; noise is normal, a tick is 15 s.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from fleet_sim import managed

from homeostat.base import names
from homeostat.base.decisions import Notice
from homeostat.base.events import FleetView, Tell, Ticked
from homeostat.base.evidence import Evidence, Quality, SeriesKey, Signals
from homeostat.base.policy import KillLevel, Objective
from homeostat.base.units import SECOND, TimeNs
from homeostat.detect import (
    diagnose,
    forecast,
    fused,
    fused_batch,
    panel,
    shift,
    slo,
    utilisation,
    verdicts,
)
from homeostat.detect.ewma import Config, Ewma
from homeostat.detect.ewma import State as Chart
from homeostat.detect.fused import Fused, FusedState
from homeostat.detect.panel import Panel
from homeostat.detect.shift import Shift
from homeostat.loop import sense
from homeostat.loop.step import initial, step
from homeostat.server.wiring import loop_parts
from homeostat.stats.arrays import from_bytes, to_bytes

LOOP: Final = loop_parts()
CLASSES: Final = (
    *sense.STATE_CLASSES, *panel.STATE_CLASSES, *shift.STATE_CLASSES, *fused.STATE_CLASSES,
    *fused_batch.STATE_CLASSES, Chart,
)  # fmt: skip
SCRAPE_S = 15
CPU, ANSWER = names.CPU_SHARE, names.LATENCY_P95
USUAL = {
    ("gateway", names.ARRIVAL_RATE): (100.0, 3.0),
    ("gateway", names.ERROR_RATIO): (0.001, 0.0002),
    ("gateway", ANSWER): (120.0, 4.0),
    **{
        (f"replica:a-{slot}", signal): how
        for slot in range(3)
        for signal, how in {
            names.BATCH_SIZE: (4.0, 0.1),
            CPU: (0.3, 0.02),
            names.DEVICE_TIME: (40.0, 1.0),
            names.QUEUE_LENGTH: (2.0, 0.2),
        }.items()
    },
}


@dataclass(frozen=True)
class Frame:
    """One tick as `sense.step` takes it: series and nothing else."""

    signals: Signals[Any]
    histograms: tuple[Any, ...] = ()
    pages: tuple[Any, ...] = ()
    fresh: tuple[Any, ...] = ()
    invalid: Mapping[Any, Any] = field(default_factory=dict)
    increments: Mapping[Any, Any] = field(default_factory=dict)


class Fed:
    """The signals part: takes each tick's values as they are given."""

    def __init__(self) -> None:
        self.values: Sequence[float] = ()
        self.keys: tuple[SeriesKey, ...] = ()

    def init(self) -> Any:
        return ()

    def step(
        self, state: Any, reports: Any, world: Any, managed: Any, now: TimeNs, tick: int
    ) -> tuple[Any, Frame]:
        known = np.isfinite(self.values)
        signals = Signals(
            at=now, tick=tick, keys=self.keys, values=np.array(self.values),
            age_ns=np.zeros(len(self.keys), dtype=np.int64), samples=np.full(len(self.keys), 100.0),
            quality=tuple(Quality.GOOD if one else Quality.MISSING for one in known.tolist()),
            world=world,
        )  # fmt: skip
        return state, Frame(signals=signals)


class Deployment:
    """One deployment, one tick after the other.

    Attributes:
        off: Added to a series, by (subject, signal).
        silent: Series that are not heard.
        hangs: Series that say the same on every tick.
        busy: An action of ours is in flight.
        told: What people were told.
    """

    SCRAPE_NS = SCRAPE_S * SECOND

    def __init__(self, seed: int = 1) -> None:
        self.chance = np.random.default_rng(seed)
        objective = Objective(latency_p95_ms=250.0, error_ratio=0.01)
        self.managed = replace(managed(), objective=objective, scrape_ns=self.SCRAPE_NS)
        self.fed = Fed()
        self.fed.keys = tuple(
            SeriesKey(deployment=self.managed.name, subject=subject, signal=signal)
            for subject, signal in sorted(USUAL)
        )
        self.parts = sense.SenseParts(
            signals=self.fed,
            panel=Panel({"ewma": Ewma(Config())}),
            judge=verdicts.judge,
            shift=Shift(),
            forecasts=forecast.forecasts,
            utilisation=utilisation.utilisation,
            slo_met=slo.slo_met,
            diagnose=diagnose.diagnose,
            fused=Fused(),
        )
        self.state, self.loop = sense.init(self.parts), initial(self.managed)
        self.tick = 0
        self.off: dict[tuple[str, str], float] = {}
        self.silent: set[tuple[str, str]] = set()
        self.hangs: set[tuple[str, str]] = set()
        self.busy = False
        self.told: list[Notice] = []

    def one(self) -> Evidence:
        self.tick += 1
        noise = self.chance.normal(size=len(self.fed.keys)).tolist()
        self.fed.values = [
            np.nan
            if name in self.silent
            else max(level + (name not in self.hangs) * sd * z + self.off.get(name, 0.0), 0.0)
            for (name, (level, sd)), z in zip(sorted(USUAL.items()), noise, strict=True)
        ]
        busy = frozenset({self.managed.name}) if self.busy else frozenset()
        now = TimeNs(self.tick * self.SCRAPE_NS)
        self.state, _, (evidence,) = sense.step(
            self.parts, self.state, (), (), (self.managed,), busy, now, self.tick
        )
        view = FleetView(targets=1, replicas=3)
        event = Ticked(at=now, evidence=evidence, fleet=view, kill=KillLevel.OFF)
        self.loop, commands = step(LOOP, self.loop, event)
        self.told += [one.notice for one in commands if isinstance(one, Tell)]
        return evidence

    def play(self, ticks: int) -> list[Evidence]:
        return [self.one() for _ in range(ticks)]

    def move(self, signal: str, by: float) -> None:
        """Move a signal of all replicas to so much above what it was at first."""
        for slot in range(3):
            self.off[f"replica:a-{slot}", signal] = by

    def slots(self, signal: str) -> list[int]:
        """Return the panel's slots of a signal of all replicas."""
        return [slot for key, slot in self.state.panel.slots.index.items() if key.signal == signal]

    def call_normal(self, deployment: str | None = None) -> None:
        """Have a person call the present levels normal; those of this one where none is named."""
        whose = frozenset({deployment or self.managed.name})
        self.state = sense.begun_anew(self.state, whose)

    def kept(self) -> bytes:
        """Return the senses' state as a checkpoint holds it."""
        return to_bytes(self.state)

    def restored(self) -> "Deployment":
        """Return another one that goes on from a checkpoint of this one."""
        other = copy.deepcopy(self)
        other.state = from_bytes(self.kept(), (*CLASSES, *_nested(self.state.fused)))
        return other


def _nested(value: Any) -> set[type]:
    """Return the named tuples in a state of the score."""
    if isinstance(value, FusedState):
        groups = value.batches.groups.values()
        parts = [part for group in groups for part in (group.seen, group.incident)]
        return set().union(*(_nested(part) for part in parts))
    if isinstance(value, tuple):
        return {type(value)}.union(*(_nested(one) for one in value))
    return set()
