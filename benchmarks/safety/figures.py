"""A figure that the safety promises name: what was asked, what was measured, and whether it is met.

A run of a part is kept as a file of JSON with what a reader must know to repeat it: the command,
its seed, the commit, the day and the machine. The page of figures is written from these files.
"""

import json
import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import figures_page

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "docs" / "reference" / "safety-figures"
PAGE: Final = ROOT / "docs" / "reference" / "safety-figures.md"
FORMAT: Final = "homeostat.dev/safety-figures/v1"
KEPT: Final = (
    "proof", "guards", "branches", "mutants", "kills", "evidence", "thousand", "canary", "sim",
)  # fmt: skip
"""The parts that the page shows, in its order; `make sim` keeps the last."""
_HEAD: Final = ("figure", "asked", "measured", "interval", "")
_DAY: Final = 10  # characters of a date


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row.

    Attributes:
        what: What is measured.
        asked: What it must be; empty where nothing is asked of it.
        measured: What it is.
        met: Whether that is what was asked; None where nothing is asked, or where so little was
            run that it cannot be told.
        interval: Of 95 % where it was drawn, else the spread; empty for none.
    """

    what: str
    asked: str = ""
    measured: str
    met: bool | None = None
    interval: str = ""

    @property
    def said(self) -> str:
        """Return the verdict in a word."""
        if self.met is None:
            return "too few to say" if self.asked else ""
        return "met" if self.met else "**missed**"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One run of a part, with what it takes to repeat it.

    Attributes:
        part: Its name.
        title: For people.
        long: The long form was run.
        seed: Of what is drawn; None where nothing is.
        command: What repeats it.
        made_at: When, UTC.
        commit: Of the repository; a `+` where its code was not as committed.
        machine: Processor, cores, Python.
        wall_s: How long it took.
        figures: What it found.
    """

    part: str
    title: str
    long: bool
    seed: int | None
    command: str
    made_at: str
    commit: str
    machine: str
    wall_s: float
    figures: tuple[Figure, ...]


def table(figures: Iterable[Figure]) -> str:
    """Return the rows as Markdown."""
    rows = [_HEAD, ("---", "---", "---:", "---:", "---")]
    rows += [
        (one.what, one.asked or "-", one.measured, one.interval or "-", one.said) for one in figures
    ]
    return "\n".join("| " + " | ".join(row).rstrip() + " |" for row in rows)


def stamp() -> tuple[str, str, str]:
    """Return the time, the commit and the machine, as a kept run carries them."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), commit(), machine()


def machine() -> str:
    """Return processor, cores and Python."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    cpu = names[0] if names else platform.machine()
    cores = len(os.sched_getaffinity(0))
    return f"{cpu}, {cores} cores, Python {platform.python_version()}"


def commit() -> str:
    """Return the commit, with a `+` where program, tests or benchmarks are not as committed."""
    said = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "--", "src", "tests", "benchmarks")
    return f"{said}+" if said and changed else said


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(ROOT), *words],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip()


def keep(kept: Kept, folder: Path = FOLDER) -> Path:
    """Write a run where the page finds it; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kept.part}.json"
    plain = {"format": FORMAT, **asdict(kept)}
    path.write_text(json.dumps(plain, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def publish(kept: Kept) -> Path:
    """Keep a run and write the page anew; return the file."""
    path = keep(kept)
    figures_page.write(PAGE, everything())
    return path


def read(path: Path) -> Kept:
    """Return a run that was kept.

    Raises:
        ValueError: The file is no such run.
    """
    plain: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if plain.pop("format", None) != FORMAT:
        raise ValueError(f"{path} is no {FORMAT}; write it with `make bench-safety`")
    figures = tuple(Figure(**one) for one in plain.pop("figures"))
    return Kept(**plain, figures=figures)


def everything(folder: Path = FOLDER) -> str:
    """Return what was kept, one section a part, as the page shows it.

    Args:
        folder: Where the runs are; a part without one is said to be missing.
    """
    parts = []
    for name in KEPT:
        path = folder / f"{name}.json"
        if not path.exists():
            parts.append(f"## {name}\n\nNo run is kept: `make bench-safety` prints it.")
            continue
        one = read(path)
        form = "Long form" if one.long else "Short form"
        seed = "" if one.seed is None else f", seed {one.seed}"
        told = (
            f"{form}, {one.made_at[:_DAY]}, commit `{one.commit[:12]}"
            f"{'+' * one.commit.endswith('+')}`{seed}, in {one.wall_s:,.0f} s on {one.machine}:\n"
            f"`{one.command}`"
        )
        parts.append(f"## {one.title}\n\n{told}\n\n{table(one.figures)}")
    return "\n\n".join(parts)
