"""Targets for the conformance kit on the API server's stand-in: a memory, no Kubernetes.

A real API server is no package to install.
"""

import copy
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from homeostat import plugins
from homeostat.base.world import Levers
from homeostat.testing.actuator import Target

sys.path.insert(0, str(Path(__file__).parent))
import kubernetes_fake as fake
import kubernetes_llm as llm

DELAY_S = 0.05  # of controllers: their status comes after the answer


def _written(folder: Path) -> Path:
    token = folder / "token"
    token.write_text(f"{fake.TOKEN}\n", encoding="utf-8")
    return token


@asynccontextmanager
async def deployment_target(folder: Path) -> AsyncIterator[Target]:
    part = plugins.part("actuator", "kubernetes")
    token = _written(folder)
    cluster = fake.Cluster(delay_s=DELAY_S)
    cluster.create(fake.DEPLOYMENTS, fake.deployment())
    with fake.serving(cluster) as port:

        async def foreign(levers: Levers) -> None:
            for _, value in levers:
                change = {"spec": {"replicas": value}}
                status, _ = cluster.write(f"{fake.DEPLOYMENTS}/chat", change, "kubectl-scale")
                assert status == 200

        yield Target(
            deployment="credit",
            host="127.0.0.1",
            port=port,
            make=lambda url: part.build(
                part.config(
                    url=url,
                    namespace="ml",
                    deployment="chat",
                    token_file=token,
                    port=8080,
                    evict=True,
                    read_timeout_s=3.0,
                )
            ),
            change=(("replicas.a", 5),),
            illegal=(
                (("replicas.a", 0),),
                (("replicas.a", -1),),
                (("replicas.a", 2.5),),
                (("replicas.a", 100_000),),
                (("replicas.a", "all"),),
                (("replicas.b", 3),),
                (("incarnation.chat-0", 3),),
                (("incarnation.nobody", 2),),
            ),
            foreign=foreign,
            read_within_s=3.0,
        )


@asynccontextmanager
async def route_target(folder: Path) -> AsyncIterator[Target]:
    part = plugins.part("actuator", "httproute")
    token = _written(folder)
    cluster = fake.Cluster(installed=(fake.ROUTES, *fake.OWNERS), delay_s=DELAY_S)
    cluster.create(fake.ROUTES, fake.route(a=18, b=2, c=None))  # none is written: that is 1
    path = f"{fake.ROUTES}/chat"
    with fake.serving(cluster) as port:

        async def foreign(levers: Levers) -> None:
            rules: list[dict[str, Any]] = copy.deepcopy(cluster.lists[fake.ROUTES]["chat"])["spec"][
                "rules"
            ]
            wanted = {f"chat-{name.removeprefix('weight.')}": value for name, value in levers}
            wanted["chat-a"] = 100 - sum(int(value) for value in wanted.values())
            for backend in rules[0]["backendRefs"]:
                backend["weight"] = wanted[backend["name"]]
            status, _ = cluster.write(path, {"spec": {"rules": rules}}, "kubectl-edit")
            assert status == 200

        yield Target(
            deployment="credit",
            host="127.0.0.1",
            port=port,
            make=lambda url: part.build(
                part.config(
                    url=url,
                    namespace="ml",
                    route="chat",
                    backends={"a": "chat-a", "b": "chat-b", "c": "chat-c"},
                    stable="a",
                    token_file=token,
                    read_timeout_s=3.0,
                )
            ),
            change=(("weight.b", 30), ("weight.c", 0)),
            illegal=(
                (("weight.b", 101),),
                (("weight.b", -1),),
                (("weight.b", 2.5),),
                (("weight.b", "all"),),
                (("weight.a", 50),),
                (("weight.b", 60), ("weight.c", 60)),
                (("weight.b", 5), ("weight.c", 200)),
            ),
            foreign=foreign,
            read_within_s=3.0,
        )


@asynccontextmanager
async def rollout_target(folder: Path) -> AsyncIterator[Target]:
    """Aborts and begins again; between two held steps it is moved in `test_rollout`."""
    part = plugins.part("actuator", "rollout")
    token = _written(folder)
    cluster = fake.Cluster(installed=fake.OWNERS, delay_s=DELAY_S)
    timed = {"pause": {"duration": "1h"}}
    steps = ({"setWeight": 5}, fake.HELD, {"setWeight": 20}, fake.HELD, {"setWeight": 50}, timed)
    cluster.create(fake.ROLLOUTS, fake.rollout(*steps))
    path = f"{fake.ROLLOUTS}/chat"
    with fake.serving(cluster) as port:

        async def foreign(levers: Levers) -> None:
            asked = {0: {"abort": True}, 5: {"abort": False, "pauseConditions": None}}
            for _, value in levers:
                change = {"status": asked[int(value)]}
                status, _ = cluster.write(f"{path}/status", change, "kubectl-argo-rollouts")
                assert status == 200

        yield Target(
            deployment="credit",
            host="127.0.0.1",
            port=port,
            make=lambda url: part.build(
                part.config(
                    url=url,
                    namespace="ml",
                    rollout="chat",
                    stable="a",
                    canary="b",
                    token_file=token,
                    port=8080,
                    read_timeout_s=3.0,
                )
            ),
            change=(("weight.b", 0),),
            illegal=(
                (("weight.b", 101),),
                (("weight.b", -1),),
                (("weight.b", 2.5),),
                (("weight.b", "all"),),
                (("weight.b", 7),),
                (("weight.b", 50),),
                (("weight.b", 100),),
                (("weight.a", 95),),
                (("replicas.a", 0),),
                (("replicas.a", 5), ("weight.b", 0)),
            ),
            foreign=foreign,
            read_within_s=3.0,
        )


@asynccontextmanager
async def paused_target(folder: Path) -> AsyncIterator[Target]:
    """Back to a step that only `spec.paused` holds, and forth again to one that is held."""
    part = plugins.part("actuator", "rollout")
    token = _written(folder)
    cluster = fake.Cluster(installed=fake.OWNERS, delay_s=DELAY_S)
    timed = {"pause": {"duration": "1h"}}
    steps = ({"setWeight": 5}, timed, {"setWeight": 20}, fake.HELD, {"setWeight": 50}, timed)
    cluster.create(fake.ROLLOUTS, fake.rollout(*steps, currentStepIndex=2))
    path = f"{fake.ROLLOUTS}/chat"
    with fake.serving(cluster) as port:

        async def foreign(levers: Levers) -> None:
            assert dict(levers) == {"weight.b": 20}
            asked = {"currentStepIndex": 2, "pauseConditions": None}
            manager = "kubectl-argo-rollouts"
            assert cluster.write(f"{path}/status", {"status": asked}, manager)[0] == 200
            assert cluster.write(path, {"spec": {"paused": False}}, manager)[0] == 200

        yield Target(
            deployment="credit",
            host="127.0.0.1",
            port=port,
            make=lambda url: part.build(
                part.config(
                    url=url,
                    namespace="ml",
                    rollout="chat",
                    pause=True,
                    token_file=token,
                    read_timeout_s=3.0,
                )
            ),
            change=(("weight.b", 5),),
            illegal=((("weight.b", 50),), (("weight.b", 7),), (("weight.b", 100),)),
            foreign=foreign,
            read_within_s=3.0,
        )


@asynccontextmanager
async def service_target(folder: Path) -> AsyncIterator[Target]:
    """Of the Serverless mode; the floor of the other one is in `test_kserve`."""
    part = plugins.part("actuator", "kserve")
    token = _written(folder)
    cluster = fake.Cluster(installed=(fake.SERVICES, *fake.OWNERS), delay_s=DELAY_S)
    cluster.create(fake.SERVICES, fake.service(canaryTrafficPercent=10))
    path = f"{fake.SERVICES}/chat"
    with fake.serving(cluster) as port:

        async def foreign(levers: Levers) -> None:
            for _, value in levers:
                change = {"spec": {"predictor": {"canaryTrafficPercent": value}}}
                status, _ = cluster.write(path, change, "kubectl-edit")
                assert status == 200

        yield Target(
            deployment="credit",
            host="127.0.0.1",
            port=port,
            make=lambda url: part.build(
                part.config(
                    url=url,
                    namespace="ml",
                    service="chat",
                    stable="a",
                    canary="b",
                    token_file=token,
                    port=8080,
                    read_timeout_s=3.0,
                )
            ),
            change=(("weight.b", 100),),  # KServe then calls it rolled out, and back again
            illegal=(
                (("weight.b", 101),),
                (("weight.b", -1),),
                (("weight.b", 2.5),),
                (("weight.b", "all"),),
                (("weight.a", 50),),
                (("replicas.a", 3),),
            ),
            foreign=foreign,
            read_within_s=3.0,
        )


@asynccontextmanager
async def llm_target(folder: Path) -> AsyncIterator[Target]:
    """Replicas and share in one write; floors, groups and prefill are in `test_llm`."""
    part = plugins.part("actuator", "llminferenceservice")
    token = _written(folder)
    cluster = fake.Cluster(installed=LLM_KINDS, delay_s=DELAY_S)
    rules = [llm.rule("/", chat=None, chat_next=1), llm.rule("/v1/x", pool=False, chat=3)]
    stand(cluster, llm.service(rules=rules, replicas=3), llm.service("chat-next", replicas=1))
    path = f"{fake.LLMS}/chat"
    with fake.serving(cluster) as port:

        async def foreign(levers: Levers) -> None:
            wanted = dict(levers)
            share = int(wanted["weight.b"])
            rules = [llm.rule("/", chat=100 - share, chat_next=share), *_rules(cluster)[1:]]
            spec: dict[str, Any] = {"replicas": wanted["replicas.a"]}
            spec |= {"router": {"route": {"http": {"spec": {"rules": rules}}}}}
            status, said = cluster.write(path, {"spec": spec}, "kubectl-edit")
            assert status == 200, said

        yield Target(
            deployment="credit",
            host="127.0.0.1",
            port=port,
            make=lambda url: part.build(
                part.config(
                    url=url,
                    namespace="ml",
                    service="chat",
                    second="chat-next",
                    stable="a",
                    canary="b",
                    token_file=token,
                    port=8000,
                    read_timeout_s=3.0,
                )
            ),
            change=(("replicas.a", 5), ("weight.b", 100)),
            illegal=(
                (("replicas.a", 0),),
                (("replicas.a", 2.5),),
                (("replicas.b", 2),),
                (("weight.b", 101),),
                (("weight.b", -1),),
                (("weight.b", "all"),),
                (("weight.a", 50),),
                (("replicas.a", 4), ("weight.b", 200)),
            ),
            foreign=foreign,
            read_within_s=3.0,
        )


LLM_KINDS = (fake.LLMS, fake.DEPLOYMENTS, fake.GROUPS, fake.ROUTES, fake.BUDGETS, *fake.OWNERS)


def stand(cluster: fake.Cluster, *services: dict[str, Any]) -> None:
    """Create LLMInferenceServices, and what KServe makes of them."""
    for service in services:
        for path, made in llm.below(service):
            cluster.create(path, made, "kserve")
        cluster.create(fake.LLMS, service)


def _rules(cluster: fake.Cluster) -> list[dict[str, Any]]:
    http = cluster.lists[fake.LLMS]["chat"]["spec"]["router"]["route"]["http"]
    found: list[dict[str, Any]] = http["spec"]["rules"]
    return found
