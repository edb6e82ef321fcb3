"""Life and death of replica slots: asked for, loading, ready, draining, hung, dead.

Once per block of ticks: what ended a process (faults, memory, disk, poison), what the platform does
about it by itself (start again, with a growing wait), whose time has come (machine there, model
loaded, drained), and how many replicas are to be there. Orders reach it through `levers`.
"""

from typing import Final

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from homeostat.twin import memory, params, scaling
from homeostat.twin.apart import apart
from homeostat.twin.chance import Draws
from homeostat.twin.effects import Effects
from homeostat.twin.shapes import VARIANTS, Phase, Variant
from homeostat.twin.state import Slots, by_variant, put, running_sum

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
        lost: Requests that ended with their process.
        undrained: Those of them that were ended on purpose.
        destroyed: Bool: orders took the last healthy replica, or the last of the fallback pool.
        spares: Warm spare processes used.
    """

    slots: Slots
    started: Array
    swapped: Array
    lost: Array
    undrained: Array
    destroyed: Array
    spares: Array


class Wanted(eqx.Module):
    """What orders ask of the slots.

    Attributes:
        replicas: Of each variant [V].
        restart: Processes to end now [S], bool.
        drain: Slots out of rotation [S], bool.
        rollback: Variants that go back to their previous version [V], bool.
    """

    replicas: Array
    restart: Array
    drain: Array
    rollback: Array


def begin(deployment: params.Params, draws: Draws, slots: int) -> Slots:
    """Return slots with the replicas of the start, ready and warm.

    Args:
        deployment: Its parameters.
        draws: Of the first process of each slot.
        slots: S.
    """
    upper = running_sum(jnp.round(deployment.replicas))
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
        age_s=jnp.full(slots, OLD_S, jnp.float32),
        jobs=zeros,
        front=zeros,
        busy=zeros,
        share=zeros,
        mean_s=zeros,
        p50=zeros + 1.0,
        p95=zeros + 1.5,
        p99=zeros + 2.0,
        leaked_gib=zeros,
        device_gib=zeros,
        memory_gib=jnp.where(there, deployment.memory.base_gib, 0.0),
        disk=zeros,
        hazard=draws.poison,
        stale_s=zeros,
        listed=jnp.ones(slots),
        swap_s=jnp.full(slots, jnp.inf, jnp.float32),
        luck=draws.luck,
    )


def step(
    deployment: params.Params,
    fx: Effects,
    slots: Slots,
    draws: Draws,
    wanted: Wanted,
    spares: Array,
    seconds: float,
) -> Change:
    """Return what became of the slots in the last block, and what orders and faults do now.

    Args:
        deployment: Its parameters.
        fx: Faults in force.
        slots: As the last block left them.
        draws: Of the next process of each slot.
        wanted: What orders ask.
        spares: Warm spare processes left.
        seconds: Length of a block.
    """
    scarce = apart(lambda: _scarce(deployment, fx, slots))
    slots, again, swapped, lost = apart(lambda: _live(deployment, fx, slots, scarce, seconds))
    had, had_b = healthy(slots), _staying(slots, Variant.B)
    slots, ended, undrained = _restart(deployment, fx, slots, wanted.restart, scarce)
    slots = apart(lambda: _drained(slots, wanted.drain))
    slots, warm = apart(
        lambda: scaling.number(deployment, fx, slots, draws, wanted.replicas, spares)
    )
    gone = (had > 0) & (healthy(slots) == 0)
    gone = gone | ((had_b > 0) & (_staying(slots, Variant.B) == 0))
    begins = ((again | ended) & (slots.phase == Phase.LOADING)) | warm
    slots = _start(deployment, fx, slots, draws, begins, warm)
    slots = _swap(deployment, fx, slots, draws, wanted.rollback)
    return Change(
        slots=slots,
        started=begins,
        swapped=swapped,
        lost=lost + undrained,
        undrained=undrained,
        destroyed=gone,
        spares=warm.sum(),
    )


def _start(
    deployment: params.Params,
    fx: Effects,
    slots: Slots,
    draws: Draws,
    go: Array,
    warm: Array,
) -> Slots:
    """Return the slots with a new process wherever `go` says, ready at once where it is warm."""
    provision = deployment.provision
    load_s = fx.replaced("load_time_s", provision.load_s) * jnp.exp(provision.sigma * draws.load)
    deadline_s = fx.limit("probe_deadline_s", provision.probe_deadline_s)

    def reset(field: Array, value: Array | float) -> Array:
        return jnp.where(go, value, field)

    disk = jnp.minimum(slots.disk + fx.share("download_adds_disk"), 1.0)
    return put(
        slots,
        phase=jnp.where(warm, Phase.READY, slots.phase).astype(jnp.int32),
        timer_s=reset(slots.timer_s, jnp.minimum(load_s, deadline_s)),
        too_slow=(load_s > deadline_s) & go | slots.too_slow & ~go,
        leaving=slots.leaving & ~go,
        starts=slots.starts + go,
        age_s=reset(slots.age_s, jnp.where(warm, provision.warm_s, 0.0)),
        jobs=reset(slots.jobs, 0.0),
        front=reset(slots.front, 0.0),
        busy=reset(slots.busy, 0.0),
        leaked_gib=reset(slots.leaked_gib, 0.0),
        device_gib=reset(slots.device_gib, 0.0),
        disk=reset(slots.disk, disk),
        hazard=reset(slots.hazard, draws.poison),
        listed=reset(slots.listed, 1.0),
        swap_s=reset(slots.swap_s, jnp.inf),
        luck=reset(slots.luck, draws.luck),
    )


def _live(
    deployment: params.Params, fx: Effects, slots: Slots, scarce: Array, seconds: float
) -> tuple[Slots, Array, Array, Array]:
    """Return the slots after time and faults, who begins again, who swapped, and requests lost."""
    gone = scaling.gone(fx)
    slots, lost = apart(lambda: _deaths(deployment, fx, slots, gone, seconds))
    slots = _hangs(fx, slots)
    runs = jnp.where(slots.phase == Phase.PENDING, ~scarce, ~gone)
    timer_s = jnp.where(runs, slots.timer_s - seconds, slots.timer_s)
    over = timer_s <= 0.0
    loading = slots.phase == Phase.LOADING
    ready = loading & over & ~slots.too_slow
    waiting = (slots.phase == Phase.PENDING) | ((slots.phase == Phase.DEAD) & ~gone)
    again = over & (waiting | (loading & slots.too_slow))
    emptied = (slots.phase == Phase.DRAINING) & slots.leaving & ((slots.jobs < _HALF) | over)
    lost = lost + jnp.where(emptied, slots.jobs + slots.front, 0.0).sum()
    swap_s = slots.swap_s - seconds
    swapped = swap_s <= 0.0
    phase = jnp.where(ready, Phase.READY, jnp.where(emptied, Phase.EMPTY, slots.phase))
    phase = jnp.where(again, Phase.LOADING, phase)
    serves = (phase == Phase.READY) | (phase == Phase.DRAINING) | (phase == Phase.HUNG)
    age_s = jnp.where(ready, 0.0, slots.age_s + seconds)
    slots = put(
        slots,
        phase=phase.astype(jnp.int32),
        timer_s=timer_s,
        age_s=age_s,
        crashes=jnp.where(serves & (age_s > _FORGIVEN_S), 0.0, slots.crashes),
        swap_s=jnp.where(swapped, jnp.inf, swap_s),
        stale_s=jnp.maximum(slots.stale_s - seconds, 0.0),
        jobs=jnp.where(emptied, 0.0, slots.jobs),
        front=jnp.where(emptied, 0.0, slots.front),
    )
    return slots, again, swapped, lost


def _restart(
    deployment: params.Params, fx: Effects, slots: Slots, which: Array, scarce: Array
) -> tuple[Slots, Array, Array]:
    """Return the slots after processes were ended on purpose, which, and the requests lost.

    A new process loads elsewhere. While there is nothing else to be had the machine that was given
    up is gone: the slot waits.
    """
    which = which & (slots.phase != Phase.EMPTY) & (slots.phase != Phase.PENDING)
    answers = (slots.phase == Phase.READY) | (slots.phase == Phase.DRAINING)
    lost = jnp.where(which & answers, slots.jobs + slots.front, 0.0).sum()
    machine_s = fx.replaced("provision_delay_s", deployment.provision.delay_s)
    after = jnp.where(scarce, Phase.PENDING, Phase.LOADING)
    slots = put(
        slots,
        phase=jnp.where(which, after, slots.phase).astype(jnp.int32),
        timer_s=jnp.where(which, machine_s, slots.timer_s),
        leaving=slots.leaving & ~which,
        disk=jnp.where(which, 0.0, slots.disk),
        jobs=jnp.where(which, 0.0, slots.jobs),
        front=jnp.where(which, 0.0, slots.front),
        stale_s=jnp.where(which, 0.0, slots.stale_s),
    )
    return slots, which, lost


def _swap(
    deployment: params.Params, fx: Effects, slots: Slots, draws: Draws, which: Array
) -> Slots:
    """Begin to load the previous version beside the running one on all slots of some variants."""
    there = (slots.phase != Phase.EMPTY) & (slots.phase != Phase.PENDING)
    mine = by_variant(which, slots.variant) & there
    provision = deployment.provision
    load_s = fx.replaced("load_time_s", provision.load_s) * jnp.exp(provision.sigma * draws.load)
    return put(slots, swap_s=jnp.where(mine, load_s, slots.swap_s))


def _drained(slots: Slots, drain: Array) -> Slots:
    """Return the slots with those in `drain` [S] out of rotation, and the others back in."""
    out = (slots.phase == Phase.READY) & drain
    back = (slots.phase == Phase.DRAINING) & ~slots.leaving & ~drain
    phase = jnp.where(out, Phase.DRAINING, jnp.where(back, Phase.READY, slots.phase))
    return put(slots, phase=phase.astype(jnp.int32))


def healthy(slots: Slots) -> Array:
    """Return the number of replicas that are ready and answer."""
    return (slots.phase == Phase.READY).sum()


def _staying(slots: Slots, variant: Variant) -> Array:
    there = (slots.phase != Phase.EMPTY) & ~slots.leaving
    return (there & (slots.variant == variant)).sum()


def _deaths(
    deployment: params.Params, fx: Effects, slots: Slots, gone: Array, seconds: float
) -> tuple[Slots, Array]:
    """Return the slots after processes died, and the requests lost.

    Who dies dies now, at the end of the block that is then taken off all clocks: theirs get it on
    top.
    """
    strain = memory.strain(deployment.memory, fx, slots)
    serves = (slots.phase == Phase.READY) | (slots.phase == Phase.DRAINING)
    serves = serves | (slots.phase == Phase.HUNG)
    poisoned = serves & (slots.hazard <= 0.0)
    there = (slots.phase != Phase.EMPTY) & (slots.phase != Phase.DEAD)
    crash = serves & (strain.oom | strain.evicted | poisoned)
    dies = crash | (gone & there)
    answers = (slots.phase == Phase.READY) | (slots.phase == Phase.DRAINING)
    lost = jnp.where(dies & answers, slots.jobs + slots.front, 0.0).sum()
    wait_s = jnp.minimum(_NEXT_WAIT_S * 2.0 ** (slots.crashes - 1.0), _LONGEST_WAIT_S)
    wait_s = jnp.where(slots.crashes > 0.0, wait_s, _FIRST_WAIT_S)
    listed = serves & dies
    return put(
        slots,
        phase=jnp.where(
            dies, jnp.where(slots.leaving, Phase.EMPTY, Phase.DEAD), slots.phase
        ).astype(jnp.int32),
        timer_s=jnp.where(dies, wait_s + seconds, slots.timer_s),
        crashes=jnp.where(crash, jnp.minimum(slots.crashes + 1.0, 10.0), slots.crashes),
        jobs=jnp.where(dies, 0.0, slots.jobs),
        front=jnp.where(dies, 0.0, slots.front),
        busy=jnp.where(dies, 0.0, slots.busy),
        disk=jnp.where(dies & strain.evicted, 0.0, slots.disk),
        stale_s=jnp.where(listed, fx.of("endpoint_stale_s") + seconds, slots.stale_s),
    ), lost


def _hangs(fx: Effects, slots: Slots) -> Slots:
    stuck = fx.of("replica_hang") + fx.of("group_hang") > _HALF
    phase = jnp.where(stuck & (slots.phase == Phase.READY), Phase.HUNG, slots.phase)
    phase = jnp.where(~stuck & (slots.phase == Phase.HUNG), Phase.READY, phase)
    return put(slots, phase=phase.astype(jnp.int32))


def _scarce(deployment: params.Params, fx: Effects, slots: Slots) -> Array:
    """Return whether no machine can be had: a spot outage, or a quota that a fault used up."""
    there = (slots.phase != Phase.EMPTY).sum()
    cap = fx.limit("cap_replicas")
    exhausted = jnp.isfinite(cap) & (there >= jnp.floor(jnp.minimum(cap, deployment.provision.cap)))
    return exhausted | (fx.of("spot_unavailable_s") > 0.0)
