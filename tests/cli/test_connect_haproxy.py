"""The page on connecting HAProxy does what it says, from its own text, on a real HAProxy."""

import re
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "actuators"))
from haproxy_server import running_haproxy

from homeostat.adapters.actuators._haproxy_socket import variable
from homeostat.cli.main import app
from homeostat.server.config.loader import assemble, parse

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "connect-haproxy.md"
TEXT = PAGE.read_text(encoding="utf-8")
(MODEL,) = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^\$ homeostat (.*)$", TEXT, re.MULTILINE)
SERVERS = re.findall(r"^    server (\S+) \S+ check weight (\d+)$", TEXT, re.MULTILINE)


def test_every_command_of_the_page_is_run_by_a_test() -> None:
    assert COMMANDS == ["run -f chat.yaml --once"]


def test_the_pages_file_is_whole() -> None:
    managed = assemble(parse(MODEL.encode(), "chat.yaml")).deployments[0].managed
    assert (managed.scale_actuator, managed.traffic_actuator) == ("haproxy", "haproxy")


@pytest.mark.live
def test_a_look_reads_the_real_haproxy_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    servers = {name: (9, int(weight)) for name, weight in SERVERS}
    with running_haproxy(tmp_path, servers) as running:
        before = running.say("show servers state model")
        text = MODEL.replace("/run/haproxy/admin.sock", running.socket)
        Path("chat.yaml").write_text(text, encoding="utf-8")
        said = CliRunner().invoke(app, COMMANDS[0].split())
        after = running.say(f"show servers state model; get var {variable('model')}")
    assert said.exit_code == 6, said.output  # nothing exposes metrics here
    assert re.search(r"^chat +shadow +unknown .* yes *$", said.output, re.MULTILINE), said.output
    assert weights(after) == weights(before) == [95, 95, 10]
    assert "Variable not found." in after


def weights(state: str) -> list[int]:
    rows = [line.split() for line in state.splitlines() if " model " in line and "#" not in line]
    return [int(row[7]) for row in rows]
