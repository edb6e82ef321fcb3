"""Which lever each deployment mode has, who else sets it, and when KServe has handed it on."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

sys.path.insert(0, str(Path(__file__).parent))
import kubernetes_fake as fake
from kubernetes_stage import Stage

from homeostat.adapters.actuators.kserve import KServeConfig, build
from homeostat.base.errors import ActuatorError
from homeostat.base.intent import ReceiptStatus

CHAT = f"{fake.SERVICES}/chat"
CANARIES = "/apis/flagger.app/v1beta1/namespaces/ml/canaries"
TO_30 = (("weight.b", 30),)
TO_3 = (("replicas.a", 3),)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    cluster = fake.Cluster(installed=(fake.SERVICES, fake.BUDGETS, fake.SCALERS))
    with fake.serving(cluster) as port:
        settings = {"namespace": "ml", "service": "chat", "canary": "b", "port": 8080}
        yield Stage(cluster, port, tmp_path, lambda **said: build(KServeConfig(**said)), settings)


def standard(stage: Stage, *, scaler: bool = True, **predictor: Any) -> None:
    """Create one with raw Deployments, and what KServe makes of it."""
    stage.cluster.create(fake.SERVICES, fake.service("RawDeployment", **predictor))
    floor = predictor.get("minReplicas", 1)
    stage.cluster.create(fake.DEPLOYMENTS, fake.deployment("chat-predictor", replicas=floor))
    if scaler:
        hpa = {
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "chat-predictor"},
            "spec": {"minReplicas": floor, "maxReplicas": 9},
        }
        stage.cluster.create(fake.SCALERS, hpa)


def revisions(stage: Stage) -> dict[str, Any]:
    found: dict[str, Any] = stage.found(CHAT)["status"]["components"]["predictor"]
    return found


async def test_in_serverless_mode_the_lever_is_the_latest_revisions_share(stage: Stage) -> None:
    stage.cluster.create(fake.SERVICES, fake.service(canaryTrafficPercent=10))
    world = await stage.read()
    assert world.levers == (("weight.b", 10),)
    assert [(one.name, one.pool) for one in world.replicas] == [
        ("chat-predictor-00001-x", "a"),
        ("chat-predictor-00002-x", "b"),
    ]
    assert world.changing is False
    assert (await stage.apply(TO_30)).status is ReceiptStatus.DONE
    (patch,) = stage.cluster.patches
    assert patch["spec"] == {"predictor": {"canaryTrafficPercent": 30}}
    assert [one["percent"] for one in revisions(stage)["traffic"]] == [30, 70]


async def test_all_of_the_traffic_can_be_taken_back(stage: Stage) -> None:
    stage.cluster.create(fake.SERVICES, fake.service(canaryTrafficPercent=10))
    for number, share in enumerate((100, 10, 0, 50, 100, 0)):
        receipt = await stage.apply(
            (("weight.b", share),), intent={"id": f"d-{number}.0.0", "undo": number % 2 == 1}
        )
        assert receipt.status is ReceiptStatus.DONE, receipt
        world = await stage.read()
        assert (world.levers, world.changing) == ((("weight.b", share),), False)
        on_first = {one["revisionName"]: one["percent"] for one in revisions(stage)["traffic"]}
        assert on_first.get("chat-predictor-00001", 0) == 100 - share


@pytest.mark.parametrize(
    ("predictor", "said"),
    [
        ({}, {}),  # a new revision takes all at once: there is nothing to divide
        (
            {"canaryTrafficPercent": 10},
            {"latestRolledoutRevision": "chat-predictor-00002"},  # and none before it
        ),
        ({"canaryTrafficPercent": 10}, {"latestReadyRevision": ""}),
    ],
)
async def test_without_two_revisions_there_is_no_share(
    stage: Stage, predictor: dict[str, Any], said: dict[str, Any]
) -> None:
    stage.cluster.create(fake.SERVICES, fake.service(**predictor))
    revisions(stage).update(said)
    if not predictor:
        revisions(stage).update(previousRolledoutRevision="")
    assert (await stage.read()).levers == ()
    assert (await stage.apply(TO_30)).status is ReceiptStatus.NOT_APPLIED
    assert stage.cluster.patches == []


async def test_a_revision_that_is_not_ready_yet_keeps_it_changing(stage: Stage) -> None:
    stage.cluster.create(fake.SERVICES, fake.service(canaryTrafficPercent=10))
    revisions(stage)["latestCreatedRevision"] = "chat-predictor-00003"
    assert (await stage.read()).changing is True


async def test_it_changes_until_knative_divides_as_the_spec_says(stage: Stage) -> None:
    stage.cluster.create(fake.SERVICES, fake.service(canaryTrafficPercent=10))
    stage.cluster.delay_s = 3600.0
    assert (await stage.apply(TO_30)).status is ReceiptStatus.DONE
    world = await stage.read()
    assert (world.levers, world.changing) == (TO_30, True)


async def test_replicas_are_no_lever_of_serverless_nor_shares_of_the_other(stage: Stage) -> None:
    stage.cluster.create(fake.SERVICES, fake.service(canaryTrafficPercent=10))
    assert (await stage.apply(TO_3)).status is ReceiptStatus.NOT_APPLIED
    stage.cluster.lists[fake.SERVICES].clear()
    standard(stage, minReplicas=2)
    assert (await stage.read()).levers == (("replicas.a", 2),)
    assert (await stage.apply(TO_30)).status is ReceiptStatus.NOT_APPLIED
    assert stage.cluster.patches == []


@pytest.mark.parametrize("scaler", [True, False])
async def test_in_standard_mode_it_is_the_floor_and_changes_until_it_is_handed_on(
    stage: Stage,
    *,
    scaler: bool,
) -> None:
    standard(stage, scaler=scaler, minReplicas=2, maxReplicas=5)
    world = await stage.read()
    assert (world.levers, world.changing) == ((("replicas.a", 2),), False)
    assert [one.pool for one in world.replicas] == ["a", "a"]
    assert (await stage.apply(TO_3)).status is ReceiptStatus.DONE
    assert (await stage.read()).changing is True
    below = f"{fake.SCALERS if scaler else fake.DEPLOYMENTS}/chat-predictor"
    handed = {"minReplicas": 3} if scaler else {"replicas": 3}
    stage.cluster.write(below, {"spec": handed}, "kserve")
    assert (await stage.read()).changing is False
    over = await stage.apply((("replicas.a", 6),), intent={"id": "d-3.0.0"})
    assert (over.status, "maxReplicas of 5" in over.detail) == (ReceiptStatus.NOT_APPLIED, True)


BATCHER = {"maxBatchSize": 8, "maxLatency": 50, "timeout": 60}
BATCHES = (("batch_max", 16), ("batch_wait_ms", 20))


def noted(stage: Stage, size: int, wait: int, **status: int) -> None:
    """Hand the batcher's numbers to the Deployment, as KServe does."""
    marks = {
        "internal.serving.kserve.io/batcher-max-batchsize": str(size),
        "internal.serving.kserve.io/batcher-max-latency": str(wait),
    }
    below = f"{fake.DEPLOYMENTS}/chat-predictor"
    change = {"spec": {"template": {"metadata": {"annotations": marks}}}}
    stage.cluster.write(below, change, "kserve")
    stage.found(below)["status"].update(status)


async def test_a_batcher_of_standard_mode_is_two_levers_until_its_pods_are_replaced(
    stage: Stage,
) -> None:
    standard(stage, minReplicas=2, batcher=dict(BATCHER))
    noted(stage, 8, 50)
    world = await stage.read()
    assert world.levers == (("batch_max", 8), ("batch_wait_ms", 50), ("replicas.a", 2))
    assert world.changing is False
    assert (await stage.apply((*BATCHES, ("replicas.a", 3)))).status is ReceiptStatus.DONE
    (patch,) = stage.cluster.patches
    wanted = {"maxBatchSize": 16, "maxLatency": 20}
    assert patch["spec"] == {"predictor": {"minReplicas": 3, "batcher": wanted}}
    assert stage.found(CHAT)["spec"]["predictor"]["batcher"] == {**BATCHER, **wanted}
    below = {"spec": {"minReplicas": 3}}
    stage.cluster.write(f"{fake.SCALERS}/chat-predictor", below, "kserve")
    assert (await stage.read()).changing is True  # KServe has not noted it
    noted(stage, 16, 20, updatedReplicas=1)
    assert (await stage.read()).changing is True  # one pod of two is as before
    noted(stage, 16, 20)
    assert (await stage.read()).changing is False
    undo = (("batch_max", 8), ("batch_wait_ms", 50))
    back = await stage.apply(undo, intent={"id": "d-2.0.0.undo", "undo": True})
    assert back.status is ReceiptStatus.DONE
    assert stage.found(CHAT)["spec"]["predictor"]["batcher"] == BATCHER


async def test_what_a_batcher_does_not_say_is_no_lever(stage: Stage) -> None:
    standard(stage, minReplicas=2, batcher={"maxLatency": 50})
    assert dict((await stage.read()).levers) == {"replicas.a": 2, "batch_wait_ms": 50}
    assert (await stage.apply((("batch_max", 16),))).status is ReceiptStatus.NOT_APPLIED
    stage.found(CHAT)["spec"]["predictor"]["batcher"] = {"maxBatchSize": "8"}
    with pytest.raises(ActuatorError, match=r"batcher\.maxBatchSize is '8'"):
        await stage.read()


async def test_batches_of_serverless_belong_to_a_revision_and_are_no_lever(stage: Stage) -> None:
    stage.cluster.create(
        fake.SERVICES, fake.service(canaryTrafficPercent=10, batcher=dict(BATCHER))
    )
    assert (await stage.read()).levers == (("weight.b", 10),)
    assert (await stage.apply(BATCHES)).status is ReceiptStatus.NOT_APPLIED
    assert stage.cluster.patches == []


@pytest.mark.parametrize("value", [0, -1, 2.5, "many", 10_000_000])
async def test_batches_that_no_agent_has_are_refused(stage: Stage, value: Any) -> None:
    standard(stage, minReplicas=2, batcher=dict(BATCHER))
    receipt = await stage.apply((("batch_max", value),))
    assert (receipt.status, "whole number" in receipt.detail) == (ReceiptStatus.NOT_APPLIED, True)


async def test_who_applies_the_batcher_owns_it_and_nothing_else(stage: Stage) -> None:
    standard(stage, minReplicas=2, batcher=dict(BATCHER))
    fields: dict[str, Any] = {"f:spec": {"f:predictor": {"f:batcher": {"f:maxBatchSize": {}}}}}
    stage.found(CHAT)["metadata"]["managedFields"] = [
        {"manager": "fleet", "operation": "Apply", "fieldsV1": fields}
    ]
    assert dict((await stage.read()).levers) == {"replicas.a": 2, "batch_wait_ms": 50}
    receipt = await stage.apply((("batch_max", 16),))
    assert receipt.status is ReceiptStatus.NOT_APPLIED
    assert "fleet, which sets spec.predictor.batcher.maxBatchSize" in receipt.detail


def canaries(stage: Stage, *, ready: bool = True, **shares: int) -> None:
    """Create one with canaries in Standard mode, and what KServe 0.20 makes of it."""
    standard(stage, minReplicas=3)
    spec = [
        {"trafficPercent": share, "predictor": {"name": name, "model": {"storageUri": "s3://x"}}}
        for name, share in shares.items()
    ]
    told = [{"name": name, "ready": ready, "trafficPercent": 0} for name in shares]
    stage.cluster.write(CHAT, {"spec": {"canary": spec}}, "kubectl")
    stage.found(CHAT)["status"]["canaryStatuses"] = told
    for name in shares:
        stage.cluster.create(fake.DEPLOYMENTS, fake.deployment(f"chat-{name}-predictor", 1))
    stage.cluster.create(fake.ROUTES, fake.route("chat-predictor"))
    routed(stage, **shares)


def routed(stage: Stage, **shares: int) -> None:
    """Divide the traffic as KServe's applyCanaryWeights does."""
    refs = [{"name": "chat-predictor", "weight": 100 - sum(shares.values())}]
    refs += [{"name": f"chat-{name}-predictor", "weight": one} for name, one in shares.items()]
    rules = [{"backendRefs": refs}]
    stage.cluster.write(f"{fake.ROUTES}/chat-predictor", {"spec": {"rules": rules}}, "kserve")


async def test_a_canary_of_standard_mode_has_a_share_and_its_own_pods(stage: Stage) -> None:
    canaries(stage, v2=10)
    world = await stage.read()
    assert (world.levers, world.changing) == ((("weight.b", 10),), False)
    assert [one.pool for one in world.replicas] == ["a", "a", "a", "b"]
    assert (await stage.apply(TO_30)).status is ReceiptStatus.DONE
    (entry,) = stage.found(CHAT)["spec"]["canary"]
    model = {"storageUri": "s3://x"}
    assert entry == {"trafficPercent": 30, "predictor": {"name": "v2", "model": model}}
    assert (await stage.read()).changing is True  # the route says 10 still
    routed(stage, v2=30)
    assert (await stage.read()).changing is False
    assert (await stage.apply(TO_3, intent={"id": "d-3.0.0"})).status is ReceiptStatus.NOT_APPLIED


async def test_which_of_two_canaries_must_be_said_and_all_get_no_more_than_there_is(
    stage: Stage,
) -> None:
    canaries(stage, v2=10, v3=60)
    with pytest.raises(ActuatorError, match="say which"):
        await stage.read()
    assert (await stage.read(entry="v3")).levers == (("weight.b", 60),)
    over = await stage.apply((("weight.b", 50),), entry="v2")
    assert (over.status, "would get 110 %" in over.detail) == (ReceiptStatus.NOT_APPLIED, True)
    assert (await stage.apply((("weight.b", 40),), entry="v2")).status is ReceiptStatus.DONE
    shares = [one["trafficPercent"] for one in stage.found(CHAT)["spec"]["canary"]]
    assert shares == [40, 60]


async def test_a_canary_that_is_not_ready_keeps_it_changing(stage: Stage) -> None:
    canaries(stage, ready=False, v2=10)
    assert (await stage.read()).changing is True


async def test_without_a_route_of_kserves_nothing_divides_and_nothing_is_read(stage: Stage) -> None:
    canaries(stage, v2=10)
    stage.cluster.lists[fake.ROUTES].clear()
    with pytest.raises(ActuatorError, match="status 404"):
        await stage.read()


async def test_a_budget_keeps_the_floor(stage: Stage) -> None:
    standard(stage, minReplicas=4)
    budget = {
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "b"},
        "spec": {"selector": {"matchLabels": {"app": "chat-predictor"}}, "minAvailable": 4},
        "status": {"disruptionsAllowed": 0, "observedGeneration": 1},
    }
    stage.cluster.create(fake.BUDGETS, budget)
    receipt = await stage.apply(TO_3)
    assert (receipt.status, "wants 4" in receipt.detail) == (ReceiptStatus.NOT_APPLIED, True)


def argo(field: str) -> dict[str, Any]:
    fields: dict[str, Any] = {"f:spec": {"f:predictor": {f"f:{field}": {}}}}
    entry = {"manager": "argocd-controller", "operation": "Update", "fieldsV1": fields}
    return {"managedFields": [entry]}


@pytest.mark.parametrize(
    ("meta", "owned"),
    [
        (argo("canaryTrafficPercent"), True),
        (argo("model"), False),  # the share is not in Git
        (argo("minReplicas"), False),
        ({"ownerReferences": [{"kind": "App", "name": "x", "controller": True}]}, True),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "x"}, "managedFields": []}, True),
    ],
)
async def test_what_gitops_or_another_controller_sets_is_left_to_it(
    stage: Stage, meta: dict[str, Any], *, owned: bool
) -> None:
    made = fake.service(canaryTrafficPercent=10)
    made["metadata"] |= meta
    stage.cluster.create(fake.SERVICES, made)
    assert (await stage.read()).levers == (() if owned else (("weight.b", 10),))
    receipt = await stage.apply(TO_30)
    assert receipt.status is (ReceiptStatus.NOT_APPLIED if owned else ReceiptStatus.DONE)


@pytest.mark.parametrize("target", ["chat", "chat-predictor", "mail"])
async def test_so_is_what_a_flagger_canary_drives(stage: Stage, target: str) -> None:
    stage.cluster.create(fake.SERVICES, fake.service(canaryTrafficPercent=10))
    canary = {"metadata": {"name": "c"}, "spec": {"targetRef": {"name": target}}, "kind": "Canary"}
    stage.cluster.create(CANARIES, canary)
    receipt = await stage.apply(TO_30)
    assert (receipt.status is ReceiptStatus.DONE) is (target == "mail")


async def test_who_may_not_look_for_canaries_does_not_write(stage: Stage) -> None:
    stage.cluster.create(fake.SERVICES, fake.service(canaryTrafficPercent=10))
    stage.cluster.refuse = {CANARIES: 403}
    receipt = await stage.apply(TO_30)
    assert (receipt.status, "nobody knows" in receipt.detail) == (ReceiptStatus.NOT_APPLIED, True)


async def test_an_external_autoscaler_owns_the_floor(stage: Stage) -> None:
    standard(stage, minReplicas=2)
    annotations = {"serving.kserve.io/autoscalerClass": "external"}
    stage.cluster.write(CHAT, {"metadata": {"annotations": annotations}}, "kubectl")
    assert (await stage.read()).levers == ()
    assert "external" in (await stage.apply(TO_3)).detail


@pytest.mark.parametrize("mode", ["ModelMesh", "", None])
async def test_another_mode_is_no_reading(stage: Stage, mode: str | None) -> None:
    stage.cluster.create(fake.SERVICES, fake.service(canaryTrafficPercent=10))
    stage.found(CHAT)["status"]["deploymentMode"] = mode
    with pytest.raises(ActuatorError, match="deployment mode is"):
        await stage.read()


@pytest.mark.parametrize("share", [101, -1, "10", True, 2.5])
async def test_a_share_that_makes_no_sense_is_no_reading(stage: Stage, share: Any) -> None:
    stage.cluster.create(fake.SERVICES, fake.service(canaryTrafficPercent=10))
    stage.found(CHAT)["spec"]["predictor"]["canaryTrafficPercent"] = share
    with pytest.raises(ActuatorError, match="canaryTrafficPercent"):
        await stage.read()


@pytest.mark.parametrize(
    "changes",
    [
        {"canary": "a"},
        {"stable": ""},
        {"service": "../x"},
        {"port": 0},
        {"batcher": {}},
        {"entry": ""},
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    base = {"url": "https://cluster", "namespace": "ml", "service": "chat"}
    with pytest.raises(ValidationError):
        KServeConfig(**(base | changes))
