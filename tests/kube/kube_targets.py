"""Targets for the conformance kit of actuators on a real API server, one for each way to act.

Deployments, autoscalers and pods have their real controllers; a route, a Rollout and KServe's two
kinds have those of `kube_kinds`, and KEDA has none.
"""

import copy
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "actuators"))
import kube_kinds
import kubernetes_fake as fake
import kubernetes_llm as llm
from kube_cluster import Kube, in_the_clear

from homeostat import plugins
from homeostat.adapters.actuators import _kubernetes_owner as owner
from homeostat.base.world import Levers
from homeostat.testing.actuator import Target

Object = dict[str, Any]
HPA_PATH: Final = "/apis/autoscaling/v2beta2/namespaces/{}/horizontalpodautoscalers"
COUNTS: tuple[Levers, ...] = (
    (("replicas.a", 0),),
    (("replicas.a", -1),),
    (("replicas.a", 2.5),),
    (("replicas.a", 100_000),),
    (("replicas.a", "all"),),
    (("replicas.b", 3),),
)
SHARES: tuple[Levers, ...] = (
    (("weight.b", 101),),
    (("weight.b", -1),),
    (("weight.b", 2.5),),
    (("weight.b", "all"),),
    (("weight.a", 50),),
)


def template(labels: Mapping[str, str], *command: str, **more: Any) -> Object:
    """Return a pod's template whose command `process_kubelet` runs; sleeping is cheapest."""
    container = {"name": "c", "image": "process:1", "command": list(command or ("sleep", "9999"))}
    return {
        "metadata": {"labels": dict(labels)},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container | more]},
    }


def deployments(home: str) -> str:
    return f"/apis/apps/v1/namespaces/{home}/deployments"


def deploy(kube: Kube, home: str, name: str = "chat", replicas: int = 2, **more: Any) -> str:
    """Create a Deployment, wait until all its pods are there, and return its path."""
    labels = {"app": name}
    pods = more.pop("template", template(labels))
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pods, **more}
    kube.create(deployments(home), {"metadata": {"name": name}, "spec": spec})
    path = f"{deployments(home)}/{name}"
    ready(kube, path, replicas)
    return path


def ready(kube: Kube, path: str, replicas: int) -> None:
    """Wait until a Deployment has this many pods, all of them available."""

    def holds() -> bool:
        status = kube.get(path).get("status", {})
        return bool(status.get("availableReplicas", 0) == status.get("replicas", 0) == replicas)

    kube.until(holds, f"{replicas} of {path}")


def set_of(kube: Kube, home: str, name: str, replicas: int, labels: Mapping[str, str]) -> None:
    """Create pods with these labels that nobody else's selector finds."""
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template(labels)}
    path = f"/apis/apps/v1/namespaces/{home}/replicasets"
    kube.create(path, {"metadata": {"name": name}, "spec": spec})

    def holds() -> bool:
        status = kube.get(f"{path}/{name}").get("status", {})
        return bool(status.get("readyReplicas", 0) == replicas)

    kube.until(holds, f"{replicas} of {path}/{name}")


def autoscaler(kube: Kube, home: str, name: str = "chat", low: int = 2, **meta: Any) -> str:
    """Create an autoscaler of the Deployment of its name, from `low` to 6, and return its path."""
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    spec = {"scaleTargetRef": reference, "minReplicas": low, "maxReplicas": 6}
    kube.create(HPA_PATH.format(home), {"metadata": {"name": name} | meta, "spec": spec})
    return f"{HPA_PATH.format(home)}/{meta.get('name', name)}"


def settings(kube: Kube, home: str, **more: Any) -> Object:
    """Return an actuator's settings, for the account that may do everything."""
    return {
        "url": kube.url,
        "namespace": home,
        "token_file": kube.token_file(),
        "ca_file": kube.ca,
        "read_timeout_s": 10.0,
        **more,
    }


def made(
    kube: Kube, port: int, part_name: str, config: Object, change: Levers, **more: Any
) -> Target:
    """Return what the kit needs, past a port without TLS."""
    part = plugins.part("actuator", part_name)
    base = {**config, "ca_file": None, "read_timeout_s": 3.0}
    return Target(
        deployment="credit",
        host="127.0.0.1",
        port=port,
        make=lambda url: part.build(part.config(**(base | {"url": url}))),
        change=change,
        read_within_s=3.0,
        **more,
    )


@asynccontextmanager
async def deployment(kube: Kube) -> AsyncIterator[Target]:
    home = kube.namespace()
    path = deploy(kube, home)

    async def foreign(levers: Levers) -> None:
        kube.patch(path, {"spec": {"replicas": dict(levers)["replicas.a"]}})

    async with in_the_clear(kube) as port:
        config = settings(kube, home, deployment="chat", port=8080, evict=True)
        change = (("replicas.a", 4),)
        illegal = (*COUNTS, (("incarnation.nobody", 2),))
        yield made(kube, port, "kubernetes", config, change, illegal=illegal, foreign=foreign)


@asynccontextmanager
async def horizontal(kube: Kube) -> AsyncIterator[Target]:
    """A real autoscaler with its real controller: it has no metrics, and keeps to the floor."""
    home = kube.namespace()
    deploy(kube, home)
    path = autoscaler(kube, home)

    async def foreign(levers: Levers) -> None:
        kube.patch(path, {"spec": {"minReplicas": dict(levers)["replicas.a"]}})

    async with in_the_clear(kube) as port:
        config = settings(kube, home, deployment="chat", scale="HorizontalPodAutoscaler")
        change = (("replicas.a", 4),)
        illegal = (*COUNTS, (("replicas.a", 7),))
        yield made(kube, port, "kubernetes", config, change, illegal=illegal, foreign=foreign)


@asynccontextmanager
async def scaled_object(kube: Kube) -> AsyncIterator[Target]:
    """KEDA's object, with the autoscaler that KEDA would make of it."""
    home = kube.namespace()
    deploy(kube, home)
    spec = {"scaleTargetRef": {"name": "chat"}, "minReplicaCount": 2, "maxReplicaCount": 6}
    path = kube_kinds.put(kube, owner.KEDA, home, {"metadata": {"name": "chat"}, "spec": spec})
    above = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "name": "chat",
        "uid": kube.get(path)["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    autoscaler(kube, home, ownerReferences=[above])

    async def foreign(levers: Levers) -> None:
        kube.patch(path, {"spec": {"minReplicaCount": dict(levers)["replicas.a"]}})

    async with in_the_clear(kube) as port:
        config = settings(kube, home, deployment="chat", scale="ScaledObject")
        change = (("replicas.a", 4),)
        illegal = (*COUNTS, (("replicas.a", 7),))
        yield made(kube, port, "kubernetes", config, change, illegal=illegal, foreign=foreign)


@asynccontextmanager
async def route(kube: Kube) -> AsyncIterator[Target]:
    home = kube.namespace()
    obj = fake.route(a=18, b=2, c=None)  # none is written: that is 1
    path = kube_kinds.put(kube, owner.ROUTE, home, obj | {"status": {"parents": []}})

    async def foreign(levers: Levers) -> None:
        rules = copy.deepcopy(kube.get(path)["spec"]["rules"])
        wanted = {f"chat-{name.removeprefix('weight.')}": value for name, value in levers}
        wanted["chat-a"] = 100 - sum(int(value) for value in wanted.values())
        for backend in rules[0]["backendRefs"]:
            backend["weight"] = wanted[backend["name"]]
        kube.patch(path, {"spec": {"rules": rules}})

    with kube_kinds.followed(kube, owner.ROUTE, home):
        async with in_the_clear(kube) as port:
            backends = {pool: f"chat-{pool}" for pool in "abc"}
            config = settings(kube, home, route="chat", backends=backends, stable="a")
            change = (("weight.b", 30), ("weight.c", 0))
            illegal = (*SHARES, (("weight.b", 60), ("weight.c", 60)))
            yield made(kube, port, "httproute", config, change, illegal=illegal, foreign=foreign)


@asynccontextmanager
async def rollout(kube: Kube) -> AsyncIterator[Target]:
    """It aborts and begins again, as in the tests without a cluster."""
    home = kube.namespace()
    timed = {"pause": {"duration": "1h"}}
    steps = ({"setWeight": 5}, fake.HELD, {"setWeight": 20}, fake.HELD, {"setWeight": 50}, timed)
    path = kube_kinds.put(kube, owner.ROLLOUT, home, fake.rollout(*steps))
    for kind in ("old", "new"):
        labels = {"app": "chat", "rollouts-pod-template-hash": kind}
        set_of(kube, home, f"chat-{kind}", 1, labels)

    async def foreign(levers: Levers) -> None:
        asked: dict[int, Object] = {
            0: {"abort": True},
            5: {"abort": False, "pauseConditions": None},
        }
        for _, value in levers:
            kube.status(path, asked[int(value)])

    with kube_kinds.followed(kube, owner.ROLLOUT, home):
        async with in_the_clear(kube) as port:
            config = settings(kube, home, rollout="chat", stable="a", canary="b", port=8080)
            change = (("weight.b", 0),)
            illegal = (*SHARES, (("weight.b", 7),), (("replicas.a", 5), ("weight.b", 0)))
            yield made(kube, port, "rollout", config, change, illegal=illegal, foreign=foreign)


@asynccontextmanager
async def paused(kube: Kube) -> AsyncIterator[Target]:
    """Back to a step that only `spec.paused` holds, and forth again to one that is held."""
    home = kube.namespace()
    timed = {"pause": {"duration": "1h"}}
    steps = ({"setWeight": 5}, timed, {"setWeight": 20}, fake.HELD)
    obj = fake.rollout(*steps, currentStepIndex=2)
    path = kube_kinds.put(kube, owner.ROLLOUT, home, obj)

    async def foreign(levers: Levers) -> None:
        assert dict(levers) == {"weight.b": 20}
        kube.status(path, {"currentStepIndex": 2, "pauseConditions": None})
        kube.patch(path, {"spec": {"paused": False}})

    with kube_kinds.followed(kube, owner.ROLLOUT, home):
        async with in_the_clear(kube) as port:
            config = settings(kube, home, rollout="chat", pause=True)
            change = (("weight.b", 5),)
            illegal = (*SHARES, (("weight.b", 7),))
            yield made(kube, port, "rollout", config, change, illegal=illegal, foreign=foreign)


@asynccontextmanager
async def serverless(kube: Kube) -> AsyncIterator[Target]:
    """KServe with Knative below it."""
    home = kube.namespace()
    path = kube_kinds.put(kube, owner.SERVICE, home, fake.service(canaryTrafficPercent=10))
    for number in (1, 2):
        labels = {
            "serving.kserve.io/inferenceservice": "chat",
            "component": "predictor",
            "serving.knative.dev/revision": f"chat-predictor-0000{number}",
        }
        set_of(kube, home, f"chat-predictor-0000{number}", 1, labels)

    async def foreign(levers: Levers) -> None:
        share = dict(levers)["weight.b"]
        kube.patch(path, {"spec": {"predictor": {"canaryTrafficPercent": share}}})

    with kube_kinds.followed(kube, owner.SERVICE, home):
        async with in_the_clear(kube) as port:
            config = settings(kube, home, service="chat", stable="a", canary="b", port=8080)
            change = (("weight.b", 100),)  # KServe then calls it rolled out, and back again
            illegal = (*SHARES, (("replicas.a", 3),))
            yield made(kube, port, "kserve", config, change, illegal=illegal, foreign=foreign)


@asynccontextmanager
async def standard(kube: Kube) -> AsyncIterator[Target]:
    """KServe with a real Deployment and a real autoscaler, which a stand-in hands the floor to."""
    home = kube.namespace()
    deploy(kube, home, "chat-predictor")
    scaler = autoscaler(kube, home, "chat-predictor")
    obj = fake.service("RawDeployment", minReplicas=2, maxReplicas=6)
    path = kube_kinds.put(kube, owner.SERVICE, home, obj)

    def hand_on(service: Object) -> bool:
        floor = service["spec"]["predictor"]["minReplicas"]
        kube.patch(scaler, {"spec": {"minReplicas": floor}}, manager="kserve")
        return False

    async def foreign(levers: Levers) -> None:
        floor = dict(levers)["replicas.a"]
        kube.patch(path, {"spec": {"predictor": {"minReplicas": floor}}})

    with kube_kinds.followed(kube, owner.SERVICE, home, hand_on):
        async with in_the_clear(kube) as port:
            config = settings(kube, home, service="chat", stable="a")
            change = (("replicas.a", 4),)
            illegal = (*COUNTS, (("replicas.a", 7),))
            yield made(kube, port, "kserve", config, change, illegal=illegal, foreign=foreign)


@asynccontextmanager
async def batched(kube: Kube) -> AsyncIterator[Target]:
    """KServe's batcher: a stand-in notes it on a real Deployment, which replaces its pods."""
    home = kube.namespace()
    below = deploy(kube, home, "chat-predictor")
    autoscaler(kube, home, "chat-predictor")
    batcher = {"maxBatchSize": 8, "maxLatency": 50}
    path = kube_kinds.put(
        kube, owner.SERVICE, home, fake.service("RawDeployment", minReplicas=2, batcher=batcher)
    )

    def note(service: Object) -> bool:
        said = service["spec"]["predictor"]["batcher"]
        marks = {
            "internal.serving.kserve.io/batcher-max-batchsize": str(said["maxBatchSize"]),
            "internal.serving.kserve.io/batcher-max-latency": str(said["maxLatency"]),
        }
        change = {"spec": {"template": {"metadata": {"annotations": marks}}}}
        kube.patch(below, change, manager="kserve")
        return False

    async def foreign(levers: Levers) -> None:
        said = {"maxBatchSize": dict(levers)["batch_max"]}
        kube.patch(path, {"spec": {"predictor": {"batcher": said}}})

    with kube_kinds.followed(kube, owner.SERVICE, home, note):
        async with in_the_clear(kube) as port:
            config = settings(kube, home, service="chat", stable="a")
            change = (("batch_max", 16),)
            illegal = ((("batch_max", 0),), (("batch_max", 2.5),), (("batch_wait_ms", "soon"),))
            yield made(kube, port, "kserve", config, change, illegal=illegal, foreign=foreign)


@asynccontextmanager
async def large(kube: Kube) -> AsyncIterator[Target]:
    """KServe's LLMInferenceService: a stand-in hands replicas to a real Deployment, rules on."""
    home = kube.namespace()
    rules = [llm.rule("/", chat=3, chat_next=1)]
    service = llm.service(rules=rules, replicas=2) | {"status": {"url": "http://chat"}}
    (_, workload), (_, made_route) = llm.below(service)
    pods = workload["spec"]["template"]["metadata"]["labels"] | {"app": "chat-kserve"}
    below = deploy(kube, home, "chat-kserve", template=template(pods))
    made_route |= {"status": {"parents": []}}
    routed = kube_kinds.put(kube, owner.ROUTE, home, made_route)
    path = kube_kinds.put(kube, owner.LLM, home, service)

    def hand_on(obj: Object) -> bool:
        spec = obj["spec"]
        kube.patch(below, {"spec": {"replicas": spec["replicas"]}}, manager="kserve")
        own = {"rules": spec["router"]["route"]["http"]["spec"]["rules"]}
        kube.patch(routed, {"spec": own}, manager="kserve")
        return llm.told(obj)

    async def foreign(levers: Levers) -> None:
        wanted = dict(levers)
        share = int(wanted["weight.b"])
        changed = [llm.rule("/", chat=100 - share, chat_next=share)]
        spec = {"route": {"http": {"spec": {"rules": changed}}}}
        kube.patch(path, {"spec": {"replicas": wanted["replicas.a"], "router": spec}})

    with (
        kube_kinds.followed(kube, owner.ROUTE, home),
        kube_kinds.followed(kube, owner.LLM, home, hand_on),
    ):
        async with in_the_clear(kube) as port:
            config = settings(kube, home, service="chat", second="chat-next", canary="b")
            change = (("replicas.a", 4), ("weight.b", 100))
            illegal = (*SHARES, (("replicas.a", 0),), (("replicas.b", 2),))
            part = "llminferenceservice"
            yield made(kube, port, part, config, change, illegal=illegal, foreign=foreign)


TARGETS: Final[Mapping[str, Callable[[Kube], AbstractAsyncContextManager[Target]]]] = {
    "deployment": deployment,
    "autoscaler": horizontal,
    "scaled object": scaled_object,
    "route": route,
    "rollout": rollout,
    "paused": paused,
    "serverless": serverless,
    "standard": standard,
    "batched": batched,
    "large": large,
}
