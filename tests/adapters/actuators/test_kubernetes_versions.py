"""Which version of a kind is asked for: the best that is served and known, or nobody knows."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import kubernetes_fake as fake
from kubernetes_stage import NOW, Stage

from homeostat.adapters.actuators.httproute import HTTPRouteConfig
from homeostat.adapters.actuators.httproute import build as build_route
from homeostat.adapters.actuators.kubernetes import KubernetesConfig, build
from homeostat.base.errors import ActuatorError
from homeostat.base.intent import ReceiptStatus

TO_4 = (("replicas.a", 4),)
TO_2 = (("replicas.a", 2),)
HPAS = "/apis/autoscaling/{}/namespaces/ml/horizontalpodautoscalers"
BUDGETS = "/apis/policy/{}/namespaces/ml/poddisruptionbudgets"


def scaler(name: str = "chat") -> dict[str, Any]:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"}
    return {
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "uid": "uid-hpa"},
        "spec": {"scaleTargetRef": reference, "minReplicas": 2, "maxReplicas": 6},
    }


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    cluster = fake.Cluster(installed=(fake.DEPLOYMENTS,))
    cluster.create(fake.DEPLOYMENTS, fake.deployment())
    with fake.serving(cluster) as port:
        settings = {"namespace": "ml", "deployment": "chat"}
        yield Stage(
            cluster, port, tmp_path, lambda **said: build(KubernetesConfig(**said)), settings
        )


@pytest.mark.parametrize(
    ("served", "best"),
    [
        (("v1", "v2"), "v2"),
        (("v1", "v2beta1", "v2beta2"), "v2beta2"),
        (("v1", "v2beta2", "v2", "v3"), "v2"),
        (("v1", "v2beta1"), "v1"),
    ],
)
async def test_an_autoscaler_is_read_and_written_in_the_best_version_that_is_served(
    stage: Stage, served: tuple[str, ...], best: str
) -> None:
    stage.cluster.lists |= {HPAS.format(one): {} for one in served}
    stage.cluster.create(HPAS.format(best), scaler())
    ours: dict[str, Any] = {"scale": "HorizontalPodAutoscaler"}
    assert (await stage.read(**ours)).levers == (("replicas.a", 2),)
    assert (await stage.apply(TO_4, **ours)).status is ReceiptStatus.DONE
    assert stage.cluster.patched == [f"{HPAS.format(best)}/chat"]
    assert (await stage.read()).levers == ()  # without it, it is somebody else


async def test_a_kind_that_is_served_in_unknown_versions_alone_is_not_taken_for_absent(
    stage: Stage,
) -> None:
    stage.cluster.lists["/apis/keda.sh/v9/namespaces/ml/scaledobjects"] = {}
    assert (await stage.read()).levers == ()
    receipt = await stage.apply(TO_4)
    assert receipt.status is ReceiptStatus.NOT_APPLIED
    assert "keda.sh is served as v9; known here are v1alpha1" in receipt.detail
    assert stage.cluster.patches == []


async def test_a_group_without_the_kind_is_nobody(stage: Stage) -> None:
    stage.cluster.lists["/apis/argoproj.io/v1alpha1/namespaces/ml/applications"] = {}
    assert (await stage.read()).levers == (("replicas.a", 3),)


@pytest.mark.parametrize(
    "answer",
    [{}, {"versions": None}, {"versions": []}, {"versions": [None]}, {"versions": [{}]}],
)
async def test_an_odd_word_on_versions_says_nothing_of_owners(
    stage: Stage, answer: dict[str, Any]
) -> None:
    stage.cluster.odd = {"/apis/keda.sh": answer}
    assert (await stage.read()).levers == ()
    assert (await stage.apply(TO_4)).status is ReceiptStatus.NOT_APPLIED


@pytest.mark.parametrize("status", [403, 500])
async def test_who_may_not_ask_for_versions_does_not_write(stage: Stage, status: int) -> None:
    stage.cluster.refuse = {"/apis/flagger.app": status}
    receipt = await stage.apply(TO_4)
    assert receipt.status is ReceiptStatus.NOT_APPLIED
    assert "nobody knows who (of canaries" in receipt.detail


async def test_after_an_upgrade_the_new_version_is_found_by_itself(stage: Stage) -> None:
    old, new = HPAS.format("v2beta2"), HPAS.format("v2")
    stage.cluster.lists[old] = {}
    looking, acting = stage.actuator(), stage.actuator(scale="HorizontalPodAutoscaler")
    stage.cluster.create(old, scaler("other"))
    stage.cluster.create(old, scaler())
    try:
        assert (await looking.read("m", NOW)).levers == ()
        assert (await acting.read("m", NOW)).levers == ()  # `other` scales it as well
        stage.cluster.lists[old].pop("other")
        assert (await acting.read("m", NOW)).levers == (("replicas.a", 2),)
        stage.cluster.lists[new] = stage.cluster.lists.pop(old)
        assert (await looking.read("m", NOW)).levers == ()
        with pytest.raises(ActuatorError, match="404"):  # once; where it is now is asked then
            await acting.read("m", NOW)
        assert (await acting.read("m", NOW)).levers == (("replicas.a", 2),)
        stage.cluster.lists[new].clear()
        assert (await looking.read("m", NOW)).levers == (("replicas.a", 3),)
    finally:
        await looking.close()
        await acting.close()


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_budgets_are_asked_in_the_version_that_is_served(stage: Stage, version: str) -> None:
    budget = {
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "chat"},
        "spec": {"minAvailable": 3, "selector": {"matchLabels": {"app": "chat"}}},
    }
    stage.cluster.create(BUDGETS.format(version), budget)
    receipt = await stage.apply(TO_2)
    assert receipt.status is ReceiptStatus.NOT_APPLIED
    assert "wants 3 at least" in receipt.detail


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_a_route_is_written_in_the_version_that_is_served(
    tmp_path: Path, version: str
) -> None:
    path = f"/apis/gateway.networking.k8s.io/{version}/namespaces/ml/httproutes"
    cluster = fake.Cluster(installed=(path,))
    cluster.create(path, fake.route(a=90, b=10))
    with fake.serving(cluster) as port:
        backends = {"a": "chat-a", "b": "chat-b"}
        settings = {"namespace": "ml", "route": "chat", "backends": backends}
        made = Stage(
            cluster, port, tmp_path, lambda **said: build_route(HTTPRouteConfig(**said)), settings
        )
        assert (await made.apply((("weight.b", 30),))).status is ReceiptStatus.DONE
    assert cluster.patched == [f"{path}/chat"]
