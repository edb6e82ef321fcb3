"""`make test-live`: what it says of real parts, when it fails, and which tests it runs."""

import itertools
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import live_parts
from live_parts import OTHER_PROGRAMS, PARTS, Found, Part, look, main, table

ROOT = Path(__file__).parents[2]
HERE = Part(
    name="haproxy",
    find=lambda: "/usr/sbin/haproxy",
    version=("-v",),
    remedy="apt-get install haproxy",
    programs=("haproxy",),
)
GONE = replace(HERE, name="envoy", find=lambda: None, remedy="pip install envoy")


def saying(text: str) -> Callable[[Sequence[str]], str]:
    return lambda command: text


def failing(command: Sequence[str]) -> str:
    raise PermissionError(13, "Permission denied")


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_parts, "PARTS", (HERE, GONE))


@pytest.mark.usefixtures("two")
def test_the_table_names_versions_places_and_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], saying("HAProxy version 2.6.12-1+deb12u4 2026/10/17")) == 0
    assert capsys.readouterr().out.splitlines() == [
        "haproxy  2.6.12  /usr/sbin/haproxy",
        "envoy    -       not here: pip install envoy",
    ]


@pytest.mark.usefixtures("two")
def test_only_a_named_part_that_is_missing_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["haproxy"], saying("version 2.6.12")) == 0
    assert main(["haproxy", "envoy"], saying("version 2.6.12")) == 1
    assert "envoy was asked for: not here: pip install envoy" in capsys.readouterr().err


@pytest.mark.usefixtures("two")
def test_a_name_that_is_no_part_is_an_error_with_those_that_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["haproxi"], failing) == 2
    said = capsys.readouterr()
    assert said.err == "no such part: haproxi; there are haproxy envoy\n"
    assert said.out == ""


@pytest.mark.parametrize(
    ("ask", "why"),
    [
        (failing, "does not start: [Errno 13] Permission denied"),
        (saying("segmentation fault"), "says no version: 'segmentation fault'"),
        (saying(""), "says no version: ''"),
    ],
)
def test_what_does_not_say_its_version_is_not_there(
    ask: Callable[[Sequence[str]], str], why: str
) -> None:
    assert look(HERE, ask) == Found("haproxy", "", "/usr/sbin/haproxy", why)


def test_what_tests_would_skip_is_not_called_found() -> None:
    (kubectl,) = (part for part in PARTS if part.name == "kubectl")
    kubectl = replace(kubectl, find=lambda: "/usr/bin/kubectl")
    old = "Client Version: v1.26.1\nKustomize Version: v4.5.7\n"
    assert "older than 5" in look(kubectl, saying(old)).why
    assert look(kubectl, saying(old.replace("v4.5.7", "v5.0.1"))).why == ""
    assert "older than 5" in look(kubectl, saying("Client Version: v1.26.1")).why


def test_names_are_told_apart_and_the_table_is_aligned() -> None:
    assert len({part.name for part in PARTS}) == len(PARTS)
    rows = [Found("a", "1.0", "/a", ""), Found("longer", "", "", "not here: buy one")]
    first, second = table(rows).splitlines()
    assert first.index("/a") == second.index("not")


def test_every_program_that_a_test_looks_for_is_a_part() -> None:
    looked: set[str] = set()
    for path in (ROOT / "tests").rglob("*.py"):
        if path.name not in {"live_parts.py", Path(__file__).name}:
            text = path.read_text(encoding="utf-8")
            looked |= set(re.findall(r"\bwhich\(\s*[\"']([^\"']+)[\"']", text))
    listed = {program for part in PARTS for program in part.programs}
    assert "haproxy" in looked
    assert looked - listed - OTHER_PROGRAMS.keys() == set(), "add it to PARTS of live_parts.py"


@cache
def dry_run(*words: str) -> list[str]:
    """Return the commands that `make test-live` would run, after those that set up."""
    command = ["make", "--dry-run", "--no-print-directory", "test-live", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    (first,) = (n for n, line in enumerate(lines) if "live_parts.py" in line)
    return lines[first:]


def markers(stage: str) -> str:
    return shlex.split(stage)[shlex.split(stage).index("-m") + 1]


def test_the_table_comes_first_and_is_told_which_parts_must_be_there() -> None:
    table_of, *stages = dry_run("PARTS=haproxy postgresql")
    assert table_of.split()[1:] == ["tests/live/live_parts.py", "haproxy", "postgresql"]
    assert all(stage.split()[0].endswith("/pytest") for stage in stages)
    assert dry_run()[0].split()[1:] == ["tests/live/live_parts.py"]


def test_each_test_of_a_real_part_is_run_once_and_no_other() -> None:
    names = ("live", "browser", "alone", "long")
    chosen = [markers(stage) for stage in dry_run()[1:]]
    for marks in itertools.product((False, True), repeat=len(names)):
        has = dict(zip(names, marks, strict=True))
        runs = sum(bool(eval(one, {}, dict(has))) for one in chosen)
        assert runs == int(has["live"] or has["browser"]), has


def test_each_stage_looks_into_every_file_that_has_a_test_for_it() -> None:
    texts = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in (ROOT / "tests").rglob("test_*.py")
    }
    for stage in dry_run()[1:]:
        files = f"printf '%s\\n' {stage[stage.index('$(') :]}"
        said = subprocess.run(["bash", "-c", files], cwd=ROOT, capture_output=True, check=True)
        wanted = "alone" if " and alone" in markers(stage) else "live|browser"
        there = {name for name, text in texts.items() if re.search(rf"mark\.({wanted})\b", text)}
        assert there
        assert there <= set(said.stdout.decode().split())
