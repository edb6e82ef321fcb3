"""Charts as SVG text: lines over time, points with whiskers, small interval bars.

Drawn without any library. Colours are the page's classes `c0`, `c1`, ...; what a colour says is
said by a dash or a shape as well. Every chart has a title and a sentence for who cannot see it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from homeostat.report.markup import Markup, join, number, tag
from homeostat.report.scales import Scale, apart, around, ticks, time_label, time_ticks

DASHES: Final = (None, "1 4", "7 4", "2 3", "11 4", "9 3 2 3", "4 4", "12 3 3 3", "3 6", "6 2")
SHAPES: Final = 6
_TURN: Final = 3  # from one series of a colour to the next; prime to the number of dashes
_LABEL_GAP: Final = 15.0  # of two labels, one line of text
_NARROW: Final = 480.0  # below it there is no room for labels beside the curves
_MARKER: Final = 5.5
_LETTER: Final = 7.2  # width of a letter of a name, about
_LETTERS: Final = 12.0  # and its height
_SHIFTS: Final = (0.0, -13.0, 13.0, -26.0, 26.0, -39.0, 39.0)  # where a name may stand instead


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How one series looks: a colour class, a dash, a shape.

    Attributes:
        tone: Number of the colour class, which also chooses dash and shape.
        turn: Of several that share a colour, which one; each has another dash and shape.
        strong: Drawn thicker: what the reader looks for.
    """

    tone: int
    turn: int = 0
    strong: bool = False

    @property
    def kind(self) -> int:
        """Return the number of dash and shape."""
        return self.tone + _TURN * self.turn

    @property
    def dash(self) -> str | None:
        """Return the dash pattern."""
        return None if self.strong else DASHES[self.kind % len(DASHES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of a chart.

    Attributes:
        name: As people call it.
        x: Ascending.
        y: As long as x.
        look: How it is drawn.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    look: Look


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point with its intervals.

    Attributes:
        name: As people call it.
        x: (low, value, high).
        y: (low, value, high).
        look: How it is drawn.
    """

    name: str
    x: tuple[float, float, float]
    y: tuple[float, float, float]
    look: Look


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """What is written along an axis.

    Attributes:
        label: What it measures, with its unit.
        text: How a tick is written.
    """

    label: str
    text: Callable[[float], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """The area of a chart: its size, and the scales inside its margins."""

    width: float
    height: float
    x: Scale
    y: Scale

    def picture(self, title: str, means: str, *parts: Markup | None) -> Markup:
        """Return the whole chart."""
        return tag(
            "svg",
            tag("title", f"{title}. {means}"),
            *parts,
            viewBox=f"0 0 {number(self.width)} {number(self.height)}",
            role="img",
            aria_label=f"{title}. {means}",
            class_="chart",
        )

    def grid(self, x_ticks: Sequence[float], y_ticks: Sequence[float], x: Axis, y: Axis) -> Markup:
        """Return grid lines, ticks and the axes' names."""
        left, right, bottom = self.x.start, self.x.end, self.y.start
        rows = [
            join(
                tag("line", x1=left, x2=right, y1=self.y(v), y2=self.y(v), class_="grid"),
                tag("text", y.text(v), x=left - 6, y=self.y(v) + 4, text_anchor="end"),
            )
            for v in y_ticks
        ]
        columns = [
            join(
                tag("line", x1=self.x(v), x2=self.x(v), y1=bottom, y2=bottom + 4, class_="tick"),
                tag("text", x.text(v), x=self.x(v), y=bottom + 18, text_anchor="middle"),
            )
            for v in x_ticks
        ]
        names = join(
            tag("text", y.label, x=0.0, y=12.0, class_="axis"),
            tag("text", x.label, x=right, y=bottom + 36, text_anchor="end", class_="axis"),
        )
        return tag("g", *rows, *columns, names)


def steps(series: Sequence[Series], *, title: str, means: str, y: Axis, width: float) -> Markup:
    """Return a chart of shares (0..1) that jump at given times.

    Args:
        series: The lines; x in seconds.
        title: Of the chart.
        means: One sentence that says what to see.
        y: The vertical axis.
        width: Of the drawing; labels stand beside the lines where there is room.
    """
    wide = width >= _NARROW
    height = 340.0 if wide else 300.0
    longest = max((s.x[-1] for s in series if len(s.x)), default=1.0)
    plot = Plot(
        width=width,
        height=height,
        x=Scale(0.0, longest, 48.0, width - (118.0 if wide else 14.0)),
        y=Scale(0.0, 1.0, height - 44.0, 26.0),
    )
    axis = Axis(label="time since the fault began", text=time_label(longest))
    grid = plot.grid(time_ticks(longest, 8 if wide else 4), [0.0, 0.25, 0.5, 0.75, 1.0], axis, y)
    drawn = [_line(_stairs(s, plot), s.look) for s in series]
    return plot.picture(title, means, grid, *drawn, _beside(series, plot) if wide else None)


def points(
    found: Sequence[Point], *, title: str, means: str, x: Axis, y: Axis, width: float
) -> Markup:
    """Return a chart of points with whiskers.

    Args:
        found: The points.
        title: Of the chart.
        means: One sentence that says what to see.
        x: The horizontal axis.
        y: The vertical axis.
        width: Of the drawing.
    """
    wide = width >= _NARROW
    height = 360.0 if wide else 300.0
    x_low, x_high = around([v for p in found for v in p.x])
    y_low, y_high = around([v for p in found for v in p.y])
    plot = Plot(
        width=width,
        height=height,
        x=Scale(x_low, x_high, 58.0, width - (96.0 if wide else 16.0)),
        y=Scale(y_low, y_high, height - 44.0, 28.0),
    )
    grid = plot.grid(ticks(x_low, x_high, 6 if wide else 4), ticks(y_low, y_high, 5), x, y)
    drawn = [_whiskers(p, plot) for p in found] + [_point(p, plot) for p in found]
    return plot.picture(title, means, grid, *drawn, _named(found, plot) if wide else None)


def interval(low: float, value: float, high: float, scale: Scale, look: Look) -> Markup:
    """Return a bar from low to high with a mark at the value, for a table's cell.

    It repeats what the cell says in figures, so it is hidden from who cannot see it.
    """
    return tag(
        "svg",
        tag("line", x1=scale.start, x2=scale.end, y1=5.0, y2=5.0, class_="grid"),
        tag("line", x1=scale(low), x2=scale(high), y1=5.0, y2=5.0, class_="span"),
        tag("rect", x=scale(value) - 1.5, y=1.0, width=3.0, height=8.0, class_="at"),
        viewBox="0 0 100 10",
        class_=f"interval c{look.tone}",
        aria_hidden="true",
    )


def swatch(look: Look) -> Markup:
    """Return a line and a shape as a legend shows them."""
    line = tag("line", x1=1.0, x2=27.0, y1=7.0, y2=7.0, class_="line", stroke_dasharray=look.dash)
    return tag(
        "svg",
        line,
        marker(look.kind, 14.0, 7.0, size=4.5),
        viewBox="0 0 28 14",
        class_=_classes("swatch", look),
        aria_hidden="true",
    )


def marker(kind: int, x: float, y: float, size: float = _MARKER) -> Markup:
    """Return the shape of a number."""
    kind %= SHAPES
    if kind == 0:
        return tag("circle", cx=x, cy=y, r=size, class_="dot")
    if kind == 1:
        side = 1.8 * size
        return tag("rect", x=x - side / 2, y=y - side / 2, width=side, height=side, class_="dot")
    corners = {2: (4, 0.0), 3: (3, 0.0), 4: (3, math.pi), 5: (5, 0.0)}
    count, turn = corners[kind]
    angles = [turn - math.pi / 2 + 2 * math.pi * i / count for i in range(count)]
    outline = " ".join(
        f"{number(x + 1.2 * size * math.cos(a))},{number(y + 1.2 * size * math.sin(a))}"
        for a in angles
    )
    return tag("polygon", points=outline, class_="dot")


def _classes(first: str, look: Look) -> str:
    return f"{first} c{look.tone}{' strong' if look.strong else ''}"


def _line(path: str, look: Look) -> Markup:
    return tag(
        "g",
        tag("path", d=path, class_="line", stroke_dasharray=look.dash),
        class_=_classes("", look).strip(),
    )


def _stairs(series: Series, plot: Plot) -> str:
    """Return a path that begins at nothing and keeps a value until the next one."""
    path, last = [], None
    begin = [(0.0, 0.0)] if len(series.x) and series.x[0] > 0.0 else []
    for x, y in (*begin, *zip(series.x, series.y, strict=True)):
        at, level = number(plot.x(x)), number(plot.y(y))
        path.append(f"M{at} {level}" if last is None else f"H{at}")
        if last is not None and level != last:
            path.append(f"V{level}")
        last = level
    return "".join(path)


def _beside(series: Sequence[Series], plot: Plot) -> Markup:
    """Return the names right of the lines' ends, moved apart."""
    ends = [s for s in series if len(s.y)]
    wanted = [plot.y(s.y[-1]) for s in ends]
    places = apart(wanted, _LABEL_GAP, plot.y.end, plot.y.start)
    return tag(
        "g",
        *(
            tag("text", s.name, x=plot.x.end + 8, y=place + 4, class_=_classes("name", s.look))
            for s, place in zip(ends, places, strict=True)
        ),
    )


def _whiskers(point: Point, plot: Plot) -> Markup:
    x, y = plot.x(point.x[1]), plot.y(point.y[1])
    return tag(
        "g",
        tag("line", x1=plot.x(point.x[0]), x2=plot.x(point.x[2]), y1=y, y2=y, class_="whisker"),
        tag("line", x1=x, x2=x, y1=plot.y(point.y[0]), y2=plot.y(point.y[2]), class_="whisker"),
        class_=_classes("", point.look).strip(),
    )


def _point(point: Point, plot: Plot) -> Markup:
    at = marker(point.look.kind, plot.x(point.x[1]), plot.y(point.y[1]))
    return tag("g", at, class_=_classes("", point.look).strip())


def _named(found: Sequence[Point], plot: Plot) -> Markup:
    """Return the names beside the points, each where it covers no other name and no point."""
    taken = [_box(plot.x(p.x[1]) - _MARKER, plot.y(p.y[1]), 2 * _MARKER) for p in found]
    names = []
    for p in found:
        x, y, width = plot.x(p.x[1]), plot.y(p.y[1]), _LETTER * len(p.name)
        places = [(x + 10, y + shift) for shift in _SHIFTS]
        places += [(x - 10 - width, y + shift) for shift in _SHIFTS]
        free = (at for at in places if not any(_meet(_box(*at, width), box) for box in taken))
        left, middle = next(free, places[0])
        taken.append(_box(left, middle, width))
        names.append(tag("text", p.name, x=left, y=middle + 4, class_=_classes("name", p.look)))
    return tag("g", *names)


def _box(left: float, middle: float, width: float) -> tuple[float, float, float, float]:
    return left, left + width, middle - _LETTERS / 2, middle + _LETTERS / 2


def _meet(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]
