"""`homeostat detect` on files: opens them, has them played, and leaves out what is done already.

Beside the outputs of a folder lies a list of what was done, by the content of the inputs and the
program's code: the same command takes up a run that was broken off, and judges new and changed
files only.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from homeostat import __version__
from homeostat.cli import detect_exact, detect_methods, detect_open, detect_scan, detect_state
from homeostat.cli.detect_done import NAME, Done
from homeostat.cli.detect_job import Job
from homeostat.cli.detect_layout import InputError, Wanted, made_by
from homeostat.cli.detect_play import Keep, bytes_of, groups, together
from homeostat.cli.output import tell
from homeostat.detect.method import Method

# What a tick takes, and each column more, seconds: 0.8 ms alone, 20,000 points a second with 29
# series, 46,000 with 4 entities of 38 columns (docs/reference/detection-figures.md).
_TICK_S: Final = 0.8e-3
_COLUMN_S: Final = 4e-6
_SEVERAL_S: Final = 16e-6
_LINE_S: Final = 60.0
"""Between two lines of progress where nobody looks."""
FORMAT: Final = 1
"""Of the JSON summary; raised when a field changes its meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person asked for.

    Attributes:
        source: File or folder.
        output: File or folder.
        wanted: What is said of the columns.
        state: File to go on from and to leave the state in; None = none is kept.
        fresh: Judge everything again.
        plot: Draw a page beside each output.
    """

    source: Path
    output: Path
    wanted: Wanted
    state: Path | None = None
    fresh: bool = False
    plot: bool = False


def detect(asked: Asked) -> dict[str, Any]:
    """Judge all files; return the summary as it is written.

    Raises:
        InputError: The only file cannot be read, or there is none.
        ConfigError: An output cannot be written.
    """
    if asked.state is not None and asked.source.is_dir():
        raise InputError(f"--state {asked.state}: takes one file, and {asked.source} is a folder")
    whole = asked.wanted.whole
    method = None if whole is not None else detect_methods.of(asked.wanted)
    jobs, failed = _looked(asked, method)
    done = _done(asked)
    if asked.state is not None:
        detect_state.fits(asked.state, made_by(asked.wanted, done.code), jobs[0].columns)
    left = [job for job in jobs if not done.knows(job)]
    _foretell(left, asked.wanted)
    with progress("judging", sum(job.scan.rows for job in left), "rows") as advance:
        for group in groups(left) if whole is None else ([job] for job in left):
            if whole is None:
                together(group, _keep(asked, done), advance)
            else:
                detect_exact.play(group[0], whole, advance)
            done.add(group)
    return {
        "format": FORMAT,
        "version": __version__,
        "input": str(asked.source),
        "output": str(asked.output),
        "methods": list(asked.wanted.methods),
        "files": [done.summary(job) for job in jobs],
        "failed": failed,
    }


def _looked(asked: Asked, method: Method | None) -> tuple[list[Job], list[dict[str, str]]]:
    """Return the inputs, each looked at, and those of a folder that cannot be read."""
    paths = detect_open.inputs(asked.source, asked.output)
    outputs = detect_open.outputs(paths, asked.source, asked.output)
    jobs, failed = [], []
    with progress("looking", len(paths), "files") as advance:
        for path, output in zip(paths, outputs, strict=True):
            found = _tried(path, output, asked, method)
            if isinstance(found, Job):
                jobs.append(found)
            else:
                failed.append(found)
            advance(1)
    return jobs, failed


def _tried(path: Path, output: Path, asked: Asked, method: Method | None) -> Job | dict[str, str]:
    """Return an input that was looked at, or why a file of a folder cannot be read."""
    try:
        return opened(path, output, asked, method)
    except InputError as error:
        if not asked.source.is_dir():
            raise
        tell(f"homeostat: {error}")
        return {"input": str(path), "error": str(error)}


def opened(path: Path, output: Path, asked: Asked, method: Method | None) -> Job:
    """Return an input that was looked at and is ready to be played.

    Args:
        path: The input.
        output: Where its output goes.
        asked: What a person asked for.
        method: What judges it; None = it is judged whole, by none.

    Raises:
        InputError: It cannot be read, or has fewer columns than the method takes.
    """
    table = detect_open.table(path, asked.wanted)
    if method is not None:
        detect_methods.enough(method, asked.wanted, table.columns, str(path))
    counters = detect_scan.counters(table.columns, asked.wanted, str(path))
    table, scan = detect_scan.look(table, str(path))
    budget = asked.wanted.false_incidents
    job = Job(
        path,
        output,
        table,
        scan,
        counters,
        plot=asked.plot,
        false_incidents=budget,
        method=method,
    )
    job.run = run_of(asked)
    return job


def run_of(asked: Asked) -> str:
    """Return what tells a run apart from others beside whose outputs its hidden files lie.

    The same command has the same; another input, output or other settings have another. What is
    drawn, and the program, are not in it: a run goes on with the one, and refuses the other.
    """
    parts = (str(asked.source.resolve()), str(asked.output.resolve()), repr(asked.wanted))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _foretell(jobs: Sequence[Job], wanted: Wanted) -> None:
    """Say what is ahead, and what it takes, before it starts."""
    jobs = [job for job in jobs if job.scan.rows]  # of the others a note says that they have none
    if not jobs:
        return
    rows = sum(job.scan.rows for job in jobs)
    text = f"judging {rows:,} rows of {len(jobs):,} file{'s' * (len(jobs) != 1)}"
    if wanted.whole is not None:
        tell(text + detect_exact.foretold(jobs))
        return
    size = max(bytes_of(job.method, len(job.columns)) for job in jobs)
    text += f"; the detectors keep {size:,.0f} bytes for each column, however many rows there are"
    if wanted.methods == ("stack",):  # how long others take was not measured
        tell(f"{text}; it takes {span(sum(seconds(group) for group in groups(jobs)))} on one core")
    else:
        tell(f"{text}, by {', '.join(wanted.methods)}")


def seconds(group: Sequence[Job]) -> float:
    """Return about how long files take side by side, on one core with nothing else to do."""
    ticks = max(job.scan.rows + job.scan.blank for job in group)
    columns = len(group[0].columns)
    each = _SEVERAL_S if columns > 1 else _COLUMN_S
    return ticks * (_TICK_S + each * columns * len(group))


def span(seconds: float) -> str:
    """Return a time in words of one figure or two, as good as a guess is.

    >>> span(3.0), span(200.0), span(8_000.0)
    ('less than a minute', 'about 3 minutes', 'about 2.2 hours')
    """
    if seconds < 60.0:  # noqa: PLR2004 - as it says
        return "less than a minute"
    if seconds < 5400.0:  # noqa: PLR2004 - an hour and a half
        return f"about {max(round(seconds / 60.0), 2)} minutes"
    return f"about {seconds / 3600.0:.1f} hours"


def _done(asked: Asked) -> Done:
    """Return the list of what was done; of one file alone none is kept."""
    path = asked.output / NAME if asked.source.is_dir() else None
    return Done(path, repr(asked.wanted), fresh=asked.fresh, plot=asked.plot)


def _keep(asked: Asked, done: Done) -> Keep:
    """Return where the run says where it is."""
    made = made_by(asked.wanted, done.code)
    if asked.state is not None:
        return Keep(path=asked.state, made=made, asked=True)
    folder = asked.output if asked.source.is_dir() or asked.output.is_dir() else asked.output.parent
    return Keep(path=folder / f".homeostat-detect.{run_of(asked)}.state", made=made)


@contextmanager
def progress(doing: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Show progress on stderr: a bar on a terminal, else a line a minute.

    Args:
        doing: A word that says what is done.
        total: Of how many.
        unit: What they are.

    Yields:
        A function to call with the number that were done.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(doing, total, unit)
        return
    columns = (
        TextColumn(f"{doing:>7}"),
        BarColumn(),
        TextColumn(f"{{task.completed:,.0f}} of {{task.total:,.0f}} {unit}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=total)
        yield lambda rows: bar.update(task, advance=rows)


class _Lines:
    """Progress for a log: a line where a minute has passed since the last one."""

    def __init__(self, doing: str, total: int, unit: str) -> None:
        self.doing, self.total, self.unit = doing, total, unit
        self.done, self.last = 0, time.monotonic()

    def __call__(self, count: int) -> None:
        """Add what was done."""
        self.done += count
        now = time.monotonic()
        if now - self.last >= _LINE_S:
            self.last = now
            tell(f"{self.doing}: {self.done:,} of {self.total:,} {self.unit}")
