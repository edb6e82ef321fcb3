"""The names of signals, subjects and levers: one spelling, used everywhere.

Rates are per second, times are milliseconds, shares and ratios are 0..1, memory is bytes.
"""

from functools import lru_cache
from typing import Final

# Signals of the gateway, of a pool and of a replica.
ARRIVAL_RATE: Final = "arrival_rate"  # requests per second that arrived (refused ones included)
ERROR_RATIO: Final = "error_ratio"  # failed / answered (refused ones not counted)
REFUSED_RATIO: Final = "refused_ratio"  # refused by the limit / arrived
LATENCY_P50: Final = "latency_p50_ms"
LATENCY_P95: Final = "latency_p95_ms"

# Signals of one replica.
PROBE_HEALTH: Final = "probe_health"  # 1 passed, 0 failed
PROBE_INFERENCE: Final = "probe_inference"  # 1 the canned answer came and was right, 0 not
PROBE_LATENCY: Final = "probe_latency_ms"
PROBE_FAILURES: Final = "probe_failures"  # consecutive failed rounds, health or inference
PROCESS_UP: Final = "process_up"  # 1 the process is there, 0 it is gone
MEMORY_SHARE: Final = "memory_share"  # resident memory / its limit
CPU_SHARE: Final = "cpu_share"  # processor seconds per second
DEVICE_MEMORY_SHARE: Final = "device_memory_share"  # in use / there, of its fullest device, 0..1
DEVICE_SHARE: Final = "device_share"  # share of time its devices were busy, their mean, 0..1
DEVICE_TIME: Final = "device_time_ms"  # device time per batch
BATCH_SIZE: Final = "batch_size"  # mean batch
BATCH_FULL_SHARE: Final = "batch_full_share"  # batches that reached the configured maximum
QUEUE_LENGTH: Final = "queue_length"  # requests waiting in the server
KV_USAGE: Final = "kv_usage"  # sequences' state / device memory set aside for it, 0..1
PREEMPTION_RATIO: Final = "preemption_ratio"  # sequences put back for want of it / answered
PROMPT_TOKENS: Final = "prompt_tokens"  # mean length of what is asked
GENERATED_TOKENS: Final = "generated_tokens"  # mean length of what is answered
UTILISATION: Final = "utilisation"  # arrivals / what the pool can serve at its largest batch, 0..

# Signals of the model (summed over replicas of a pool, or over the deployment).
PREDICTION_SHIFT: Final = "prediction_shift"  # distance of the prediction histogram, 0..1
PREDICTION_SHIFT_LONG: Final = "prediction_shift_long"  # from what was usual for hours, 0..1
FEATURE_SHIFT: Final = "feature_shift"  # largest distance of a feature histogram, 0..1
FEATURE_SHIFT_LATELY: Final = "feature_shift_lately"  # the largest of 20 scrapes, 0 = by chance
FEATURE_SHIFT_LONG: Final = "feature_shift_long"  # of 20 scrapes, from what was usual for hours
ACTIVATION_SHIFT: Final = "activation_shift"  # largest distance of a layer's histogram, 0..1
INVALID_SHARE: Final = "invalid_share"  # predictions that are NaN or infinite / predictions
ACCURACY: Final = "accuracy"  # over joined labels; no labels means unknown
LABEL_COVERAGE: Final = "label_coverage"  # labelled predictions / predictions

# What an autoencoder says of a deployment (subject "model"), where one was named for it.
RECONSTRUCTION_ERROR: Final = "reconstruction_error"  # -log10 of a p-value, 0..
LATENT_DIVERGENCE: Final = "latent_divergence"  # -log10 of a p-value, 0..

# The actuator of a deployment that is only watched: it reads, and changes nothing.
OBSERVED: Final = "observed"

# Subjects.
GATEWAY: Final = "gateway"
MODEL: Final = "model"
# The same text each time, not only an equal one: looking it up elsewhere is then cheap.
_KEPT: Final = 1 << 14


@lru_cache(maxsize=_KEPT)
def pool(name: str) -> str:
    """Return the subject of a pool.

    >>> pool("a")
    'pool:a'
    """
    return f"pool:{name}"


@lru_cache(maxsize=_KEPT)
def model_of(pool_name: str) -> str:
    """Return the subject of what one pool's replicas answered, as labels tell.

    >>> model_of("b")
    'model:b'
    """
    return f"model:{pool_name}"


@lru_cache(maxsize=_KEPT)
def replica(name: str) -> str:
    """Return the subject of a replica slot.

    >>> replica("a-1")
    'replica:a-1'
    """
    return f"replica:{name}"


def bare(subject: str) -> str:
    """Return a subject without its kind.

    >>> bare("replica:a-1")
    'a-1'
    """
    return subject.partition(":")[2] or subject


# Levers. Those of one pool or one slot carry its name after the dot.
BATCH_MAX: Final = "batch_max"  # largest batch a server forms
BATCH_WAIT: Final = "batch_wait_ms"  # longest wait for a batch to fill
CONCURRENCY: Final = "concurrency_max"  # requests one replica holds at once
GATEWAY_LIMIT: Final = "gateway_limit"  # requests in flight the gateway lets through; 0 = no limit
# Settings of every replica that some may be given before the rest, where their actuator can.
OF_EACH: Final = (BATCH_MAX, CONCURRENCY)


def lever_own(setting: str, slot: str) -> str:
    """Return the lever that holds one replica's own value of a setting; 0 = it has none.

    >>> lever_own(BATCH_MAX, "a-1")
    'batch_max.a-1'
    """
    return f"{setting}.{slot}"


@lru_cache(maxsize=_KEPT)
def own(lever: str) -> tuple[str, str] | None:
    """Return the setting and the slot of a replica's own value, None for every other lever.

    >>> own("batch_max.a-1"), own("batch_max"), own("drained.a-1")
    (('batch_max', 'a-1'), None, None)
    """
    setting, _, slot = lever.partition(".")
    return (setting, slot) if slot and setting in OF_EACH else None


def lever_replicas(pool_name: str) -> str:
    """Return the lever that holds a pool's number of replicas.

    >>> lever_replicas("a")
    'replicas.a'
    """
    return f"replicas.{pool_name}"


def lever_version(pool_name: str) -> str:
    """Return the lever that holds a pool's artefact version.

    >>> lever_version("a")
    'version.a'
    """
    return f"version.{pool_name}"


def lever_weight(pool_name: str) -> str:
    """Return the lever that holds a pool's traffic weight in percent.

    >>> lever_weight("b")
    'weight.b'
    """
    return f"weight.{pool_name}"


def lever_incarnation(slot: str) -> str:
    """Return the lever that holds a slot's incarnation (raise it by one to restart).

    >>> lever_incarnation("a-1")
    'incarnation.a-1'
    """
    return f"incarnation.{slot}"


def lever_drained(slot: str) -> str:
    """Return the lever that says whether a slot is out of rotation (1) or in (0).

    >>> lever_drained("a-1")
    'drained.a-1'
    """
    return f"drained.{slot}"
