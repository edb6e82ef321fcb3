"""Presets: which series of a metrics page become which raw signals. Data, no code.

A preset is a list of rules. A rule takes every series of one sample name whose labels match and
says what it means; series that map to one signal of one subject are added up (counters and buckets)
or refused (gauges). Nothing is turned into a rate here; that is the business of `signals`.

Names were read from real pages: Envoy 1.40's `/stats/prometheus` and `homeostat-instrument`'s.
Envoy merges its histograms only when it flushes: set `stats_flush_interval` well below the scrape
interval (with `stats_flush_on_admin` a page still shows the histograms of the scrape before).
"""

from typing import Final

from homeostat.adapters.sources.presets_vllm import VLLM
from homeostat.adapters.sources.rules import Preset, Rule
from homeostat.base import names, raw
from homeostat.base.evidence import Kind

__all__ = ["ENVOY", "HOMEOSTAT_INSTRUMENT", "PRESETS", "SUBJECT_OF_LABEL", "Preset", "Rule"]


_ANSWERED_CODES: Final = ("1", "2", "3", "4")
# Counters of a page exist before their labelled children do: these two are there from the start.
_SERVES: Final = ("ml_requests_total", "ml_inflight")

HOMEOSTAT_INSTRUMENT: Final = Preset(
    name="homeostat_instrument",
    started_sample="process_start_time_seconds",
    rules=(
        Rule(
            sample="ml_requests_total",
            signal=raw.REQUESTS_ARRIVED,
            kind=Kind.COUNTER,
            zero_if=_SERVES,
        ),
        Rule(
            sample="ml_requests_total",
            signal=raw.REQUESTS_OK,
            kind=Kind.COUNTER,
            where=(("code", _ANSWERED_CODES),),
            zero_if=_SERVES,
        ),
        Rule(
            sample="ml_requests_total",
            signal=raw.REQUESTS_5XX,
            kind=Kind.COUNTER,
            where=(("code", ("5",)),),
            zero_if=_SERVES,
        ),
        Rule(  # a full queue answers 503, and nothing else in a model server does
            sample="ml_requests_total",
            signal=raw.REQUESTS_REFUSED,
            kind=Kind.COUNTER,
            where=(("code", ("503",)),),
            zero_if=_SERVES,
        ),
        Rule(
            sample="ml_request_seconds_bucket", signal=raw.LATENCY, kind=Kind.BUCKET, scale=1000.0
        ),
        Rule(
            sample="ml_request_seconds_sum",
            signal=raw.LATENCY_SUM,
            kind=Kind.COUNTER,
            scale=1000.0,
        ),
        Rule(sample="ml_batch_size_bucket", signal=raw.BATCH_SIZE, kind=Kind.BUCKET),
        Rule(sample="ml_batch_size_sum", signal=raw.BATCH_SIZE_SUM, kind=Kind.COUNTER),
        Rule(sample="ml_batches_total", signal=raw.BATCHES, kind=Kind.COUNTER),
        Rule(sample="ml_full_batches_total", signal=raw.FULL_BATCHES, kind=Kind.COUNTER),
        Rule(sample="ml_device_seconds_total", signal=raw.DEVICE_SECONDS, kind=Kind.COUNTER),
        Rule(sample="ml_queue_length", signal=raw.QUEUE, kind=Kind.GAUGE),
        Rule(sample="ml_inflight", signal=raw.INFLIGHT, kind=Kind.GAUGE),
        Rule(sample="ml_batch_max", signal=raw.BATCH_MAX, kind=Kind.GAUGE),
        Rule(sample="ml_prediction_bucket", signal=raw.PREDICTION, kind=Kind.BUCKET),
        Rule(sample="ml_prediction_sum", signal=raw.PREDICTION_SUM, kind=Kind.COUNTER),
        Rule(
            sample="ml_prediction_invalid_total", signal=raw.PREDICTIONS_INVALID, kind=Kind.COUNTER
        ),
        Rule(
            sample="ml_feature_bucket",
            signal=raw.feature(""),
            kind=Kind.BUCKET,
            name_label="feature",
        ),
        Rule(
            sample="ml_activation_bucket",
            signal=raw.activation("mean:"),
            kind=Kind.BUCKET,
            name_label="layer",
        ),
        Rule(
            sample="ml_activation_active_bucket",
            signal=raw.activation("active:"),
            kind=Kind.BUCKET,
            name_label="layer",
        ),
        Rule(sample="ml_info", signal=raw.version(""), kind=Kind.GAUGE, name_label="version"),
        Rule(sample="process_resident_memory_bytes", signal=raw.MEMORY, kind=Kind.GAUGE),
        Rule(sample="process_start_time_seconds", signal=raw.STARTED_AT, kind=Kind.GAUGE),
        Rule(sample="process_cpu_seconds_total", signal=raw.CPU_SECONDS, kind=Kind.COUNTER),
    ),
)

_CLUSTER: Final = "envoy_cluster_name"
_CODE: Final = "envoy_response_code_class"
# Envoy's own admin page and its internal clients are connection managers too; they are not users.
_USERS: Final = (("envoy_http_conn_manager_prefix", ("admin", "async-client")),)
_CLUSTER_LIVES: Final = (
    "envoy_cluster_upstream_rq_total",
)  # there from the cluster's first moment

ENVOY: Final = Preset(
    name="envoy",
    uptime_sample="envoy_server_uptime",
    rules=(
        Rule(
            sample="envoy_http_downstream_rq_total",
            signal=raw.REQUESTS_ARRIVED,
            kind=Kind.COUNTER,
            unless=_USERS,
        ),
        Rule(
            sample="envoy_http_downstream_rq_xx",
            signal=raw.REQUESTS_OK,
            kind=Kind.COUNTER,
            where=((_CODE, _ANSWERED_CODES),),
            unless=_USERS,
        ),
        Rule(
            sample="envoy_http_downstream_rq_xx",
            signal=raw.REQUESTS_5XX,
            kind=Kind.COUNTER,
            where=((_CODE, ("5",)),),
            unless=_USERS,
        ),
        Rule(
            sample="envoy_http_downstream_rq_time_bucket",
            signal=raw.LATENCY,
            kind=Kind.BUCKET,
            unless=_USERS,
        ),
        Rule(
            sample="envoy_http_downstream_rq_time_sum",
            signal=raw.LATENCY_SUM,
            kind=Kind.COUNTER,
            unless=_USERS,
        ),
        Rule(  # a fault filter used as a limit must abort with 503
            sample="envoy_http_fault_aborts_injected",
            signal=raw.REQUESTS_REFUSED,
            kind=Kind.COUNTER,
        ),
        Rule(
            sample="envoy_cluster_upstream_rq_pending_overflow",
            signal=raw.REQUESTS_REFUSED,
            kind=Kind.COUNTER,
        ),
        Rule(  # max_requests, a counter of its own since Envoy 1.40; earlier in pending_overflow
            sample="envoy_cluster_upstream_rq_active_overflow",
            signal=raw.REQUESTS_REFUSED,
            kind=Kind.COUNTER,
        ),
        Rule(
            sample="envoy_cluster_upstream_rq_total",
            signal=raw.REQUESTS_ARRIVED,
            kind=Kind.COUNTER,
            subject_label=_CLUSTER,
        ),
        Rule(  # refused requests arrived at the pool too, but never reach upstream_rq_total
            sample="envoy_cluster_upstream_rq_pending_overflow",
            signal=raw.REQUESTS_ARRIVED,
            kind=Kind.COUNTER,
            subject_label=_CLUSTER,
        ),
        Rule(
            sample="envoy_cluster_upstream_rq_active_overflow",
            signal=raw.REQUESTS_ARRIVED,
            kind=Kind.COUNTER,
            subject_label=_CLUSTER,
        ),
        Rule(  # nor those for which no connection could be made, which are answered 503
            sample="envoy_cluster_upstream_rq_pending_failure_eject",
            signal=raw.REQUESTS_ARRIVED,
            kind=Kind.COUNTER,
            subject_label=_CLUSTER,
        ),
        Rule(
            sample="envoy_cluster_upstream_rq_pending_overflow",
            signal=raw.REQUESTS_REFUSED,
            kind=Kind.COUNTER,
            subject_label=_CLUSTER,
        ),
        Rule(
            sample="envoy_cluster_upstream_rq_active_overflow",
            signal=raw.REQUESTS_REFUSED,
            kind=Kind.COUNTER,
            subject_label=_CLUSTER,
        ),
        Rule(
            sample="envoy_cluster_upstream_rq_xx",
            signal=raw.REQUESTS_OK,
            kind=Kind.COUNTER,
            where=((_CODE, _ANSWERED_CODES),),
            subject_label=_CLUSTER,
            zero_if=_CLUSTER_LIVES,
        ),
        Rule(
            sample="envoy_cluster_upstream_rq_xx",
            signal=raw.REQUESTS_5XX,
            kind=Kind.COUNTER,
            where=((_CODE, ("5",)),),
            subject_label=_CLUSTER,
            zero_if=_CLUSTER_LIVES,
        ),
        Rule(
            sample="envoy_cluster_upstream_rq_time_bucket",
            signal=raw.LATENCY,
            kind=Kind.BUCKET,
            subject_label=_CLUSTER,
        ),
        Rule(
            sample="envoy_cluster_upstream_rq_time_sum",
            signal=raw.LATENCY_SUM,
            kind=Kind.COUNTER,
            subject_label=_CLUSTER,
        ),
        Rule(sample="envoy_server_live", signal=raw.GATEWAY_LIVE, kind=Kind.GAUGE),
        Rule(sample="envoy_server_uptime", signal=raw.GATEWAY_UPTIME, kind=Kind.GAUGE),
    ),
)

PRESETS: Final = {preset.name: preset for preset in (HOMEOSTAT_INSTRUMENT, ENVOY, VLLM)}

SUBJECT_OF_LABEL: Final = {_CLUSTER: names.pool}
"""How the value of a rule's `subject_label` becomes a subject."""
