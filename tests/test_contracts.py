"""The fences hold: one violation of each contract is planted in a copy, and its tool sees it."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent

FLOORS = "Floors: imports go down only, every room has its place"
PURE = "Pure rooms: no clock, no chance, no I/O"
SMALL = "Layer 1 stands on the standard library and base"
HANDS = "Only the wiring (and the local deployment) holds actuators"
SEAL = "Only safety.permit builds a SafeSet"
STRANGERS = "Adapters do not know each other"
NO_LAB = "The server never imports the lab"
CYCLES = "No import cycles, type-checking imports counted"

IMPORTS = [
    pytest.param({"base/planted.py": "import homeostat.detect"}, FLOORS, id="upwards"),
    pytest.param({"detect/planted.py": "import homeostat.policy"}, FLOORS, id="stage to stage"),
    pytest.param(
        {"lab/planted.py": "import homeostat.adapters.sources"}, FLOORS, id="lab to adapters"
    ),
    pytest.param({"attic/__init__.py": ""}, FLOORS, id="a room with no place"),
    pytest.param({"detect/planted.py": "import time"}, PURE, id="clock"),
    pytest.param({"loop/planted.py": "def f():\n    import random"}, PURE, id="chance, hidden"),
    pytest.param({"report/planted.py": "from pathlib import Path"}, PURE, id="files"),
    pytest.param({"policy/planted.py": "import importlib"}, PURE, id="through importlib"),
    pytest.param({"safety/planted.py": "import numpy"}, SMALL, id="arrays in layer 1"),
    pytest.param({"safety/planted.py": "import homeostat.stats"}, SMALL, id="estimates in layer 1"),
    pytest.param(
        {"server/planted.py": "import homeostat.adapters.actuators"}, HANDS, id="second hands"
    ),
    pytest.param(
        {"policy/planted.py": "from homeostat.base import _seal"}, SEAL, id="a forged safe set"
    ),
    pytest.param(
        {"adapters/sources/planted.py": "import homeostat.adapters.stores"}, STRANGERS, id="friends"
    ),
    pytest.param({"server/planted.py": "import homeostat.lab"}, NO_LAB, id="lab in the server"),
    pytest.param(
        {
            "detect/planted_a.py": "import homeostat.detect.planted_b",
            "detect/planted_b.py": "from typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n    import homeostat.detect.planted_a",
        },
        CYCLES,
        id="a cycle for types only",
    ),
]


@pytest.fixture(scope="module")
def copied_house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the sources in which violations may be planted."""
    copy = tmp_path_factory.mktemp("house")
    shutil.copytree(
        ROOT / "src" / "homeostat",
        copy / "homeostat",
        ignore=shutil.ignore_patterns("__pycache__", "static", "templates"),
    )
    shutil.copy(ROOT / ".importlinter", copy)
    return copy


def broken_contracts(house: Path) -> set[str]:
    """Return the names of the contracts that the house breaks."""
    done = subprocess.run(
        [BIN / "lint-imports", "--no-cache", "--config", ".importlinter"],
        cwd=house,
        env={"PYTHONPATH": str(house), "NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    verdicts = re.findall(r"^(.+?) (KEPT|BROKEN)(?: \(.+\))?$", done.stdout, re.MULTILINE)
    assert verdicts, done.stdout + done.stderr
    broken = {name for name, verdict in verdicts if verdict == "BROKEN"}
    assert bool(broken) == bool(done.returncode)
    return broken


def test_the_house_itself_keeps_every_contract(copied_house: Path) -> None:
    assert broken_contracts(copied_house) == set()


@pytest.mark.slow
@pytest.mark.parametrize(("files", "contract"), IMPORTS)
def test_a_planted_import_breaks_its_contract(
    copied_house: Path, files: dict[str, str], contract: str
) -> None:
    planted = [copied_house / "homeostat" / name for name in files]
    try:
        for path, text in zip(planted, files.values(), strict=True):
            path.parent.mkdir(exist_ok=True)
            path.write_text(f'"""Planted."""\n\n{text}\n')
        assert contract in broken_contracts(copied_house)
    finally:
        for path in planted:
            path.unlink()
        shutil.rmtree(copied_house / "homeostat" / "attic", ignore_errors=True)


def test_every_contract_has_a_planted_import() -> None:
    names = re.findall(r"^name = (.+)$", (ROOT / ".importlinter").read_text(), re.MULTILINE)
    assert {parameters.values[1] for parameters in IMPORTS} == set(names)


CLEAN = '"""A module of the loop that breaks nothing."""\n'
DOCUMENTED = CLEAN + '\n\ndef f(x: int) -> int:\n    """Do it."""\n'
LINTED = [
    pytest.param(DOCUMENTED + "    print(x)\n    return x\n", "T201", id="print"),
    pytest.param(
        DOCUMENTED + "    try:\n        return 1 // x\n    except Exception:\n        return 0\n",
        "BLE001",
        id="swallowed exception",
    ),
    pytest.param(
        DOCUMENTED + "    try:\n        x = 1 // x\n    except ValueError:\n        pass\n"
        "    return x\n",
        "SIM105",
        id="ignored exception",
    ),
    pytest.param(
        DOCUMENTED + "    for a in range(x):\n        if a:\n            for b in range(a):\n"
        "                if b:\n                    return b\n    return x\n",
        "PLR1702",
        id="deep nesting",
    ),
    pytest.param(
        CLEAN + "\n\ndef f(x: int) -> int:\n    return x\n", "D103", id="missing docstring"
    ),
    pytest.param("def f() -> None:\n    return\n", "D100", id="missing module docstring"),
    pytest.param(
        DOCUMENTED + "    if x:\n        raise ValueError('no')\n    return x\n",
        "DOC501",
        id="an error that the docstring hides",
    ),
    pytest.param(CLEAN + "\nfrom . import state\n", "TID252", id="relative import"),
    pytest.param(
        CLEAN + "\nimport numpy as np\n\nX = np.random.rand(3)\n", "NPY002", id="hidden chance"
    ),
    pytest.param(
        CLEAN + "\n\ndef f(x=[]) -> int:\n" + '    """Do it."""\n    return x\n',
        "B006",
        id="default",
    ),
    pytest.param(CLEAN + "\nX = 1  # noqa\n", "PGH004", id="a noqa for everything"),
]


def lint(text: str) -> set[str]:
    """Return the codes that ruff, as configured here, finds in a module of the loop."""
    as_file = ("--stdin-filename", "src/homeostat/loop/planted.py", "-")
    done = subprocess.run(
        [BIN / "ruff", "check", "--no-cache", "--output-format=json", *as_file],
        cwd=ROOT,
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    return {found["code"] for found in json.loads(done.stdout)}


def test_a_clean_module_passes_ruff() -> None:
    assert lint(DOCUMENTED + "    return x\n") == set()


@pytest.mark.parametrize(("text", "code"), LINTED)
def test_a_planted_habit_is_seen_by_ruff(text: str, code: str) -> None:
    assert code in lint(text)


def test_every_ignored_rule_has_a_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    blocks = re.findall(r"^(?:ignore|\"[^\"]+\") = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    ignored = [
        line for block in blocks for line in block.splitlines() if re.match(r' +"[A-Z]+\d', line)
    ]
    assert len(ignored) > 10
    assert [line for line in ignored if "#" not in line] == []


HEADER = '''"""Planted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from homeostat.base.actions import HOLD
from homeostat.base.evidence import Verdict
from homeostat.base.ports import Notifier
from homeostat.base.units import TimeNs


def sure(verdict: Verdict) -> bool:
    """Return whether it is known."""
    match verdict:
        case Verdict.HEALTHY | Verdict.ANOMALOUS:
            return True
        case Verdict.UNKNOWN:
            return False


def later(at: TimeNs) -> TimeNs:
    """Return one nanosecond later."""
    return TimeNs(at + 1)
'''
TYPED = [
    pytest.param(
        "def f(v: Verdict) -> None:\n    match v:\n        case Verdict.HEALTHY:\n"
        "            pass\n        case Verdict.ANOMALOUS:\n            pass\n",
        "exhaustive-match",
        id="unknown left out",
    ),
    pytest.param("HOLD.subject = 'x'\n", "misc", id="frozen value changed"),
    pytest.param("AT: TimeNs = 5\n", "assignment", id="int for a time"),
    pytest.param("later(5)\n", "arg-type", id="int for a time argument"),
    pytest.param(
        "class Bell:\n    async def close(self) -> None: ...\n\nB: Notifier = Bell()\n",
        "assignment",
        id="port not kept",
    ),
    pytest.param("def f(x):\n    return x\n", "no-untyped-def", id="no types"),
    pytest.param(
        "class A:\n    def f(self) -> int:\n        return 1\n\n"
        "class B(A):\n    def f(self) -> int:\n        return 2\n",
        "explicit-override",
        id="silent override",
    ),
    pytest.param(
        "def f(n: int) -> int:\n    if n:\n        x = 1\n    return x\n",
        "possibly-undefined",
        id="perhaps undefined",
    ),
    pytest.param("x: int = 'a'  # type: ignore\n", "ignore-without-code", id="ignores everything"),
]


def type_errors(folder: Path, text: str) -> set[str]:
    """Return the codes that mypy, as configured here, finds in a module."""
    planted = folder / "planted.py"
    configured = ("--config-file", ROOT / "pyproject.toml", "--cache-dir", folder / "cache")
    planted.write_text(HEADER + "\n\n" + text)
    done = subprocess.run(
        [BIN / "mypy", "--no-error-summary", *configured, planted],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return set(re.findall(r"planted\.py:\d+: error: .*\[([a-z-]+)\]$", done.stdout, re.MULTILINE))


@pytest.fixture(scope="module")
def typed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder whose mypy cache the planted modules share."""
    return tmp_path_factory.mktemp("typed")


def test_a_clean_module_passes_mypy(typed_folder: Path) -> None:
    assert type_errors(typed_folder, "") == set()


@pytest.mark.slow
@pytest.mark.parametrize(("text", "code"), TYPED)
def test_a_planted_mistake_is_seen_by_mypy(typed_folder: Path, text: str, code: str) -> None:
    assert code in type_errors(typed_folder, text)
