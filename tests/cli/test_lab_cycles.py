"""`homeostat lab cycles`: it searches, measures, keeps every piece, and takes up what is there."""

import shutil
from dataclasses import dataclass, replace
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
from homeostat.report.lab_cycles import Cycles, from_json

_OFFERED = 1000.0
HOURS = 400


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
        cycles=HOURS,
        search_cycles=HOURS,
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


@dataclass(frozen=True)
class Whole:
    """A run that was played to its end, with the hours that it took and the folder it left."""

    found: Cycles
    hours: int
    out: Path

    def copy(self, to: Path) -> Path:
        shutil.copytree(self.out, to, dirs_exist_ok=True)
        return to


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    out, made = tmp_path_factory.mktemp("whole"), Hours()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lab_cycles, "Pool", made)
        found = Run(plan(out)).go()
    return Whole(found, made.count, out)


@pytest.mark.long
def test_the_density_is_searched_and_measured_on_other_hours(whole: Whole) -> None:
    found = whole.found
    assert found == from_json((whole.out / "cycles.json").read_text(encoding="utf-8"))
    assert found.steps[-1].uptime == pytest.approx(0.78, abs=0.005)
    assert found.steps[-1].per_hour == pytest.approx(2.2, abs=0.1)
    assert found.met is True  # within 2 points on hours that the search has not seen
    measured = found.lines[-1].uptime.value
    assert measured != found.steps[-1].uptime
    densities = [line.per_hour for line in found.lines]
    assert densities == [1 / 72, 1 / 2, found.steps[-1].per_hour]
    assert len(list((whole.out / "cycles").iterdir())) == 2
    assert found.wall_s > 0.0


@pytest.mark.slow
def test_what_is_there_is_not_played_again(pool: Hours, whole: Whole, tmp_path: Path) -> None:
    whole.copy(tmp_path)
    again = Run(plan(tmp_path)).go()
    assert whole.hours > 2 * HOURS
    assert pool.count == 0
    assert again.lines == whole.found.lines
    assert again.wall_s == whole.found.wall_s
    Run(plan(tmp_path, ("threshold", "hpa"))).go()
    assert pool.policies == {"hpa"}
    assert HOURS < pool.count <= 3 * HOURS  # an hour that two densities share is played once


@pytest.mark.slow
def test_a_run_that_was_broken_off_is_taken_up(pool: Hours, whole: Whole, tmp_path: Path) -> None:
    pool.fail_after = HOURS + HOURS // 4
    with pytest.raises(KeyboardInterrupt):
        Run(plan(tmp_path)).go()
    before, pool.fail_after = pool.count, 10**9
    Run(plan(tmp_path)).go()
    assert before >= HOURS + HOURS // 4
    assert pool.count == whole.hours


@pytest.mark.long
def test_a_damaged_piece_is_played_again_and_named(
    pool: Hours, whole: Whole, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole.copy(tmp_path)
    files = sorted((tmp_path / "cycles").rglob("*.json"))
    files[0].write_text('{"seconds": 1, "rows": [["hold", 1, 1, [2.0]]]}', encoding="utf-8")
    files[1].write_text("{", encoding="utf-8")
    Run(plan(tmp_path)).go()
    assert 0 < pool.count < whole.hours
    said = capsys.readouterr().err
    assert files[0].name in said
    assert files[1].name in said


@pytest.mark.parametrize("every", ["", "0", "x", "72,-1", "inf"])
def test_hours_between_incidents_must_be_positive_numbers(bare: Any, every: str) -> None:
    assert bare("lab", "cycles", "--every", every).exit_code == Exit.USAGE


def test_the_oracle_cannot_play_cycles(bare: Any) -> None:
    assert bare("lab", "cycles", "--policies", "oracle").exit_code != Exit.OK
