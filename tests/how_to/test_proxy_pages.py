"""The pages on proxies do what they say, from their text, on a real Envoy and a real HAProxy."""

import json
import shlex
import shutil
import sys
import urllib.request
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "demo"))
sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "actuators"))
import host_harness as harness
from haproxy_server import Haproxy
from walking import looked, moved, running, walking

from homeostat.adapters.actuators._haproxy_socket import variable
from homeostat.base.errors import ConfigError
from homeostat.base.intent import ReceiptStatus
from homeostat.demo.envoy import find_envoy

pytestmark = pytest.mark.live
DONE = [ReceiptStatus.DONE] * 2
# What every HAProxy has besides what the page is about.
DEFAULTS = """
defaults
    mode http
    timeout connect 2s
    timeout client 10s
    timeout server 10s
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


def runtime(admin: int) -> dict[str, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/runtime?format=json") as answer:
        entries = json.loads(answer.read())["entries"]
    return {key: entry["final_value"] for key, entry in entries.items()}


def test_the_page_on_envoy(folder: Path) -> None:
    try:
        program = find_envoy()
    except ConfigError as error:
        pytest.skip(str(error))
    harness.write_stand_ins(folder / "artefacts")
    admin, front = (first := harness.free_block(2)), first + 1
    here = {"9901": str(admin), "8080": str(front)}
    with (
        walking("connect-envoy.md") as page,
        harness.running_host(harness.host_settings(folder)) as host,
    ):
        page.file(folder / "envoy.yaml", swap=here)
        name, *words = shlex.split(page.commands()[0])
        assert name == "envoy"
        # Several on one machine would share memory by this number.
        with running([str(program), "--disable-hot-restart", *words], folder, admin):
            place = {"127.0.0.1:7070": f"127.0.0.1:{host.settings.port}", "9901": str(admin)}
            text = page.file(folder / "chat.yaml", swap=place)
            before = runtime(admin)
            looked(*page.commands())
            assert runtime(admin) == before
            assert before["traffic.b"] == "5"
            change = (("gateway_limit", 40), ("weight.b", 30))
            receipts = moved(text, "envoy", change, (("gateway_limit", 0), ("weight.b", 5)))
            after = runtime(admin)
    assert [receipt.status for receipt in receipts] == DONE, receipts
    assert after["homeostat.stamp"].startswith("d-1.0.0|3|")
    assert {key: after[key] for key in before} == before


def test_the_page_on_haproxy(folder: Path) -> None:
    if shutil.which("haproxy") is None:
        pytest.skip("haproxy is not installed: apt-get install haproxy")
    haproxy = Haproxy(folder, 0, 0, 0)
    front = harness.free_block(1)
    users = f"frontend users\n    bind 127.0.0.1:{front}\n    default_backend model\n"
    here = {"/run/haproxy/admin.sock": haproxy.socket}
    with walking("connect-haproxy.md") as page:
        config = folder / "haproxy.cfg"
        written = page.file(config, "", swap=here)
        whole = written.replace("\nbackend model", f"{DEFAULTS}{users}backend model")
        config.write_text(whole, encoding="utf-8")
        with running(["haproxy", "-db", "-f", str(config)], folder, front):
            before = haproxy.say("show servers state model")
            text = page.file(folder / "chat.yaml", swap=here)
            looked(*page.commands())
            after = haproxy.say(f"show servers state model; get var {variable('model')}")
            assert weights(after) == weights(before) == [95, 95, 10]
            assert "Variable not found." in after
            change = (("drained.a-2", 1), ("weight.b", 30))
            receipts = moved(text, "haproxy", change, (("drained.a-2", 0), ("weight.b", 5)))
            undone = weights(haproxy.say("show servers state model"))
    assert [receipt.status for receipt in receipts] == DONE, receipts
    assert undone[0] == undone[1] == pytest.approx(9.5 * undone[2], rel=0.01)


def weights(state: str) -> list[int]:
    rows = [line.split() for line in state.splitlines() if " model " in line and "#" not in line]
    return [int(row[7]) for row in rows]
