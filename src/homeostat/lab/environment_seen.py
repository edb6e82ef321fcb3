"""What a policy is told: named numbers in -1..1, and of each whether it is known.

HASH's list (section 3.2): anomaly scores, latency, throughput, errors, resources, what the model
itself says; and what the decision needs besides: levers, budgets, forecasts, time since the last
action. What is not known is 0 with its bit 0, which no known number can be: those have bit 1.

The scores are those of `detect.ewma` as it runs live. Seasonal Hybrid ESD, PCA and the autoencoder
are not in the training program.
"""

from typing import Any, Final, NamedTuple

import jax.numpy as jnp
from jax import Array

from homeostat.base import names
from homeostat.detect.ewma import Config as EwmaConfig
from homeostat.detect.ewma import Ewma
from homeostat.lab.environment_actions import Scene
from homeostat.lab.environment_facts import RATE, facts, gateway, of_slot, of_variant
from homeostat.lab.environment_mask import Rules
from homeostat.twin import signals
from homeostat.twin.outputs import Scrape
from homeostat.twin.shapes import SCRAPE_S, Phase, Variant

_DECADES: Final = 10.0  # of a p-value: beyond it one alarm is as good as another
_DOUBLINGS: Final = 4.0  # a sixteenth and sixteen times are the ends of a ratio's scale
_AHEAD: Final = 300.0 / SCRAPE_S  # scrapes: what the twin rehearses, `GuardPolicy.horizon_ns`
_FAST, _SLOW = 0.3, 0.05  # weights of the two means whose distance is the trend
_FLAT: Final = 1e-4  # of a scrape: load that doubles in 29 hours grows by so much
_LONG: Final = 40.0  # scrapes, as the longest pause that the guards ask for

SCORED: Final = (
    names.ARRIVAL_RATE, names.ERROR_RATIO, names.LATENCY_P50, names.LATENCY_P95,
    signals.LATENCY_P99, names.QUEUE_LENGTH, names.MEMORY_SHARE, names.PREDICTION_SHIFT,
)  # fmt: skip
"""What the control charts watch."""
_POOLS: Final = {"a": Variant.A, "b": Variant.B}
_OF_POOL: Final = (
    "errors", "p95", "prediction_shift", "feature_shift", "invalid", "accuracy", "labels",
    "ready", "wanted", "load",
)  # fmt: skip
_OF_HOST: Final = (names.MEMORY_SHARE, names.CPU_SHARE, signals.GPU_SHARE)

NUMBERS: Final[tuple[str, ...]] = (
    *(f"score:{name}" for name in SCORED),
    "arrivals", "errors", "refused", "p50", "p95", "p99", "spend", "age",
    *(f"{name}:{pool}" for pool in _POOLS for name in _OF_POOL),
    *(f"{name}:{how}" for name in _OF_HOST for how in ("mean", "most")),
    "queue:mean", "queue:most", "batch_full", "pending", "failing", "silent",
    "share_b", "batch", "concurrency", "admitted", "drained", "fallback",
    "budget_left", "room", "actions_left", "since_action", "calm", "changing", "in_force",
    "trend", "load_ahead", "time_to_full",
)  # fmt: skip
OBSERVATIONS: Final = (*NUMBERS, *(f"known:{name}" for name in NUMBERS))


class Watch(NamedTuple):
    """What the detectors and the forecast remember.

    Attributes:
        charts: Of `detect.ewma`, one row for each of `SCORED`.
        scores: Of the latest scrape, -log10 p [SCORED]; NaN = not judged.
        fast: Mean of the log of arrivals over the last few scrapes; NaN = none yet.
        slow: The same over the last five minutes.
    """

    charts: Any
    scores: Array
    fast: Array
    slow: Array


def no_watch() -> Watch:
    """Return detectors that have seen nothing."""
    nan = jnp.float32(jnp.nan)
    charts = Ewma(EwmaConfig()).init(jnp, len(SCORED))
    return Watch(charts, jnp.full(len(SCORED), jnp.nan, jnp.float32), nan, nan)


def watched(watch: Watch, scrape: Scrape) -> Watch:
    """Return the detectors with a scrape taken in."""
    serves = scrape.phase == Phase.READY
    found = {name: gateway(scrape, name) for name in SCORED if name in signals.GATEWAY_SIGNALS}
    found[names.QUEUE_LENGTH] = _mean(of_slot(scrape, names.QUEUE_LENGTH), serves)
    found[names.MEMORY_SHARE] = _most(of_slot(scrape, names.MEMORY_SHARE), serves)
    found[names.PREDICTION_SHIFT] = of_variant(scrape, names.PREDICTION_SHIFT)[Variant.A]
    values = jnp.stack([found[name] for name in SCORED])
    charts, said = Ewma(EwmaConfig()).step(jnp, watch.charts, values, jnp.asarray(a=True))
    rate = jnp.log(jnp.maximum(found[names.ARRIVAL_RATE], 1e-3))
    return Watch(
        charts, said.neg_log10_p, _towards(watch.fast, rate, _FAST),
        _towards(watch.slow, rate, _SLOW),
    )  # fmt: skip


def _towards(mean: Array, value: Array, weight: float) -> Array:
    moved = jnp.where(jnp.isnan(mean), value, mean + weight * (value - mean))
    return jnp.where(jnp.isnan(value), mean, moved)


def observation(scene: Scene, watch: Watch, rules: Rules) -> Array:
    """Return the numbers, then their bits [2 x NUMBERS], float32.

    Args:
        scene: What a controller knows.
        watch: With the latest scrape taken in.
        rules: The guards' numbers.
    """
    found = _service(scene, watch) | _pools(scene, rules) | _hosts(scene)
    found |= _levers(scene) | _budgets(scene, rules) | _forecast(scene, watch, rules)
    values = jnp.stack([jnp.asarray(found[name], jnp.float32) for name in NUMBERS])
    known = jnp.isfinite(values)
    bounded = jnp.where(known, jnp.clip(values, -1.0, 1.0), 0.0)
    return jnp.concatenate([bounded, known.astype(jnp.float32)])


def _service(scene: Scene, watch: Watch) -> dict[str, Array]:
    scrape, deployment = scene.scrape, scene.deployment
    promised_ms = 1000.0 * deployment.promise.p99_s
    scores = {f"score:{name}": watch.scores[i] / _DECADES for i, name in enumerate(SCORED)}
    return scores | {
        "arrivals": _ratio(gateway(scrape, names.ARRIVAL_RATE), jnp.exp(watch.slow)),
        "errors": _rare(gateway(scrape, names.ERROR_RATIO)),
        "refused": _share(gateway(scrape, names.REFUSED_RATIO)),
        "p50": _ratio(gateway(scrape, names.LATENCY_P50), promised_ms),
        "p95": _ratio(gateway(scrape, names.LATENCY_P95), promised_ms),
        "p99": _ratio(gateway(scrape, signals.LATENCY_P99), promised_ms),
        "spend": _share(
            gateway(scrape, signals.USD_PER_HOUR) / deployment.money.budget_usd_per_hour
        ),
        "age": _share(jnp.max(scrape.age_s) / (_LONG * SCRAPE_S)),
    }


def _pools(scene: Scene, rules: Rules) -> dict[str, Array]:
    scrape, deployment = scene.scrape, scene.deployment
    now = facts(deployment, scrape, scene.orders, scene.past, rules)
    cap, floor = deployment.money.hard_cap, deployment.quality.floor
    columns = {
        "errors": _rare(of_variant(scrape, names.ERROR_RATIO)),
        "p95": _ratio(of_variant(scrape, names.LATENCY_P95), 1000.0 * deployment.promise.p99_s),
        "prediction_shift": _share(of_variant(scrape, names.PREDICTION_SHIFT)),
        "feature_shift": _share(of_variant(scrape, names.FEATURE_SHIFT)),
        "invalid": _share(of_variant(scrape, names.INVALID_SHARE)),
        "accuracy": 10.0 * (of_variant(scrape, names.ACCURACY) - floor),
        "labels": _share(of_variant(scrape, names.LABEL_COVERAGE)),
        "ready": _share(now.ready / cap),
        "wanted": _share(scene.orders.replicas / cap),
        "load": _ratio(now.load, jnp.maximum(now.ready, 1.0)),
    }
    return {
        f"{name}:{pool}": columns[name][variant]
        for pool, variant in _POOLS.items()
        for name in _OF_POOL
    }


def _hosts(scene: Scene) -> dict[str, Array]:
    scrape = scene.scrape
    serves = (scrape.phase == Phase.READY) | (scrape.phase == Phase.HUNG)
    found: dict[str, Array] = {}
    for name in _OF_HOST:
        found[f"{name}:mean"] = _share(_mean(of_slot(scrape, name), serves))
        found[f"{name}:most"] = _share(_most(of_slot(scrape, name), serves))
    queue = of_slot(scrape, names.QUEUE_LENGTH)
    holds = jnp.maximum(scene.orders.concurrency, 1.0)
    started = (scrape.phase == Phase.PENDING) | (scrape.phase == Phase.LOADING)
    slots = scrape.phase.shape[0]
    silent = (serves & jnp.isnan(of_slot(scrape, names.PROBE_INFERENCE))).sum()
    return found | {
        "queue:mean": _share(_mean(queue, serves) / holds),
        "queue:most": _share(_most(queue, serves) / holds),
        "batch_full": _share(_mean(of_slot(scrape, names.BATCH_FULL_SHARE), serves)),
        "pending": _share(started.sum() / slots),
        "failing": _share((scene.past.failing > 0.0).sum() / slots),
        "silent": _share(silent / slots),
    }


def _levers(scene: Scene) -> dict[str, Array]:
    orders, deployment, scrape = scene.orders, scene.deployment, scene.scrape
    service = deployment.service
    arrives = gateway(scrape, names.ARRIVAL_RATE)
    admitted = jnp.where(jnp.isinf(orders.admit_rps), 1.0, orders.admit_rps / arrives)
    return {
        "share_b": _share(orders.weights[Variant.B]),
        "batch": _share(jnp.log2(scrape.batch_max[Variant.A]) / jnp.log2(
            jnp.maximum(service.batch_limit, 2.0))),
        "concurrency": _ratio(orders.concurrency, service.concurrency),
        "admitted": _share(admitted),
        "drained": _share(orders.drain.sum() / orders.drain.shape[0]),
        "fallback": _share((deployment.replicas[Variant.B] > 0.0).astype(jnp.float32)),
    }  # fmt: skip


def _budgets(scene: Scene, rules: Rules) -> dict[str, Array]:
    past, money, scrape = scene.past, scene.deployment.money, scene.scrape
    spent = (scene.orders.replicas * money.usd_per_hour).sum()
    lately = (past.at > past.step - 3600.0 / SCRAPE_S).sum()
    return {
        "budget_left": _share(1.0 - spent / money.budget_usd_per_hour),
        "room": _share(1.0 - scene.orders.replicas.sum() / money.hard_cap),
        "actions_left": _share(1.0 - lately / min(rules.actions_per_hour, RATE)),
        "since_action": _share(past.since / _LONG),
        "calm": _share(past.calm / _LONG),
        "changing": _share(scrape.changing.astype(jnp.float32)),
        "in_force": _share(scrape.levers_ok.astype(jnp.float32)),
    }


def _forecast(scene: Scene, watch: Watch, rules: Rules) -> dict[str, Array]:
    """Where load goes if its trend holds: two means, one five minutes old, the other one."""
    now = facts(scene.deployment, scene.scrape, scene.orders, scene.past, rules)
    used = now.load[Variant.A] / jnp.maximum(now.ready[Variant.A], 1.0)
    # The means lag by 1/weight - 1 scrapes each; their distance over that is a slope.
    slope = (watch.fast - watch.slow) / (1.0 / _SLOW - 1.0 / _FAST)
    left = jnp.log(rules.utilisation_max) - jnp.log(jnp.maximum(used, 1e-3))
    ahead = jnp.where(slope > _FLAT, left / jnp.maximum(slope, _FLAT), 2.0 * _AHEAD)
    return {
        "trend": _AHEAD * slope,
        "load_ahead": _ratio(used * jnp.exp(_AHEAD * slope), jnp.float32(rules.utilisation_max)),
        "time_to_full": _share(ahead / (2.0 * _AHEAD)),
    }


def _share(value: Array) -> Array:
    """Return 0..1 as -1..1."""
    return 2.0 * value - 1.0


def _ratio(value: Array, usual: Array) -> Array:
    """Return doublings away from what is usual, of `_DOUBLINGS`."""
    return jnp.log2(jnp.maximum(value, 1e-6) / jnp.maximum(usual, 1e-6)) / _DOUBLINGS


def _rare(value: Array) -> Array:
    """Return a share whose orders of magnitude matter: 1e-4 is -1, all of it is 1."""
    return 1.0 + jnp.log10(jnp.maximum(value, 1e-4)) / 2.0


def _mean(values: Array, where: Array) -> Array:
    known = where & jnp.isfinite(values)
    total = jnp.where(known, values, 0.0).sum()
    return jnp.where(known.any(), total / jnp.maximum(known.sum(), 1), jnp.nan)


def _most(values: Array, where: Array) -> Array:
    known = where & jnp.isfinite(values)
    return jnp.where(known.any(), jnp.where(known, values, -jnp.inf).max(), jnp.nan)
