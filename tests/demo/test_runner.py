"""The runner: seeded plans, the result's contract, exit codes, and what is left behind."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from homeostat.base.errors import ConfigError, UnknownPartError
from homeostat.demo import runner
from homeostat.demo.faults import FAULTS, Fault
from homeostat.demo.judge import Judged
from homeostat.demo.runner import Options, list_rows, run_demo, summary

GOOD = Judged(
    fault="killed_replica", detail="a-1 killed", expected="recovered", injected_at=20.5,
    detected_at=21.5, acted_at=22.0, recovered_at=24.0,
    actions=["restart_replica replica:a-1 (incarnation.a-1=2)"], lost_requests=0,
    outcome="recovered", diagnosis="replica at replica:a-1", as_expected=True,
)  # fmt: skip


@dataclass
class Rounds:
    """Stands in for `Round`: keeps what it was asked, and gives what the test wants."""

    judge: Callable[[Fault], Judged] = lambda fault: replace(GOOD, fault=fault.name)
    made: list[dict[str, Any]] = field(default_factory=list)
    ran: list[list[str]] = field(default_factory=list)
    stays: list[float | None] = field(default_factory=list)
    raises: BaseException | None = None

    def __call__(self, **settings: Any) -> "Rounds":
        self.made.append(settings)
        return self

    def run(
        self, faults: list[Fault], chance: random.Random, *, stay_s: float | None
    ) -> tuple[list[Judged], tuple[int, int]]:
        self.stays.append(stay_s)
        self.made[-1]["folder"].mkdir(parents=True)
        if self.raises is not None:
            raise self.raises
        self.ran.append([fault.name for fault in faults])
        return [self.judge(fault) for fault in faults], (1000, 3)


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Rounds:
    made = Rounds()
    monkeypatch.setattr(runner, "Round", made)
    monkeypatch.setattr("tempfile.mkdtemp", lambda prefix: str(_made(tmp_path / "temp")))
    return made


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def result(tmp_path: Path, **options: Any) -> dict[str, Any]:
    file = tmp_path / "result.json"
    run_demo(Options(headless=True, json_file=file, **options))
    plain: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return plain


def test_the_json_holds_what_the_commands_page_promises(rounds: Rounds, tmp_path: Path) -> None:
    plain = result(tmp_path, fault="killed_replica", seed=4)
    assert {"incidents", "first_heal_s", "requests", "errors"} <= set(plain)
    (incident,) = plain["incidents"]
    assert incident | {"fault": "killed_replica", "injected_at": 20.5, "detected_at": 21.5,
        "acted_at": 22.0, "recovered_at": 24.0, "lost_requests": 0, "outcome": "recovered",
        "actions": ["restart_replica replica:a-1 (incarnation.a-1=2)"]} == incident  # fmt: skip
    assert (plain["first_heal_s"], plain["requests"], plain["errors"]) == (24.0, 1000, 3)


def test_the_page_and_the_json_name_the_same_keys(rounds: Rounds, tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "commands.md"
    example = json.loads(page.read_text(encoding="utf-8").split("```json")[1].split("```")[0])
    plain = result(tmp_path, fault="killed_replica")
    assert set(example) == set(plain)
    assert set(example["incidents"][0]) == set(plain["incidents"][0])


def test_what_did_not_happen_is_null(rounds: Rounds, tmp_path: Path) -> None:
    rounds.judge = lambda fault: replace(
        GOOD, fault=fault.name, detected_at=None, acted_at=None, recovered_at=None, actions=[],
        outcome="held",
    )  # fmt: skip
    plain = result(tmp_path, fault="benign_blip")
    assert plain["first_heal_s"] is None
    incident = plain["incidents"][0]
    assert [incident[key] for key in ("detected_at", "acted_at", "recovered_at")] == [None] * 3


def test_a_recovery_without_an_action_is_no_heal(rounds: Rounds, tmp_path: Path) -> None:
    rounds.judge = lambda fault: replace(GOOD, actions=[], outcome="held")
    assert result(tmp_path, fault="benign_blip")["first_heal_s"] is None


def test_totals_are_summed_over_rounds(rounds: Rounds, tmp_path: Path) -> None:
    plain = result(tmp_path, fault="all")
    assert (plain["requests"], plain["errors"]) == (1000 * len(FAULTS), 3 * len(FAULTS))
    assert plain["first_heal_s"] == 24.0


@pytest.mark.parametrize("as_expected", [True, False])
@pytest.mark.parametrize("control", [True, False])
def test_the_exit_code_is_1_when_an_outcome_was_wrong_except_without_a_controller(
    rounds: Rounds, *, as_expected: bool, control: bool
) -> None:
    rounds.judge = lambda _: replace(GOOD, as_expected=as_expected)
    code = run_demo(Options(headless=True, fault="killed_replica", control=control))
    assert code == (0 if as_expected or control else 1)


def test_all_faults_run_each_in_a_fresh_deployment_in_an_order_the_seed_decides(
    rounds: Rounds,
) -> None:
    orders = []
    for seed in (1, 1, 2):
        rounds.ran.clear()
        run_demo(Options(headless=True, fault="all", seed=seed))
        assert all(len(faults) == 1 for faults in rounds.ran)
        orders.append([faults[0] for faults in rounds.ran])
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(FAULTS)
    folders = [made["folder"] for made in rounds.made[: len(FAULTS)]]
    seeds = [made["seed"] for made in rounds.made[: len(FAULTS)]]
    assert len(set(folders)) == len(set(seeds)) == len(FAULTS)


def test_without_a_fault_a_short_story_shares_one_deployment(rounds: Rounds) -> None:
    run_demo(Options(headless=True))
    story = ["killed_replica", "bad_release_errors", "slow_replica", "bad_canary"]
    assert rounds.ran == [story]


def test_the_options_reach_the_round(rounds: Rounds) -> None:
    run_demo(Options(headless=True, fault="slow_replica", control=True, evidence_rules=False))
    assert rounds.made[0]["control"] is True
    assert rounds.made[0]["evidence_rules"] is False


def test_an_unknown_fault_starts_nothing_and_says_what_was_meant(rounds: Rounds) -> None:
    with pytest.raises(UnknownPartError, match="did you mean 'flash_crowd'"):
        run_demo(Options(headless=True, fault="flashcrowd"))
    assert rounds.made == []


def test_a_good_run_leaves_nothing_behind_and_a_bad_one_its_logs(
    rounds: Rounds, tmp_path: Path
) -> None:
    run_demo(Options(headless=True, fault="killed_replica"))
    assert not (tmp_path / "temp").exists()
    rounds.judge = lambda _: replace(GOOD, as_expected=False)
    run_demo(Options(headless=True, fault="killed_replica"))
    assert (tmp_path / "temp" / "round-00").is_dir()


def test_a_folder_that_was_asked_for_is_kept(rounds: Rounds, tmp_path: Path) -> None:
    run_demo(Options(headless=True, fault="killed_replica", folder=tmp_path / "kept"))
    assert (tmp_path / "kept" / "round-00").is_dir()


def test_a_deployment_that_does_not_start_is_an_error_with_its_logs_kept(
    rounds: Rounds, tmp_path: Path
) -> None:
    rounds.raises = ConfigError("envoy was not ready")
    file = tmp_path / "result.json"
    with pytest.raises(ConfigError):
        run_demo(Options(headless=True, fault="killed_replica", json_file=file))
    assert (tmp_path / "temp" / "round-00").is_dir()
    assert json.loads(file.read_text(encoding="utf-8"))["incidents"] == []


def test_ctrl_c_ends_the_demo_with_the_results_so_far(rounds: Rounds, tmp_path: Path) -> None:
    rounds.raises = KeyboardInterrupt()
    assert result(tmp_path, fault="all")["incidents"] == []
    assert rounds.ran == []


def test_ctrl_c_is_no_success(rounds: Rounds) -> None:
    rounds.raises = KeyboardInterrupt()
    assert run_demo(Options(headless=True, fault="killed_replica")) == 130


def test_a_run_over_several_deployments_ends_with_a_line_for_each_fault() -> None:
    lost = replace(GOOD, fault="slow_replica", as_expected=False, lost_requests=4, load_lag_s=3.0)
    first, second = summary([GOOD, lost])
    assert first.split()[:6] == ["ok", "killed_replica", "recovered", "3.5", "s", "lost"]
    assert second.startswith("NOT slow_replica")
    assert "lost 4" in second
    assert "too busy" in second
    assert "too busy" not in first


@pytest.mark.parametrize(("duration", "stays"), [(None, 0.0), (0.0, 0.0)])
def test_a_headless_demo_ends_by_itself(
    rounds: Rounds, duration: float | None, stays: float
) -> None:
    run_demo(Options(headless=True, fault="killed_replica", duration_s=duration))
    assert rounds.stays == [stays]


def test_a_duration_is_counted_from_the_start(rounds: Rounds) -> None:
    run_demo(Options(headless=True, fault="killed_replica", duration_s=100.0))
    (stay,) = rounds.stays
    assert stay is not None
    assert 95.0 < stay <= 100.0


def test_the_list_names_every_fault_with_its_outcome() -> None:
    rows = list_rows()
    assert [row["fault"] for row in rows] == list(FAULTS)
    assert all(row["what"] and row["outcome"] == FAULTS[row["fault"]].expected for row in rows)
