"""The page on running in Kubernetes says what is so, by its own text; no cluster is asked."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "actuators"))
sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "stores"))
import kubernetes_fake
import kubernetes_targets
from rendered import DEPLOY, ROOT, VARIANTS, without_kustomize
from test_rights import Right, given, move, play, watched

from homeostat import plugins
from homeostat.server.config.loader import parse

PAGE = ROOT / "docs" / "how-to" / "run-in-kubernetes.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
SCALERS = {
    "autoscaler": (kubernetes_fake.SCALERS, "HorizontalPodAutoscaler"),
    "scaledObject": (kubernetes_fake.SCALED, "ScaledObject"),
}
TARGETS: dict[str, Any] = {
    "httpRoute": kubernetes_targets.route_target,
    "rollout": kubernetes_targets.rollout_target,
    "kserve": kubernetes_targets.service_target,
    "llmInferenceService": kubernetes_targets.llm_target,
}
RULES = dict(re.findall(r"^```\n# (\w+)\n(rules:\n.*?)^```", TEXT, re.MULTILINE | re.DOTALL))


def said(key: str, *, always: bool) -> set[Right]:
    """Return the rights that the page gives a target; `always` leaves out those of some modes."""
    lines = RULES[key].splitlines()
    text = "\n".join(line for line in lines if not (always and "# only " in line))
    return given({"metadata": {"namespace": "ml"}, **yaml.safe_load(text)})


def test_the_page_names_every_variant() -> None:
    assert re.findall(r"^\| `([a-z-]+)` \|", TEXT, re.MULTILINE) == [
        "observe-only", "act", "custom-resources", "two-controllers",
    ]  # fmt: skip
    assert sorted(VARIANTS) == sorted(re.findall(r"^\| `([a-z-]+)` \|", TEXT, re.MULTILINE))


def test_its_documents_are_documents() -> None:
    ours = [text for text in BLOCKS if "homeostat.dev/v1alpha1" in text]
    assert [parse(text.encode(), PAGE.name)[0][0].kind for text in ours] == ["Controller"] * 2


def test_its_kustomization_renders_with_ones_own_image_and_document(tmp_path: Path) -> None:
    if problem := without_kustomize():
        pytest.skip(problem)
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    mine = tmp_path / "mine"
    mine.mkdir()
    (block,) = [text for text in BLOCKS if "kind: Kustomization" in text]
    (mine / "kustomization.yaml").write_text(block, encoding="utf-8")
    (mine / "chat.yaml").write_text("mine: true\n", encoding="utf-8")
    command = ["kubectl", "kustomize", str(mine)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    objects = {one["kind"]: one for one in yaml.safe_load_all(done.stdout)}
    (container,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example/homeostat:0.1.0"
    assert objects["ConfigMap"]["data"]["chat.yaml"] == "mine: true\n"
    assert "controller.yaml" in objects["ConfigMap"]["data"]


@pytest.mark.parametrize("key", SCALERS)
async def test_a_scaler_needs_the_rights_that_the_page_gives_it(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, kind = SCALERS[key]
    token = tmp_path / "token"
    token.write_text(kubernetes_fake.TOKEN, encoding="utf-8")
    cluster = kubernetes_fake.Cluster()
    cluster.create(kubernetes_fake.DEPLOYMENTS, kubernetes_fake.deployment())
    spec = {
        "scaleTargetRef": {"kind": "Deployment", "name": "chat"},
        "minReplicas": 2,
        "maxReplicas": 6,
        "minReplicaCount": 2,
        "maxReplicaCount": 6,
    }
    cluster.create(path, {"kind": kind, "metadata": {"name": "chat", "uid": "u"}, "spec": spec})
    with watched(monkeypatch) as seen, kubernetes_fake.serving(cluster) as port:
        await play(port, token, write=True, scale=kind)
    assert said(key, always=True) == seen == said(key, always=False)


def test_every_target_in_kubernetes_is_on_the_page() -> None:
    known = {
        name
        for name, part in plugins.parts("actuator").items()
        if "namespace" in part.config.model_fields
    }
    assert known == {key.lower() for key in TARGETS} | {"kubernetes"}
    assert set(RULES) == {*TARGETS, *SCALERS}


@pytest.mark.parametrize(("key", "maker"), TARGETS.items())
async def test_another_target_needs_the_rights_that_the_page_gives_it(
    key: str, maker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with watched(monkeypatch) as seen:
        async with maker(tmp_path) as target:
            await move(target.make(f"http://127.0.0.1:{target.port}"), (target.change,))
    assert said(key, always=True) <= seen <= said(key, always=False)
