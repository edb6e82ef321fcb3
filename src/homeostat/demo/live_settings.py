"""The local deployment in a scenario's own words: the numbers that the twin is given.

Taken from the settings that the processes are started with, so that neither can drift from the
other; what no setting says was measured once and names where. Also its configuration and policy,
as the shipped controller reads them.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from homeostat.base.policy import Managed
from homeostat.demo import load_client, load_labels, place, setup
from homeostat.demo.batcher import BATCH_LIMIT
from homeostat.demo.host_settings import HostSettings
from homeostat.server.config import loader

STABLE: Final = "a"
# Measured on two cores (docs/explanation/local-deployment.md): a warm spare was in rotation after
# 40 ms, the next one ready after 0.4 s. A write takes effect with the host's next pass.
SPARE_TAKES_S: Final = 0.04
SPARE_STARTS_S: Final = 0.4
WRITE_S: Final = 0.05
# What the host counts of a server that serves: 44 % of its limit after it had leaked 90 MB. Less
# than `place.MEMORY_LIMIT` says, because libraries are shared with the process it is forked from.
FRESH_BYTES: Final = 98 << 20
# Proxy, HTTP and the prediction itself, beside the device's time.
PASSAGE_S: Final = 0.004
# Right answers of v2 and v1 on the data they were trained on (see `artefact`).
ACCURACY: Final = 0.97
OLDER_ACCURACY: Final = 0.94
# Where a p95 objective lies on the twin's scale of a promised p99 (see `lab.controller_parts`).
_P95_OF_P99: Final = 0.65
_ROOMY: Final = 100.0  # a ratio that never binds
_GIB: Final = 1 << 30


def host_settings() -> HostSettings:
    """Return the process host's settings, as far as they do not depend on the place."""
    return HostSettings(
        port=1,
        folder=Path(),
        artefacts=Path(),
        pools=place.POOLS,
        memory_limit_bytes=place.MEMORY_LIMIT,
    )


def shares() -> tuple[float, float, float]:
    """Return the traffic's shares at the start: stable pool, fallback pool, canary."""
    fallback = place.FALLBACK[1] / 100.0
    return 1.0 - fallback, fallback, 0.0


def rate_of_one() -> float:
    """Return the requests per second that one replica of the stable pool gets."""
    return place.BASE_RATE * shares()[0] / _replicas(STABLE)


def numbers() -> Mapping[str, float]:
    """Return the deployment by the names of `lab.deployments.DEFAULTS`, times in seconds."""
    host = host_settings()
    return _service(host) | _users(host) | _platform(host) | _answers() | _promises(host)


def managed() -> Managed:
    """Return what the controller is configured with: the demo's own files, read as it does."""
    with tempfile.TemporaryDirectory(prefix="homeostat-") as folder:
        somewhere = place.Place(folder=Path(folder), host_port=1, admin_port=2, relay_port=3)
        files = setup.controller(somewhere, 4, "token" * 8, evidence_rules=True).files
        (entry,) = loader.load(files).deployments
    return entry.managed


def _replicas(pool: str) -> int:
    return next(one.replicas for one in place.POOLS if one.name == pool)


def _capacity_rps(host: HostSettings) -> float:
    return host.batch_max / (host.tau0_ms + host.alpha_ms * host.batch_max) * 1000.0


def _service(host: HostSettings) -> dict[str, float]:
    held = min(host.queue_max + host.batch_max, host.concurrency_max)
    full_s = load_client.ATTEMPT_S * _capacity_rps(host)  # served in the time that a user waits
    return {
        "replicas": _replicas(STABLE),
        "b_share": 0.01,  # any that is not none is one replica, and there is one
        "base_rho": place.BASE_RATE / (_replicas(STABLE) * _capacity_rps(host)),
        "headroom": _ROOMY,
        "ou_sd": 0.0,  # Poisson arrivals at a rate that stays
        "ou_tau_s": 30.0,
        "ca2": 1.0,
        "heavy_share": 0.0,
        "tau0_s": host.tau0_ms / 1000.0,
        "alpha_ratio": host.alpha_ms / host.tau0_ms,
        "cv2": 0.0,  # device time is slept
        "batch_max": host.batch_max,
        "b_service_ratio": 1.0,
        "batch_limit": BATCH_LIMIT,
        "queue_delay_s": host.batch_wait_ms / 1000.0,
        "queue_ratio": held / full_s,
        "kv_headroom": 1000.0,
    }


def _users(host: HostSettings) -> dict[str, float]:
    return {
        "timeout_s": load_client.ATTEMPT_S,
        "retries": load_client.RETRIES,
        "backoff_s": load_client.PAUSE_MEAN_S,
        "cancel": 0.0,  # a request whose user has gone still takes its place in a batch
        "sticky": 0.0,
        "least_loaded": 0.0,  # round robin: blind to load
        "in_turn": 1.0,
        "network_s": PASSAGE_S,
        "drain_s": host.drain_timeout_s,
    }


def _platform(host: HostSettings) -> dict[str, float]:
    everything = sum(pool.replicas for pool in place.POOLS)
    most = next(one.high for one in managed().guard.limits if one.lever == "replicas.")
    return {
        "provision_s": SPARE_STARTS_S,
        "load_s": SPARE_TAKES_S,
        "probe_deadline_s": host.start_timeout_s,
        "warm_s": 0.0,
        "cold_speed": 1.0,
        "cap_ratio": host.replicas_max / everything,
        "hard_cap_ratio": (most + everything - _replicas(STABLE)) / everything,
        "spares": host.spares,
        "memory_gib": host.memory_limit_bytes / _GIB,
        "memory_share": FRESH_BYTES / host.memory_limit_bytes,
        "memory_per_job_mb": 0.0,
        "write_s": WRITE_S,
        "write_fail": 0.0,
    }


def _answers() -> dict[str, float]:
    return {
        "accuracy": ACCURACY,
        "b_accuracy_delta": OLDER_ACCURACY - ACCURACY,
        "label_delay_s": load_labels.DELAY_MEAN_S,
        "label_share": load_labels.COVERAGE,
        "quality_margin": ACCURACY - (setup.OBJECTIVE.accuracy or 0.0),
    }


def _promises(host: HostSettings) -> dict[str, float]:
    alone_s = (host.tau0_ms + host.alpha_ms + host.batch_wait_ms) / 1000.0 + PASSAGE_S
    p99_s = setup.OBJECTIVE.latency_p95_ms / 1000.0 / _P95_OF_P99
    return {
        "usd_per_hour": managed().replica_usd_per_hour,
        "b_price_ratio": 1.0,
        "budget_ratio": _ROOMY,  # the policy names no budget
        "p99_ratio": p99_s / alone_s,
        "availability": 1.0 - setup.OBJECTIVE.error_ratio,
    }
