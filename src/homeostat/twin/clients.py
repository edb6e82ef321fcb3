"""Users who wait, give up and try again: the ring of failed attempts.

A_k(t + T + backoff) = A_(k-1)(t) P(W > T): an attempt that is given up after the timeout T, or
refused or answered with an error, is followed by the next one, and the server is not told. Requests
that the gateway refuses on purpose (429) are not tried again. Source: Huang et al., "Metastable
Failures in the Wild", OSDI 2022.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from homeostat.twin import params
from homeostat.twin.effects import Effects
from homeostat.twin.state import RETRY_CLASSES, RING


class Habits(eqx.Module):
    """What users do during a block.

    Attributes:
        timeout_s: After which an attempt is given up.
        cancel: Share of given-up attempts whose work the server drops.
        again: Share of attempts k that are followed by another one when they fail [RETRY_CLASSES].
        after_timeout: Ticks from an attempt that is given up to the next.
        after_error: Ticks from one that fails at once to the next.
        share: Of the requests, attempts that the budget gains by each; inf = no budget.
        burst: Most that it holds.
    """

    timeout_s: Array
    cancel: Array
    again: Array
    after_timeout: Array
    after_error: Array
    share: Array
    burst: Array


def habits(client: params.Client, fx: Effects, dt: float) -> Habits:
    """Return what users do.

    Args:
        client: The deployment's.
        fx: Faults in force.
        dt: Length of a tick, seconds.
    """
    retries = jnp.clip(client.retries + fx.of("client_retry"), 0.0, float(RETRY_CLASSES))
    longest = RING - 2.0
    return Habits(
        timeout_s=client.timeout_s,
        cancel=jnp.clip(fx.replaced("server_cancels_timed_out", client.cancel), 0.0, 1.0),
        again=jnp.clip(retries - jnp.arange(RETRY_CLASSES), 0.0, 1.0),
        after_timeout=jnp.clip((client.timeout_s + client.backoff_s) / dt, 1.0, longest),
        after_error=jnp.clip(client.backoff_s / dt, 1.0, longest),
        share=client.retry_share,
        burst=client.retry_burst,
    )


def unroll(failed: Array, ticks: int) -> Array:
    """Return the ring with room for so many ticks more."""
    return jnp.concatenate([failed, jnp.zeros((failed.shape[0], ticks))], axis=1)


def roll(failed: Array) -> Array:
    """Return the last ticks of an unrolled ring."""
    return failed[:, -RING:]


def returning(failed: Array, habits: Habits, at: Array) -> Array:
    """Return the attempts that come back in this tick, by class, 1/s [RETRY_CLASSES].

    Args:
        failed: Unrolled ring [2 RETRY_CLASSES, ...].
        habits: For the delays.
        at: Position of this tick in it.
    """
    given_up = _before(failed[:RETRY_CLASSES], at, habits.after_timeout)
    refused = _before(failed[RETRY_CLASSES:], at, habits.after_error)
    return given_up + refused


def granted(habits: Habits, spare: Array, offered: Array, wanted: Array, dt: float) -> Array:
    """Return the attempts after the first that the users' budget allows in this tick, 1/s, and it.

    A bucket of tokens: every request puts `share` of an attempt in, at most `burst` in all, and
    every attempt after the first takes one out; what finds it empty is not tried again.

    Args:
        habits: For the budget.
        spare: What it holds.
        offered: Unique requests, 1/s.
        wanted: Attempts after the first that want to be made, 1/s.
        dt: Length of a tick, seconds.

    Returns:
        Allowed / wanted, exactly 1 without a budget; and what it holds then [2].
    """
    held = jnp.minimum(spare + habits.share * offered * dt, habits.burst)
    taken = jnp.minimum(wanted * dt, held)
    free = jnp.isinf(habits.share)
    some = wanted > 0.0
    part = jnp.where(free | ~some, 1.0, taken / jnp.where(some, wanted * dt, 1.0))
    return jnp.stack([part, jnp.where(free, spare, held - taken)])


def note(failed: Array, habits: Habits, at: Array, late: Array, wrong: Array) -> Array:
    """Return the ring with this tick's failed attempts that will be followed by another one.

    Args:
        failed: Unrolled ring.
        habits: For who tries again.
        at: Position of this tick.
        late: Given up, by attempt, 1/s [RETRY_CLASSES].
        wrong: Refused or answered with an error, by attempt, 1/s [RETRY_CLASSES].
    """
    column = jnp.concatenate([late * habits.again, wrong * habits.again])
    return jax.lax.dynamic_update_slice(failed, column[:, None], (0, at))


def _before(rows: Array, at: Array, ticks: Array) -> Array:
    """Return what was noted `ticks` ago, interpolated between ticks."""
    whole = jnp.floor(ticks)
    part = ticks - whole
    first = at - whole.astype(jnp.int32) - 1
    both = jax.lax.dynamic_slice(rows, (0, first), (rows.shape[0], 2))
    # At least one tick ago: a delay of exactly one tick reads the newest column alone.
    return both[:, 1] * (1.0 - part) + both[:, 0] * part
