"""The numbers that a trained policy is told, from live evidence, world and configuration.

The 64 numbers of `lab.environment_seen`, each with a bit that says whether it is known; what is not
known is 0 with its bit 0, which no known number can be. Seven of them the product never knows
(`NEVER`): the p99 and its score, the accelerator's share, and what only the fallback pool would say
of features and labels. A pool that is not configured has no replicas, and that is known; of labels
and features there is one reading for the whole deployment, which stands for the stable pool. Times
are in scrapes. Where the others differ from training's, and by how much, is held in
`tests/lab/test_seat_numbers.py`.
"""

import math
from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.base import names
from homeostat.base.guard import GuardState
from homeostat.base.learning import Watched
from homeostat.base.units import HOUR, TimeNs
from homeostat.base.world import ReplicaState
from homeostat.policy.trained_look import Look, look
from homeostat.policy.trained_scales import (
    AHEAD,
    DECADES,
    FAST,
    FLAT,
    LONG,
    P95_OF_P99,
    RATE,
    SLOW,
    mean,
    most,
    rare,
    ratio,
    share,
)
from homeostat.policy.trained_watch import SCORED

_POOLS: Final = ("a", "b")  # the stable one and the fallback, as training calls them
_OF_POOL: Final = (
    "errors", "p95", "prediction_shift", "feature_shift", "invalid", "accuracy", "labels",
    "ready", "wanted", "load",
)  # fmt: skip
_GPU_SHARE: Final = "gpu_share"
_OF_HOST: Final = (names.MEMORY_SHARE, names.CPU_SHARE, _GPU_SHARE)
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
"""In the order of a policy's inputs; a policy that says others is refused."""
OBSERVATIONS: Final = (*NUMBERS, *(f"known:{name}" for name in NUMBERS))
NEVER: Final = (
    "score:latency_p99_ms", "p99", f"{_GPU_SHARE}:mean", f"{_GPU_SHARE}:most",
    "feature_shift:b", "accuracy:b", "labels:b",
)  # fmt: skip
"""Known in training, never live."""
_LARGEST: Final = 700.0  # of what is raised to a power of e: more fits no float
_DIGITS: Final = 6  # the last bits of a logarithm differ between machines, and a replay must not

Floats = npt.NDArray[np.float64]


def numbers(seen: GuardState, watched: Watched, now: TimeNs) -> dict[str, float]:
    """Return every number by name, before it is bounded; NaN = not known.

    Args:
        seen: What the guards see.
        watched: With this tick taken in.
        now: The time.
    """
    at = None if seen.evidence is None else look(seen.evidence, seen.managed)
    if at is None:
        return dict.fromkeys(NUMBERS, math.nan)
    found = _service(at, watched) | _hosts(at) | _levers(at, watched) | _budgets(at, seen)
    found |= _times(at, seen, watched, now) | _forecast(at, watched)
    for name, pool in zip(_POOLS, _named(at), strict=True):
        found |= {f"{what}:{name}": value for what, value in _pool(at, pool).items()}
    return found


def observation(found: Mapping[str, float]) -> Floats:
    """Return the numbers in -1..1, then their bits `[2 x NUMBERS]`.

    Args:
        found: By name; NaN and infinite are not known.
    """
    values = np.array([found[name] for name in NUMBERS])
    known = np.isfinite(values)
    bounded = np.where(known, np.clip(np.where(known, values, 0.0), -1.0, 1.0), 0.0)
    return np.concatenate([np.round(bounded, _DIGITS), known.astype(np.float64)])


def _named(at: Look) -> tuple[str, str | None]:
    return at.managed.stable_pool, at.managed.fallback_pool


def _promised_ms(at: Look) -> float:
    """Return the p99 that training would have been promised, in milliseconds."""
    return at.managed.objective.latency_p95_ms / P95_OF_P99


def _budget(at: Look) -> float:
    budget = at.managed.guard.budget_usd_per_hour
    return budget if budget is not None and 0.0 < budget < math.inf else math.nan


def _spend(at: Look) -> float:
    """Return what runs costs an hour; NaN where one of it has no price."""
    return sum(at.price(one.pool) for one in at.world.replicas)


def _service(at: Look, watched: Watched) -> dict[str, float]:
    scores = watched.scores or (None,) * len(SCORED)
    found = {
        f"score:{name}": math.nan if score is None else score / DECADES
        for name, score in zip(SCORED, scores, strict=True)
    }
    promised = _promised_ms(at)
    usual = math.nan if watched.slow is None else math.exp(min(watched.slow, _LARGEST))
    age_ns = max(at.ages_ns, default=-1)
    return found | {
        "arrivals": ratio(at.gateway(names.ARRIVAL_RATE), usual),
        "errors": rare(at.gateway(names.ERROR_RATIO)),
        "refused": share(at.gateway(names.REFUSED_RATIO)),
        "p50": ratio(at.gateway(names.LATENCY_P50), promised),
        "p95": ratio(at.gateway(names.LATENCY_P95), promised),
        "p99": math.nan,
        "spend": share(_spend(at) / _budget(at)),
        "age": share(age_ns / (LONG * at.managed.scrape_ns)) if age_ns >= 0 else math.nan,
    }


def _pool(at: Look, pool: str | None) -> dict[str, float]:
    """Return what is known of one pool; of one that is not configured, that nobody serves in it."""
    found = dict.fromkeys(_OF_POOL, math.nan)
    if pool is None:
        return found | {"ready": share(0.0), "wanted": share(0.0)}
    subject, serving = names.pool(pool), at.serving(pool)
    well = sum(at.value(one, names.PROBE_INFERENCE) > 0.0 for one in serving)  # NaN is not above
    most_of_it = at.high(names.lever_replicas(pool))
    found |= {
        "errors": rare(at.value(subject, names.ERROR_RATIO)),
        "p95": ratio(at.value(subject, names.LATENCY_P95), _promised_ms(at)),
        "prediction_shift": share(at.value(subject, names.PREDICTION_SHIFT)),
        "invalid": share(at.value(subject, names.INVALID_SHARE)),
        "ready": share(well / most_of_it),
        "wanted": share(at.lever(names.lever_replicas(pool)) / most_of_it),
        "load": ratio(at.work(pool), max(float(well), 1.0)),
    }
    if pool != at.managed.stable_pool:
        return found
    floor = at.managed.objective.accuracy
    return found | {
        "feature_shift": share(at.value(names.MODEL, names.FEATURE_SHIFT)),
        "labels": share(at.value(names.MODEL, names.LABEL_COVERAGE)),
        "accuracy": math.nan
        if floor is None
        else 10.0 * (at.value(names.MODEL, names.ACCURACY) - floor),
    }


def _hosts(at: Look) -> dict[str, float]:
    found: dict[str, float] = {}
    for name in _OF_HOST:
        each = at.of_serving(name)
        found |= {f"{name}:mean": share(mean(each)), f"{name}:most": share(most(each))}
    queue, holds = at.of_serving(names.QUEUE_LENGTH), max(at.lever(names.CONCURRENCY), 1.0)
    starting = sum(one.state is ReplicaState.STARTING for one in at.world.replicas)
    every = [names.replica(one.name) for one in at.world.replicas]
    fails = sum(
        at.value(one, names.PROBE_FAILURES) > 0.0 or at.value(one, names.PROCESS_UP) == 0.0
        for one in every
    )
    silent = sum(math.isnan(one) for one in at.of_serving(names.PROBE_INFERENCE))
    return found | {
        "queue:mean": share(mean(queue) / holds),
        "queue:most": share(most(queue) / holds),
        "batch_full": share(mean(at.of_serving(names.BATCH_FULL_SHARE))),
        "pending": share(starting / at.places),
        "failing": share(fails / at.places),
        "silent": share(silent / at.places),
    }


def _levers(at: Look, watched: Watched) -> dict[str, float]:
    other = at.managed.fallback_pool
    weight = 0.0 if other is None else at.lever(names.lever_weight(other))
    jobs = math.nan if watched.jobs is None else watched.jobs
    drained = [value for lever, value in at.world.levers if lever.startswith("drained.")]
    return {
        "share_b": share(weight / 100.0),
        "batch": share(_logs(at.lever(names.BATCH_MAX), at.high(names.BATCH_MAX))),
        "concurrency": ratio(at.lever(names.CONCURRENCY), jobs),
        "admitted": share(_admitted(at)),
        "drained": share(sum(value == 1 for value in drained) / at.places),
        "fallback": share(float(other is not None)),
    }


def _logs(live: float, limit: float) -> float:
    """Return a batch's part of the way to the largest one, in doublings."""
    known = live >= 1.0 and math.isfinite(limit)
    return math.log2(live) / math.log2(max(limit, 2.0)) if known else math.nan


def _admitted(at: Look) -> float:
    """Return which share of what arrives the gateway's limit lets in, by Little's law."""
    limit, arrives = at.lever(names.GATEWAY_LIMIT), at.gateway(names.ARRIVAL_RATE)
    if limit == 0.0:
        return 1.0
    seconds = at.gateway(names.LATENCY_P50) / 1000.0
    return limit / seconds / arrives if seconds > 0.0 and arrives > 0.0 else math.nan


def _budgets(at: Look, seen: GuardState) -> dict[str, float]:
    ordered = [
        at.lever(lever) * at.price(lever.partition(".")[2])
        for lever, value in at.world.levers
        if lever.startswith(names.lever_replicas("")) and value != 0
    ]
    spent = sum(ordered) if ordered else math.nan
    return {
        "budget_left": share(1.0 - spent / _budget(at)),
        "room": share(1.0 - at.wanted() / at.places),
        "changing": share(float(at.world.changing)),
        # What is read back is what was ordered, unless something of ours is still on its way.
        "in_force": share(1.0) if seen.in_flight is None else math.nan,
    }


def _times(at: Look, seen: GuardState, watched: Watched, now: TimeNs) -> dict[str, float]:
    lately = sum(now - one.at < HOUR for one in seen.past)
    last = max((one.at for one in seen.past), default=None)
    # Nothing within memory is long ago, and known to be.
    since = math.inf if last is None else (now - last) / at.managed.scrape_ns
    allowed = min(at.managed.guard.actions_per_hour, RATE)
    return {
        "actions_left": share(1.0 - lately / allowed) if allowed > 0 else share(0.0),
        "since_action": share(min(since / LONG, 1.0)),
        "calm": share(min(watched.calm / LONG, 1.0)),
    }


def _forecast(at: Look, watched: Watched) -> dict[str, float]:
    """Where load goes if its trend holds: two means, one five minutes old, the other one."""
    pool, most_used = at.managed.stable_pool, max(at.managed.guard.utilisation_max, 1e-3)
    well = sum(at.value(one, names.PROBE_INFERENCE) > 0.0 for one in at.serving(pool))
    used = at.work(pool) / max(float(well), 1.0)
    if watched.fast is None or watched.slow is None:
        return dict.fromkeys(("trend", "load_ahead", "time_to_full"), math.nan)
    slope = (watched.fast - watched.slow) / (1.0 / SLOW - 1.0 / FAST)
    left = math.log(most_used) - math.log(max(used, 1e-3))  # NaN stays NaN: it is not below
    ahead = left / slope if slope > FLAT else 2.0 * AHEAD
    return {
        "trend": AHEAD * slope,
        "load_ahead": ratio(used * math.exp(min(AHEAD * slope, _LARGEST)), most_used),
        "time_to_full": share(ahead / (2.0 * AHEAD)),
    }
