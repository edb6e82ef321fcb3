"""Life and death of replica slots: asked for, loading, ready, draining, hung, dead.

Once per block of ticks: what ended a process (faults, memory, disk, poison), what the platform does
about it by itself (start again, with a growing wait), whose time has come (machine there, model
loaded, drained), and how many replicas are to be there. Orders reach it through `levers`.
"""

from typing import Final

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from homeostat.twin import memory, params
from homeostat.twin.chance import Draws
from homeostat.twin.effects import Effects
from homeostat.twin.shapes import VARIANTS, Phase
from homeostat.twin.state import Slots, variant_mask

OLD_S: Final = 86_400.0  # age of the replicas that an episode begins with: warm for a day
_FIRST_WAIT_S, _NEXT_WAIT_S, _LONGEST_WAIT_S = 1.0, 10.0, 300.0  # Kubernetes' back-off
_FORGIVEN_S: Final = 600.0  # a process that ran for so long starts with a clean slate
_HALF: Final = 0.5


class Change(eqx.Module):
    """What a block did to the slots.

    Attributes:
        slots: After it.
        started: Bool [S]: a new process began.
        swapped: Bool [S]: the slot now runs the previous version.
        lost: Requests that ended with their process [S].
    """

    slots: Slots
    started: Array
    swapped: Array
    lost: Array


def begin(deployment: params.Params, draws: Draws, slots: int) -> Slots:
    """Return slots with the replicas of the start, ready and warm.

    Args:
        deployment: Its parameters.
        draws: Of the first process of each slot.
        slots: S.
    """
    upper = jnp.cumsum(jnp.round(deployment.replicas))
    index = jnp.arange(slots)
    variant = jnp.minimum((index[:, None] >= upper[None, :]).sum(axis=1), VARIANTS - 1)
    there = index < upper[-1]
    zeros = jnp.zeros(slots)
    return Slots(
        phase=jnp.where(there, Phase.READY, Phase.EMPTY).astype(jnp.int32),
        variant=variant.astype(jnp.int32),
        timer_s=zeros,
        too_slow=zeros > 0.0,
        leaving=zeros > 0.0,
        starts=there.astype(jnp.int32),
        crashes=zeros,
        age_s=jnp.full(slots, OLD_S),
        jobs=zeros,
        front=zeros,
        late=zeros,
        busy=zeros,
        share=zeros,
        leaked_gib=zeros,
        device_gib=zeros,
        memory_gib=jnp.where(there, deployment.memory.base_gib, 0.0),
        disk=zeros,
        hazard=draws.poison,
        stale_s=zeros,
        listed=jnp.ones(slots),
        swap_s=jnp.full(slots, jnp.inf),
        luck=draws.luck,
    )


def start(deployment: params.Params, fx: Effects, slots: Slots, draws: Draws, go: Array) -> Slots:
    """Return the slots with a new process loading wherever `go` [S] says."""
    provision = deployment.provision
    median_s = fx.replaced("load_time_s", provision.load_s)
    load_s = median_s * jnp.exp(provision.sigma * draws.load)
    deadline_s = fx.limit("probe_deadline_s", provision.probe_deadline_s)
    fresh = Slots(
        phase=jnp.full_like(slots.phase, Phase.LOADING),
        variant=slots.variant,
        timer_s=jnp.minimum(load_s, deadline_s),
        too_slow=load_s > deadline_s,
        leaving=jnp.zeros_like(go),
        starts=slots.starts + 1,
        crashes=slots.crashes,
        age_s=jnp.zeros_like(slots.age_s),
        jobs=jnp.zeros_like(slots.jobs),
        front=jnp.zeros_like(slots.front),
        late=jnp.zeros_like(slots.late),
        busy=jnp.zeros_like(slots.busy),
        share=slots.share,
        leaked_gib=jnp.zeros_like(slots.leaked_gib),
        device_gib=jnp.zeros_like(slots.device_gib),
        memory_gib=slots.memory_gib,
        disk=jnp.minimum(slots.disk + fx.share("download_adds_disk"), 1.0),
        hazard=draws.poison,
        stale_s=slots.stale_s,
        listed=jnp.ones_like(slots.listed),
        swap_s=jnp.full_like(slots.swap_s, jnp.inf),
        luck=draws.luck,
    )
    return where(go, fresh, slots)


def where(mask: Array, new: Slots, old: Slots) -> Slots:
    """Return the slots of `new` where the mask [S] is true, else of `old`."""
    pairs = zip(vars(new).items(), vars(old).values(), strict=True)
    return Slots(**{name: jnp.where(mask, a, b) for (name, a), b in pairs})


def put(slots: Slots, **values: Array) -> Slots:
    """Return the slots with some fields replaced."""
    return Slots(**(vars(slots) | values))


def live(
    deployment: params.Params,
    fx: Effects,
    slots: Slots,
    draws: Draws,
    seconds: float,
) -> Change:
    """Return what became of the slots after the last block, faults of now included.

    Args:
        deployment: Its parameters.
        fx: Faults in force.
        slots: As the last block left them.
        draws: Of the next process of each slot.
        seconds: Length of a block.
    """
    gone = fx.of("replica_kill") + fx.of("pool_loss") > _HALF
    slots, lost = _deaths(deployment, fx, slots, gone)
    slots = _hangs(fx, slots)
    scarce = _scarce(deployment, fx, slots)
    running = jnp.where(slots.phase == Phase.PENDING, ~scarce, ~gone)
    slots = put(slots, timer_s=jnp.where(running, slots.timer_s - seconds, slots.timer_s))
    over = slots.timer_s <= 0.0
    ready = (slots.phase == Phase.LOADING) & over & ~slots.too_slow
    again = (slots.phase == Phase.LOADING) & over & slots.too_slow
    again = again | ((slots.phase == Phase.PENDING) & over)
    again = again | ((slots.phase == Phase.DEAD) & over & ~gone)
    slots = start(deployment, fx, slots, draws, again)
    empty = (slots.phase == Phase.DRAINING) & slots.leaving & ((slots.jobs < _HALF) | over)
    lost = lost + jnp.where(empty, slots.jobs + slots.front, 0.0)
    swap_s = slots.swap_s - seconds
    swapped = swap_s <= 0.0
    phase = jnp.where(ready, Phase.READY, jnp.where(empty, Phase.EMPTY, slots.phase))
    serves = (phase == Phase.READY) | (phase == Phase.DRAINING) | (phase == Phase.HUNG)
    age_s = jnp.where(ready, 0.0, slots.age_s + seconds)
    slots = put(
        slots,
        phase=phase.astype(jnp.int32),
        age_s=age_s,
        crashes=jnp.where(serves & (age_s > _FORGIVEN_S), 0.0, slots.crashes),
        swap_s=jnp.where(swapped, jnp.inf, swap_s),
        stale_s=jnp.maximum(slots.stale_s - seconds, 0.0),
        jobs=jnp.where(empty, 0.0, slots.jobs),
        front=jnp.where(empty, 0.0, slots.front),
    )
    return Change(slots=slots, started=again, swapped=swapped, lost=lost)


def wanted(
    deployment: params.Params,
    fx: Effects,
    slots: Slots,
    draws: Draws,
    target: Array,
    spares: Array,
) -> tuple[Slots, Array]:
    """Return the slots with the number of replicas brought towards `target`, and spares used.

    Args:
        deployment: Its parameters.
        fx: Faults in force.
        slots: As of now.
        draws: Of the next process of each slot.
        target: Replicas wanted [V].
        spares: Warm spare processes left.
    """
    member = variant_mask(slots)
    there = slots.phase != Phase.EMPTY
    staying = there & ~slots.leaving
    count = member @ staying.astype(jnp.float32)
    target = jnp.clip(jnp.round(target), 0.0, float(there.shape[0]))
    slots = _fewer(deployment, slots, member, staying, count - target)
    cap = fx.limit("cap_replicas", deployment.provision.cap)
    room = jnp.maximum(jnp.floor(cap) - there.sum(), 0.0)
    return _more(deployment, fx, slots, draws, jnp.maximum(target - count, 0.0), room, spares)


def restart(
    deployment: params.Params, fx: Effects, slots: Slots, draws: Draws, which: Array
) -> Change:
    """Return the slots after processes were ended on purpose [S], a new one loading elsewhere.

    While there is nothing else to be had the machine that was given up is gone: the slot waits.
    """
    which = which & (slots.phase != Phase.EMPTY) & (slots.phase != Phase.PENDING)
    answers = (slots.phase == Phase.READY) | (slots.phase == Phase.DRAINING)
    lost = jnp.where(which & answers, slots.jobs + slots.front, 0.0)
    scarce = _scarce(deployment, fx, slots)
    loading = start(
        deployment, fx, put(slots, disk=jnp.where(which, 0.0, slots.disk)), draws, which
    )
    waits = which & scarce
    machine_s = fx.replaced("provision_delay_s", deployment.provision.delay_s)
    slots = put(
        loading,
        phase=jnp.where(waits, Phase.PENDING, loading.phase).astype(jnp.int32),
        timer_s=jnp.where(waits, machine_s, loading.timer_s),
    )
    return Change(slots=slots, started=which, swapped=jnp.zeros_like(which), lost=lost)


def drained(slots: Slots, drain: Array) -> Slots:
    """Return the slots with those in `drain` [S] out of rotation, and the others back in."""
    out = (slots.phase == Phase.READY) & drain
    back = (slots.phase == Phase.DRAINING) & ~slots.leaving & ~drain
    phase = jnp.where(out, Phase.DRAINING, jnp.where(back, Phase.READY, slots.phase))
    return put(slots, phase=phase.astype(jnp.int32))


def healthy(slots: Slots) -> Array:
    """Return the number of replicas that are ready and answer."""
    return (slots.phase == Phase.READY).sum()


def _deaths(
    deployment: params.Params, fx: Effects, slots: Slots, gone: Array
) -> tuple[Slots, Array]:
    strain = memory.strain(deployment.memory, fx, slots)
    serves = (slots.phase == Phase.READY) | (slots.phase == Phase.DRAINING)
    serves = serves | (slots.phase == Phase.HUNG)
    poisoned = serves & (slots.hazard <= 0.0)
    there = (slots.phase != Phase.EMPTY) & (slots.phase != Phase.DEAD)
    crash = serves & (strain.oom | strain.evicted | poisoned)
    dies = crash | (gone & there)
    answers = (slots.phase == Phase.READY) | (slots.phase == Phase.DRAINING)
    lost = jnp.where(dies & answers, slots.jobs + slots.front, 0.0)
    wait_s = jnp.minimum(_NEXT_WAIT_S * 2.0 ** (slots.crashes - 1.0), _LONGEST_WAIT_S)
    wait_s = jnp.where(slots.crashes > 0.0, wait_s, _FIRST_WAIT_S)
    listed = serves & dies
    return put(
        slots,
        phase=jnp.where(
            dies, jnp.where(slots.leaving, Phase.EMPTY, Phase.DEAD), slots.phase
        ).astype(jnp.int32),
        timer_s=jnp.where(dies, wait_s, slots.timer_s),
        crashes=jnp.where(crash, jnp.minimum(slots.crashes + 1.0, 10.0), slots.crashes),
        jobs=jnp.where(dies, 0.0, slots.jobs),
        front=jnp.where(dies, 0.0, slots.front),
        late=jnp.where(dies, 0.0, slots.late),
        busy=jnp.where(dies, 0.0, slots.busy),
        disk=jnp.where(dies & strain.evicted, 0.0, slots.disk),
        stale_s=jnp.where(listed, fx.of("endpoint_stale_s"), slots.stale_s),
    ), lost


def _hangs(fx: Effects, slots: Slots) -> Slots:
    stuck = fx.of("replica_hang") + fx.of("group_hang") > _HALF
    phase = jnp.where(stuck & (slots.phase == Phase.READY), Phase.HUNG, slots.phase)
    phase = jnp.where(~stuck & (slots.phase == Phase.HUNG), Phase.READY, phase)
    return put(slots, phase=phase.astype(jnp.int32))


def _scarce(deployment: params.Params, fx: Effects, slots: Slots) -> Array:
    """Return whether no machine can be had: a spot outage, or a quota that is used up by a fault."""
    there = (slots.phase != Phase.EMPTY).sum()
    cap = fx.limit("cap_replicas")
    exhausted = jnp.isfinite(cap) & (there >= jnp.floor(jnp.minimum(cap, deployment.provision.cap)))
    return exhausted | (fx.of("spot_unavailable_s") > 0.0)


def _fewer(
    deployment: params.Params, slots: Slots, member: Array, staying: Array, surplus: Array
) -> Slots:
    """Return the slots with the surplus [V] on its way out: what serves nobody first, then youth."""
    ready = (slots.phase == Phase.READY) | (slots.phase == Phase.DRAINING)
    # A later start is younger; among equals the higher slot goes first.
    rank_of = jnp.where(ready, slots.age_s, slots.age_s - 2.0 * OLD_S * 100.0)
    rank_of = jnp.where(slots.phase == Phase.HUNG, slots.age_s, rank_of)
    index = jnp.arange(slots.phase.shape[0])
    same = (slots.variant[:, None] == slots.variant[None, :]) & staying[None, :]
    before = (rank_of[None, :] < rank_of[:, None]) | (
        (rank_of[None, :] == rank_of[:, None]) & (index[None, :] > index[:, None])
    )
    rank = (same & before).sum(axis=1)
    goes = staying & (rank < surplus @ member)
    drains = goes & ready
    ends = goes & ~ready
    phase = jnp.where(drains, Phase.DRAINING, jnp.where(ends, Phase.EMPTY, slots.phase))
    return put(
        slots,
        phase=phase.astype(jnp.int32),
        leaving=(slots.leaving | drains) & (phase != Phase.EMPTY),
        timer_s=jnp.where(drains, deployment.provision.drain_s, slots.timer_s),
        jobs=jnp.where(ends, 0.0, slots.jobs),
        front=jnp.where(ends, 0.0, slots.front),
    )


def _more(
    deployment: params.Params,
    fx: Effects,
    slots: Slots,
    draws: Draws,
    missing: Array,
    room: Array,
    spares: Array,
) -> tuple[Slots, Array]:
    """Return the slots with new replicas asked for, and how many warm spares were used."""
    granted = jnp.minimum(jnp.cumsum(missing), room)
    empty = slots.phase == Phase.EMPTY
    broken = fx.of("replica_kill") + fx.of("pool_loss") > _HALF
    good, bad = empty & ~broken, empty & broken
    order = jnp.where(good, jnp.cumsum(good), good.sum() + jnp.cumsum(bad)) - 1
    new = empty & (order < granted[-1])
    variant = (order[:, None] >= granted[None, :-1]).sum(axis=1)
    warm = new & (order < spares)
    provision = deployment.provision
    machine_s = fx.replaced("provision_delay_s", provision.delay_s)
    machine_s = machine_s * jnp.exp(provision.sigma * draws.delay)
    slots = put(
        slots,
        phase=jnp.where(new, Phase.PENDING, slots.phase).astype(jnp.int32),
        variant=jnp.where(new, variant, slots.variant).astype(jnp.int32),
        timer_s=jnp.where(new, machine_s, slots.timer_s),
        leaving=slots.leaving & ~new,
        crashes=jnp.where(new, 0.0, slots.crashes),
        disk=jnp.where(new, 0.0, slots.disk),
        stale_s=jnp.where(new, 0.0, slots.stale_s),
        age_s=jnp.where(new, 0.0, slots.age_s),
        swap_s=jnp.where(new, jnp.inf, slots.swap_s),
    )
    slots = start(deployment, fx, slots, draws, warm)
    phase = jnp.where(warm, Phase.READY, slots.phase)
    age_s = jnp.where(warm, provision.warm_s, slots.age_s)
    return put(slots, phase=phase.astype(jnp.int32), age_s=age_s), warm.sum()
