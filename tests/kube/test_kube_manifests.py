"""The manifests on a real API server: taken whole, and their account may what they say, no more."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from kube_accounts import Applied, apply, may, token
from kube_acting import acting, settled
from kube_cluster import Kube
from kube_targets import deploy
from rendered import VARIANTS

from homeostat.adapters._cluster import Access, Cluster, ClusterError
from homeostat.adapters.stores.kubernetes_lease import KubernetesLease
from homeostat.base.errors import ActuatorError, StoreError
from homeostat.base.intent import ReceiptStatus
from homeostat.base.units import SECOND
from homeostat.server.resources import Resources

pytestmark = [pytest.mark.live]
TO_3 = (("replicas.a", 3),)


def differences(sent: Any, kept: Any, path: str) -> list[str]:
    """Return what was sent and is not there; what the server added is its own business."""
    if isinstance(sent, dict) and isinstance(kept, dict):
        return [
            one
            for key, value in sent.items()
            for one in differences(value, kept.get(key), f"{path}.{key}")
        ]
    if isinstance(sent, list) and isinstance(kept, list) and len(sent) == len(kept):
        pairs = enumerate(zip(sent, kept, strict=True))
        return [one for place, (a, b) in pairs for one in differences(a, b, f"{path}[{place}]")]
    same = sent == kept or (sent in ({}, [], None, False) and kept is None)
    return [] if same else [f"{path}: {sent!r} became {kept!r}"]


def rights(applied: Applied) -> list[dict[str, str]]:
    """Return what the applied roles give, as questions."""
    roles = [one for one in applied.objects.values() if one["kind"] == "Role"]
    return [
        {
            "namespace": role["metadata"]["namespace"],
            "group": group,
            "resource": resource.partition("/")[0],
            "subresource": resource.partition("/")[2],
            "verb": verb,
            "name": (rule.get("resourceNames") or [""])[0],
        }
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_is_taken_as_it_is_written_and_its_account_may_what_it_says(
    variant: str, kube: Kube
) -> None:
    applied = apply(kube, variant)
    assert {one["kind"] for one in applied.objects.values()} >= {"Namespace", "Deployment"}
    for path, sent in applied.objects.items():
        assert differences(sent, kube.get(path), path) == []
    account = token(kube, applied.own)
    given = rights(applied)
    assert all(may(kube, account, **one) for one in given)
    # The same verb on another name, where it was given for one.
    named = [one | {"name": "other"} for one in given if one["name"]]
    assert not any(may(kube, account, **one) for one in named)
    assert not any(may(kube, account, **(one | {"namespace": "default"})) for one in given)
    for verb in ("delete", "deletecollection", "escalate"):
        assert not may(kube, account, namespace=applied.own, resource="pods", verb=verb)
    assert not may(kube, account, namespace=applied.own, resource="secrets", verb="get")
    # Its controllers have made a pod of it: the template passes the server's validation as well.
    pods = f"/api/v1/namespaces/{applied.own}/pods"
    kube.until(lambda: bool(kube.get(pods)["items"]), f"a pod in {applied.own}")


async def test_who_only_observes_sees_all_and_is_refused_when_it_writes(
    kube: Kube, tmp_path: Path
) -> None:
    applied = apply(kube, "observe-only")
    path = deploy(kube, applied.models)
    account = kube.token_file(token(kube, applied.own))
    stage = acting(kube, applied.models, tmp_path, token_file=account)
    world = await settled(stage, 2)
    assert world.levers == (("replicas.a", 2),)
    for number, post in enumerate((TO_3, ())):  # a write, and a claim
        receipt = await stage.apply(post, intent={"id": f"d-{number}.0.0"})
        assert receipt.status is ReceiptStatus.NOT_APPLIED
        assert "status 403" in receipt.detail
        assert 'cannot patch resource "deployments"' in receipt.detail
    assert kube.get(path)["spec"]["replicas"] == 2
    assert "annotations" not in kube.get(path)["metadata"] or not any(
        key.startswith("homeostat.dev/") for key in kube.get(path)["metadata"]["annotations"]
    )


async def test_who_acts_writes_the_one_deployment_and_no_other(kube: Kube, tmp_path: Path) -> None:
    applied = apply(kube, "act")
    deploy(kube, applied.models)
    deploy(kube, applied.models, "mail")
    account = kube.token_file(token(kube, applied.own))
    stage = acting(kube, applied.models, tmp_path, token_file=account)
    assert (await stage.apply(TO_3)).status is ReceiptStatus.DONE
    await settled(stage, 3)
    # Whoever looks at another is told so, and sees nothing.
    with pytest.raises(ActuatorError, match=r'403: deployments\.apps "mail" is forbidden'):
        await stage.read(deployment="mail")


async def test_who_may_not_list_one_kind_of_owner_does_not_write(
    kube: Kube, tmp_path: Path
) -> None:
    applied = apply(kube, "act")
    deploy(kube, applied.models)
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{applied.models}/roles/homeostat"
    rules = [one for one in kube.get(path)["rules"] if one["apiGroups"] != ["flagger.app"]]
    kube.patch(path, {"rules": rules})
    account = kube.token_file(token(kube, applied.own))
    stage = acting(kube, applied.models, tmp_path, token_file=account)
    kube.until(lambda: not may_list(kube, applied, "canaries"), "a right less")
    assert (await stage.read()).levers == ()
    receipt = await stage.apply(TO_3)
    assert receipt.status is ReceiptStatus.NOT_APPLIED
    assert "nobody knows who (of canaries: status 403" in receipt.detail


def may_list(kube: Kube, applied: Applied, resource: str) -> bool:
    account = token(kube, applied.own)
    home = applied.models
    return may(kube, account, namespace=home, group="flagger.app", resource=resource, verb="list")


def test_two_controllers_account_leads_by_its_lease_and_by_no_other(kube: Kube) -> None:
    applied = apply(kube, "two-controllers")
    account = kube.token_file(token(kube, applied.own))
    client = Cluster(Access(url=kube.url, token_file=account, ca_file=kube.ca), timeout_s=20.0)
    lease = KubernetesLease(client, applied.own, "homeostat")
    standing = lease.take("pod:1", 15 * SECOND, 0)
    lease.renew("pod:1", 15 * SECOND, standing.epoch)
    lease.give_up("pod:1", standing.epoch)
    with pytest.raises(StoreError, match=r'leases\.coordination\.k8s\.io "other" is forbidden'):
        KubernetesLease(client, applied.own, "other").take("pod:1", 15 * SECOND, 0)
    found = Resources(client, applied.own, None, kube.url)
    found.look()
    assert found.problem == ""
    with pytest.raises(ClusterError, match="status 403"):
        client.get(f"/api/v1/namespaces/{applied.own}/secrets/homeostat")
    client.close()
