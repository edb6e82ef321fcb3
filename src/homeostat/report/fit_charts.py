"""Pictures of a fitted twin: the service law through its points, and intervals of parameters."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from homeostat.report.charts import Axis, Look, Plot
from homeostat.report.markup import Markup, number, tag
from homeostat.report.scales import Scale, ticks

_HEIGHT: Final = 320.0
_MOST: Final = 1500  # points drawn
_DOT: Final = 1.8
_LINE: Final = 80  # corners of a curve


def law(plain: Mapping[str, Any], width: float = 640.0) -> Markup | None:
    """Return the service law through what was observed; None if it was not regressed.

    Args:
        plain: A fit file's content.
        width: Of the drawing.
    """
    notes = plain["law"]
    values = {one["name"]: one["value"] for one in plain["parameters"]}
    tau0, alpha = values.get("tau0_s"), values.get("alpha_s")
    if notes is None or tau0 is None or alpha is None or not notes["batch"]:
        return None
    by_throughput = notes["by_throughput"]
    batch, seen = notes["batch"][:_MOST], notes["seen"][:_MOST]
    draws = [row[:2] for row in plain["draws"]["rows"] if None not in row[:2]]

    def said(b: float, at: Sequence[float] = (tau0, alpha)) -> float:
        service = at[0] + at[1] * b
        return b / service if by_throughput else service

    top = sorted(seen)[int(0.995 * (len(seen) - 1))] * 1.08  # a wild point must not press the rest
    most = max(batch) * 1.03
    plot = Plot(
        width=width,
        height=_HEIGHT,
        x=Scale(0.0, most, 64.0, width - 16.0),
        y=Scale(0.0, max(top, said(most)), _HEIGHT - 44.0, 28.0),
    )
    unit = plain["input"]["unit"]
    y_name = f"{unit}s per second and replica" if by_throughput else "seconds per batch"
    grid = plot.grid(
        ticks(0.0, most, 6),
        ticks(0.0, plot.y.high, 5),
        Axis(label="requests in a batch", text=lambda v: f"{v:g}"),
        Axis(label=y_name, text=lambda v: f"{v:g}"),
    )
    dots = tag(
        "g",
        *(
            tag("circle", cx=plot.x(b), cy=plot.y(s), r=_DOT, class_="dot", opacity=0.45)
            for b, s in zip(batch, seen, strict=True)
        ),
        class_="c4",
    )
    places = [most * k / _LINE for k in range(1, _LINE + 1)]
    drawn = [_path(plot, places, [said(b) for b in places], strong=True)]
    if draws:
        for share in (0.05, 0.95):
            ends = [_quantile([said(b, draw) for draw in draws], share) for b in places]
            drawn.append(_path(plot, places, ends, strong=False))
    means = (
        f"Points are rows of the recording; the line is {1e3 * tau0:.4g} ms and "
        f"{1e3 * alpha:.4g} ms for each request; thin lines hold 90 % of the draws."
    )
    return plot.picture("Service law", means, grid, dots, *drawn)


def needs(plan: Mapping[str, Any], width: float = 640.0) -> Markup | None:
    """Return how many replicas each largest batch needs; None if no batch is enough."""
    possible = [one for one in plan["choices"] if one["replicas"] is not None]
    if not possible:
        return None
    most = max(one["high"] or one["replicas"] for one in possible) * 1.1
    plot = Plot(
        width=width,
        height=_HEIGHT,
        x=Scale(-0.5, len(possible) - 0.5, 64.0, width - 16.0),
        y=Scale(0.0, most, _HEIGHT - 44.0, 28.0),
    )
    batches = [one["batch"] for one in possible]
    grid = plot.grid(
        list(range(len(possible))),
        [v for v in ticks(0.0, most, 5) if v == int(v)],
        Axis(label="largest batch", text=lambda v: str(batches[int(v)])),
        Axis(label="replicas needed", text=lambda v: f"{v:g}"),
    )
    bars = [_need(plot, k, one, best=one == plan["best"]) for k, one in enumerate(possible)]
    means = (
        f"For {plan['demand_rps']:g} requests/s within a p99 of {plan['p99_s']:g} s. Bars are 90 % "
        "intervals; a square is the cheapest; an open end means that no number may be enough."
    )
    return plot.picture("Replicas needed", means, grid, *bars)


def _need(plot: Plot, place: int, one: Mapping[str, Any], *, best: bool) -> Markup:
    x, y = plot.x(float(place)), plot.y(float(one["replicas"]))
    high = plot.y.end if one["high"] is None else plot.y(float(one["high"]))
    low = plot.y(float(one["low"] or 0))
    mark = (
        tag("rect", x=x - 6.0, y=y - 6.0, width=12.0, height=12.0, class_="dot")
        if best
        else tag("circle", cx=x, cy=y, r=5.0, class_="dot")
    )
    return tag(
        "g",
        tag("line", x1=x, x2=x, y1=low, y2=high, class_="whisker"),
        mark,
        class_="c0" if best else "c2",
    )


def _path(plot: Plot, x: Sequence[float], y: Sequence[float], *, strong: bool) -> Markup:
    corners = [f"{number(plot.x(a))} {number(plot.y(b))}" for a, b in zip(x, y, strict=True)]
    look = Look(tone=0 if strong else 2, strong=strong)
    return tag(
        "g",
        tag("path", d="M" + "L".join(corners), class_="line", stroke_dasharray=look.dash),
        class_=f"c{look.tone}{' strong' if strong else ''}",
    )


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[round(share * (len(ordered) - 1))]
