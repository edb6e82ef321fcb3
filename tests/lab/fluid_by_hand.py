"""The tick model reduced to its core, for tests: equal replicas, users who retry, tables, no more.

Written from the equations (attempts A_k(t + T + backoff) = A_(k-1)(t) P(W > T); x' = H^-1), so that
what is compared with the reference is the tables' physics and not a particular kernel.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from homeostat.lab.reference import Users
from homeostat.lab.reference_station import Station
from homeostat.twin import tables

ATTEMPTS = 5
Carry = tuple[Array, Array, Array]  # jobs, share late, attempts to come


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Each [ticks]: jobs of one replica, mean latency on entering, share answered in time."""

    jobs: np.ndarray
    latency_s: np.ndarray
    good: np.ndarray


def run(station: Station, rates: np.ndarray, *, tick_s: float, users: Users | None = None) -> Told:
    """Let one replica live through `rates` (unique requests per second in each tick)."""
    users = users or Users()
    timeout = min(users.timeout_s, 1e6)
    again = max(round((timeout + users.backoff_s) / tick_s), 1) if users.retries else 1
    follow = jnp.arange(1, ATTEMPTS) <= users.retries
    law = jnp.array([station.tau0_s, station.alpha_s, station.batch_max, station.cv2])
    offered = jnp.asarray(rates, jnp.float32)
    told = _scan(offered, law, timeout, users.cancel, follow, tick_s, again)
    return Told(**{name: np.asarray(value) for name, value in told.items()})


@partial(jax.jit, static_argnames=("tick_s", "again"))
def _scan(
    rates: Array,
    law: Array,
    timeout: float,
    cancel: float,
    follow: Array,
    tick_s: float,
    again: int,
) -> dict[str, Array]:
    row = tables.load().row(*law)

    def tick(carry: Carry, rate: Array) -> tuple[Carry, dict[str, Array]]:
        jobs, late, ring = carry
        tries = jnp.concatenate([rate[None], ring[0]])
        entering = tries.sum()
        after = row.next_jobs(jobs, entering, tick_s)
        jobs = row.without_given_up(jobs, after, entering, tick_s, timeout, cancel)
        late = row.late(jobs, timeout)
        ring = jnp.concatenate([ring[1:], (tries[:-1] * late * follow)[None]])
        good = tries.sum() * (1.0 - late) / jnp.maximum(rate, 1e-9)
        return (jobs, late, ring), {"jobs": jobs, "latency_s": row.latency(jobs), "good": good}

    start = jnp.float32(0.0), jnp.float32(0.0), jnp.zeros((again, ATTEMPTS - 1))
    return jax.lax.scan(tick, start, rates)[1]
