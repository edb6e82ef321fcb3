"""Recordings as a past to learn from: ticks, and which of them are believed normal.

The stack plays a recording first; what it calls an incident is not believed. A controller's journal
knows more: when something was suspected or done, and what people said of it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.cli import detect_scan
from homeostat.cli.detect_block import Table
from homeostat.cli.detect_cells import Floats
from homeostat.cli.detect_feed import Feed, Taken
from homeostat.cli.detect_layout import Wanted
from homeostat.cli.detect_run import progress
from homeostat.detect import stack_play
from homeostat.detect.stack import Stack
from homeostat.learn.normal_past import NormalPast, Stretch

_TICKS: Final = 512  # played at a time


class Past(NamedTuple):
    """What is learnt from.

    Attributes:
        values: `[tick, column]`, NaN where nothing is known.
        believed: Bool `[tick]`.
        stretches: Of which something was said, with the ticks of this past.
        touched: Ticks on which an action of ours was under way.
        told: Ticks that teach because people called them nothing.
    """

    values: Floats
    believed: np.ndarray
    stretches: tuple[Stretch, ...] = ()
    touched: int = 0
    told: int = 0


def past(table: Table, path: Path, wanted: Wanted) -> Past:
    """Return one recording's ticks, and which of them are believed normal.

    Args:
        table: The recording.
        path: Where it is, for messages.
        wanted: What is said of its columns.

    Raises:
        InputError: It cannot be read.
    """
    counters = detect_scan.counters(table.columns, wanted, str(path))
    table, scan = detect_scan.look(table, str(path))
    feed, stack = Feed(table, counters), Stack()
    state = stack.init(len(table.columns))
    values, quiet = [np.empty((0, len(table.columns)))], [np.empty(0, dtype=bool)]
    rows, shown = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=bool)]
    with progress("playing", scan.rows, "rows") as advance:
        while len((taken := feed.take(_TICKS)).values):
            said, state = stack_play.play(stack, taken.values[:, None], state=state)
            row, seen = _rows(taken)
            values.append(taken.values)
            quiet.append(~said.active[:, 0])
            rows.append(row)
            shown.append(seen)
            advance(len(taken.place))
    calm, row = np.concatenate(quiet), np.concatenate(rows)
    if scan.shown < scan.rows:  # the rest is what the file has to learn from
        calm &= ~np.concatenate(shown)
    normal: NormalPast | None = getattr(table, "past", None)
    out = Past(np.concatenate(values), calm)
    return out if normal is None else _with_said(out, normal, row)


def _rows(taken: Taken) -> tuple[Any, Any]:
    """Return the number of each tick's row from 0, -1 where it has none, and if it is shown."""
    row = np.full(len(taken.values), -1)
    shown = np.zeros(len(taken.values), dtype=bool)
    if taken.block is not None:
        row[taken.place] = taken.block.line - 1
        shown[taken.place] = taken.block.shown
    return row, shown


def _with_said(one: Past, normal: NormalPast, row: np.ndarray) -> Past:
    """Return a past with what its journal knows of it."""
    known = row >= 0
    sure = known & normal.sure[row]
    believed = known & normal.calm[row] & (one.believed | sure)
    return one._replace(
        believed=believed,
        stretches=tuple(each._replace(ticks=known & each.ticks[row]) for each in normal.stretches),
        touched=int((known & normal.touched[row]).sum()),
        told=int((believed & sure).sum()),
    )


def joined(pasts: Sequence[Past], columns: int) -> Past:
    """Return several pasts as one, with an unknown tick after each.

    Args:
        pasts: In order.
        columns: That each has.
    """
    gap: Floats = np.full((1, columns), np.nan)
    values = np.concatenate([part for past in pasts for part in (past.values, gap)])
    stretches, first = list[Stretch](), 0
    for past in pasts:
        for one in past.stretches:
            ticks = np.zeros(len(values), dtype=bool)
            ticks[first : first + len(past.values)] = one.ticks
            stretches.append(one._replace(ticks=ticks))
        first += len(past.values) + 1
    return Past(
        values,
        np.concatenate([part for past in pasts for part in (past.believed, [False])]),
        tuple(stretches),
        sum(past.touched for past in pasts),
        sum(past.told for past in pasts),
    )
