"""What the guards allow, as arrays: the mask of a policy in training.

The product's rules with the product's numbers (`safety.rules`, `base.policy.GuardPolicy`), in so
far as they speak of what an episode of the twin has; where a rule needs an estimate that the arrays
do not carry, the mask is narrower. It shapes what is learnt and is no guard: what a trained policy
proposes goes through `safety.permit` like everything else.
"""

from collections.abc import Collection
from typing import Any, Final, NamedTuple

import jax.numpy as jnp
from jax import Array

from homeostat.base import names
from homeostat.base.actions import ActionKind
from homeostat.base.policy import GuardPolicy
from homeostat.lab.controller_parts import GRANTED, P95_OF_P99
from homeostat.lab.environment_actions import MENU, SHED, Scene, next_rung, worst
from homeostat.lab.environment_facts import Facts, facts, gateway, of_variant
from homeostat.twin.shapes import SCRAPE_S, Variant

_HOUR: Final = 3600.0 / SCRAPE_S  # in scrapes
# Scrapes until the loop's baselines are learnt: the window of the rates, what the charts skip, and
# `loop.sense.READY_TICKS`; a test holds it against the loop.
LEARNING: Final = 15.0
_SAME: Final = 1e-3  # of a share of traffic
LEAST_IN_FLIGHT: Final = 16.0  # `controller_parts.guard_policy`: below, a limit is no limit
_TELLS: Final = frozenset({ActionKind.HOLD, ActionKind.ESCALATE})
LEARNT: Final = tuple(kind for kind in GRANTED if kind is not ActionKind.DRAIN_REPLICA)
"""What a policy learns to propose: what is granted, but for taking a replica out of rotation. The
way back from that is the loop's undo, which no proposal is: it could only ever take out more."""
PAPER: Final = (
    ActionKind.SCALE_UP, ActionKind.SCALE_DOWN, ActionKind.BATCH_UP, ActionKind.BATCH_DOWN,
    ActionKind.SHIFT_TRAFFIC,
)  # fmt: skip
"""HASH's six actions; the sixth is to maintain, which is holding still."""


class Rules(NamedTuple):
    """The rules' numbers; times in scrapes. Defaults are the product's.

    Attributes:
        granted: Kinds that whoever runs this has granted.
        fresh_scrapes: Evidence older than this is stale.
        failed_probes: Failed rounds in a row that prove a replica to fail.
        min_replicas: Floor of ready replicas when one is taken away.
        cooldown_scrapes: After any action.
        scale_in_scrapes: Without an action and in calm, before capacity is taken away.
        watch_scrapes: For which the load must have been watched before that.
        actions_per_hour: At most.
        utilisation_max: Of what remains, when capacity is taken away or traffic is moved.
        learning_scrapes: Until baselines are learnt.
        guarded: Whether the rules hold. Without them whatever was granted is allowed, always: for
            comparison with a learner that nobody guards, which tells nobody anything either.
    """

    granted: Collection[ActionKind] = GRANTED
    fresh_scrapes: float = GuardPolicy().fresh_scrapes
    failed_probes: int = GuardPolicy().failed_probes
    min_replicas: int = GuardPolicy().min_replicas
    cooldown_scrapes: float = GuardPolicy().cooldown_scrapes
    scale_in_scrapes: float = GuardPolicy().scale_in_scrapes
    watch_scrapes: float = GuardPolicy().watch_scrapes
    actions_per_hour: int = GuardPolicy().actions_per_hour
    utilisation_max: float = GuardPolicy().utilisation_max
    learning_scrapes: float = LEARNING
    guarded: bool = True

    def plain(self) -> dict[str, Any]:
        """Return the rules as JSON can say them, for a manifest."""
        return self._asdict() | {"granted": sorted(kind.value for kind in self.granted)}


UNGUARDED: Final = Rules(granted=PAPER, guarded=False)
"""HASH's learner: its six actions, and no rule."""


def mask(scene: Scene, rules: Rules) -> Array:
    """Return what is allowed, bool [action]; holding still always is."""
    if not rules.guarded:
        return jnp.array([
            choice.kind is ActionKind.HOLD or choice.kind in rules.granted
            for choice in MENU.values()
        ])
    now = facts(scene.deployment, scene.scrape, scene.orders, scene.past, rules)
    found = _growing(scene, now) | _shrinking(scene, now, rules) | _batches(scene, now, rules)
    found |= _traffic(scene, now, rules) | _replicas(scene, now, rules)
    found["rollback"] = _first_rollback(scene, now, rules)
    found["retrain"] = now.sight & _calm_enough(scene, now, rules) & ~now.silent
    always = jnp.asarray(a=True)
    none = jnp.asarray(a=False)
    return jnp.stack([
        always if choice.kind in _TELLS
        else found[name] if choice.kind in rules.granted else none
        for name, choice in MENU.items()
    ])  # fmt: skip


def _calm_enough(scene: Scene, now: Facts, rules: Rules) -> Array:
    """G0 baselines, G3 cooldown, G4 rate, G5 single flight."""
    past = scene.past
    lately = (past.at > past.step - _HOUR).sum()
    return (
        now.still
        & (past.learnt >= rules.learning_scrapes)
        & (past.since >= rules.cooldown_scrapes)
        & (lately < min(rules.actions_per_hour, past.at.shape[0]))
    )


def _has_b(scene: Scene) -> Array:
    return scene.deployment.replicas[Variant.B] > 0.0


def _growing(scene: Scene, now: Facts) -> dict[str, Array]:
    """One replica more: exempt from sight, cooldown and rate; never from bounds and budget."""
    money, wanted = scene.deployment.money, scene.orders.replicas
    slots = scene.orders.restart.shape[0]
    fits = wanted.sum() + 1.0 <= slots
    paid = now.usd + money.usd_per_hour <= money.budget_usd_per_hour
    may = now.still & fits & paid & (wanted + 1.0 <= money.hard_cap)
    return {"scale_up_a": may[Variant.A], "scale_up_b": may[Variant.B] & _has_b(scene)}


def _shrinking(scene: Scene, now: Facts, rules: Rules) -> dict[str, Array]:
    """One replica less: in sight, in calm, after a long watch, with one to spare at the peak."""
    past, wanted = scene.past, scene.orders.replicas
    long = (past.since >= rules.scale_in_scrapes) & (past.calm >= rules.scale_in_scrapes)
    long &= past.watched >= rules.watch_scrapes
    left = now.ready - 1.0
    spare = past.peak <= rules.utilisation_max * (left - 1.0)
    may = _calm_enough(scene, now, rules) & now.sight & now.met & ~now.silent & long & spare
    may &= (left >= 1.0) & (now.ready.sum() - 1.0 >= rules.min_replicas) & (wanted > 1.0)
    return {
        "scale_down_a": may[Variant.A],
        "scale_down_b": may[Variant.B] & _has_b(scene),
        # G7 capacity: what fewer requests in flight leave of it, nobody can tell yet.
        "resize_down": jnp.asarray(a=False),
    }


def _batches(scene: Scene, now: Facts, rules: Rules) -> dict[str, Array]:
    """Batches and requests in flight, within their bounds."""
    may = _calm_enough(scene, now, rules) & now.sight
    service, promise = scene.deployment.service, scene.deployment.promise
    live = scene.scrape.batch_max[Variant.A]
    # G7 room for the batch: two of twice the time are over within the promised p95.
    room = 4.0 * now.batch_ms <= 1000.0 * P95_OF_P99 * promise.p99_s
    jobs = scene.orders.concurrency
    # G7 smaller batch: at worst half of the batch is half of what can be served, in every pool.
    serving = scene.orders.weights > 0.0
    spare = jnp.isfinite(now.load) & (2.0 * now.load <= rules.utilisation_max * now.ready)
    halves = may & ~now.silent & (live >= 2.0) & (spare | ~serving).all()  # noqa: PLR2004 - it has a half
    return {
        "batch_up": may & now.full & room & (2.0 * live <= service.batch_limit),
        "batch_down": halves,
        "resize_up": may & (2.0 * jobs <= 4.0 * service.concurrency),
    }


def _traffic(scene: Scene, now: Facts, rules: Rules) -> dict[str, Array]:
    """Shares of the pools, and what is let in."""
    may = _calm_enough(scene, now, rules) & now.sight & ~now.silent
    share = scene.orders.weights
    usual = scene.deployment.weights[Variant.B]
    serving = scene.orders.replicas > 0.0
    known = (jnp.isfinite(now.load) | ~serving).all()

    def holds(variant: int, wanted: Array) -> Array:
        grown = now.load[variant] * wanted / jnp.maximum(share[variant], 1e-6)
        enough = grown <= rules.utilisation_max * now.ready[variant]
        return known & enough & (now.ready[variant] > 0.0) & now.well[variant]

    to_b = (share[Variant.B] < 1.0) & _has_b(scene) & holds(Variant.B, next_rung(scene))
    back = share[Variant.B] > usual + _SAME
    back &= holds(Variant.A, share[Variant.A] + share[Variant.B] - usual)
    limited = jnp.isfinite(scene.orders.admit_rps)
    arrives = gateway(scene.scrape, names.ARRIVAL_RATE)
    # Little's law: what the limit lets be in flight, which has a floor.
    in_flight = SHED * arrives * gateway(scene.scrape, names.LATENCY_P50) / 1000.0
    return {
        "shift_to_b": may & to_b,
        "shift_back": may & back,
        "shed_load": may & now.missed & (in_flight >= LEAST_IN_FLIGHT),
        "admit_all": limited & now.still,  # an undo: neither sight nor cooldown is asked for
    }


def _replicas(scene: Scene, now: Facts, rules: Rules) -> dict[str, Array]:
    """One replica that is proven to fail, while another one of its pool serves."""
    target = worst(scene)
    proven = (target & now.failing & ~scene.orders.drain).any()
    pool = jnp.where(target, scene.scrape.slot_variant, 0).sum()
    others = (now.ready[pool] >= 1.0) & (now.ready.sum() >= rules.min_replicas)
    may = now.still & now.sight & proven & others
    drained = scene.orders.drain
    return {
        "restart_replica": may,
        "drain_replica": may & (drained.sum() == 0),
        "return_replicas": drained.any() & now.still,
    }


def _first_rollback(scene: Scene, now: Facts, rules: Rules) -> Array:
    """Back to the version that served before: known to be judged by, pool B fine, and once."""
    errors = of_variant(scene.scrape, names.ERROR_RATIO)[Variant.A]
    version = scene.scrape.version[Variant.A]
    # What both pools share is not the release.
    clean = now.well[Variant.B] | ~_has_b(scene)
    may = now.still & now.sight & (scene.past.learnt >= rules.learning_scrapes)
    return may & jnp.isfinite(errors) & (version > 0.0) & clean
