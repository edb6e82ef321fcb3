"""The menu of a policy in training: the product's actions as a list, and what each one orders.

One step of each lever at a time; the replica that an action is about is the one that has failed
its probes for longest. `restart_all` is not on it: it exists to be refused.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from homeostat.base import names
from homeostat.base.actions import ActionKind
from homeostat.lab.environment_facts import Past, gateway
from homeostat.policy.levers import RAMP
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Scrape
from homeostat.twin.params import Params
from homeostat.twin.shapes import Variant

SHED: Final = 0.9  # of what arrives is let in, as the runbook's step has it
_HALF: Final = 0.5
_STEP_DOWN: Final = 0.25  # `base.policy.LeverLimit.step_down`: of requests in flight, as usual
_DOUBLE: Final = 2.0  # as the product's policy steps: doubled at most, halved at most


class Scene(NamedTuple):
    """What an action starts from.

    Attributes:
        deployment: What its operator configured.
        scrape: The latest.
        orders: In force, without impulses.
        past: What is remembered.
    """

    deployment: Params
    scrape: Scrape
    orders: Orders
    past: Past


Order = Callable[[Scene], Orders]


class Choice(NamedTuple):
    """One line of the menu.

    Attributes:
        kind: Of the product's actions.
        order: What it orders.
        variant: The pool that it is about.
    """

    kind: ActionKind
    order: Order
    variant: int = Variant.A


def _same(scene: Scene) -> Orders:
    return scene.orders


def _replicas(variant: int, by: float) -> Order:
    def order(scene: Scene) -> Orders:
        here = jnp.arange(scene.orders.replicas.shape[0]) == variant
        wanted = jnp.maximum(scene.orders.replicas + by * here, 0.0)
        return _with(scene.orders, "replicas", wanted)

    return order


def _batch(times: float) -> Order:
    def order(scene: Scene) -> Orders:
        # As read back: another controller may have set another one.
        live = jnp.where(jnp.isnan(scene.scrape.batch_max), scene.orders.batch_max,
                         scene.scrape.batch_max)  # fmt: skip
        wanted = jnp.clip(jnp.floor(live * times), 1.0, scene.deployment.service.batch_limit)
        return _with(scene.orders, "batch_max", wanted)

    return order


def _concurrency(times: float) -> Order:
    def order(scene: Scene) -> Orders:
        wanted = jnp.maximum(jnp.floor(scene.orders.concurrency * times), 1.0)
        return _with(scene.orders, "concurrency", wanted)

    return order


def next_rung(scene: Scene) -> Array:
    """Return the share of traffic that pool B has after the next step towards it, 0..1."""
    rungs = jnp.array(RAMP) / 100.0
    live = scene.orders.weights[Variant.B]
    above = jnp.where(rungs > live + 1e-3, rungs, jnp.inf)
    return jnp.minimum(above.min(), 1.0)


def _shift(*, to_b: bool) -> Order:
    def order(scene: Scene) -> Orders:
        share = next_rung(scene) if to_b else scene.deployment.weights[Variant.B]
        canary = scene.orders.weights[Variant.CANARY]
        share = jnp.minimum(share, 1.0 - canary) if to_b else share
        weights = jnp.stack([jnp.maximum(1.0 - share - canary, 0.0), share, canary])
        return _with(scene.orders, "weights", weights)

    return order


def _rollback(scene: Scene) -> Orders:
    here = jnp.arange(scene.orders.rollback.shape[0]) == Variant.A
    return _with(scene.orders, "rollback", here)


def worst(scene: Scene) -> Array:
    """Return the slot that has failed its probes for longest, one-hot [S]; the first of equals."""
    failing = jnp.where(scene.orders.drain, -1.0, scene.past.failing)
    return jnp.arange(failing.shape[0]) == jnp.argmax(failing)


def _restart(scene: Scene) -> Orders:
    return _with(scene.orders, "restart", worst(scene))


def _drain(scene: Scene) -> Orders:
    return _with(scene.orders, "drain", scene.orders.drain | worst(scene))


def _return(scene: Scene) -> Orders:
    return _with(scene.orders, "drain", jnp.zeros_like(scene.orders.drain))


def _shed(scene: Scene) -> Orders:
    arrives = gateway(scene.scrape, names.ARRIVAL_RATE)
    limit = SHED * jnp.minimum(arrives, scene.orders.admit_rps)
    return _with(scene.orders, "admit_rps", jnp.where(jnp.isnan(limit), jnp.inf, limit))


def _admit(scene: Scene) -> Orders:
    return _with(scene.orders, "admit_rps", jnp.full_like(scene.orders.admit_rps, jnp.inf))


def _retrain(scene: Scene) -> Orders:
    return _with(scene.orders, "retrain", jnp.ones_like(scene.orders.retrain))


MENU: Final[Mapping[str, Choice]] = {
    "hold": Choice(ActionKind.HOLD, _same),
    "scale_up_a": Choice(ActionKind.SCALE_UP, _replicas(Variant.A, 1.0)),
    "scale_down_a": Choice(ActionKind.SCALE_DOWN, _replicas(Variant.A, -1.0)),
    "scale_up_b": Choice(ActionKind.SCALE_UP, _replicas(Variant.B, 1.0), Variant.B),
    "scale_down_b": Choice(ActionKind.SCALE_DOWN, _replicas(Variant.B, -1.0), Variant.B),
    "resize_up": Choice(ActionKind.RESIZE_UP, _concurrency(_DOUBLE)),
    "resize_down": Choice(ActionKind.RESIZE_DOWN, _concurrency(1.0 - _STEP_DOWN)),
    "batch_up": Choice(ActionKind.BATCH_UP, _batch(_DOUBLE)),
    "batch_down": Choice(ActionKind.BATCH_DOWN, _batch(_HALF)),
    "shift_to_b": Choice(ActionKind.SHIFT_TRAFFIC, _shift(to_b=True), Variant.B),
    "shift_back": Choice(ActionKind.SHIFT_TRAFFIC, _shift(to_b=False)),
    "rollback": Choice(ActionKind.ROLLBACK, _rollback),
    "restart_replica": Choice(ActionKind.RESTART_REPLICA, _restart),
    "drain_replica": Choice(ActionKind.DRAIN_REPLICA, _drain),
    "return_replicas": Choice(ActionKind.DRAIN_REPLICA, _return),
    "shed_load": Choice(ActionKind.SHED_LOAD, _shed),
    "admit_all": Choice(ActionKind.SHED_LOAD, _admit),
    "retrain": Choice(ActionKind.RETRAIN, _retrain),
    "escalate": Choice(ActionKind.ESCALATE, _same),
}
"""By name, in the order of the policy's numbers; holding still is the first."""

NAMES: Final = tuple(MENU)
HOLD: Final = NAMES.index("hold")
ESCALATE: Final = NAMES.index("escalate")


def changes(action: Array) -> Array:
    """Return whether an action changes something: holding and telling somebody do not."""
    return (action != HOLD) & (action != ESCALATE)


def ordered(scene: Scene, action: Array) -> Orders:
    """Return what an action orders; impulses are of this scrape alone.

    Args:
        scene: What it starts from.
        action: Its number, scalar.
    """
    every = [choice.order(scene) for choice in MENU.values()]
    found: Orders = jax.tree.map(
        lambda *leaves: jnp.stack([jnp.asarray(one, leaves[0].dtype) for one in leaves])[action],
        *every,
    )
    return _with(found, "by_us", changes(action))


def _with(orders: Orders, name: str, value: Array) -> Orders:
    changed: Orders = eqx.tree_at(lambda o: getattr(o, name), orders, value)
    return changed
