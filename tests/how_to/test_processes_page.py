"""The page on processes does what it says, from its own text: a real host, Envoy, a controller.

The model servers are stand-ins: they answer all that the page asks of one, and compute nothing.
"""

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "demo"))
import host_harness as harness
from walking import ROOT, homeostat, looked, replaced, running, walking

from homeostat.base.errors import ConfigError
from homeostat.base.types import ActionKind
from homeostat.demo.envoy import Envoy, EnvoySettings, find_envoy
from homeostat.server.config.loader import assemble, parse

pytestmark = [pytest.mark.live, pytest.mark.slow]
EXAMPLE = (ROOT / "examples" / "managed-model.yaml").read_text(encoding="utf-8")
CAREFUL = "metadata: {name: careful}\nspec:\n"
SETTLED_S = 60.0


def settled(host: int) -> None:
    """Wait until every server of the host is up."""
    give_up = time.monotonic() + SETTLED_S
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{host}/v1/state", timeout=10.0) as answer:
            state = json.loads(answer.read())
        if not state["changing"] and state["spares"] == 1:
            return
        assert time.monotonic() < give_up, state
        time.sleep(0.1)


def plain(command: str) -> str:
    return command.removeprefix(".venv/bin/")


def test_the_page_on_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        find_envoy()
    except ConfigError as error:
        pytest.skip(str(error))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    harness.write_stand_ins(tmp_path / "artefacts")
    host, front, admin, api = (first := harness.free_block(45)), first + 1, first + 2, first + 3
    here = {"7070": str(host), "9901": str(admin), "7373": str(api)}
    with walking("connect-your-deployment.md") as page:
        swap = {
            '"port": 7070': f'"port": {host}, "first_port": {first + 5}, "port_count": 40',
            "/var/lib/credit": str(tmp_path),
            "credit.server:serve": "stand_in:serve",
            "9901": str(admin),
            '"die_with_parent": false': '"die_with_parent": true',
        }
        page.file(tmp_path / "host.json", "json", swap=swap)
        words = [sys.executable, "-m", "homeostat.demo.host", "--config", "host.json"]
        assert " ".join(words[1:]) in (ROOT / "docs/how-to/connect-your-deployment.md").read_text()
        path = {"PYTHONPATH": str(ROOT / "tests" / "demo")}
        Path("managed-model.yaml").write_text(replaced(EXAMPLE, here), encoding="utf-8")
        with running(words, tmp_path, host, path):
            settled(host)
            place = EnvoySettings(
                port=front,
                admin_port=admin,
                folder=tmp_path / "envoy",
                rotation_folder=tmp_path / "host" / "rotation",
            )
            envoy = asyncio.run(Envoy.start(place))
            try:
                (look,) = page.commands()
                looked(plain(look), "credit")
                run, decisions = map(plain, page.commands()[:2])
                snippet = page.take("yaml", "grantedBy")
                stop = page.commands({"KILL_FILE": "kill"})
                controlled(tmp_path, api, run, decisions.partition(" #")[0], stop)
            finally:
                asyncio.run(envoy.stop())
    granted = EXAMPLE.replace(CAREFUL, CAREFUL + snippet)
    (managed,) = assemble(parse(granted.encode(), "m.yaml")).managed()
    assert managed.guard.granted_by == "Ada Lovelace"
    assert set(managed.guard.auto_kinds) == {ActionKind.RESTART_REPLICA, ActionKind.SCALE_UP}


def controlled(folder: Path, api: int, run: str, decisions: str, stop: list[str]) -> None:
    """Run the controller as the page does, ask it, and stop it in the page's three ways."""
    words = [str(Path(sys.executable).parent / "homeostat"), *run.split()[1:]]
    asked = f"--url http://127.0.0.1:{api}"
    with running(words, folder, api):
        said = homeostat(f"{decisions} {asked} --output json")
        assert said.exit_code == 0, said.output
        assert json.loads(said.stdout) == []
        kill = folder / "kill"
        for command, level in zip(stop[:2], ("no_new", "nothing"), strict=True):
            bare = plain(command).partition(" #")[0].strip()
            said = homeostat(f"{bare} {asked} --token-file homeostat.token")
            assert said.exit_code == 0, said.output
            assert level in kill.read_text(encoding="utf-8")
        kill.unlink()
        subprocess.run(["bash", "-c", stop[2]], check=True)
        assert kill.read_text(encoding="utf-8").strip() == "nothing"
