"""Primitives that can be how a deployment is, not what happens to it.

A fault with `ambient: true` sets the deployment's number from the start and is no fault instance:
users who retry are not what breaks, they are whom it breaks for. So an episode's onset, and what
counts as faulty, is about faults alone.
"""

from collections.abc import Mapping
from typing import Final

# Primitive -> the deployment's setting that its magnitude is.
AMBIENT: Final[Mapping[str, str]] = {
    "heavy_fraction": "heavy_share",
    "heavy_cost_mult": "heavy_cost",
    "cold_speed_mult": "cold_speed",
    "recompute_waste": "recompute_waste",
    "mem_limit_gib": "memory_gib",
    "mem_per_queued_mb": "memory_per_job_mb",
    "client_retry": "retries",
    "server_cancels_timed_out": "cancel",
    "lb_sticky": "sticky",
    "provision_delay_s": "provision_s",
    "load_time_s": "load_s",
    "probe_deadline_s": "probe_deadline_s",
    "bmax_override": "batch_max",
    "actuator_fail": "write_fail",
    "modelB_capacity": "b_share",
    "base_rho": "base_rho",
    "affected_features_frac": "affected_features",
    "modelB_accuracy_delta": "b_accuracy_delta",
    "slice_share": "slice_share",
    "label_delay_s": "label_delay_s",
}
