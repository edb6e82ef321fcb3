"""Checkers of what is asked, sent and landed: each promise as its own function, in its own words.

The guard is never believed: what it may let pass is said again here, from the world's side.
"""

import math
from collections.abc import Callable

from homeostat.base import names
from homeostat.base.actions import ActionKind
from homeostat.base.guard import Allow, Deny, GuardAnswer
from homeostat.base.intent import Intent
from homeostat.base.policy import KillLevel
from homeostat.base.world import Levers
from protocol_sim.memory import Asked, Memory, Permit, same_write
from protocol_sim.options import (
    BOUNDS,
    FALLBACK_REPLICAS,
    MOST_LOST,
    OWN_BOUNDS,
    PRICE_USD,
    REPLICAS,
    TIMING,
)
from protocol_sim.target import Target

STEPS_FROM_GUARD_TO_WRITE = 2  # the journal, then the write
TAKES_OR_PROMOTES = frozenset({
    ActionKind.SCALE_DOWN, ActionKind.RESIZE_DOWN, ActionKind.SHIFT_TRAFFIC, ActionKind.RETRAIN
})  # fmt: skip


def i1_asked(memory: Memory, permit: Permit | None, step: int, intent: Intent) -> Permit | None:
    """I1: nothing is sent but what the guard said yes to, to this very write, just now."""
    if permit is None or permit.change != intent.post or permit.undo is not intent.undo:
        memory.fail("I1", f"{intent.id} is sent without the guard's yes")
        return None
    if step - permit.step > STEPS_FROM_GUARD_TO_WRITE:
        memory.fail("I1", f"{intent.id} rests on a yes {step - permit.step} effects old")
    return permit


def i1_safe_where_it_lands(memory: Memory, target: Target, intent: Intent) -> None:
    """I1: for every apply, safe(state at compare-and-set, change), for any proposals."""
    if intent.undo:
        return
    live = {name: target.levers[name] for name, _ in intent.post}
    if memory.mode.has_cas and dict(intent.pre) != live:
        memory.fail("I1", f"{intent.id} landed on levers its guard never saw")
    before = float(live.get(REPLICAS, 0))
    after = float(dict(intent.post).get(REPLICAS, before))
    if before - after > max(1.0, math.floor(before * MOST_LOST)) or after > 2 * before:
        memory.weak("I1", f"{intent.id} exceeds the step limit where it landed")


def i3_write_ahead(memory: Memory, intent: Intent, doing: str) -> None:
    """I3: no apply without a durable intent with the same id."""
    if not same_write(memory.intents.get(intent.id), intent):
        memory.fail("I3", f"{intent.id} is {doing} before it is durable")


def i3_once(memory: Memory, intent: Intent, changed: tuple[str, ...]) -> None:
    """I3: no id is applied twice with effect."""
    if intent.id in memory.landed and changed and memory.mode.has_cas:
        memory.fail("I3", f"{intent.id} was applied twice with effect")


def i4_at_rest(memory: Memory, intent: Intent) -> None:
    """I4: an intent recorded at rest never lands later."""
    if intent.id in memory.closed:
        memory.weak("I4", f"{intent.id} landed after it was recorded as at rest")


def i5_fencing(memory: Memory, target: Target, intent: Intent, changed: tuple[str, ...]) -> None:
    """I5: after epoch e stamped d, no apply with an epoch < e lands on d."""
    if intent.epoch < memory.stamped.get(target.name, 0) and changed:
        memory.weak("I5", f"{intent.id} of epoch {intent.epoch} landed after a later stamp")


def i6_kill_switch(memory: Memory, permit: Permit, intent: Intent) -> None:
    """I6: after the switch is durable, no decision to act is taken; unreadable is thrown."""
    memory.checked["I6"] += permit.kill is not KillLevel.OFF
    if permit.kill is KillLevel.NOTHING or (permit.kill is not KillLevel.OFF and not permit.undo):
        memory.fail("I6", f"{intent.id} was decided under kill level {permit.kill}")


def i7_bounds(memory: Memory, intent: Intent, change: Levers) -> None:
    """I7: levers never leave [lo, hi] by our action, whatever lands, however late."""
    for name, value in change:
        low, high = OWN_BOUNDS if names.own(name) else BOUNDS[name]
        if isinstance(value, str) or not low <= float(value) <= high:
            memory.fail("I7", f"{intent.id} sets {name} to {value} outside {low}..{high}")


def i8_fresh(memory: Memory, permit: Permit, intent: Intent) -> None:
    """I8: what a write rests on is no older than the limit when it is decided.

    One more replica may rest on old evidence: it takes nothing from anybody (guard G0).
    """
    if permit.undo:
        return
    memory.checked["I8"] += 1
    oldest = permit.at - TIMING.fresh_ns
    if permit.world_at < oldest:
        memory.fail("I8", f"{intent.id} rests on levers read {permit.at - permit.world_at} ns ago")
    if intent.evidence_at < oldest and permit.action.kind is not ActionKind.SCALE_UP:
        memory.fail("I8", f"{intent.id} rests on data {permit.at - intent.evidence_at} ns old")


def i9_no_stage_unproven(memory: Memory, intent: Intent) -> None:
    """I9: a canary is promoted only with a recorded passing verdict."""
    stage = (intent.action_id, intent.stage - 1)
    if intent.stage > 0 and not intent.undo and stage not in memory.helped:
        memory.fail("I9", f"{intent.id} follows a stage that has not helped")


def i10_budget(memory: Memory, target: Target, intent: Intent) -> None:
    """I10: spend <= budget, given the price table, for what lands by our own decision."""
    wanted = dict(intent.post).get(REPLICAS)
    if intent.undo or wanted is None:
        return
    memory.checked["I10"] += 1
    live = float(target.levers[REPLICAS])
    spend = (float(wanted) + FALLBACK_REPLICAS) * PRICE_USD
    budget = memory.budgets[intent.id]
    if float(wanted) > live and spend > budget:
        memory.weak("I10", f"{intent.id} spends {spend} of {budget} USD/h")


def i12_blind_takes_nothing(memory: Memory, asked: Asked) -> None:
    """I12: what was not seen never makes an action that shrinks or promotes possible."""
    if isinstance(asked.answer, Deny) or asked.undo or not asked.look.fault:
        return
    memory.checked["I12"] += 1
    action, look = asked.action, asked.look
    harmless = action.kind is ActionKind.SCALE_UP and _adds_one(asked)
    if look.blind and not harmless:
        memory.fail("I12", f"{action.kind} passes under {look.fault}")
    if look.silent and action.kind in TAKES_OR_PROMOTES and _moves(asked):
        memory.fail("I12", f"{action.kind} passes under {look.fault}")


def i12_monotone(
    memory: Memory, asked: Asked, again: Callable[[float], GuardAnswer | None]
) -> None:
    """I12: removing any subset of observations never enlarges the set of shrinks and promotions."""
    kind = asked.action.kind
    if not isinstance(asked.answer, Deny) or kind not in TAKES_OR_PROMOTES or not _moves(asked):
        return
    for share in (0.2, 0.7):
        less = again(share)
        memory.checked["I12"] += 1
        if isinstance(less, Allow):
            memory.fail("I12", f"{asked.action.kind} passes once {share:.0%} is not seen")


def i16_no_fight(memory: Memory, target: Target, intent: Intent, changed: tuple[str, ...]) -> None:
    """I16: nothing that somebody else wrote is ever taken back."""
    if not intent.undo:
        return
    for name in changed:
        writer = target.writers.get(name, "")
        if not writer.startswith(f"{intent.action_id}."):
            memory.weak("I16", f"{intent.id} reverts {name}, last written by {writer}")


def undo_restores(memory: Memory, target: Target, intent: Intent) -> None:
    """UNDO: an undo writes what was live before the action's first stage, nothing else.

    A lever of a later stage that never landed is as it was: that is what is written.
    """
    if not intent.undo:
        return
    first = memory.before.get(intent.action_id, {})
    before = {name: first.get(name, target.levers[name]) for name, _ in intent.post if first}
    if any(before.get(name) != value for name, value in intent.post):
        memory.weak("UNDO", f"{intent.id} writes {intent.post}, the pre-image was {before}")


def _moves(asked: Asked) -> bool:
    """Return whether the change would change anything."""
    world = asked.snapshot
    return world is None or any(world.lever(name) != value for name, value in asked.action.change)


def _adds_one(asked: Asked) -> bool:
    live = None if asked.snapshot is None else asked.snapshot.lever(REPLICAS)
    wanted = dict(asked.action.change).get(REPLICAS)
    return live is not None and wanted is not None and float(wanted) - float(live) <= 1.0
