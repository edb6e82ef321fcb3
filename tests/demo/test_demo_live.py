"""The demo end to end, through the command line: real servers, proxy, load, faults, controller."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from homeostat.base import codec
from homeostat.base.events import Record
from homeostat.base.intent import ActionRecord
from homeostat.demo.faults import FAULTS
from homeostat.demo.runner import STORY
from homeostat.server.replaying import Kept, open_read_only

HEALED = sorted(name for name, fault in FAULTS.items() if fault.expected == "recovered")


def homeostat(*arguments: str, timeout_s: float) -> "subprocess.CompletedProcess[str]":
    """Run a command as a person would."""
    return subprocess.run(
        [sys.executable, "-m", "homeostat", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def demo(folder: Path, *arguments: str, timeout_s: float = 280.0) -> tuple[int, dict[str, Any]]:
    """Run the demo; returns its exit code and what it wrote."""
    file = folder / "result.json"
    done = homeostat(
        "demo", "--headless", "--json", str(file), "--dir", str(folder / "kept"), *arguments,
        timeout_s=timeout_s,
    )  # fmt: skip
    assert file.is_file(), done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert done.stdout == "", "talk goes to stderr"
    plain: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    assert plain["incidents"], done.stderr
    return done.returncode, plain


def replayed(folder: Path) -> int:
    """Verify and replay the journal of a round; returns how many decisions are in it."""
    journal = str(folder / "homeostat.db")
    done = homeostat("audit", "verify", journal, timeout_s=60.0)
    assert done.returncode == 0, done.stdout + done.stderr
    done = homeostat("replay", journal, "--output", "json", timeout_s=60.0)
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = json.loads(done.stdout)
    assert row["mismatches"] == 0
    decisions: int = row["decisions"]
    return decisions


def told(folder: Path) -> list[str]:
    """Return why each action of a round's journal was where it was, step by step."""
    opened = open_read_only(Kept(place=str(folder / "homeostat.db")))
    try:
        facts = [codec.decode(entry.body) for entry in opened.read(kinds=("event", "command"))]
    finally:
        opened.close()
    records = [fact.fact for fact in facts if isinstance(fact, Record)]
    return [one.reason for one in records if isinstance(one, ActionRecord)]


@pytest.mark.alone
@pytest.mark.live
def test_a_killed_replica_and_a_bad_canary_are_healed_and_the_journal_tells_how(
    tmp_path: Path,
) -> None:
    code, plain = demo(tmp_path, "--fault", "killed_replica,bad_canary", "--seed", "2")
    killed, canary = plain["incidents"]
    assert code == 0, plain["incidents"]
    assert [one["outcome"] for one in (killed, canary)] == ["recovered", "recovered"]
    assert [action.split()[0] for action in killed["actions"]] == ["restart_replica"]
    # What the pool runs may be taken back as well, once its traffic is.
    assert canary["actions"][:2] == [
        "shift_traffic pool:b (weight.b=3.0)", "undo shift_traffic pool:b (weight.b=0)"
    ]  # fmt: skip
    assert [one["lost_requests"] for one in (killed, canary)] == [0, 0]
    times = [killed[f"{what}_at"] for what in ("injected", "detected", "acted", "recovered")]
    assert times == sorted(times)
    assert plain["first_heal_s"] == killed["recovered_at"] <= 90.0
    assert plain["requests"] > 1_000
    assert plain["errors"] < 0.01 * plain["requests"]
    assert replayed(tmp_path / "kept" / "round-00") >= 2
    why = told(tmp_path / "kept" / "round-00")
    assert any("the canary does harm" in one for one in why), "the canary engine judged it"


@pytest.mark.long
@pytest.mark.timeout(400)
def test_several_faults_of_one_deployment_are_healed_one_after_the_other(tmp_path: Path) -> None:
    """What `make demo` shows, without its display: no cure may spoil the next one."""
    code, plain = demo(tmp_path, "--seed", "4")
    assert [one["fault"] for one in plain["incidents"]] == list(STORY)
    assert {one["outcome"] for one in plain["incidents"]} == {"recovered"}
    assert [one["lost_requests"] for one in plain["incidents"]] == [0] * len(STORY)
    times = [one[at] for one in plain["incidents"] for at in ("injected_at", "recovered_at")]
    assert times == sorted(times), "the next one begins when the one before is over"
    assert code == 0
    assert [one.name for one in (tmp_path / "kept").iterdir()] == ["round-00"]
    assert replayed(tmp_path / "kept" / "round-00") >= len(STORY)
    why = told(tmp_path / "kept" / "round-00")
    assert any("the canary does harm" in one for one in why), "the last one, by the canary engine"


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_every_fault_has_its_outcome_and_no_request_is_lost_by_an_action(tmp_path: Path) -> None:
    code, plain = demo(tmp_path, "--fault", "all", "--seed", "3", timeout_s=1_700.0)
    outcomes = {one["fault"]: one["outcome"] for one in plain["incidents"]}
    assert outcomes == {fault.name: fault.expected for fault in FAULTS.values()}
    assert [one["fault"] for one in plain["incidents"] if not one["as_expected"]] == []
    assert code == 0
    assert {one["fault"]: one["lost_requests"] for one in plain["incidents"]} == dict.fromkeys(
        FAULTS, 0
    )
    took = sorted(
        one["recovered_at"] - one["injected_at"]
        for one in plain["incidents"]
        if one["outcome"] == "recovered"
    )
    assert took[len(took) // 2] <= 20.0
    assert took[-1] <= 45.0
    rounds = sorted((tmp_path / "kept").iterdir())
    names = [one["fault"] for one in plain["incidents"]]
    decided = dict(zip(names, map(replayed, rounds), strict=True))
    assert [name for name in HEALED if not decided[name]] == []


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", HEALED)
def test_without_a_controller_nothing_recovers_within_90_seconds(name: str, tmp_path: Path) -> None:
    _, plain = demo(tmp_path, "--control", "--fault", name, "--seed", "3")
    (incident,) = plain["incidents"]
    recovered_at = incident["recovered_at"]
    assert recovered_at is None or recovered_at - incident["injected_at"] > 90.0
    assert incident["outcome"] != "recovered"
    assert incident["actions"] == []


@pytest.mark.long
@pytest.mark.timeout(700)
@pytest.mark.parametrize("name", ["benign_blip", "metrics_outage"])
def test_holding_is_no_muteness_without_the_evidence_rules_it_acts(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()
    code, held = demo(tmp_path / "with", "--fault", name, "--seed", "3")
    assert (code, held["incidents"][0]["actions"]) == (0, [])
    code, acted = demo(tmp_path / "without", "--fault", name, "--seed", "3", "--no-evidence-rules")
    assert acted["incidents"][0]["actions"] != []
    assert code == 1, "acting was not the right outcome"
