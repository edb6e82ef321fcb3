"""Which rule of a route is meant, what its shares are, who else sets them, and when they hold."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

sys.path.insert(0, str(Path(__file__).parent))
import kubernetes_fake as fake
from kubernetes_stage import Stage

from homeostat.adapters.actuators.httproute import HTTPRouteConfig, build
from homeostat.base.errors import ActuatorError
from homeostat.base.intent import ReceiptStatus

CHAT = f"{fake.ROUTES}/chat"
ROLLOUTS = "/apis/argoproj.io/v1alpha1/namespaces/ml/rollouts"
CANARIES = "/apis/flagger.app/v1beta1/namespaces/ml/canaries"
TO_20 = (("weight.b", 20),)
BACKENDS = {"a": "chat-a", "b": "chat-b"}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    cluster = fake.Cluster(installed=(fake.ROUTES,))
    with fake.serving(cluster) as port:
        settings = {"namespace": "ml", "route": "chat", "backends": BACKENDS, "stable": "a"}
        yield Stage(
            cluster, port, tmp_path, lambda **said: build(HTTPRouteConfig(**said)), settings
        )


def weights(stage: Stage) -> list[Any]:
    return [
        [one.get("weight") for one in rule.get("backendRefs", ())]
        for rule in stage.found(CHAT)["spec"]["rules"]
    ]


@pytest.mark.parametrize(
    ("said", "levers"),
    [
        ({"a": 90, "b": 10}, (("weight.b", 10),)),
        ({"a": None, "b": None}, (("weight.b", 50),)),  # 1 each where nothing is written
        ({"a": 2, "b": 1}, (("weight.b", 33),)),
        ({"a": 999, "b": 1}, (("weight.b", 1),)),  # something is never said to be nothing
        ({"a": 1, "b": 999}, (("weight.b", 99),)),
        ({"a": 3, "b": 0}, (("weight.b", 0),)),
        ({"a": 0, "b": 0}, ()),  # the API answers 500 then: nothing is divided
    ],
)
async def test_a_share_is_the_weight_among_all_of_the_rule(
    stage: Stage, said: dict[str, Any], levers: Any
) -> None:
    stage.cluster.create(fake.ROUTES, fake.route(**said))
    assert (await stage.read()).levers == levers


async def test_a_write_sets_shares_of_a_hundred_and_leaves_all_else_as_it_was(stage: Stage) -> None:
    route = fake.route(a=9, b=1)
    other = {"backendRefs": [{"name": "mail", "port": 80}], "filters": [{"type": "URLRewrite"}]}
    route["spec"]["rules"].insert(0, other)
    stage.cluster.create(fake.ROUTES, route)
    assert (await stage.apply(TO_20)).status is ReceiptStatus.DONE
    assert weights(stage) == [[None], [80, 20]]
    rules = stage.found(CHAT)["spec"]["rules"]
    assert rules[0] == other
    assert rules[1]["matches"] == [{"path": {"type": "PathPrefix", "value": "/"}}]
    (patch,) = stage.cluster.patches
    assert patch["metadata"]["resourceVersion"]
    stamp = (await stage.read()).stamp("httproute")
    assert stamp is not None
    assert (stamp.intent, stamp.epoch) == ("d-2.0.0", 3)


async def test_zero_is_written_not_left_out(stage: Stage) -> None:
    stage.cluster.create(fake.ROUTES, fake.route(a=9, b=1))
    assert (await stage.apply((("weight.b", 0),))).status is ReceiptStatus.DONE
    assert weights(stage) == [[100, 0]]


async def test_which_of_two_fitting_rules_must_be_said(stage: Stage) -> None:
    route = fake.route(a=9, b=1)
    route["spec"]["rules"] *= 2
    stage.cluster.create(fake.ROUTES, route)
    with pytest.raises(ActuatorError, match="say which `rule`"):
        await stage.read()
    assert (await stage.read(rule=1)).levers == (("weight.b", 10),)
    with pytest.raises(ActuatorError, match="rule 2 does not divide"):
        await stage.read(rule=2)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "ServiceImport"},
        {"group": "multicluster.x-k8s.io"},
        {"namespace": "elsewhere"},
        {"name": "chat-x"},
        {"weight": "10"},
    ],
)
async def test_a_rule_that_divides_otherwise_is_no_lever(
    stage: Stage, change: dict[str, Any]
) -> None:
    route = fake.route(a=9, b=1)
    stage.cluster.create(fake.ROUTES, route)
    route["spec"]["rules"][0]["backendRefs"][1] |= change
    with pytest.raises(ActuatorError):
        await stage.read()
    (patched,) = [await stage.apply(TO_20, intent={"token": "t"}, look=False)]
    assert patched.status is ReceiptStatus.NOT_APPLIED
    assert stage.cluster.patches == []


def rollout(**plugin: Any) -> dict[str, Any]:
    routing = {"plugins": {"argoproj-labs/gatewayAPI": plugin}}
    spec = {"strategy": {"canary": {"trafficRouting": routing}}}
    return {"kind": "Rollout-like", "metadata": {"name": "r"}, "spec": spec}


def canary(**spec: Any) -> dict[str, Any]:
    return {"kind": "Canary", "metadata": {"name": "c"}, "spec": spec}


@pytest.mark.parametrize(
    ("path", "obj", "who"),
    [
        (ROLLOUTS, rollout(httpRoute="chat", namespace="ml"), "Rollout/r"),
        (ROLLOUTS, rollout(httpRoutes=[{"name": "x"}, {"name": "chat"}]), "Rollout/r"),
        (ROLLOUTS, rollout(httpRouteSelector={"matchLabels": {"app": "chat"}}), "Rollout/r"),
        (ROLLOUTS, rollout(httpRoute="mail"), ""),
        (CANARIES, canary(targetRef={"name": "chat"}), "Canary/c"),
        (CANARIES, canary(targetRef={"name": "x"}, service={"name": "chat"}), "Canary/c"),
        (CANARIES, canary(targetRef={"name": "chat"}, service={"name": "x"}), ""),
    ],
)
async def test_what_a_rollout_or_a_canary_sets_is_left_to_it_by_name(
    stage: Stage, path: str, obj: dict[str, Any], who: str
) -> None:
    route = fake.route(a=9, b=1)
    route["metadata"]["labels"] = {"app": "chat"}
    stage.cluster.create(fake.ROUTES, route)
    stage.cluster.create(path, {**obj, "metadata": dict(obj["metadata"])})
    assert bool((await stage.read()).levers) is not bool(who)
    receipt = await stage.apply(TO_20)
    assert receipt.status is (ReceiptStatus.NOT_APPLIED if who else ReceiptStatus.DONE)
    assert who in receipt.detail


@pytest.mark.parametrize(
    "meta",
    [
        {"labels": {"rollouts.argoproj.io/gatewayapi-canary": "in-progress"}},
        {"ownerReferences": [{"kind": "InferenceService", "name": "x", "controller": True}]},
        {"ownerReferences": [{"kind": "Canary", "name": "x", "controller": True}]},
        {
            "managedFields": [
                {
                    "manager": "argocd-controller",
                    "operation": "Update",
                    "fieldsV1": {"f:spec": {"f:rules": {}}},
                }
            ]
        },
        {"annotations": {"argocd.argoproj.io/tracking-id": "x"}, "managedFields": []},
    ],
)
async def test_so_is_what_a_controller_or_gitops_sets(stage: Stage, meta: dict[str, Any]) -> None:
    route = fake.route(a=9, b=1)
    route["metadata"] |= meta
    stage.cluster.create(fake.ROUTES, route)
    assert (await stage.read()).levers == ()
    assert (await stage.apply(TO_20)).status is ReceiptStatus.NOT_APPLIED
    assert stage.cluster.patches == []


@pytest.mark.parametrize("status", [403, 500])
async def test_who_may_not_look_for_owners_does_not_write(stage: Stage, status: int) -> None:
    stage.cluster.create(fake.ROUTES, fake.route(a=9, b=1))
    stage.cluster.refuse = {ROLLOUTS: status}
    assert (await stage.read()).levers == ()
    receipt = await stage.apply(TO_20)
    assert (receipt.status, "nobody knows" in receipt.detail) == (ReceiptStatus.NOT_APPLIED, True)


async def test_after_argo_took_it_back_it_is_not_fought_over(stage: Stage) -> None:
    stage.cluster.create(fake.ROUTES, fake.route(a=90, b=10))
    assert (await stage.apply(TO_20)).status is ReceiptStatus.DONE
    back = fake.route(a=90, b=10)["spec"]["rules"]
    stage.cluster.write(CHAT, {"spec": {"rules": back}}, "argocd-controller")
    world = await stage.read()
    stamp = world.stamp("httproute")
    assert stamp is not None
    assert (stamp.intent, world.levers) == (None, ())
    receipt = await stage.apply(TO_20, intent={"id": "d-3.0.0"})
    assert receipt.status is ReceiptStatus.NOT_APPLIED
    assert "argocd-controller" in receipt.detail
    assert weights(stage) == [[90, 10]]


async def test_it_changes_until_every_gateway_has_taken_the_route_as_it_stands(
    stage: Stage,
) -> None:
    stage.cluster.delay_s = 3600.0
    stage.cluster.create(fake.ROUTES, fake.route(a=9, b=1))
    assert (await stage.read()).changing is False
    receipt = await stage.apply(TO_20)
    assert receipt.status is ReceiptStatus.DONE
    assert (await stage.read()).changing is True  # the status is of the generation before
    second = {"parentRefs": [{"name": "front"}, {"name": "absent"}]}
    stage.cluster.delay_s = 0.0
    stage.cluster.write(CHAT, {"spec": second}, "kubectl")
    assert (await stage.read()).changing is True  # one of two has not said a word


@pytest.mark.parametrize("kind", ["Accepted", "ResolvedRefs"])
async def test_what_a_gateway_refuses_is_no_reading(stage: Stage, kind: str) -> None:
    stage.cluster.create(fake.ROUTES, fake.route(a=9, b=1))
    parent = stage.found(CHAT)["status"]["parents"][0]
    told = {"type": kind, "status": "False", "reason": "BackendNotFound", "observedGeneration": 1}
    parent["conditions"] = [told]
    with pytest.raises(ActuatorError, match=f"{kind} is False, BackendNotFound"):
        await stage.read()


async def test_a_route_without_a_gateway_is_no_reading(stage: Stage) -> None:
    route = fake.route(a=9, b=1)
    route["spec"]["parentRefs"] = []
    stage.cluster.create(fake.ROUTES, route)
    with pytest.raises(ActuatorError, match="names no gateway"):
        await stage.read()


@pytest.mark.parametrize("status", [403, 404, 422])
async def test_a_no_of_the_api_server_is_not_applied(stage: Stage, status: int) -> None:
    stage.cluster.create(fake.ROUTES, fake.route(a=9, b=1))
    stage.cluster.refuse_writes = {CHAT: status}
    receipt = await stage.apply(TO_20)
    assert (receipt.status, receipt.conflict) == (ReceiptStatus.NOT_APPLIED, False)
    assert f"status {status}" in receipt.detail


async def test_a_500_to_a_write_is_unknown(stage: Stage) -> None:
    stage.cluster.create(fake.ROUTES, fake.route(a=9, b=1))
    stage.cluster.refuse_writes = {CHAT: 500}
    assert (await stage.apply(TO_20)).status is ReceiptStatus.UNKNOWN


@pytest.mark.parametrize(
    "changes",
    [
        {"backends": {"a": "chat"}},
        {"backends": {"a": "chat", "b": "chat"}},
        {"backends": {"a": "chat", "b": "../x"}},
        {"stable": "x"},
        {"rule": -1},
        {"rule": 16},
        {"route": ""},
        {"routes": "chat"},
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    base = {"url": "https://cluster", "namespace": "ml", "route": "chat", "backends": BACKENDS}
    with pytest.raises(ValidationError):
        HTTPRouteConfig(**(base | changes))
