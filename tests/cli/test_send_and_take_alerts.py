"""The page on alerts does what it says, from its own text, with a real Alertmanager."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "notify"))
sys.path.insert(0, str(Path(__file__).parents[1] / "how_to"))
import alertmanager_server as real
from walking import FOLDER, walking

from homeostat.server.config.loader import assemble, parse

PAGE = "send-and-take-alerts.md"
TEXT = (FOLDER / PAGE).read_text(encoding="utf-8")
MANAGER, CONTROLLER, SLACK = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
TOKEN, ALERTMANAGER, RUN, ADD, GET, QUERY = re.findall(r"^\$ (.*)$", TEXT, re.MULTILINE)
HOMEOSTAT = str(Path(sys.executable).parent / "homeostat")


def test_no_block_of_the_page_is_left_out() -> None:
    with walking(PAGE) as page:
        assert page.commands() == [TOKEN]
        assert page.take("yaml") == MANAGER
        assert page.commands() == [ALERTMANAGER]
        assert page.take("yaml") == CONTROLLER
        assert page.commands() == [RUN]
        assert page.commands() == [ADD, GET, QUERY]
        assert page.take("yaml") == SLACK


def test_the_pages_files_are_whole() -> None:
    whole = assemble(parse(CONTROLLER.encode(), "alerts.yaml")).controller
    assert [one.part for one in whole.notifiers] == ["alertmanager"]
    assert whole.alerts is not None
    assert whole.terminal
    model = CONTROLLER.partition("---\n")[2]
    slack = assemble(parse(f"{SLACK}---\n{model}".encode(), "slack.yaml")).controller
    assert slack.slack is not None
    assert slack.slack.people == (("U0ADA1", "ada"),)


@contextmanager
def started(folder: Path, words: list[str]) -> Iterator["subprocess.Popen[bytes]"]:
    with (folder / f"{Path(words[0]).name}.log").open("ab") as log:
        process = subprocess.Popen(
            words, cwd=folder, stdout=log, stderr=log, env=surroundings(folder)
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


def surroundings(folder: Path) -> dict[str, str]:
    return {**os.environ, "XDG_STATE_HOME": str(folder / "state")}


@pytest.mark.live
@pytest.mark.slow
@real.needed
@pytest.mark.skipif(shutil.which("amtool") is None, reason="no amtool; it comes with Alertmanager")
def test_an_alert_of_ones_own_is_shown_and_nothing_is_done(tmp_path: Path) -> None:
    ours, theirs = real.free_port(), real.free_port()

    def here(text: str) -> str:
        return text.replace(":7373", f":{ours}").replace(":9093", f":{theirs}")

    subprocess.run(["bash", "-c", TOKEN], check=True, cwd=tmp_path)
    (tmp_path / "alertmanager.yml").write_text(here(MANAGER))
    api = f"  api: {{port: {ours}}}\n  notify:"
    (tmp_path / "alerts.yaml").write_text(here(CONTROLLER).replace("  notify:", api, 1))
    manager = shlex.split(here(ALERTMANAGER))
    manager[0] = shutil.which(manager[0]) or str(shutil.which("alertmanager"))
    with started(tmp_path, manager), started(tmp_path, [HOMEOSTAT, *shlex.split(RUN)[1:]]) as run:
        add = shlex.split(here(ADD))
        real.until(lambda: subprocess.run(add, check=False, capture_output=True).returncode == 0)
        get = [HOMEOSTAT, *shlex.split(GET)[1:], "--url", f"http://127.0.0.1:{ours}"]
        rows: list[dict[str, object]] = []
        end = time.monotonic() + 120.0
        while not rows:
            assert run.poll() is None, (tmp_path / "homeostat.log").read_text()[-3000:]
            assert time.monotonic() < end, (tmp_path / "homeostat.log").read_text()[-3000:]
            said = subprocess.run([*get, "--output", "json"], check=False, capture_output=True)
            rows = json.loads(said.stdout) if said.returncode == 0 else []
            time.sleep(0.5)
        assert [(row["name"], row["deployment"], row["state"]) for row in rows] == [
            ("HighLatency", "chat", "firing")
        ]
        table = subprocess.run(get, check=True, capture_output=True, text=True).stdout
        assert "p95 over 2 s" in table
        query = subprocess.run(shlex.split(here(QUERY)), check=True, capture_output=True, text=True)
        assert "HighLatency" not in query.stdout
    token = (tmp_path / "alerts.token").read_text().strip()
    assert token not in (tmp_path / "homeostat.log").read_text()
