"""Where each fault hits, and what has ended it: new processes, new versions, writes, a person.

A fault whose cure is a restart lets go of a slot when a new process starts there; one whose cure is
a rollback when the slot runs the previous version; one that was a write when the lever is written
again. Retraining ends no fault: the world stays as it is, and the model learns it (`retraining`).
A person ends what a person can (`people`): neither the users' load nor where the world has gone.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from homeostat.twin.faults import Faults
from homeostat.twin.people import ENDED, TAUGHT
from homeostat.twin.primitives import INDEX
from homeostat.twin.shapes import Cure, Phase
from homeostat.twin.state import Cured, Slots, by_variant, over_slots
from homeostat.twin.together import if_any

# Which lever's write replaces which primitive; a write of any lever replaces the rest.
_BY_BATCH = np.asarray([INDEX["bmax_override"], INDEX["max_queue_delay_ms"]], np.int32)
_BY_CONCURRENCY = np.asarray([INDEX["conn_limit"]], np.int32)


class Hits(eqx.Module):
    """Strength where each fault hits.

    Attributes:
        deployment: [F].
        variants: [F, V].
        slots: [F, S].
        signals: [F, CLASSES].
        faulty: Bool: one is active, also between its pulses.
        strong: Bool: one has a strength; without it every strength here is 0.
    """

    deployment: Array
    variants: Array
    slots: Array
    signals: Array
    faulty: Array
    strong: Array


class Written(eqx.Module):
    """Which levers were written.

    Attributes:
        batch_max: [V], bool.
        concurrency: Bool.
        anything: [V], bool.
    """

    batch_max: Array
    concurrency: Array
    anything: Array


def begin(faults: Faults) -> Cured:
    """Return that nothing is cured yet."""
    return Cured(
        cleared=jnp.zeros(faults.primitive.shape, bool),
        slots=jnp.zeros(faults.slots.shape, bool),
        variants=jnp.zeros(faults.variants.shape, bool),
    )


def hits(faults: Faults, cured: Cured, slots: Slots, strength: Array, within: Array) -> Hits:
    """Return where the faults hit.

    Args:
        faults: One episode's.
        cured: What is over before its time.
        slots: For their variants, and which are there.
        strength: 0..1 [F].
        within: Whether a fault's time has come and not gone [F], bool; a fault that is none of
            these has no strength.
    """
    number, here = faults.slots.shape
    return if_any(
        within.any(),
        lambda: _hits(faults, cured, slots, strength, within),
        lambda: Hits(
            deployment=jnp.zeros(number),
            variants=jnp.zeros(faults.variants.shape),
            slots=jnp.zeros((number, here)),
            signals=jnp.zeros(faults.signals.shape),
            faulty=jnp.zeros((), bool),
            strong=jnp.zeros((), bool),
        ),
    )


def _hits(faults: Faults, cured: Cured, slots: Slots, strength: Array, within: Array) -> Hits:
    on = jnp.where(cured.cleared, 0.0, strength)
    there = slots.phase != Phase.EMPTY
    aimed = faults.slots & by_variant(faults.variants, slots.variant)
    hit = aimed & ~cured.slots
    of_process = (faults.cure == Cure.RESTART) | (faults.cure == Cure.ROLLBACK)
    left = (hit & there).any(axis=1)
    write_left = (faults.variants & ~cured.variants).any(axis=1)
    # A rollback or restart under way cures its variant in proportion to the slots that have it.
    full = over_slots((there & faults.slots).astype(jnp.float32), slots.variant)
    still = over_slots((there & hit).astype(jnp.float32), slots.variant)
    share = jnp.where(of_process[:, None] & (full > 0.0), still / jnp.maximum(full, 1.0), 1.0)
    alive = jnp.where(of_process, left, True) & jnp.where(
        faults.cure == Cure.OVERWRITE, write_left, True
    )
    touched = faults.variants & ~cured.variants
    return Hits(
        deployment=on * alive,
        variants=on[:, None] * touched * share,
        slots=on[:, None] * hit,
        signals=(on * alive)[:, None] * faults.signals,
        faulty=(within & ~cured.cleared & alive).any(),
        strong=(on != 0.0).any(),
    )


def by_process(faults: Faults, cured: Cured, started: Array, swapped: Array, now_s: Array) -> Cured:
    """Return what is cured by new processes and previous versions.

    A fault that has not begun cannot be cured: it will find the new process there.

    Args:
        faults: One episode's.
        cured: As of before.
        started: Slots on which a process began [S], bool.
        swapped: Slots that run the previous version now [S], bool.
        now_s: Seconds since the episode began.
    """
    return if_any(
        (started | swapped).any(),
        lambda: _by_process(faults, cured, started, swapped, now_s),
        lambda: cured,
    )


def _by_process(
    faults: Faults, cured: Cured, started: Array, swapped: Array, now_s: Array
) -> Cured:
    begun = faults.start_s <= now_s
    anew = (begun & (faults.cure == Cure.RESTART))[:, None] & started
    back = (begun & (faults.cure == Cure.ROLLBACK))[:, None] & swapped
    return Cured(cleared=cured.cleared, slots=cured.slots | anew | back, variants=cured.variants)


def by_write(faults: Faults, cured: Cured, written: Written, within: Array) -> Cured:
    """Return what is cured after levers were written.

    Args:
        faults: One episode's.
        cured: As of before.
        written: Which levers.
        within: Only a fault whose time has come can be written over [F], bool.
    """
    batch = jnp.isin(faults.primitive, _BY_BATCH)
    gate = jnp.isin(faults.primitive, _BY_CONCURRENCY)
    either = jnp.where(gate[:, None], written.concurrency, written.anything[None, :])
    over = jnp.where(batch[:, None], written.batch_max[None, :], either)
    mine = (faults.cure == Cure.OVERWRITE) & within
    return Cured(
        cleared=cured.cleared,
        slots=cured.slots,
        variants=cured.variants | (mine[:, None] & over),
    )


def by_person(faults: Faults, cured: Cured, now_s: Array, fixes: Array) -> Cured:
    """Return what is cured after a person removed the causes that a person can remove.

    Args:
        faults: One episode's; of those that have begun, the ones that `people` says end.
        cured: As of before.
        now_s: Seconds since the episode began.
        fixes: Whether a person's repair takes effect now, bool.
    """
    begun = faults.start_s <= now_s
    theirs = jnp.asarray(ENDED)[faults.primitive]
    return Cured(
        cleared=cured.cleared | (begun & theirs & fixes),
        slots=cured.slots,
        variants=cured.variants,
    )


def taught(faults: Faults, within: Array, fixes: Array) -> Array:
    """Return whether a person trains the model anew now, because the world has moved; bool.

    Args:
        faults: One episode's.
        within: Whether a fault's time has come and not gone [F], bool.
        fixes: Whether a person's repair takes effect now, bool.
    """
    return fixes & (within & jnp.asarray(TAUGHT)[faults.primitive]).any()
