"""The page on Kubernetes does what it says, from its own text, on a stand-in for the API server."""

import re
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "actuators"))
import kubernetes_fake as fake

from homeostat.cli.main import app
from homeostat.server import planning
from homeostat.server.config.loader import assemble, parse

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "connect-kubernetes.md"
TEXT = PAGE.read_text(encoding="utf-8")
MODEL, *TARGETS = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^\$ homeostat (.*)$", TEXT, re.MULTILINE)


def test_the_pages_file_is_whole_and_its_commands_are_run() -> None:
    managed = assemble(parse(MODEL.encode(), "chat.yaml")).deployments[0].managed
    assert (managed.scale_actuator, managed.traffic_actuator) == ("kubernetes", None)
    assert COMMANDS == ["run -f chat.yaml --once"]


@pytest.mark.parametrize("said", TARGETS, ids=lambda text: text.partition(":")[0])
def test_each_other_target_of_the_page_is_one(said: str) -> None:
    page, fragment = yaml.safe_load(MODEL), yaml.safe_load(said)
    ((key, _),) = fragment.items()
    if key != "httpRoute":
        page["spec"]["target"] = {}
    page["spec"]["target"] |= fragment
    page["spec"]["target"]["pools"] = {"stable": "a", "fallback": "b"}
    found = assemble(parse(yaml.safe_dump(page).encode(), "chat.yaml")).deployments[0]
    parts = {entry.part for entry in planning.deployment_plan(found).actuators}
    assert key.lower() in parts
    assert found.managed.traffic_actuator in {key.lower(), None}


@pytest.mark.live
def test_a_look_reads_the_deployment_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    Path("token").write_text(fake.TOKEN, encoding="utf-8")
    cluster = fake.Cluster()
    cluster.create(fake.DEPLOYMENTS, fake.deployment(replicas=0))  # no pod to ask for a page
    with fake.serving(cluster) as port:
        text = MODEL.replace("127.0.0.1:8001", f"127.0.0.1:{port}")
        text = re.sub(r"tokenFile: \S+", "tokenFile: token", text)
        Path("chat.yaml").write_text(text, encoding="utf-8")
        said = CliRunner().invoke(app, COMMANDS[0].split())
    assert said.exit_code == 6, said.output
    assert re.search(r"^chat +shadow +unknown .* yes *$", said.output, re.MULTILINE), said.output
    assert cluster.patches == []
