"""The fault primitives: every word a scenario may use, what its magnitude means, where it acts.

The catalogue's kernel lists them by channel; `PRIMITIVES` keeps that order, and a `Faults` value
refers to them by index. An instance of strength s (0 = not yet, 1 = in full) and magnitude m acts
on the slots, variants and signals of its masks, all of them together: a slot is hit when its own
bit and that of its variant are set. How it and others combine is in `Combine`; probabilities and
shares are cut to 0..1 after that. What they do is in the kernel; here is only the language.

The draw resolves what depends on the deployment, so that the kernel never sees it: a share of
replicas becomes a mask of slots, `base_rho` an `arrival_mult`, a share of the demand a rate.
Source: the channels and primitives of the scenario catalogue's fault kernel.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import inf, nan
from types import MappingProxyType
from typing import Final


class Level(StrEnum):
    """What an instance is aimed at; masks of finer levels are all-true."""

    DEPLOYMENT = "deployment"
    VARIANT = "variant"
    SLOT = "slot"
    SIGNAL = "signal"


class Combine(StrEnum):
    """How strengths scale a magnitude, and how several instances become one number."""

    MULTIPLY = "multiply"  # product of m ** s; neutral 1
    ADD = "add"  # neutral + sum of s * (m - neutral)
    LIMIT = "limit"  # least of m / s, and of the deployment's own limit; neutral inf
    REPLACE = "replace"  # own value * (1 - max s) + mean of m weighted by s * max s


@dataclass(frozen=True, slots=True, kw_only=True)
class Primitive:
    """One word of the fault language.

    Attributes:
        name: As scenario files write it.
        channel: The kernel channel it belongs to: `arrival`, `speed`, ...
        neutral: Magnitude that changes nothing; for `REPLACE` the value without an instance, NaN
            where the deployment has a parameter of its own.
        combine: How instances combine.
        level: What it is aimed at.
        low: Least magnitude that makes sense.
        high: Greatest one.
        unit: Of the magnitude: `x`, `s`, `1`, `GiB`, ...
        meaning: One sentence for people.
        needs: Primitives at least one of which must be there too, or this one does nothing.
    """

    name: str
    channel: str
    neutral: float
    combine: Combine
    level: Level
    low: float
    high: float
    unit: str
    meaning: str
    needs: tuple[str, ...] = ()

    @property
    def multiplies(self) -> bool:
        """Whether instances multiply."""
        return self.combine is Combine.MULTIPLY


_Row = tuple[str, Combine, Level, float, float, float, str, str]

_MUL, _ADD, _LIM, _SET = Combine.MULTIPLY, Combine.ADD, Combine.LIMIT, Combine.REPLACE
_DEP, _VAR, _SLOT, _SIG = Level.DEPLOYMENT, Level.VARIANT, Level.SLOT, Level.SIGNAL

# Ranges are wider than the catalogue's: they say what makes sense, not what is likely.
# fmt: off
_ROWS: Final[Mapping[str, tuple[_Row, ...]]] = {
    "arrival": (
        ("arrival_mult", _MUL, _DEP, 1, 0, 100, "x",
         "Organic load against the usual."),
        ("arrival_trace", _MUL, _DEP, 1, 0.01, 100, "x",
         "Top of an expected swing of the load against its bottom."),
        ("backlog_release", _ADD, _DEP, 0, 0, 120, "min",
         "Requests let go at once, in minutes of organic load."),
        ("benign_blip", _ADD, _DEP, 0, 0, 5, "1",
         "Service time rises by this share for a moment; nothing is wrong."),
    ),
    "work_mix": (
        ("size_mult_prefill", _MUL, _DEP, 1, 0.05, 50, "x",
         "Mean length of inputs: time per request and device memory."),
        ("size_mult_decode", _MUL, _DEP, 1, 0.05, 50, "x",
         "Mean length of generation: time per request and device memory for longer."),
        ("heavy_fraction", _SET, _DEP, nan, 0, 1, "1",
         "Share of heavy requests."),
        ("heavy_cost_mult", _MUL, _DEP, 1, 0.1, 100, "x",
         "Work of a heavy request against the usual heavy one."),
        ("output_len_mult", _MUL, _VAR, 1, 0.05, 20, "x",
         "Length of answers: time per request."),
        ("adapter_working_set", _ADD, _DEP, 1, 0, 50, "1",
         "Adapters in use / adapters that fit; above 1 the rest is swapped in per batch."),
        ("swap_time_s", _ADD, _DEP, 0, 0, 60, "s",
         "Time to swap an adapter in."),
        ("cache_hit", _ADD, _DEP, 1, 0, 1, "1",
         "Hits of the cache against the usual; the rest is worked out anew."),
        ("cache_warm_s", _ADD, _DEP, 0, 0, 7200, "s",
         "Time constant with which the cache fills again after the onset."),
    ),
    "speed": (
        ("contention", _MUL, _SLOT, 1, 0.1, 50, "x",
         "Service time against the usual, for want of processor time."),
        ("service_cv2_mult", _MUL, _SLOT, 1, 0.05, 50, "x",
         "Squared coefficient of variation of the service time."),
        ("replica_speed_mult", _MUL, _SLOT, 1, 0.01, 10, "x",
         "Speed of a replica."),
        ("variant_service_mult", _MUL, _VAR, 1, 0.05, 50, "x",
         "Service time of a variant."),
        ("pool_speed_mult", _MUL, _SLOT, 1, 0.01, 10, "x",
         "Speed of the replicas of one hardware pool."),
        ("cold_speed_mult", _MUL, _DEP, 1, 0.01, 1, "x",
         "Speed of a replica while it warms up, against the usual cold speed."),
        ("recompute_waste", _ADD, _SLOT, 0, 0, 0.95, "1",
         "Share of the work done twice beyond the device memory's capacity."),
        ("post_limit_service_mult", _MUL, _DEP, 1, 1, 50, "x",
         "Service time once more replicas are ready than share a resource."),
        ("shared_limit_replicas", _LIM, _DEP, inf, 1, 32, "replicas",
         "Replicas that the shared resource (node, licence, disk) can carry."),
    ),
    "alive": (
        ("replica_kill", _ADD, _SLOT, 0, 0, 1, "1",
         "Share of replicas whose process or node is gone; drawn: 1 on their slots."),
        ("replica_hang", _ADD, _SLOT, 0, 0, 32, "replicas",
         "Replicas that accept and never answer, probes passing; drawn: 1 on their slots."),
        ("group_hang", _ADD, _SLOT, 0, 0, 32, "groups",
         "Groups of replicas that hang together; drawn: 1 on their slots."),
        ("group_size", _SET, _DEP, 1, 1, 32, "replicas",
         "Replicas of one group."),
        ("pool_loss", _ADD, _SLOT, 0, 0, 8, "pools",
         "Hardware pools that are gone with all their replicas; drawn: 1 on their slots."),
        ("n_pools", _SET, _DEP, 2, 1, 8, "pools",
         "Hardware pools that the slots are spread over."),
        ("endpoint_stale_s", _ADD, _DEP, 0, 0, 900, "s",
         "Time for which the balancer still sends to a replica that is gone."),
        ("discovery_decay_s", _LIM, _DEP, inf, 1, 86400, "s",
         "Time constant with which living replicas fall out of the balancer's list."),
        ("replica_crash_on_poison", _ADD, _SLOT, 0, 0, 1, "1",
         "Probability that a poisonous request ends the process."),
        ("poison_rate", _ADD, _DEP, 0, 0, 100, "1/s",
         "Poisonous requests."),
        ("retry_to_next_replica", _ADD, _DEP, 0, 0, 1, "1",
         "Share of poisonous requests that are tried again on another replica."),
        ("evict_at", _SET, _DEP, 0.9, 0.1, 1, "1",
         "Share of the disk at which the platform evicts a replica."),
        ("disk_fill_rate", _ADD, _SLOT, 0, 0, 100, "1/h",
         "Share of the disk that fills per hour."),
        ("download_adds_disk", _ADD, _SLOT, 0, 0, 1, "1",
         "Share of the disk that every start's download takes."),
    ),
    "err": (
        ("replica_err_prob", _ADD, _SLOT, 0, 0, 1, "1",
         "Probability that a replica fails a request."),
        ("replica_fail_fast_ms", _ADD, _SLOT, 0, 0, 60000, "ms",
         "Time that a failing request takes; a short one draws traffic by least load."),
        ("variant_err_prob", _ADD, _VAR, 0, 0, 1, "1",
         "Probability that a variant fails a request."),
        ("nan_prob", _ADD, _SLOT, 0, 0, 1, "1",
         "Probability of an invalid answer that is reported as a success."),
        ("schema_err_prob", _ADD, _VAR, 0, 0, 1, "1",
         "Probability that a request fails on a malformed input artefact."),
        ("alternating_period_s", _ADD, _DEP, 0, 0, 3600, "s",
         "The input artefact is good and bad in turn with this period; 0 = always bad."),
        ("oom_err_when_batch_gt_free", _ADD, _SLOT, 0, 0, 1, "1",
         "Share of the batches beyond the free device memory that fail."),
    ),
    "mem": (
        ("mem_leak_per_req_kb", _ADD, _SLOT, 0, 0, 100000, "KB",
         "Host memory lost per request served."),
        ("gmem_leak_per_req_mb", _ADD, _SLOT, 0, 0, 1000, "MB",
         "Device memory lost per request served."),
        ("mem_limit_gib", _LIM, _SLOT, inf, 0.01, 4096, "GiB",
         "Host memory at which the process is killed."),
        ("mem_per_queued_mb", _ADD, _DEP, 0, 0, 1000, "MB",
         "Host memory taken by a request in the queue."),
        ("kv_capacity_mult", _MUL, _SLOT, 1, 0.01, 10, "x",
         "Jobs whose state fits the device memory, against the usual."),
    ),
    "client": (
        ("client_retry", _ADD, _DEP, 0, 0, 4, "attempts",
         "Attempts that users add after the first; four in all at most."),
        ("server_cancels_timed_out", _SET, _DEP, nan, 0, 1, "1",
         "Share of given-up attempts whose work the server drops."),
        ("lb_sticky", _SET, _DEP, nan, 0, 1, "1",
         "Share of users that stay where they are when weights change."),
    ),
    "limits": (
        ("frontend_capacity_rps", _LIM, _DEP, inf, 0.01, 1000000, "1/s",
         "Requests that the front end of one replica passes on."),
        ("conn_limit", _LIM, _DEP, inf, 1, 1000000, "requests",
         "Requests in flight through the proxy; more are refused at once."),
        ("dep_capacity_rps", _LIM, _VAR, inf, 0.01, 1000000, "1/s",
         "Requests that a dependency serves, for all replicas together."),
        ("dep_latency_s", _ADD, _VAR, 0, 0, 600, "s",
         "Time that waiting for a dependency adds, the slot being held."),
        ("dep_err_prob", _ADD, _VAR, 0, 0, 1, "1",
         "Probability that a call to a dependency fails."),
        ("net_delay_s", _ADD, _SLOT, 0, 0, 60, "s",
         "Round trip added to what a replica is sent."),
        ("net_loss", _ADD, _SLOT, 0, 0, 1, "1",
         "Share of what a replica is sent that is lost."),
    ),
    "provision": (
        ("provision_delay_s", _SET, _DEP, nan, 0, 14400, "s",
         "Median time until a machine is there."),
        ("load_time_s", _SET, _DEP, nan, 0, 14400, "s",
         "Median time to load the model."),
        ("probe_deadline_s", _LIM, _DEP, inf, 1, 14400, "s",
         "A load that takes longer is killed and begun again."),
        ("cap_replicas", _LIM, _DEP, inf, 0, 32, "replicas",
         "Replicas that the quota allows, pending ones included."),
        ("spot_unavailable_s", _ADD, _DEP, 0, 0, 14400, "s",
         "Time after the onset for which no machine can be had."),
        ("cost_mult", _MUL, _VAR, 1, 0.01, 100, "x",
         "Price of a replica."),
        ("config_floor", _SET, _VAR, 0, 0, 32, "replicas",
         "Replicas below which a configuration does not let the variant go."),
    ),
    "config": (
        ("bmax_override", _SET, _VAR, nan, 1, 1024, "requests",
         "Largest batch, as somebody set it; the next write replaces it."),
        ("max_queue_delay_ms", _SET, _VAR, nan, 0, 60000, "ms",
         "Longest wait for a batch to fill, as somebody set it."),
        ("config_revert", _LIM, _DEP, inf, 1, 3600, "s",
         "Another controller writes its own replicas and weights back after this time."),
        ("external_hpa_gain", _ADD, _DEP, 0, 0, 10, "1",
         "Another autoscaler sets replicas with this gain from the load reported."),
    ),
    "actuator": (
        ("actuator_fail", _ADD, _DEP, 0, 0, 1, "1",
         "Probability that a write is lost; no slot in the mask = of rollbacks only."),
        ("status_lies", _ADD, _DEP, 0, 0, 1, "1",
         "Probability that a failed change or replica is reported as well."),
        ("modelB_health", _ADD, _VAR, 1, 0, 1, "1",
         "Share of B's replicas, and of rollback targets, that come up healthy."),
        ("modelB_capacity", _MUL, _VAR, 1, 0.01, 10, "x",
         "Speed of B against what the whole load takes."),
        ("base_rho", _SET, _DEP, nan, 0.01, 3, "1",
         "Utilisation by organic load; drawn: an `arrival_mult`."),
    ),
    "quality": (
        ("feature_shift_sd", _ADD, _DEP, 0, -20, 20, "sd",
         "Shift of the affected inputs in standard deviations."),
        ("affected_features_frac", _SET, _DEP, 1, 0, 1, "1",
         "Share of the inputs that are affected."),
        ("feature_shift_periodic", _ADD, _DEP, 0, -20, 20, "sd",
         "Seasonal shift of inputs that the model knows; quality stays."),
        ("concept_rotation", _ADD, _DEP, 0, 0, 2, "90 deg",
         "Turn of what is to be learned; 1 = unrelated to before."),
        ("label_prior_shift", _ADD, _DEP, 0, -1, 1, "1",
         "Change of the base rate of the positive class."),
        ("feature_scale", _MUL, _VAR, 1, 1e-06, 1000000.0, "x",
         "Unit of one important input against the one trained on."),
        ("feature_null_rate", _ADD, _VAR, 0, 0, 1, "1",
         "Share of look-ups of one important input that come back empty."),
        ("feature_age_growth", _ADD, _VAR, 0, 0, 1, "s/s",
         "How fast inputs grow old; 1 = frozen."),
        ("staleness_halflife_s", _SET, _DEP, 3600, 1, 1000000.0, "s",
         "Age at which half of what the inputs say is lost."),
        ("pred_shift", _ADD, _VAR, 0, -10, 10, "logit",
         "Shift of predictions without any use to anybody."),
        ("score_temperature", _MUL, _VAR, 1, 0.05, 20, "x",
         "Flattening of scores; the order stays."),
        ("score_bias", _ADD, _VAR, 0, -10, 10, "logit",
         "Shift of scores; the order stays."),
        ("variant_accuracy_delta", _ADD, _VAR, 0, -1, 1, "1",
         "Change of a variant's accuracy."),
        ("modelB_accuracy_delta", _ADD, _VAR, 0, -1, 1, "1",
         "Change of B's accuracy."),
        ("pool_accuracy_delta", _ADD, _SLOT, 0, -1, 1, "1",
         "Change of accuracy on the replicas of one hardware pool."),
        ("slice_accuracy_delta", _ADD, _VAR, 0, -1, 1, "1",
         "Change of accuracy for the singled-out slice of users."),
        ("slice_share", _SET, _DEP, nan, 0, 1, "1",
         "Share of users in that slice."),
        ("amplify_on_lb_change", _MUL, _DEP, 1, 1, 100, "x",
         "Share of the slice that is hit, once traffic weights have been changed."),
        ("feedback_gain", _ADD, _VAR, 0, 0, 10, "1/h",
         "Loss of accuracy that grows on itself because answers come back as labels."),
        ("label_delay_s", _ADD, _DEP, 0, 0, 86400, "s",
         "Time that labels take beyond the usual."),
    ),
    "telemetry": (
        ("metric_drop", _ADD, _SIG, 0, 0, 1, "1",
         "Probability that a scrape loses all series that are hit, together."),
        ("missing_as_zero", _ADD, _SIG, 0, 0, 1, "1",
         "Probability that a lost scrape is reported as zero."),
        ("metric_delay_s", _ADD, _SIG, 0, 0, 705, "s",
         "Age of what is reported."),
        ("metric_freeze", _ADD, _SIG, 0, 0, 1, "1",
         "Probability that the value of the onset is repeated; the time stamp is new."),
        ("metric_scale", _MUL, _SIG, 1, 1e-06, 1000000.0, "x",
         "What is reported against the truth."),
        ("metric_bias", _ADD, _SIG, 0, -1000000.0, 1000000.0, "signal",
         "Added to what is reported, in the signal's unit."),
        ("metric_reset", _ADD, _SIG, 0, 0, 240, "1/h",
         "Resets of the counters behind a signal; each shows as one absurd rate."),
        ("metric_cumulative", _ADD, _SIG, 0, 0, 1, "1",
         "1 = the sum since the onset is reported in place of the rate."),
        ("scrape_fail_when_rho_gt", _LIM, _SIG, inf, 0, 10, "1",
         "Utilisation above which nothing is reported."),
    ),
}
# fmt: on

_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "swap_time_s": ("adapter_working_set",),
    "adapter_working_set": ("swap_time_s",),
    "cache_warm_s": ("cache_hit",),
    "heavy_cost_mult": ("heavy_fraction",),
    "kv_capacity_mult": ("recompute_waste",),
    "feedback_gain": (
        "variant_accuracy_delta", "feature_shift_sd", "concept_rotation", "feature_null_rate",
    ),
    "recompute_waste": ("kv_capacity_mult", "size_mult_prefill", "size_mult_decode"),
    "post_limit_service_mult": ("shared_limit_replicas",),
    "shared_limit_replicas": ("post_limit_service_mult",),
    "group_size": ("group_hang",),
    "n_pools": ("pool_loss", "pool_speed_mult", "pool_accuracy_delta"),
    "endpoint_stale_s": (
        "replica_kill", "pool_loss", "replica_crash_on_poison", "mem_leak_per_req_kb",
        "mem_limit_gib", "disk_fill_rate",
    ),
    "replica_crash_on_poison": ("poison_rate",),
    "poison_rate": ("replica_crash_on_poison",),
    "retry_to_next_replica": ("replica_crash_on_poison",),
    "evict_at": ("disk_fill_rate", "download_adds_disk"),
    "replica_fail_fast_ms": ("replica_err_prob",),
    "alternating_period_s": ("schema_err_prob",),
    "oom_err_when_batch_gt_free": ("gmem_leak_per_req_mb",),
    "gmem_leak_per_req_mb": ("oom_err_when_batch_gt_free",),
    "affected_features_frac": ("feature_shift_sd",),
    "staleness_halflife_s": ("feature_age_growth",),
    "amplify_on_lb_change": ("slice_accuracy_delta",),
    "slice_share": ("slice_accuracy_delta",),
    "missing_as_zero": ("metric_drop", "scrape_fail_when_rho_gt"),
}  # fmt: skip


def _primitive(channel: str, row: _Row) -> Primitive:
    name, combine, level, neutral, low, high, unit, meaning = row
    return Primitive(
        name=name,
        channel=channel,
        neutral=neutral,
        combine=combine,
        level=level,
        low=low,
        high=high,
        unit=unit,
        meaning=meaning,
        needs=_NEEDS.get(name, ()),
    )


PRIMITIVES: Final[tuple[Primitive, ...]] = tuple(
    _primitive(channel, row) for channel, rows in _ROWS.items() for row in rows
)
INDEX: Final[Mapping[str, int]] = MappingProxyType({
    primitive.name: index for index, primitive in enumerate(PRIMITIVES)
})
