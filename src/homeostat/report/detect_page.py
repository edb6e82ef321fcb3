"""What was found in one recording, as one self-contained page: its course, and each incident.

The page holds no script and asks no other host for anything. Values in, text out.
"""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

import numpy as np

from homeostat.report.detect_course import Cells, Course
from homeostat.report.lab_style import CHARTS, COLOURS, PAGE
from homeostat.report.markup import Markup, join, number, tag
from homeostat.report.scales import Scale, around, ticks

SHOWN: Final = 12
"""Columns that are drawn at most: those with most of the evidence."""
_WIDTH: Final = 1080.0
_ROW: Final = 110.0
_GAP: Final = 30.0
_TOP: Final = 30.0
_LEFT: Final = 64.0
_RIGHT: Final = 12.0
_LABELS: Final = 6  # times along the axis
_LISTED: Final = 200  # incidents in the table: more are in the summary
_LEGEND: Final = (
    "Shaded: an incident lasts. Red lines: one starts. The grey band is where a healthy value "
    "lies; the line is what was there, with the range of several rows where one place of the "
    "picture stands for them."
)
_EVIDENCE: Final = "evidence: a rank (neg_log10_p), larger the rarer beside its own past"
_LEVEL: Final = (
    "The dashed line is the evidence at which an incident starts, {:.1f}; early in a file of "
    "several columns it may take more."
)
_STYLE: Final = """
h1, .lead { overflow-wrap: anywhere; }
.is-band { fill: var(--area); stroke: none; }
.is-value { fill: none; stroke: var(--c0); stroke-width: 1.4; }
.is-range { fill: var(--c0); fill-opacity: .35; stroke: none; }
.is-evidence { fill: none; stroke: var(--c5); stroke-width: 1.6; }
.is-level { stroke: var(--bad); stroke-width: 1; stroke-dasharray: 4 3; }
.alarm { stroke: var(--bad); stroke-width: 1.6; }
"""


def page(summary: Mapping[str, Any], course: Course, version: str) -> str:
    """Return the page of one recording.

    Args:
        summary: As it is written of this input.
        course: Of the rows that were judged by this run.
        version: Of the program that made it.
    """
    incidents = summary["incidents"]
    name = str(summary["input"]).rpartition("/")[2]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup(f'<meta name="generator" content="Homeostat {escape(version)}">'),
        tag("title", f"Anomalies in {name}"),
        tag("style", Markup(COLOURS + CHARTS + PAGE + _STYLE)),
    )
    lead = (
        f"{summary['input']}: {summary['rows']:,} rows from {summary['first'] or '-'} "
        f"to {summary['last'] or '-'}; {len(incidents):,} incident{'s' * (len(incidents) != 1)}, "
        f"{summary['unknown']:,} rows that could not be judged."
    )
    notes = tag("ul", *(tag("li", note, class_="note") for note in summary["quality"]["notes"]))
    top = tag("header", tag("h1", name), tag("p", lead, class_="lead"), notes, class_="top")
    body = tag("body", top, tag("main", _course(summary, course), _incidents(incidents)))
    return f'<!doctype html>\n<html lang="en">\n{join(head, body)}\n</html>\n'


def picture(title: str, cells: Cells, columns: Sequence[str], level: float | None = None) -> Markup:
    """Return the course as strips above each other: the evidence, then columns.

    Args:
        title: Of the picture.
        cells: The course.
        columns: Names of its columns.
        level: Evidence at which an incident starts; None = no one number is.
    """
    order = np.argsort(-cells.weight.sum(axis=0), kind="stable")[:SHOWN].tolist()
    height = _TOP + (len(order) + 1) * (_ROW + _GAP) + 10.0
    across = Scale(0.0, float(len(cells.texts)), _LEFT, _WIDTH - _RIGHT)
    bottom = height - 10.0 - _GAP
    strips = [_evidence(cells, across, level)]
    strips += [_column(cells, k, columns[k], i + 1, across) for i, k in enumerate(order)]
    starts = [k for k, one in enumerate(cells.alarm.tolist()) if one]
    alarms = tag(
        "g",
        *(
            tag("line", x1=across(k + 0.5), x2=across(k + 0.5), y1=_TOP, y2=bottom, class_="alarm")
            for k in starts
        ),
        opacity=0.5,
    )
    means = (
        f"{len(starts)} cells of {len(cells.texts)} hold the start of an incident. Strips: "
        f"evidence (a rank), then {len(order)} columns, with the band in which a healthy value "
        "lies."
    )
    return tag(
        "svg",
        tag("title", f"{title}. {means}"),
        _shades(cells, across, bottom),
        *strips,
        alarms,
        _times(cells, across, bottom),
        viewBox=f"0 0 {number(_WIDTH)} {number(height)}",
        role="img",
        aria_label=f"{title}. {means}",
        class_="chart strip",
    )


def _course(summary: Mapping[str, Any], course: Course) -> Markup:
    cells = course.cells()
    if cells is None:
        return tag("section", tag("h2", "Its course"), tag("p", "There is no row to draw."))
    level = summary.get("starts_at")
    said = [_LEGEND] if level is None else [_LEGEND, _LEVEL.format(level)]
    left = summary["rows"] - course.rows
    if left > 0:
        said.append(f"The first {left:,} rows were judged by an earlier run and are not drawn.")
    hidden = len(course.columns) - SHOWN
    if hidden > 0:
        said.append(f"{hidden:,} columns with less of the evidence are not drawn.")
    figure = tag(
        "figure",
        picture(f"Course of {summary['input']}", cells, course.columns, level),
        class_="card stack",
    )
    return tag("section", tag("h2", "Its course"), figure, *(tag("p", one) for one in said))


def _incidents(incidents: Sequence[Mapping[str, Any]]) -> Markup:
    if not incidents:
        return tag("section", tag("h2", "Incidents"), tag("p", "There was none."))
    heads = ("from", "last evidence", "to", "rows", "score", "-log10 p", "columns")
    rows = [
        tag(
            "tr",
            tag("th", one["start"], scope="row"),
            tag("td", one["last_evidence"] or "-"),
            tag("td", one["end"] or "it still lasts"),
            tag("td", f"{one['rows']:,}", class_="num"),
            tag("td", f"{one['anomaly_score']:.3f}", class_="num"),
            tag("td", f"{one['neg_log10_p']:.1f}", class_="num"),
            tag("td", ", ".join(f"{c['name']} {c['share']:.0%}" for c in one["columns"])),
        )
        for one in incidents[:_LISTED]
    ]
    table = tag(
        "table",
        tag("thead", tag("tr", *(tag("th", head, scope="col") for head in heads))),
        tag("tbody", *rows),
    )
    more = len(incidents) - _LISTED
    rest = tag("p", f"{more:,} more are in the summary (--json).") if more > 0 else None
    region = tag("div", table, class_="scroll", tabindex=0, role="region", aria_label="Incidents")
    return tag("section", tag("h2", "Incidents"), region, rest)


def _evidence(cells: Cells, across: Scale, level: float | None) -> Markup:
    known = cells.evidence[np.isfinite(cells.evidence)]
    top = max(float(known.max()) if len(known) else 0.0, level or 0.0, 1.0) * 1.05
    scale = Scale(0.0, top, _TOP + _ROW, _TOP)
    line = _line(cells.evidence, across, scale, "is-evidence")
    starts = None
    if level is not None:
        at = scale(level)
        starts = tag("line", x1=across.start, x2=across.end, y1=at, y2=at, class_="is-level")
    return tag("g", _frame(scale, _EVIDENCE, across), starts, line)


def _column(cells: Cells, column: int, name: str, place: int, across: Scale) -> Markup:
    least, most = cells.least[:, column], cells.most[:, column]
    # The band may be wide before much is known: what was there sets the scale.
    low, high = around([*least.tolist(), *most.tolist()], margin=0.15)
    top = _TOP + place * (_ROW + _GAP)
    scale = Scale(low, high, top + _ROW, top)
    return tag(
        "g",
        _frame(scale, name, across),
        _area(cells.low[:, column], cells.high[:, column], across, scale, "is-band"),
        _area(least, most, across, scale, "is-range"),
        _line((least + most) / 2.0, across, scale, "is-value"),
    )


def _frame(scale: Scale, name: str, across: Scale) -> Markup:
    rows = [
        join(
            tag("line", x1=across.start, x2=across.end, y1=scale(v), y2=scale(v), class_="grid"),
            tag("text", f"{v:g}", x=across.start - 6.0, y=scale(v) + 4.0, text_anchor="end"),
        )
        for v in ticks(scale.low, scale.high, 3)
    ]
    return tag("g", *rows, tag("text", name, x=across.start, y=scale.end - 8.0, class_="axis"))


def _line(values: np.ndarray, across: Scale, scale: Scale, style: str) -> Markup:
    """Return a line through the cells; it breaks where nothing was known."""
    path, drawn = [], False
    for place, value in enumerate(values.tolist()):
        if not math.isfinite(value):
            drawn = False
            continue
        path.append(f"{'L' if drawn else 'M'}{_at(across, place + 0.5, scale, value)}")
        drawn = True
    return tag("path", d="".join(path) or "M0 0", class_=style, stroke_linecap="round")


def _area(
    low: np.ndarray, high: np.ndarray, across: Scale, scale: Scale, style: str
) -> Markup | None:
    """Return the area between two edges, a piece for each stretch in which both are known."""
    known = np.isfinite(low) & np.isfinite(high)
    pieces = []
    for start, stop in _stretches(known):
        there = [_at(across, k + 0.5, scale, float(high[k])) for k in range(start, stop)]
        back = [_at(across, k + 0.5, scale, float(low[k])) for k in reversed(range(start, stop))]
        pieces.append("M" + "L".join(there + back) + "Z")
    return tag("path", d="".join(pieces), class_=style) if pieces else None


def _at(across: Scale, x: float, scale: Scale, y: float) -> str:
    return f"{number(across(x))} {number(scale(y))}"


def _shades(cells: Cells, across: Scale, bottom: float) -> Markup:
    return tag(
        "g",
        *(
            tag(
                "rect",
                x=across(start),
                y=_TOP,
                width=max(across(stop) - across(start), 1.0),
                height=bottom - _TOP,
                class_="fault",
            )
            for start, stop in _stretches(cells.active)
        ),
    )


def _stretches(flags: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _times(cells: Cells, across: Scale, bottom: float) -> Markup:
    step = max(1, math.ceil(len(cells.texts) / _LABELS))
    return tag(
        "g",
        *(
            tag("text", cells.texts[k], x=across(k), y=bottom + 20.0, text_anchor="start")
            for k in range(0, len(cells.texts), step)
        ),
    )
