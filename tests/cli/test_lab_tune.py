"""`homeostat lab tune`: one search for each autoscaler, kept piece by piece, with its record."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pool_by_hand import Inline
from typing_extensions import override

from homeostat.cli import lab_files, lab_tune
from homeostat.cli.lab_tune import Plan, Run
from homeostat.lab.baselines.hpa import HpaConfig
from homeostat.lab.tuning import Config, Part
from homeostat.report.lab_results import ResultsError
from homeostat.report.lab_tuning import from_json, markdown, shown


class Targets(Inline):
    """The lower an autoscaler's target, the better; counts pieces."""

    @override
    def made(self, item: Part) -> dict[str, Any]:
        sums = [-len(item.pairs) * worth(config) for config in item.configs]
        return {"sums": sums, "seconds": 4.0}


def worth(config: Config) -> float:
    return config.target if isinstance(config, HpaConfig) else 10.0 * config.target


@cache
def catalogue() -> lab_files.Catalogue:
    return lab_files.catalogue(()).only(["S07", "S09", "S13"])


def plan(out: Path, budget: int = 6) -> Plan:
    return Plan(catalogue=catalogue(), budget=budget, seeds=2, out=out, jobs=1)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Inline:
    made = Targets()
    monkeypatch.setattr(lab_tune, "Pool", made)
    return made


def test_both_get_the_same_search_and_the_best_comes_first(pool: Inline, tmp_path: Path) -> None:
    found = Run(plan(tmp_path)).go()
    assert found == from_json((tmp_path / "tuning.json").read_text(encoding="utf-8"))
    assert {kind: len(rows) for kind, rows in found.policies.items()} == {"hpa": 6, "keda": 6}
    assert found.episodes == 6
    for rows in found.policies.values():
        values = [one.value for one in rows]
        assert values == sorted(values, reverse=True)
        assert sum(one.stock for one in rows) == 1
    stock = next(one for one in found.policies["hpa"] if one.stock)
    assert stock.config == "cpu at 0.7, 300 s to shrink, at least 1"
    assert stock.value == pytest.approx(-0.7)
    assert found.command == "homeostat lab tune --only S07,S09,S13 --budget 6 --seeds 2"


def test_what_is_there_is_not_played_again_and_a_broken_run_is_taken_up(
    pool: Inline, tmp_path: Path
) -> None:
    pool.fail_after = 2
    with pytest.raises(KeyboardInterrupt):
        Run(plan(tmp_path)).go()
    pool.fail_after = 10**6
    first = Run(plan(tmp_path)).go()
    assert pool.count == 6  # three kinds of episodes for each of the two
    assert Run(plan(tmp_path)).go().policies == first.policies
    assert pool.count == 6
    Run(plan(tmp_path, budget=7)).go()
    assert pool.count == 12  # another search


def test_a_damaged_piece_is_played_again(
    pool: Inline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Run(plan(tmp_path)).go()
    files = sorted((tmp_path / "tuning").iterdir())
    files[0].write_text("{", encoding="utf-8")
    files[1].write_text('{"sums": [1.0], "seconds": 1}', encoding="utf-8")
    Run(plan(tmp_path)).go()
    assert pool.count == 8
    assert files[0].name in capsys.readouterr().err


def test_the_best_and_the_stock_settings_are_shown(pool: Inline, tmp_path: Path) -> None:
    found = Run(plan(tmp_path)).go()
    rows = shown(found, plain=False)
    assert sum("stock" in row["setting"] for row in rows) == 2
    assert len(rows) <= 8
    assert "6 settings of each, tried on the same 6 episodes" in markdown(found)
    assert len(shown(found, plain=True)["policies"]["hpa"]) == 6


@pytest.mark.parametrize("text", ["", "[]", "{}"])
def test_what_is_no_tuning_file_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ResultsError, match="tuning file"):
        from_json(text)
