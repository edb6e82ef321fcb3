"""What the parts share: how much is run, other programs, and when a verdict may be given."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from safety.figures import ROOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How much is run.

    Attributes:
        long: As much as is asked.
        seed: Of what is drawn.
        sample: So many mutants, drawn; None for a few in the short form and for all in the long.
        jobs: Mutants at a time; what is found does not depend on it.
    """

    long: bool
    seed: int
    sample: int | None = None
    jobs: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """How tests ended, and what they printed."""

    ok: bool
    text: str


def pytest_run(*words: str, more: dict[str, str] | None = None) -> Said:
    """Run some tests in a process of their own.

    Args:
        words: pytest's arguments.
        more: Added to the environment.

    Raises:
        SystemExit: They did not run.
    """
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rP", "-p", "no:cacheprovider", *words],
        env={**environment(), **(more or {})}, cwd=ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode not in {0, 1}:
        raise SystemExit(f"pytest {' '.join(words)}: exit {done.returncode}\n{done.stdout[-2000:]}")
    if done.returncode:
        print(done.stdout[-4000:], file=sys.stderr)
    return Said(ok=done.returncode == 0 and " passed" in done.stdout, text=done.stdout)


def must(command: Sequence[str], otherwise: str) -> None:
    """Run a program that must succeed.

    Raises:
        SystemExit: It did not.
    """
    done = subprocess.run(
        command, env=environment(), cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{otherwise}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def environment() -> dict[str, str]:
    """Return the environment in which the benchmarks are found."""
    places = (str(ROOT / "benchmarks"), os.environ.get("PYTHONPATH", ""))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}


def told(holds: bool, *, enough: bool) -> bool | None:  # noqa: FBT001 - the fact itself
    """Return the verdict: what fails has failed, what holds has held only if enough was run."""
    return (True if enough else None) if holds else False
