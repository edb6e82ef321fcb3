"""From `spec.target` to the settings of the actuators that reach it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from homeostat.base.units import SECOND
from homeostat.server.config import reached_kubernetes
from homeostat.server.config.targets import (
    ENVOY,
    HAPROXY,
    PROCESS,
    RAY,
    TRITON,
    WEBHOOK,
    TargetSpec,
)
from homeostat.server.plan import PartPlan

_ROUND: Final = 0.8  # of an interval: what a round may take, so that it ends before the next tick


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessHost:
    """Settings of the process actuator."""

    name: str
    url: str
    read_timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Envoy:
    """Settings of the Envoy actuator."""

    name: str
    url: str
    weights: tuple[tuple[str, str], ...]
    limited_clusters: tuple[str, ...]
    read_timeout_s: float


def seconds(timeout: int | None, interval: int) -> float:
    """Return how long a round may take, in seconds: as written, or what the interval leaves."""
    return (timeout if timeout is not None else round(_ROUND * interval)) / SECOND


def process(target: TargetSpec, interval: int) -> ProcessHost | None:
    """Return the settings of the process host, None if the target has none."""
    if (said := target.process) is None:
        return None
    timeout_s = seconds(said.timeout, interval)
    return ProcessHost(name=PROCESS, url=said.host, read_timeout_s=timeout_s)


def envoy(target: TargetSpec, interval: int) -> Envoy | None:
    """Return the settings of Envoy, None if the target has none."""
    said, pools = target.envoy, target.pools
    if said is None:
        return None
    weights = dict(said.weights)
    if not weights and pools.fallback is not None:
        weights = {pools.fallback: f"traffic.{pools.fallback}"}
    named = tuple(pool for pool in (pools.stable, pools.fallback) if pool is not None)
    return Envoy(
        name=ENVOY,
        url=said.admin,
        weights=tuple(sorted(weights.items())),
        limited_clusters=named if said.limited_clusters is None else said.limited_clusters,
        read_timeout_s=seconds(said.timeout, interval),
    )


def elsewhere(target: TargetSpec, interval: int, base: Path) -> tuple[PartPlan, ...]:
    """Return the actuators of other platforms.

    Args:
        target: As written.
        interval: The deployment's tick, in nanoseconds.
        base: Folder that relative paths start from.
    """
    found = (one(target, interval, base) for one in (_haproxy, _webhook, _ray, _triton))
    return (
        *reached_kubernetes.plans(target, round(_ROUND * interval), base),
        *(one for one in found if one is not None),
    )


def _haproxy(target: TargetSpec, interval: int, base: Path) -> PartPlan | None:
    said = target.haproxy
    if said is None:
        return None
    is_path = "/" in said.socket
    settings = {
        "name": HAPROXY,
        "socket": str(base / said.socket) if is_path else said.socket,
        "backend": said.backend,
        "pools": {pool: tuple(servers) for pool, servers in said.servers.items()},
        "stable": target.pools.stable,
        # Where somebody else owns the replicas, that one takes them out of rotation.
        "drains": target.scale == HAPROXY,
        "read_timeout_s": seconds(said.timeout, interval),
    }
    return PartPlan(part=HAPROXY, settings=settings)


def _webhook(target: TargetSpec, interval: int, base: Path) -> PartPlan | None:
    said = target.webhook
    if said is None:
        return None
    settings = {
        "name": WEBHOOK,
        "url": said.url,
        "state": said.state,
        "secret_file": base / said.secret_file,
        "levers": {
            lever: {"low": one.min, "high": one.max, "step": one.step}
            for lever, one in said.levers.items()
        },
        "allow": said.allow,
        "read_timeout_s": seconds(said.timeout, interval),
    }
    return PartPlan(part=WEBHOOK, settings=settings)


def _ray(target: TargetSpec, interval: int, base: Path) -> PartPlan | None:
    said = target.ray
    if said is None:
        return None
    settings = {
        "name": RAY,
        "url": said.dashboard,
        "application": said.application,
        "deployment": said.deployment,
        "pool": target.pools.stable,
        "batch_max": said.user_config.batch_max,
        "batch_wait_ms": said.user_config.batch_wait_ms,
        "token_file": None if said.token_file is None else base / said.token_file,
        "ca_file": None if said.ca_file is None else base / said.ca_file,
        "read_timeout_s": seconds(said.timeout, interval),
    }
    return PartPlan(part=RAY, settings=settings)


def _triton(target: TargetSpec, interval: int, base: Path) -> PartPlan | None:
    said = target.triton
    if said is None:
        return None
    settings = {
        "name": TRITON,
        "servers": dict(said.servers),
        "model": said.model,
        "pool": target.pools.stable,
        "metrics_port": said.metrics_port,
        "key_header": said.key_header or "",
        "key_file": None if said.key_file is None else base / said.key_file,
        "read_timeout_s": seconds(said.timeout, interval),
    }
    return PartPlan(part=TRITON, settings=settings)
