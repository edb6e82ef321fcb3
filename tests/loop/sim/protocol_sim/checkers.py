"""The invariants, checked from the world's side: what was durable, what landed, what was said.

I1 safe set, I2 single flight, I3 write-ahead, I4 truthful record, I5 fencing, I6 kill switch,
I7 floors and ceilings, I8 freshness, I9 canary and abort, I11 blast radius, I15 liveness (in the
driver), I16 no foreign write reverted, I17 undo restores the pre-image, TABLE transitions.
Without compare-and-set (WEAK) late, doubled and foreign-overwriting applies are counted, not
forbidden: that is what is promised there. I7 holds everywhere.
"""

from collections import Counter
from dataclasses import dataclass, field

from homeostat.base.intent import ActionRecord, ActionState, Intent
from homeostat.base.policy import KillLevel
from homeostat.base.world import Levers, Scalar
from homeostat.loop.transitions import TABLE
from protocol_sim.options import BOUNDS, MAX_BUSY, REPLICA_STEP, TIMING, Mode
from protocol_sim.target import Target

S = ActionState
STEPS_FROM_GUARD_TO_WRITE = 2  # the journal, then the write
CLAIMS_LANDED = frozenset({S.APPLIED, S.SETTLING, S.VERIFYING, S.SUCCEEDED})
FORWARD_OR_SUCCESS = frozenset({
    S.PROPOSED, S.AWAITING_APPROVAL, S.INTENT, S.READBACK, S.APPLIED, S.SETTLING, S.VERIFYING,
    S.SUCCEEDED,
})  # fmt: skip


class Violation(AssertionError):  # noqa: N818 - it is the word of the field
    """An invariant is broken."""

    def __init__(self, invariant: str, what: str) -> None:
        super().__init__(f"{invariant}: {what}")
        self.invariant = invariant


@dataclass(frozen=True, slots=True)
class Permit:
    """One yes of the guard; good for one write."""

    at: int
    change: Levers
    undo: bool
    kill: KillLevel
    step: int  # the process's effects so far


@dataclass(slots=True)
class Checkers:
    """The world's own memory of promises."""

    mode: Mode
    records: dict[str, ActionRecord] = field(default_factory=dict)  # target -> last durable
    actions: dict[str, ActionRecord] = field(default_factory=dict)  # action -> last durable
    intents: dict[str, Intent] = field(default_factory=dict)
    ids: dict[str, list[str]] = field(default_factory=dict)  # action -> its intents' ids
    landed: set[str] = field(default_factory=set)
    closed: set[str] = field(default_factory=set)  # may not land from now on
    permits: dict[tuple[int, str], Permit] = field(default_factory=dict)
    before: dict[str, dict[str, Scalar]] = field(default_factory=dict)  # action -> first pre-image
    helped: set[tuple[str, int]] = field(default_factory=set)
    aborted: set[tuple[int, str]] = field(default_factory=set)
    stamped: dict[str, int] = field(default_factory=dict)  # target -> highest epoch seen
    live: dict[str, dict[str, Scalar]] = field(default_factory=dict)  # target -> its levers
    reverted: set[str] = field(default_factory=set)  # landed, then overwritten by somebody else
    counts: Counter[str] = field(default_factory=Counter)

    # -- what becomes durable ---------------------------------------------------------------

    def on_journal(self, process: int, record: ActionRecord) -> None:
        last = self.records.get(record.deployment)
        if last is not None and last.id != record.id and not last.state.is_terminal:
            self._fail("I2", f"{record.id} starts while {last.id} is {last.state}")
        same = last is not None and last.id == record.id
        exits = TABLE[last.state].exits if last is not None else frozenset()
        if last is not None and same and record.state not in {last.state, *exits}:
            self._fail("TABLE", f"{record.id}: {last.state} -> {record.state}")
        self._abort_wins(process, record)
        self._new_intent(record)
        self._truthful(record)
        self.records[record.deployment] = record
        self.actions[record.id] = record

    def _abort_wins(self, process: int, record: ActionRecord) -> None:
        if (process, record.id) in self.aborted and record.state in FORWARD_OR_SUCCESS:
            self._fail("I9", f"{record.id} was aborted and is {record.state}")

    def _new_intent(self, record: ActionRecord) -> None:
        intent = record.intent
        if intent is None:
            return
        known = self.intents.get(intent.id)
        if known is not None:
            if known != intent:
                self._fail("I3", f"id {intent.id} stands for two writes")
            return
        if not intent.undo:
            others = [r for name, r in self.records.items() if name != record.deployment]
            busy = sum(1 for r in others if r.intent is not None and not r.state.is_terminal)
            if busy >= MAX_BUSY:
                self._fail("I11", f"{intent.id} makes {busy + 1} deployments change at once")
        earlier = self.ids.setdefault(record.id, [])
        for old in earlier:  # a new write says that every earlier one has come to rest
            self._close(old)
        earlier.append(intent.id)
        self.intents[intent.id] = intent

    def _truthful(self, record: ActionRecord) -> None:
        intent, state = record.intent, record.state
        if intent is None:
            return
        if state in CLAIMS_LANDED and intent.id not in self.landed:
            self._fail("I4", f"{intent.id} is recorded {state} and never landed", cas_only=True)
        if state is S.ABANDONED:
            for old in self.ids[record.id]:
                self._dead(old)
        if state is S.INTENT and not record.in_flight and intent.stage == record.stage:
            self._dead(intent.id)
        if state is S.ROLLED_BACK and not self._is_back(record):
            self._fail("I4", f"{record.id} is recorded rolled back and was not", cas_only=True)
        if state.is_terminal and not record.in_flight:
            for old in self.ids[record.id]:
                self._close(old)

    def _is_back(self, record: ActionRecord) -> bool:
        ids = self.ids[record.id]
        live, first = self.live[record.deployment], self.before.get(record.id, {})
        if all(live[name] == value for name, value in first.items()):
            return True
        return any(i in self.landed for i in ids if self.intents[i].undo)

    def _dead(self, intent_id: str) -> None:
        if intent_id in self.landed:
            if intent_id in self.reverted and self.intents[intent_id].stamp is None:
                self.counts["not told apart: landed and reverted by someone"] += 1
            else:
                self._weak("I4", f"{intent_id} is recorded not applied and did land")
        self._close(intent_id)

    def _close(self, intent_id: str) -> None:
        self.closed.add(intent_id)

    # -- what is decided and sent -----------------------------------------------------------

    def on_guard(self, process: int, target: str, permit: Permit) -> None:
        self.permits[process, target] = permit

    def on_send(self, process: int, step: int, intent: Intent) -> None:
        if self.intents.get(intent.id) != intent:
            self._fail("I3", f"{intent.id} is sent before it is durable")
        permit = self.permits.pop((process, intent.deployment), None)
        if permit is None or permit.change != intent.post or permit.undo is not intent.undo:
            self._fail("I1", f"{intent.id} is sent without the guard's yes")
            return
        if step - permit.step > STEPS_FROM_GUARD_TO_WRITE:
            self._fail("I1", f"{intent.id} rests on a yes {step - permit.step} effects old")
        if permit.kill is KillLevel.NOTHING or (
            permit.kill is not KillLevel.OFF and not permit.undo
        ):
            self._fail("I6", f"{intent.id} was decided under kill level {permit.kill}")
        if intent.evidence_at < permit.at - TIMING.fresh_ns:
            self._fail("I8", f"{intent.id} rests on data {permit.at - intent.evidence_at} old")
        stage = (intent.action_id, intent.stage - 1)
        if intent.stage > 0 and not intent.undo and stage not in self.helped:
            self._fail("I9", f"{intent.id} follows a stage that has not helped")

    # -- what lands -------------------------------------------------------------------------

    def on_apply(self, target: Target, intent: Intent, change: Levers) -> None:
        changed = target.changed_by(change)
        self._in_bounds(target, intent, change)
        if self.intents.get(intent.id) != intent:
            self._fail("I3", f"{intent.id} landed and is not in the journal")
        if intent.id in self.landed and changed and self.mode.has_cas:
            self._fail("I3", f"{intent.id} was applied twice with effect")
        if intent.id in self.closed:
            self._weak("I4", f"{intent.id} landed after it was recorded as at rest")
        if intent.epoch < self.stamped.get(target.name, 0) and changed:
            self._weak("I5", f"{intent.id} of epoch {intent.epoch} landed after a later stamp")
        if intent.undo:
            self._undo(target, intent, changed)
        else:
            self._forward(target, intent)
        self.landed.add(intent.id)
        self.on_stamp(target.name, intent.epoch)

    def on_foreign(self, target: str) -> None:
        ids = self.ids.get(self.records[target].id, []) if target in self.records else []
        self.reverted.update(i for i in ids if i in self.landed)

    def on_stamp(self, target: str, epoch: int) -> None:
        if self.mode.has_cas:
            self.stamped[target] = max(self.stamped.get(target, 0), epoch)

    def _in_bounds(self, target: Target, intent: Intent, change: Levers) -> None:
        for name, value in change:
            low, high = BOUNDS[name]
            if not low <= float(value) <= high:
                self._fail("I7", f"{intent.id} sets {name} to {value} outside {low}..{high}")

    def _forward(self, target: Target, intent: Intent) -> None:
        live = {name: target.levers[name] for name, _ in intent.post}
        self.before.setdefault(intent.action_id, {**live})
        if self.mode.has_cas and dict(intent.pre) != live:
            self._fail("I1", f"{intent.id} landed on levers its guard never saw")
        step = dict(intent.post).get("replicas", live.get("replicas", 0))
        if abs(float(step) - float(live.get("replicas", step))) > REPLICA_STEP:
            self._weak("I1", f"{intent.id} exceeds the step limit where it landed")

    def _undo(self, target: Target, intent: Intent, changed: tuple[str, ...]) -> None:
        for name in changed:
            writer = target.writers.get(name, "")
            if not writer.startswith(f"{intent.action_id}."):
                self._weak("I16", f"{intent.id} reverts {name}, last written by {writer}")
        first = self.before.get(intent.action_id, {})
        if any(first.get(name) != value for name, value in intent.post):
            self._weak("I17", f"{intent.id} writes {intent.post}, the pre-image was {first}")

    # -- verdicts ---------------------------------------------------------------------------

    def _fail(self, invariant: str, what: str, *, cas_only: bool = False) -> None:
        if cas_only and not self.mode.has_cas:
            self.counts[f"not told apart {invariant}"] += 1
            return
        raise Violation(invariant, what)

    def _weak(self, invariant: str, what: str) -> None:
        if self.mode.is_strict:
            raise Violation(invariant, what)
        self.counts[f"stale {invariant}"] += 1
