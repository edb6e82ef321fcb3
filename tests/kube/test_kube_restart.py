"""A restart by eviction in a real cluster: the server's own no of a budget, and a new process."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from kube_accounts import token
from kube_acting import acting, settled
from kube_cluster import Kube
from kube_targets import deploy
from test_kube_owners import budget

from homeostat.base.intent import ReceiptStatus

pytestmark = [pytest.mark.live]


async def test_a_pod_is_evicted_as_its_budget_allows_and_another_process_takes_its_place(
    kube: Kube, home: str, tmp_path: Path
) -> None:
    deploy(kube, home)
    path = budget(kube, home, 0, minAvailable=2)
    stage = acting(kube, home, tmp_path, evict=True)
    before = await settled(stage, 2)
    names = [one.name for one in before.replicas]
    asked = ((f"incarnation.{names[0]}", 2),)
    refused = await stage.apply(asked)
    assert (refused.status, refused.conflict) == (ReceiptStatus.NOT_APPLIED, False)
    assert "status 429: Cannot evict pod" in refused.detail
    world = await settled(stage, 2)
    stood, stamp = before.stamp("kubernetes"), world.stamp("kubernetes")
    assert stood is not None
    assert stamp is not None
    assert [one.name for one in world.replicas] == names
    assert (stamp.token, stamp.intent) == (stood.token, None)
    kube.patch(path, {"spec": {"minAvailable": 1}})
    kube.until(lambda: kube.get(path)["status"]["disruptionsAllowed"] == 1, "one may go")
    receipt = await stage.apply(asked)
    assert receipt.status is ReceiptStatus.DONE, receipt
    again = await stage.apply(asked)
    assert (again.status, again.token) == (ReceiptStatus.DONE, receipt.token)
    world = await settled(stage, 2)
    there = [one.name for one in world.replicas]
    assert (names[0] in there, names[1] in there) == (False, True)
    assert world.lever(f"incarnation.{names[0]}") == 2
    stamp = world.stamp("kubernetes")
    assert stamp is not None
    assert (stamp.intent, stamp.token) == ("d-2.0.0", receipt.token)


async def test_an_account_without_the_right_to_evict_is_told_so(
    kube: Kube, home: str, tmp_path: Path
) -> None:
    path = deploy(kube, home)
    role = "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/{}"
    kube.create(f"/api/v1/namespaces/{home}/serviceaccounts", {"metadata": {"name": "homeostat"}})
    rules = [
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
        {"apiGroups": ["policy"], "resources": ["poddisruptionbudgets"], "verbs": ["list"]},
    ]
    kube.create(role.format(home, "roles"), {"metadata": {"name": "few"}, "rules": rules})
    bound = {
        "metadata": {"name": "few"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "few"},
        "subjects": [{"kind": "ServiceAccount", "name": "homeostat", "namespace": home}],
    }
    kube.create(role.format(home, "rolebindings"), bound)
    file = kube.token_file(token(kube, home))
    stage = acting(kube, home, tmp_path, evict=True, token_file=file)
    (first, _) = (await stage.read()).replicas
    receipt = await stage.apply(((f"incarnation.{first.name}", 2),))
    assert receipt.status is ReceiptStatus.NOT_APPLIED
    assert "status 403" in receipt.detail
    assert "pods/eviction" in receipt.detail
    assert kube.get(path)["metadata"]["annotations"]["homeostat.dev/evicted-ahead"]
