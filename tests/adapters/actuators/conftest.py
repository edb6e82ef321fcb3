"""Targets for the conformance kit: one maker for each actuator that there is."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import httpx2
import pytest

from homeostat import plugins
from homeostat.base.world import Levers
from homeostat.demo.host_rotation import endpoints_text
from homeostat.testing.actuator import Target

sys.path.insert(0, str(Path(__file__).parents[2] / "demo"))
import host_harness as harness

sys.path.insert(0, str(Path(__file__).parent))
import haproxy_server
import kubernetes_targets as kubernetes
import ray_targets
import triton_target
import webhook_server


@asynccontextmanager
async def process_target(folder: Path) -> AsyncIterator[Target]:
    harness.write_stand_ins(folder / "artefacts")
    part = plugins.part("actuator", "process")
    with harness.running_host(harness.host_settings(folder)) as host:

        async def foreign(levers: Levers) -> None:
            host.change(dict(levers))

        yield Target(
            deployment="credit",
            host="127.0.0.1",
            port=host.settings.port,
            make=lambda url: part.build(part.config(url=url, read_timeout_s=1.0)),
            change=(("batch_max", 4), ("batch_wait_ms", 7.5)),
            illegal=(
                (("batch_max", 0),),
                (("batch_max", 2.5),),
                (("batch_wait_ms", -1),),
                (("replicas.a", 1000),),
                (("version.a", "v9"),),
                (("version.a", "../v1"),),
                (("incarnation.a-1", 0),),
                (("incarnation.a-1", 3),),
                (("incarnation.a-9", 2),),
                (("drained.a-1", 2),),
                (("batch_max", 4), ("batch_wait_ms", "soon")),
            ),
            foreign=foreign,
            read_within_s=1.0,
        )


@asynccontextmanager
async def envoy_target(folder: Path) -> AsyncIterator[Target]:
    rotation = folder / "rotation"
    rotation.mkdir()
    for pool in ("a", "b"):
        text = endpoints_text(pool, (9,), 1)
        (rotation / f"{pool}.json").write_text(text, encoding="utf-8")
    part = plugins.part("actuator", "envoy")
    async with harness.running_envoy(folder, rotation) as envoy, httpx2.AsyncClient() as client:
        keys = {
            "weight.b": ("traffic.b",),
            "gateway_limit": tuple(f"circuit_breakers.{p}.default.max_requests" for p in "ab"),
        }

        async def foreign(levers: Levers) -> None:
            pairs = {key: str(value or "") for name, value in levers for key in keys[name]}
            url = f"{envoy.settings.admin_url}/runtime_modify"
            (await client.post(url, params=pairs)).raise_for_status()

        yield Target(
            deployment="credit",
            host="127.0.0.1",
            port=envoy.settings.admin_port,
            make=lambda url: part.build(part.config(url=url, read_timeout_s=1.0)),
            change=(("gateway_limit", 40), ("weight.b", 30)),
            illegal=(
                (("weight.b", 101),),
                (("weight.b", -1),),
                (("weight.b", 2.5),),
                (("weight.b", "all"),),
                (("weight.a", 50),),
                (("gateway_limit", -1),),
                (("gateway_limit", 5), ("weight.b", 200)),
            ),
            foreign=foreign,
            read_within_s=1.0,
        )


@asynccontextmanager
async def haproxy_target(folder: Path) -> AsyncIterator[Target]:
    part = plugins.part("actuator", "haproxy")
    servers = {"a-1": (9, 95), "a-2": (9, 95), "b-1": (9, 10)}
    with haproxy_server.running_haproxy(folder, servers) as haproxy:

        async def foreign(levers: Levers) -> None:
            for name, value in levers:
                if name == "weight.b":
                    shares = {"a-1": 100 - int(value), "a-2": 100 - int(value), "b-1": 2 * value}
                    said = "".join(
                        haproxy.say(f"set server model/{server} weight {weight}")
                        for server, weight in shares.items()
                    )
                else:
                    state = "drain" if value else "ready"
                    said = haproxy.say(
                        f"set server model/{name.removeprefix('drained.')} state {state}"
                    )
                assert not said.strip(), said

        yield Target(
            deployment="credit",
            host="127.0.0.1",
            port=haproxy.port,
            make=lambda url: part.build(
                part.config(
                    socket=url.removeprefix("http://"),
                    backend="model",
                    pools={"a": ("a-*",), "b": ("b-*",)},
                    stable="a",
                    read_timeout_s=1.0,
                )
            ),
            change=(("drained.a-2", 1), ("weight.b", 30)),
            illegal=(
                (("weight.b", 101),),
                (("weight.b", -1),),
                (("weight.b", 2.5),),
                (("weight.b", "all"),),
                (("weight.a", 50),),
                (("drained.a-1", 2),),
                (("drained.a-9", 1),),
                (("drained.a-1", 1), ("weight.b", 200)),
            ),
            foreign=foreign,
            read_within_s=1.0,
            speech=haproxy_server.SPEECH,
        )


@asynccontextmanager
async def webhook_target(folder: Path) -> AsyncIterator[Target]:
    part = plugins.part("actuator", "webhook")
    ranges = {
        lever: {"low": low, "high": high} for lever, (_, low, high) in webhook_server.LEVERS.items()
    }
    with webhook_server.running_receiver(folder) as receiver:

        async def foreign(levers: Levers) -> None:
            receiver.put(dict(levers))

        yield Target(
            deployment="credit",
            host="127.0.0.1",
            port=receiver.port,
            make=lambda url: part.build(
                part.config(
                    url=f"{url}/actions",
                    state=f"{url}/state",
                    secret_file=receiver.secret,
                    levers=ranges,
                    allow=(url.removeprefix("http://"),),
                    read_timeout_s=1.0,
                )
            ),
            change=(("replicas.a", 5), ("weight.b", 30)),
            illegal=(
                (("replicas.a", 0),),
                (("replicas.a", 9),),
                (("replicas.a", 2.5),),
                (("replicas.a", "all"),),
                (("weight.a", 5),),
                (("replicas.a", 4), ("weight.b", 200)),
            ),
            foreign=foreign,
            read_within_s=1.0,
        )


TARGETS: Final = MappingProxyType({
    "process": process_target,
    "envoy": envoy_target,
    "haproxy": haproxy_target,
    "webhook": webhook_target,
    "kubernetes": kubernetes.deployment_target,
    "httproute": kubernetes.route_target,
    "rollout": kubernetes.rollout_target,
    "kserve": kubernetes.service_target,
    "llminferenceservice": kubernetes.llm_target,
    "ray": ray_targets.standing_target,
    "triton": triton_target.triton_target,
})


@pytest.fixture
def target_of() -> Callable[[str, Path], Any]:
    def make(name: str, folder: Path) -> Any:
        if name not in TARGETS:
            pytest.fail(f"actuator {name!r} has no target; add a maker to TARGETS")
        return TARGETS[name](folder)

    return make


@pytest.fixture
def targets() -> frozenset[str]:
    return frozenset(TARGETS)
