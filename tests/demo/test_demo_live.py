"""The demo end to end, through the command line: real servers, proxy, load, faults, controller."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from homeostat.base import codec
from homeostat.base.events import Record
from homeostat.base.intent import ActionRecord, Proof
from homeostat.base.training import Lineage, LineageState
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


def facts(folder: Path) -> list[Any]:
    """Return every fact that a round's journal holds."""
    opened = open_read_only(Kept(place=str(folder / "homeostat.db")))
    try:
        found = [codec.decode(entry.body) for entry in opened.read(kinds=("event", "command"))]
    finally:
        opened.close()
    return [one.fact for one in found if isinstance(one, Record)]


def told(folder: Path) -> list[str]:
    """Return why each action of a round's journal was where it was, step by step."""
    return [one.reason for one in facts(folder) if isinstance(one, ActionRecord)]


@pytest.mark.alone
@pytest.mark.live
def test_a_killed_replica_and_a_bad_canary_are_healed_a_blip_is_left_and_the_journal_tells_how(
    tmp_path: Path,
) -> None:
    faults = "killed_replica,benign_blip,bad_canary"
    code, plain = demo(tmp_path, "--fault", faults, "--seed", "2")
    killed, blip, canary = plain["incidents"]
    assert code == 0, plain["incidents"]
    assert [one["outcome"] for one in (killed, canary)] == ["recovered", "recovered"]
    assert (blip["outcome"], blip["actions"]) == ("held", []), "what ends by itself is let be"
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


@pytest.mark.live
@pytest.mark.long
@pytest.mark.timeout(700)
def test_a_drift_is_cured_by_a_version_that_two_people_allowed_and_a_canary_certified(
    tmp_path: Path,
) -> None:
    code, plain = demo(tmp_path, "--fault", "covariate_drift", "--seed", "0", timeout_s=650.0)
    (drift,) = plain["incidents"]
    assert code == 0, drift
    assert (drift["outcome"], drift["lost_requests"]) == ("recovered", 0)
    assert drift["recovered_at"] - drift["injected_at"] <= 300.0
    assert "shift_traffic pool:b (weight.b=100.0)" in drift["actions"]
    folder = tmp_path / "kept" / "round-00"
    lineages = [one for one in facts(folder) if isinstance(one, Lineage)]
    states = list(dict.fromkeys(one.state for one in lineages))
    # The demo ends when its users are well again: the last rung may be under its watch still.
    assert states[-1] in {LineageState.TRYING, LineageState.PROMOTED}
    assert {LineageState.ASKING, LineageState.MADE, LineageState.TRYING} <= set(states)
    ramps = [one for one in facts(folder) if isinstance(one, ActionRecord) and one.action.beside]
    assert ramps[-1].proof is Proof.CERTIFIED, "about wrong answers: nothing failed"
    assert any("ratio of wrong answers below" in one.reason for one in ramps)
    last = lineages[-1]
    assert last.order.parent == "v2"
    assert sorted(last.order.approvers) == ["ada", "ben"], "two, whatever is granted"
    assert (folder / "artefacts" / last.version / "model.safetensors").is_file()
    assert replayed(folder) >= 2


@pytest.mark.long
@pytest.mark.timeout(2_100)
def test_every_fault_has_its_outcome_and_no_request_is_lost_by_an_action(tmp_path: Path) -> None:
    code, plain = demo(tmp_path, "--fault", "all", "--seed", "3", timeout_s=2_000.0)
    outcomes = {one["fault"]: one["outcome"] for one in plain["incidents"]}
    assert outcomes == {fault.name: fault.expected for fault in FAULTS.values()}
    assert [one["fault"] for one in plain["incidents"] if not one["as_expected"]] == []
    assert code == 0
    assert {one["fault"]: one["lost_requests"] for one in plain["incidents"]} == dict.fromkeys(
        FAULTS, 0
    )
    took = {
        one["fault"]: one["recovered_at"] - one["injected_at"]
        for one in plain["incidents"]
        if one["outcome"] == "recovered"
    }
    assert took.pop("covariate_drift") <= 300.0, "two people, a training and a ramp"
    assert sorted(took.values())[len(took) // 2] <= 20.0
    assert max(took.values()) <= 45.0
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
