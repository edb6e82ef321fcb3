"""What an action's levers would do, worked out from the levers and never from its claims.

The kind says which levers may move and in which direction; the live values say by how much. An
undo is judged by what it writes: the pre-image of the action in flight, or, for a finished action,
the levers it carries.
"""

from dataclasses import dataclass, replace

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind
from homeostat.base.policy import LeverLimit
from homeostat.base.world import Levers, ReplicaState, Scalar
from homeostat.safety.canaried import beyond, is_canary, on_its_ramp
from homeostat.safety.one_first import effective
from homeostat.safety.sight import Sight, milli

_REPLICAS, _WEIGHT, _VERSION = "replicas.", "weight.", "version."
_INCARNATION, _DRAINED = "incarnation.", "drained."
_BATCH = (names.BATCH_MAX, names.BATCH_WAIT)
_TRAFFIC = frozenset({ActionKind.SHIFT_TRAFFIC, ActionKind.SHED_LOAD})

# Levers that each kind may move: exact names, or prefixes that end in a dot.
LEVERS_OF: dict[ActionKind, tuple[str, ...]] = {
    ActionKind.SCALE_UP: (_REPLICAS,),
    ActionKind.SCALE_DOWN: (_REPLICAS,),
    ActionKind.RESIZE_UP: (names.CONCURRENCY,),
    ActionKind.RESIZE_DOWN: (names.CONCURRENCY,),
    ActionKind.BATCH_UP: _BATCH,
    ActionKind.BATCH_DOWN: _BATCH,
    ActionKind.SHIFT_TRAFFIC: (_WEIGHT,),
    ActionKind.ROLLBACK: (_VERSION,),
    ActionKind.RESTART_REPLICA: (_INCARNATION, _DRAINED),
    ActionKind.RESTART_ALL: (_INCARNATION,),
    ActionKind.DRAIN_REPLICA: (_DRAINED,),
    ActionKind.SHED_LOAD: (names.GATEWAY_LIMIT,),
    ActionKind.RETRAIN: (),
}
_UP = frozenset({ActionKind.SCALE_UP, ActionKind.RESIZE_UP, ActionKind.BATCH_UP})
_DOWN = frozenset({ActionKind.SCALE_DOWN, ActionKind.RESIZE_DOWN, ActionKind.BATCH_DOWN})
# Levers that say where a thing is, not how much of it there is: no bounds apply.
_STRUCTURAL = (_VERSION, _INCARNATION, _DRAINED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An action's levers against the live ones.

    Attributes:
        writes: Levers and the values that will be written, a replica's own value of a setting as
            that of all; None when an undo has no pre-image.
        live: The live value of each written lever, None where it is not known.
        kind: The action's kind.
        ramp: The action's ramp.
        beside: The pool that it is compared with at each rung, empty for none.
    """

    writes: Levers
    live: tuple[Scalar | None, ...]
    kind: ActionKind
    ramp: tuple[float, ...]
    beside: str = ""

    def moves(self, prefix: str) -> tuple[tuple[str, Scalar, Scalar | None], ...]:
        """Return (part after the prefix, wanted, live) of the levers under a prefix."""
        return tuple(
            (lever.removeprefix(prefix), value, live)
            for (lever, value), live in zip(self.writes, self.live, strict=True)
            if lever.startswith(prefix)
        )


def change_of(action: Action, sight: Sight, *, undo: bool) -> Change:
    """Return what would be written, against what is live."""
    flying = sight.state.in_flight
    writes, ramp = action.change, action.ramp
    # A person's undo carries in its levers what it writes; what it found is no way back yet.
    if undo and flying is not None and flying.first_pre and not flying.undoes:
        writes, ramp = flying.first_pre, ()
    writes, live = effective(writes, sight.world)
    return Change(writes=writes, live=live, kind=action.kind, ramp=ramp, beside=action.beside)


def shaped(action: Action, change: Change) -> bool:
    """Return whether the levers are those of the kind and subject, finite and rampable."""
    allowed = LEVERS_OF.get(action.kind)
    if allowed is None or bool(change.writes) != bool(allowed):
        return False
    for lever, value in change.writes:
        if not any(
            lever == name or (name[-1] == "." and lever.startswith(name)) for name in allowed
        ):
            return False
        if lever.startswith(_VERSION) != isinstance(value, str):
            return False
        if not isinstance(value, str) and milli(value) is None:
            return False
        if lever.startswith(_REPLICAS) and (milli(value) or 0) % 1000:
            return False  # half a replica is none: it would count as nothing in every sum
    if change.ramp:
        whole = [milli(rung) for rung in change.ramp]
        wanted = milli(change.writes[0][1]) if len(change.writes) == 1 else None
        # The whole ramp (its last rung) when it is proposed, one rung at each write.
        if None in whole or wanted not in whole:
            return False
    return _about_subject(action, change)


def _about_subject(action: Action, change: Change) -> bool:
    """Return whether levers that carry a slot's or pool's name carry the subject's."""
    if action.kind in {ActionKind.RESTART_REPLICA, ActionKind.DRAIN_REPLICA}:
        slot = names.bare(action.subject)
        if action.subject != names.replica(slot):
            return False
        slots = {lever.partition(".")[2] for lever, _ in change.writes}
        moved = {lever for lever, _ in change.writes}
        needed = (
            names.lever_incarnation(slot)
            if action.kind is ActionKind.RESTART_REPLICA
            else names.lever_drained(slot)
        )
        return slots == {slot} and needed in moved
    if action.kind in {ActionKind.SCALE_UP, ActionKind.SCALE_DOWN, ActionKind.ROLLBACK}:
        return len(change.writes) == 1 and (
            action.subject == names.pool(change.writes[0][0].partition(".")[2])
        )
    return True


def directed(change: Change) -> bool | None:
    """Return whether no lever moves against the direction of the kind; None if that is unknown."""
    known = True
    for (lever, value), live in zip(change.writes, change.live, strict=True):
        if live is None:
            known = False
        elif not _directed(change.kind, lever, value, live):
            return False
    return True if known else None


def _directed(kind: ActionKind, lever: str, value: Scalar, live: Scalar) -> bool:
    if lever.startswith(_INCARNATION):
        return value in {live, _plus_one(live)}
    if lever.startswith(_DRAINED):
        # A restart may put the slot back into rotation, a drain may only take it out.
        return value == 1 if kind is ActionKind.DRAIN_REPLICA else value == 0
    wanted, now = milli(value), milli(live)
    if kind in _UP:
        return wanted is not None and now is not None and wanted >= now
    if kind in _DOWN:
        return wanted is not None and now is not None and wanted <= now
    return True


def _plus_one(live: Scalar) -> Scalar | None:
    return None if isinstance(live, str) else live + 1


def replicas_delta(change: Change) -> int | None:
    """Return replicas added (or taken, negative); None if the live count is unknown."""
    total = 0
    for _, wanted, live in change.moves(_REPLICAS):
        after, before = milli(wanted), milli(live)
        if after is None or before is None:
            return None
        total += (after - before) // 1000
    return total


_WIDE = 10**15  # thousandths; beyond this a float in a message would lie


def leaving(change: Change, sight: Sight) -> tuple[frozenset[str], int, str | None] | None:
    """Return slots that leave rotation, how many more unnamed ones do, and their pool.

    None when the world does not say. A version change is rolled one replica at a time by the
    target, replacement first, so no slot of it leaves.
    """
    if sight.world is None or (change.writes and None in change.live):
        return None
    slots = {slot.name: slot for slot in sight.world.replicas}
    named: set[str] = set()
    pool: str | None = None
    for name, wanted, live in (*change.moves(_INCARNATION), *change.moves(_DRAINED)):
        slot = slots.get(name)
        if slot is None:
            return None
        out = wanted not in {live, 0}
        if out and slot.state is ReplicaState.READY:
            named.add(name)
        pool = slot.pool
    unnamed = 0
    for name, wanted, live in change.moves(_REPLICAS):
        after, before = milli(wanted), milli(live)
        if after is None or before is None:
            return None
        unnamed += max(0, -((after - before) // 1000))
        pool = name
    return frozenset(named), unnamed, pool


def limit_of(limits: tuple[LeverLimit, ...], lever: str) -> LeverLimit | None:
    """Return the lever's own limit, else that of its prefix."""
    own = next((limit for limit in limits if limit.lever == lever), None)
    if own is not None:
        return own
    prefix = lever.partition(".")[0] + "."
    return next((limit for limit in limits if limit.lever == prefix), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How a change stands to the policy's bounds; the worst lever speaks for all.

    Attributes:
        limited: Every lever that needs a limit has one.
        excess_milli: Distance outside the bounds, 0 if inside or moving towards them.
        step_milli: Distance beyond the largest step, None if the live value is unknown.
        excess_text: The worst lever against its bounds, for people.
        step_text: The worst lever against its step, for people.
    """

    limited: bool = True
    excess_milli: int | None = 0
    step_milli: int | None = 0
    excess_text: str = ""
    step_text: str = ""


def bounds(change: Change, sight: Sight) -> Bounds:
    """Return how the change stands to the policy's bounds and steps."""
    guard, fallback = sight.state.managed.guard, sight.state.managed.fallback_pool
    worst = Bounds()
    for (lever, value), live in zip(change.writes, change.live, strict=True):
        if lever.startswith(_STRUCTURAL):
            continue
        limit = limit_of(guard.limits, lever)
        if limit is None:
            return Bounds(limited=False, excess_text=f"{lever} has no limit in the policy")
        one = _bounds_of(lever, value, live, limit, change.ramp)
        if on_its_ramp(lever, change.ramp, change.beside, sight.state.managed):
            one = replace(one, step_milli=beyond(value, live, change.ramp, sight.state.in_flight))
        elif is_canary(lever, sight.state.managed):
            one = replace(one, step_milli=_rise(value, live), step_text=f"{lever} without its ramp")
        elif fallback is not None and lever == names.lever_weight(fallback):
            one = Bounds(excess_milli=one.excess_milli, excess_text=one.excess_text)
        worst = _worse(worst, one)
    return worst


def _rise(value: Scalar, live: Scalar | None) -> int | None:
    wanted, now = milli(value), None if live is None else milli(live)
    return None if wanted is None or now is None else max(0, wanted - now)


def _worse(first: Bounds, second: Bounds) -> Bounds:
    excess, step = first, first
    if first.excess_milli is not None:
        more = second.excess_milli is None or second.excess_milli >= first.excess_milli
        excess = second if more else first
    if first.step_milli is not None:
        more = second.step_milli is None or second.step_milli >= first.step_milli
        step = second if more else first
    return Bounds(
        excess_milli=excess.excess_milli,
        excess_text=excess.excess_text,
        step_milli=step.step_milli,
        step_text=step.step_text,
    )


def _bounds_of(
    lever: str, value: Scalar, live: Scalar | None, limit: LeverLimit, ramp: tuple[float, ...]
) -> Bounds:
    wanted, now, low, high = milli(value), milli(live), milli(limit.low), milli(limit.high)
    text = f"{lever} {value} outside {limit.low:g} to {limit.high:g}"
    if wanted is None or low is None or high is None:
        return Bounds(excess_milli=None, step_milli=None, excess_text=text, step_text=text)
    open_limit = lever == names.GATEWAY_LIMIT  # 0 means that there is no limit
    excess = 0 if open_limit and wanted == 0 else max(0, low - wanted, wanted - high)
    unlimited = open_limit and now == 0  # that is no value below the bounds
    if excess and now is not None and not unlimited and excess < max(0, low - now, now - high):
        excess = 0  # outside already: only moves towards the bounds are safe
    if now is None:
        return Bounds(excess_milli=excess, step_milli=None, excess_text=text, step_text=text)
    if open_limit and 0 in {wanted, now}:
        return Bounds(excess_milli=excess, excess_text=text)
    rung = next((r for r in (milli(r) for r in ramp) if r is not None and r > now), wanted)
    step, most = abs(rung - now), _largest_step(now, limit, up=rung > now)
    step_text = f"{lever} from {live} to {rung / 1000:g}" if abs(rung) < _WIDE else lever
    beyond = None if most is None else max(0, step - most)
    return Bounds(excess_milli=excess, step_milli=beyond, excess_text=text, step_text=step_text)


def _largest_step(now: int, limit: LeverLimit, *, up: bool) -> int | None:
    """Return the largest step in thousandths: the policy's share, and at least one whole unit.

    One unit is always a step, or a pool of three could never shrink by a quarter.
    """
    share = milli(limit.step_up if up else limit.step_down)
    return None if share is None else max(1000, abs(now) * share // 1000)
