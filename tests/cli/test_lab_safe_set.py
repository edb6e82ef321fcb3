"""`homeostat lab safe-set`: every scenario once, kept, taken up, and judged by the gate."""

import json
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Self

import pytest

from homeostat.cli import lab_files, lab_safe_set
from homeostat.cli.exits import Exit
from homeostat.cli.lab_safe_set import Piece, Plan, Run
from homeostat.lab.safe_set import ROWS, Finding
from homeostat.lab.safe_set_plain import to_plain
from homeostat.lab.safe_set_table import Role
from homeostat.report.lab_safe_set import from_json


class Inline:
    """Stands in for the pool: right actions are permitted, wrong ones ruin and are refused."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.fail_after = 10**6
        self.permits = 0

    def __call__(self, jobs: int, cache: Path) -> "Inline":
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def each(self, work: Callable[..., Any], items: Iterable[Piece]) -> Iterator[Any]:
        for piece in items:
            if len(self.seen) >= self.fail_after:
                raise KeyboardInterrupt
            self.seen.append(piece.scenario.id)
            rows = [row for row in ROWS if row.scenario == piece.scenario.id and row.mapped]
            found = [to_plain(self.finding(row, piece.seeds)) for row in rows]
            yield piece, json.loads(json.dumps({"findings": found, "seconds": 3.0}))

    def finding(self, row: Any, seeds: int) -> Finding:
        if row.role is Role.BEST:
            return Finding(row=row, episodes=seeds, inside=seeds, asks=0)
        n = self.permits
        return Finding(row=row, episodes=seeds, inside=n, asks=0, caused=seeds, inside_and_caused=n)


@cache
def catalogue() -> lab_files.Catalogue:
    return lab_files.catalogue(()).only(["S07", "S12", "S43"])


def plan(out: Path, seeds: int = 5) -> Plan:
    return Plan(catalogue=catalogue(), seeds=seeds, out=out, jobs=1)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Inline:
    made = Inline()
    monkeypatch.setattr(lab_safe_set, "Pool", made)
    return made


def test_every_scenario_is_examined_once_and_the_answer_is_written(
    pool: Inline, tmp_path: Path
) -> None:
    found = Run(plan(tmp_path)).go()
    assert pool.seen == ["S07", "S12", "S43"]
    assert found == from_json((tmp_path / "safe-set.json").read_text(encoding="utf-8"))
    assert found.passes
    assert (found.scenarios, found.seeds, found.wall_s) == (3, 5, 9.0)
    assert found.command == "homeostat lab safe-set --only S07,S12,S43 --seeds 5"
    Run(plan(tmp_path)).go()
    assert len(pool.seen) == 3  # nothing is examined again
    Run(plan(tmp_path, seeds=6)).go()
    assert len(pool.seen) == 6  # other replays are other findings


def test_a_run_that_was_broken_off_is_taken_up(pool: Inline, tmp_path: Path) -> None:
    pool.fail_after = 2
    with pytest.raises(KeyboardInterrupt):
        Run(plan(tmp_path)).go()
    pool.fail_after = 10**6
    Run(plan(tmp_path)).go()
    assert pool.seen == ["S07", "S12", "S43"]


def test_damaged_findings_are_examined_again_and_named(
    pool: Inline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Run(plan(tmp_path)).go()
    files = sorted((tmp_path / "safe-set").iterdir())
    files[0].write_text("{", encoding="utf-8")
    files[1].write_text('{"findings": [{"row": 9999}], "seconds": 1}', encoding="utf-8")
    Run(plan(tmp_path)).go()
    assert pool.seen == ["S07", "S12", "S43", "S07", "S12"]
    said = capsys.readouterr().err
    assert files[0].name in said
    assert files[1].name in said


@pytest.mark.parametrize(("permits", "code"), [(0, Exit.OK), (1, Exit.FAILED)])
def test_the_exit_status_is_the_gates_answer(
    pool: Inline, bare: Any, tmp_path: Path, permits: int, code: Exit
) -> None:
    pool.permits = permits
    done = bare("lab", "safe-set", "--only", "S12", "--seeds", "4", "--out", str(tmp_path))
    assert done.exit_code == code
    assert ("S12 scale_down" in done.stdout) == bool(permits)
    assert "catastrophic actions" in done.stderr
