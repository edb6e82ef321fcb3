"""How long until `homeostat --help` answers: the goal is 0.3 s, because help must be instant.

Whole processes, as a person starts them, beside an interpreter that does nothing and one that only
imports the command-line library: what is left is ours. The goal is held against processor time,
which other work on the machine hardly changes; the table shows wall time.
"""

import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

GOAL_S = 0.3
ROUNDS = 5
PYTHON = Path(sys.executable)
COMMANDS = {
    "homeostat --help": (str(PYTHON.with_name("homeostat")), "--help"),
    "import typer": (str(PYTHON), "-c", "import typer"),
    "python alone": (str(PYTHON), "-c", "pass"),
}


def processor_s() -> float:
    """Return the processor time of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_instant(benchmark: BenchmarkFixture, name: str) -> None:
    # Byte code is written in the round that does not count, as on any second call.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    took: list[float] = []

    def start() -> None:
        before = processor_s()
        subprocess.run(COMMANDS[name], env=environment, stdout=subprocess.DEVNULL, check=True)
        took.append(processor_s() - before)

    benchmark.group = "one process, start to end"
    benchmark.pedantic(start, rounds=ROUNDS, warmup_rounds=1)  # type: ignore[no-untyped-call]
    median = statistics.median(took[-ROUNDS:])
    benchmark.extra_info["processor_s"] = round(median, 3)
    print(f"{name}: {median:.3f} s of processor time, median of {len(took[-ROUNDS:])}")
    if benchmark.enabled and name == "homeostat --help":
        assert median <= GOAL_S
