"""Runs one seed: schedules two controllers, injects faults between effects, then goes quiet."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from protocol_sim.checkers import Violation
from protocol_sim.controller import Effects, controller, sleep
from protocol_sim.options import MAX_PAUSE, Options
from protocol_sim.world import Process, World

QUIET_TICKS = 600  # an approval, a quiesce and three undo attempts in a row fit in here
STILL_TICKS = 60  # at rest: nothing in flight and nothing sent for this long


@dataclass(slots=True)
class Slot:
    """A controller process and the effect that it asks for next."""

    process: Process
    program: Effects
    pending: tuple[Callable[..., Any], tuple[Any, ...]]
    ready_at: int = 0


@dataclass(slots=True)
class Report:
    """What one run did."""

    effects: int = 0
    ticks: int = 0
    settle_ticks: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    stale: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Run:
    """One run in progress."""

    options: Options
    world: World = field(init=False)
    slots: list[Slot] = field(init=False)
    report: Report = field(default_factory=Report)
    incarnations: int = 0
    crash_before: int = -1  # crash the leader's process right before this effect
    crashed_in: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.world = World(self.options)
        self.slots = [self._boot(seat) for seat in range(2)]

    def go(self) -> Report:
        """Run the storm, then the quiet phase, and return what happened.

        Raises:
            Violation: An invariant is broken.
        """
        while self.report.effects < self.options.effects:
            slot = self._next_slot()
            if not self._disturb(slot):
                self._execute(slot)
        self._settle()
        report, world = self.report, self.world
        report.ticks = world.now
        report.faults, report.done = world.faults, world.done
        report.stale = world.check.counts
        report.ends = Counter(r.state.value for r in world.check.actions.values())
        return report

    def _settle(self) -> None:
        world = self.world
        world.calm_down()
        started = busy_at = world.now
        sends = world.done["sends"]
        while world.now < busy_at + STILL_TICKS:
            self._execute(self._next_slot())
            busy = any(not record.state.is_terminal for record in world.durable.values())
            if busy or world.done["sends"] != sends:
                busy_at, sends = world.now, world.done["sends"]
            if busy_at > started + QUIET_TICKS:
                records = [f"{r.id} {r.state}" for r in world.durable.values()]
                raise Violation(
                    "I15", f"not at rest {QUIET_TICKS} ticks after the storm: {records}"
                )
        self.report.settle_ticks = busy_at - started

    def _boot(self, seat: int) -> Slot:
        self.incarnations += 1
        process = Process(
            seat=seat,
            incarnation=self.incarnations,
            inbox={name: [] for name in self.world.targets},
        )
        program = controller(self.world, process)
        return Slot(process=process, program=program, pending=next(program))

    def _next_slot(self) -> Slot:
        world = self.world
        ready = [slot for slot in self.slots if slot.ready_at <= world.now]
        if not ready:
            world.now = min(slot.ready_at for slot in self.slots)
            ready = [slot for slot in self.slots if slot.ready_at <= world.now]
        world.deliver()
        return ready[0] if len(ready) == 1 else ready[world.rng.randrange(len(ready))]

    def _disturb(self, slot: Slot) -> bool:
        """Maybe do something between two effects; return whether the effect has to wait."""
        world, faults = self.world, self.options.faults
        if self.report.effects == self.crash_before and slot.process.seat == world.holder:
            self.crash_before = -1
            self.crashed_in.update(self._open_states())
            self._crash(slot)
            return True
        chance = world.rng.random()
        for name, happen in (
            ("crash", self._crash),
            ("pause", self._pause),
        ):
            chance -= getattr(faults, name)
            if chance < 0:
                world.faults[name] += 1
                happen(slot)
                return True
        for name, occur in (
            ("steal", self._steal),
            ("meddle", world.meddle),
            ("kill", world.flip_kill),
            ("abort", world.request_abort),
        ):
            chance -= getattr(faults, name)
            if chance < 0:
                occur()
                return False
        return False

    def _crash(self, slot: Slot) -> None:
        slot.process.alive = False
        slot.program.close()
        fresh = self._boot(slot.process.seat)
        fresh.ready_at = self.world.now + self.world.rng.randrange(1, 30)
        self.slots[slot.process.seat] = fresh

    def _open_states(self) -> list[str]:
        flying = {True: " with a write in flight", False: ""}
        return [
            record.state + flying[record.in_flight]
            for record in self.world.durable.values()
            if not record.state.is_terminal
        ]

    def _pause(self, slot: Slot) -> None:
        slot.ready_at = self.world.now + self.world.rng.randrange(1, MAX_PAUSE + 1)

    def _steal(self) -> None:
        self.world.faults["lease stolen"] += 1
        self.world.lease_until = 0

    def _execute(self, slot: Slot) -> None:
        function, arguments = slot.pending
        if function is sleep:
            slot.ready_at = self.world.now + arguments[0]
            slot.pending = slot.program.send(None)
            return
        answer = function(*arguments)
        self.report.effects += 1
        slot.process.steps += 1
        if self.world.rng.random() < 0.25:
            self.world.now += 1
        slot.pending = slot.program.send(answer)


def run(options: Options) -> Report:
    """Run one seed.

    Raises:
        Violation: An invariant is broken; the message names the options to repeat it.
    """
    try:
        return Run(options).go()
    except Violation as violation:
        violation.add_note(f"repeat with {options!r}")
        raise
