"""Checkers of what some replicas have first: who has it, on whose word, and what is left behind.

The guard and the judge are never believed: which replicas form which batches is read off the world,
and a word counts where the world has said it.
"""

from homeostat.base import names
from homeostat.base.intent import ActionRecord, ActionState, Intent
from homeostat.base.world import ReplicaState, Snapshot
from protocol_sim.memory import Memory, Permit
from protocol_sim.options import BATCH
from protocol_sim.target import Target, formed

_BACK = frozenset({ActionState.ROLLED_BACK, ActionState.ABANDONED})
_STAYS = frozenset({ActionState.SUCCEEDED, ActionState.SUCCEEDED_UNPROVEN})
_LEAST = 2  # replicas that serve: one that has it, and one that it is compared with


def i19_some_first(memory: Memory, permit: Permit | None, intent: Intent, *, able: bool) -> None:
    """I19: no setting goes to all replicas without a certificate or an explicit word.

    But where none can have it first: one replica serves, or this target can set none alone. And on
    whatever word, it ends no value that somebody else gave a replica.
    """
    world, wanted = None if permit is None else permit.world, dict(intent.post)
    if intent.undo or world is None or BATCH not in wanted:
        return
    strange = [one for one, value in world.levers if value and names.own(one) and one not in wanted]
    if strange:
        memory.fail("I19", f"{intent.id} sets {BATCH} of all, and ends {strange}")
    if not able or len(_serving(world)) < _LEAST:
        return
    memory.checked["I19"] += 1
    if intent.action_id not in memory.word:
        memory.fail("I19", f"{intent.id} sets {BATCH} of all on nobody's word")


def i19_half_at_most(memory: Memory, target: Target, intent: Intent) -> None:
    """I19: and before that word at most half of a pool's replicas have another value than the rest.

    Called when it has landed, before anybody else writes.
    """
    if intent.undo or not any(names.own(lever) for lever, _ in intent.post):
        return
    slots, all_now = target.slots_of("a"), target.levers[BATCH]
    batches = formed(target.levers)
    apart = [slot for slot in slots if batches[slot] != all_now]
    memory.checked["I19"] += 1
    if 2 * len(apart) > len(slots):
        what = f"{intent.id} makes {len(apart)} of {len(slots)} replicas unlike the rest"
        memory.fail("I19", what, cas_only=True)


def i20_all_or_none(memory: Memory, record: ActionRecord) -> None:
    """I20: what is taken back or abandoned is on no replica, what succeeded is on every one."""
    before, size = memory.formed.get(record.id), dict(record.action.change).get(BATCH)
    if not before or size is None or record.state not in _BACK | _STAYS:
        return
    if record.id in memory.meddled:
        memory.counts["not told apart: somebody else set a batch meanwhile"] += 1
        return
    memory.checked["I20"] += 1
    now = formed(memory.live[record.deployment])
    wanted = dict.fromkeys(now, size) if record.state in _STAYS else before
    wrong = {slot: batch for slot, batch in now.items() if batch != wanted.get(slot, batch)}
    if wrong:
        said = f"{record.id} is recorded {record.state}, and batches are {wrong}"
        memory.weak("I20", said)


def _serving(world: Snapshot) -> list[str]:
    ready = ReplicaState.READY
    return [one.name for one in world.replicas if one.pool == "a" and one.state is ready]
