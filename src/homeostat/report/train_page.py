"""A training run as one self-contained page: what it was paid, update by update, for every seed.

The page holds no script and asks no other host for anything. Values in, text out.
"""

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from typing import Any, Final

from homeostat.report.charts import Axis, Look, Plot
from homeostat.report.lab_style import CHARTS, COLOURS, PAGE
from homeostat.report.markup import Markup, join, number, tag
from homeostat.report.scales import Scale, around, ticks

_HEIGHT: Final = 300.0
_WIDTH: Final = 640.0
_CURVES: Final = (
    ("reward", "reward of a step", "Higher is better."),
    ("finished", "reward of an episode", "Higher is better. No point where no episode was over."),
    ("entropy", "entropy, nats", "How open the policy is: it falls as it makes up its mind."),
    ("explained", "variance expected", "1 is a perfect forecast of what comes, 0 none."),
    ("kl", "distance, nats", "Of the new policy from the one that acted."),
    ("rate", "learning rate", "What Adam was given."),
)


def page(
    said: Mapping[str, Any], curves: Mapping[str, Sequence[Sequence[float]]], version: str
) -> str:
    """Return the page.

    Args:
        said: What the run is, as its manifest has it, and `steps_an_update`.
        curves: Of each column, one row for each seed, NaN = not known.
        version: Of the program that made it.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup(f'<meta name="generator" content="Homeostat {escape(version)}">'),
        tag("title", "A training run"),
        tag("style", Markup(COLOURS + CHARTS + PAGE)),
    )
    updates = max((len(row) for rows in curves.values() for row in rows), default=0)
    steps = int(said["steps_an_update"])
    top = tag(
        "header",
        tag("h1", "A training run"),
        tag(
            "p",
            f"{updates:,} updates of {steps:,} steps for each of {len(said['seeds'])} seeds.",
            class_="lead",
        ),
        tag("p", "One line is one seed. Training's own episodes: no figure of the product's.",
            class_="note"),
        class_="top",
    )  # fmt: skip
    drawn = [
        tag("section", tag("h2", label.capitalize()), curve(curves[name], label, means, steps))
        for name, label, means in _CURVES
        if name in curves
    ]
    body = tag("body", top, tag("main", *drawn, _settings(said)))
    return f'<!doctype html>\n<html lang="en">\n{join(head, body)}\n</html>\n'


def curve(
    rows: Sequence[Sequence[float]], label: str, means: str, steps: int, width: float = _WIDTH
) -> Markup:
    """Return one learning curve.

    Args:
        rows: Of each seed, a value for each update; NaN leaves a gap.
        label: What is drawn, with its unit.
        means: One sentence that says what to see.
        steps: Of one update.
        width: Of the drawing.
    """
    low, high = around([value for row in rows for value in row])
    updates = max((len(row) for row in rows), default=0)
    plot = Plot(
        width=width,
        height=_HEIGHT,
        x=Scale(0.0, float(max(updates, 1) * steps), 64.0, width - 24.0),
        y=Scale(low, high, _HEIGHT - 44.0, 28.0),
    )
    grid = plot.grid(
        ticks(0.0, float(max(updates, 1) * steps), 5),
        ticks(low, high, 5),
        Axis(label="steps", text=lambda v: f"{v:,.0f}"),
        Axis(label=label, text=lambda v: f"{v:.4g}"),
    )
    lines = [_line(plot, row, steps, Look(tone=place)) for place, row in enumerate(rows)]
    return plot.picture(label.capitalize(), means, grid, *lines)


def _line(plot: Plot, row: Sequence[float], steps: int, look: Look) -> Markup:
    """Return a line with a gap wherever a value is not known, and a dot where one stands alone."""
    paths: list[str] = []
    dots: list[Markup] = []
    for known, run in groupby(enumerate(row, 1), lambda place: math.isfinite(place[1])):
        corners = [(plot.x(float(steps * update)), plot.y(value)) for update, value in run if known]
        if len(corners) == 1:
            dots.append(tag("circle", cx=corners[0][0], cy=corners[0][1], r=3.0, class_="dot"))
        elif corners:
            paths.append("M" + "L".join(f"{number(x)} {number(y)}" for x, y in corners))
    path = tag("path", d="".join(paths), class_="line", stroke_dasharray=look.dash)
    return tag("g", path if paths else None, *dots, class_=f"c{look.tone}")


def _settings(said: Mapping[str, Any]) -> Markup:
    rows = [
        tag("tr", tag("th", name.replace("_", " ")), tag("td", str(value)))
        for name, value in sorted(said["config"].items())
    ]
    return tag("section", tag("h2", "Settings"), tag("table", tag("tbody", *rows)))
