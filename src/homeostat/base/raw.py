"""The names of raw signals: what sources read, before `signals` makes rates and quantiles of it.

Raw values are never judged and never shown; `base.names` holds what is. Counters and buckets are
cumulative since their process started: only increments between two rounds mean anything.

How to read them:
- A histogram arrives as one `Kind.BUCKET` observation per upper bound (`le`, the last `inf`, whose
  value is the number of samples), all with one key; its sum, where the page has one, is a counter.
- `Observation.epoch` names the counting process (its start time in seconds since 1970). A counter
  that went back is a restart if the epoch changed, and absurd if it did not. Sources that estimate
  a start time keep it steady, but may move it by less than two seconds when they are rebuilt.
- NaN, infinite and negative values arrive as they were on the page.
- Series that a page does not have are simply not there; a counter of zero is there, with value 0.
"""

from typing import Final

# Requests: gateway (Envoy's listener), pool (Envoy's clusters), replica (the server's own page).
REQUESTS_ARRIVED: Final = "raw_requests_arrived"  # counter, refused ones included
REQUESTS_OK: Final = "raw_requests_ok"  # counter, answered 1xx to 4xx
REQUESTS_5XX: Final = "raw_requests_5xx"  # counter, answered 5xx, REFUSED ONES INCLUDED
REQUESTS_REFUSED: Final = "raw_requests_refused"  # counter, refused by a limit or a full queue
"""Failed requests are increment(5xx) - increment(refused), at least 0: a page that is written while
it is read may count a refusal one round before its answer."""
LATENCY: Final = "raw_latency_ms"  # buckets, le in milliseconds
LATENCY_SUM: Final = "raw_latency_sum_ms"  # counter, milliseconds

# One model server.
BATCH_SIZE: Final = "raw_batch_size"  # buckets, requests in a batch
BATCH_SIZE_SUM: Final = "raw_batch_size_sum"  # counter, requests that went through batches
BATCHES: Final = "raw_batches"  # counter
FULL_BATCHES: Final = "raw_full_batches"  # counter, batches that reached the configured maximum
DEVICE_SECONDS: Final = "raw_device_seconds"  # counter, time the device was occupied
QUEUE: Final = "raw_queue_length"  # gauge
INFLIGHT: Final = "raw_inflight"  # gauge
BATCH_MAX: Final = "raw_batch_max"  # gauge, the maximum in force
KV_USAGE: Final = "raw_kv_usage"  # gauge, share of the device memory for sequences in use
PREEMPTIONS: Final = "raw_preemptions"  # counter, sequences put back for want of it
PROMPT_TOKENS: Final = "raw_prompt_tokens"  # counter, tokens of what was asked
GENERATED_TOKENS: Final = "raw_generated_tokens"  # counter, tokens of what was answered
MEMORY: Final = "raw_memory_bytes"  # gauge, resident
CPU_SECONDS: Final = "raw_cpu_seconds"  # counter
# What somebody says of its accelerators. Sources that see several tell of the fullest and of the
# mean, and of none that may be another replica's too (`sources.prometheus_devices`).
DEVICE_USED: Final = "raw_device_used_bytes"  # gauge, memory in use on its fullest device
DEVICE_TOTAL: Final = "raw_device_total_bytes"  # gauge, memory of that device
DEVICE_FREE: Final = "raw_device_free_bytes"  # gauge, for rules alone: sources tell used + free
DEVICE_BUSY: Final = "raw_device_busy_share"  # gauge, share of time that they ran something
STARTED_AT: Final = "raw_started_at_s"  # gauge, seconds since 1970

# What the model said and was asked.
PREDICTION: Final = "raw_prediction"  # buckets, le in the prediction's unit
PREDICTION_SUM: Final = "raw_prediction_sum"  # counter-like sum; may fall if values are negative
PREDICTIONS_INVALID: Final = "raw_predictions_invalid"  # counter, NaN or infinite predictions
LABELLED: Final = "raw_labelled"  # gauge, predictions of the window whose label is known
LABELS_TOLD: Final = "raw_labels_told"  # counter, predictions whose label became known
LABELS_RIGHT: Final = "raw_labels_right"  # counter, those of them that were right
_FEATURE: Final = "raw_feature:"
_ACTIVATION: Final = "raw_activation:"
_VERSION: Final = "raw_version:"

# The gateway's own process.
GATEWAY_LIVE: Final = "raw_gateway_live"  # gauge, 1 live, 0 draining
GATEWAY_UPTIME: Final = "raw_gateway_uptime_s"  # gauge

# Witness: counted by the prober, not by the page. A metrics page whose request counters stand
# still over an interval in which this one rose is frozen.
PROBES_ANSWERED: Final = "raw_probes_answered"  # counter, canned inferences answered (any status)


def feature(name: str) -> str:
    """Return the raw signal of one feature's histogram (buckets, le in the feature's unit).

    >>> feature("income")
    'raw_feature:income'
    """
    return f"{_FEATURE}{name}"


def feature_name(signal: str) -> str | None:
    """Return the feature a raw signal is about, None if it is about none.

    >>> feature_name("raw_feature:income")
    'income'
    """
    return signal.removeprefix(_FEATURE) if signal.startswith(_FEATURE) else None


def activation(name: str) -> str:
    """Return the raw signal of one layer's histogram (buckets, le in the activation's unit).

    Args:
        name: `mean:LAYER` for the mean of its units, `active:LAYER` for the share above zero.

    >>> activation("mean:head")
    'raw_activation:mean:head'
    """
    return f"{_ACTIVATION}{name}"


def activation_name(signal: str) -> str | None:
    """Return the activation a raw signal is about, None if it is about none.

    >>> activation_name("raw_activation:mean:head")
    'mean:head'
    """
    return signal.removeprefix(_ACTIVATION) if signal.startswith(_ACTIVATION) else None


def version(name: str) -> str:
    """Return the raw signal (gauge 1) that says which artefact version a process reports.

    >>> version("v2")
    'raw_version:v2'
    """
    return f"{_VERSION}{name}"


def version_name(signal: str) -> str | None:
    """Return the version a raw signal reports, None if it reports none.

    >>> version_name("raw_version:v2")
    'v2'
    """
    return signal.removeprefix(_VERSION) if signal.startswith(_VERSION) else None
