"""Host memory, device memory and disk of each replica.

Host memory grows with a leak per completed request and with every job in the system; at the limit
the kernel kills the process. Device memory that leaked shrinks the room for jobs' state. A new
process starts with neither leak; a disk that is full gets the replica evicted.
"""

from typing import Final

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from homeostat.twin import params
from homeostat.twin.effects import Effects
from homeostat.twin.state import Slots

# Device memory that a fresh process leaves free, GiB: the middle of the headroom that the leak
# scenarios of the catalogue give (1 to 20 GiB).
DEVICE_FREE_GIB: Final = 10.0
# Near the limit the runtime spends its time collecting: half as slow again at the limit itself.
_GC_FROM: Final = 0.9
_GC_COST: Final = 0.5
_KB, _MB, _HOUR = 1.0 / (1 << 20), 1.0 / (1 << 10), 3600.0


class Strain(eqx.Module):
    """Who is in trouble; each [S].

    Attributes:
        oom: Bool: host memory is at its limit.
        evicted: Bool: the disk is too full.
    """

    oom: Array
    evicted: Array


def limit_gib(memory: params.Memory, fx: Effects) -> Array:
    """Return the host memory at which a process is killed [S]."""
    return fx.limit("mem_limit_gib", memory.limit_gib)


def used_gib(memory: params.Memory, fx: Effects, slots: Slots) -> Array:
    """Return host memory in use by a process [S]."""
    per_job = memory.per_job_gib + fx.of("mem_per_queued_mb") * _MB
    return memory.base_gib + slots.leaked_gib + (slots.jobs + slots.front) * per_job


def strain(memory: params.Memory, fx: Effects, slots: Slots) -> Strain:
    """Return which processes are about to be ended for what they use."""
    return Strain(
        oom=used_gib(memory, fx, slots) >= limit_gib(memory, fx),
        evicted=slots.disk >= fx.replaced("evict_at", 0.9),
    )


def leak(fx: Effects, slots: Slots, completed: Array, seconds: float) -> tuple[Array, Array, Array]:
    """Return leaked host GiB, leaked device GiB and disk share after some seconds, each [S].

    Args:
        fx: Faults in force.
        slots: As of before.
        completed: Requests completed meanwhile [S].
        seconds: How long.
    """
    host = slots.leaked_gib + completed * fx.of("mem_leak_per_req_kb") * _KB
    device = slots.device_gib + completed * fx.of("gmem_leak_per_req_mb") * _MB
    disk = jnp.clip(slots.disk + fx.of("disk_fill_rate") * seconds / _HOUR, 0.0, 1.0)
    return host, device, disk


def share(memory: params.Memory, fx: Effects, slots: Slots) -> Array:
    """Return memory in use / its limit, as exporters report it [S].

    Of host or device, whichever is nearer to its limit; a fresh process fills both alike.
    """
    host = slots.memory_gib / jnp.maximum(limit_gib(memory, fx), 1e-9)
    fresh = memory.base_gib / jnp.maximum(memory.limit_gib, 1e-9)
    device = fresh + (1.0 - fresh) * (1.0 - device_share_free(slots))
    leaks = (slots.device_gib > 0.0) & (slots.memory_gib > 0.0)
    return jnp.where(leaks, jnp.maximum(host, device), host)


def device_share_free(slots: Slots) -> Array:
    """Return what a leak has left of the device memory for jobs, 0..1 [S]."""
    return jnp.clip(1.0 - slots.device_gib / DEVICE_FREE_GIB, 0.0, 1.0)


def collecting(share: Array) -> Array:
    """Return how much slower a process is for lack of host memory, as a factor [S]."""
    return 1.0 + _GC_COST * jnp.clip((share - _GC_FROM) / (1.0 - _GC_FROM), 0.0, 1.0)
