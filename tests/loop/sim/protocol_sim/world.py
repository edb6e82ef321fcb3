"""The simulated world: targets, network, journal, kill switch, people, other writers.

Answers every effect of a controller; may lose, delay, double, spoil or break what passes through.
"""

import math
from collections import Counter
from dataclasses import dataclass, field, replace

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind, UndoKind
from homeostat.base.decisions import Effect
from homeostat.base.intent import ActionRecord, Intent, Proof, Receipt
from homeostat.base.policy import GuardPolicy, KillLevel, Managed, Mode, Objective
from homeostat.base.ports import Capabilities
from homeostat.base.units import TimeNs
from homeostat.base.world import Levers, Scalar, Snapshot
from homeostat.loop.protocol import Abort, Approved, EffectSeen, News, Rejected
from homeostat.server.world import told_apart
from protocol_sim import compared
from protocol_sim import invariants_first as some_first
from protocol_sim import invariants_write as promised
from protocol_sim import options as opt
from protocol_sim.chance import Chance
from protocol_sim.journal import Journal, Process
from protocol_sim.memory import Entry, Memory
from protocol_sim.network import Network
from protocol_sim.options import BATCH, BATCH_WAIT, INCARNATION, NO_FAULTS, REPLICAS, TICK, WEIGHT
from protocol_sim.senses import Look, evidence, spoil, well
from protocol_sim.target import ACTUATOR, Target

NAMES = ("m1", "m2", "m3")
EFFECTS = (Effect.HELPED, Effect.HARMED, Effect.UNKNOWN, Effect.NO_CHANGE)
MOSTLY, AT_ONCE = 0.6, 0.25  # of the wishes, where single replicas can be set; and of the rest
SEEN_NO_MORE = 0.03  # a tick on which replicas that are compared fall silent for a while
UNABLE = Capabilities(compare_and_set=True, fencing=True, levers=(BATCH,))
ABLE = replace(UNABLE, one_first=(BATCH,))
ODD: tuple[Scalar, ...] = (math.nan, math.inf, -1, 0, 1e300, "many", 12, 7.5, True, 2, 8, 2, 8)


@dataclass(slots=True)
class World:
    """Everything outside the controllers."""

    options: opt.Options
    chance: Chance = field(init=False)
    memory: Memory = field(init=False)
    journal: Journal = field(init=False)
    network: Network = field(init=False)
    targets: dict[str, Target] = field(init=False)
    managed: dict[str, Managed] = field(init=False)
    now: int = 100  # ticks; nothing starts at zero
    thrown: KillLevel = KillLevel.OFF
    thrown_until: int = 0
    kill_unreadable_until: int = 0
    unseen_until: int = 0  # what replicas serve is not seen, so that nothing can be compared
    aborts: set[str] = field(default_factory=set)
    late: list[tuple[int, str, News]] = field(default_factory=list)  # answers on their way
    old: dict[str, Snapshot] = field(default_factory=dict)
    decisions: int = 0
    quiet: bool = False

    def __post_init__(self) -> None:
        mode = self.options.mode
        self.chance = Chance(self.options.seed, self.options.faults)
        self.memory = Memory(mode=mode)
        first = self.options.first
        self.targets = {name: Target(name=name, mode=mode, first=first) for name in NAMES}
        self.managed = {name: managed(name, first=first) for name in NAMES}
        self.memory.live = {name: target.levers for name, target in self.targets.items()}
        fenced = "journal_fence" not in self.options.broken
        self.journal = Journal(self.chance, self.memory, fenced=fenced)
        self.network = Network(self.chance, self.memory, self.targets)

    @property
    def faults(self) -> Counter[str]:
        return self.chance.counts

    def time(self, process: Process) -> TimeNs:
        """Return the time by a process's own clock."""
        return TimeNs((self.now + process.skew) * TICK)

    # -- the journal and the lease ----------------------------------------------------------

    def acquire(self, process: Process) -> int | None:
        return self.journal.acquire(process, self.now)

    def renew(self, process: Process, epoch: int) -> bool:
        return self.journal.renew(process, epoch, self.now)

    def open_journal(self, process: Process, epoch: int) -> dict[str, ActionRecord] | None:
        return self.journal.open(process, epoch, self.now)

    def append(self, process: Process, epoch: int, entry: Entry) -> bool:
        kept = self.journal.append(process, epoch, entry)
        self.aborts |= self.journal.taken_back
        self.journal.taken_back.clear()
        return kept

    # -- reading ----------------------------------------------------------------------------

    def read(self, process: Process, name: str) -> Snapshot | None:
        """Return a reading as the server hands it on: without what is told of all alone."""
        seen = self._page(process, name)
        return None if seen is None else told_apart(seen, ABLE if self.options.first else UNABLE)

    def _page(self, process: Process, name: str) -> Snapshot | None:
        at, chance = self.time(process), self.chance
        if chance.hits("read_failed"):
            return None
        if name in self.old and chance.hits("read_stale"):
            stale = self.old[name]
            return replace(stale, observed_at=at) if self.options.lying_reads else stale
        snapshot = self.targets[name].snapshot(self.now, at)
        if chance.rng.random() > 0.8:  # an old page for later
            self.old[name] = snapshot
        if chance.hits("read_incomplete"):
            kept = [one for one in snapshot.levers if chance.rng.random() < 0.5]
            return replace(snapshot, levers=tuple(kept))
        if chance.hits("read_absurd"):
            return replace(snapshot, levers=_absurd(snapshot.levers, chance))
        if self.options.first and chance.hits("read_partly"):
            drawn = {lever: chance.rng.random() for lever, _ in snapshot.levers if names.own(lever)}
            least = (
                1.0 if next(iter(drawn.values()), 0.0) < 0.3 else 0.5
            )  # of three, one tells none
            kept = [one for one in snapshot.levers if drawn.get(one[0], 1.0) >= least]
            return replace(snapshot, levers=tuple(kept))
        if chance.hits("flapping"):
            return replace(snapshot, changing=not snapshot.changing)
        return snapshot

    @property
    def kill(self) -> KillLevel:
        return self.thrown if self.now < self.thrown_until else KillLevel.OFF

    def read_kill(self) -> KillLevel:
        """Return the switch; one that cannot be read counts as level one."""
        if self.now < self.kill_unreadable_until:
            return KillLevel.OFF if "kill_unreadable" in self.options.broken else KillLevel.NO_NEW
        return self.kill

    @property
    def true_kill(self) -> KillLevel:
        """What must be obeyed, whatever a controller makes of the switch."""
        return KillLevel.NO_NEW if self.now < self.kill_unreadable_until else self.kill

    def look(self, process: Process, snapshot: Snapshot) -> Look:
        """Return the evidence that a controller has at this moment, spoilt or not."""
        target, at = self.targets[snapshot.deployment], self.time(process)
        readings = well(
            int(target.levers[REPLICAS]), int(target.levers[WEIGHT]),
            hung=self.now < target.hung_until, gone=target.missing(self.now),
        )  # fmt: skip
        told = evidence(snapshot, readings, met=self.now >= target.missed_until, at=at)
        if self.chance.rng.random() >= self.chance.faults.metrics:
            return Look(told, "")
        look = spoil(told, self.chance.rng)
        self.chance.count(look.fault)
        return look

    def effect(self, record: ActionRecord) -> Effect:
        weights = (60, 10, 10, 20) if self.quiet else (25, 5, 20, 50)
        seen = self.chance.rng.choices(EFFECTS, weights)[0]
        if seen is Effect.HELPED:
            self.memory.helped.add((record.id, record.stage))
        return seen

    def compared(self, record: ActionRecord) -> tuple[News, ...]:
        """Return what comparing the replicas that have a setting with the rest tells by now."""
        rng, now = self.chance.rng, self.now
        if rng.random() < SEEN_NO_MORE and not self.quiet:
            self.unseen_until = now + rng.randrange(5, 30)
        called = compared.call(rng, quiet=self.quiet, seen=self.quiet or now >= self.unseen_until)
        if called in compared.PROVES:
            self.memory.word.add(record.id)
        told = compared.news(record, self.managed[record.deployment], called)
        if EffectSeen(effect=Effect.HELPED) in (
            replace(one, why="") for one in told if isinstance(one, EffectSeen)
        ):
            self.memory.helped.add((record.id, record.stage))
        return told

    def person(self, process: Process, record: ActionRecord) -> list[News]:
        """Return what people say to this action now; a yes to what was asked is their word."""
        said = self._said(process, record)
        if record.proof is Proof.ASKED and any(isinstance(one, Approved) for one in said):
            self.memory.word.add(record.id)
        return said

    def _said(self, process: Process, record: ActionRecord) -> list[News]:
        """Return stops, answers, late and doubled ones."""
        if record.id in self.aborts:
            self.aborts.discard(record.id)
            self.memory.aborted.add((process.incarnation, record.id))
            return [Abort(reason="a person said stop")]
        said = [news for at, id_, news in self.late if at <= self.now and id_ == record.id]
        self.late = [one for one in self.late if one[0] > self.now]
        chance = self.chance.rng.random()
        if chance >= 0.12:
            return said
        news: News = Approved(by="ann") if chance < 0.10 else Rejected(by="bob", why="not now")
        if self.chance.hits("late_answer"):
            self.late.append((self.now + self.chance.rng.randrange(60), record.id, news))
            return said
        return [*said, news, news] if self.chance.hits("doubled_answer") else [*said, news]

    def receipts(self, process: Process, name: str) -> list[Receipt]:
        return self.network.receipts(process, name)

    # -- wishes and writes ------------------------------------------------------------------

    def wish(self, name: str) -> Action:
        """Return an adversary's wish: often sensible, sometimes outside every bound."""
        rng, target = self.chance.rng, self.targets[name]
        wild = rng.random() < 0.08
        if self.now < target.hung_until and not wild:
            change: Levers = ((INCARNATION, int(target.levers[INCARNATION]) + 1),)
            kind, subject = ActionKind.RESTART_REPLICA, "replica:a-1"
            return _action(kind, subject, change, undo=UndoKind.COMPENSATING, touched=1)
        if self.options.first and rng.random() < MOSTLY:
            return compared.wish(rng, target, wild=wild)
        if self.options.first and rng.random() < AT_ONCE:
            return compared.at_once(rng, target)
        return rng.choice(_WISHES)(self, target.levers, wild=wild)

    def scale(self, levers: dict[str, Scalar], *, wild: bool) -> Action:
        rng, live = self.chance.rng, int(levers[REPLICAS])
        near = min(max(live + rng.choice((-1, -1, 1, 2)), 2), 8)
        wanted = rng.choice(ODD) if wild else near
        up = rng.random() < 0.5 if wild else near > live
        direction = ActionKind.SCALE_UP if up else ActionKind.SCALE_DOWN
        return _action(direction, "pool:a", ((REPLICAS, wanted),))

    def shift(self, levers: dict[str, Scalar], *, wild: bool) -> Action:
        live = float(levers[WEIGHT])
        rungs = tuple(float(rung) for rung in (5, 10, 20, 40, 60, 90) if rung > live)
        if live >= 20 and not wild:
            return _action(ActionKind.SHIFT_TRAFFIC, "pool:a", ((WEIGHT, 5.0),))
        ramp = rungs if wild else rungs[: self.chance.rng.choice((1, 2, 3))]
        return _action(ActionKind.SHIFT_TRAFFIC, "pool:b", ((WEIGHT, ramp[-1]),), ramp=ramp)

    def batch(self, levers: dict[str, Scalar], *, wild: bool) -> Action:
        rng, live = self.chance.rng, int(levers[BATCH])
        size = rng.randrange(40) if wild else rng.choice((live * 2, live // 2))
        up = size > live
        change = ((BATCH, size), (BATCH_WAIT, int(levers[BATCH_WAIT]) + (1 if up else -1)))
        return _action(ActionKind.BATCH_UP if up else ActionKind.BATCH_DOWN, "model", change)

    def room(self, name: str) -> bool:
        """Return whether another deployment may change now; asking in vain is dear."""
        others = (r for other, r in self.journal.durable.items() if other != name)
        busy = sum(r.intent is not None and not r.state.is_terminal for r in others)
        return busy < (opt.MAX_BUSY if self.options.mode.has_cas else opt.MAX_BUSY // 2)

    def next_id(self) -> str:
        self.decisions += 1
        return f"d-{self.decisions:04d}"

    def send(self, process: Process, intent: Intent) -> None:
        # Re-checked at the last moment where requests are promised to die (CALM).
        if self.options.mode is opt.Mode.CALM and self.time(process) > intent.deadline:
            return
        memory, where = self.memory, (process.incarnation, intent.deployment)
        promised.i3_write_ahead(memory, intent, "sent")
        permit = promised.i1_asked(memory, memory.permits.pop(where, None), process.steps, intent)
        if permit is not None:
            memory.budgets.setdefault(intent.id, permit.budget_usd)
            promised.i6_kill_switch(memory, permit, intent)
            promised.i8_fresh(memory, permit, intent)
        promised.i9_no_stage_unproven(memory, intent)
        some_first.i19_some_first(memory, permit, intent, able=self.options.first)
        self.network.send(process, intent, self.now)

    def claim(self, name: str, epoch: int) -> None:
        self.network.claim(name, epoch, self.now)

    # -- what nobody asked for --------------------------------------------------------------

    def meddle(self) -> None:
        """Somebody else writes a lever, within bounds: a new value, the live or the last one."""
        rng = self.chance.rng
        target = self.targets[rng.choice(NAMES)]
        values: dict[str, Scalar] = {
            REPLICAS: rng.randrange(3, 8),
            WEIGHT: rng.choice((0, 5, 10, 20)),
            INCARNATION: int(target.levers[INCARNATION]) + 1,
            BATCH: rng.choice((4, 8, 16)),
        }
        if target.first:  # of one replica alone
            slot = rng.choice((*target.slots_of("a"), "b-1"))
            values[names.lever_own(BATCH, slot)] = rng.choice((0, 4, 16))
        name = rng.choice(tuple(values))
        how = rng.random()
        value = target.levers[name] if how < 0.2 else values[name]
        if how > 0.6 and target.previous:  # a person takes the last change back
            name = rng.choice(tuple(target.previous))
            value = target.previous[name]
        flying = [one for one in self.memory.records.values() if one.in_flight]
        if flying and how < 0.6:  # by hand, at the same moment, the same
            one = rng.choice(flying)
            if one.intent is not None:
                target, (name, value) = self.targets[one.deployment], one.intent.post[0]
        if not target.knows(((name, value),)):
            return  # of a replica that has gone since
        self.network.foreign(target, name, value)

    def throw_kill(self) -> None:
        self.thrown = self.chance.rng.choice((KillLevel.NO_NEW, KillLevel.NOTHING))
        self.thrown_until = self.now + self.chance.rng.randrange(5, 50)

    def hide_kill(self) -> None:
        self.kill_unreadable_until = self.now + self.chance.rng.randrange(5, 30)

    def request_abort(self) -> None:
        record = self.journal.durable.get(self.chance.rng.choice(NAMES))
        if record is not None and not record.state.is_terminal:
            self.aborts.add(record.id)

    def reload(self) -> None:
        """Another policy comes into force, whatever is in flight: mode and budget change."""
        rng = self.chance.rng
        name = rng.choice(NAMES)
        guard = replace(opt.POLICY, budget_usd_per_hour=rng.choice(opt.BUDGETS_USD))
        mode = rng.choice((Mode.AUTO, Mode.APPROVE))
        self.managed[name] = managed(name, guard, mode, first=self.options.first)

    def trouble(self) -> None:
        target, until = self.targets[self.chance.rng.choice(NAMES)], self.now + 40
        if self.chance.rng.random() < 0.6:
            target.hung_until = until
        else:
            target.missed_until = until

    def die(self) -> None:
        """A replica dies, and another takes its place after a while."""
        target = self.targets[self.chance.rng.choice(NAMES)]
        slot = self.chance.rng.choice(target.slots_of("a"))
        target.die(slot, self.now + self.chance.rng.randrange(3, 30))

    def calm_down(self) -> None:
        """Start the quiet phase: no more faults, wishes, foreign writes or kill switch."""
        self.quiet = self.network.quiet = True
        self.thrown_until = self.kill_unreadable_until = 0
        self.chance.faults = NO_FAULTS


_WISHES = (World.scale, World.scale, World.shift, World.batch)


def _absurd(levers: Levers, chance: Chance) -> Levers:
    # Not a plausible number: one that is believed, and would be written back by an undo.
    odd: tuple[Scalar, ...] = (math.nan, math.inf, -math.inf, "none", "")
    return tuple(
        (name, chance.rng.choice(odd) if chance.rng.random() < 0.5 else value)
        for name, value in levers
    )


def managed(
    name: str, guard: GuardPolicy = opt.POLICY, mode: Mode = Mode.AUTO, *, first: bool = False
) -> Managed:
    """Return a deployment's policy; with margins to compare by where some can have it first."""
    return Managed(
        name=name, mode=mode, scrape_ns=TICK,
        objective=Objective(latency_p95_ms=250.0, error_ratio=0.01),
        stable_pool="a", fallback_pool="b", scale_actuator=ACTUATOR, traffic_actuator=ACTUATOR,
        replica_usd_per_hour=opt.PRICE_USD, guard=guard, policy_digest="0" * 64,
        canary=compared.POLICY if first else None,
    )  # fmt: skip


def _action(
    kind: ActionKind,
    subject: str,
    change: Levers,
    *,
    ramp: tuple[float, ...] = (),
    undo: UndoKind = UndoKind.EXACT,
    touched: int = 0,
) -> Action:
    return Action(
        kind=kind, subject=subject, actuator=ACTUATOR, change=change, undo=undo, ramp=ramp,
        settle_ns=3 * TICK, replicas_touched=touched,
    )  # fmt: skip
