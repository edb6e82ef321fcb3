"""What an LLMInferenceService has for levers, who else sets them, and what KServe made of it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

sys.path.insert(0, str(Path(__file__).parent))
import kubernetes_fake as fake
import kubernetes_llm as llm
from kubernetes_stage import Stage
from kubernetes_targets import LLM_KINDS, stand

from homeostat.adapters.actuators.llm import LLMConfig, build
from homeostat.base.errors import ActuatorError
from homeostat.base.intent import ReceiptStatus

CHAT = f"{fake.LLMS}/chat"
NEXT: dict[str, Any] = {"second": "chat-next", "canary": "b"}
TO_4 = (("replicas.a", 4),)
TO_30 = (("weight.b", 30),)
PAIR = (llm.rule("/", chat=90, chat_next=10), llm.rule("/v1/x", pool=False, chat=9, chat_next=1))
NOT_APPLIED, DONE = ReceiptStatus.NOT_APPLIED, ReceiptStatus.DONE
GROUP: dict[str, Any] = {"worker": {"containers": []}, "parallelism": {"pipeline": 2}}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    cluster = fake.Cluster(installed=LLM_KINDS)
    with fake.serving(cluster) as port:
        settings = {"namespace": "ml", "service": "chat", "port": 8000}
        yield Stage(cluster, port, tmp_path, lambda **said: build(LLMConfig(**said)), settings)


def pair(stage: Stage, *rules: dict[str, Any], **spec: Any) -> None:
    service = llm.service(rules=list(rules or PAIR), **spec)
    stand(stage.cluster, service, llm.service("chat-next", replicas=1))


async def test_replicas_and_all_divided_rules_change_in_one_write(stage: Stage) -> None:
    lone = llm.rule("/preview", chat_next=1)
    pair(stage, *PAIR, lone, replicas=3)
    world = await stage.read(**NEXT)
    assert world.levers == (("replicas.a", 3), ("weight.b", 10))
    assert [one.pool for one in world.replicas] == ["a", "a", "a", "b"]
    assert world.replicas[0].address == "10.0.0.1:8000"
    assert world.changing is False
    assert (await stage.apply((*TO_4, *TO_30), **NEXT)).status is DONE
    (patch,) = stage.cluster.patches
    rules = patch["spec"]["router"]["route"]["http"]["spec"]["rules"]
    assert [[one["weight"] for one in rule["backendRefs"]] for rule in rules] == [
        [70, 30], [70, 30], [1],
    ]  # fmt: skip
    assert [rule["matches"] for rule in rules] == [one["matches"] for one in (*PAIR, lone)]
    made = stage.found(f"{fake.ROUTES}/chat-kserve-route")["spec"]["rules"]
    assert (made, stage.found(f"{fake.DEPLOYMENTS}/chat-kserve")["spec"]["replicas"]) == (rules, 4)


async def test_it_changes_until_the_workload_and_the_route_have_it(stage: Stage) -> None:
    pair(stage, replicas=3)
    for post, path in ((TO_4, "chat-kserve"), (TO_30, "chat-kserve-route")):
        stage.cluster.delay_s = 3600.0
        receipt = await stage.apply(post, intent={"id": f"d-{path}"}, **NEXT)
        assert receipt.status is DONE
        assert (await stage.read(**NEXT)).changing is True
        stage.cluster.delay_s = 0.0
        stage.cluster.write(CHAT, {"metadata": {"labels": {"x": path}}}, "kubectl")
        assert (await stage.read(**NEXT)).changing is False


async def test_without_a_second_service_its_rules_are_nobodys_business(stage: Stage) -> None:
    grouped = llm.service(replicas=2, router={"route": {"group": "llama", "weight": 90}})
    stand(stage.cluster, grouped)
    assert (await stage.read()).levers == (("replicas.a", 2),)
    assert (await stage.apply(TO_30)).status is NOT_APPLIED
    assert stage.cluster.patches == []


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ({"group": "llama", "weight": 90}, "route.group keeps each member's weight in another"),
        ({"http": {"refs": [{"name": "mine"}]}}, "divide by `httpRoute`"),
        ({"http": {}}, "has no rules"),
        ({"http": {"spec": {"rules": [llm.rule("/", chat=1)]}}}, "no rule divides between"),
        (
            {"http": {"spec": {"rules": [llm.rule("/", chat=1, chat_next=1, x=1)]}}},
            "rule 0 does not divide between just chat and chat-next",
        ),
        (
            {"http": {"spec": {"rules": [PAIR[0], llm.rule("/x", chat=1, chat_next=1)]}}},
            r"different shares \(10, 50\)",
        ),
        (
            {"http": {"spec": {"rules": [llm.rule("/", chat=1, chat_next=-1)]}}},
            "spec.weight is -1",
        ),
    ],
)
async def test_what_no_one_write_can_divide_is_refused_by_name(
    stage: Stage, route: dict[str, Any], said: str
) -> None:
    stand(stage.cluster, llm.service(replicas=2, router={"route": route}))
    with pytest.raises(ActuatorError, match=said):
        await stage.read(**NEXT)
    assert (await stage.apply(TO_30, look=False, intent={"token": "h"}, **NEXT)).status is (
        NOT_APPLIED
    )
    assert stage.cluster.patches == []


async def test_nothing_for_both_is_no_share(stage: Stage) -> None:
    pair(stage, llm.rule("/", chat=0, chat_next=0), replicas=2)
    assert (await stage.read(**NEXT)).levers == (("replicas.a", 2),)


async def test_what_a_gateway_refuses_divides_nothing(stage: Stage) -> None:
    pair(stage, replicas=2)
    route = stage.found(f"{fake.ROUTES}/chat-kserve-route")
    route["status"]["parents"][0]["conditions"][1] |= {"status": "False", "reason": "InvalidKind"}
    with pytest.raises(ActuatorError, match=r"ResolvedRefs is False, InvalidKind"):
        await stage.read(**NEXT)


@pytest.mark.parametrize("workload", ["primary", "prefill"])
async def test_a_floor_is_acted_through_up_to_its_ceiling(stage: Stage, workload: str) -> None:
    scaling = {"scaling": {"minReplicas": 2, "maxReplicas": 4, "wva": {"hpa": {}}}}
    spec = scaling if workload == "primary" else {"replicas": 1, "prefill": scaling}
    stand(stage.cluster, llm.service(**spec))
    said: dict[str, Any] = {"workload": workload}
    world = await stage.read(**said)
    assert (world.levers, world.changing) == ((("replicas.a", 2),), False)
    suffix = "" if workload == "primary" else "-prefill"
    stage.cluster.delay_s = 3600.0
    assert (await stage.apply(TO_4, **said)).status is DONE
    assert (await stage.read(**said)).changing is True
    stage.cluster.delay_s = 0.0
    stage.cluster.write(CHAT, {"metadata": {"labels": {"x": "y"}}}, "kubectl")
    assert (await stage.read(**said)).changing is False
    assert stage.found(f"{fake.SCALERS}/chat-kserve{suffix}-hpa")["spec"]["minReplicas"] == 4
    over = await stage.apply((("replicas.a", 5),), intent={"id": "d-3.0.0"}, **said)
    assert (over.status, "maxReplicas of 4" in over.detail) == (NOT_APPLIED, True)


async def test_prefill_is_scaled_apart_from_what_answers(stage: Stage) -> None:
    stand(stage.cluster, llm.service(replicas=1, prefill={"replicas": 3}))
    world = await stage.read(workload="prefill")
    assert world.levers == (("replicas.a", 3),)
    assert {one.name for one in world.replicas} == {f"chat-kserve-prefill-{n}" for n in range(3)}
    assert (await stage.apply(TO_4, workload="prefill")).status is DONE
    spec = stage.found(CHAT)["spec"]
    assert (spec["replicas"], spec["prefill"]["replicas"]) == (1, 4)
    assert [one.name for one in (await stage.read()).replicas] == ["chat-kserve-0"]


async def test_of_a_group_of_pods_the_first_is_the_replica_and_none_is_evicted(
    stage: Stage,
) -> None:
    stand(stage.cluster, llm.service(replicas=2, **GROUP))
    world = await stage.read(evict=True)
    assert world.levers == (("replicas.a", 2),)
    assert [one.name for one in world.replicas] == ["chat-kserve-mn-0", "chat-kserve-mn-1"]
    assert (await stage.apply(TO_4)).status is DONE
    assert stage.found(f"{fake.GROUPS}/chat-kserve-mn")["spec"]["replicas"] == 4
    alone = llm.service(replicas=2)
    stand(stage.cluster, alone)
    levers = dict((await stage.read(evict=True)).levers)
    assert levers["incarnation.chat-kserve-1"] == 2


@pytest.mark.parametrize(
    ("component", "floor", "said"),
    [
        ("llminferenceservice-workload-leader", 2, "wants 2 at least"),
        ("llminferenceservice-workload-worker", 3, "wants 3 at least"),
        ("llminferenceservice-workload-leader", 0, "has not been worked out"),
        ("llminferenceservice-router", 9, ""),
    ],
)
async def test_a_budget_of_leaders_or_workers_keeps_groups(
    stage: Stage, component: str, floor: int, said: str
) -> None:
    stand(stage.cluster, llm.service(replicas=2, **GROUP))
    budget = {
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "chat"},
        "spec": {
            "selector": {"matchLabels": {"app.kubernetes.io/component": component}},
            "minAvailable": floor,
        },
    }
    stage.cluster.create(fake.BUDGETS, budget)
    receipt = await stage.apply((("replicas.a", 1),))
    assert (receipt.status is NOT_APPLIED, said in receipt.detail) == (said != "", True)


async def test_what_is_not_written_or_stopped_is_no_lever(stage: Stage) -> None:
    stand(stage.cluster, llm.service())
    assert (await stage.read()).levers == ()  # a preset of KServe's decides
    receipt = await stage.apply(TO_4)
    assert (receipt.status, "not to be read" in receipt.detail) == (NOT_APPLIED, True)
    stand(stage.cluster, llm.service(replicas=2))
    stopped = {"metadata": {"annotations": {"serving.kserve.io/stop": "true"}}}
    token = (await stage.read()).stamps[0].token
    stage.cluster.write(CHAT, stopped, "kubectl")
    assert (await stage.read()).levers == ()
    late = await stage.apply(TO_4, intent={"token": token})
    assert late.status is NOT_APPLIED


async def test_who_else_scales_or_writes_it_is_left_to_it(stage: Stage) -> None:
    pair(stage, replicas=2)
    hpa = {
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "mine"},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "chat-kserve"}},
    }
    stage.cluster.create(fake.SCALERS, hpa)
    assert dict((await stage.read(**NEXT)).levers) == {"weight.b": 10}
    receipt = await stage.apply(TO_4, **NEXT)
    assert (receipt.status, "HorizontalPodAutoscaler/mine" in receipt.detail) == (NOT_APPLIED, True)
    applied = {"manager": "argocd-controller", "operation": "Apply"}
    fields: dict[str, Any] = {"f:router": {"f:route": {"f:http": {"f:spec": {"f:rules": {}}}}}}
    entry = applied | {"fieldsV1": {"f:spec": fields}}
    stage.found(CHAT)["metadata"]["managedFields"].append(entry)
    assert (await stage.read(**NEXT)).levers == ()
    receipt = await stage.apply(TO_30, **NEXT)
    assert (receipt.status, "argocd-controller" in receipt.detail) == (NOT_APPLIED, True)


async def test_a_pair_whose_older_version_is_served_alone_is_found_there(stage: Stage) -> None:
    stage.cluster.lists["/apis/serving.kserve.io/v1alpha1/namespaces/ml/llminferenceservices"] = (
        stage.cluster.lists.pop(fake.LLMS)
    )
    service = llm.service(replicas=2)
    for path, made in llm.below(service):
        stage.cluster.create(path, made, "kserve")
    older = "/apis/serving.kserve.io/v1alpha1/namespaces/ml/llminferenceservices"
    stage.cluster.create(older, service)
    assert (await stage.read()).levers == (("replicas.a", 2),)
    assert (await stage.apply(TO_4)).status is DONE


@pytest.mark.parametrize(
    ("spec", "said", "settings"),
    [
        ({"replicas": "2"}, "spec.replicas is '2'", {}),
        ({"replicas": True}, "spec.replicas is True", {}),
        ({"scaling": {"minReplicas": -1, "maxReplicas": 2}}, "spec.minReplicas is -1", {}),
        ({"replicas": 2}, "no spec.prefill", {"workload": "prefill"}),
    ],
)
async def test_a_spec_that_makes_no_sense_is_no_reading(
    stage: Stage, spec: dict[str, Any], said: str, settings: dict[str, str]
) -> None:
    stand(stage.cluster, llm.service(replicas=1))
    stage.found(CHAT)["spec"].pop("replicas")
    stage.found(CHAT)["spec"] |= spec
    with pytest.raises(ActuatorError, match=said):
        await stage.read(**settings)


@pytest.mark.parametrize(
    "changes",
    [
        {"service": "../x"},
        {"service": "a" * 44},
        {"service": "a.b"},
        {"second": "chat-next"},
        {"canary": "b"},
        {"second": "chat", "canary": "b"},
        {"second": "chat-next", "canary": "a"},
        {"workload": "worker"},
        {"group": "llama"},
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    base = {"url": "https://cluster", "namespace": "ml", "service": "chat"}
    with pytest.raises(ValidationError):
        LLMConfig(**(base | changes))
