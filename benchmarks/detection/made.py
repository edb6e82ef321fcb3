"""What figures depend on: the commit, the day, the machine, the versions; and how a run is asked.

Also where a part finds what the tests measure with, so that a gate is measured by one program,
whether a test holds it or a table shows it.
"""

import importlib.util
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]
_VERSIONS: Final = ("numpy", "jax", "optax")


class Asked(NamedTuple):
    """How a run is asked for.

    Attributes:
        long: Parts that are played whole, however long that takes.
        sample: A part of everything, so small that figures mean nothing: for tests.
        again: Play again whatever was kept of an earlier run.
        bare: Without peers and without what knows nothing.
        seed: Of what is drawn.
    """

    long: frozenset[str] = frozenset()
    sample: bool = False
    again: bool = False
    bare: bool = False
    seed: int = 1

    def size(self, part: str) -> str:
        """Return `long`, `short` or `sample`."""
        return "sample" if self.sample else "long" if part in self.long else "short"


def facts() -> dict[str, str]:
    """Return `commit`, `date` and `machine`."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        commit = subprocess.run(git, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = "unknown"
    return {
        "commit": commit,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{_processor()}, {os.cpu_count()} cores",
    }


def said(command: str, seconds: float) -> str:
    """Return in words how a run was made."""
    known = facts()
    dirty = known["commit"].endswith("-dirty")
    commit = known["commit"].removesuffix("-dirty")
    return (
        f"Made {known['date']} by commit {commit}{' with changes' if dirty else ''} on "
        f"{known['machine']}, with Python {platform.python_version()}, {versions()}; others may "
        f"use the machine. {seconds / 60.0:.0f} min of one core, by\n\n```\n{command}\n```"
    )


def versions(names: Sequence[str] = _VERSIONS) -> str:
    """Return the versions of packages, in words."""
    found = []
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"no {name}")
    return ", ".join(found)


def of_tests(path: str) -> ModuleType:
    """Return a module of the tests, which holds what it measures to the gate.

    Args:
        path: Below `tests`.

    Raises:
        FileNotFoundError: It is not there.
    """
    file, name = ROOT / "tests" / path, f"of_tests_{Path(path).stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise FileNotFoundError(f"{file}: the tests that measure this are not in this checkout")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    shared = str(ROOT / "tests" / "detect")  # what tests of several rooms draw from lies there
    if shared not in sys.path:
        sys.path.append(shared)
    spec.loader.exec_module(module)
    return module


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
