"""How old published figures are: told by the repository, and never taken for new where unknown."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from homeostat.cli import lab_docs_age
from homeostat.cli.lab_docs_age import PLAYED, THINKING, Age, age, meaning, rooms

BEFORE = '"""A part."""\n\n\ndef one() -> int:\n    """Return one."""\n    return 1  # for now\n'
WORDED = BEFORE.replace("A part", "A better part").replace("  # for now", "").replace("(", "( ")
CHANGED = BEFORE.replace("return 1", "return 2")


def git(folder: Path, *words: str) -> str:
    person = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", "-C", str(folder), *person, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A package in a repository, and a commit after which three things were changed."""
    root = tmp_path_factory.mktemp("repository")
    package = root / "src" / "program"
    files = ("lab/world.py", "lab/gone.py", "twin/kernel.py", "loop/step.py", "cli/show.py")
    for name in files:
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(BEFORE, encoding="utf-8")
    (package / "lab/load.yaml").write_text("id: S07\n", encoding="utf-8")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "Begin")
    first = git(root, "rev-parse", "HEAD")
    (package / "lab/world.py").write_text(WORDED, encoding="utf-8")
    (package / "loop/step.py").write_text(CHANGED, encoding="utf-8")
    (package / "cli/show.py").write_text(CHANGED, encoding="utf-8")
    (package / "lab/load.yaml").write_text("id: S08\n", encoding="utf-8")
    (package / "lab/gone.py").unlink()
    git(root, "commit", "-q", "-a", "-m", "Go on")
    return package, first


def of(head: dict[str, object], program: Path, used: tuple[str, ...] = THINKING) -> Age:
    return age("cycles", {"made_at": "2026-02-03T04:05:06Z"} | head, used, program)


def test_files_that_mean_something_else_today_are_named_and_others_are_not(
    program: tuple[Path, str],
) -> None:
    package, first = program
    found = of({"commit": first}, package)
    assert found.changed == ("lab/gone.py", "lab/load.yaml", "loop/step.py")
    assert found.older
    said = found.said()
    assert said.startswith(f"cycles: made 2026-02-03 at commit {first[:12]}; older than the code")
    assert "3 files changed since (lab 2, loop 1): lab/gone.py, " in said


def test_figures_without_the_controller_do_not_age_with_it(program: tuple[Path, str]) -> None:
    package, first = program
    assert of({"commit": first}, package, PLAYED).changed == ("lab/gone.py", "lab/load.yaml")
    assert rooms(["hold", "hpa_tuned", "random"]) == PLAYED
    assert rooms(["hold", "random_safe"]) == THINKING
    assert rooms(["hold", "a policy of tomorrow"]) == THINKING
    assert rooms(None) == THINKING


def test_figures_of_todays_commit_are_of_todays_code(program: tuple[Path, str]) -> None:
    package, _ = program
    found = of({"commit": git(package, "rev-parse", "HEAD")}, package)
    assert found.changed == ()
    assert not found.older
    assert "is the same today" in found.said()


def test_what_is_changed_and_not_committed_yet_makes_figures_older(
    program: tuple[Path, str],
) -> None:
    package, _ = program
    head, file = git(package, "rev-parse", "HEAD"), package / "twin/kernel.py"
    file.write_text(CHANGED, encoding="utf-8")
    try:
        assert of({"commit": head}, package).changed == ("twin/kernel.py",)
    finally:
        file.write_text(BEFORE, encoding="utf-8")


def test_changes_that_were_never_committed_are_told(program: tuple[Path, str]) -> None:
    package, first = program
    found = of({"commit": f"{first}+"}, package)
    assert found.commit == first
    assert found.said().endswith("(and of changes that were never committed)")


@pytest.mark.parametrize("commit", ["", "HEAD", "--output=x", "0123456789abcdef", "beef", 7, None])
def test_what_cannot_be_told_is_never_the_same(program: tuple[Path, str], commit: object) -> None:
    package, _ = program
    found = of({"commit": commit}, package)
    assert found.changed is None
    assert not found.older
    assert "cannot be told" in found.said()
    assert not (package / "x").exists()


def test_outside_a_repository_it_cannot_be_told(tmp_path: Path) -> None:
    found = of({"commit": "0123456789abcdef"}, tmp_path)
    assert found.changed is None
    assert found.said().endswith("(that commit is not in a repository that the program runs from)")


def test_without_git_it_cannot_be_told(
    program: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    package, first = program
    monkeypatch.setenv("PATH", "")
    assert of({"commit": first}, package).changed is None


def test_only_what_is_executed_counts_as_meaning() -> None:
    assert meaning(BEFORE.encode()) == meaning(WORDED.encode())
    assert meaning(BEFORE.encode()) != meaning(CHANGED.encode())
    assert meaning(b"not ( python") != meaning(b"not (  python")
    assert meaning(b"x = 'a'") != meaning(b"x = 'b'"), "a text that is used"


def test_the_rooms_are_folders_of_the_package() -> None:
    package = Path(lab_docs_age.__file__).parents[1]
    assert [room for room in THINKING if not (package / room).is_dir()] == []
    assert set(PLAYED) < set(THINKING)


def test_the_check_says_how_old_each_table_is_and_does_not_fail_for_it(
    bare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Reading hundreds of files at five commits takes seconds; what it tells is tested above.
    monkeypatch.setattr(lab_docs_age, "_same", lambda *_: False)
    published = Path(__file__).parents[2] / "docs" / "reference" / "lab-figures.md"
    done = bare("lab", "docs", "--check", "--page", str(published))
    assert done.exit_code == 0, done.output
    names = [file.stem for file in sorted(published.with_suffix("").glob("*.json"))]
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == names
    for name, line in zip(names, done.stdout.splitlines(), strict=True):
        head = json.loads((published.with_suffix("") / f"{name}.json").read_text(encoding="utf-8"))
        assert line.startswith(f"{name}: made {head['made_at'][:10]} at commit ")
