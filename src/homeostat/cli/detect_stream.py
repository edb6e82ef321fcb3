"""Rows on standard input: a row in, a row out, at once, until the end or Ctrl-C.

The layout is known from the header and the first row. A row that cannot be read is answered as
unknown, and told: a stream goes on. Rows are judged in the order in which they come. With a state
the next run goes on where this one ended; what is written then is added to the output.
"""

import csv
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, Final

import numpy as np

from homeostat.base.errors import ConfigError
from homeostat.cli import detect_methods, detect_state
from homeostat.cli import detect_ticks as ticks
from homeostat.cli.detect_block import Block
from homeostat.cli.detect_csv import LONGEST, mended, read
from homeostat.cli.detect_done import code_digest
from homeostat.cli.detect_feed import Past, no_past
from homeostat.cli.detect_layout import (
    EmptyError,
    InputError,
    Layout,
    Wanted,
    is_header,
    layout,
    made_by,
)
from homeostat.cli.detect_look import Look, as_json
from homeostat.cli.detect_play import bytes_of
from homeostat.cli.detect_scan import counters
from homeostat.cli.detect_tally import Tally
from homeostat.cli.detect_write import head, lines, unread
from homeostat.cli.output import tell
from homeostat.detect.stack import Said
from homeostat.detect.stack_budget import levels_of

NAME: Final = "standard input"
_EVERY_S: Final = 20.0  # between two times that the state is written
_TOLD: Final = 10  # rows that cannot be read are told, and the rest counted
_COUNTED: Final = "; the next ones are counted, and at the end how many is said"


class Stopper:
    """Ctrl-C and SIGTERM: they end the wait for a row, and never the work on one."""

    def __init__(self) -> None:
        self.asked = self.waiting = False

    def __call__(self, *_: object) -> None:
        """Be asked to stop."""
        self.asked = True
        if self.waiting:
            raise KeyboardInterrupt

    def lines(self, file: BinaryIO) -> Iterator[bytes]:
        """Yield lines until the end, or until somebody asks to stop."""
        while not self.asked:
            try:
                self.waiting = True
                line = file.readline(LONGEST + 1)
                self.waiting = False
            except KeyboardInterrupt:
                return
            if not line:
                return
            yield line

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen to signals."""
        before = {one: signal.signal(one, self) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)


class Stream:
    """Rows that are judged one by one.

    Args:
        how: How they are written.
        wanted: What a person says of the columns.
        out: Where what is said goes.
        state: File to go on from and to leave the state in; None = none is kept.

    Raises:
        ConfigError: The state cannot be used.
    """

    def __init__(self, how: Layout, wanted: Wanted, out: IO[bytes], state: Path | None) -> None:
        self.how, self.out, self.path = how, out, state
        self.columns, self.made = how.names, made_by(wanted, code_digest())
        self.counters = counters(how.names, wanted, NAME)
        self.look, self.tally = Look(how.names, how.notes), Tally(columns=how.names)
        self.stack, self.rows, self.bad = detect_methods.of(wanted), 0, 0
        detect_methods.enough(self.stack, wanted, how.names, NAME)
        self.budget = wanted.false_incidents
        self.state, self.past = self.stack.init(len(how.names)), no_past(len(how.names))
        self.went_on = self.rows + 1 if self._take_up() else None
        self.again = 0
        # What sends a file from its beginning sends again what the state has seen.
        self.seen_ns = int(self.past.grid.last[0]) if self.went_on is not None else None
        self.last = time.monotonic()

    def row(self, line: bytes, number: int) -> None:
        """Judge a row, write what is said of it, and flush.

        Args:
            line: As it came.
            number: Of the line, from 1, for messages.
        """
        cells: list[str] = []
        try:
            cells = next(csv.reader([_text(line)], delimiter=self.how.separator), [])
            if not cells:
                return
            block = self._block(cells, number)
        except (InputError, csv.Error) as error:
            self._refuse(cells, error)
            return
        if self._sent_again(block):
            return
        said, level = self._judge(block)
        self.tally.add(block.texts, said, level)
        self._put(lines(block.texts, said))
        if self.path is not None and time.monotonic() - self.last >= _EVERY_S:
            self.keep()

    def keep(self) -> None:
        """Write where the stream is, if a person wants that."""
        if self.path is None:
            return
        job = {"input": "-", "output": "-", "columns": list(self.columns), "ticks": 0}
        job |= {"rows": self.rows, "digest": "", "bytes": 0, "done": True}
        kept = detect_state.Kept(self.made, [job], self.state, self.past)
        detect_state.write(self.path, self.stack, kept)
        self.last = time.monotonic()

    def summary(self) -> dict[str, Any]:
        """Return what is written of the stream."""
        scan, tally = self.look.found(), self.tally
        step_s = None if self.how.time is None else scan.step_s
        scan.notes[:0] = tally.too_little(self.budget, step_s)
        if self.bad:
            scan.notes.append(f"{self.bad:,} rows could not be read and are unknown")
        if self.went_on is not None:
            scan.notes.append(f"went on after {self.went_on - 1:,} rows that the state has seen")
        if self.again:
            scan.notes.append(f"{self.again:,} rows that the state has seen were sent again")
        names = zip(self.columns, self.counters.tolist(), strict=True)
        return {
            "input": "-",
            "output": "-",
            "rows": tally.rows + self.bad,
            "judged": tally.rows - tally.unknown,
            "unknown": tally.unknown + self.bad,
            "first": scan.first,
            "last": scan.last,
            "columns": list(self.columns),
            "counters": [name for name, is_one in names if is_one],
            "incidents": tally.incidents(),
            "largest": tally.largest,
            "went_on_at_row": self.went_on,
            "quality": as_json(scan),
        }

    def foretell(self) -> None:
        """Say what is kept, before the first row."""
        width = len(self.columns)
        size = bytes_of(self.stack, width)
        tell(
            f"judging rows of {width:,} column{'s' * (width != 1)} as they come; the detectors "
            f"keep {size:,.0f} bytes for each column, however many rows there are"
        )

    def begin(self) -> None:
        """Write the header."""
        self._put([head(self.columns, self.stack.names).rstrip("\n")])

    def _block(self, cells: list[str], number: int) -> Block:
        if len(cells) != self.how.width:
            raise InputError(
                f"{NAME}:{number}: {len(cells)} cells where the first row has {self.how.width}; "
                f"{mended(len(cells), self.how)}"
            )
        return read([cells], [number], self.how, NAME, self.rows)

    def _sent_again(self, block: Block) -> bool:
        """Return whether a row comes before the first that is later than all the state has seen."""
        if self.seen_ns is None or self.how.time is None or int(block.at[0]) > self.seen_ns:
            self.seen_ns = None
            return False
        self.again += 1
        return True

    def _judge(self, block: Block) -> tuple[Said, Any]:
        """Judge a row, after the ticks that are missing before it; return what starts one, too."""
        grid, timing = ticks.timing(self.past.grid, block.at)
        self.look.add(block, timing, float(grid.step[0]))
        finite = ticks.judgeable(block.values)
        counts, values = ticks.rates(self.past.counts, block.at, finite, self.counters)
        values, state = ticks.reachable(values), self.state
        for _ in range(int(timing.missing[0])):
            state, _said = self.stack.step(state, np.full_like(values, np.nan), learn=True)
        level: Any = None
        if self.budget is not None:
            length = timing.length_s if self.how.time is not None else [np.nan]
            level = levels_of(self.budget, length, signals=len(self.columns))
        self.state, said = self.stack.step(state, values, learn=True, start=level)
        self.past, self.rows = Past(grid, counts), self.rows + 1
        return said, level

    def _refuse(self, cells: list[str], error: Exception) -> None:
        self.bad += 1
        if self.bad <= _TOLD:
            tell(f"homeostat: {error}" + (_COUNTED * (self.bad == _TOLD)))
        when = self.how.time
        text = cells[when].strip() if when is not None and when < len(cells) else str(self.rows)
        quoted = '"' + text.replace('"', '""') + '"' if set(text) & set(',"\n') else text
        self._put([f"{quoted},{unread(len(self.columns), len(self.stack.names))}"])

    def _put(self, made: list[str]) -> None:
        self.out.write(("\n".join(made) + "\n").encode())
        self.out.flush()

    def _take_up(self) -> bool:
        """Go on where the state says; return whether there is one."""
        if self.path is None:
            return False
        detect_state.fits(self.path, self.made, self.columns)
        kept = detect_state.read(self.path, self.stack, len(self.columns))
        if kept is None:
            return False
        one = kept.jobs[0]
        if len(kept.jobs) != 1 or one["columns"] != list(self.columns) or kept.past is None:
            raise InputError(
                f"{self.path}: is not the state of whole rows of {', '.join(self.columns)} "
                f"(it has {', '.join(one['columns'])}); name another file, or remove it"
            )
        self.state, self.past, self.rows = kept.stack, kept.past, int(one["rows"])
        return True


def detect(output: Path, wanted: Wanted, state: Path | None) -> tuple[dict[str, Any], bool]:
    """Judge rows until there is none; return the summary, and whether somebody asked to stop.

    Args:
        output: `-` is standard output.
        wanted: What a person says of the columns.
        state: As for `Stream`.

    Raises:
        EmptyError: There was no row at all.
        InputError: The first rows are no table of numbers over time.
        ConfigError: The output cannot be written.
    """
    stopper = Stopper()
    with stopper.listening(), _open(output, state) as out:
        rows = enumerate(stopper.lines(sys.stdin.buffer), 1)
        first = list(_first(rows))
        if not first:
            raise EmptyError(f"{NAME}: no row came; send a header and rows")
        how = layout([_text(line) for _, line in first], NAME, wanted)
        stream = Stream(how, wanted, out, state)
        try:
            if stream.went_on is None or not _holds(output):
                stream.begin()
            if rest := first[1 if how.header else 0 :]:
                stream.foretell()
            for number, line in rest:
                stream.row(line, number)
            for number, line in rows:
                stream.row(line, number)
        except BrokenPipeError:
            tell("homeostat: nobody reads the output any more")
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            stopper.asked = True
        stream.keep()
    summary = stream.summary()
    _said_of(summary)
    return summary, stopper.asked


def _said_of(summary: dict[str, Any]) -> None:
    """Say at the end what a run on a file says in its table."""
    if not summary["rows"]:
        return
    found = len(summary["incidents"])
    tell(
        f"{summary['rows']:,} rows, {summary['judged']:,} of them judged; "
        f"{found:,} incident{'s' * (found != 1)}"
    )
    for note in summary["quality"]["notes"]:
        tell(f"note: {note}")


def _first(rows: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """Yield the first row, after the header if there is one; blank lines are left out."""
    for number, line in rows:
        if not line.strip():
            continue
        yield number, line
        if not is_header(_text(line)):
            return


def _text(line: bytes) -> str:
    return line.decode("utf-8-sig", errors="replace").strip("\r\n")


def _holds(output: Path) -> bool:
    return output != Path("-") and output.exists() and output.stat().st_size > 0


@contextmanager
def _open(output: Path, state: Path | None) -> Iterator[IO[bytes]]:
    if output == Path("-"):
        yield sys.stdout.buffer
        return
    goes_on = state is not None and state.exists()
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        file = output.open("ab" if goes_on else "wb")
    except OSError as error:
        raise ConfigError(f"{output}: {error.strerror}; choose another --output") from error
    with file:
        yield file
