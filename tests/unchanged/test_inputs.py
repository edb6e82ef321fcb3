"""A change of a file is a change for those who can reach it, and for nobody else."""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from inputs import Inputs, read
from mentioned import mentions
from proofs import LeftOut, Proof, keep, load
from watching import surprises

ROOT = Path(__file__).parents[2]
MEMORY = ROOT / ".pytest_cache" / "unchanged" / "mentions.json"
SMALL = {
    "src/homeostat/__init__.py": "",
    "src/homeostat/a/__init__.py": "",
    "src/homeostat/a/one.py": "from homeostat.a import two",
    "src/homeostat/a/two.py": "",
    "src/homeostat/b.py": "def late():\n    import homeostat.a.two",
    "src/homeostat/quoted.py": "",
    "src/homeostat/finder.py": "from importlib import import_module as x\nx.import_module(name)",
    "tests/conftest.py": "import help_all",
    "tests/room/help_all.py": "",
    "tests/room/conftest.py": "",
    "tests/room/test_one.py": "from homeostat.a.one import f",
    "tests/room/test_late.py": "from homeostat import b",
    "tests/room/test_quoted.py": "set('homeostat.quoted.value', 3)",
    "tests/room/test_finder.py": "import homeostat.finder",
    "tests/room/test_looker.py": "print(__file__)",
    "tests/room/test_beyond.py": "OPEN = 'up/shared/data'",
    "docs/page.md": "",
    "examples/policy.yaml": "",
    "requirements.lock": "",
}
PARENTS = {"tests/conftest.py", "tests/room/conftest.py", "tests/room/help_all.py"}
DATA = {"examples/policy.yaml", "requirements.lock"}


@pytest.fixture
def small(tmp_path: Path) -> Inputs:
    for name, text in SMALL.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return read(tmp_path)


def short(paths: Iterable[str] | None) -> set[str]:
    """Return what is not an input of everybody in this room."""
    assert paths is not None
    assert set(paths) >= PARENTS | DATA
    return {Path(path).stem for path in set(paths) - PARENTS - DATA} - {"__init__"}


def test_what_a_test_can_import_is_its_input(small: Inputs) -> None:
    assert short(small.of("tests/room/test_one.py")) == {"test_one", "one", "two"}
    assert short(small.of("tests/room/test_late.py")) == {"test_late", "b", "two"}
    assert short(small.of("tests/room/test_quoted.py")) == {"test_quoted", "quoted"}


def test_who_imports_what_it_computed_may_import_all_of_the_package(small: Inputs) -> None:
    package = {Path(path).stem for path in SMALL if path.startswith("src/")} - {"__init__"}
    assert short(small.of("tests/room/test_finder.py")) == package | {"test_finder"}


def test_who_may_read_files_depends_on_all_and_who_reads_elsewhere_is_never_left_out(
    small: Inputs,
) -> None:
    assert small.of("tests/room/test_looker.py") == SMALL.keys()
    assert small.of("tests/room/test_beyond.py") is None
    assert small.digest("tests/room/test_beyond.py") is None
    assert small.digest("tests/room/test_nowhere.py") is None


def test_a_package_is_an_input_of_what_is_in_it(small: Inputs) -> None:
    found = small.of("tests/room/test_one.py")
    assert found is not None
    assert {"src/homeostat/__init__.py", "src/homeostat/a/__init__.py"} <= found


def mutants(inputs: Inputs, path: str) -> Iterator[str]:
    """Yield the test files whose digest a change of one file changes."""
    changed = replace(inputs, contents={**inputs.contents, path: "another"})
    for file in inputs.files:
        if file.startswith("tests/") and "/test_" in file:
            before, after = inputs.digest(file), changed.digest(file)
            if before is None or before != after:
                yield file


def test_a_change_brings_back_the_tests_that_reach_it_and_no_others(small: Inputs) -> None:
    always = {"test_looker", "test_beyond"}

    def back(path: str) -> set[str]:
        return {Path(file).stem for file in mutants(small, path)} - always

    assert back("src/homeostat/a/two.py") == {"test_one", "test_late", "test_finder"}
    assert back("src/homeostat/a/one.py") == {"test_one", "test_finder"}
    assert back("src/homeostat/quoted.py") == {"test_quoted", "test_finder"}
    assert back("docs/page.md") == set()
    everybody = {"test_one", "test_late", "test_quoted", "test_finder"}
    for shared in (*PARENTS, *DATA, "src/homeostat/__init__.py"):
        assert back(shared) == everybody


def test_another_environment_is_another_input(small: Inputs) -> None:
    other = replace(small, around="another Python")
    assert small.digest("tests/room/test_one.py") != other.digest("tests/room/test_one.py")


def test_what_lends_these_helpers_to_all_tests_makes_nobody_depend_on_all() -> None:
    inputs = read(ROOT, MEMORY)
    for name in ("safety/test_rules", "policy/test_runbook", "stats/test_normal"):
        found = inputs.of(f"tests/{name}.py")
        assert found is not None
        assert "README.md" not in found
        assert "src/homeostat/adapters/notify/webhook.py" not in found
    assert inputs.of("tests/test_architecture.py") is None  # asks git
    for name in ("test_docs", "test_packaging", "unchanged/test_leave_out"):
        assert inputs.of(f"tests/{name}.py") == frozenset(inputs.contents)


@pytest.mark.slow
def test_what_python_imports_for_the_widest_module_was_foreseen() -> None:
    inputs = read(ROOT, MEMORY)
    code = "import homeostat.cli.main, json, sys; print(json.dumps(sorted(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {
        path
        for name in json.loads(said.stdout)
        if name.startswith("homeostat")
        for path in inputs.tree.meant(name)
    }
    assert len(loaded) > 20
    assert loaded <= inputs.tree.reached("src/homeostat/cli/main.py")


def test_what_tests_do_beyond_their_inputs_is_a_surprise(small: Inputs) -> None:
    file = "tests/room/test_one.py"
    fine = ["import homeostat.a.two", "open examples/policy.yaml", "open made/by/nobody.txt"]
    assert surprises(small, file, fine) == []
    for wrong in ("import homeostat.b", "open docs/page.md", "start"):
        assert surprises(small, file, [*fine, wrong]) == [wrong]
    assert surprises(small, "tests/room/test_looker.py", ["open docs/page.md", "start"]) == []


def test_a_name_in_code_counts_and_the_same_word_in_a_text_does_not() -> None:
    assert mentions("import subprocess").looks
    assert mentions("from pathlib import Path\nPath.cwd()").looks
    assert not mentions("'subprocess and __file__'").looks
    assert mentions("import_module('homeostat.' + name)").finds
    assert not mentions("import_module('envoy')").finds
    assert mentions("['git', 'log']").beyond
    assert not mentions("'what they share'").beyond


@pytest.mark.parametrize("text", ["one: two, three = 4", "def", "\0"])
def test_a_file_that_is_being_edited_stops_nobody_and_shows_nothing(
    small: Inputs, text: str
) -> None:
    file = "tests/room/test_one.py"
    (small.root / file).write_text(text, encoding="utf-8")
    inputs = read(small.root)
    assert inputs.digest(file) is None
    assert inputs.digest("tests/room/test_late.py") == small.digest("tests/room/test_late.py")


def proof(shown: dict[str, int], digest: str = "d") -> Proof:
    wanted = {"t::plain": 0, "t::many": 50}
    return Proof(digest=digest, wanted=wanted, shown=shown, chosen={"fast": list(wanted)})


def test_what_was_kept_counts_for_the_same_inputs_and_as_many_examples(tmp_path: Path) -> None:
    path = tmp_path / "proofs.json"
    keep(path, {"t": proof({"t::plain": 0, "t::many": 10})})
    kept = load(path)

    def left(digest: str, limit: int, expression: str = "fast") -> tuple[set[str], set[str]]:
        found = LeftOut.of(kept, lambda _: digest, lambda n: min(n, limit), expression)
        return set(found.files), set(found.tests)

    assert left("d", 10) == ({"t"}, {"t::plain", "t::many"})
    assert left("d", 11) == (set(), {"t::plain"})
    assert left("d", 10, "all") == (set(), {"t::plain", "t::many"})
    assert left("e", 10) == (set(), set())


def test_a_file_of_which_all_is_green_is_not_looked_at_for_other_markers_either() -> None:
    both = {"t::plain": 0, "t::many": 10}
    for tests, files in ((list(both), {"t"}), ([*both, "t::slow"], set()), ([], {"t"})):
        kept = {"t": replace(proof(both), tests=tests)}
        found = LeftOut.of(kept, lambda _: "d", lambda n: min(n, 10), "all")
        assert set(found.files) == files


def test_two_runs_of_the_same_inputs_add_up_and_other_inputs_replace(tmp_path: Path) -> None:
    path = tmp_path / "proofs.json"
    keep(path, {"t": proof({"t::many": 10})})
    keep(path, {"t": proof({"t::plain": 0}), "u": proof({})})
    assert load(path)["t"].shown == {"t::plain": 0, "t::many": 10}
    keep(path, {"t": proof({"t::plain": 0}, "e")})
    assert load(path)["t"].shown == {"t::plain": 0}
    assert load(path)["u"] == proof({})


@pytest.mark.parametrize("text", ["", "{", "[]", '{"form": 0, "files": {}}', '{"form": 1}'])
def test_what_cannot_be_read_proves_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "proofs.json"
    assert load(path) == {}
    path.write_text(text, encoding="utf-8")
    assert load(path) == {}
