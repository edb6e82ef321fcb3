"""The simulated world: targets, network, journal, lease, kill switch, people, other writers.

Answers every effect of a controller; may lose, delay, double or break what passes through it.
"""

import heapq
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import count
from random import Random

from homeostat.base import codec
from homeostat.base.actions import Action, ActionKind, UndoKind
from homeostat.base.decisions import Effect
from homeostat.base.intent import ActionRecord, Intent, Receipt, ReceiptStatus
from homeostat.base.policy import KillLevel
from homeostat.base.units import TimeNs
from homeostat.base.world import Levers, Scalar, Snapshot
from homeostat.loop.protocol import Abort, Approved, News, Rejected
from protocol_sim.checkers import Checkers
from protocol_sim.options import LEASE_TICKS, MAX_DELAY, NO_FAULTS, Faults, Mode, Options
from protocol_sim.target import FOREIGN, Target

NAMES = ("m1", "m2", "m3")
EFFECTS = (Effect.HELPED, Effect.HARMED, Effect.UNKNOWN, Effect.NO_CHANGE)


@dataclass(slots=True, eq=False)
class Process:
    """One incarnation of a controller, as the world knows it."""

    seat: int
    incarnation: int
    inbox: dict[str, list[Receipt]]
    steps: int = 0
    alive: bool = True


@dataclass(slots=True)
class World:
    """Everything outside the controllers."""

    options: Options
    rng: Random = field(init=False)
    check: Checkers = field(init=False)
    now: int = 0
    targets: dict[str, Target] = field(init=False)
    network: list[tuple[int, int, Process | None, str, Intent | int, Levers]] = field(init=False)
    order: "count[int]" = field(default_factory=count)
    durable: dict[str, ActionRecord] = field(default_factory=dict)
    journal_epoch: int = 0
    holder: int = -1
    lease_until: int = 0
    lease_epoch: int = 0
    kill: KillLevel = KillLevel.OFF
    aborts: set[str] = field(default_factory=set)
    old: dict[str, Snapshot] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    decisions: int = 0
    quiet: bool = False

    def __post_init__(self) -> None:
        self.rng = Random(self.options.seed)
        self.check = Checkers(mode=self.options.mode)
        self.network = []
        self.targets = {
            name: Target(
                name=name,
                mode=self.options.mode,
                levers={"batch": 8, "incarnation": 1, "replicas": 4, "weight": 5},
            )
            for name in NAMES
        }
        self.check.live = {name: target.levers for name, target in self.targets.items()}

    # -- the journal and the lease ----------------------------------------------------------

    def acquire(self, seat: int) -> int | None:
        if self.now < self.lease_until and self.holder != seat:
            return None
        self.holder, self.lease_until = seat, self.now + LEASE_TICKS
        self.lease_epoch += 1
        return self.lease_epoch

    def renew(self, seat: int, epoch: int) -> bool:
        if self.holder != seat or self.lease_epoch != epoch:
            return False
        self.lease_until = self.now + LEASE_TICKS
        return True

    def open_journal(self, epoch: int) -> dict[str, ActionRecord] | None:
        """Fence older epochs and return each deployment's last record, through its bytes."""
        if epoch < self.journal_epoch and "journal_fence" not in self.options.broken:
            return None
        self.journal_epoch = max(self.journal_epoch, epoch)
        return {
            name: codec.decode(codec.encode(record))
            for name, record in self.durable.items()
            if not record.state.is_terminal
        }

    def append(self, process: Process, epoch: int, record: ActionRecord) -> bool:
        if epoch < self.journal_epoch and "journal_fence" not in self.options.broken:
            if (process.incarnation, record.id) in self.check.aborted:
                self.check.aborted.discard((process.incarnation, record.id))
                self.aborts.add(record.id)  # the stop was not taken down: the person asks again
            return False
        self.check.on_journal(process.incarnation, record)
        self.durable[record.deployment] = record
        self.done["records"] += 1
        return True

    # -- reading ----------------------------------------------------------------------------

    def read(self, name: str) -> Snapshot | None:
        chance, faults = self.rng.random(), self.options.faults
        if not self.quiet:
            if chance < faults.read_failed:
                self.faults["read failed"] += 1
                return None
            if chance < faults.read_failed + faults.read_stale and name in self.old:
                self.faults["read stale"] += 1
                if self.options.lying_reads:
                    return replace(self.old[name], observed_at=TimeNs(self.now))
                return self.old[name]
        snapshot = self.targets[name].snapshot(self.now)
        if chance > 0.8:  # an old page for later
            self.old[name] = snapshot
        return snapshot

    def read_kill(self) -> KillLevel:
        return self.kill

    def effect(self, record: ActionRecord) -> Effect:
        weights = (60, 10, 10, 20) if self.quiet else (15, 5, 25, 55)
        seen = self.rng.choices(EFFECTS, weights)[0]
        if seen is Effect.HELPED:
            self.check.helped.add((record.id, record.stage))
        return seen

    def person(self, process: Process, record: ActionRecord) -> News | None:
        if record.id in self.aborts:
            self.aborts.discard(record.id)
            self.check.aborted.add((process.incarnation, record.id))
            return Abort(reason="a person said stop")
        chance = self.rng.random()
        if chance < 0.10:
            return Approved(by="ann")
        return Rejected(by="bob", why="not now") if chance < 0.12 else None

    def receipts(self, process: Process, name: str) -> list[Receipt]:
        waiting = process.inbox[name]
        process.inbox[name] = []
        return waiting

    # -- wishes -----------------------------------------------------------------------------

    def wish(self, name: str) -> Action:
        """Return an adversary's wish: often sensible, sometimes outside every bound."""
        rng, levers = self.rng, self.targets[name].levers
        kind = rng.choice(("scale", "scale", "ramp", "restart", "both"))
        wild = rng.random() < 0.15
        if kind == "ramp":
            top = 90 if wild else rng.choice((30, 40, 50))
            return _action(ActionKind.SHIFT_TRAFFIC, (("weight", top),), ramp=(10.0, 20.0, top))
        if kind == "restart":
            number = int(levers["incarnation"]) + 1
            change: Levers = (("incarnation", number),)
            return _action(ActionKind.RESTART_REPLICA, change, undo=UndoKind.COMPENSATING)
        near = int(levers["replicas"]) + rng.choice((-2, -1, 1, 2))
        replicas = rng.randrange(-1, 12) if wild else min(max(near, 2), 8)
        up = replicas > int(levers["replicas"])
        direction = ActionKind.SCALE_UP if up else ActionKind.SCALE_DOWN
        if kind == "scale":
            return _action(direction, (("replicas", replicas),))
        return _action(
            direction,
            (
                ("batch", rng.randrange(40) if wild else rng.choice((4, 8, 16, 32))),
                ("replicas", replicas),
            ),
        )

    def next_id(self) -> str:
        self.decisions += 1
        return f"d-{self.decisions:04d}"

    # -- writing ----------------------------------------------------------------------------

    def send(self, process: Process, intent: Intent) -> None:
        # Re-checked at the last moment where requests are promised to die (CALM).
        if self.options.mode is Mode.CALM and self.now > intent.deadline:
            return
        self.check.on_send(process.incarnation, process.steps, intent)
        self.done["sends"] += 1
        chance, faults = self.rng.random(), self._faults()
        if chance < faults.lost_request:
            self.faults["request lost"] += 1
            return
        self._post(process, intent, intent.post, self._delay())
        if self.rng.random() < faults.duplicated:
            self.faults["request doubled"] += 1
            self._post(process, intent, intent.post, self._delay() + self.rng.randrange(MAX_DELAY))

    def claim(self, name: str, epoch: int) -> None:
        if self.rng.random() < self._faults().lost_request:
            self.faults["claim lost"] += 1
            return
        self._push(self._delay(), None, name, epoch, ())

    def deliver(self) -> None:
        while self.network and self.network[0][0] <= self.now:
            _, _, process, name, what, change = heapq.heappop(self.network)
            target = self.targets[name]
            if isinstance(what, Intent):
                self._land(process, target, what, change)
            else:
                target.claim(what)
                self.check.on_stamp(name, what)

    def _post(self, process: Process, intent: Intent, change: Levers, delay: int) -> None:
        torn = not self.options.mode.has_cas and self.rng.random() < self._faults().partial
        if torn and len(change) > 1:
            self.faults["partly applied"] += 1
            self._push(delay + self._delay(), process, intent.deployment, intent, change[1:])
            change = change[:1]
        self._push(delay, process, intent.deployment, intent, change)

    def _push(
        self, delay: int, process: Process | None, name: str, what: Intent | int, change: Levers
    ) -> None:
        entry = (self.now + delay, next(self.order), process, name, what, change)
        heapq.heappush(self.network, entry)

    def _delay(self) -> int:
        if self.rng.random() < self._faults().delayed:
            self.faults["delayed"] += 1
            return self.rng.randrange(1, MAX_DELAY + 1)
        return self.rng.randrange(3)

    def _land(
        self, process: Process | None, target: Target, intent: Intent, change: Levers
    ) -> None:
        if target.mode.has_cas and intent.id in target.landed:
            self._reply(process, intent, ReceiptStatus.DONE)  # remembered, nothing changes
        elif target.refuses(intent):
            self.done["conflicts"] += 1
            self._reply(process, intent, ReceiptStatus.NOT_APPLIED)
        else:
            self.check.on_apply(target, intent, change)
            self.done["applies"] += 1
            target.landed.add(intent.id)
            target.write(change, intent.id, intent=intent.id, epoch=intent.epoch)
            chance = self.rng.random()
            busy = 60 if chance < 0.03 and not self.quiet else self.rng.randrange(8)
            target.changing_until = self.now + busy
            if self.rng.random() < self._faults().quarrel:
                self._foreign(target, change[0][0], target.previous[change[0][0]])
            self._reply(process, intent, ReceiptStatus.DONE)

    def _reply(self, process: Process | None, intent: Intent, status: ReceiptStatus) -> None:
        if process is None or not process.alive:
            return
        chance, faults = self.rng.random(), self._faults()
        if chance < faults.lost_reply:
            self.faults["reply lost"] += 1
            return
        if chance < faults.lost_reply + faults.broken_reply:
            self.faults["reply broken"] += 1
            status = ReceiptStatus.UNKNOWN
        process.inbox[intent.deployment].append(
            Receipt(
                intent_id=intent.id,
                status=status,
                at=TimeNs(self.now),
                conflict=status is ReceiptStatus.NOT_APPLIED,
            )
        )

    # -- what nobody asked for --------------------------------------------------------------

    def meddle(self) -> None:
        """Somebody else writes a lever, within bounds: a new value, the live or the last one."""
        rng = self.rng
        target = self.targets[rng.choice(NAMES)]
        values: dict[str, Scalar] = {
            "replicas": rng.randrange(3, 8),
            "weight": rng.choice((0, 5, 10, 20)),
            "incarnation": int(target.levers["incarnation"]) + 1,
            "batch": rng.choice((4, 8, 16)),
        }
        name = rng.choice(tuple(values))
        how = rng.random()
        value = target.levers[name] if how < 0.2 else values[name]
        if how > 0.6 and target.previous:  # a person takes the last change back
            name = rng.choice(tuple(target.previous))
            value = target.previous[name]
        self._foreign(target, name, value)

    def _foreign(self, target: Target, name: str, value: Scalar) -> None:
        self.check.on_foreign(target.name)
        target.write(((name, value),), FOREIGN, intent=None, epoch=0)
        self.faults["foreign write"] += 1

    def flip_kill(self) -> None:
        off = self.kill is not KillLevel.OFF
        self.kill = KillLevel.OFF if off else self.rng.choice((KillLevel.NO_NEW, KillLevel.NOTHING))
        self.faults["kill switch"] += 1

    def request_abort(self) -> None:
        record = self.durable.get(self.rng.choice(NAMES))
        if record is not None and not record.state.is_terminal:
            self.aborts.add(record.id)
            self.faults["abort"] += 1

    def calm_down(self) -> None:
        """Start the quiet phase: no more faults, wishes, foreign writes or kill switch."""
        self.quiet, self.kill = True, KillLevel.OFF
        self.options = replace(self.options, faults=NO_FAULTS)

    def _faults(self) -> Faults:
        return self.options.faults


def _action(
    kind: ActionKind,
    change: Levers,
    *,
    ramp: tuple[float, ...] = (),
    undo: UndoKind = UndoKind.EXACT,
) -> Action:
    return Action(
        kind=kind, subject="pool:a", actuator="target", change=change, undo=undo, ramp=ramp,
        settle_ns=3,
    )  # fmt: skip
