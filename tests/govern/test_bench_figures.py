"""The table of safety figures says what was run; the mutation runner changes what it says."""

import ast
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = '''
"""A module."""
from typing import Final

LIMIT: Final = 3
KINDS = frozenset({"up", "down"})


def holds(value: int | None, *, strict: bool = True) -> bool:
    """Say whether."""
    for one in (value,):
        if one is None:
            continue
        if not strict and one < LIMIT:
            return False
    return any(kind == "a sentence for people" for kind in KINDS)
'''
ANY = "any((kind == 'a sentence for people' for kind in KINDS))"


@pytest.fixture(autouse=True)
def found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `safety` be found."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def test_the_page_shows_what_was_kept_and_nothing_else() -> None:
    import figures_page  # noqa: PLC0415 - found by the fixture above
    from safety import figures  # noqa: PLC0415 - as above

    text = figures.PAGE.read_text(encoding="utf-8")
    shown = text.partition(figures_page.BEGIN)[2].partition(figures_page.END)[0].strip()
    assert shown == figures.everything()


def test_what_the_page_shows_is_what_can_be_run() -> None:
    from safety import asked, figures  # noqa: PLC0415 - found by the fixture above

    assert list(figures.KEPT) == [*asked.ASKED, "sim"]
    assert set(asked.ASKED) >= asked.DRAWN


def test_every_kept_run_says_what_it_takes_to_repeat_it() -> None:
    from safety import asked, figures  # noqa: PLC0415 - found by the fixture above

    for path in figures.FOLDER.glob("*.json"):
        kept = figures.read(path)
        assert path.stem == kept.part
        assert len(kept.commit.removesuffix("+")) == 40, path.name
        assert kept.made_at[:2] == "20"
        assert kept.machine
        assert kept.command.startswith("make ")
        assert kept.figures
        assert (kept.seed is None) == (kept.part not in {*asked.DRAWN, "sim"})


def test_a_figure_that_is_missed_says_so_and_one_of_too_little_does_not_say_met() -> None:
    from safety import figures  # noqa: PLC0415 - found by the fixture above

    row = figures.Figure(what="kills", asked="0", measured="1", met=False)
    assert figures.table([row]).splitlines()[-1].endswith("| **missed** |")
    few = replace(row, met=None)
    assert figures.table([few]).splitlines()[-1].endswith("| too few to say |")
    assert figures.table([replace(few, asked="")]).splitlines()[-1] == "| kills | - | 1 | - | |"


def test_a_drawn_score_is_met_only_by_its_whole_interval() -> None:
    from safety.asked_kernel import score  # noqa: PLC0415 - found by the fixture above

    said = {"mutants": 100, "killed": 97, "survivors": ["a", "b", "c"], "equivalent": 0, "of": 3000}
    first, *rest = score(said)
    assert first.met is None, "97 of 100 could be luck"
    assert [one.what for one in rest] == ["survives: `a`", "survives: `b`", "survives: `c`"]
    assert score({**said, "killed": 60})[0].met is False
    assert score({**said, "mutants": 1000, "killed": 975})[0].met is True
    assert score({**said, "of": 100})[0].met is True
    assert score({**said, "of": 100, "killed": 94})[0].met is False


def test_mutants_are_small_named_and_taken_back() -> None:
    from safety.mutation.operators import sites  # noqa: PLC0415 - found by the fixture above

    tree = ast.parse(SOURCE)
    before = ast.dump(tree)
    every = sites(tree, "module")
    named = {one.name for one in every}
    assert named == {
        "module [LIMIT]: 3 -> 4",
        "module [KINDS]: 'up' -> left out",
        "module [KINDS]: 'down' -> left out",
        "module [KINDS]: 'up' -> 'XXupXX'",
        "module [KINDS]: 'down' -> 'XXdownXX'",
        "module.holds: True -> False",
        "module.holds: one is None -> one is not None",
        "module.holds: continue -> break",
        "module.holds: not strict and one < LIMIT -> not strict or one < LIMIT",
        "module.holds: not strict -> strict",
        "module.holds: one < LIMIT -> one <= LIMIT",
        "module.holds: False -> True",
        f"module.holds: return {ANY} -> return None",
        f"module.holds: {ANY} -> {ANY.replace('any', 'all')}",
        "module.holds: kind == 'a sentence for people' -> kind != 'a sentence for people'",
    }
    for one in every:
        one.put()
        changed = ast.dump(tree)
        compile(tree, "module", "exec")
        one.back()
        assert changed != before, one.name
        assert ast.dump(tree) == before, one.name
    inside = {one.name: one.function for one in every}
    assert inside["module.holds: True -> False"] == "", "a default is made at import"
    assert inside["module.holds: one < LIMIT -> one <= LIMIT"] == "holds"


def test_the_names_of_all_mutants_of_the_kernel_are_different() -> None:
    from safety.mutation.kernel import mutants  # noqa: PLC0415 - found by the fixture above

    names = [one.name for one in mutants()]
    assert len(names) > 2500
    assert len(set(names)) == len(names)


def test_what_is_argued_to_change_nothing_still_stands_in_the_source() -> None:
    from safety.mutation import equivalent  # noqa: PLC0415 - found by the fixture above
    from safety.mutation.kernel import mutants  # noqa: PLC0415 - as above

    argued = equivalent.reasons()
    assert sorted(set(argued) - {one.name for one in mutants()}) == []
    assert all(len(why) > 30 for why in argued.values()), "a reason is a sentence"
    assert len(argued) <= 0.06 * len(mutants()), "what is argued away is a small part"


@pytest.mark.long
def test_what_matters_is_noticed_by_tests_that_look_at_it_and_by_no_other(tmp_path: Path) -> None:
    looking = run(tmp_path, "--named", "tree._and:", "--tests", "test_tree.py")
    assert looking["killed"] == looking["mutants"] == 8
    assert looking["survivors"] == []
    blind = run(
        tmp_path, "--named", "tree._and:", "--sample", "2", "--seed", "4", "--tests",
        "test_corners.py",
    )  # fmt: skip
    assert blind["killed"] == 0
    assert len(blind["survivors"]) == blind["mutants"] == 2


@pytest.mark.slow
def test_what_takes_effect_at_import_is_tried_by_importing_it(tmp_path: Path) -> None:
    said = run(tmp_path, "--named", "fields [FIELDS]: 'kind' ->", "--tests", "test_corners.py")
    assert said["killed"] == said["mutants"] == 1


def run(folder: Path, *words: str) -> dict[str, Any]:
    report = folder / "report.json"
    subprocess.run(
        [sys.executable, "-m", "safety.mutation", *words, "--json", str(report)],
        cwd=ROOT / "benchmarks", check=False, capture_output=True, timeout=250,
    )  # fmt: skip
    plain: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return plain
