"""Sequences and their state in the device memory: what a server of tokens shows of its requests.

The twin counts requests. How long they are is a number of tokens each, which follows the faults
that change their length; how much state fits the device memory is a number of jobs. A sequence
whose state no longer fits is put back and worked on again: the work that is repeated, `waste`, is
w / (1 - w) of what is completed, so that many sequences are put back for each that is. Where
nothing is repeated the server lets a sequence in only when it fits, and none is put back.

A sequence is what was asked and what is answered, so its state and its work are sums of the two
parts, never products: both 4 times as long is 4 times as much.
"""

from typing import Final

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from homeostat.twin import memory, params
from homeostat.twin.effects import Effects
from homeostat.twin.state import Slots, by_variant

# Medians of the conversation trace in AzurePublicDataset (2023): tokens asked and answered.
PROMPT: Final = 1020.0
GENERATED: Final = 129.0
# Share of the time per request of a batch that reading the prompt takes; the rest is generation.
# A reading: 129 steps of the 0.327 ms that another running sequence adds to one (fit to real vLLM
# runs, research on scenarios, section 4) are 42 ms, and 1020 tokens at 2 floating-point operations
# per parameter of that model (1.2e9) at 50 to 60 teraflops, what a card of 24 GB does, as much.
READING: Final = 0.5
# Device memory for so many jobs limits no batch (the largest has 1,024): the server of such a
# deployment keeps no state between steps, and shows none. It is the most that `kv_headroom` says.
UNLIMITED: Final = 1000.0
_TINY: Final = 1e-6


class Tokens(eqx.Module):
    """What each slot's sequences are like during a block; each [S].

    Attributes:
        room: Jobs whose state fits the device memory.
        put_back: Sequences put back for each that is completed.
        prompt: Mean tokens asked.
        generated: Mean tokens answered.
    """

    room: Array
    put_back: Array
    prompt: Array
    generated: Array


def state(fx: Effects) -> Array:
    """Return the device memory that a sequence takes, against the usual: by its tokens."""
    tokens = PROMPT * fx.of("size_mult_prefill") + GENERATED * fx.of("size_mult_decode")
    return tokens / (PROMPT + GENERATED)


def work(fx: Effects) -> Array:
    """Return the time that a request adds to a batch, against the usual: reading and writing."""
    asked, answered = fx.of("size_mult_prefill"), fx.of("size_mult_decode")
    return READING * asked + (1.0 - READING) * answered


def room(deployment: params.Params, fx: Effects, slots: Slots) -> Array:
    """Return the jobs whose state fits the device memory [S]."""
    own = deployment.service.kv_capacity * fx.of("kv_capacity_mult") / jnp.maximum(state(fx), 1e-3)
    return jnp.maximum(own * memory.device_share_free(slots), _TINY)


def of(deployment: params.Params, fx: Effects, slots: Slots, fits: Array, waste: Array) -> Tokens:
    """Return what sequences are like; NaN where the deployment serves none.

    Args:
        deployment: Its parameters.
        fx: Faults in force.
        slots: As of now.
        fits: From `room`.
        waste: Share of the work that is done twice [S].
    """
    serves = deployment.service.kv_capacity < UNLIMITED
    longer = by_variant(fx.of("output_len_mult"), slots.variant)
    known = jnp.where(serves, jnp.zeros(slots.jobs.shape), jnp.nan)
    return Tokens(
        room=fits + known,
        put_back=waste / (1.0 - waste) + known,
        prompt=PROMPT * fx.of("size_mult_prefill") + known,
        generated=GENERATED * fx.of("size_mult_decode") * longer + known,
    )


def usage(tokens: Tokens, slots: Slots, batch_max: Array) -> Array:
    """Return the share of the device memory for sequences that is in use, 0..1 [S]."""
    return jnp.clip(jnp.minimum(slots.jobs, batch_max) / tokens.room, 0.0, 1.0)
