"""Our custom resources on a real API server: what it lets in, what is said on them, and Events."""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "deploy"))
import kube_kinds
from kube_cluster import Kube
from rendered import DEPLOY
from test_definitions import FULL

from homeostat.adapters import _cluster
from homeostat.adapters._cluster import Access, Cluster
from homeostat.server import in_cluster
from homeostat.server.config.crds import GROUP, PLURALS, VERSION
from homeostat.server.resources import Resources

pytestmark = [pytest.mark.live]
DEFINITIONS = DEPLOY / "components" / "custom-resources" / "definitions.yaml"
FREEZE = {
    "apiVersion": f"{GROUP}/{VERSION}",
    "kind": "Freeze",
    "metadata": {"name": "launch"},
    "spec": {
        "reason": "the launch",
        "deployments": ["chat"],
        "once": [{"start": "2020-01-01T00:00:00Z", "end": "2099-01-01T00:00:00Z"}],
    },
}


@pytest.fixture(scope="module")
def defined(kube: Kube) -> list[dict[str, Any]]:
    """Apply the definitions that ship, once for the process."""
    found = list(yaml.safe_load_all(DEFINITIONS.read_text(encoding="utf-8")))
    for one in found:
        kube.apply(f"{kube_kinds.DEFINITIONS}/{one['metadata']['name']}", one, manager="kubectl")
    for plural, _ in PLURALS.values():
        path = f"/apis/{GROUP}/{VERSION}/{plural}"
        kube.until(partial(kube.serves, path), f"{path} served")
    return found


class Stage:
    """Resources of one namespace, as a controller sees them."""

    def __init__(self, kube: Kube, home: str) -> None:
        self.kube, self.home = kube, home
        access = Access(url=kube.url, token_file=kube.token_file(), ca_file=kube.ca)
        self.client = Cluster(access, timeout_s=20.0)
        self.found = Resources(self.client, home, None, kube.url)

    def path(self, kind: str, name: str = "") -> str:
        plural, _ = PLURALS[kind]
        base = f"/apis/{GROUP}/{VERSION}/namespaces/{self.home}/{plural}"
        return f"{base}/{name}" if name else base

    def put(self, document: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return self.kube.ask("POST", self.path(document["kind"]), document)

    async def say(self, problem: str = "") -> None:
        self.found.look()
        assert self.found.problem == ""
        shell = SimpleNamespace(owner="pod-a:1")
        runtime: Any = SimpleNamespace(states={}, shell=shell, epoch=1)
        watcher: Any = SimpleNamespace(problem=problem)
        await in_cluster.say(self.found, watcher, runtime, ())

    def conditions(self, kind: str, name: str) -> dict[str, str]:
        status = self.kube.get(self.path(kind, name)).get("status", {})
        return {one["type"]: one["status"] for one in status.get("conditions", ())}

    def events(self) -> list[dict[str, Any]]:
        path = f"/apis/events.k8s.io/v1/namespaces/{self.home}/events"
        found: list[dict[str, Any]] = self.kube.get(path)["items"]
        return [one for one in found if one["regarding"]["kind"] in PLURALS]


@pytest.fixture
def stage(kube: Kube, home: str, defined: list[dict[str, Any]]) -> Iterator[Stage]:
    assert defined
    made = Stage(kube, home)
    yield made
    made.client.close()


def test_every_definition_is_established_and_structural(
    kube: Kube, defined: list[dict[str, Any]]
) -> None:
    for one in defined:
        found = kube.get(f"{kube_kinds.DEFINITIONS}/{one['metadata']['name']}")
        said = {each["type"]: each["status"] for each in found["status"]["conditions"]}
        assert said.pop("Established") == said.pop("NamesAccepted") == "True"
        assert said == {}  # NonStructuralSchema, KubernetesAPIApprovalPolicyConformant, Terminating


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("mode",), "sometimes"),
        (("interval",), 15),
        (("target", "kubernetes", "port"), 0),
        (("slo",), []),
        (("guardrails", "neverBelowReadyReplicas"), 1),
        (("guardrails", "limits", "replicas", "min"), "two"),
        (("target", "kubernetes", "namespace"), "../kube-system"),
    ],
)
def test_what_the_schema_can_say_the_server_refuses(
    stage: Stage, path: tuple[str, ...], value: object
) -> None:
    document = yaml.safe_load(FULL)
    inner = document["spec"]
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    status, said = stage.put(document)
    assert status == 422, said
    assert ".".join(path) in said["message"]


async def test_what_is_good_is_read_back_and_told_so_in_status_and_events(stage: Stage) -> None:
    document = yaml.safe_load(FULL)
    assert stage.put(document)[0] == 201
    assert stage.put(FREEZE)[0] == 201
    await stage.say()
    read = {one.kind: one for one, _ in stage.found.documents()}
    assert set(read) == {"ManagedModel", "Freeze"}
    assert stage.conditions("Freeze", "launch") == {"Accepted": "True", "InForce": "True"}
    kept = stage.kube.get(stage.path("ManagedModel", "chat"))
    assert kept["spec"] == document["spec"]  # nothing pruned, nothing defaulted
    assert kept["metadata"]["generation"] == kept["status"]["observedGeneration"] == 1
    told = {(one["regarding"]["name"], one["action"], one["type"]) for one in stage.events()}
    assert ("launch", "Accepted", "Normal") in told
    assert ("chat", "Accepted", "Normal") in told
    before = len(stage.events())
    await stage.say()
    assert len(stage.events()) == before  # nothing changed, so nothing is said


async def test_a_misspelt_key_is_kept_by_the_server_and_refused_by_us_on_the_resource(
    stage: Stage,
) -> None:
    document = yaml.safe_load(FULL)
    document["spec"]["guardrails"]["maxActionPerHour"] = 2  # maxActionsPerHour
    assert stage.put(document)[0] == 201
    await stage.say()
    assert stage.conditions("ManagedModel", "chat")["Accepted"] == "False"
    (event,) = [one for one in stage.events() if one["action"] == "Accepted"]
    assert event["type"] == "Warning"
    assert "did you mean 'maxActionsPerHour'" in event["note"]
    del document["spec"]["guardrails"]["maxActionPerHour"]
    change = {"spec": {"guardrails": {"maxActionPerHour": None}}}
    stage.kube.patch(stage.path("ManagedModel", "chat"), change)
    await stage.say()
    assert stage.conditions("ManagedModel", "chat")["Accepted"] == "True"


async def test_a_status_that_somebody_else_writes_is_put_right(stage: Stage) -> None:
    assert stage.put(FREEZE)[0] == 201
    await stage.say()
    lie = {"type": "Accepted", "status": "False", "reason": "No", "message": "never"}
    lie["lastTransitionTime"] = "2020-01-01T00:00:00Z"
    stage.kube.status(stage.path("Freeze", "launch"), {"conditions": [lie]})
    await stage.say()
    assert stage.conditions("Freeze", "launch") == {"Accepted": "True", "InForce": "True"}


def test_a_list_in_pages_is_of_one_moment_and_whole(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        made = FREEZE | {"metadata": {"name": f"launch-{number}"}}
        assert stage.put(made)[0] == 201
    monkeypatch.setattr(_cluster, "_PAGE", 2)
    found = stage.client.listed(stage.path("Freeze"))
    assert [one["metadata"]["name"] for one in found] == [f"launch-{n}" for n in range(5)]
    stage.found.look()
    assert len(stage.found.documents()) == 5
