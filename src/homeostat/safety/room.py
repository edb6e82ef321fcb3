"""How much room is left: under the latency that was promised, and under memory limits.

What is idle at this moment says little. A larger batch costs everybody in it the time of the whole
batch, and a replica fewer is missed when the memory of those that stay runs full. Arithmetic over
what was measured; what was not measured leaves no room.
"""

from collections.abc import Sequence

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind
from homeostat.base.evidence import Family
from homeostat.base.world import Replica, ReplicaState
from homeostat.safety import capacity
from homeostat.safety.change import Change
from homeostat.safety.sight import Sight, milli, scrapes_ms
from homeostat.safety.tree import Value

# Where every batch takes all that wait, a request waits for the rest of the batch that is in
# service when it comes, and is answered with the next one: two batches' time at the most.
_BATCHES = 2
_WHOLE_MILLI = 1000
# What the runbook answers with a larger batch.
_MEMORIES = frozenset({names.MEMORY_SHARE, names.DEVICE_MEMORY_SHARE})
_ANSWERED = frozenset({Family.LOAD, Family.BATCHING})
# What a server of tokens says of itself: of whom one is known, all are asked for their memory.
_OF_TOKENS = (
    names.KV_USAGE,
    names.PREEMPTION_RATIO,
    names.PROMPT_TOKENS,
    names.GENERATED_TOKENS,
)


def room(action: Action, change: Change, sight: Sight) -> dict[str, Value]:
    """Return the facts about room.

    Args:
        action: What would be done.
        change: Its levers against the live ones.
        sight: What can be seen.
    """
    managed = sight.state.managed
    promised = milli(managed.objective.latency_p95_ms)
    larger = change.kind is ActionKind.BATCH_UP  # other kinds have no rule that asks for it
    facts: dict[str, Value] = {
        "batch_ms": _batch_ms(change, sight) if larger else None,
        "batches_full_milli": sight.once(_batches_full) if larger else None,
        "lets_in": _lets_in(change),
        "serves_more": _serves_more(change, sight),
        "promised_ms": None if promised is None else promised // 1000,
        "suspicions": None if sight.state.evidence is None else len(sight.suspects),
        "ailing": sight.once(_ailing) if larger else None,
        "overfull": _overfull(change, sight) if larger else None,
        "watch_ms": scrapes_ms(managed, managed.guard.watch_scrapes),
        "watched_ms": None,
        "memory_seen": None,
        "filling": None,
    }
    if change.kind is ActionKind.SCALE_DOWN:
        pool = names.bare(action.subject)
        inside, watched = sight.replicas(pool), capacity.watched(pool, sight)
        seen = all(_memory_seen(slot, sight) for slot in inside)
        facts["watched_ms"] = None if watched is None else watched[0]
        facts["memory_seen"] = True if seen else None
        facts["filling"] = None if sight.world is None else _filling(inside, sight)
    return facts


def _batch_ms(change: Change, sight: Sight) -> int | None:
    """Return what two batches of the slowest replica would take, in ms; None if unknown.

    A batch twice as large takes at most twice as long: its setup time is not negative.
    """
    times = _measured(_serving(sight), names.DEVICE_TIME, sight)
    grown = _grown(change)
    if not times or grown is None:
        return None
    (after, before), wait = grown
    slowest = -(-max(times) * after // before)
    return -(-(_BATCHES * slowest + wait) // 1000)


def _grown(change: Change) -> tuple[tuple[int, int], int] | None:
    """Return the largest batch (wanted, live) and how much longer one may wait, in thousandths.

    None when a live value is not known. A batch that gets smaller is taken as it is; where replicas
    have values of their own, the one that grows most speaks for all.
    """
    size, wait = (1, 1), 0
    for (lever, wanted), live in zip(change.writes, change.live, strict=True):
        after, before = milli(wanted), milli(live)
        if after is None or before is None or (lever == names.BATCH_MAX and before <= 0):
            return None
        if lever == names.BATCH_MAX:
            one = max(before, after), before
            size = one if one[0] * size[1] > size[0] * one[1] else size
        elif lever == names.BATCH_WAIT:
            wait = max(0, after - before)
    return size, wait


def _batches_full(sight: Sight) -> int | None:
    """Return which share of batches half of the stable pool's replicas reach, in thousandths.

    The fallback pool gets what little traffic it is given: its batches say nothing of the need.
    """
    return _half_reach(names.BATCH_FULL_SHARE, sight)


def _ailing(sight: Sight) -> int | None:
    """Return how many suspicions a larger batch does not answer; None without evidence.

    The time of a batch is measured while that is going on, and is no law of what it will be.
    """
    if sight.state.evidence is None:
        return None
    return sum(family not in _ANSWERED for _, family in sight.suspects)


def _overfull(change: Change, sight: Sight) -> int | None:
    """Return how many replicas' memory would not hold a larger batch; None if that is unknown.

    Sequences in work take a share of the device's memory; of a batch so much larger they take as
    much more, since batches are full when this is asked. What does not fit is put back and worked
    on again. Where no replica that serves says anything of tokens, none are served.
    """
    slots = _serving(sight)
    if not any(
        sight.value(names.replica(slot.name), signal) is not None
        for slot in slots
        for signal in _OF_TOKENS
    ):
        return 0
    used, grown = _measured(slots, names.KV_USAGE, sight), _grown(change)
    if used is None or grown is None:
        return None
    (after, before), _ = grown
    return sum(share * after > _WHOLE_MILLI * before for share in used)


def _lets_in(change: Change) -> bool | None:
    """Return whether nobody more is turned away; None if the limit in force is not known.

    A limit of nothing is none: everybody is let in.
    """
    for lever, wanted, live in zip(
        (lever for lever, _ in change.writes),
        (milli(value) for _, value in change.writes),
        map(milli, change.live),
        strict=True,
    ):
        if lever != names.GATEWAY_LIMIT or wanted == 0:
            continue
        if wanted is None or live is None:
            return None
        if live <= 0 or wanted < live:
            return False
    return True


def _serves_more(change: Change, sight: Sight) -> bool | None:
    """Return whether a smaller batch serves more at worst; None if that is unknown.

    What is put back for want of memory is worked on again: the device does 1 + that share of the
    work. At worst a smaller batch takes as long as the larger one, and nothing is put back: it
    serves more where the work saved is more than the share of the batch that is given up.
    """
    if change.kind is not ActionKind.BATCH_DOWN:
        return False
    kept = [
        (milli(wanted), milli(live))
        for (lever, wanted), live in zip(change.writes, change.live, strict=True)
        if lever == names.BATCH_MAX
    ]
    if not kept:
        return False
    shares = sight.once(_put_back)
    known = [(after, live) for after, live in kept if after is not None and live is not None]
    if shares is None or len(known) < len(kept):
        return None
    return all((_WHOLE_MILLI + shares) * after > live * _WHOLE_MILLI for after, live in known)


def _put_back(sight: Sight) -> int | None:
    """Return which share of sequences half of the stable pool's replicas put back."""
    return _half_reach(names.PREEMPTION_RATIO, sight)


def _half_reach(signal: str, sight: Sight) -> int | None:
    """Return what half of the stable pool's replicas in rotation reach, None if one is unknown."""
    stable = sight.state.managed.stable_pool
    slots = [slot for slot in _serving(sight) if slot.pool == stable]
    shares = _measured(slots, signal, sight)
    return sorted(shares)[(len(shares) - 1) // 2] if shares else None


def _serving(sight: Sight) -> list[Replica]:
    """Return the replicas in rotation of the pools that get traffic; none when that is unknown."""
    shares = capacity.shares(sight) or {}
    return [
        slot
        for slot in sight.replicas()
        if slot.state is ReplicaState.READY and shares.get(slot.pool, 0) > 0
    ]


def _measured(slots: Sequence[Replica], signal: str, sight: Sight) -> list[int] | None:
    """Return a signal of every replica in thousandths, None when one of them is not known."""
    found = [milli(sight.value(names.replica(slot.name), signal)) for slot in slots]
    if not sight.state.managed.guard.evidence_rules:
        # A paired run reads missing data as zero, to show what holding is for.
        found = [0 if value is None else value for value in found]
    known = [value for value in found if value is not None and value >= 0]
    return known if len(known) == len(found) else None


def _memory_seen(slot: Replica, sight: Sight) -> bool:
    """Return whether a replica that serves says how full its memory is, its devices' if it did."""
    if slot.state is not ReplicaState.READY:
        return True
    subject = names.replica(slot.name)
    device = (subject, names.DEVICE_MEMORY_SHARE)
    silent = device in sight.once(_told) and device not in sight.readings
    return not silent and sight.value(subject, names.MEMORY_SHARE) is not None


def _told(sight: Sight) -> frozenset[tuple[str, str]]:
    """Return of which series the latest tick tells, were it only that they are silent."""
    evidence = sight.state.evidence
    readings = () if evidence is None else evidence.readings
    return frozenset((one.subject, one.signal) for one in readings)


def _filling(slots: tuple[Replica, ...], sight: Sight) -> int:
    """Return how many replicas are on their way to the end of their memory or of a device's."""
    subjects = {names.replica(slot.name) for slot in slots}
    return len({
        forecast.subject
        for forecast in sight.forecasts()
        if forecast.subject in subjects
        and forecast.signal in _MEMORIES
        and forecast.time_to_limit_ns is not None
    })
