"""The rehearsal's compiled program: every candidate in every draw, side by side, to the horizon.

All candidates of one draw share its parameters, its faults, its load and its chance, so that what
differs between them is their own doing (common random numbers). What depends on the draw alone is
worked out once for all its candidates. Telemetry and labels are not played: nobody looks at them.
"""

from functools import partial
from typing import Any, Final

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from homeostat.twin import kernel, levers, tables
from homeostat.twin.faults import Faults
from homeostat.twin.kept import Kept, blank
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Truth
from homeostat.twin.params import Params
from homeostat.twin.program import OPTIONS
from homeostat.twin.shapes import SCRAPE_S, SLOT_COUNTS
from homeostat.twin.state import State

# Draws side by side: 4 take 1.5 s of a processor for a full rehearsal, 8 1.0, 16 0.9, 64 1.0.
AT_ONCE: Final = 8
_ROUNDING: Final = 1e-4  # float32 sums: a ratio this close above its limit has not crossed it


class Scene(eqx.Module):
    """Where the deployment stands; every field of one draw.

    Attributes:
        phase: `shapes.Phase` of each slot [S], int32.
        variant: Which variant it serves [S], int32.
        jobs: Requests it holds [S]; NaN = what its load leaves in the long run.
        timer_s: Left of what its phase waits for [S].
        age_s: Since its process became ready [S].
        memory_gib: Lost to a leak so far [S].
    """

    phase: Array
    variant: Array
    jobs: Array
    timer_s: Array
    age_s: Array
    memory_gib: Array


class Limit(eqx.Module):
    """What users were promised, as the controller judges it; every field of one draw.

    Attributes:
        latency_s: p95 by the twin's curves, at the load where the deployment stands.
        error_ratio: Failed / answered.
    """

    latency_s: Array
    error_ratio: Array


Lanes = tuple[Params, Faults, Scene, Limit, Array]
"""Parameters, faults, scene, objectives and PRNG key of each draw [D, ...]."""


class Sums(eqx.Module):
    """What a rehearsal adds up; every field [C, D] once played.

    Attributes:
        offered: Requests.
        good: Of them answered well.
        attempts: That reached a replica.
        errors: Of them failed.
        slow: Requests x p95, s.
        usd: Spent.
        breached: Scrapes in which the objectives were missed.
        ended: Whether they were in the last one, 0 or 1.
    """

    offered: Array
    good: Array
    attempts: Array
    errors: Array
    slow: Array
    usd: Array
    breached: Array
    ended: Array


class Stage:
    """The compiled program of one size.

    Args:
        slots: Replica slots, one of `shapes.SLOT_COUNTS`.
        at_once: Draws side by side; the number of draws is a multiple of it.
    """

    def __init__(self, slots: int, at_once: int = AT_ONCE) -> None:
        if slots not in SLOT_COUNTS:
            raise ValueError(f"the twin is compiled for {SLOT_COUNTS} slots, not for {slots}")
        self.slots = slots
        self.at_once = at_once
        self.curves = tables.load()
        play = jax.jit(partial(_play, at_once), compiler_options=dict(OPTIONS))
        size = f"{slots} slots, {at_once} at once, {sorted(OPTIONS.items())}"
        self._play = Kept(play, f"rehearse: {size}", blank(Sums))

    def play(
        self,
        draws: Lanes,
        orders: Orders,
        scrapes: int,
        p95: Any = None,
    ) -> Sums:
        """Return what comes of every candidate in every draw [C, D].

        Args:
            draws: [D, ...].
            orders: Of each candidate [C, ...]; impulses are given once, at the beginning.
            scrapes: How far to look, in scrapes of `SCRAPE_S`; any number, one program.
            p95: What a candidate's p95 is over what `Limit.latency_s` is made for [C, D]; None = 1.

        Raises:
            ValueError: The draws are no multiple of `at_once`, or there is nothing to look at.
        """
        number = draws[-1].shape[0]
        if number % self.at_once or not number:
            raise ValueError(
                f"{number} draws: give a multiple of {self.at_once}, which are played side by side"
            )
        if scrapes < 1:
            raise ValueError(f"a horizon is at least one scrape of {SCRAPE_S} s, got {scrapes}")
        shape = (jax.tree.leaves(orders)[0].shape[0], number)
        wider = jnp.ones(shape) if p95 is None else jnp.asarray(p95, jnp.float32)
        found: Sums = self._play(draws, orders, wider, jnp.int32(scrapes), self.curves)
        return found


def _play(
    at_once: int,
    draws: Lanes,
    orders: Orders,
    p95: Array,
    scrapes: Array,
    curves: tables.Tables,
) -> Sums:
    grouped = jax.tree.map(lambda leaf: leaf.reshape(-1, at_once, *leaf.shape[1:]), draws)
    wider = jnp.moveaxis(p95.reshape(p95.shape[0], -1, at_once), 0, 1)  # [D / k, C, k]

    def group(some: tuple[Lanes, Array]) -> Sums:
        return _group(some[0], orders, some[1], scrapes, curves)

    found = jax.lax.map(group, (grouped, wider))  # [D / k, C, k]
    return jax.tree.map(  # type: ignore[no-any-return]
        lambda leaf: jnp.moveaxis(leaf, 0, 1).reshape(leaf.shape[1], -1), found
    )


def _group(
    draws: Lanes,
    orders: Orders,
    p95: Array,
    scrapes: Array,
    curves: tables.Tables,
) -> Sums:
    params, faults, scene, limit, keys = draws
    begin = jax.vmap(_begin, in_axes=(0, 0, 0, 0, None))(params, faults, scene, keys, curves)
    count = jax.tree.leaves(orders)[0].shape[0]
    common, own = eqx.partition(begin, _shared(begin))
    mine = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (count, *leaf.shape)), own)
    calm = jax.vmap(levers.quiet)(orders)

    def one(
        deployment: Params, fault: Faults, common: State, mine: State, order: Orders
    ) -> tuple[State, State, Truth]:
        state = eqx.combine(common, mine)
        after, truth, _ = kernel.advance(deployment, fault, state, order, curves)
        # Nobody looks at telemetry or answers here: begun anew each time they cost nothing.
        after = eqx.tree_at(_unseen, after, _unseen(state))
        return (*eqx.partition(after, _shared(after)), truth)

    side_by_side = jax.vmap(one, in_axes=(0, 0, 0, 0, None))
    every = jax.vmap(side_by_side, in_axes=(None, None, None, 0, 0), out_axes=(None, 0, 0))

    def scrape(at: Array, carry: tuple[State, State, Sums]) -> tuple[State, State, Sums]:
        common, mine, sums = carry
        now = jax.tree.map(lambda first, rest: jnp.where(at == 0, first, rest), orders, calm)
        common, mine, truth = every(params, faults, common, mine, now)
        return common, mine, _added(sums, truth, limit, p95)

    nothing = jnp.zeros((count, keys.shape[0]))
    _, _, sums = jax.lax.fori_loop(0, scrapes, scrape, (common, mine, Sums(*[nothing] * 8)))
    total: Sums = sums
    return total


def _unseen(state: State) -> tuple[Any, ...]:
    return (state.channel, state.labels, state.quality, state.training)


def _of_the_draw(state: State) -> tuple[Any, ...]:
    return (state.key, state.now_s, state.live.clients.ou, *_unseen(state))


def _shared(state: State) -> State:
    """Return which leaves of a state are the same whatever is ordered: the draw's own."""
    none = jax.tree.map(lambda _: False, state)
    shared: State = eqx.tree_at(_of_the_draw, none, replace_fn=_all)
    return shared


def _all(part: Any) -> Any:
    return jax.tree.map(lambda _: True, part)


def _begin(
    deployment: Params, faults: Faults, scene: Scene, key: Array, curves: tables.Tables
) -> State:
    """Return the deployment as it stands, its platform at rest."""
    state = kernel.init(deployment, faults, key, curves)
    slots = state.live.slots
    there = scene.phase != 0
    jobs = jnp.where(jnp.isnan(scene.jobs), slots.jobs, scene.jobs)
    memory = jnp.where(there, deployment.memory.base_gib + scene.memory_gib, 0.0)
    changed: State = eqx.tree_at(
        lambda s: (
            s.live.slots.phase, s.live.slots.variant, s.live.slots.jobs, s.live.slots.timer_s,
            s.live.slots.age_s, s.live.slots.leaked_gib, s.live.slots.memory_gib,
        ),
        state,
        (scene.phase, scene.variant, jobs, scene.timer_s, scene.age_s, scene.memory_gib, memory),
    )  # fmt: skip
    return changed


def _added(sums: Sums, truth: Truth, limit: Limit, p95: Array) -> Sums:
    """Return the sums with one more scrape [C, D, T]."""
    offered, attempts = truth.offered.sum(axis=-1), truth.attempts.sum(axis=-1)
    errors, slow = truth.errors.sum(axis=-1), (truth.offered * truth.p95_s).sum(axis=-1)
    # Asked this way round, what is not a number is no promise kept.
    timely = slow * p95 <= limit.latency_s * offered * (1.0 + _ROUNDING)
    right = errors <= (limit.error_ratio + _ROUNDING) * attempts
    breach = 1.0 - (timely & right).astype(jnp.float32)
    return Sums(
        offered=sums.offered + offered,
        good=sums.good + truth.good.sum(axis=-1),
        attempts=sums.attempts + attempts,
        errors=sums.errors + errors,
        slow=sums.slow + slow,
        usd=sums.usd + truth.usd_per_hour.sum(axis=-1) / 3600.0,
        breached=sums.breached + breach,
        ended=breach,
    )
