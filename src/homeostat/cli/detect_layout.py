"""The layout of a table of text: what separates its cells, and which column is what.

Found out from the first lines alone, so that a stream is understood as soon as its first row is
there. A column of times is known by its name, or because it comes first and holds times; a column
that holds no number at all is not judged, nor is one named as labels are: a detector that sees
the answers shows nothing.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from homeostat.base.errors import ConfigError
from homeostat.cli.detect_cells import TimeForm, form_of, number_of
from homeostat.detect.shesd_whole import Asked

TIMES: Final = (
    "timestamp", "time", "ts", "datetime", "date", "t", "date_time", "event_time", "epoch",
)  # fmt: skip
"""Names of a column of times, in small letters, best first."""

LABELS: Final = frozenset((
    "label",
    "labels",
    "is_anomaly",
    "anomaly",
    "is_outlier",
    "ground_truth",
    "target_label",
))
_SEPARATORS: Final = ("\t", ";", "|", ",")  # the comma last: it may be a decimal sign


class InputError(ConfigError):
    """Data that cannot be read: names file, line, value and fix."""


class EmptyError(InputError):
    """There is no row to judge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A model that a method judges by.

    Attributes:
        path: Where it is.
        digest: SHA-256 of its weights.
        columns: The columns that it knows, in its order.
    """

    path: Path
    digest: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a person says of the columns, and of how often to be told.

    Attributes:
        time: Name of the column of times; None = find it out.
        columns: Names of the columns to judge; none = all that hold numbers.
        counters: `auto`, `none`, or names of columns that only ever count up.
        false_incidents: Per 1,000 signals and day, at most; None = the shipped level.
        share_of_ticks: At most this share starts an incident, by a level that steers itself
            (`detect.stack_steered`); None = it does not.
        methods: Names of the methods to judge by, see `cli.detect_methods`.
        model: What some of them judge by; None = nothing.
        deployment: Whose ticks of a journal; None = the only one's.
        whole: What the published Seasonal Hybrid ESD looks for in whole files, and no method by
            its name judges; None = methods do.
    """

    time: str | None = None
    columns: tuple[str, ...] = ()
    counters: tuple[str, ...] = ("auto",)
    false_incidents: float | None = None
    share_of_ticks: float | None = None
    methods: tuple[str, ...] = ("stack",)
    model: ModelFile | None = None
    deployment: str | None = None
    whole: Asked | None = None


def made_by(wanted: Wanted, code: str) -> dict[str, Any]:
    """Return what must be the same for a run to go on where another one was.

    Args:
        wanted: What a person says.
        code: Digest of the program's code.
    """
    return {"code": code, "how": repr(wanted), "options": spelled(wanted)}


def spelled(wanted: Wanted) -> dict[str, str]:
    """Return the options that a state depends on, as a person spells them.

    >>> spelled(Wanted(columns=("cpu", "disk"), false_incidents=1.0))["--columns"]
    'cpu,disk'
    """
    model = wanted.model
    given = {
        "--time": None if wanted.time is None else wanted.time or "''",
        "--columns": ",".join(wanted.columns) or None,
        "--counters": ",".join(wanted.counters) or None,
        "--false-incidents": wanted.false_incidents,
        "--share-of-ticks": wanted.share_of_ticks,
        "--method": ",".join(wanted.methods),
        "--model": None if model is None else f"{model.path} ({model.digest[:12]})",
        "--deployment": wanted.deployment,
    }
    return {
        name: "none" if one is None else f"{one:g}" if isinstance(one, float) else str(one)
        for name, one in given.items()
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a table is written.

    Attributes:
        separator: Between cells.
        header: Whether the first row holds names.
        width: Cells in a row.
        time: Number of the column of times; None = rows are numbered.
        form: How times are written.
        judged: Numbers of the columns of values.
        names: Their names.
        comma: The decimal sign is a comma.
        notes: What people should know.
    """

    separator: str
    header: bool
    width: int
    time: int | None
    form: TimeForm
    judged: tuple[int, ...]
    names: tuple[str, ...]
    comma: bool = False
    notes: tuple[str, ...] = ()


def layout(lines: Sequence[str], name: str, wanted: Wanted) -> Layout:
    """Return the layout of a table.

    Args:
        lines: Its first lines, the header and a row at least; more make it surer.
        name: What it is called, for messages.
        wanted: What a person says.

    Raises:
        InputError: It is no table of numbers over time.
        EmptyError: It has no line.
    """
    if not lines:
        raise EmptyError(f"{name}: is empty; give a file with a header and rows")
    try:
        separator = _separator(lines)
        rows = [row for row in csv.reader(lines, delimiter=separator) if row]
    except csv.Error as error:
        raise InputError(f"{name}:1: {error}; is it a table of text?") from None
    if not rows:
        raise EmptyError(f"{name}: holds blank lines only; give a file with a header and rows")
    cells = [cell.strip() for cell in rows[0]]
    header = _names_columns(cells)
    width = len(cells)
    sample = [row for row in rows[header:] if len(row) == width]
    names = cells if header else _made(cells)
    return layout_of(names, sample, name, wanted, separator=separator, header=header)


def layout_of(
    names: Sequence[str],
    sample: Sequence[Sequence[str]],
    name: str,
    wanted: Wanted,
    *,
    separator: str = ",",
    header: bool = True,
) -> Layout:
    """Return the layout of rows under names.

    Args:
        names: Of all columns.
        sample: The first rows.
        name: What the file is called, for messages.
        wanted: What a person says.
        separator: Between cells.
        header: Whether the names are the first row.

    Raises:
        InputError: There are no times, or no numbers.
    """
    _unique(names, name)
    time = _time(names, sample, name, wanted)
    comma = separator != "," and _has_comma(sample, time)
    judged, notes = _judged(names, sample, time, wanted, name, comma=comma)
    return Layout(
        separator=separator,
        header=header,
        width=len(names),
        time=time,
        form=_form(sample, time, name),
        judged=judged,
        names=tuple(names[column] for column in judged),
        comma=comma,
        notes=notes,
    )


def is_header(line: str) -> bool:
    """Return whether a line names columns, whatever separates them.

    >>> is_header("timestamp;cpu"), is_header("2026-01-31 13:45:00;1,5")
    (True, False)
    """
    mark = _separator([line])
    return _names_columns([cell.strip() for cell in next(csv.reader([line], delimiter=mark), [])])


def _names_columns(cells: Sequence[str]) -> bool:
    """Return whether cells are names: one is a known one, or none is a value."""
    named = any(cell.lower() in TIMES for cell in cells)
    return named or not any(_is_value(cell) for cell in cells)


def _separator(lines: Sequence[str]) -> str:
    """Return what cuts all lines into the same number of cells, else what occurs most often."""
    for mark in _SEPARATORS:
        widths = {len(row) for row in csv.reader(lines, delimiter=mark) if row}
        if len(widths) == 1 and widths != {1}:
            return mark
    return max(reversed(_SEPARATORS), key=lines[0].count)


def _is_value(cell: str) -> bool:
    return bool(cell) and (form_of(cell) is not None or number_of(cell) is not None)


def _made(cells: Sequence[str]) -> list[str]:
    """Return names for a table without a header: times come first, if there are two columns."""
    if len(cells) == 1:
        return ["value"]
    first = form_of(cells[0])
    if first is None:
        return [f"value_{number + 1}" for number in range(len(cells))]
    rest = ["value"] if len(cells) == 2 else [f"value_{k}" for k in range(1, len(cells))]  # noqa: PLR2004 - time and one value
    return ["timestamp", *rest]


def _unique(names: Sequence[str], name: str) -> None:
    for one in names:
        if one and names.count(one) > 1:
            raise InputError(f"{name}:1: two columns are called {one!r}; rename one of them")


def _time(
    names: Sequence[str], sample: Sequence[Sequence[str]], name: str, wanted: Wanted
) -> int | None:
    """Return which column holds times; None if rows are to be numbered."""
    if wanted.time == "":
        return None
    if wanted.time is not None:
        if wanted.time not in names:
            raise InputError(
                f"{name}:1: no column is called {wanted.time!r} (there are: {_said(names)}); "
                "say which holds the times with --time"
            )
        return names.index(wanted.time)
    small = [one.lower() for one in names]
    for known in TIMES:
        if known in small:
            return small.index(known)
    if len(names) == 1:
        return None
    if sample and all(form_of(row[0]) is TimeForm.ISO for row in sample):
        return 0
    raise InputError(
        f"{name}:1: no column of times (there are: {_said(names)}); name it `timestamp`, "
        "say which it is with --time NAME, or number the rows with --time ''"
    )


def _has_comma(sample: Sequence[Sequence[str]], time: int | None) -> bool:
    cells = [cell for row in sample for place, cell in enumerate(row) if place != time]
    return any("," in cell and number_of(cell.replace(",", ".")) is not None for cell in cells)


def _judged(
    names: Sequence[str],
    sample: Sequence[Sequence[str]],
    time: int | None,
    wanted: Wanted,
    name: str,
    *,
    comma: bool,
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return which columns are judged, and what to say of the others."""
    there = [place for place in range(len(names)) if place != time]
    if wanted.columns:
        for one in wanted.columns:
            if one not in names or names.index(one) == time:
                raise InputError(
                    f"{name}:1: no column of values is called {one!r} "
                    f"(there are: {_said([names[place] for place in there])}); correct --columns"
                )
        return tuple(names.index(one) for one in wanted.columns), ()
    judged, notes = [], []
    for place in there:
        if names[place].lower() in LABELS:
            notes.append(
                f"column {names[place]!r} is taken for labels and not looked at; "
                "judge it with --columns"
            )
        elif _holds_text([row[place] for row in sample], comma=comma):
            notes.append(f"column {names[place] or place + 1!r} holds text and is not judged")
        elif names[place]:
            judged.append(place)
    if not judged:
        raise InputError(
            f"{name}:1: no column of numbers beside the times (there are: {_said(names)}); "
            "give `timestamp,value`, or name columns with --columns"
        )
    return tuple(judged), tuple(notes)


def _holds_text(cells: Sequence[str], *, comma: bool) -> bool:
    """Return whether there is something in a column, and none of it is a number."""
    numbers = [number_of(cell.replace(",", ".") if comma else cell) for cell in cells]
    said = [one for one, cell in zip(numbers, cells, strict=True) if one is None or one == one]  # noqa: PLR0124 - not NaN
    return bool(said) and all(one is None for one in said)


def _form(sample: Sequence[Sequence[str]], time: int | None, name: str) -> TimeForm:
    if time is None or not sample:
        return TimeForm.SECONDS
    found = form_of(sample[0][time])
    if found is None:
        raise InputError(
            f"{name}:2: {sample[0][time]!r} is no time; write ISO 8601 like 2026-01-31 13:45:00, "
            "or a number since the epoch"
        )
    return found


def _said(names: Sequence[str]) -> str:
    return ", ".join(one or "''" for one in names[:12]) + (", ..." if len(names) > 12 else "")  # noqa: PLR2004 - a line
