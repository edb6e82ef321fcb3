"""Writes scenario files by itself: one for each primitive, with what it needs beside it."""

from typing import Final

from homeostat.lab import compose
from homeostat.twin.primitives import INDEX, PRIMITIVES, Primitive

# What shows within ten minutes, where a composition's usual range would not, or has none.
_STRONG: Final = {
    "benign_blip": 0.5, "heavy_fraction": 0.5, "heavy_cost_mult": 3.0, "cache_hit": 0.2,
    "cold_speed_mult": 0.3, "evict_at": 0.2, "disk_fill_rate": 20.0, "download_adds_disk": 1.0,
    "poison_rate": 0.2, "retry_to_next_replica": 1.0, "mem_leak_per_req_kb": 300.0,
    "gmem_leak_per_req_mb": 2.0, "mem_limit_gib": 0.5, "mem_per_queued_mb": 500.0,
    "client_retry": 3.0, "server_cancels_timed_out": 0.0, "lb_sticky": 0.9,
    "load_time_s": 400.0, "probe_deadline_s": 5.0, "cap_replicas": 1.0,
    "spot_unavailable_s": 300.0, "config_floor": 8.0, "actuator_fail": 1.0, "status_lies": 1.0,
    "modelB_health": 0.0, "base_rho": 0.9, "slice_share": 0.5, "label_delay_s": 600.0,
    "affected_features_frac": 0.1, "feedback_gain": 10.0, "feature_scale": 100.0,
    "missing_as_zero": 1.0, "scrape_fail_when_rho_gt": 0.1, "conn_limit": 1.0,
    "frontend_capacity_rps": 20.0, "dep_capacity_rps": 20.0, "shared_limit_replicas": 1.0,
    "discovery_decay_s": 120.0, "recompute_waste": 0.6, "kv_capacity_mult": 0.02,
    "post_limit_service_mult": 3.0, "amplify_on_lb_change": 20.0, "bmax_override": 1.0,
    "metric_reset": 120.0, "metric_scale": 100.0, "config_revert": 15.0, "replica_hang": 1.0,
}  # fmt: skip
# Users give up, or try again, where something fails; a platform lies about what went wrong.
_SHOWN_BY: Final = {
    "client_retry": "variant_err_prob",
    "server_cancels_timed_out": "contention",
    "status_lies": "actuator_fail",
}


def magnitude(name: str) -> float:
    """A magnitude that shows."""
    if name in _STRONG:
        return _STRONG[name]
    low, high = compose._MODERATE[name]  # what a deployment survives
    return high if abs(high) >= abs(low) else low


def family(primitive: Primitive) -> tuple[str, ...]:
    """A primitive and as many others as it takes for it to do something."""
    found = [primitive.name]
    if primitive.name in _SHOWN_BY:
        found.append(_SHOWN_BY[primitive.name])
    for name in found:
        needs = PRIMITIVES[INDEX[name]].needs
        if needs and not set(needs) & set(found):
            found.append(needs[0])
    return tuple(found)


def text(primitive: Primitive, *, length_s: int = 600) -> str:
    """A whole scenario file."""
    faults = "\n".join(
        f"  - {{primitive: {name}, magnitude: {magnitude(name)!r}}}" for name in family(primitive)
    )
    return f"""\
id: P_{primitive.name}
name: only_{primitive.name}
family: infrastructure
summary: {primitive.meaning!r}
length_s: {length_s}
deployment: {{label_delay_s: 30, memory_gib: 2, retries: 2}}
onset: {{shape: step, start_s: 120, duration_s: until_fixed}}
faults:
{faults}
"""
