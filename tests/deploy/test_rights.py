"""The rights that the manifests give are those that the calls need: no more, and no fewer.

The calls are those that stand-ins for the API server saw while every part did all that it does.
"""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "actuators"))
sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "stores"))
import cluster_fake
import kubernetes_fake
from rendered import Object, of_kind, problems

from homeostat.adapters._cluster import Access, Cluster
from homeostat.adapters.actuators.kubernetes import KubernetesConfig, build
from homeostat.adapters.stores.kubernetes_lease import KubernetesLease
from homeostat.base.intent import Intent, ReceiptStatus
from homeostat.base.ports import Actuator
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Levers
from homeostat.server import in_cluster
from homeostat.server.resources import Resources

NOW = TimeNs(1_000 * SECOND)
VERBS = {"GET": "get", "PATCH": "patch", "PUT": "update", "POST": "create", "DELETE": "delete"}
PATH = re.compile(
    r"^/api(?:s/(?P<group>[^/]+))?/[^/]+/namespaces/(?P<namespace>[^/]+)/(?P<resource>[^/]+)"
    r"(?:/(?P<name>[^/]+))?(?:/(?P<part>[^/]+))?$"
)
DISCOVERY = re.compile(r"^/api(?:s/[^/?]+|/v1)$")
Right = tuple[str, str, str, str]
"""Namespace, API group, resource, verb."""


def right(method: str, path: str) -> Right | None:
    """Return the right that a request needs; none for discovery, which every account has.

    >>> right("GET", "/api/v1/namespaces/ml/pods?labelSelector=a")
    ('ml', '', 'pods', 'list')
    >>> right("GET", "/apis/policy")
    """
    if method == "GET" and DISCOVERY.match(path):
        return None  # the ClusterRole system:discovery, bound to all who are authenticated
    found = PATH.match(path.partition("?")[0])
    assert found is not None, path
    resource = found["resource"] + (f"/{found['part']}" if found["part"] else "")
    verb = "list" if method == "GET" and not found["name"] else VERBS[method]
    return found["namespace"], found["group"] or "", resource, verb


def given(*roles: Object) -> set[Right]:
    return {
        (role["metadata"]["namespace"], group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[Right]]:
    """Collect the rights that the actuators' stand-in is asked for."""
    seen: set[Right] = set()

    class Watching(kubernetes_fake.Handler):
        def parse_request(self) -> bool:  # type: ignore[explicit-override]
            whole = super().parse_request()
            if whole and (needed := right(self.command, self.path)) is not None:
                seen.add(needed)
            return whole

    monkeypatch.setattr(kubernetes_fake, "Handler", Watching)
    yield seen


async def play(port: int, token: Path, *, write: bool, scale: Any = "Deployment") -> None:
    """Read as in shadow; with `write` scale up, down, and claim as well."""
    config = KubernetesConfig(
        url=f"http://127.0.0.1:{port}",
        namespace="ml",
        deployment="chat",
        scale=scale,
        token_file=token,
        read_timeout_s=20.0,
    )
    changes = ((("replicas.a", 4),), (("replicas.a", 3),))
    await move(build(config), changes if write else ())


async def move(actuator: Actuator, changes: tuple[Levers, ...]) -> None:
    """Read, and carry out one change after another."""
    try:
        await actuator.read("chat", NOW)
        for number, levers in enumerate(changes):
            world = await actuator.read("chat", NOW)
            stamp = world.stamp(actuator.name)
            assert stamp is not None
            intent = Intent(
                id=f"d-{number}.0.0",
                action_id=f"d-{number}",
                deployment="chat",
                actuator=actuator.name,
                epoch=3,
                stage=0,
                pre=tuple(one for one in world.levers if one[0] in dict(levers)),
                post=levers,
                token=stamp.token,
                evidence_at=NOW,
                deadline=TimeNs(NOW + 20 * SECOND),
            )
            receipt = await actuator.apply(intent, NOW)
            assert receipt.status is ReceiptStatus.DONE, receipt
    finally:
        await actuator.close()


@pytest.mark.parametrize(("variant", "write"), [("observe-only", False), ("act", True)])
async def test_a_variant_gives_the_rights_that_its_calls_need_and_no_others(
    variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, write: bool
) -> None:
    token = tmp_path / "token"
    token.write_text(kubernetes_fake.TOKEN, encoding="utf-8")
    cluster = kubernetes_fake.Cluster()
    cluster.create(kubernetes_fake.DEPLOYMENTS, kubernetes_fake.deployment())
    with watched(monkeypatch) as seen, kubernetes_fake.serving(cluster) as port:
        await play(port, token, write=write)
    assert given(*of_kind(variant, "Role")) == seen


def document(kind: str, name: str) -> Object:
    return {
        "apiVersion": "homeostat.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "homeostat"},
        "spec": {},
    }


async def test_resources_and_the_lease_need_the_rights_that_are_given_and_no_others(
    tmp_path: Path,
) -> None:
    (tmp_path / "token").write_text(cluster_fake.TOKEN, encoding="utf-8")
    cluster = cluster_fake.Cluster()
    for kind, plural in (
        ("ManagedModel", "managedmodels"),
        ("Freeze", "freezes"),
        ("GuardrailPolicy", "guardrailpolicies"),
    ):
        cluster.put(f"{cluster_fake.OURS}/{plural}", document(kind, "one"))
    with cluster_fake.serving(cluster) as url:
        client = Cluster(Access(url=url, token_file=tmp_path / "token"), timeout_s=20.0)
        found = Resources(client, "homeostat", None, url)
        found.look()
        assert found.problem == ""
        runtime: Any = SimpleNamespace(states={}, shell=SimpleNamespace(owner="pod:1"))
        watcher: Any = SimpleNamespace(problem="", config=None)
        await in_cluster.say(found, watcher, runtime, [])
        lease = KubernetesLease(client, "homeostat", "homeostat")
        standing = lease.take("pod:1", 15 * SECOND, 0)
        lease.renew("pod:1", 15 * SECOND, standing.epoch)
        lease.give_up("pod:1", standing.epoch)
    seen = {
        ("homeostat", path.split("/")[2], path.split("namespaces/homeostat/")[1], verb)
        for verb, path, _ in cluster.asked
    }
    roles = [
        one
        for one in of_kind("two-controllers", "Role")
        if one["metadata"]["namespace"] == "homeostat"
    ]
    assert given(*roles) == seen
    for event in cluster.lists[cluster_fake.EVENTS].values():
        kept = {k: v for k, v in event["metadata"].items() if k != "generation"}
        assert problems({**event, "metadata": kept}) == []
    assert len(cluster.lists[cluster_fake.EVENTS]) >= 3
