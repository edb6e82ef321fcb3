"""What a paged person can do about each fault primitive: end it, live with it, or teach a model.

A person repairs what is broken and asks others to: machines, releases, settings, data that somebody
delivers wrongly, telemetry. Nobody who is woken sends users away, turns the world back to the day
that a model was trained on, or makes machines load faster. Where the world has moved, what a person
can do is the catalogue's right action there: train the model anew through the gate (`retraining`);
where users are too many, it is more replicas and shed load (`lab.baselines`).

One row per primitive, with its reason. It holds for every policy that pages, and for the oracle.
Source: the actions that the catalogue calls right (`best`), and its notes on what does not return.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.twin.primitives import PRIMITIVES


class Person(StrEnum):
    """What a person's repair does to a fault that has begun."""

    ENDS = "ends"  # its cause is removed
    STAYS = "stays"  # it goes on for as long as it would have
    TEACHES = "teaches"  # it goes on, and the model is trained on what labels say by then


_ENDS, _STAYS, _TEACHES = Person.ENDS, Person.STAYS, Person.TEACHES

# fmt: off
PEOPLE: Final[Mapping[str, tuple[Person, str]]] = MappingProxyType({
    "arrival_mult": (_STAYS, "Users come as they like."),
    "arrival_trace": (_STAYS, "Days and nights come by themselves."),
    "backlog_release": (_STAYS, "What users waited to send has been sent."),
    "benign_blip": (_STAYS, "Nothing is wrong, so there is nothing to repair."),
    "size_mult_prefill": (_STAYS, "Users decide what they send."),
    "size_mult_decode": (_STAYS, "Users decide what they ask for."),
    "heavy_fraction": (_STAYS, "Users decide what they ask for."),
    "heavy_cost_mult": (_STAYS, "Users decide what they ask for."),
    "output_len_mult": (_ENDS, "A model that talks too long is taken back."),
    "adapter_working_set": (_STAYS, "Users decide which adapters they need."),
    "swap_time_s": (_ENDS, "The store that adapters come from is ours."),
    "cache_hit": (_STAYS, "A cache fills by being used."),
    "cache_warm_s": (_STAYS, "A cache fills by being used."),
    "contention": (_ENDS, "The neighbour is moved away."),
    "service_cv2_mult": (_ENDS, "The neighbour is moved away."),
    "replica_speed_mult": (_ENDS, "The machine is replaced."),
    "variant_service_mult": (_ENDS, "The release is taken back."),
    "pool_speed_mult": (_ENDS, "The machines are replaced."),
    "cold_speed_mult": (_STAYS, "Warming up takes what it takes."),
    "recompute_waste": (_ENDS, "How the engine preempts is a setting."),
    "post_limit_service_mult": (_ENDS, "Replicas are spread over more nodes."),
    "shared_limit_replicas": (_ENDS, "Replicas are spread over more nodes."),
    "replica_kill": (_ENDS, "Another machine takes the place of the one that is gone."),
    "replica_hang": (_ENDS, "The process is ended and begun again."),
    "group_hang": (_ENDS, "The processes are ended and begun again."),
    "group_size": (_ENDS, "How replicas are grouped is a setting."),
    "pool_loss": (_ENDS, "Other machines take the place of those that are gone."),
    "n_pools": (_ENDS, "How replicas are spread is a setting."),
    "endpoint_stale_s": (_ENDS, "The balancer's list is put right."),
    "discovery_decay_s": (_ENDS, "The balancer's list is put right."),
    "replica_crash_on_poison": (_ENDS, "The defect is mended, or such requests are filtered."),
    "poison_rate": (_STAYS, "Users decide what they send; what it does can be mended."),
    "retry_to_next_replica": (_ENDS, "What the gateway tries again is a setting."),
    "evict_at": (_ENDS, "When the platform evicts is a setting."),
    "disk_fill_rate": (_ENDS, "What fills the disk is stopped."),
    "download_adds_disk": (_ENDS, "Old downloads are cleared away."),
    "replica_err_prob": (_ENDS, "The machine is replaced."),
    "replica_fail_fast_ms": (_ENDS, "The machine is replaced."),
    "variant_err_prob": (_ENDS, "The release is taken back."),
    "nan_prob": (_ENDS, "The release is taken back, or the machine replaced."),
    "schema_err_prob": (_ENDS, "The input artefact is taken back."),
    "alternating_period_s": (_ENDS, "The input artefact is taken back."),
    "oom_err_when_batch_gt_free": (_ENDS, "The process that holds the memory is replaced."),
    "mem_leak_per_req_kb": (_ENDS, "The release is taken back."),
    "gmem_leak_per_req_mb": (_ENDS, "The process that holds the memory is replaced."),
    "mem_limit_gib": (_ENDS, "The limit is a setting."),
    "mem_per_queued_mb": (_ENDS, "How requests are held is a setting."),
    "kv_capacity_mult": (_ENDS, "How much memory the engine may use is a setting."),
    "client_retry": (_STAYS, "Clients belong to users."),
    "server_cancels_timed_out": (_ENDS, "What the server drops is a setting."),
    "lb_sticky": (_ENDS, "How the balancer divides is a setting."),
    "frontend_capacity_rps": (_ENDS, "The front end is given more threads."),
    "conn_limit": (_ENDS, "The limit is raised."),
    "dep_capacity_rps": (_ENDS, "Its owner is told and repairs it."),
    "dep_latency_s": (_ENDS, "Its owner is told and repairs it."),
    "dep_err_prob": (_ENDS, "Its owner is told and repairs it."),
    "net_delay_s": (_ENDS, "The network's owner is told and repairs it."),
    "net_loss": (_ENDS, "The network's owner is told and repairs it."),
    "provision_delay_s": (_STAYS, "A provider's machine comes when it comes."),
    "load_time_s": (_STAYS, "A model takes as long to load as it is large."),
    "probe_deadline_s": (_ENDS, "The deadline is a setting."),
    "cap_replicas": (_ENDS, "The provider is asked for a larger quota."),
    "spot_unavailable_s": (_STAYS, "What the market has not got nobody can rent."),
    "cost_mult": (_STAYS, "The provider makes the price."),
    "config_floor": (_ENDS, "The configuration is put right."),
    "bmax_override": (_ENDS, "What somebody set is set right."),
    "max_queue_delay_ms": (_ENDS, "What somebody set is set right."),
    "config_revert": (_ENDS, "The other controller is told whose it is."),
    "external_hpa_gain": (_ENDS, "The other autoscaler is switched off."),
    "actuator_fail": (_ENDS, "The platform's interface is repaired."),
    "status_lies": (_ENDS, "The platform's interface is repaired."),
    "modelB_health": (_ENDS, "B is built anew."),
    "modelB_capacity": (_STAYS, "How large B is was somebody's decision, not a fault."),
    "base_rho": (_STAYS, "Users come as they like."),
    "feature_shift_sd": (_TEACHES, "The world stays as it is."),
    "affected_features_frac": (_STAYS, "It says how much of the world has moved."),
    "feature_shift_periodic": (_STAYS, "Seasons come by themselves, and the model knows them."),
    "concept_rotation": (_TEACHES, "The world stays as it is."),
    "label_prior_shift": (_TEACHES, "The world stays as it is."),
    "feature_scale": (_ENDS, "Whoever delivers the input is told and puts its unit right."),
    "feature_null_rate": (_ENDS, "Whoever delivers the input is told and repairs it."),
    "feature_age_growth": (_ENDS, "Whoever delivers the input is told and repairs it."),
    "staleness_halflife_s": (_STAYS, "How fast the world moves on is the world's."),
    "pred_shift": (_ENDS, "The input artefact is taken back."),
    "score_temperature": (_ENDS, "The release is taken back."),
    "score_bias": (_ENDS, "The release is taken back."),
    "variant_accuracy_delta": (_ENDS, "The release is taken back."),
    "modelB_accuracy_delta": (_ENDS, "B is replaced by a model that is as good as it was."),
    "pool_accuracy_delta": (_ENDS, "The machines are replaced."),
    "slice_accuracy_delta": (_ENDS, "The release is taken back."),
    "slice_share": (_STAYS, "Users are who they are."),
    "amplify_on_lb_change": (_ENDS, "The release is taken back."),
    "feedback_gain": (_ENDS, "Own answers are kept out of the labels."),
    "label_delay_s": (_ENDS, "The pipeline of labels is repaired."),
    "metric_drop": (_ENDS, "Telemetry is repaired."),
    "missing_as_zero": (_ENDS, "Telemetry is repaired."),
    "metric_delay_s": (_ENDS, "Telemetry is repaired."),
    "metric_freeze": (_ENDS, "Telemetry is repaired."),
    "metric_scale": (_ENDS, "Telemetry is repaired."),
    "metric_bias": (_ENDS, "Telemetry is repaired."),
    "metric_reset": (_ENDS, "Telemetry is repaired."),
    "metric_cumulative": (_ENDS, "Telemetry is repaired."),
    "scrape_fail_when_rho_gt": (_ENDS, "Telemetry is repaired."),
})
# fmt: on


def _which(answer: Person) -> npt.NDArray[np.bool_]:
    return np.array([PEOPLE[primitive.name][0] is answer for primitive in PRIMITIVES])


ENDED: Final = _which(Person.ENDS)
"""Which primitives a person ends, by their index [P], bool."""
TAUGHT: Final = _which(Person.TEACHES)
"""Against which a person trains the model anew, by their index [P], bool."""
