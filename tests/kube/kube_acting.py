"""An actuator that looks at a real cluster over TLS, for tests."""

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "actuators"))
from kube_cluster import Kube
from kube_targets import settings
from kubernetes_stage import Stage

from homeostat.adapters.actuators.kubernetes import KubernetesConfig, build
from homeostat.base.world import ReplicaState, Snapshot

SETTLED_S = 30.0


def acting(kube: Kube, home: str, folder: Path, **more: Any) -> Stage:
    """Return an actuator of the Deployment `chat`, as the account that may do everything."""
    base = settings(kube, home, deployment="chat", port=8080) | more
    nothing: Any = None  # no stand-in
    return Stage(nothing, 0, folder, lambda **said: build(KubernetesConfig(**said)), base)


async def seen(stage: Stage, holds: Callable[[Snapshot], bool], **changes: Any) -> Snapshot:
    """Read until something holds, and return what was read then."""
    end = time.monotonic() + SETTLED_S
    while not holds(world := await stage.read(**changes)):
        assert time.monotonic() < end, world
        await asyncio.sleep(0.1)
    return world


async def settled(stage: Stage, ready: int, **changes: Any) -> Snapshot:
    """Read until nothing is changing and this many replicas are ready, and no others are there."""

    def holds(world: Snapshot) -> bool:
        states = [one.state for one in world.replicas]
        return not world.changing and states == [ReplicaState.READY] * ready

    return await seen(stage, holds, **changes)
