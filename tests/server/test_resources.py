"""Documents that are custom resources: read as files are, believed less about files, answered."""

import json
import re
import sys
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "stores"))
import cluster_fake as fake

from homeostat.adapters._cluster import Access, Cluster, ClusterError
from homeostat.base.errors import ConfigError
from homeostat.base.policy import Mode
from homeostat.server import in_cluster, resources_said
from homeostat.server.config import Watcher, load
from homeostat.server.config.clusters import ACCOUNT, INSIDE, plan
from homeostat.server.config.kinds import Controller
from homeostat.server.config.loader import parse, schema
from homeostat.server.resources import NAMES_NO_FILE, Resources, names_a_file

MODEL = """
apiVersion: homeostat.dev/v1alpha1
kind: ManagedModel
metadata: {name: chat, namespace: homeostat}
spec:
  mode: approve
  target:
    kubernetes:
      api: https://kubernetes.default.svc
      tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token
      namespace: ml
      deployment: chat
  metrics: {scrape: [{fromReplicas: true, preset: vllm}]}
  slo: [{name: latency, latency: {below: 250ms}}, {name: errors, errors: {atMost: 1%}}]
"""
FREEZE = """
apiVersion: homeostat.dev/v1alpha1
kind: Freeze
metadata: {name: launch, namespace: homeostat}
spec:
  reason: the launch
  deployments: [chat]
  once: [{start: "2020-01-01T00:00:00Z", end: "2099-01-01T00:00:00Z"}]
"""
CONTROLLER = """
apiVersion: homeostat.dev/v1alpha1
kind: Controller
metadata: {name: controller}
spec:
  cluster: {resources: {files: secrets}}
"""
LISTS = {
    "ManagedModel": "managedmodels",
    "Freeze": "freezes",
    "GuardrailPolicy": "guardrailpolicies",
}


read = cache(yaml.safe_load)


def obj(text: str, **spec: Any) -> dict[str, Any]:
    made: dict[str, Any] = deepcopy(read(text))
    made["spec"] |= spec
    return made


class Stage:
    """A cluster that is served, and its resources as a controller sees them."""

    def __init__(self, cluster: fake.Cluster, url: str, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        (folder / "token").write_text(fake.TOKEN, encoding="utf-8")
        client = Cluster(Access(url=url, token_file=folder / "token"), timeout_s=20.0)
        self.resources = Resources(client, "homeostat", folder / "secrets", INSIDE)

    def put(self, one: dict[str, Any]) -> None:
        self.cluster.put(f"{fake.OURS}/{LISTS[one['kind']]}", one)

    def look(self) -> Resources:
        self.resources.look()
        return self.resources

    async def say(self, problem: str = "", late: tuple[str, ...] = (), **states: Any) -> None:
        shell = SimpleNamespace(owner="pod-a:1")
        runtime: Any = SimpleNamespace(states=states, shell=shell, epoch=1)
        watcher: Any = SimpleNamespace(problem=problem)
        await in_cluster.say(self.look(), watcher, runtime, late)

    def conditions(self, kind: str = "ManagedModel", name: str = "chat") -> dict[str, Any]:
        status = self.cluster.lists[f"{fake.OURS}/{LISTS[kind]}"][name]["status"]
        return {one["type"]: one for one in status["conditions"]}

    def reasons(self) -> list[str]:
        return [one["reason"] for one in self.cluster.lists[fake.EVENTS].values()]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    cluster = fake.Cluster()
    with fake.serving(cluster) as url:
        yield Stage(cluster, url, tmp_path)


def test_the_same_document_is_a_file_or_a_resource(stage: Stage, tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(MODEL.replace(", namespace: homeostat", ""), encoding="utf-8")
    stage.put(obj(MODEL))
    stage.put(obj(FREEZE))
    beside = tmp_path / "freeze.yaml"
    beside.write_text(FREEZE.replace(", namespace: homeostat", ""), encoding="utf-8")
    (tmp_path / "controller.yaml").write_text(CONTROLLER, encoding="utf-8")
    from_files = load([file, beside, tmp_path / "controller.yaml"])
    from_both = load([tmp_path / "controller.yaml"], stage.look().documents())
    assert from_both.deployments == from_files.deployments
    assert from_both.freezes == from_files.freezes
    assert from_both.digest == from_files.digest


def test_a_change_comes_into_force_and_a_bad_one_leaves_what_was(
    stage: Stage, tmp_path: Path
) -> None:
    (tmp_path / "controller.yaml").write_text(CONTROLLER, encoding="utf-8")
    stage.put(obj(MODEL))
    said: list[str] = []
    watcher = Watcher([tmp_path / "controller.yaml"], said.append, stage.look())
    stage.look()
    assert watcher.poll() is None
    stage.put(obj(MODEL, mode="auto"))
    assert watcher.poll() is None  # nobody has looked yet
    stage.look()
    fresh = watcher.poll()
    assert fresh is not None
    assert fresh.managed()[0].mode is Mode.AUTO
    stage.put(obj(FREEZE, deployments=["chatt"]))
    stage.look()
    assert watcher.poll() is None
    assert "did you mean 'chat'" in watcher.problem
    assert watcher.config is fresh
    stage.put(obj(FREEZE))
    stage.look()
    frozen = watcher.poll()
    assert frozen is not None
    assert watcher.problem == ""
    assert [name for name, _ in frozen.freezes] == ["launch"]


def test_one_that_is_refused_keeps_all_from_changing_because_it_may_be_a_freeze(
    stage: Stage,
) -> None:
    stage.put(obj(MODEL))
    stage.put(obj(FREEZE, deploymentz=["chat"]))
    with pytest.raises(ConfigError, match=r"Freeze launch: .*did you mean 'deployments'"):
        stage.look().documents()
    assert list(stage.resources.refused()) == [("Freeze", "launch")]


def test_what_cannot_be_listed_stays_as_it_was_and_is_said(stage: Stage) -> None:
    with pytest.raises(ConfigError, match="nobody has looked"):
        stage.resources.documents()
    stage.put(obj(MODEL))
    stamp = stage.look().stamp()
    for status in (403, 500):
        stage.cluster.away = status
        assert f"status {status}" in stage.look().problem
        assert stage.resources.stamp() == stamp
        assert len(stage.resources.documents()) == 1
    stage.cluster.away = 0
    assert stage.look().problem == ""


def test_a_controller_that_never_saw_them_does_not_start(stage: Stage) -> None:
    stage.cluster.away = 503
    with pytest.raises(ConfigError, match="cannot be read"):
        stage.look().documents()


@pytest.mark.slow
def test_long_lists_are_read_page_by_page_and_not_without_end(stage: Stage) -> None:
    for number in range(1_001):
        stage.put(obj(FREEZE, reason=f"{number}") | {"metadata": {"name": f"f{number}"}})
    assert len(stage.look().found) == 1_001
    pages = [one for one in stage.cluster.asked if one[1].endswith("freezes")]
    assert len(pages) == 3
    for number in range(1_001, 5_002):
        stage.put(obj(FREEZE, reason=f"{number}") | {"metadata": {"name": f"f{number}"}})
    assert "more than 5000" in stage.look().problem


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"probe": {"model": "\ud800", "features": [1]}}, "cannot be read"),
        ({"slo": "x" * 300_000}, "bytes"),
        ({"policy": "${HOME}"}, "not expanded"),
        ({"interval": True}, "interval"),
        (None, "spec"),
    ],
)
def test_a_hostile_one_is_an_error_that_names_it(stage: Stage, spec: Any, said: str) -> None:
    made = obj(MODEL)
    made["spec"] = None if spec is None else made["spec"] | spec
    stage.resources._last = stage.resources._looked((made,))
    with pytest.raises(ConfigError, match=said) as caught:
        stage.resources.documents()
    assert "ManagedModel chat" in str(caught.value)


def test_an_answer_that_is_no_list_changes_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.put(obj(MODEL))
    kept = stage.look().stamp()
    for answer in ({}, {"items": "x"}, {"items": [1]}, {"items": [{"metadata": None}]}):
        monkeypatch.setattr(stage.cluster, "answer", lambda *_, said=answer: (200, said))
        assert "cannot be read" in stage.look().problem
        assert stage.resources.stamp() == kept


def test_what_has_not_changed_is_not_read_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.put(obj(MODEL))
    stage.put(obj(FREEZE, deploymentz=[]))
    read: list[str] = []
    inner = stage.resources._read

    def counted(one: dict[str, Any]) -> Any:
        read.append(one["kind"])
        return inner(one)

    monkeypatch.setattr(stage.resources, "_read", counted)
    for _ in range(3):
        stage.look()
        assert list(stage.resources.refused()) == [("Freeze", "launch")]
    stage.put(obj(FREEZE))
    assert len(stage.look().documents()) == 2
    assert read == ["Freeze", "ManagedModel", "Freeze"]


def webhook(secret: str) -> dict[str, Any]:
    hook = {
        "url": "https://changes.example/apply",
        "state": "https://changes.example/state",
        "secretFile": secret,
        "levers": {"replicas.a": {"min": 1, "max": 8}},
    }
    return obj(MODEL, target={"webhook": hook})


@pytest.mark.parametrize(
    ("file", "taken"),
    [
        ("signing", True),
        ("team/signing", True),
        ("/etc/shadow", False),
        ("../token", False),
        ("team/../../token", False),
        (str(ACCOUNT / "token"), False),
        ("", False),
        (".", False),
    ],
)
def test_a_resource_names_files_of_one_folder_alone(
    stage: Stage, file: str, *, taken: bool
) -> None:
    stage.put(webhook(file))
    if not taken:
        with pytest.raises(ConfigError, match="secretFile"):
            stage.look().documents()
        return
    ((_, at),) = stage.look().documents()
    deployment = load([_controller(stage)], stage.resources.documents()).deployments[0]
    (entry,) = deployment.elsewhere
    assert entry.settings["secret_file"] == stage.folder / "secrets" / file
    assert at.file.startswith(str(stage.folder / "secrets"))


def _controller(stage: Stage) -> Path:
    file = stage.folder / "controller.yaml"
    file.write_text(CONTROLLER, encoding="utf-8")
    return file


def test_the_pods_account_is_shown_to_its_own_api_server_alone(stage: Stage) -> None:
    stage.put(obj(MODEL))
    assert len(stage.look().documents()) == 1
    stolen = obj(MODEL)
    stolen["spec"]["target"]["kubernetes"]["api"] = "https://elsewhere.example"
    stage.put(stolen)
    with pytest.raises(ConfigError, match="tokenFile"):
        stage.look().documents()


def test_without_a_folder_no_file_is_named(stage: Stage) -> None:
    stage.put(webhook("signing"))
    bare = Resources(stage.resources.cluster, "homeostat", None, INSIDE)
    bare.look()
    with pytest.raises(ConfigError, match=r"spec\.cluster\.resources\.files"):
        bare.documents()


def test_every_key_that_can_name_a_file_is_known_as_such() -> None:
    """A key that is new and looks like a file's is either held to the folder or listed as none."""
    keys: set[str] = set()

    def collect(node: Any) -> None:
        if isinstance(node, dict):
            keys.update(node.get("properties", {}))
            for inner in node.values():
                collect(inner)
        for one in node if isinstance(node, list) else ():
            collect(one)

    whole = schema()
    resources = {name: one for name, one in whole["$defs"].items() if "Controller" not in name}
    for left_out in (
        "ApiSpec",
        "StoreSpec",
        "PostgresSpec",
        "ClusterSpec",
        "ResourcesSpec",
        "NotifySpec",
    ):
        resources.pop(left_out, None)
    collect(resources)
    odd = {
        key
        for key in keys
        if re.search(r"file|path|socket|folder|^fit$|^check$|cache|anchor|cert|^key", key.lower())
        and not names_a_file(key)
    }
    assert odd <= NAMES_NO_FILE


def state(mode: Mode = Mode.APPROVE, *, met: bool | None = True, frozen: bool = False) -> Any:
    guard = SimpleNamespace(frozen=frozen)
    return SimpleNamespace(
        managed=SimpleNamespace(mode=mode, guard=guard), evidence=SimpleNamespace(slo_met=met)
    )


async def test_a_resource_says_what_became_of_it_and_only_news_is_written(stage: Stage) -> None:
    stage.put(obj(MODEL))
    await stage.say(chat=state())
    said = stage.conditions()
    assert {kind: one["status"] for kind, one in said.items()} == {
        "Accepted": "True",
        "InForce": "True",
        "Healthy": "True",
        "Frozen": "False",
    }
    assert stage.cluster.lists[f"{fake.OURS}/managedmodels"]["chat"]["status"]["mode"] == "approve"
    assert sorted(stage.reasons()) == ["InForce", "NoFreeze", "ObjectivesMet", "Read"]
    stage.cluster.asked.clear()
    await stage.say(chat=state())
    assert {verb for verb, _, _ in stage.cluster.asked} == {"list"}
    await stage.say(chat=state(met=None))
    assert stage.conditions()["Healthy"]["status"] == "Unknown"
    assert stage.conditions()["Accepted"] == said["Accepted"]  # since when is kept
    assert stage.reasons()[-1] == "NotKnown"


async def test_what_is_wrong_is_said_on_the_one_and_what_follows_on_the_others(
    stage: Stage,
) -> None:
    stage.put(obj(MODEL))
    stage.put(obj(FREEZE, deploymentz=[]))
    await stage.say(problem="the freeze", chat=state())
    assert stage.conditions("Freeze", "launch")["Accepted"]["status"] == "False"
    assert "deploymentz" in stage.conditions("Freeze", "launch")["Accepted"]["message"]
    assert stage.conditions()["Accepted"]["status"] == "Unknown"
    assert {stage.conditions()["InForce"]["reason"]} == {"LastGoodStays"}


async def test_a_new_deployment_needs_a_restart_and_says_so(stage: Stage) -> None:
    stage.put(obj(MODEL))
    await stage.say(late=("chat is new and not managed yet", "chatter is gone"))
    said = stage.conditions()
    assert (said["InForce"]["status"], said["InForce"]["reason"]) == ("False", "NeedsRestart")
    assert said["InForce"]["message"] == "chat is new and not managed yet"
    assert (said["Healthy"]["status"], said["Frozen"]["status"]) == ("Unknown", "Unknown")


async def test_a_status_that_may_not_be_written_ends_nothing_and_an_event_is_a_courtesy(
    stage: Stage,
) -> None:
    stage.put(obj(MODEL))
    stage.cluster.refused = {("patch", f"{fake.OURS}/managedmodels/status")}
    await stage.say(chat=state())
    assert "status" not in stage.cluster.lists[f"{fake.OURS}/managedmodels"]["chat"]
    stage.cluster.refused = {("create", fake.EVENTS)}
    await stage.say(chat=state())
    assert stage.conditions()["Accepted"]["status"] == "True"
    assert stage.reasons() == []


def test_a_long_reason_fits_and_a_status_that_others_broke_is_written_anew() -> None:
    made = obj(MODEL)
    made["metadata"]["generation"] = 3
    made["status"] = {"conditions": ["x", {"type": "Accepted", "status": 1}, None]}
    known = resources_said.Known(
        refused={("ManagedModel", "chat"): "\u00e9" * 5_000}, problem="", restart=(), states={}
    )
    after = resources_said.status(made, known, "2026-11-22T07:00:00Z")
    assert after is not None
    for one in resources_said.events(made, after, "o" * 500, "2026-11-22T07:00:00.000000Z"):
        assert len(one["note"].encode()) <= 1_024
        assert len(one["reportingInstance"]) == 128
    for odd in ("text", None, {"conditions": "x"}):
        assert resources_said.status(made | {"status": odd}, known, "now") is not None


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("{}", "neither lease nor resources"),
        ("{lease: Not_A_Name}", "lease"),
        ("{resources: {every: 1s}}", "2s to 10m"),
        ("{resources: {everi: 5s}}", "did you mean 'every'"),
        ("{lease: homeostat, api: 'https://user:pw@host'}", "no names or passwords"),
        ("{lease: homeostat, tokenFile: ''}", "tokenFile"),
    ],
)
def test_settings_that_make_no_sense_are_refused(said: str, problem: str) -> None:
    text = CONTROLLER.replace("{resources: {files: secrets}}", said)
    with pytest.raises(ConfigError, match=problem):
        parse(text.encode(), "controller.yaml")


def test_inside_a_pod_its_account_is_used_and_elsewhere_what_is_written() -> None:
    ((one, _),) = parse(CONTROLLER.encode(), "controller.yaml")
    assert isinstance(one, Controller)
    inside = plan(one.spec.cluster, Path("/etc/homeostat"))
    assert inside is not None
    assert (inside.token_file, inside.ca_file) == (ACCOUNT / "token", ACCOUNT / "ca.crt")
    assert inside.resources is not None
    assert inside.resources.files == Path("/etc/homeostat/secrets")
    text = CONTROLLER.replace("cluster: {", "cluster: {api: 'http://127.0.0.1:8001', ")
    ((two, _),) = parse(text.encode(), "controller.yaml")
    assert isinstance(two, Controller)
    proxied = plan(two.spec.cluster, Path("/etc/homeostat"))
    assert proxied is not None
    assert (proxied.token_file, proxied.ca_file) == (None, None)
    if not (ACCOUNT / "namespace").exists():
        with pytest.raises(ConfigError, match=r"spec\.cluster\.namespace is missing"):
            in_cluster.namespace(proxied)


def test_no_token_is_in_an_error(stage: Stage) -> None:
    for bad in ("a token", "", "\x00"):
        (stage.folder / "token").write_text(bad, encoding="utf-8")
        with pytest.raises(ClusterError, match="holds no token"):
            stage.resources.cluster.get("/api")
    (stage.folder / "token").unlink()
    with pytest.raises(ClusterError, match="token file"):
        stage.resources.cluster.get("/api")


def test_metadata_that_others_add_changes_no_configuration(stage: Stage) -> None:
    stage.put(obj(MODEL))
    before = stage.look().documents()
    noisy = obj(MODEL)
    noisy["metadata"] |= {
        "labels": {"argocd.argoproj.io/instance": "x"},
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(MODEL)},
        "managedFields": [{}],
    }
    stage.put(noisy)
    assert stage.look().documents() == before
