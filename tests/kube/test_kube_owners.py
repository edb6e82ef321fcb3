"""Who else decides, with the real controllers at work: autoscalers, budgets, rights, versions."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "actuators"))
import kube_kinds
import kubernetes_fake as fake
from kube_acting import acting, settled
from kube_cluster import Kube
from kube_targets import autoscaler, deploy, set_of, settings

from homeostat.adapters.actuators import _kubernetes_owner as owner
from homeostat.adapters.actuators._kubernetes_api import Api
from homeostat.adapters.actuators.rollout import RolloutConfig, build
from homeostat.base.intent import ReceiptStatus
from homeostat.base.units import TimeNs

pytestmark = [pytest.mark.live]
TO_1 = (("replicas.a", 1),)
TO_2 = (("replicas.a", 2),)
TO_3 = (("replicas.a", 3),)
TO_4 = (("replicas.a", 4),)
HPA: dict[str, Any] = {"scale": "HorizontalPodAutoscaler"}


def budget(kube: Kube, home: str, allowed: int, **spec: Any) -> str:
    """Create a disruption budget, wait until it allows so many, and return its path."""
    path = f"/apis/policy/v1beta1/namespaces/{home}/poddisruptionbudgets"
    selector = {"matchLabels": {"app": "chat"}}
    kube.create(path, {"metadata": {"name": "chat"}, "spec": {"selector": selector} | spec})
    found = f"{path}/chat"

    def holds() -> bool:
        said = kube.get(found)
        status, generation = said.get("status", {}), said["metadata"]["generation"]
        fresh = status.get("observedGeneration", 0) >= generation
        return fresh and bool(status.get("disruptionsAllowed") == allowed)

    kube.until(holds, f"{allowed} disruptions allowed")
    return found


async def test_the_versions_that_it_serves_are_found(kube: Kube, home: str) -> None:
    api = Api(kube.url, token_file=kube.token_file(), ca_file=kube.ca)
    below = f"/namespaces/{home}"
    try:
        for kind, version in (
            (owner.HPA, "v2beta2"),
            (owner.BUDGET, "v1beta1"),
            (owner.ROUTE, "v1"),
            (owner.DEPLOYMENT, "v1"),
        ):
            assert await api.listed(kind, below) == []
            path = await api.path(kind, below, "x")
            assert path == f"/apis/{kind.group}/{version}{below}/{kind.plural}/x"
        nowhere = owner.Kind("Thing", "things.example", ("v1",), "things")
        assert await api.listed(nowhere, below) == []
        beside = owner.Kind("Thing", "apps", ("v1",), "things")
        assert await api.listed(beside, below) == []
    finally:
        await api.close()


async def test_an_autoscaler_owns_its_deployment_and_is_acted_through_by_its_floor(
    kube: Kube, home: str, tmp_path: Path
) -> None:
    deploy(kube, home)
    path = autoscaler(kube, home)
    stage = acting(kube, home, tmp_path)
    assert (await stage.read()).levers == ()
    refused = await stage.apply(TO_4)
    assert refused.status is ReceiptStatus.NOT_APPLIED
    assert "HorizontalPodAutoscaler/chat decides that" in refused.detail
    assert (await stage.read(**HPA)).levers == TO_2
    receipt = await stage.apply(TO_4, intent={}, **HPA)
    assert receipt.status is ReceiptStatus.DONE, receipt
    await settled(stage, 4, **HPA)  # its controller has raised the Deployment
    fields = kube.get(path)["metadata"]["managedFields"]
    (ours,) = [one for one in fields if one["manager"] == "homeostat"]
    assert ours["apiVersion"] == "autoscaling/v2beta2"
    over = await stage.apply((("replicas.a", 7),), intent={"id": "d-3.0.0"}, **HPA)
    assert "ceiling of 6" in over.detail
    allowed: dict[str, Any] = {**HPA, "ceiling": 8}
    undo = (("replicas.a", 4),)
    raised = await stage.apply((("replicas.a", 7),), intent={"id": "d-7.0.0"}, **allowed)
    assert raised.status is ReceiptStatus.DONE, raised
    spec = kube.get(path)["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (7, 7)
    back = await stage.apply(undo, intent={"id": "d-7.0.0.undo", "undo": True}, **allowed)
    assert back.status is ReceiptStatus.DONE, back
    spec = kube.get(path)["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (4, 6)


async def test_a_budget_that_is_worked_out_by_its_controller_is_kept(
    kube: Kube, home: str, tmp_path: Path
) -> None:
    deploy(kube, home, replicas=4)
    stage = acting(kube, home, tmp_path)
    await settled(stage, 4)
    path = budget(kube, home, 1, maxUnavailable=1)
    receipt = await stage.apply(TO_2)
    assert receipt.status is ReceiptStatus.NOT_APPLIED
    assert "PodDisruptionBudget/chat allows 1 fewer, not 2" in receipt.detail
    assert (await stage.apply(TO_3)).status is ReceiptStatus.DONE
    await settled(stage, 3)
    kube.delete(path)
    budget(kube, home, 0, minAvailable=3)
    receipt = await stage.apply(TO_1, intent={"id": "d-3.0.0", "undo": True})
    assert receipt.status is ReceiptStatus.NOT_APPLIED
    assert "wants 3 at least" in receipt.detail
    assert (await stage.read()).levers == TO_3


async def test_a_canary_a_rollout_and_a_scaled_object_are_found_by_name(
    kube: Kube, home: str, tmp_path: Path
) -> None:
    deploy(kube, home)
    stage = acting(kube, home, tmp_path)
    for kind in (owner.CANARY, owner.ROLLOUT, owner.KEDA):
        reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"}
        obj = {"metadata": {"name": "other"}, "spec": {kind.reference: reference}}
        path = kube_kinds.put(kube, kind, home, obj)
        receipt = await stage.apply(TO_4)
        assert receipt.status is ReceiptStatus.NOT_APPLIED
        assert f"{kind.name}/other decides that" in receipt.detail
        kube.delete(path)
    assert (await stage.apply(TO_4)).status is ReceiptStatus.DONE


async def test_pods_of_both_versions_of_a_rollout_are_told_apart(kube: Kube, home: str) -> None:
    steps = ({"setWeight": 5}, fake.HELD)
    kube_kinds.put(kube, owner.ROLLOUT, home, fake.rollout(*steps))
    for name, count in (("old", 2), ("new", 1)):
        labels = {"app": "chat", "rollouts-pod-template-hash": name}
        set_of(kube, home, f"chat-{name}", count, labels)
    made = build(RolloutConfig(**settings(kube, home, rollout="chat", port=8080)))
    world = await made.read("m", TimeNs(1))
    await made.close()
    assert sorted(one.pool for one in world.replicas) == ["a", "a", "b"]
    assert world.levers == (("replicas.a", 4), ("weight.b", 5))
