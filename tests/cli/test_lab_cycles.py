"""`homeostat lab cycles`: it searches, measures, keeps every piece, and takes up what is there."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pool_by_hand import Inline
from typing_extensions import override

from homeostat.base.errors import ConfigError
from homeostat.cli import lab_cycles, lab_files
from homeostat.cli.exits import Exit
from homeostat.cli.lab_cycles import Plan, Run, Timed
from homeostat.lab.cycles_table import COLUMNS, Piece
from homeostat.report.lab_cycles import from_json

_OFFERED = 1000.0


class Hours(Inline):
    """Every incident costs a tenth of the hour; counts the hours that are played."""

    def __init__(self) -> None:
        super().__init__()
        self.policies: set[str] = set()

    @override
    def size(self, item: Piece) -> int:
        return len(item.pairs)

    @override
    def made(self, item: Piece) -> Timed:
        self.policies.add(item.policy)
        rows = {(item.policy, cycle.number, count): row(count) for cycle, count in item.pairs}
        return Timed(rows=rows, seconds=2.0)


def row(count: int) -> tuple[float, ...]:
    found = {
        "counted_s": 3600.0,
        "up_s": 3600.0 - 360.0 * count,
        "offered": _OFFERED,
        "failed": 0.0,
        "latency_s": 0.1 * _OFFERED,
        "recovery_s": 60.0 if count else float("nan"),
        "recovered": 1.0,
    }
    return tuple(found[name] for name in COLUMNS)


@cache
def catalogue() -> lab_files.Catalogue:
    return lab_files.catalogue(()).only(["S07", "S09", "S43"])


def plan(out: Path, policies: tuple[str, ...] = ("threshold",)) -> Plan:
    return Plan(
        catalogue=catalogue(),
        policies=policies,
        cycles=400,
        search_cycles=400,
        every_h=(72.0, 2.0),
        out=out,
        jobs=1,
    )


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Hours:
    made = Hours()
    monkeypatch.setattr(lab_cycles, "Pool", made)
    return made


def test_scenarios_of_which_none_has_a_fault_make_no_table(tmp_path: Path) -> None:
    quiet = replace(plan(tmp_path), catalogue=catalogue().only(["S43"]))
    with pytest.raises(ConfigError, match="no scenario has a fault"):
        Run(quiet)


@pytest.mark.slow
def test_the_density_is_searched_and_measured_on_other_hours(pool: Hours, tmp_path: Path) -> None:
    found = Run(plan(tmp_path)).go()
    assert found == from_json((tmp_path / "cycles.json").read_text(encoding="utf-8"))
    assert found.steps[-1].uptime == pytest.approx(0.78, abs=0.005)
    assert found.steps[-1].per_hour == pytest.approx(2.2, abs=0.1)
    assert found.met is True  # within 2 points on hours that the search has not seen
    measured = found.lines[-1].uptime.value
    assert measured != found.steps[-1].uptime
    densities = [line.per_hour for line in found.lines]
    assert densities == [1 / 72, 1 / 2, found.steps[-1].per_hour]
    assert len(list((tmp_path / "cycles").iterdir())) == 2
    assert found.wall_s > 0.0


@pytest.mark.slow
def test_what_is_there_is_not_played_again(pool: Hours, tmp_path: Path) -> None:
    first = Run(plan(tmp_path)).go()
    played, pool.count = pool.count, 0
    pool.policies.clear()
    again = Run(plan(tmp_path)).go()
    assert played > 800
    assert pool.count == 0
    assert again.lines == first.lines
    assert again.wall_s == first.wall_s
    Run(plan(tmp_path, ("threshold", "hpa"))).go()
    assert pool.policies == {"hpa"}
    assert 400 < pool.count <= 3 * 400  # an hour that two densities share is played once


@pytest.mark.slow
def test_a_run_that_was_broken_off_is_taken_up(pool: Hours, tmp_path: Path) -> None:
    pool.fail_after = 500
    with pytest.raises(KeyboardInterrupt):
        Run(plan(tmp_path)).go()
    before, pool.fail_after = pool.count, 10**9
    Run(plan(tmp_path)).go()
    whole = pool.count
    pool.count = 0
    Run(plan(tmp_path / "other")).go()
    assert before >= 500
    assert whole == pool.count


@pytest.mark.slow
def test_a_damaged_piece_is_played_again_and_named(
    pool: Hours, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Run(plan(tmp_path)).go()
    files = sorted((tmp_path / "cycles").rglob("*.json"))
    files[0].write_text('{"seconds": 1, "rows": [["hold", 1, 1, [2.0]]]}', encoding="utf-8")
    files[1].write_text("{", encoding="utf-8")
    pool.count = 0
    Run(plan(tmp_path)).go()
    assert pool.count > 0
    said = capsys.readouterr().err
    assert files[0].name in said
    assert files[1].name in said


@pytest.mark.parametrize("every", ["", "0", "x", "72,-1", "inf"])
def test_hours_between_incidents_must_be_positive_numbers(bare: Any, every: str) -> None:
    assert bare("lab", "cycles", "--every", every).exit_code == Exit.USAGE


def test_the_oracle_cannot_play_cycles(bare: Any) -> None:
    assert bare("lab", "cycles", "--policies", "oracle").exit_code != Exit.OK
