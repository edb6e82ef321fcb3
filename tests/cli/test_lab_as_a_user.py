"""`homeostat lab run` as a user meets it: real workers, killed halfway, taken up, and read.

Nothing is replaced: the twin, four policies of which two think with the real controller, the judge,
and both files that a run leaves. Minutes of two cores.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import pytest
from typing_extensions import override

from homeostat.report.lab_results import Results, from_json
from homeostat.report.lab_schema import schema

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

SCENARIOS: Final = ("S07", "S43")
POLICIES: Final = ("hold", "threshold", "runbook", "homeostat")
SEEDS: Final = 2
PIECES: Final = len(SCENARIOS) * len(POLICIES)
COMMAND: Final = [
    sys.executable, "-m", "homeostat", "lab", "run", "--only", ",".join(SCENARIOS),
    "--seeds", str(SEEDS), "--policies", ",".join(POLICIES), "--films", "1",
]  # fmt: skip
_VOID: Final = {"meta", "link", "br", "img", "hr", "input", "col"}


class Page(HTMLParser):
    """Whether every element ends, in order, and what a browser would fetch or run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.seen: set[str] = set()
        self.fetched: list[str] = []
        self.feed(text)
        self.close()

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.fetched += [value or "" for key, value in attrs if key in {"src", "srcset", "data"}]
        if tag not in _VOID:
            self.open.append(tag)

    @override
    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)

    @override
    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def shards(folder: Path) -> dict[str, bytes]:
    """Return what was kept of a run: the shards' files with their contents."""
    found = sorted((folder / "lab" / "shards").glob("S*_0-*.json"))
    return {file.name: file.read_bytes() for file in found}


def killed(folder: Path, after: int) -> None:
    """Begin the command, and kill it when so many shards are kept; nothing of it stays alive."""
    with (folder / "first.txt").open("w") as said:
        command = subprocess.Popen(COMMAND, cwd=folder, stdout=said, stderr=said)
        workers: set[str] = set()
        try:
            while len(shards(folder)) < after:
                assert command.poll() is None, (folder / "first.txt").read_text()
                children = Path(f"/proc/{command.pid}/task/{command.pid}/children")
                workers |= set(children.read_text().split())
                time.sleep(0.1)
        finally:
            command.send_signal(signal.SIGKILL)
            command.wait(30.0)
    assert workers, "the command played in its own process"
    for _ in range(600):  # a worker ends by itself when its command is gone
        if not [pid for pid in workers if _alive(pid)]:
            return
        time.sleep(0.1)
    pytest.fail("workers outlived their command")


def _alive(pid: str) -> bool:
    """Return whether a process runs; one that ended and that nobody asked after does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "--output", "json"],
        cwd=folder, capture_output=True, text=True, check=False, timeout=3000,
        env=os.environ | {"COLUMNS": "100"},
    )  # fmt: skip


def test_a_run_is_killed_taken_up_and_read(tmp_path: Path) -> None:
    killed(tmp_path, after=3)
    before = shards(tmp_path)
    assert 3 <= len(before) < PIECES
    assert not (tmp_path / "lab" / "results.json").exists()
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"{len(before)} of {PIECES} shards are there already" in done.stderr
    after = shards(tmp_path)
    assert len(after) == PIECES
    assert {name: after[name] for name in before} == before, "what was kept is not played again"
    text = (tmp_path / "lab" / "results.json").read_text(encoding="utf-8")
    results = from_json(text)
    assert from_json(done.stdout) == results
    _by_its_schema(json.loads(text))
    _says_what_was_played(results)
    _is_whole(tmp_path / "lab", results)
    _same_when_played_again(tmp_path)


def _by_its_schema(plain: dict[str, Any]) -> None:
    judge = pytest.importorskip("jsonschema_rs", reason="comes with schemathesis")
    validator = judge.validator_for(schema())
    assert [error.message for error in validator.iter_errors(plain)] == []
    assert not validator.is_valid({key: plain[key] for key in plain if key != "policies"})


def _says_what_was_played(results: Results) -> None:
    assert tuple(results.policies) == POLICIES
    assert tuple(results.scenarios) == SCENARIOS
    assert results.seeds == SEEDS
    assert results.wall_s > 0.0
    for name, found in results.policies.items():
        assert tuple(found.scenarios) == SCENARIOS, name
        assert found.metrics["sla_compliance"].n == len(SCENARIOS) * SEEDS, name
        assert found.over_episodes is not None, name
        assert found.over_episodes.n == len(SCENARIOS) * SEEDS, name
    hold, homeostat = (results.policies[name].metrics for name in ("hold", "homeostat"))
    assert hold["intervention_minutes"].value == 0.0
    value, low = homeostat["uptime"].value, homeostat["uptime"].low
    assert value is not None
    assert low is not None
    assert 0.0 <= low <= value <= 1.0
    assert results.policies["homeostat"].metrics != results.policies["runbook"].metrics
    assert results.policies["homeostat"].gate


def _is_whole(folder: Path, results: Results) -> None:
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert html.rstrip().endswith("</html>")
    page = Page(html)
    assert page.open == []
    assert page.wrong == []
    assert page.fetched == []
    assert "script" not in page.seen
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", html)
    assert [name for name in (*POLICIES, *SCENARIOS) if name not in html] == []
    films = [json.loads(f.read_text()) for f in (folder / "shards").glob("picture_*.json")]
    assert films, "no episode of a flash crowd went badly for anybody"
    for film in films:
        assert film["title"] in html
        assert film["picture"] in html
    assert results.command in html


def _same_when_played_again(folder: Path) -> None:
    """A shard that is lost is played again to the same scores, by the real controller."""
    (lost,) = (folder / "lab" / "shards").glob("S43_0-1_homeostat_*.json")
    kept = json.loads(lost.read_text(encoding="utf-8"))
    results = from_json((folder / "lab" / "results.json").read_text(encoding="utf-8"))
    for file in (lost, *lost.parent.glob("play_*")):
        file.unlink()
    done = run(folder)
    assert done.returncode == 0, done.stderr
    assert f"{PIECES - 1} of {PIECES} shards are there already" in done.stderr
    assert json.loads(lost.read_text(encoding="utf-8"))["result"] == kept["result"]
    assert from_json(done.stdout).policies == results.policies
