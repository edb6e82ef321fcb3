"""One clock for the files of a fleet: which tick of it is each row's.

A file's ticks are counted as everywhere (`detect_ticks`), from rows as they come; here they are
held to the fleet's grid of times before anything is judged. Where they part, for a clock that
drifts or a row that is there twice, a later row of one file would be judged with an earlier one of
another.
"""

from collections.abc import Sequence
from statistics import median_low
from typing import NamedTuple

import numpy as np

from homeostat.cli import detect_ticks as ticks
from homeostat.cli.detect_job import Job
from homeostat.cli.detect_layout import InputError


class Clock(NamedTuple):
    """The fleet's grid.

    Attributes:
        origin_ns: Time of its first tick.
        step_ns: Between two ticks.
    """

    origin_ns: int
    step_ns: int


class Start(NamedTuple):
    """Where a file begins in this run.

    Attributes:
        at: Tick of the fleet that its next one is.
        first: Tick from which its rows are counted, those before `at` included.
        grid: The times of the rows before them.
    """

    at: int
    first: int
    grid: ticks.Grid


def clock_of(jobs: Sequence[Job]) -> Clock:
    """Return the clock of files that no run has seen: their step, from the earliest row on.

    Raises:
        InputError: No file has rows on a grid of times.
    """
    steps = [round(job.scan.step_s * 1e9) for job in jobs if job.scan.step_s is not None]
    firsts = [job.scan.first_ns for job in jobs if job.scan.first_ns is not None]
    if not steps:
        raise InputError(
            "--false-share: no file has rows at a steady step of time, and a fleet is judged on "
            "one clock; give rows on a grid, the same for all files"
        )
    return Clock(min(firsts), median_low(steps))


def begun(clock: Clock, job: Job) -> Start:
    """Return where a file begins of which nothing was seen."""
    first = job.scan.first_ns
    at = 0 if first is None else _ticks(clock, np.array([first]))[0]
    return Start(int(at), int(at), ticks.new_grid())


def check(clock: Clock, job: Job, start: Start) -> None:
    """Refuse rows that are not at the fleet's ticks.

    Raises:
        InputError: Names the file, the row and its time.
    """
    grid, tick = start.grid, start.first
    for block in job.table.blocks():
        grid, said = ticks.timing(grid, block.at)
        place = tick + np.cumsum(said.missing + 1) - 1
        off = np.flatnonzero(place != _ticks(clock, block.at))
        if off.size:
            raise InputError(
                f"{job.source}:{int(block.line[off[0]])}: the row at {block.texts[off[0]]} is not "
                f"where a clock of {clock.step_ns / 1e9:g} s has it, and a fleet is judged on one "
                "clock: rows must be that far apart in all files, each once and in order, with "
                "no gap among a file's first three; put them on that grid"
            )
        tick = int(place[-1]) + 1


def _ticks(clock: Clock, at: np.ndarray) -> np.ndarray:
    """Return the tick nearest to each time."""
    whole, rest = np.divmod(at - clock.origin_ns, clock.step_ns)
    return whole + (2 * rest >= clock.step_ns)
