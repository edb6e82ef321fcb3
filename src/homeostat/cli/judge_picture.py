"""A canary's evidence over time as a picture (SVG): e-values, what they must reach, and when."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from homeostat.base.canary import CanaryJudgement, CanaryVerdict
from homeostat.base.units import seconds
from homeostat.cli.output import tell
from homeostat.report.markup import Markup, tag
from homeostat.report.scales import Scale, apart, ticks

_WIDE: Final = 720.0
_HIGH: Final = 300.0
_LEFT: Final = 62.0
_RIGHT: Final = 120.0
_TOP: Final = 30.0
_BOTTOM: Final = 40.0
_HARM: Final = "#b3261e"
_SAFE: Final = "#1b6e3c"
Line = tuple[str, str, str | None, list[float]]
# Decades that are drawn at most: what is a thousandth or a million times what it takes is plain.
_LOW: Final = -3.0
_HIGHEST: Final = 4.0


def write(path: Path, said: Sequence[CanaryJudgement], began_s: float) -> None:
    """Write the picture and say where it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{picture(said, began_s)}\n", encoding="utf-8")
    tell(f"the picture is in {path}")


def picture(said: Sequence[CanaryJudgement], began_s: float) -> Markup:
    """Return the picture.

    Args:
        said: What was known, in order; at least one.
        began_s: Time zero of the drawing.
    """
    last = said[-1]
    minutes = [(seconds(judged.at) - began_s) / 60.0 for judged in said]
    harm = [judged.harm_e for judged in said]
    lines: list[Line] = [("harm", _HARM, None, harm)]
    if last.safe_e is not None:
        safe = [math.nan if one.safe_e is None else one.safe_e for one in said]
        lines.append(("certificate", _SAFE, "7 4", safe))
    if len(last.metrics) > 1:
        for place, metric in enumerate(last.metrics):
            own = [judged.metrics[place].harm_e for judged in said]
            lines.append((metric.metric, "currentColor", "1 4", own))
    need = math.log10(last.threshold)
    levels = [_decades(value) for _, _, _, values in lines for value in values]
    y = Scale(min(-1.0, *levels), max(need + 0.5, *levels), _HIGH - _BOTTOM, _TOP)
    x = Scale(0.0, max(minutes[-1], 1.0), _LEFT, _WIDE - _RIGHT)
    title = f"Evidence of a canary: {last.verdict.value.replace('_', ' ')}"
    means = f"{last.because[0]}; e-values on a logarithmic scale, {last.threshold:g} decides."
    return tag(
        "svg",
        tag("title", f"{title}. {means}"),
        *_frame(x, y, need, last.threshold),
        *_since(said, minutes, x, y),
        *(_line(minutes, values, x, y, colour, dash) for _, colour, dash, values in lines),
        *_names([(name, colour, values[-1]) for name, colour, _, values in lines], y),
        viewBox=f"0 0 {_WIDE:g} {_HIGH:g}",
        role="img",
        aria_label=f"{title}. {means}",
        font_size=12,
        font_family="system-ui, sans-serif",
        fill="currentColor",
        color="#555",
        xmlns="http://www.w3.org/2000/svg",
    )


def _decades(value: float) -> float:
    if math.isnan(value) or value <= 0.0:
        return _LOW
    return min(_HIGHEST, max(_LOW, math.log10(value)))


def _frame(x: Scale, y: Scale, need: float, threshold: float) -> list[Markup]:
    out = [
        tag("text", "e-value", x=4, y=14),
        tag("text", "minutes", x=x.end, y=_HIGH - 6, text_anchor="end"),
    ]
    for power in range(math.ceil(y.low), math.floor(y.high) + 1):
        at = y(float(power))
        out += [
            tag("line", x1=x.start, x2=x.end, y1=at, y2=at, stroke="currentColor", opacity=0.15),
            tag("text", f"{10.0**power:g}", x=x.start - 6, y=at + 4, text_anchor="end"),
        ]
    for minute in ticks(x.low, x.high, 6):
        out.append(tag("text", f"{minute:g}", x=x(minute), y=y.start + 18, text_anchor="middle"))
    at = y(need)
    out += [
        tag("line", x1=x.start, x2=x.end, y1=at, y2=at, stroke="currentColor", stroke_width=1.5),
        tag("text", f"decides: {threshold:g}", x=x.start + 4, y=at - 5),
    ]
    return out


def _since(
    said: Sequence[CanaryJudgement], minutes: Sequence[float], x: Scale, y: Scale
) -> list[Markup]:
    """Return where the last verdict was first said; nothing while it is undecided."""
    verdict = said[-1].verdict
    if verdict is CanaryVerdict.UNDECIDED:
        return []
    minute = next(m for m, one in zip(minutes, said, strict=True) if one.verdict is verdict)
    at, side = x(minute), "start" if minute < 0.7 * x.high else "end"
    text = f"{verdict.value.replace('_', ' ')}: minute {minute:g}"
    return [
        tag("line", x1=at, x2=at, y1=y.start, y2=y.end, stroke="currentColor", opacity=0.5,
            stroke_dasharray="3 3"),
        tag("text", text, x=at + (5 if side == "start" else -5), y=y.end + 12, text_anchor=side),
    ]  # fmt: skip


def _line(
    minutes: Sequence[float],
    values: Sequence[float],
    x: Scale,
    y: Scale,
    colour: str,
    dash: str | None,
) -> Markup:
    path = "".join(
        f"{'M' if place == 0 else 'L'}{x(minute):.1f} {y(_decades(value)):.1f}"
        for place, (minute, value) in enumerate(zip(minutes, values, strict=True))
    )
    return tag("path", d=path, fill="none", stroke=colour, stroke_width=2.0, stroke_dasharray=dash)


def _names(ends: Sequence[tuple[str, str, float]], y: Scale) -> list[Markup]:
    places = apart([y(_decades(value)) for _, _, value in ends], 15.0, y.end, y.start)
    return [
        tag("text", name, x=_WIDE - _RIGHT + 8, y=place + 4, fill=colour)
        for (name, colour, _), place in zip(ends, places, strict=True)
    ]
