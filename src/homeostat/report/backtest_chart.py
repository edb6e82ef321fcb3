"""One deployment's past as a picture: what was asked, how long it took, with what, and what we saw.

Strips share one time axis. Breaches are shaded; above the strips a diamond is what would have been
done, a dot where a person would have been told, a flag where we would have been blind.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from homeostat.report.backtest_words import moment
from homeostat.report.markup import Markup, join, number, tag
from homeostat.report.scales import Scale, ticks
from homeostat.report.strips import glyph

_ROW: Final = 74.0
_GAP: Final = 24.0
_TOP: Final = 46.0
_LEFT: Final = 56.0
_RIGHT: Final = 12.0
_FOOT: Final = 34.0
_LEAST_WIDTH: Final = 1.5
_LABELS: Final = 6
_GLYPHS: Final = {"act": "action", "page": "person", "watch": "person", "blind": "code"}
_LOG_SPAN: Final = 20.0

Line = Sequence[float | None]


def chart(one: Mapping[str, Any], course: Mapping[str, Line], *, width: float = 1080.0) -> Markup:
    """Return the picture of one deployment's history.

    Args:
        one: What was found of it, as `server.backtest.told` writes it.
        course: Its thinned lines: `rate`, `p95_ms`, `errors`, `replicas`, `unknown`.
        width: Of the drawing.
    """
    rows = [
        ("requests/s", course["rate"], "is-good", None, False),
        ("p95, ms", course["p95_ms"], "is-latency", one["promised"]["latency_p95_ms"], True),
        ("errors, %", _percent(course["errors"]), "is-spend",
         100.0 * one["promised"]["error_ratio"], False),
        ("replicas", course["replicas"], "is-ready", None, False),
    ]  # fmt: skip
    rows = [row for row in rows if any(value is not None for value in row[1])]
    height = _TOP + len(rows) * (_ROW + _GAP) + _FOOT
    bottom = height - _FOOT - _GAP + 8.0
    time = Scale(one["from_s"], one["to_s"], _LEFT, width - _RIGHT)
    return tag(
        "svg",
        tag("title", told(one)),
        _shades(one, time, bottom),
        *(_row(row, place, time) for place, row in enumerate(rows)),
        _marks(one, time, bottom),
        _times(time, bottom),
        viewBox=f"0 0 {number(width)} {number(height)}",
        role="img",
        aria_label=told(one),
        class_="chart strip",
    )


def told(one: Mapping[str, Any]) -> str:
    """Return a history in a sentence, for who cannot see the picture."""
    found = one["summary"]
    would = found["would"]
    return (
        f"{one['name']}, {moment(one['from_s'])} to {moment(one['to_s'])}: {found['breaches']} "
        f"breaches; {found['incidents']} incidents, of which {would['act']} would have been acted "
        f"on, {would['page']} told to a person, {would['blind']} were blindness."
    )


def _percent(values: Line) -> list[float | None]:
    return [None if value is None else 100.0 * value for value in values]


def _shades(one: Mapping[str, Any], time: Scale, bottom: float) -> Markup:
    return tag(
        "g",
        *(
            tag(
                "rect",
                tag("title", f"breach, {moment(b['from_s'])}, {b['missed_minutes']:.0f} min"),
                x=time(b["from_s"]),
                y=_TOP - 18.0,
                width=max(_LEAST_WIDTH, time(b["to_s"]) - time(b["from_s"])),
                height=bottom - _TOP + 18.0,
                class_="fault",
            )
            for b in one["breaches"]
        ),
    )


def _row(row: tuple[str, Line, str, float | None, bool], place: int, time: Scale) -> Markup:
    label, values, style, limit, may_span = row
    top = _TOP + place * (_ROW + _GAP)
    known = [value for value in values if value is not None]
    ends = [*known, *([] if limit is None else [limit])]
    low, high = min(known), max(ends)
    logarithmic = may_span and low > 0.0 and high / low > _LOG_SPAN

    def at(value: float) -> float:
        return math.log10(max(value, low)) if logarithmic else value

    scale = (
        Scale(at(low) - 0.05, at(high) + 0.05, top + _ROW, top)
        if logarithmic
        else Scale(0.0, 1.08 * high or 1.0, top + _ROW, top)
    )
    marks = ticks(0.0, 1.08 * high or 1.0, 3)
    if logarithmic:
        decades = range(math.ceil(scale.low), math.floor(scale.high) + 1)
        marks = [10.0**decade for decade in decades] or [low, high]
    grid = [
        join(
            tag(
                "line", x1=time.start, x2=time.end, y1=scale(at(v)), y2=scale(at(v)), class_="grid"
            ),
            tag("text", f"{v:g}", x=time.start - 6, y=scale(at(v)) + 4, text_anchor="end"),
        )
        for v in marks
    ]
    line = tag("path", d=_path(values, time, scale, at), class_=style)
    rule = None
    if limit is not None:
        y = scale(at(limit))
        rule = tag("line", x1=time.start, x2=time.end, y1=y, y2=y, class_="limit")
    return tag("g", *grid, line, rule, tag("text", label, x=time.start, y=top - 6, class_="axis"))


def _path(values: Line, time: Scale, scale: Scale, at: Any) -> str:
    """Return a line with gaps where nothing is known."""
    step = (time.end - time.start) / max(len(values), 1)
    path, drawing = [], False
    for place, value in enumerate(values):
        if value is None:
            drawing = False
            continue
        x, y = number(time.start + (place + 0.5) * step), number(scale(at(value)))
        path.append(f"{'L' if drawing else 'M'}{x} {y}")
        if not drawing:
            path.append("h0.01")  # a lone value is a dot
        drawing = True
    return "".join(path)


def _marks(one: Mapping[str, Any], time: Scale, bottom: float) -> Markup:
    return tag("g", *(_mark(incident, time, bottom) for incident in one["incidents"]))


def _mark(incident: Mapping[str, Any], time: Scale, bottom: float) -> Markup:
    at_s = incident["action_s"] or incident["confirmed_s"]
    kind = _GLYPHS[incident["outcome"]]
    what = incident["action"]["text"] if incident["action"] else incident["outcome"]
    said = f"{moment(at_s)}, {incident['family']} at {incident['subject']}: {what}"
    x = time(at_s)
    return tag(
        "g",
        tag("title", said),
        tag("line", x1=x, x2=x, y1=16.0, y2=bottom, class_="when"),
        glyph(kind, x),
        class_=f"mark {kind}",
    )


def _times(time: Scale, bottom: float) -> Markup:
    span = time.high - time.low
    days = span > 3 * 86_400.0
    marks = [time.low + span * (k + 0.5) / _LABELS for k in range(_LABELS)]
    return tag(
        "g",
        *(
            join(
                tag("line", x1=time(at), x2=time(at), y1=bottom, y2=bottom + 4, class_="tick"),
                tag(
                    "text",
                    moment(at)[5:10] if days else moment(at)[5:],
                    x=time(at),
                    y=bottom + 18,
                    text_anchor="middle",
                ),
            )
            for at in marks
        ),
    )
