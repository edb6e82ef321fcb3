"""The signals a scrape carries, by name: indices into `outputs.Scrape`'s last axes.

Names are those of `base.names`, so that the lab can hand them to the real controller unchanged.
`usd_per_hour` and `gpu_share` exist in the twin only.
"""

from typing import Final

from homeostat.base import names

GPU_SHARE: Final = "gpu_share"
USD_PER_HOUR: Final = "usd_per_hour"
LATENCY_P99: Final = "latency_p99_ms"
IN_FLIGHT: Final = "in_flight"

GATEWAY_SIGNALS: Final = (
    names.ARRIVAL_RATE,
    names.ERROR_RATIO,
    names.REFUSED_RATIO,
    names.LATENCY_P50,
    names.LATENCY_P95,
    LATENCY_P99,
    USD_PER_HOUR,
)
VARIANT_SIGNALS: Final = (
    names.ARRIVAL_RATE,
    names.ERROR_RATIO,
    names.LATENCY_P50,
    names.LATENCY_P95,
    names.PREDICTION_SHIFT,
    names.FEATURE_SHIFT,
    names.INVALID_SHARE,
    names.ACCURACY,
    names.LABEL_COVERAGE,
)
SLOT_SIGNALS: Final = (
    names.PROCESS_UP,
    names.PROBE_HEALTH,
    names.PROBE_INFERENCE,
    names.PROBE_LATENCY,
    names.MEMORY_SHARE,
    names.CPU_SHARE,
    GPU_SHARE,
    names.DEVICE_TIME,
    names.BATCH_SIZE,
    names.BATCH_FULL_SHARE,
    names.QUEUE_LENGTH,
    IN_FLIGHT,
    names.ERROR_RATIO,
    names.LATENCY_P95,
)
# Of a slot whose device memory limits how many sequences run; NaN of every other (see `tokens`).
TOKEN_SIGNALS: Final = (
    names.KV_USAGE,
    names.PREEMPTION_RATIO,
    names.PROMPT_TOKENS,
    names.GENERATED_TOKENS,
)
# A telemetry fault hits classes of signals, in this order: `faults.Faults.signals` [F, CLASSES].
CLASSES: Final = (
    "latency", "errors", "throughput", "queue", "cpu", "memory", "gpu", "probes", "predictions",
    "labels", "cost",
)  # fmt: skip
