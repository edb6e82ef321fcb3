"""From `spec.target` to the settings of the actuators that reach Kubernetes' API server."""

from pathlib import Path
from typing import Any

from homeostat.base.units import SECOND
from homeostat.server.config.targets import (
    HTTP_ROUTE,
    KSERVE,
    KUBERNETES,
    LLM,
    ROLLOUT,
    TargetSpec,
)
from homeostat.server.config.targets_kubernetes import ApiTarget
from homeostat.server.plan import PartPlan


def plans(target: TargetSpec, left_ns: int, base: Path) -> tuple[PartPlan, ...]:
    """Return the actuators that the API server is reached for.

    Args:
        target: As written.
        left_ns: How long a reading may take where nothing is said.
        base: Folder that relative paths start from.
    """
    makers = (_kubernetes, _http_route, _rollout, _kserve, _llm)
    found = (make(target) for make in makers)
    return tuple(
        PartPlan(part=part, settings={"name": part, **_reached(said, left_ns, base), **settings})
        for part, said, settings in (one for one in found if one is not None)
    )


_Found = tuple[str, ApiTarget, dict[str, Any]] | None


def _reached(said: ApiTarget, left_ns: int, base: Path) -> dict[str, Any]:
    return {
        "url": said.api,
        "namespace": said.namespace,
        "token_file": None if said.token_file is None else base / said.token_file,
        "ca_file": None if said.ca_file is None else base / said.ca_file,
        "read_timeout_s": (left_ns if said.timeout is None else said.timeout) / SECOND,
    }


def _kubernetes(target: TargetSpec) -> _Found:
    said = target.kubernetes
    if said is None:
        return None
    scale, scaler = "Deployment", said.deployment
    if said.autoscaler is not None:
        scale, scaler = "HorizontalPodAutoscaler", said.autoscaler
    if said.scaled_object is not None:
        scale, scaler = "ScaledObject", said.scaled_object
    settings = {
        "deployment": said.deployment,
        "scale": scale,
        "scaler": scaler,
        "ceiling": said.ceiling,
        "pool": target.pools.stable,
        "port": said.port,
        "evict": said.evict,
    }
    return KUBERNETES, said, settings


def _http_route(target: TargetSpec) -> _Found:
    said = target.http_route
    if said is None:
        return None
    settings = {
        "route": said.route,
        "backends": dict(said.backends),
        "stable": target.pools.stable,
        "rule": said.rule,
    }
    return HTTP_ROUTE, said, settings


def _rollout(target: TargetSpec) -> _Found:
    said, pools = target.rollout, target.pools
    if said is None:
        return None
    settings = {
        "rollout": said.rollout,
        "stable": pools.stable,
        "canary": pools.fallback,
        "port": said.port,
        "evict": said.evict,
        "pause": said.pause,
    }
    return ROLLOUT, said, settings


def _kserve(target: TargetSpec) -> _Found:
    said, pools = target.kserve, target.pools
    if said is None:
        return None
    settings = {
        "service": said.inference_service,
        "stable": pools.stable,
        "canary": pools.fallback,
        "entry": said.canary,
        "port": said.port,
        "evict": said.evict,
    }
    return KSERVE, said, settings


def _llm(target: TargetSpec) -> _Found:
    said, pools = target.llm_inference_service, target.pools
    if said is None:
        return None
    settings = {
        "service": said.service,
        "workload": said.workload,
        "second": said.canary,
        "stable": pools.stable,
        "canary": None if said.canary is None else pools.fallback,
        "port": said.port,
        "evict": said.evict,
    }
    return LLM, said, settings
