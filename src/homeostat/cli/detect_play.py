"""Plays inputs through the stack, or another method, side by side, and keeps where they are.

A tick of many entities costs little more than a tick of one, so inputs with as many columns as each
other are played together. What is said of one does not depend on the others.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from homeostat.base.errors import ConfigError
from homeostat.cli import detect_state
from homeostat.cli.detect_cells import Floats
from homeostat.cli.detect_job import Job
from homeostat.cli.detect_layout import InputError
from homeostat.cli.output import tell
from homeostat.detect import stack_play
from homeostat.detect.method import Method
from homeostat.detect.stack import Said, Stack

TOGETHER: Final = 64
"""Inputs that are played side by side: beyond it one costs as much as it did."""
_TICKS: Final = 512  # played before what was said is written; bounds memory
_CELLS: Final = 2_000_000  # values in memory at a time: 16 MB, and four times that of answers
_FEW: Final = 10  # columns
_TOLD: Final = 3  # files of which it is said that they go on
_STATE: Final = 64_000_000  # bytes that a method may keep: they are written every now and then
_EVERY_S: Final = 20.0  # between two times that a run says where it is: what a stop may cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Where a run says where it is.

    Attributes:
        path: The file.
        made: What must be the same for a later run to go on with it.
        asked: A person named the file: it stays, and one that does not fit is an error.
        every_s: Seconds between two times.
    """

    path: Path
    made: dict[str, Any]
    asked: bool = False
    every_s: float = _EVERY_S


def groups(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """Yield jobs with as many columns as each other, of like length, a few at a time."""
    order = sorted(jobs, key=lambda job: (_kind(job), -job.scan.rows, str(job.source)))
    group: list[Job] = []
    size: dict[tuple[int, bool], int] = {}
    for job in order:
        width = len(job.columns)
        if _kind(job) not in size:
            size[_kind(job)] = int(_bytes_each(job.method, width) * width)
        room = _STATE // max(size[_kind(job)], 1)
        most = max(1, min(TOGETHER, _CELLS // (_TICKS * width), room))
        if group and (len(group) >= most or _kind(job) != _kind(group[0])):
            yield group
            group = []
        group.append(job)
    if group:
        yield group


def together(group: Sequence[Job], keep: Keep, advance: Callable[[int], None]) -> None:
    """Play jobs side by side; each output gets its name as soon as it is whole.

    Args:
        group: Of as many columns as each other, and of one method.
        keep: Where to say where the run is, and to find where an earlier one was.
        advance: Called with the number of rows that were judged.

    Raises:
        ConfigError: An output cannot be written, or the state that a person named does not fit.
    """
    run = _Run(group, keep, advance)
    try:
        while run.going:
            run.round()
    except BaseException:
        run.stop()
        raise
    run.end()


def bytes_of(method: Method, columns: int) -> float:
    """Return how many bytes a method keeps for each column of an input with so many."""
    return _size(method.init(columns)) / columns


def _bytes_each(method: Method, columns: int) -> float:
    """Return the same without what grows with the square of the columns, and without making it."""
    few = columns if method.columns is not None else min(columns, _FEW)
    return bytes_of(method, max(few, method.least_columns))


def _size(state: Any) -> int:
    if isinstance(state, tuple):
        return sum(_size(part) for part in state)
    return np.asarray(state).nbytes


def _kind(job: Job) -> tuple[int, bool]:
    """Return what jobs of one group have in common; sorted ones cannot be taken up midway."""
    return len(job.columns), job.scan.sorted_rows


class _Run:
    """Jobs on their way; see `together`."""

    def __init__(self, group: Sequence[Job], keep: Keep, advance: Callable[[int], None]) -> None:
        self.group, self.keep, self.advance = group, keep, advance
        self.columns = len(group[0].columns)
        self.stack = group[0].method
        self.going = dict(enumerate(group))
        self.midway = not any(job.scan.sorted_rows for job in group)
        if keep.asked and not self.midway:
            raise InputError(
                f"{group[0].source}: with --state rows must be in order of time; sort the file"
            )
        self.kept, self.last = False, time.monotonic()
        found = self._taken_up()
        self.state = self._new() if found is None else found
        self._tell()
        advance(sum(job.rows for job in group))

    def _tell(self) -> None:
        """Say which jobs go on where an earlier run was."""
        on = [job for job in self.group if job.began]
        for job in on[:_TOLD]:
            tell(f"{job.source}: {job.began}")
        if len(on) > _TOLD:
            tell(f"and {len(on) - _TOLD:,} files more went on; the summary says where each")

    def round(self) -> None:
        """Play some ticks of the jobs that go on; those that are through are taken out."""
        taken = {place: job.take(_TICKS) for place, job in self.going.items()}
        longest = max(len(values) for values in taken.values())
        values = np.full((longest, len(self.group), self.columns), np.nan)
        for place, own in taken.items():
            values[: len(own), place] = own
        said, self.state = stack_play.play(
            self.stack, values, state=self.state, start=self._levels(longest)
        )
        for place, own in taken.items():
            job = self.going[place]
            self.advance(job.give(Said(*(part[: len(own), place] for part in said))))
            if len(own) < _TICKS:
                job.finish()
                del self.going[place]
        if self.midway and self.going and time.monotonic() - self.last >= self.keep.every_s:
            self._say()

    def _levels(self, ticks: int) -> Floats | None:
        """Return what starts an incident at each tick of each job, as a budget has it."""
        told = {place: job.levels for place, job in self.going.items()}
        if all(one is None for one in told.values()):
            return None
        usual = Stack().config.told(self.columns)[0].start  # of ticks past a job's end
        out: Floats = np.full((ticks, len(self.group)), usual)
        for place, own in told.items():
            if own is not None:
                out[: len(own), place] = own
        return out

    def stop(self) -> None:
        """End before the end: what a later run can go on with stays, nothing else does."""
        for job in self.group:
            job.abandon(keep=self.kept)

    def end(self) -> None:
        """End as one should."""
        if self.keep.asked:
            self._say()
        else:
            self.keep.path.unlink(missing_ok=True)

    def _say(self) -> None:
        """Write where the run is."""
        past = self.group[0].past if self.keep.asked and not self.going else None
        jobs = [job.kept() for job in self.group]
        kept = detect_state.Kept(self.keep.made, jobs, self.state, past)
        detect_state.write(self.keep.path, self.stack, kept)
        self.kept, self.last = True, time.monotonic()

    def _new(self) -> Any:
        return self.stack.init(self.columns, entities=len(self.group))

    def _taken_up(self) -> Any:
        """Return the method's state where an earlier run was; None = begin."""
        if not self.midway:
            return None
        try:
            kept = detect_state.read(self.keep.path, self.stack, self.columns)
        except ConfigError:
            if self.keep.asked:
                raise
            return None
        if kept is None:
            return None
        if self.keep.asked:
            return self._asked(kept)
        found = self._fitting(kept)
        if found is None:
            # What it says was written is about to be written over: nobody may go on with it.
            for path in (self.keep.path, *(job.part for job in self.group)):
                path.unlink(missing_ok=True)
        self.kept = found is not None
        return found

    def _fitting(self, kept: detect_state.Kept) -> Any:
        """Return what an earlier run of the same command left; None if it does not fit."""
        same = [one["input"] for one in kept.jobs] == [str(job.source) for job in self.group]
        if kept.made != self.keep.made or not same:
            return None
        fits = [job.go_on(one) for job, one in zip(self.group, kept.jobs, strict=True)]
        if all(fits):
            return kept.stack
        for job in self.group:
            job.anew()
        return None

    def _asked(self, kept: detect_state.Kept) -> Any:
        """Return the state of a file that a person named, for the same input or the next one.

        Raises:
            ConfigError: It was made in another way, or of other rows.
        """
        job, path = self.group[0], self.keep.path
        detect_state.check(path, kept.made, self.keep.made)
        if len(kept.jobs) == 1 and job.go_on(kept.jobs[0]):
            self.kept = True
            return kept.stack
        first, past = job.scan.first_ns, kept.past
        same = len(kept.jobs) == 1 and kept.jobs[0]["columns"] == list(job.columns)
        if same and past is not None and (first is None or first > int(past.grid.last[0])):
            job.follow(past)
            return kept.stack
        seen = kept.jobs[0]
        raise InputError(
            f"{job.source}: does not go on from {path}, which has seen {seen['rows']:,} rows of "
            f"{seen['input']} (columns {', '.join(seen['columns'])}) and wrote {seen['output']}: "
            "give that file with rows added and its output in place, or a file of later rows; "
            "or remove the state to begin anew"
        )
