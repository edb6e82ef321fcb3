"""A Deployment of a real cluster: processes come and go, others' words count, nothing is lost."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from kube_acting import acting, seen, settled
from kube_cluster import Kube
from kube_targets import deploy, deployments, template

from homeostat.adapters.actuators._kubernetes_api import Api, ApiError
from homeostat.adapters.actuators._kubernetes_object import STAMP
from homeostat.base.errors import ActuatorError
from homeostat.base.intent import ReceiptStatus
from homeostat.base.world import ReplicaState

pytestmark = [pytest.mark.live]
TO_4 = (("replicas.a", 4),)
TO_3 = (("replicas.a", 3),)
TO_1 = (("replicas.a", 1),)


def processes(kube: Kube, home: str) -> list[int]:
    """Return the processes that run as pods now."""
    pods = kube.get(f"/api/v1/namespaces/{home}/pods")["items"]
    return sorted(int(one["metadata"].get("annotations", {}).get("process", 0)) for one in pods)


async def test_a_scale_starts_and_ends_processes_and_leaves_its_name(
    kube: Kube, home: str, tmp_path: Path
) -> None:
    path = deploy(kube, home)
    stage = acting(kube, home, tmp_path)
    world = await settled(stage, 2)
    assert world.levers == (("replicas.a", 2),)
    receipt = await stage.apply(TO_4)
    assert receipt.status is ReceiptStatus.DONE, receipt
    world = await settled(stage, 4)
    stamp = world.stamp("kubernetes")
    assert stamp is not None
    assert (stamp.intent, stamp.epoch, stamp.token) == ("d-2.0.0", 3, receipt.token)
    running = processes(kube, home)
    assert len(set(running)) == 4
    for one in running:
        os.kill(one, 0)  # it is there
    fields = kube.get(path)["metadata"]["managedFields"]
    (ours,) = [one for one in fields if one["manager"] == "homeostat"]
    assert ours["operation"] == "Update"
    assert ours["fieldsV1"]["f:spec"] == {"f:replicas": {}}
    assert (await stage.apply(TO_1, intent={"id": "d-3.0.0"})).status is ReceiptStatus.DONE
    await settled(stage, 1)
    (left,) = processes(kube, home)
    assert left in running


async def test_pods_are_found_where_they_serve_and_a_killed_one_is_another_incarnation(
    kube: Kube, home: str, tmp_path: Path
) -> None:
    serve = f"exec {sys.executable} -m http.server 8080 --bind $IP --directory {tmp_path}"
    (tmp_path / "page").write_text("here", encoding="utf-8")
    pod = template(
        {"app": "chat"},
        "sh",
        "-c",
        serve,
        env=[{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        ports=[{"name": "http", "containerPort": 8080}],
        readinessProbe={"httpGet": {"path": "/page", "port": "http"}, "periodSeconds": 1},
    )
    deploy(kube, home, replicas=2, template=pod)
    stage = acting(kube, home, tmp_path)
    world = await settled(stage, 2)
    addresses = [one.address for one in world.replicas]
    assert len(set(addresses)) == 2
    for address in addresses:
        assert httpx2.get(f"http://{address}/page").text == "here"
    first = world.replicas[0]
    path = f"/api/v1/namespaces/{home}/pods/{first.name}"
    os.kill(int(kube.get(path)["metadata"]["annotations"]["process"]), signal.SIGKILL)
    world = await seen(
        stage,
        lambda now: any(
            (one.name, one.incarnation, one.state) == (first.name, 2, ReplicaState.READY)
            for one in now.replicas
        ),
    )
    assert [one.incarnation for one in world.replicas if one.name != first.name] == [1]


async def test_a_pod_that_is_not_ready_is_starting(kube: Kube, home: str, tmp_path: Path) -> None:
    probe = {"httpGet": {"path": "/", "port": 9}, "periodSeconds": 1}
    labels = {"app": "chat"}
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": template(labels, readinessProbe=probe),
    }
    kube.create(deployments(home), {"metadata": {"name": "chat"}, "spec": spec})
    stage = acting(kube, home, tmp_path)
    world = await seen(stage, lambda now: any(one.address for one in now.replicas))
    assert [one.state for one in world.replicas] == [ReplicaState.STARTING]


async def test_who_applied_the_replicas_owns_them_until_it_leaves_them_out(
    kube: Kube, home: str, tmp_path: Path
) -> None:
    path = deploy(kube, home)
    stage = acting(kube, home, tmp_path)
    mine = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "chat"}}
    kube.apply(path, {**mine, "spec": {"replicas": 2}}, manager="fleet")
    assert (await stage.read()).levers == ()
    receipt = await stage.apply(TO_4)
    assert receipt.status is ReceiptStatus.NOT_APPLIED
    assert "fleet, which sets spec.replicas" in receipt.detail
    kube.apply(path, {**mine, "spec": {"paused": False}}, manager="fleet")
    assert (await stage.read()).levers == (("replicas.a", 2),)
    assert (await stage.apply(TO_4)).status is ReceiptStatus.DONE


async def test_of_many_that_write_on_one_token_one_does(
    kube: Kube, home: str, tmp_path: Path
) -> None:
    deploy(kube, home)
    stage = acting(kube, home, tmp_path)
    stamp = (await settled(stage, 2)).stamp("kubernetes")
    assert stamp is not None
    asked = [
        stage.apply(
            (("replicas.a", count),),
            look=False,
            intent={"id": f"d-{count}.0.0", "pre": (("replicas.a", 2),), "token": stamp.token},
        )
        for count in (3, 4, 5, 6)
    ]
    receipts = await asyncio.gather(*asked)
    done = [one for one in receipts if one.status is ReceiptStatus.DONE]
    assert len(done) == 1, receipts
    assert all(one.conflict for one in receipts if one not in done), receipts
    count = int(done[0].intent_id[2])
    assert (await settled(stage, count)).levers == (("replicas.a", count),)


async def test_an_old_resource_version_is_refused_by_the_server_itself(
    kube: Kube, home: str
) -> None:
    path = deploy(kube, home)
    before = kube.get(path)["metadata"]["resourceVersion"]
    kube.patch(path, {"metadata": {"labels": {"tier": "gold"}}})
    api = Api(kube.url, token_file=kube.token_file(), ca_file=kube.ca)
    change = {"metadata": {"resourceVersion": before}, "spec": {"replicas": 9}}
    with pytest.raises(ApiError, match="the object has been modified") as said:
        await api.patch(path, change)
    assert said.value.status == 409
    await api.close()
    assert kube.get(path)["spec"]["replicas"] == 2


async def test_a_status_that_moves_all_the_time_is_no_conflict_and_a_spec_is(
    kube: Kube, home: str, tmp_path: Path
) -> None:
    path = deploy(kube, home)
    stage = acting(kube, home, tmp_path)
    stamp = (await settled(stage, 2)).stamp("kubernetes")
    assert stamp is not None
    for number in range(5):
        said = [one for one in kube.get(path)["status"]["conditions"] if one["type"] != "Tried"]
        condition = {"type": "Tried", "status": "True", "reason": f"Number{number}"}
        kube.status(path, {"conditions": [*said, condition]})
    same = {"token": stamp.token}
    assert (await stage.apply(TO_3, intent=same)).status is ReceiptStatus.DONE
    kube.patch(path, {"spec": {"minReadySeconds": 1}})
    receipt = await stage.apply(TO_4, intent={"id": "d-3.0.0", **same})
    assert (receipt.status, receipt.conflict) == (ReceiptStatus.NOT_APPLIED, True)


async def test_whom_it_does_not_trust_or_who_does_not_know_it_is_an_error(
    kube: Kube, home: str, tmp_path: Path
) -> None:
    deploy(kube, home)
    stage = acting(kube, home, tmp_path)
    with pytest.raises(ActuatorError, match="CERTIFICATE_VERIFY_FAILED"):
        await stage.read(ca_file=None)
    with pytest.raises(ActuatorError, match="status 401"):
        await stage.read(token_file=kube.token_file("nobody"))
    with pytest.raises(ActuatorError, match=r'404: deployments\.apps "gone" not found'):
        await stage.read(deployment="gone")


async def test_a_roll_back_by_kubectl_brings_the_stamp_of_its_revision_back(
    kube: Kube, home: str, tmp_path: Path
) -> None:
    """A Deployment's controller keeps annotations with each revision; the page says so."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    path = deploy(kube, home)
    stage = acting(kube, home, tmp_path)
    assert (await stage.apply(TO_3)).status is ReceiptStatus.DONE
    stale = (await settled(stage, 3)).stamp("kubernetes")
    kube.patch(path, {"spec": {"template": {"metadata": {"labels": {"version": "2"}}}}})
    await settled(stage, 3)
    later = {"id": "d-9.0.0", "epoch": 5}
    assert (await stage.apply(TO_4, intent=later)).status is ReceiptStatus.DONE
    await settled(stage, 4)
    sets = kube.get(f"/apis/apps/v1/namespaces/{home}/replicasets")["items"]
    kept = sorted(one["metadata"]["annotations"][STAMP].split("|")[1] for one in sets)
    assert kept == ["3", "5"]
    roll_back(kube, home)
    world = await settled(stage, 4)
    stamp = world.stamp("kubernetes")
    assert stamp is not None
    assert stale is not None
    assert (stamp.epoch, stamp.intent) == (3, None)  # of 3 replicas, and there are 4
    assert stamp.token != stale.token  # so that nothing that was meant for then is done now
    receipt = await stage.apply(TO_3, intent={"id": "d-4.0.0", "token": stale.token})
    assert (receipt.status, receipt.conflict) == (ReceiptStatus.NOT_APPLIED, True)


def roll_back(kube: Kube, home: str) -> None:
    command: list[Any] = ["kubectl", "--kubeconfig", kube.folder / "kubeconfig", "-n", home]
    words = ["rollout", "undo", "deployment/chat"]
    subprocess.run([*command, *words], check=True, capture_output=True, timeout=60)
