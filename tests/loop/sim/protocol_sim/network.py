"""The simulated network: requests, claims and replies that are lost, late, doubled or wrong."""

import heapq
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import count

from homeostat.base import names
from homeostat.base.intent import Intent, Receipt, ReceiptStatus
from homeostat.base.units import TimeNs
from homeostat.base.world import Levers, Scalar
from protocol_sim import invariants_first as some_first
from protocol_sim import invariants_write as promised
from protocol_sim.chance import Chance
from protocol_sim.journal import Process
from protocol_sim.memory import Memory
from protocol_sim.options import BATCH, MAX_DELAY, REPLICAS, TICK
from protocol_sim.target import FOREIGN, Target, formed

Message = tuple[int, int, int, Process | None, str, Intent | int, Levers]


@dataclass(slots=True)
class Network:
    """What is on its way to the targets, and what they answered."""

    chance: Chance
    memory: Memory
    targets: dict[str, Target]
    waiting: list[Message] = field(default_factory=list)
    newest: dict[str, int] = field(default_factory=dict)  # target -> when its last message left
    inbox: dict[tuple[int, str], list[Receipt]] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    quiet: bool = False
    order: "count[int]" = field(default_factory=count)

    def send(self, process: Process, intent: Intent, now: int) -> None:
        self.done["sends"] += 1
        if self.chance.hits("lost_request"):
            if self.chance.hits("lying_reply"):
                self.memory.lied.add(intent.id)
                self._reply(process, intent, ReceiptStatus.DONE, now)
            return
        self._post(process, intent, intent.post, now, self._delay())
        if self.chance.hits("duplicated"):
            late = self._delay() + self.chance.rng.randrange(MAX_DELAY)
            self._post(process, intent, intent.post, now, late)

    def claim(self, name: str, epoch: int, now: int) -> None:
        if self.chance.rng.random() < self.chance.faults.lost_request:
            self.chance.count("claim lost")
            return
        self._push(now, self._delay(), None, name, epoch, ())

    def deliver(self, now: int) -> None:
        while self.waiting and self.waiting[0][0] <= now:
            _, _, left, process, name, what, change = heapq.heappop(self.waiting)
            if left < self.newest.get(name, 0):
                self.chance.count("reordered")
            self.newest[name] = max(left, self.newest.get(name, 0))
            target = self.targets[name]
            if isinstance(what, Intent):
                self._land(process, target, what, change, now)
            else:
                target.claim(what)
                self._stamped(name, what)

    def receipts(self, process: Process, name: str) -> list[Receipt]:
        return self.inbox.pop((process.incarnation, name), [])

    def foreign(self, target: Target, name: str, value: Scalar) -> None:
        """Somebody else writes a lever."""
        last = self.memory.records.get(target.name)
        ids = self.memory.ids.get(last.id, []) if last is not None else []
        self.memory.reverted.update(i for i in ids if i in self.memory.landed)
        if last is not None and (name in {BATCH, REPLICAS} or names.own(name)):
            self.memory.meddled.add(last.id)
        target.write(((name, value),), FOREIGN, intent=None, epoch=0)

    def _post(self, process: Process, intent: Intent, change: Levers, now: int, delay: int) -> None:
        has_cas = self.targets[intent.deployment].mode.has_cas
        if not has_cas and len(change) > 1 and self.chance.hits("partial"):
            rest = delay + self._delay()
            self._push(now, rest, process, intent.deployment, intent, change[1:])
            change = change[:1]
        self._push(now, delay, process, intent.deployment, intent, change)

    def _push(
        self,
        now: int,
        delay: int,
        process: Process | None,
        name: str,
        what: Intent | int,
        change: Levers,
    ) -> None:
        entry = (now + delay, next(self.order), now, process, name, what, change)
        heapq.heappush(self.waiting, entry)

    def _delay(self) -> int:
        if self.chance.hits("delayed"):
            return self.chance.rng.randrange(1, MAX_DELAY + 1)
        return self.chance.rng.randrange(3)

    def _land(
        self, process: Process | None, target: Target, intent: Intent, change: Levers, now: int
    ) -> None:
        if target.mode.has_cas and intent.id in target.landed:
            self._reply(process, intent, ReceiptStatus.DONE, now)  # remembered, nothing changes
        elif target.refuses(intent):
            self.done["conflicts"] += 1
            self._reply(process, intent, ReceiptStatus.NOT_APPLIED, now)
        elif not target.knows(intent.post):
            self.done["unknown levers"] += 1
            self._reply(process, intent, ReceiptStatus.NOT_APPLIED, now, conflict=False)
        else:
            self._check(target, intent, change)
            self.done["applies"] += 1
            target.landed.add(intent.id)
            target.write(change, intent.id, intent=intent.id, epoch=intent.epoch)
            if target.first:
                some_first.i19_half_at_most(self.memory, target, intent)
            slow = self.chance.rng.random() < 0.03 and not self.quiet
            target.changing_until = now + (60 if slow else self.chance.rng.randrange(8))
            if self.chance.hits("quarrel"):
                self.foreign(target, change[0][0], target.previous[change[0][0]])
            self._reply(process, intent, ReceiptStatus.DONE, now)

    def _check(self, target: Target, intent: Intent, change: Levers) -> None:
        memory, changed = self.memory, target.changed_by(change)
        promised.i7_bounds(memory, intent, change)
        promised.i3_write_ahead(memory, intent, "applied")
        promised.i3_once(memory, intent, changed)
        promised.i4_at_rest(memory, intent)
        promised.i5_fencing(memory, target, intent, changed)
        if not intent.undo:
            before = memory.before.setdefault(intent.action_id, {})
            for name, _ in intent.post:
                before.setdefault(name, target.levers[name])  # a later stage may add a lever
            memory.formed.setdefault(intent.action_id, formed(target.levers))
        promised.i1_safe_where_it_lands(memory, target, intent)
        promised.i10_budget(memory, target, intent)
        promised.i16_no_fight(memory, target, intent, changed)
        promised.undo_restores(memory, target, intent)
        memory.landed.add(intent.id)
        self._stamped(target.name, intent.epoch)

    def _stamped(self, name: str, epoch: int) -> None:
        if self.memory.mode.has_cas:
            self.memory.stamped[name] = max(self.memory.stamped.get(name, 0), epoch)

    def _reply(
        self,
        process: Process | None,
        intent: Intent,
        status: ReceiptStatus,
        now: int,
        *,
        conflict: bool = True,
    ) -> None:
        if process is None or not process.alive or self.chance.hits("lost_reply"):
            return
        if self.chance.hits("broken_reply"):
            status = ReceiptStatus.UNKNOWN
        receipt = Receipt(
            intent_id=intent.id,
            status=status,
            at=TimeNs((now + process.skew) * TICK),
            conflict=conflict and status is ReceiptStatus.NOT_APPLIED,
        )
        box = self.inbox.setdefault((process.incarnation, intent.deployment), [])
        box.append(receipt)
        if self.chance.hits("doubled_reply"):
            box.append(receipt)
        if self.chance.hits("other_reply"):
            box.insert(0, replace(receipt, intent_id=f"{intent.id}.other"))
