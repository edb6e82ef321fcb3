"""The table of gates: every row of what is asked is in it, whatever became of its part."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
# What is asked of detection, written here once more: a row that is lost is lost in two places.
ASKED = {
    "checks.hold": (0.0, None),
    "checks.idle": (0.2, None),
    "nab.standard": (60.0, 75.0),
    "nab.one_out": (58.0, 73.0),
    "nab.low": (50.0, 67.0),
    "nab.shipped": (50.0, 68.0),
    "nab.vus": (0.28, 0.35),
    "nab.f1": (0.60, 0.72),
    "nab.false": (0.05, 0.02),
    "aiops.vus": (0.33, 0.40),
    "aiops.f1": (0.70, 0.80),
    "smd.vus": (0.62, 0.70),
    "smd.f1": (0.85, 0.90),
    "shesd.sets": (15.0, None),
    "shesd.seconds": (None, 0.15),
    "ewma.table": (3.0, None),
    "ewma.correlated": (0.8, None),
    "fleet.false": (0.05, None),
    "fleet.power": (0.9, None),
    "fleet.real_false": (None, 0.05),
    "fleet.real_power": (None, 0.9),
    "false.nab_300s": (1.0, 0.2),
    "false.aiops_300s": (1.0, 0.2),
    "false.aiops_15s": (1.0, 0.2),
    "forecasts.persistence_5": (0.0, None),
    "forecasts.persistence_15": (0.0, None),
    "forecasts.persistence_60": (0.0, None),
    "forecasts.seasonal_5": (0.0, None),
    "forecasts.seasonal_15": (0.0, None),
    "forecasts.seasonal_60": (0.0, None),
    "forecasts.lead_S04": (1.0, None),
    "forecasts.lead_S07": (1.0, None),
    "forecasts.lead_S08": (1.0, None),
    "forecasts.lead_S12": (1.0, None),
    "forecasts.lead_S20": (1.0, None),
    "forecasts.lead_S42": (1.0, None),
    "forecasts.false": (1.0, None),
    "lab.f1": (0.85, 0.93),
    "lab.family": (0.75, 0.85),
    "lab.controls": (1.0, None),
    "vae.adds": (0.03, None),
    "vae.peer": (-0.02, None),
    "feedback.removed": (0.15, 0.25),
    "speed.screen": (1e6, 4e6),
    "speed.stack": (1e5, None),
    "speed.growth": (1.3, None),
    "speed.bytes": (8.0, None),
    "speed.vae": (60.0, None),
}
LOWER = {
    "checks.hold", "checks.idle", "nab.false", "shesd.seconds", "ewma.table", "fleet.false",
    "fleet.real_false", "false.nab_300s", "false.aiops_300s", "false.aiops_15s", "lab.controls",
    "forecasts.false", "speed.growth", "speed.bytes", "speed.vae",
}  # fmt: skip


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from detection import (  # noqa: PLC0415 - found by the line above
        __main__,
        gates,
        kept,
        made,
        resampled,
        rows,
        sets,
    )

    return SimpleNamespace(
        driver=__main__,
        gates=gates,
        kept=kept,
        made=made,
        resampled=resampled,
        rows=rows,
        sets=sets,
    )


def test_what_is_asked_is_what_the_table_asks(bench: Any) -> None:
    every = {one.key: (one.gate, one.aim) for one in bench.gates.GATES}
    assert every == ASKED
    assert len(bench.gates.GATES) == len(ASKED)
    assert {one.key for one in bench.gates.GATES if one.lower} == LOWER
    assert {one.part for one in bench.gates.GATES} == set(bench.gates.PARTS)
    assert set(bench.driver._WHERE) == set(bench.gates.PARTS)


@pytest.mark.parametrize(
    ("value", "low", "high", "said"),
    [
        (0.96, 0.95, 0.97, "met; aim met"),
        (0.9, 0.86, 0.92, "met; aim missed"),
        (0.9, 0.80, 0.95, "met, but the interval has both; aim missed, but the interval has both"),
        (0.8, 0.70, 0.84, "missed; aim missed"),
        (0.8, 0.70, 0.86, "missed, but the interval has both; aim missed"),
        (float("nan"), None, None, "not to be told"),
    ],
)
def test_a_gate_is_met_missed_or_not_to_be_told(
    bench: Any, value: float, low: float | None, high: float | None, said: str
) -> None:
    gate = next(one for one in bench.gates.GATES if one.key == "lab.f1")
    found = bench.rows.Found(value, "so", low, high)
    assert bench.rows.verdict(gate, found) == said


def test_a_gate_that_depends_on_the_run_is_judged_by_the_run_s_own(bench: Any) -> None:
    gates = {one.key: one for one in bench.gates.GATES}
    found = bench.rows.Found(0.08, "so", asked=0.09)
    assert bench.rows.verdict(gates["fleet.false"], found) == "met"
    assert bench.rows.verdict(gates["fleet.false"], found._replace(asked=0.07)) == "missed"
    assert bench.rows.verdict(gates["fleet.real_false"], found) == "aim met"
    other = bench.rows.Found(0.01, "so", instead="ships off")
    assert bench.rows.verdict(gates["vae.adds"], other) == "missed; met otherwise: ships off"


def outcome(bench: Any, part: str, value: float, **rest: Any) -> Any:
    return bench.rows.Outcome({
        one.key: bench.rows.Found(value, "so", **rest) for one in bench.gates.of(part)
    })


@pytest.mark.slow
def test_a_part_whose_data_are_not_there_is_said_and_the_rest_runs(
    bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from detection import part_false  # noqa: PLC0415 - found by the fixture

    monkeypatch.setattr(bench.sets, "SHARED", tmp_path / "shared")
    monkeypatch.setattr(part_false, "incidents", lambda _: outcome(bench, "false", 0.1))
    status = bench.driver.main(
        ["--parts", "checks,nab,aiops,smd,shesd,ewma,false"], journal=tmp_path / "kept.json"
    )
    said = capsys.readouterr()
    lines = [line for line in said.out.splitlines() if line.startswith("| ")]
    table = [line for line in lines if not line.startswith("| ---")]
    assert len([line for line in table if line.startswith("| *kept") or "| gate |" in line]) <= 1
    for gate in bench.gates.GATES:
        assert any(line.startswith(f"| {gate.title} |") for line in table), gate.key
    row = {gate.key: next(x for x in table if x.startswith(f"| {gate.title} |"))
           for gate in bench.gates.GATES}  # fmt: skip
    for key, folder in (("nab.f1", "data/nab"), ("aiops.vus", "aiops29"), ("smd.f1", "smd4"),
                        ("checks.hold", "data/nab"), ("shesd.sets", "oracles"),
                        ("ewma.table", "oracles")):  # fmt: skip
        assert "not run: " in row[key]
        assert folder in row[key], row[key]
        assert "put" in row[key], row[key]
    assert "| 0.1 |" in row["false.nab_300s"]
    assert "not run: not asked for" in row["lab.f1"]
    assert status == 1
    assert "bench-detection: not run: nab: " in said.err


def test_a_part_that_breaks_loses_no_other_and_is_an_error(
    bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from detection import part_false, part_fleet  # noqa: PLC0415 - found by the fixture

    def broken(_: Any) -> Any:
        raise ZeroDivisionError("of nothing")

    monkeypatch.setattr(part_fleet, "fleets", broken)
    monkeypatch.setattr(part_false, "incidents", lambda _: outcome(bench, "false", 7.0))
    status = bench.driver.main(["--parts", "fleet,false"], journal=tmp_path / "kept.json")
    said = capsys.readouterr()
    assert status == 1
    assert "not run: failed: ZeroDivisionError: of nothing" in said.out
    assert "| 7 |" in said.out


def test_what_is_there_is_written_before_the_next_part_begins(
    bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from detection import part_false, part_fleet  # noqa: PLC0415 - found by the fixture

    out = tmp_path / "out.md"

    def stopped(_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(part_fleet, "fleets", lambda _: outcome(bench, "fleet", 0.125))
    monkeypatch.setattr(part_false, "incidents", stopped)
    with pytest.raises(KeyboardInterrupt):
        bench.driver.main(
            ["--parts", "false,fleet", "--out", str(out)], journal=tmp_path / "kept.json"
        )
    assert "| 0.125 |" in out.read_text()
    assert "not run: not run yet" in out.read_text()


def test_what_a_part_could_not_do_is_said_in_its_rows_and_is_an_error(
    bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from detection import part_fleet  # noqa: PLC0415 - found by the fixture

    half = bench.rows.Outcome(
        {"fleet.false": bench.rows.Found(0.01, "so")}, "", "no days: put some"
    )
    monkeypatch.setattr(part_fleet, "fleets", lambda _: half)
    assert bench.driver.main(["--parts", "fleet"], journal=tmp_path / "kept.json") == 1
    said = capsys.readouterr().out
    assert "| 0.010 |" in said
    assert said.count("not run: no days: put some") == 3


def test_a_row_that_its_part_forgets_is_in_the_table_all_the_same(bench: Any) -> None:
    none = bench.driver.Played(None, "not asked for")
    played = dict.fromkeys(bench.gates.PARTS, none)
    played["lab"] = bench.driver.Played(bench.rows.Outcome({}), "")
    every = bench.driver.table_rows(played, bench.made.Asked(), {})
    assert [row.gate.key for row in every] == list(ASKED)
    assert "its part gave no figure" in next(r.why for r in every if r.gate.key == "lab.family")


def kept_one(**rest: Any) -> dict[str, Any]:
    return {
        "key": "lab.f1", "value": 0.9, "low": 0.8, "high": 0.95, "how": "100 seeds",
        "commit": "0123456789abcdef", "date": "2026-01-02", "machine": "a machine",
        "seeds": "0 to 99", "command": "make it",
    } | rest  # fmt: skip


def test_a_kept_figure_is_marked_and_stands_below_a_short_run_alone(
    bench: Any, tmp_path: Path
) -> None:
    journal = tmp_path / "kept.json"
    bench.kept.add([kept_one(value=0.1), kept_one()], journal)
    known = bench.kept.latest(bench.kept.load(journal))
    played = dict.fromkeys(bench.gates.PARTS, bench.driver.Played(None, "not asked for"))
    for short in (True, False):
        played["lab"] = bench.driver.Played(outcome(bench, "lab", 0.5, short=short), "")
        every = bench.driver.table_rows(played, bench.made.Asked(), known)
        text = bench.rows.table(row for row in every if row.gate.key == "lab.f1")
        assert "| 0.500 |" in text
        assert ("*0.900 (0.800 to 0.950)*" in text) is short
        assert ("*kept of commit 0123456789ab, 2026-01-02" in text) is short
        assert ("short run" in text) is short


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"commit": ""}, r"lacks \['commit'\]"),
        ({"key": "lab.other"}, "no row 'lab.other'"),
        ({"key": "speed.screen"}, "never kept"),
        ({"key": "shesd.seconds"}, "never kept"),
        ({"value": "0.9"}, "no number"),
        ({"value": float("nan")}, "no number"),
        ({"low": True}, "no number"),
        ({"colour": "red"}, r"unknown \['colour'\]"),
    ],
)
def test_a_journal_that_cannot_be_believed_is_refused(
    bench: Any, tmp_path: Path, wrong: dict[str, Any], message: str
) -> None:
    journal = tmp_path / "kept.json"
    journal.write_text(json.dumps([kept_one(), kept_one(**wrong)]))
    with pytest.raises(bench.kept.JournalError, match=message):
        bench.kept.load(journal)
    journal.write_text("{")
    with pytest.raises(bench.kept.JournalError, match="not JSON"):
        bench.kept.load(journal)


def test_the_journal_that_is_shipped_can_be_read(bench: Any) -> None:
    for entry in bench.kept.load():
        assert np.isfinite(bench.kept.found(entry).value)
        assert len(str(entry["commit"])) >= 7


def test_speeds_short_runs_and_what_nobody_knows_are_not_kept(bench: Any, tmp_path: Path) -> None:
    played = dict.fromkeys(bench.gates.PARTS, bench.driver.Played(None, "not asked for"))
    played["speed"] = bench.driver.Played(outcome(bench, "speed", 1.0), "")
    played["shesd"] = bench.driver.Played(outcome(bench, "shesd", 15.0), "")
    played["lab"] = bench.driver.Played(outcome(bench, "lab", 0.5, short=True), "")
    played["fleet"] = bench.driver.Played(outcome(bench, "fleet", float("nan")), "")
    asked = bench.made.Asked()
    fresh = bench.driver._entries(bench.driver.table_rows(played, asked, {}), asked)
    assert [one["key"] for one in fresh] == ["shesd.sets"]
    bench.kept.add(fresh, tmp_path / "kept.json")
    assert bench.kept.load(tmp_path / "kept.json")[0]["value"] == 15.0


@pytest.mark.parametrize(
    "words", [["--parts", "nab,frob"], ["--long", "frob"], ["--sample", "--keep"],
              ["--sample", "--long"]]
)  # fmt: skip
def test_what_cannot_be_asked_for_is_refused(
    bench: Any, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        bench.driver.main(words)
    assert stopped.value.code == 2
    assert "frob" in (said := capsys.readouterr().err) or "--sample" in said


def test_resampled_figures_lie_about_the_figure(bench: Any) -> None:
    drawn = bench.resampled.means([0.2, 0.4, 0.6, float("nan")])
    assert np.nanmean(drawn) == pytest.approx(0.4, abs=0.02)
    found = bench.rows.measured(0.4, drawn, how="so")
    assert 0.2 <= found.low < 0.4 < found.high <= 0.6
    assert bench.rows.measured(0.4, None, how="so").low is None
