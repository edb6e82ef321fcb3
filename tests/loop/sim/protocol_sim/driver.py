"""Runs one seed: schedules two controllers, injects faults between effects, then goes quiet."""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import accumulate
from typing import Any

from homeostat.base import codec
from protocol_sim.chance import KINDS
from protocol_sim.controller import Effects, controller, sleep
from protocol_sim.invariants_journal import i14_replay
from protocol_sim.journal import CrashedError, Process
from protocol_sim.memory import Violation
from protocol_sim.options import JUMP_TICKS, MAX_PAUSE, MAX_SKEW, TICK, Options
from protocol_sim.world import World

QUIET_TICKS = 600  # an approval, a quiesce and three undo attempts in a row fit in here
STILL_TICKS = 60  # at rest: nothing in flight and nothing sent for this long
BETWEEN = (
    "crash", "pause", "steal", "meddle", "throw_kill", "hide_kill", "request_abort", "reload",
    "trouble", "clock_step", "die",
)  # fmt: skip
SHORT = 200  # effects: what every single one of may be made to fail
TRACE_TAIL = 60  # effects that a repeated failure shows


class How(StrEnum):
    """What happens to the one effect that is to fail."""

    CRASH_BEFORE = "crash before it"
    CRASH_AFTER = "crash after it"
    PAUSE = "long pause before it"
    LOST = "its request or record is lost"
    UNSURE = "done, and reported as failed"


@dataclass(slots=True)
class Slot:
    """A controller process and the effect that it asks for next."""

    process: Process
    program: Effects
    pending: tuple[Callable[..., Any], tuple[Any, ...]]
    ready_at: int = 0


@dataclass(slots=True)
class Report:
    """What one run did, or several."""

    effects: int = 0
    ticks: int = 0
    settle_ticks: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    stale: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    checked: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Report") -> None:
        """Count another run in."""
        self.effects += other.effects
        self.ticks += other.ticks
        self.settle_ticks = max(self.settle_ticks, other.settle_ticks)
        for name in ("faults", "done", "stale", "ends", "checked"):
            getattr(self, name).update(getattr(other, name))


@dataclass(slots=True)
class Run:
    """One run in progress."""

    options: Options
    world: World = field(init=False)
    slots: list[Slot] = field(init=False)
    report: Report = field(default_factory=Report)
    incarnations: int = 0
    fail_at: tuple[int, How] = (-1, How.CRASH_BEFORE)  # the leader's effect that goes wrong
    failed_in: Counter[str] = field(default_factory=Counter)
    lived_in: Counter[str] = field(default_factory=Counter)  # by the leader's effects, if short
    rare: tuple[tuple[float, str], ...] = ()  # what may happen between effects, by its draw

    def __post_init__(self) -> None:
        self.world = World(self.options)
        self.slots = [self._boot(seat) for seat in range(2)]
        chances = [getattr(self.options.faults, name) for name in BETWEEN]
        self.rare = tuple(zip(accumulate(chances), BETWEEN, strict=True))

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
        report, world, memory = self.report, self.world, self.world.memory
        i14_replay(memory, world.journal.durable)
        report.ticks = world.now
        report.faults, report.stale = world.faults, memory.counts
        report.done = Counter({**world.network.done, "records": world.journal.appended})
        report.ends = Counter(r.state.value for r in memory.actions.values())
        report.checked = memory.checked
        return report

    def digest(self) -> str:
        """Return what identifies the run's decisions: its log, byte for byte."""
        log = b"|".join(codec.encode(entry.after) for entry in self.world.memory.log)
        return f"{hashlib.sha256(log).hexdigest()} {self.world.now}"

    def _settle(self) -> None:
        """I15: when faults stop, everything ends within a bound, and then stays as it is.

        Raises:
            Violation: Something is still going on.
        """
        world = self.world
        world.calm_down()
        started = busy_at = world.now
        sends = world.network.done["sends"]
        durable = world.journal.durable
        while world.now < busy_at + STILL_TICKS:
            self._execute(self._next_slot())
            busy = any(not record.state.is_terminal for record in durable.values())
            if busy or world.network.done["sends"] != sends:
                busy_at, sends = world.now, world.network.done["sends"]
            if busy_at > started + QUIET_TICKS:
                records = [f"{r.id} {r.state}" for r in durable.values()]
                raise Violation(
                    "I15", f"not at rest {QUIET_TICKS} ticks after the storm: {records}"
                )
        self.report.settle_ticks = busy_at - started

    def _boot(self, seat: int) -> Slot:
        self.incarnations += 1
        process = Process(seat=seat, incarnation=self.incarnations)
        if self.world.chance.hits("clock_skew"):
            process.skew = self.world.chance.rng.randrange(-MAX_SKEW, MAX_SKEW + 1)
        program = controller(self.world, process)
        return Slot(process=process, program=program, pending=next(program))

    def _next_slot(self) -> Slot:
        world = self.world
        ready = [slot for slot in self.slots if slot.ready_at <= world.now]
        if not ready:
            world.now = min(slot.ready_at for slot in self.slots)
            ready = [slot for slot in self.slots if slot.ready_at <= world.now]
        world.network.deliver(world.now)
        return ready[0] if len(ready) == 1 else ready[world.chance.rng.randrange(len(ready))]

    def _disturb(self, slot: Slot) -> bool:
        """Maybe do something between two effects; return whether the effect has to wait."""
        world = self.world
        if self.options.effects <= SHORT and slot.process.seat == world.journal.holder:
            self.lived_in.update(self._open_states())
        if self._fails_now(slot):
            self.failed_in.update(self._open_states())
            return self._fail(slot, self.fail_at[1])
        # One draw for all that may happen between two effects.
        draw = world.chance.rng.random()
        if draw >= self.rare[-1][0] or world.quiet:
            return False
        name = next(name for until, name in self.rare if draw < until)
        world.chance.count(KINDS[name])
        return self._happen(name, slot)

    def _happen(self, name: str, slot: Slot) -> bool:
        world = self.world
        match name:
            case "crash":
                self._crash(slot)
            case "pause":
                slot.ready_at = world.now + world.chance.rng.randrange(1, MAX_PAUSE + 1)
            case "steal":
                world.journal.lease_until = 0
            case "clock_step":
                self._step_clock()
            case _:
                getattr(world, name)()
        return name in {"crash", "pause"}

    def _fails_now(self, slot: Slot) -> bool:
        leads = slot.process.seat == self.world.journal.holder
        return self.report.effects == self.fail_at[0] and leads

    def _fail(self, slot: Slot, how: How) -> bool:
        """Make one effect fail in one way; return whether that was all."""
        self.fail_at = (-1, how)
        world = self.world
        match how:
            case How.CRASH_BEFORE:
                self._crash(slot)
            case How.CRASH_AFTER:
                function, arguments = slot.pending
                if function is not sleep:
                    function(*arguments)
                self._crash(slot)
            case How.PAUSE:
                slot.ready_at = world.now + 2 * MAX_PAUSE
            case How.LOST | How.UNSURE:
                return self._unseen(slot, done=how is How.UNSURE)
        return True

    def _unseen(self, slot: Slot, *, done: bool) -> bool:
        """Lose an effect, or let it happen and report that it did not."""
        function, arguments = slot.pending
        named = getattr(function, "__name__", "")
        if named not in {"append", "read", "send", "claim"}:
            return False
        if named == "append":
            self.world.journal.full_once = not done
            function(*arguments)
            self._count(slot, answer=False)
            return True
        if done:
            function(*arguments)
        self._count(slot, answer=None)
        return True

    def _crash(self, slot: Slot) -> None:
        slot.process.alive = False
        slot.program.close()
        fresh = self._boot(slot.process.seat)
        fresh.ready_at = self.world.now + self.world.chance.rng.randrange(1, 30)
        self.slots[slot.process.seat] = fresh

    def _open_states(self) -> list[str]:
        flying = {True: " with a write in flight", False: ""}
        return [
            record.state + flying[record.in_flight]
            for record in self.world.journal.durable.values()
            if not record.state.is_terminal
        ]

    def _step_clock(self) -> None:
        """The wall clock is stepped: controllers notice, and observe only for a while."""
        for slot in self.slots:
            until = self.world.time(slot.process) + JUMP_TICKS * TICK
            slot.process.observe_until = type(self.world.time(slot.process))(until)

    def _execute(self, slot: Slot) -> None:
        function, arguments = slot.pending
        if function is sleep:
            slot.ready_at = self.world.now + arguments[0]
            slot.pending = slot.program.send(None)
            return
        try:
            answer = function(*arguments)
        except CrashedError:
            self.report.effects += 1
            self._crash(slot)
            return
        if self.world.chance.hits("crash_after"):
            self.report.effects += 1
            self._crash(slot)
            return
        self._count(slot, answer)

    def _count(self, slot: Slot, answer: Any) -> None:
        world = self.world
        self.report.effects += 1
        slot.process.steps += 1
        if world.chance.trace is not None:
            world.chance.trace.append(_line(world, slot, answer))
        if world.chance.rng.random() < 0.25:
            world.now += 1
        slot.pending = slot.program.send(answer)


def _line(world: World, slot: Slot, answer: Any) -> str:
    """Return one effect as a person reads it."""
    function, arguments = slot.pending
    name = getattr(function, "__name__", "effect")
    told = [str(one) for one in arguments if isinstance(one, str | int)]
    for one in arguments:
        record = getattr(one, "after", None)
        if record is not None:
            told.append(f"{record.id} {record.state}{' in flight' if record.in_flight else ''}")
        if getattr(one, "action_id", None) is not None:
            told.append(f"{one.id} {one.post} token {one.token} epoch {one.epoch}")
    shown = answer if isinstance(answer, bool | int | str | None) else type(answer).__name__
    who = f"{slot.process.seat}/{slot.process.incarnation}"
    return f"{world.now:6} {who:>6} {name} {' '.join(told)} -> {shown}"


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


def i13_determinism(options: Options) -> None:
    """I13: the same configuration, inputs and seed give a byte-identical decision log.

    Raises:
        Violation: Two runs differ.
    """
    digests = []
    for _ in range(2):
        one = Run(options)
        one.go()
        digests.append(one.digest())
    if digests[0] != digests[1]:
        raise Violation("I13", f"two runs of one seed differ: {options!r}")


def traced(options: Options) -> str:
    """Run one seed once more and return the last of what happened before it broke a promise."""
    again = Run(options)
    again.world.chance.trace = []
    try:
        again.go()
    except Violation as violation:
        tail = again.world.chance.trace[-TRACE_TAIL:]
        return "\n".join([f"{options!r}", *tail, f"      {violation}"])
    return "no promise was broken"


def shrunk(options: Options) -> Options:
    """Return the shortest storm of the same seed that still breaks a promise, by halving."""
    low, high = 1, options.effects
    while low < high:
        middle = (low + high) // 2
        if _breaks(_shortened(options, middle)):
            high = middle
        else:
            low = middle + 1
    best = _shortened(options, high)
    return best if _breaks(best) else options


def _shortened(options: Options, effects: int) -> Options:
    return replace(options, effects=effects)


def _breaks(options: Options) -> bool:
    try:
        Run(options).go()
    except Violation:
        return True
    return False
