"""One input on its way through the stack: ticks out, what was said of them in, lines written.

A job can be stopped between two ticks and taken up by a later run: `kept` is what that needs beside
the stack's state, and `go_on` refuses an input that does not begin with the rows seen before.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from homeostat import __version__
from homeostat.cli.detect_block import Block, Table
from homeostat.cli.detect_cells import Floats
from homeostat.cli.detect_feed import Feed, Past, Taken
from homeostat.cli.detect_look import Scan, as_json
from homeostat.cli.detect_tally import Tally
from homeostat.cli.detect_write import Sink, page_of, part_of, write_text
from homeostat.detect.method import Method
from homeostat.detect.stack import Said, Stack
from homeostat.detect.stack_budget import levels_of
from homeostat.report.detect_course import Course, Rows
from homeostat.report.detect_page import page


class Job:
    """One input and its output.

    Args:
        source: The input.
        output: Where the output goes.
        table: The input, opened.
        scan: What a look at all of it found.
        counters: Which columns are counters. Bool `[column]`.
        plot: A picture is wanted too.
        false_incidents: As in `Wanted`.
        method: What judges it; None = the stack.

    Attributes:
        run: Which run this is of, see `detect_write.part_of`; to be set before anything is written.
        went_on: The first row of the input that this run takes up, from 1, where it goes on from an
            earlier one; None = it began anew.
    """

    def __init__(
        self,
        source: Path,
        output: Path,
        table: Table,
        scan: Scan,
        counters: np.ndarray,
        *,
        plot: bool = False,
        false_incidents: float | None = None,
        method: Method | None = None,
    ) -> None:
        self.method: Method = Stack() if method is None else method
        self._by_level = isinstance(method, Stack)  # others have rules of their own
        self.source, self.output, self.table, self.scan = source, output, table, scan
        self.columns = table.columns
        self.tally = Tally(columns=table.columns)
        self.done, self.run = False, ""
        self.went_on: int | None = None
        self.course = Course(table.columns) if plot else None
        self._counters, self._budget = counters, false_incidents
        self._feed = Feed(table, counters)
        self._taken: Taken | None = None
        self._sink: Sink | None = None

    @property
    def rows(self) -> int:
        """Return how many rows of the input were taken."""
        return self._feed.rows

    @property
    def past(self) -> Past:
        """Return what the rows leave behind; the job must be done."""
        return self._feed.past

    @property
    def part(self) -> Path:
        """Return where the output is written until it is whole."""
        return part_of(self.output, self.run)

    @property
    def began(self) -> str:
        """Return in words where the run went on; nothing where it began anew."""
        return "" if self.went_on is None else _said_of(self.went_on, self.scan.rows)

    def take(self, most: int) -> Floats:
        """Return the next ticks, fewer than `most` only at the end. `[tick, column]`."""
        self._taken = self._feed.take(most)
        return self._taken.values

    @property
    def levels(self) -> Floats | None:
        """Return the evidence that starts an incident at each tick that was taken last, `[tick]`.

        None: as the stack's settings say.
        """
        if self._budget is None or self._taken is None:
            return None
        out: Floats = levels_of(self._budget, self._taken.length_s, signals=len(self.columns))
        return out

    def give(self, said: Said) -> int:
        """Take what was said of the ticks that were taken last, and write it.

        Args:
            said: Time first: `[tick]`, contributions and bands `[tick, column]`.

        Returns:
            How many of the ticks are rows.
        """
        taken = self._taken
        if taken is None or taken.block is None:
            return 0
        block, of_rows = taken.block, Said(*(part[taken.place] for part in said))
        shown = block.shown
        if not shown.all():
            texts = [text for text, one in zip(block.texts, shown.tolist(), strict=True) if one]
            block = Block(texts, *(part[shown] for part in block[1:]))
            of_rows = Said(*(part[shown] for part in of_rows))
        if len(block.at):
            self._draw(block.texts, taken.values[taken.place][shown], of_rows)
            levels = self.levels
            at = None if levels is None else levels[taken.place][shown]
            self.tally.add(block.texts, of_rows, at)
            self._out().write(block, of_rows)
        return len(taken.place)

    def finish(self) -> None:
        """Give the output its name, and draw it."""
        self._out().finish()
        self.done = True
        drawn = page_of(self.output)
        # A run that found nothing new has nothing to draw: the page of the one before stays.
        if self.course is not None and (self.course.rows or not drawn.exists()):
            shown = self.summary() | {"starts_at": self._starts_at()}
            write_text(drawn, page(shown, self.course, __version__))

    def abandon(self, *, keep: bool) -> None:
        """Leave no output, or the part that a later run goes on with."""
        if self._sink is not None and not self.done:
            self._sink.abandon(keep=keep)

    def kept(self) -> dict[str, Any]:
        """Return what a later run needs to go on from here."""
        size = self.output.stat().st_size if self.done else self._out().flush()
        return {
            "input": str(self.source),
            "output": str(self.output),
            "columns": list(self.columns),
            "ticks": self._feed.ticks,
            "rows": self._feed.rows,
            "digest": self._feed.digest,
            "bytes": size,
            "done": self.done,
            "tally": self.tally.plain(),
        }

    def go_on(self, kept: dict[str, Any]) -> bool:
        """Go on from where an earlier run was; return whether that is possible.

        It is not where the input does not begin with the rows seen before, or where what was
        written of them is gone; the job is as new then.
        """
        written = self._written(kept)
        fits = kept["columns"] == list(self.columns) and not self.scan.sorted_rows
        if not (fits and written and self._feed.skip(kept["ticks"])):
            self.anew()
            return False
        if self._feed.digest != kept["digest"]:
            self.anew()
            return False
        if written != self.part:
            shutil.copyfile(written, self.part)
        self._sink = Sink(
            self.output, self.columns, begun=kept["bytes"], parts=self.method.names, run=self.run
        )
        self.tally = Tally.of(self.columns, kept["tally"])
        self.went_on = self.rows + 1
        return True

    def anew(self) -> None:
        """Begin at the first row, whatever was gone on with."""
        self.abandon(keep=False)
        self._feed, self._sink = Feed(self.table, self._counters), None
        self.tally, self.went_on = Tally(columns=self.columns), None
        self.course = None if self.course is None else Course(self.columns)

    def follow(self, past: Past) -> None:
        """Take the rows as those that come after others."""
        self._feed, self.went_on = Feed(self.table, self._counters, past), 1

    def summary(self) -> dict[str, Any]:
        """Return what is written of this input."""
        tally, scan = self.tally, self.scan
        counters = zip(self.columns, self._counters.tolist(), strict=True)
        quality = as_json(scan)
        quality["notes"] = [
            *tally.too_little(self._budget, scan.step_s if self.table.timed else None),
            *scan.notes,
            *([self.began] if self.began else []),
        ]
        return {
            "input": str(self.source),
            "output": str(self.output),
            "rows": tally.rows,
            "judged": tally.rows - tally.unknown,
            "unknown": tally.unknown,
            "first": scan.first,
            "last": scan.last,
            "columns": list(self.columns),
            "counters": [name for name, is_one in counters if is_one],
            "incidents": tally.incidents(),
            "largest": tally.largest,
            "went_on_at_row": self.went_on,
            "quality": quality,
        }

    def _starts_at(self) -> float | None:
        """Return the evidence that starts an incident, once a file is no longer young.

        None: no one number does.
        """
        if not self._by_level:
            return None
        if self._budget is None:
            return Stack().config.told(len(self.columns))[0].start
        step_s = self.scan.step_s if self.table.timed else None
        length = np.nan if step_s is None else step_s
        return float(levels_of(self._budget, length, signals=len(self.columns)))

    def _draw(self, texts: Sequence[str], values: Floats, said: Said) -> None:
        if self.course is not None:
            self.course.add(
                Rows(
                    texts=texts,
                    values=values,
                    low=said.low,
                    high=said.high,
                    evidence=said.neg_log10_p,
                    shares=said.contributions,
                    alarm=said.alarm,
                    active=said.active,
                )
            )

    def _written(self, kept: dict[str, Any]) -> Path | None:
        """Return the file that holds what was written of the rows seen before."""
        if kept["output"] != str(self.output):
            return None
        part = self.part
        if not kept["done"] and part.exists() and part.stat().st_size >= kept["bytes"]:
            return part
        whole = self.output.exists() and self.output.stat().st_size == kept["bytes"]
        return self.output if whole else None

    def _out(self) -> Sink:
        if self._sink is None:
            self._sink = Sink(
                self.output,
                self.columns,
                sort=self.scan.sorted_rows,
                parts=self.method.names,
                run=self.run,
            )
        return self._sink


def _said_of(row: int, rows: int) -> str:
    """Return in words where a run went on.

    >>> _said_of(65, 130)
    'went on at row 65 of 130, where an earlier run ended'
    >>> _said_of(131, 130)
    'nothing to go on with: an earlier run has seen all 130 rows'
    >>> _said_of(1, 40)
    'went on at its first row, with the state that earlier rows left'
    """
    if row > rows > 0:
        return f"nothing to go on with: an earlier run has seen all {rows:,} rows"
    if row == 1:
        return "went on at its first row, with the state that earlier rows left"
    return f"went on at row {row:,} of {rows:,}, where an earlier run ended"
