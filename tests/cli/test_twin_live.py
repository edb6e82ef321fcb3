"""`homeostat twin live`: what it predicts, prints and refuses, and how it ends."""

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from homeostat.base.errors import ConfigError
from homeostat.cli import twin_live
from homeostat.cli.main import app
from homeostat.cli.twin_live import Asked
from homeostat.demo import live_run
from homeostat.demo.live_plan import Bound, Plan, Prediction
from homeostat.demo.live_run import Measured
from homeostat.lab.live_effects import Predicted, Seconds, State
from homeostat.report import lab_live

pytest.importorskip("jax")

ONSET, LENGTH = 40, 130
FINE = State(error_ratio=0.0, p99_ms=90.0, throughput=100.0)
ILL = State(error_ratio=0.09, p99_ms=950.0, throughput=91.0)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["twin", "live", *map(str, arguments)])


def side(until: int, actions: Sequence[str], draws: int) -> Seconds:
    """Return draws that are ill from the onset until a second."""
    ill = np.zeros((draws, LENGTH), bool)
    ill[:, ONSET:until] = True
    rate = np.full((draws, LENGTH), 100.0)
    late = np.where(ill, 900.0, 60.0)
    return Seconds(
        offered=rate, good=np.where(ill, 91.0, 100.0), p50_ms=late / 2.0, p95_ms=late,
        p99_ms=late * 1.05, faulty=ill, actions=(tuple(actions),) * draws,
        acted_s=np.full(draws, 6.0 if actions else math.nan),
    )  # fmt: skip


def said(draws: int) -> Prediction:
    plans = tuple(
        Plan(fault="slow_replica", seed=seed, onset_s=40.0, magnitude=8.0, victim="a-1")
        for seed in range(draws)
    )
    predicted = Predicted(
        onsets=np.full(draws, float(ONSET)),
        hold=side(LENGTH, (), draws),
        acting=side(ONSET + 7, ("incarnation.a-1=2",), draws),
    )
    return Prediction(predicted=predicted, plans=plans, bound=Bound(p95_ms=250.0, error_ratio=0.01))


def happened(**changes: Any) -> Measured:
    plain: dict[str, Any] = {
        "seed": 0, "detail": "a-1 slowed 8x", "outcome": "recovered", "recovery_s": 8.0,
        "acted_s": 6.2, "actions": ("restart_replica",), "starved": False, "before": FINE,
        "during": ILL, "after": FINE,
    }  # fmt: skip
    return Measured(**(plain | changes))


def picked(asked: Asked) -> list[Any]:
    """Return what is to be compared, without a worker."""
    return twin_live.chosen(
        asked, [(one, twin_live.check(one)) for one in twin_live.sources(asked)]
    )


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Plan, bool]]:
    """Stand in for the twin's worker and for the real processes; returns what was asked of them."""
    plans: list[tuple[Plan, bool]] = []

    def live(plan: Plan, folder: Path, _: object, *, control: bool) -> Measured:
        folder.mkdir(parents=True)
        plans.append((plan, control))
        return happened(seed=plan.seed)

    def predicted(asked: Asked) -> tuple[list[Any], dict[str, Prediction]]:
        work = picked(asked)
        return work, {one.id: said(asked.seeds) for _, one in work}

    monkeypatch.setattr(twin_live, "_predicted", predicted)
    monkeypatch.setattr(live_run, "run", live)
    return plans


def test_both_sides_are_printed_and_equal_signs_end_with_zero(
    done: list[tuple[Plan, bool]],
) -> None:
    found = run("slow_replica", "--json", "--runs", 2)
    assert found.exit_code == 0, found.output
    (result,) = json.loads(found.stdout)
    assert [plan.seed for plan, _ in done] == [0, 1]
    assert result["signs_agree"] is True
    rows = {row["quantity"]: row for row in result["rows"]}
    assert rows["recovery_s"]["median"] == 7.0
    assert rows["recovery_s"]["measured"] == 8.0
    assert rows["recovery_s"]["inside"] is False
    assert rows["fault: p99_ms"]["agrees"] is True
    assert result["recovers_if_nobody_acts"] == 0.0
    assert result["plans"][0] == asdict(done[0][0])
    assert len(result["live"]) == 2


@pytest.mark.slow
def test_another_sign_ends_with_one_and_keeps_the_logs(
    done: list[tuple[Plan, bool]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(live_run, "run", lambda *_, **__: happened(during=FINE, recovery_s=1.0))
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **_: str(tmp_path))
    found = run("slow_replica")
    assert found.exit_code == 1
    assert f"logs and journals are in {tmp_path}" in found.stderr
    assert tmp_path.is_dir()
    assert done == []


@pytest.mark.parametrize(
    "unknown", [{"starved": True}, {"after": None, "recovery_s": None}], ids=["starved", "ill"]
)
def test_what_was_not_measured_ends_with_six(
    unknown: dict[str, Any], done: list[tuple[Plan, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_run, "run", lambda *_, **__: happened(**unknown))
    found = run("slow_replica", "--json")
    assert found.exit_code == 6, found.output
    assert ("too busy" in found.stderr) == ("starved" in unknown)
    assert done == []


def test_the_controller_is_off_on_both_sides(done: list[tuple[Plan, bool]]) -> None:
    found = run("slow_replica", "--json", "--control")
    (result,) = json.loads(found.stdout)
    rows = {row["quantity"]: row for row in result["rows"]}
    assert [control for _, control in done] == [True]
    assert result["controller"] is False
    assert rows["recovery_s"]["median"] is None  # nobody acts, so nothing heals
    assert rows["action: p99_ms"]["median"] is None


def test_what_was_found_can_be_kept_for_the_documentation(
    done: list[tuple[Plan, bool]], tmp_path: Path
) -> None:
    out = tmp_path / "kept" / "live.json"
    found = run("slow_replica", "--runs", 2, "--out", out)
    assert found.exit_code == 0, found.output
    assert len(done) == 2
    kept = lab_live.from_json(out.read_text(encoding="utf-8"))
    assert kept.command == "homeostat twin live slow_replica --seeds 20 --runs 2"
    assert (kept.draws, kept.runs, kept.faults, kept.signs, kept.starved) == (20, 2, 1, 1, 0)
    line = next(one for one in kept.lines if one.quantity == "recovery_s")
    assert (line.fault, line.median, line.measured, line.inside) == ("slow_replica", 7, 8, False)
    assert len(kept.catalogue_digest) == 64


@pytest.mark.slow
def test_predictions_alone_start_nothing(done: list[tuple[Plan, bool]]) -> None:
    found = run("slow_replica", "hung_replica", "--twin-only")
    assert found.exit_code == 0, found.output
    assert done == []
    assert "measured" not in found.stdout
    assert "recovery_s" in found.stdout


def test_what_cannot_be_asked_for_is_refused_before_anything_is_played(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'slow_replica'"):
        picked(Asked(faults=("slow_repica",)))
    with pytest.raises(ConfigError, match="check the name"):
        picked(Asked(file=tmp_path / "none.yaml"))
    assert run("slow_replica", "--runs", 3, "--seeds", 2).exit_code == 2
    mine = tmp_path / "mine.yaml"
    text = (twin_live.FOLDER / "slow_replica.yaml").read_text(encoding="utf-8")
    mine.write_text(text.replace("primitive: contention", "primitive: net_delay_s"), "utf-8")
    with pytest.raises(ConfigError, match=r"mine\.yaml:15: D01: net_delay_s cannot be done"):
        picked(Asked(file=mine))
    mine.write_text(text, "utf-8")
    assert [one.name for _, one in picked(Asked(file=mine))] == ["slow_replica"]
    with pytest.raises(ConfigError, match="unknown scenario 'hung_replica'"):
        picked(Asked(file=mine, faults=("hung_replica",)))


@pytest.mark.slow
def test_what_starts_processes_has_no_jax() -> None:
    """JAX and `fork` do not go together: the twin's half has a process of its own."""
    code = "import homeostat.cli.twin_live, sys; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_twin_predicts_that_a_slow_replica_is_restarted_within_seconds() -> None:
    """The real twin and the real controller; compiles the twin unless the cache has it."""
    (result,) = twin_live.compare(Asked(faults=("slow_replica",), twin_only=True, seeds=4))
    rows = {row["quantity"]: row for row in result["rows"]}
    assert result["recovers_if_nobody_acts"] == 0.0
    assert 4.0 <= rows["acted_s"]["median"] <= 12.0
    assert rows["acted_s"]["median"] < rows["recovery_s"]["median"] <= 30.0
    assert rows["fault: p99_ms"]["low"] > 250.0
    assert rows["action: p99_ms"]["high"] < -250.0
    assert rows["fault: error_ratio"]["low"] > 0.01
    assert result["first_writes_in_twin"] == ["incarnation (4)"]
    # The same draws for real processes: victims and sizes differ from seed to seed.
    assert {plan["magnitude"] for plan in result["plans"]} <= {6.0, 8.0, 10.0}
    assert {plan["victim"] for plan in result["plans"]} <= {"a-1", "a-2", "a-3"}
    assert all(34.0 <= plan["onset_s"] <= 38.0 for plan in result["plans"])


@pytest.mark.long
@pytest.mark.live
@pytest.mark.alone
@pytest.mark.timeout(900)
def test_the_twin_is_right_about_two_faults_of_real_processes(tmp_path: Path) -> None:
    asked = Asked(faults=("slow_replica", "killed_replica"), folder=tmp_path)
    results = twin_live.compare(asked)
    for result in results:
        assert result["signs_agree"] is True, result["rows"]
        (live,) = result["live"]
        assert live["outcome"] == "recovered"
        rows = {row["quantity"]: row for row in result["rows"]}
        # Within a few seconds of each other: a scrape or two, and the judge's whole seconds.
        assert abs(rows["recovery_s"]["measured"] - rows["recovery_s"]["median"]) <= 10.0
