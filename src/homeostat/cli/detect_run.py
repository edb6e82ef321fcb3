"""`homeostat detect` on files: opens them, plays them side by side, keeps what is done.

A tick of many entities costs the stack little more than a tick of one, so files with as many
columns as each other are played together. What is said of one does not depend on the others.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from homeostat import __version__
from homeostat.cli import detect_open, detect_scan
from homeostat.cli.detect_job import Job
from homeostat.cli.detect_layout import InputError, Wanted
from homeostat.cli.output import tell
from homeostat.detect.stack import Said, Stack, StackState
from homeostat.detect.stack_play import play

TOGETHER: Final = 64
"""Files that are played side by side: beyond it a tick costs as much a file as it did."""
_TICKS: Final = 512  # played before what was said is written; bounds memory
FORMAT: Final = 1
"""Of the JSON summary; raised when a field changes its meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person asked for.

    Attributes:
        source: File or folder.
        output: File or folder.
        wanted: What is said of the columns.
    """

    source: Path
    output: Path
    wanted: Wanted


def detect(asked: Asked) -> dict[str, Any]:
    """Judge all files; return the summary as it is written.

    Raises:
        InputError: The only file cannot be read, or there is none.
        ConfigError: An output cannot be written.
    """
    paths = detect_open.inputs(asked.source, asked.output)
    outputs = detect_open.outputs(paths, asked.source, asked.output)
    failed, jobs = [], []
    for path, output in zip(paths, outputs, strict=True):
        try:
            jobs.append(opened(path, output, asked.wanted))
        except InputError as error:
            if not asked.source.is_dir():
                raise
            tell(f"homeostat: {error}")
            failed.append({"input": str(path), "error": str(error)})
    total = sum(job.scan.rows for job in jobs)
    with progress(total) as advance:
        for group in _groups(jobs):
            _together(group, advance)
    return {
        "format": FORMAT,
        "version": __version__,
        "input": str(asked.source),
        "output": str(asked.output),
        "files": [job.summary() for job in jobs],
        "failed": failed,
    }


def opened(path: Path, output: Path, wanted: Wanted) -> Job:
    """Return an input that was looked at and is ready to be played.

    Raises:
        InputError: It cannot be read.
    """
    table = detect_open.table(path, wanted)
    counters = detect_scan.counters(table.columns, wanted, str(path))
    table, scan = detect_scan.look(table, str(path))
    return Job(path, output, table, scan, counters)


def _groups(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """Yield jobs with as many columns as each other, of like length, a few at a time."""
    order = sorted(jobs, key=lambda job: (len(job.columns), -job.scan.rows))
    group: list[Job] = []
    for job in order:
        if group and (len(group) == TOGETHER or len(job.columns) != len(group[0].columns)):
            yield group
            group = []
        group.append(job)
    if group:
        yield group


def _together(group: Sequence[Job], advance: Callable[[int], None]) -> None:
    """Play jobs side by side; each gets its name as soon as it is through."""
    stack, going = Stack(), dict(enumerate(group))
    state = stack.init(len(group[0].columns), entities=len(group))
    try:
        while going:
            state = _round(stack, state, going, len(group), advance)
    except BaseException:
        for job in going.values():
            job.abandon()
        raise


def _round(
    stack: Stack,
    state: StackState,
    going: dict[int, Job],
    entities: int,
    advance: Callable[[int], None],
) -> StackState:
    """Play some ticks of the jobs that go on; those that are through are taken out."""
    taken = {place: job.take(_TICKS) for place, job in going.items()}
    longest = max(len(values) for values in taken.values())
    columns = len(next(iter(going.values())).columns)
    values = np.full((longest, entities, columns), np.nan)
    for place, own in taken.items():
        values[: len(own), place] = own
    said, state = play(stack, values, state=state)
    for place, own in taken.items():
        job, before = going[place], going[place].rows
        job.give(Said(*(part[: len(own), place] for part in said)))
        advance(job.rows - before)
        if len(own) < _TICKS:
            job.finish()
            del going[place]
    return state


@contextmanager
def progress(total: int) -> Iterator[Callable[[int], None]]:
    """Show progress on stderr: a bar on a terminal, nothing where nobody looks.

    Args:
        total: Rows to judge.

    Yields:
        A function to call with the number of rows that were judged.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (
        TextColumn("judging"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} rows"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=total)
        yield lambda rows: bar.update(task, advance=rows)
