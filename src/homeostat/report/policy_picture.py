"""A counterexample as a time line: replicas over time, and what was done when (SVG).

Self-contained: no script, colours of the page around it, every step also in words.
"""

from collections.abc import Sequence
from typing import Final

from homeostat.report.markup import Markup, tag
from homeostat.report.policy_words import Step, clock, rotation_after
from homeostat.report.scales import Scale, ticks

_WIDE: Final = 640.0
_HIGH: Final = 220.0
_LEFT: Final = 44.0
_RIGHT: Final = 20.0
_TOP: Final = 18.0
_BOTTOM: Final = 34.0


def picture(steps: Sequence[Step], title: str) -> Markup:
    """Return a counterexample as a picture.

    Args:
        steps: Its steps in order; at least one.
        title: What it shows, for those who do not see it.
    """
    times = [step.drawn.at_ms / 1000 for step in steps]
    end = max(times[-1], 60.0)
    sizes = [count for step in steps for count in (step.rotation, rotation_after(step))]
    top = max(*sizes, 1)
    x = Scale(-0.1 * end, end * 1.08, _LEFT, _WIDE - _RIGHT)
    y = Scale(0.0, top * 1.1, _HIGH - _BOTTOM, _TOP)
    half = _half(steps, y)
    return tag(
        "svg",
        tag("title", title),
        *_frame(x, y, end, top),
        *half,
        tag("path", d=_stairs(steps, x, y), fill="none", stroke="currentColor", stroke_width=2.5),
        *(_mark(number, step, x, y) for number, step in enumerate(steps, start=1)),
        viewBox=f"0 0 {_WIDE:g} {_HIGH:g}",
        role="img",
        class_="chart",
        font_size=12,
        font_family="system-ui, sans-serif",
        fill="currentColor",
        xmlns="http://www.w3.org/2000/svg",
    )


def _stairs(steps: Sequence[Step], x: Scale, y: Scale) -> str:
    path = f"M{_LEFT:.1f} {y(steps[0].rotation):.1f}"
    for step in steps:
        at = x(step.drawn.at_ms / 1000)
        path += f"L{at:.1f} {y(step.rotation):.1f}L{at:.1f} {y(rotation_after(step)):.1f}"
    return f"{path}L{_WIDE - _RIGHT:.1f} {y(rotation_after(steps[-1])):.1f}"


def _frame(x: Scale, y: Scale, end: float, top: int) -> list[Markup]:
    parts = []
    for count in ticks(0.0, float(top), 4):
        if count != int(count):
            continue
        line = {"x1": _LEFT, "x2": _WIDE - _RIGHT, "y1": y(count), "y2": y(count)}
        parts.append(tag("line", stroke="currentColor", stroke_opacity=0.15, **line))
        parts.append(tag("text", f"{count:g}", x=_LEFT - 8, y=y(count) + 4, text_anchor="end"))
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        at = share * end
        label = clock(at)
        parts.append(tag("text", label, x=x(at), y=_HIGH - _BOTTOM + 18, text_anchor="middle"))
    parts.append(
        tag("text", "replicas in rotation; time from the first action", x=_LEFT, y=_TOP - 6)
    )
    return parts


def _half(steps: Sequence[Step], y: Scale) -> list[Markup]:
    """Return the line of half of what there was, where replicas are taken away."""
    before, after = steps[0].rotation, rotation_after(steps[-1])
    if after * 2 >= before:
        return []
    level = y(before / 2)
    return [
        tag("line", x1=_LEFT, x2=_WIDE - _RIGHT, y1=level, y2=level, stroke="currentColor",
            stroke_dasharray="6 4", stroke_opacity=0.6),
        tag("text", f"half of {before}", x=_LEFT + 4, y=level - 5),
    ]  # fmt: skip


def _mark(number: int, step: Step, x: Scale, y: Scale) -> Markup:
    at, level = x(step.drawn.at_ms / 1000), y(rotation_after(step))
    return tag(
        "g",
        tag("circle", cx=at, cy=level, r=9, fill="var(--bad, #b3261e)"),
        tag("text", str(number), x=at, y=level + 4, text_anchor="middle", fill="#fff"),
    )
