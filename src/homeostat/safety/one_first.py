"""Does a change of a setting go to some replicas first, and what would it then set?

A setting of every replica is changed in two writes where its target can give it to single ones:
first to some of them, at most half, which the rest are compared with; then to all, on a certificate
or an explicit word. Every other guard judges both writes as if all replicas got the new value at
once: what only some have is no safer than what it is tried for.

A setting of all ends the own values beside it. One that the action does not name is somebody's
word, which no undo of ours restores: nothing that would end one is done, whyever all may have it.
"""

from typing import Final

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind
from homeostat.base.intent import ActionRecord, Proof
from homeostat.base.own_values import ended
from homeostat.base.world import Levers, ReplicaState, Scalar, Snapshot
from homeostat.safety.sight import Sight

KINDS: Final = frozenset({
    ActionKind.BATCH_UP,
    ActionKind.BATCH_DOWN,
    ActionKind.RESIZE_UP,
    ActionKind.RESIZE_DOWN,
})
_PROVEN: Final = frozenset({Proof.CERTIFIED, Proof.UNPROVEN})
_LEAST: Final = 2  # replicas in rotation: one that has it, and one that it is compared with


def effective(writes: Levers, world: Snapshot | None) -> tuple[Levers, tuple[Scalar | None, ...]]:
    """Return what is written and what is live, a replica's own value as the setting itself.

    Args:
        writes: Levers as an action carries them; an own value of 0 is that of all replicas.
        world: The deployment as read back; None = nothing live is known.
    """
    whole = dict(writes)
    levers: list[tuple[str, Scalar]] = []
    lives: list[Scalar | None] = []
    for lever, value in writes:
        live, of = (None if world is None else world.lever(lever)), names.own(lever)
        if of is None:
            levers.append((lever, value))
            lives.append(live)
            continue
        setting = of[0]
        all_now = None if world is None else world.lever(setting)
        after = whole.get(setting, all_now) if value == 0 else value
        levers.append((setting, value if after is None else after))
        lives.append(all_now if live == 0 else live)
    return tuple(levers), tuple(lives)


def settings(levers: Levers) -> tuple[str, ...]:
    """Return the levers' names, of a replica's own value the setting's."""
    found = ((lever, names.own(lever)) for lever, _ in levers)
    return tuple(dict.fromkeys(lever if of is None else of[0] for lever, of in found))


def one_first(action: Action, sight: Sight, own: ActionRecord | None) -> bool | None:
    """Return whether a setting goes to some replicas first where it can; None if that is unknown.

    Args:
        action: What would be written: the whole change when it is proposed, one stage after.
        sight: What can be seen.
        own: Its record in flight, None when it is only proposed.
    """
    if action.kind not in KINDS:
        return True
    if sight.world is None:
        return None
    whole = action if own is None else own.action
    if not any(names.own(lever) for lever, _ in (*action.change, *whole.change)):
        return _at_once(action, sight.world, sight)
    if not _fits(whole, sight.world, sight):
        return False
    if own is None:
        return action.first != ()
    if action.change == whole.first:
        return True
    return action.change == whole.change and own.proof in _PROVEN


def keeps_own(change: Levers, world: Snapshot | None) -> bool | None:
    """Return whether no replica's own value that a change does not name is ended by it.

    Args:
        change: What would be written.
        world: The deployment as read back; None = nothing live is known.
    """
    lost = None if world is None else ended(change, world)
    return None if lost is None else lost == ()


def _at_once(action: Action, world: Snapshot, sight: Sight) -> bool | None:
    """Return whether all may have a setting at once: nobody is robbed, and none could try it."""
    kept = keeps_own(action.change, world)
    if kept is not True:
        return kept
    can = _can(action, world, sight)
    return None if can is None else not can


def _can(action: Action, world: Snapshot, sight: Sight) -> bool | None:
    """Return whether some replicas could have had every setting of a change first.

    None where replicas' own values are told of some and not of others: what is not read is no proof
    that a target cannot set it.
    """
    managed = sight.state.managed
    ready = _ready(managed.stable_pool, world)
    if managed.canary is None or len(ready) < _LEAST:
        return False
    wanted = [lever for lever, _ in action.change if lever in names.OF_EACH]
    told = {
        world.lever(names.lever_own(lever, slot)) is not None for lever in wanted for slot in ready
    }
    return None if len(told) > 1 else told == {True}


def _fits(whole: Action, world: Snapshot, sight: Sight) -> bool:
    """Return whether an action names one setting, and at most half of the pool's replicas first."""
    managed, first = sight.state.managed, whole.first
    slots = [of[1] for lever, _ in whole.change if (of := names.own(lever)) is not None]
    pool = managed.stable_pool
    ready = _ready(pool, world)
    return (
        managed.canary is not None
        and whole.beside == pool
        and whole.subject == names.pool(pool)
        and len(whole.change) == 1 + len(slots)
        and len(first) == len(slots) == len(set(slots))
        and ready.issuperset(slots)
        and 0 < 2 * len(slots) <= len(ready)
        # Every other replica is known to have what all have, or it would count to the rest.
        and keeps_own(whole.change, world) is True
    )


def _ready(pool: str, world: Snapshot) -> frozenset[str]:
    serves = ReplicaState.READY
    return frozenset(one.name for one in world.replicas if one.pool == pool and one.state is serves)
