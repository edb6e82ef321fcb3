"""The ceiling of an HPA or KEDA: it follows the floor as far as it may, and comes back with it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

sys.path.insert(0, str(Path(__file__).parent))
import kubernetes_fake as fake
from kubernetes_stage import Stage

from homeostat.adapters.actuators import _kubernetes_ceiling as ceiling
from homeostat.adapters.actuators.kubernetes import KubernetesConfig, build
from homeostat.base.intent import Receipt, ReceiptStatus

DONE, NOT_APPLIED = ReceiptStatus.DONE, ReceiptStatus.NOT_APPLIED
HPA: dict[str, Any] = {
    "scale": "HorizontalPodAutoscaler",
    "path": fake.SCALERS,
    "low": "minReplicas",
    "high": "maxReplicas",
}
KEDA: dict[str, Any] = {
    "scale": "ScaledObject",
    "path": fake.SCALED,
    "low": "minReplicaCount",
    "high": "maxReplicaCount",
}


class Scaler(Stage):
    """One autoscaler from 2 to 6 that may be given a ceiling of 10."""

    kind: dict[str, Any]

    def spec(self) -> tuple[int, int | None]:
        spec = self.found(f"{self.kind['path']}/chat")["spec"]
        return spec[self.kind["low"]], spec.get(self.kind["high"])

    def note(self) -> str | None:
        notes = self.found(f"{self.kind['path']}/chat")["metadata"].get("annotations", {})
        found: str | None = notes.get(ceiling.WAS)
        return found

    def foreign(self, **spec: int) -> None:
        status, _ = self.cluster.write(f"{self.kind['path']}/chat", {"spec": spec}, "kubectl-edit")
        assert status == 200

    async def to(self, floor: int, number: int = 1, **changes: Any) -> Receipt:
        post = (("replicas.a", floor),)
        return await self.apply(post, intent={"id": f"d-{number}.0.0"}, **changes)


@pytest.fixture(params=[HPA, KEDA], ids=["hpa", "keda"])
def scaler(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scaler]:
    cluster, kind = fake.Cluster(), request.param
    cluster.create(fake.DEPLOYMENTS, fake.deployment())
    reference = {"kind": "Deployment", "name": "chat"}
    spec = {"scaleTargetRef": reference, kind["low"]: 2, kind["high"]: 6}
    obj = {"kind": kind["scale"], "metadata": {"name": "chat", "uid": "u"}, "spec": spec}
    cluster.create(kind["path"], obj)
    settings = {"namespace": "ml", "deployment": "chat", "scale": kind["scale"], "ceiling": 10}
    with fake.serving(cluster) as port:
        made = Scaler(
            cluster, port, tmp_path, lambda **said: build(KubernetesConfig(**said)), settings
        )
        made.kind = kind
        yield made


async def test_it_follows_the_floor_in_one_write_and_comes_back_with_it(scaler: Scaler) -> None:
    assert (await scaler.to(6)).status is DONE
    assert (scaler.spec(), scaler.note()) == ((6, 6), None)
    assert (await scaler.to(8, 2)).status is DONE
    assert (scaler.spec(), scaler.note()) == ((8, 8), "6 8")
    assert (await scaler.to(10, 3)).status is DONE
    assert (scaler.spec(), scaler.note()) == ((10, 10), "6 10")
    assert len(scaler.cluster.patches) == 3
    assert (await scaler.to(7, 4)).status is DONE
    assert (scaler.spec(), scaler.note()) == ((7, 7), "6 7")
    assert (await scaler.to(2, 5)).status is DONE
    assert (scaler.spec(), scaler.note()) == ((2, 6), None)
    stamp = (await scaler.read()).stamp("kubernetes")
    assert stamp is not None
    assert stamp.intent == "d-5.0.0"


async def test_beyond_what_is_allowed_it_is_refused_with_both_numbers(scaler: Scaler) -> None:
    over = await scaler.to(11)
    assert (over.status, over.conflict) == (NOT_APPLIED, False)
    assert "has a ceiling of 6, which may be raised to 10" in over.detail
    never = await scaler.to(7, 2, ceiling=None)
    assert (never.status, "ceiling of 6; raise it there first" in never.detail) == (
        NOT_APPLIED,
        True,
    )
    assert (scaler.spec(), scaler.cluster.patches) == ((2, 6), [])


async def test_a_ceiling_that_somebody_set_since_is_theirs(scaler: Scaler) -> None:
    assert (await scaler.to(8)).status is DONE
    scaler.foreign(**{scaler.kind["high"]: 9})
    assert (await scaler.to(2, 2)).status is DONE
    assert scaler.spec() == (2, 9)  # not 6, which nobody wants any more


async def test_a_raised_ceiling_is_never_a_floors_end_without_leave(scaler: Scaler) -> None:
    """Taken out of the configuration meanwhile: the floor still comes down, the ceiling stays."""
    assert (await scaler.to(8)).status is DONE
    assert (await scaler.to(3, 2, ceiling=None)).status is DONE
    assert scaler.spec() == (3, 8)
    assert (await scaler.to(7, 3, ceiling=None)).status is DONE
    assert scaler.spec() == (7, 8)


async def test_who_owns_the_ceiling_decides_it(scaler: Scaler) -> None:
    fields: dict[str, Any] = {"f:spec": {f"f:{scaler.kind['high']}": {}}}
    scaler.found(f"{scaler.kind['path']}/chat")["metadata"]["managedFields"] = [
        {"manager": "argocd-controller", "operation": "Update", "fieldsV1": fields}
    ]
    assert (await scaler.to(5)).status is DONE  # the floor is nobody's
    said = await scaler.to(8, 2)
    assert (said.status, said.conflict) == (NOT_APPLIED, False)
    assert f"argocd-controller, which sets spec.{scaler.kind['high']}" in said.detail
    assert scaler.spec() == (5, 6)


@pytest.mark.parametrize("scaler", [KEDA], ids=["keda"], indirect=True)  # an HPA must write it
async def test_what_is_not_written_is_kedas_hundred(scaler: Scaler) -> None:
    del scaler.found(f"{fake.SCALED}/chat")["spec"]["maxReplicaCount"]
    over = await scaler.to(101)
    assert (over.status, "ceiling of 100" in over.detail) == (NOT_APPLIED, True)
    assert (await scaler.to(50, 2)).status is DONE
    assert scaler.spec() == (50, None)


@pytest.mark.parametrize("note", ["", "6", "six 6", "-1 6", "6 x", "6 7", "٦ 6", "6 6 6"])
def test_a_note_that_makes_no_sense_is_none(note: str) -> None:
    obj = {"metadata": {"annotations": {ceiling.WAS: note}}, "spec": {"maxReplicas": 6}}
    assert ceiling.of(obj, "minReplicas", 10).was == 6


@pytest.mark.parametrize("odd", ["6", 6.5, True])
def test_a_ceiling_that_is_no_number_is_an_error(odd: Any) -> None:
    with pytest.raises(ValueError, match="maxReplicas"):
        ceiling.of({"metadata": {}, "spec": {"maxReplicas": odd}}, "minReplicas", 10)


@pytest.mark.parametrize("odd", [0, -1, 10_001, "many"])
def test_a_limit_that_makes_no_sense_is_refused(odd: Any) -> None:
    with pytest.raises(ValidationError):
        KubernetesConfig(url="https://x", namespace="ml", deployment="chat", ceiling=odd)
