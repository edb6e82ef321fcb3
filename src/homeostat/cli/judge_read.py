"""Reads what `homeostat judge` is given: both arms' counters, and earlier stable pods (CSV).

Columns of counters: `t` (seconds, or ISO 8601), `canary_total`, `canary_bad`, `stable_total`,
`stable_bad`, and as wanted `share` (0..1) and histograms: `canary_latency_le_250`, ...,
`canary_latency_le_inf`, and the same for stable. An empty cell is not known. A column of another
name is an error: a misspelt one would go unread.
"""

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from homeostat.base.canary import Counts
from homeostat.base.units import TimeNs
from homeostat.cli.detect_cells import CellError, form_of, number_of, times
from homeostat.cli.detect_layout import EmptyError, InputError
from homeostat.govern.canary_counters import ArmReading, Cumulative, Reading, bounds_of, counts

TIME: Final = "t"
COUNTERS: Final = ("canary_total", "canary_bad", "stable_total", "stable_bad")
SHARE: Final = "share"
_BUCKET: Final = re.compile(r"(canary|stable)_(.+)_le_([0-9.eE+-]+|inf)")
_POD_COLUMNS: Final = ("window", "pod", "total", "bad")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What there is to judge.

    Attributes:
        began: The first reading.
        counts: What came between each reading and the next.
        bounds: Of each histogram's buckets, by its name.
    """

    began: TimeNs
    counts: Sequence[Counts]
    bounds: Mapping[str, tuple[float, ...]]


def counters(path: Path) -> Recorded:
    """Return what a file of counters holds.

    Raises:
        InputError: It cannot be read; names line, column and fix.
        EmptyError: Fewer than two readings: nothing came in between.
    """
    header, rows, lines = _table(path)
    buckets = _buckets(path, header)
    if len(rows) < 2:  # noqa: PLR2004 - counters say something from the second reading on
        raise EmptyError(f"{path}: {len(rows)} readings; counters need at least 2 to compare")
    at = _times(path, [row[header.index(TIME)] for row in rows], lines)
    readings = [
        _reading(TimeNs(when), _cells(path, header, row, line), buckets)
        for when, row, line in zip(at, rows, lines, strict=True)
    ]
    bounds = {name: found[0] for name, found in buckets.items()}
    return Recorded(began=readings[0].at, counts=tuple(counts(readings)), bounds=bounds)


def pods(path: Path) -> list[dict[str, tuple[float, float]]]:
    """Return earlier stable pods by window: what came from each in it.

    Raises:
        InputError: It cannot be read, or a pod is there twice in a window.
    """
    header, rows, lines = _table(path)
    missing = [name for name in _POD_COLUMNS if name not in header]
    if missing:
        raise InputError(f"{path}: no column {missing[0]!r}; needs {','.join(_POD_COLUMNS)}")
    at = [header.index(name) for name in _POD_COLUMNS]
    out: dict[str, dict[str, tuple[float, float]]] = {}
    for row, line in zip(rows, lines, strict=True):
        window, pod, *texts = (row[place].strip() for place in at)
        numbers = [number_of(text) for text in texts]
        counts = [one for one in numbers if one is not None and math.isfinite(one)]
        if len(counts) < len(texts) or pod in out.setdefault(window, {}):
            raise InputError(
                f"{path}:{line}: {texts} of pod {pod!r} in window {window!r}: two numbers, once "
                "for each window; leave pods out that were not read"
            )
        out[window][pod] = (counts[0], counts[1])
    return list(out.values())


def _table(path: Path) -> tuple[list[str], list[list[str]], list[int]]:
    """Return the header, the rows and the line of each."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            found = [(reader.line_num, row) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV text: {error}") from None
    if not found:
        raise EmptyError(f"{path}: the file is empty")
    header = [name.strip() for name in found[0][1]]
    for line, row in found[1:]:
        if len(row) != len(header):
            raise InputError(f"{path}:{line}: {len(row)} cells, the header has {len(header)}")
    return header, [row for _, row in found[1:]], [line for line, _ in found[1:]]


def _buckets(
    path: Path, header: Sequence[str]
) -> dict[str, tuple[tuple[float, ...], dict[str, tuple[str, ...]]]]:
    """Return each histogram's bounds and, for each arm, its columns in their order."""
    named: dict[str, dict[str, dict[float, str]]] = {}
    for name in header:
        match = _BUCKET.fullmatch(name)
        if match:
            arm, metric, bound = match.groups()
            try:
                named.setdefault(metric, {}).setdefault(arm, {})[float(bound)] = name
            except ValueError:
                raise InputError(f"{path}: column {name!r}: {bound!r} is no bound") from None
        elif name not in {TIME, *COUNTERS, SHARE}:
            raise InputError(
                f"{path}: unknown column {name!r}; needs {TIME},{','.join(COUNTERS)}, and may have "
                f"{SHARE} and canary_NAME_le_BOUND, stable_NAME_le_BOUND"
            )
    absent = [name for name in (TIME, *COUNTERS) if name not in header]
    if absent or len(set(header)) < len(header):
        why = f"no column {absent[0]!r}" if absent else "a column is there twice"
        raise InputError(f"{path}: {why}; needs {TIME},{','.join(COUNTERS)}")
    out = {}
    for metric, arms in named.items():
        sides = [sorted(arms.get(arm, {})) for arm in ("canary", "stable")]
        if sides[0] != sides[1] or len(sides[0]) < 2 or sides[0][-1] != math.inf:  # noqa: PLR2004 - a bound and the total
            raise InputError(
                f"{path}: histogram {metric!r} needs the same bounds in both arms, one or more and "
                f"inf; canary has {sides[0]}, stable {sides[1]}"
            )
        columns = {arm: tuple(found[bound] for bound in sides[0]) for arm, found in arms.items()}
        out[metric] = (bounds_of([str(bound) for bound in sides[0]]), columns)
    return out


def _times(path: Path, texts: Sequence[str], lines: Sequence[int]) -> list[int]:
    form = form_of(texts[0])
    if form is None:
        raise InputError(f"{path}:{lines[0]}: {texts[0]!r} is no time; seconds, or ISO 8601")
    try:
        found: list[int] = times(texts, form).tolist()
    except CellError as error:
        raise InputError(
            f"{path}:{lines[error.place]}: {error.text!r} is no time as the first one is "
            f"({form.value}); correct it, or remove the row"
        ) from None
    for before, after, line in zip(found, found[1:], lines[1:], strict=False):
        if after <= before:
            raise InputError(
                f"{path}:{line}: its time is not after that of the row before; sort the rows, and "
                "keep each moment once"
            )
    return found


def _cells(path: Path, header: Sequence[str], row: Sequence[str], line: int) -> dict[str, float]:
    """Return the numbers of a row by column, NaN where a cell is empty."""
    out = {}
    for name, text in zip(header, row, strict=True):
        if name == TIME:
            continue
        number = number_of(text)
        if number is None:
            raise InputError(
                f"{path}:{line}: {name} is {text!r}, no number; leave it empty if it is not known"
            )
        out[name] = number
    return out


def _reading(
    at: TimeNs,
    cells: Mapping[str, float],
    buckets: Mapping[str, tuple[tuple[float, ...], Mapping[str, tuple[str, ...]]]],
) -> Reading:
    def known(name: str) -> float | None:
        value = cells[name]
        return None if math.isnan(value) else value

    def arm(name: str) -> ArmReading:
        histograms: list[tuple[str, Cumulative]] = [
            (metric, tuple(known(column) for column in columns[name]))
            for metric, (_, columns) in buckets.items()
        ]
        return ArmReading(
            total=known(f"{name}_total"), bad=known(f"{name}_bad"), histograms=tuple(histograms)
        )

    share = known(SHARE) if SHARE in cells else None
    return Reading(at=at, canary=arm("canary"), stable=arm("stable"), share=share)
