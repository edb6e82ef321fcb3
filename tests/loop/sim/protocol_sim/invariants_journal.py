"""Checkers of what becomes durable: each promise as its own function, in its own words.

Every function gets the world's memory and one record on its way into the journal, and raises
`Violation` when that breaks its promise.
"""

import re

from homeostat.base import codec
from homeostat.base.intent import ActionRecord, ActionState, Intent
from homeostat.base.units import TimeNs
from homeostat.base.world import Snapshot
from homeostat.loop import protocol
from homeostat.loop.transitions import TABLE
from protocol_sim.memory import Entry, Memory, same_write
from protocol_sim.options import MAX_BUSY, TIMING

S = ActionState
CLAIMS_LANDED = frozenset({S.APPLIED, S.SETTLING, S.VERIFYING, S.SUCCEEDED})
FORWARD_OR_SUCCESS = frozenset({
    S.PROPOSED, S.AWAITING_APPROVAL, S.INTENT, S.READBACK, S.APPLIED, S.SETTLING, S.VERIFYING,
    S.SUCCEEDED,
})  # fmt: skip
MOST_REASON = 6_000  # characters: a sentence of every guard rule is less
A_GUARD = re.compile(r"\bG\d+ [a-z]")


def i2_single_flight(memory: Memory, record: ActionRecord) -> None:
    """I2: at most one intent per deployment is pending at any time, across all controllers."""
    last = memory.records.get(record.deployment)
    if last is not None and last.id != record.id and not last.state.is_terminal:
        memory.fail("I2", f"{record.id} starts while {last.id} is {last.state}")


def table(memory: Memory, record: ActionRecord) -> None:
    """TABLE: an action moves only along the published transition table."""
    last = memory.records.get(record.deployment)
    if last is None or last.id != record.id:
        return
    if record.state not in {last.state, *TABLE[last.state].exits}:
        memory.fail("TABLE", f"{record.id}: {last.state} -> {record.state}")


def i9_abort_wins(memory: Memory, process: int, record: ActionRecord) -> None:
    """I9: abort dominates promote at every interleaving."""
    if (process, record.id) in memory.aborted and record.state in FORWARD_OR_SUCCESS:
        memory.fail("I9", f"{record.id} was aborted and is {record.state}")


def i3_one_write_per_id(memory: Memory, record: ActionRecord) -> bool:
    """I3: an intent's id stands for one write for ever. Returns whether the intent is new."""
    intent = record.intent
    if intent is None:
        return False
    known = memory.intents.get(intent.id)
    if known is not None and not same_write(known, intent):
        memory.fail("I3", f"id {intent.id} stands for two writes")
    return known is None


def i11_blast_radius(memory: Memory, record: ActionRecord, intent: Intent) -> None:
    """I11: changed deployments per window <= k; half of that without compare-and-set."""
    if intent.undo:
        return
    others = [r for name, r in memory.records.items() if name != record.deployment]
    busy = sum(1 for r in others if r.intent is not None and not r.state.is_terminal)
    most = MAX_BUSY if memory.mode.has_cas else MAX_BUSY // 2
    memory.checked["I11"] += 1
    if busy >= most:
        memory.fail("I11", f"{intent.id} makes {busy + 1} deployments change at once")


def i4_truthful(memory: Memory, record: ActionRecord, read: Snapshot | None) -> None:
    """I4: what is recorded not applied never lands later, what is recorded done did land.

    Otherwise it is pending and shown as unknown. That a target said "done" of what it lost may be
    believed until the levers are read, and after that where somebody else did the same by hand.
    """
    intent, state = record.intent, record.state
    if intent is None:
        return
    lie = intent.id in memory.lied and (state is S.APPLIED or _done_by_hand(memory, intent, read))
    if state in CLAIMS_LANDED and intent.id not in memory.landed and not lie:
        memory.fail("I4", f"{intent.id} is recorded {state} and never landed", cas_only=True)
    if state is S.ABANDONED:
        for old in memory.ids[record.id]:
            memory.dead(old)
    if state is S.INTENT and not record.in_flight and intent.stage == record.stage:
        memory.dead(intent.id)
    if state is S.ROLLED_BACK and not _is_back(memory, record):
        memory.fail("I4", f"{record.id} is recorded rolled back and was not", cas_only=True)
    if state.is_terminal and not record.in_flight:
        for old in memory.ids[record.id]:
            memory.close(old)


def _done_by_hand(memory: Memory, intent: Intent, read: Snapshot | None) -> bool:
    """Return whether the levers were what a lost write wanted when that was read."""
    if intent.id in memory.by_hand:
        return True
    if read is None or any(read.lever(name) != value for name, value in intent.post):
        return False
    memory.by_hand.add(intent.id)
    memory.counts["not told apart: a lie, and somebody else did the same"] += 1
    return True


def _is_back(memory: Memory, record: ActionRecord) -> bool:
    ids = memory.ids[record.id]
    live, first = memory.live[record.deployment], memory.before.get(record.id, {})
    if all(live.get(name) == value for name, value in first.items()):
        return True
    return any(i in memory.landed for i in ids if memory.intents[i].undo)


def i14_replay(memory: Memory, targets: dict[str, ActionRecord]) -> None:
    """I14: replaying the audit log reproduces state, step by step and through its bytes."""
    state: dict[str, ActionRecord] = {}
    for entry in memory.log:
        if entry.news is None or entry.before is None:
            state[entry.after.deployment] = entry.after
            continue
        again, _ = protocol.advance(
            entry.before, entry.news, entry.now, world=entry.snapshot, timing=TIMING
        )
        if again != entry.after:
            memory.fail("I14", f"{entry.after.id}: {entry.after.state} replays as {again.state}")
        state[again.deployment] = again
    memory.checked["I14"] += len(memory.log)
    for name, record in state.items():
        if record != targets.get(name):
            memory.fail("I14", f"{name} replays to {record.state}, not to what is durable")


def i14_bytes(memory: Memory, record: ActionRecord) -> ActionRecord:
    """I14: what is read back from its bytes is what was written. Returns it."""
    written = codec.encode(record)
    read: ActionRecord = codec.decode(written)
    if codec.encode(read) != written:  # bytes: what is not a number equals nothing
        memory.fail("I14", f"{record.id} is not the same read back from its bytes")
    return read


def i17_bounded(memory: Memory, record: ActionRecord) -> None:
    """I17: memory is bounded: a record does not grow with what happens to it."""
    memory.checked["I17"] += 1
    if len(record.reason) > MOST_REASON:
        memory.fail("I17", f"{record.id} carries {len(record.reason)} characters of reason")


def i18_explained(memory: Memory, record: ActionRecord) -> None:
    """I18: every action's record says why: the rules that refused, who agreed, what it rests on."""
    if not record.state.is_terminal:
        return
    memory.checked["I18"] += 1
    if not record.reason.strip():
        memory.fail("I18", f"{record.id} is {record.state} and does not say why")
    by_person = "said no" in record.reason
    if record.state is S.DENIED and not by_person and A_GUARD.search(record.reason) is None:
        memory.fail("I18", f"{record.id} is denied by no named rule: {record.reason!r}")
    if record.intent is not None and record.intent.evidence_at <= TimeNs(0):
        memory.fail("I18", f"{record.intent.id} does not say what it rests on")


def note(memory: Memory, entry: Entry) -> None:
    """Keep what was made durable; new intents say that every earlier write is at rest (I4)."""
    record = entry.after
    if i3_one_write_per_id(memory, record):
        assert record.intent is not None
        i11_blast_radius(memory, record, record.intent)
        earlier = memory.ids.setdefault(record.id, [])
        for old in earlier:
            memory.close(old)
        earlier.append(record.intent.id)
        memory.intents[record.intent.id] = record.intent
    i4_truthful(memory, record, entry.snapshot)
    memory.log.append(entry)
    memory.records[record.deployment] = record
    memory.actions[record.id] = record
