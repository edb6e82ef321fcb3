"""Who owns a Deployment's replicas, what budgets forbid, and what the actuator makes of answers."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

sys.path.insert(0, str(Path(__file__).parent))
import kubernetes_fake as fake

from homeostat.adapters.actuators import _kubernetes_owner as owner
from homeostat.adapters.actuators._kubernetes_object import ObjectActuator
from homeostat.adapters.actuators.kubernetes import KubernetesConfig, build
from homeostat.base.errors import ActuatorError
from homeostat.base.intent import Intent, Receipt, ReceiptStatus
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Levers, Snapshot

NOW = TimeNs(1_000 * SECOND)
CHAT = f"{fake.DEPLOYMENTS}/chat"
HPA = {
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "chat", "uid": "uid-hpa"},
    "spec": {
        "scaleTargetRef": {"kind": "Deployment", "name": "chat"},
        "minReplicas": 2,
        "maxReplicas": 6,
    },
}
SCALED_OBJECT = {
    "kind": "ScaledObject",
    "metadata": {"name": "chat", "uid": "uid-keda"},
    "spec": {"scaleTargetRef": {"name": "chat"}, "minReplicaCount": 2, "maxReplicaCount": 6},
}


def copy(obj: dict[str, Any], **meta: Any) -> dict[str, Any]:
    return obj | {"metadata": obj["metadata"] | meta, "spec": dict(obj["spec"])}


def budget(**spec: Any) -> dict[str, Any]:
    status = spec.pop("status", {"disruptionsAllowed": 1, "observedGeneration": 1})
    selector = {"selector": {"matchLabels": {"app": "chat"}}}
    return {
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "chat-budget"},
        "spec": selector | spec,
        "status": status,
    }


class Stage:
    """A cluster that is served, and an actuator that looks at it."""

    def __init__(self, cluster: fake.Cluster, port: int, token: Path) -> None:
        self.cluster, self.port, self.token = cluster, port, token

    def actuator(self, **changes: Any) -> ObjectActuator:
        base: dict[str, Any] = {
            "url": f"http://127.0.0.1:{self.port}",
            "namespace": "ml",
            "deployment": "chat",
            "token_file": self.token,
            "port": 8080,
            "read_timeout_s": 20.0,
        }
        return build(KubernetesConfig(**(base | changes)))

    async def read(self, **changes: Any) -> Snapshot:
        made = self.actuator(**changes)
        try:
            return await made.read("m", NOW)
        finally:
            await made.close()

    async def apply(self, post: Levers, *, intent: dict[str, Any], **changes: Any) -> Receipt:
        """Apply on what is there now, unless `intent` says otherwise."""
        world = await self.read(**changes)
        stamp = world.stamp("kubernetes")
        assert stamp is not None
        base: dict[str, Any] = {
            "id": "d-2.0.0",
            "action_id": "d-2",
            "deployment": "m",
            "actuator": "kubernetes",
            "epoch": 3,
            "stage": 0,
            "pre": tuple(one for one in world.levers if one[0] in dict(post)),
            "post": post,
            "token": stamp.token,
            "evidence_at": NOW,
            "deadline": TimeNs(NOW + 20 * SECOND),
        }
        made = self.actuator(**changes)
        try:
            return await made.apply(Intent(**(base | intent)), NOW)
        finally:
            await made.close()

    def replicas(self) -> int:
        found = self.cluster.find(CHAT)
        assert found is not None
        return int(found["spec"]["replicas"])


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    token = tmp_path / "token"
    token.write_text(f"{fake.TOKEN}\n", encoding="utf-8")
    cluster = fake.Cluster()
    cluster.create(fake.DEPLOYMENTS, fake.deployment())
    with fake.serving(cluster) as port:
        yield Stage(cluster, port, token)


TO_4 = (("replicas.a", 4),)
TO_2 = (("replicas.a", 2),)


async def test_a_scale_patches_the_version_that_was_read_and_leaves_its_name(stage: Stage) -> None:
    assert (await stage.apply(TO_4, intent={})).status is ReceiptStatus.DONE
    (patch,) = stage.cluster.patches
    assert patch["metadata"]["resourceVersion"]
    assert stage.replicas() == 4
    world = await stage.read()
    stamp = world.stamp("kubernetes")
    assert stamp is not None
    assert (stamp.intent, stamp.epoch) == ("d-2.0.0", 3)
    assert [one.address for one in world.replicas][:2] == ["10.0.0.1:8080", "10.0.0.2:8080"]
    assert [one.incarnation for one in world.replicas] == [1, 2, 3, 4]


async def test_a_status_that_changes_meanwhile_is_no_conflict(stage: Stage) -> None:
    stage.cluster.busy = 3
    assert (await stage.apply(TO_4, intent={})).status is ReceiptStatus.DONE
    assert len(stage.cluster.patches) == 4


async def test_anybody_elses_change_of_the_spec_is_one(stage: Stage) -> None:
    stamp = (await stage.read()).stamp("kubernetes")
    assert stamp is not None
    stage.cluster.write(CHAT, {"spec": {"paused": True}}, "kubectl-edit")
    receipt = await stage.apply(TO_4, intent={"token": stamp.token})
    assert (receipt.status, receipt.conflict) == (ReceiptStatus.NOT_APPLIED, True)
    assert stage.cluster.patches == []


ROLLOUTS = "/apis/argoproj.io/v1alpha1/namespaces/ml/rollouts"
CANARIES = "/apis/flagger.app/v1beta1/namespaces/ml/canaries"
REFERENCE = {"kind": "Deployment", "name": "chat"}


@pytest.mark.parametrize(
    ("path", "obj", "who"),
    [
        (fake.SCALERS, HPA, "HorizontalPodAutoscaler/chat"),
        (fake.SCALED, SCALED_OBJECT, "ScaledObject/chat"),
        (
            ROLLOUTS,
            {"kind": "Rollout", "metadata": {"name": "r"}, "spec": {"workloadRef": REFERENCE}},
            "Rollout/r",
        ),
        (
            CANARIES,
            {"kind": "Canary", "metadata": {"name": "c"}, "spec": {"targetRef": REFERENCE}},
            "Canary/c",
        ),
    ],
)
async def test_what_somebody_else_scales_is_left_alone_by_name(
    stage: Stage, path: str, obj: dict[str, Any], who: str
) -> None:
    stage.cluster.create(path, copy(obj))
    assert (await stage.read()).levers == ()
    receipt = await stage.apply(TO_4, intent={})
    assert receipt.status is ReceiptStatus.NOT_APPLIED
    assert who in receipt.detail
    assert stage.replicas() == 3


async def test_an_autoscaler_of_another_deployment_is_nobodys(stage: Stage) -> None:
    other = copy(HPA)
    other["spec"]["scaleTargetRef"] = {"kind": "Deployment", "name": "mail"}
    stage.cluster.create(fake.SCALERS, other)
    assert (await stage.read()).levers == (("replicas.a", 3),)


@pytest.mark.parametrize(
    ("kind", "path", "obj"),
    [
        ("HorizontalPodAutoscaler", fake.SCALERS, HPA),
        ("ScaledObject", fake.SCALED, SCALED_OBJECT),
    ],
)
@pytest.mark.parametrize(
    "up",
    [
        {"name": "mail"},
        {"kind": "StatefulSet", "name": "chat"},
        {"apiVersion": "example.org/v1", "kind": "Deployment", "name": "chat"},
        None,
    ],
)
@pytest.mark.parametrize("post", [(("replicas.a", 4),), ()])
async def test_a_scaler_of_another_workload_is_neither_read_nor_written(
    stage: Stage,
    kind: str,
    path: str,
    obj: dict[str, Any],
    up: dict[str, Any] | None,
    post: Levers,
) -> None:
    other = copy(obj, name="mail")
    other["spec"]["scaleTargetRef"] = up
    stage.cluster.create(path, other)
    with pytest.raises(ActuatorError, match="not Deployment/chat; name its own autoscaler"):
        await stage.read(scale=kind, scaler="mail")
    made = stage.actuator(scale=kind, scaler="mail")
    asked = Intent(
        id="d-2.0.0",
        action_id="d-2",
        deployment="m",
        actuator="kubernetes",
        epoch=3,
        stage=0,
        pre=(("replicas.a", 2),) if post else (),
        post=post,
        token="h0" if post else None,
        evidence_at=NOW,
        deadline=TimeNs(NOW + 20 * SECOND),
    )
    receipt = await made.apply(asked, NOW)
    await made.close()
    assert receipt.status is ReceiptStatus.NOT_APPLIED
    assert "not Deployment/chat" in receipt.detail
    assert stage.cluster.patches == []


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"items": None},
        {"items": {}},
        {"items": [None]},
        {"items": [{"spec": {}}]},
        {"items": [], "metadata": {"continue": "more"}},
        {"kind": "Status", "status": "Success"},
    ],
)
@pytest.mark.parametrize("path", [fake.SCALED, fake.BUDGETS])
async def test_a_list_that_is_none_or_goes_on_says_nothing_of_owners_or_budgets(
    stage: Stage, answer: dict[str, Any], path: str
) -> None:
    post = TO_2 if path == fake.BUDGETS else TO_4
    stamp = (await stage.read()).stamp("kubernetes")
    assert stamp is not None
    stage.cluster.odd = {path: answer}
    pre = (("replicas.a", 3),)
    receipt = await stage.apply(post, intent={"pre": pre, "token": stamp.token})
    assert receipt.status is ReceiptStatus.NOT_APPLIED, receipt
    assert stage.cluster.patches == []
    if path == fake.SCALED:
        assert (await stage.read()).levers == ()


async def test_what_is_no_api_server_is_not_repeated(stage: Stage) -> None:
    stage.cluster.odd = {CHAT: {"message": "s3cret"}}
    stage.cluster.refuse = {CHAT: 500}
    with pytest.raises(ActuatorError) as said:
        await stage.read()
    assert "s3cret" not in str(said.value)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"url": "https://api?x="}, "take what follows"),
        ({"url": "https://api/#x"}, "fragment"),
        ({"url": "http://api:8001", "token_file": Path("t")}, "needs https"),
        ({"url": "http://10.0.0.1:8001", "token_file": Path("t")}, "needs https"),
    ],
)
def test_an_address_that_swallows_paths_or_tells_the_token_is_refused(
    wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        KubernetesConfig(**({"namespace": "ml", "deployment": "chat"} | wrong))


@pytest.mark.parametrize("status", [403, 500])
async def test_who_cannot_look_for_owners_does_not_write(stage: Stage, status: int) -> None:
    stage.cluster.refuse = {fake.SCALED: status}
    assert (await stage.read()).levers == ()
    receipt = await stage.apply(TO_4, intent={})
    assert receipt.status is ReceiptStatus.NOT_APPLIED
    assert "nobody knows" in receipt.detail


def entry(manager: str, operation: str = "Update", field: str = "replicas") -> dict[str, Any]:
    fields: dict[str, Any] = {"f:spec": {f"f:{field}": {}}}
    return {"manager": manager, "operation": operation, "fieldsV1": fields}


@pytest.mark.parametrize(
    ("meta", "owned"),
    [
        ({"managedFields": [entry("kubectl-client-side-apply")]}, False),
        ({"managedFields": [entry("argocd-controller")]}, True),
        ({"managedFields": [entry("kustomize-controller", "Apply")]}, True),
        ({"managedFields": [entry("somebody", "Apply")]}, True),
        ({"managedFields": [entry("homeostat", "Apply")]}, False),
        ({"managedFields": [entry("argocd-controller", field="template")]}, False),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}, True),
        (
            {
                "labels": {"kustomize.toolkit.fluxcd.io/name": "apps"},
                "managedFields": [entry("kustomize-controller", "Apply", "template")],
            },
            False,  # replicas are not in Git
        ),
        ({"annotations": {"argocd.argoproj.io/tracking-id": "x"}}, True),
        (
            {"ownerReferences": [{"kind": "InferenceService", "name": "chat", "controller": True}]},
            True,
        ),
        ({"ownerReferences": [{"kind": "Project", "name": "p"}]}, False),
        ({}, False),
    ],
)
def test_an_owner_is_known_by_fields_references_and_marks(
    meta: dict[str, Any],
    owned: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert bool(owner.owners({"metadata": meta}, "replicas")) is owned


async def test_after_gitops_took_it_back_the_stamp_is_nobodys_and_the_next_write_is_refused(
    stage: Stage,
) -> None:
    assert (await stage.apply(TO_4, intent={})).status is ReceiptStatus.DONE
    stage.cluster.write(CHAT, {"spec": {"replicas": 3}}, "argocd-controller")
    world = await stage.read()
    stamp = world.stamp("kubernetes")
    assert stamp is not None
    assert stamp.intent is None
    assert world.levers == ()  # found out: it is not fought over
    receipt = await stage.apply(TO_4, intent={"id": "d-3.0.0"})
    assert receipt.status is ReceiptStatus.NOT_APPLIED
    assert "argocd-controller" in receipt.detail
    assert stage.replicas() == 3


@pytest.mark.parametrize(
    ("kind", "path", "obj", "field"),
    [
        ("HorizontalPodAutoscaler", fake.SCALERS, HPA, "minReplicas"),
        ("ScaledObject", fake.SCALED, SCALED_OBJECT, "minReplicaCount"),
    ],
)
async def test_a_scaler_that_is_named_is_acted_through_by_its_floor(
    stage: Stage, kind: str, path: str, obj: dict[str, Any], field: str
) -> None:
    stage.cluster.create(path, copy(obj))
    if kind == "ScaledObject":  # KEDA makes an HPA of its own, which is no other owner
        above = [{"kind": "ScaledObject", "name": "chat", "controller": True}]
        stage.cluster.create(fake.SCALERS, copy(HPA, name="keda-hpa-chat", ownerReferences=above))
    assert (await stage.read(scale=kind)).levers == (("replicas.a", 2),)
    receipt = await stage.apply(TO_4, intent={}, scale=kind)
    assert receipt.status is ReceiptStatus.DONE, receipt
    found = stage.cluster.find(f"{path}/chat")
    assert found is not None
    assert found["spec"][field] == 4
    assert stage.replicas() == 3  # what is above the floor is the scaler's own business
    over = await stage.apply((("replicas.a", 7),), intent={"id": "d-3.0.0"}, scale=kind)
    assert over.status is ReceiptStatus.NOT_APPLIED
    assert "ceiling of 6" in over.detail


@pytest.mark.parametrize(
    ("obj", "undo", "said"),
    [
        (budget(maxUnavailable=1), False, ""),
        (budget(status={"disruptionsAllowed": 0, "observedGeneration": 1}), False, "allows 0"),
        (budget(status={"disruptionsAllowed": 0, "observedGeneration": 1}), True, ""),
        (budget(minAvailable=3), False, "wants 3 at least"),
        (budget(minAvailable=3), True, "wants 3 at least"),
        (budget(status={}), False, "not been worked out"),
        (budget(status={"disruptionsAllowed": 9, "observedGeneration": 0}), False, "not been"),
    ],
)
async def test_what_a_budget_would_not_let_be_evicted_is_not_scaled_away(
    stage: Stage,
    obj: dict[str, Any],
    *,
    undo: bool,
    said: str,
) -> None:
    stage.cluster.create(fake.BUDGETS, {**obj, "metadata": dict(obj["metadata"])})
    receipt = await stage.apply(TO_2, intent={"undo": undo})
    wanted = ReceiptStatus.NOT_APPLIED if said else ReceiptStatus.DONE
    assert receipt.status is wanted, receipt
    assert said in receipt.detail
    assert stage.replicas() == (3 if said else 2)


def test_a_budget_of_other_pods_forbids_nothing() -> None:
    other = budget(minAvailable=3)
    other["metadata"]["generation"] = 1
    labels = {"app": "mail"}
    assert owner.forbidden([other], labels, before=3, after=1, undo=False) == ""


@pytest.mark.parametrize(
    ("selector", "fits"),
    [
        ({}, True),
        (None, False),
        ({"matchLabels": {"app": "chat"}}, True),
        ({"matchLabels": {"app": "mail"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["chat"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["chat"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["x"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
    ],
)
def test_selectors_are_kubernetes_own(selector: dict[str, Any] | None, *, fits: bool) -> None:
    assert owner.selects(selector, {"app": "chat"}) is fits


async def test_a_wrong_token_or_a_missing_deployment_is_an_error_that_names_it(
    stage: Stage,
) -> None:
    with pytest.raises(ActuatorError, match="status 404"):
        await stage.read(deployment="gone")
    with pytest.raises(ActuatorError, match="status 401"):
        await stage.read(token_file=None)
    with pytest.raises(ActuatorError, match="nowhere"):
        await stage.read(token_file=Path("/nowhere/token"))


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "cluster"},
        {"url": "https://admin:secret@cluster/"},
        {"namespace": "../kube-system"},
        {"deployment": "chat/scale"},
        {"deployment": ""},
        {"scale": "StatefulSet"},
        {"port": 0},
        {"insecure": True},
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    base = {"url": "https://cluster", "namespace": "ml", "deployment": "chat"}
    with pytest.raises(ValidationError):
        KubernetesConfig(**(base | changes))
