"""One episode as a picture: what was asked, what was answered, with what, and who did what when.

Strips share one time axis: demand with good answers and capacity, p99, quality, replicas, spend.
Faults are shaded; interventions and calls for a person are marks above the strips.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from homeostat.report.markup import Markup, join, number, tag
from homeostat.report.scales import Scale, ticks, time_label, time_text, time_ticks

POINTS: Final = 360  # more than the picture has columns to tell apart
_ROW: Final = 78.0
_GAP: Final = 26.0
_TOP: Final = 46.0
_LEFT: Final = 52.0
_RIGHT: Final = 12.0
_NARROW: Final = 480.0
_LOGARITHMIC: Final = 20.0  # p99 spans more than this factor: latencies of an overload dwarf all


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something that happened.

    Attributes:
        at_s: When.
        kind: `action`, `person` or `code`.
        text: What, in a few words.
    """

    at_s: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """One episode under one policy.

    Attributes:
        title: For example `S07 flash_crowd, threshold, seed 3`.
        lines: Values per tick by name: `demand`, `good`, `capacity`, `p99_s`, `quality`,
            `slice_quality`, `ready`, `held`, `usd_per_hour`; NaN = not known. All as long
            as each other.
        tick_s: Seconds between values.
        p99_limit_s: Promised; inf = nothing.
        quality_floor: Promised.
        budget_usd_per_hour: Allowed; inf = no limit.
        faults: Spans (start, end) in seconds during which a fault is active.
        marks: In time order.
    """

    title: str
    lines: Mapping[str, np.ndarray]
    tick_s: float = 1.0
    p99_limit_s: float = math.inf
    quality_floor: float = 0.0
    budget_usd_per_hour: float = math.inf
    faults: Sequence[tuple[float, float]] = ()
    marks: Sequence[Mark] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One strip: its name, its lines with their style and how they are thinned, its limit."""

    label: str
    lines: Sequence[tuple[str, str, str]]
    limit: float = math.inf
    logarithmic: bool = False
    from_zero: bool = True
    whole: bool = False
    fit: Sequence[str] = ()  # styles that set the scale; empty = all


def thin(values: np.ndarray, count: int, how: str) -> np.ndarray:
    """Return `count` values at most: of each stretch its mean, highest or lowest known one.

    Args:
        values: One per tick; NaN = not known.
        count: At most so many are returned.
        how: `mean`, `max` or `min`; an extreme must not vanish because the picture is small.

    >>> thin(np.array([1.0, 9.0, 2.0, np.nan]), 2, "max").tolist()
    [9.0, 2.0]
    """
    size = max(1, math.ceil(len(values) / count))
    padded = np.full(size * math.ceil(len(values) / size), np.nan)
    padded[: len(values)] = values
    table = padded.reshape(-1, size)
    known = ~np.isnan(table)
    if how == "max":
        found = np.where(known, table, -np.inf).max(axis=1)
    elif how == "min":
        found = np.where(known, table, np.inf).min(axis=1)
    else:
        found = np.where(known, table, 0.0).sum(axis=1) / np.maximum(1, known.sum(axis=1))
    return np.where(known.any(axis=1), found, np.nan)


def strip(episode: Strip, *, width: float = 1080.0) -> Markup:
    """Return the picture of one episode.

    Args:
        episode: What happened.
        width: Of the drawing.
    """
    rows = _rows(episode)
    height = _TOP + len(rows) * (_ROW + _GAP) + 34.0
    length_s = max(1.0, len(episode.lines["demand"]) * episode.tick_s)
    time = Scale(0.0, length_s, _LEFT, width - _RIGHT)
    bottom = height - 34.0 - _GAP + 8.0
    return tag(
        "svg",
        tag("title", f"{episode.title}. {told(episode)}"),
        _shades(episode, time, bottom),
        *(_drawn(row, i, episode, time) for i, row in enumerate(rows)),
        _lane(episode, time, bottom),
        _times(time, bottom, wide=width >= _NARROW),
        viewBox=f"0 0 {number(width)} {number(height)}",
        role="img",
        aria_label=f"{episode.title}. {told(episode)}",
        class_="chart strip",
    )


def told(episode: Strip) -> str:
    """Return an episode in a sentence, for who cannot see the picture."""
    demand, good = episode.lines["demand"], episode.lines["good"]
    offered = float(np.nansum(demand))
    share = f"{100 * float(np.nansum(good)) / offered:.1f} %" if offered > 0 else "no"
    count = {kind: sum(m.kind == kind for m in episode.marks) for kind in ("action", "person")}
    when = ", ".join(f"{time_text(round(a))} to {time_text(round(b))}" for a, b in episode.faults)
    return (
        f"{share} good answers over {time_text(len(demand) * episode.tick_s)}; "
        f"fault {'from ' + when if when else 'absent'}; "
        f"{count['action']} interventions, a person told {count['person']} times"
    )


def _rows(episode: Strip) -> list[_Row]:
    p99 = episode.lines["p99_s"]
    known = p99[np.isfinite(p99) & (p99 > 0)]
    wide = len(known) > 0 and float(known.max() / known.min()) > _LOGARITHMIC
    return [
        _Row(
            label="requests/s",
            lines=(
                ("demand", "demand", "mean"),
                ("capacity", "capacity", "min"),
                ("good", "good", "mean"),
            ),
            fit=("demand", "good"),  # spare capacity may be many times the demand
        ),
        _Row(
            label="p99",
            lines=(("p99_s", "latency", "max"),),
            limit=episode.p99_limit_s,
            logarithmic=wide,
        ),
        _Row(
            label="quality",
            lines=(("slice_quality", "slice", "mean"), ("quality", "quality", "mean")),
            limit=episode.quality_floor,
            from_zero=False,
        ),
        _Row(
            label="replicas",
            lines=(("held", "held", "max"), ("ready", "ready", "min")),
            whole=True,
        ),
        _Row(
            label="USD/h",
            lines=(("usd_per_hour", "spend", "max"),),
            limit=episode.budget_usd_per_hour,
        ),
    ]


def _drawn(row: _Row, index: int, episode: Strip, time: Scale) -> Markup:
    top = _TOP + index * (_ROW + _GAP)
    thinned = [(thin(episode.lines[n], POINTS, how), style) for n, style, how in row.lines]
    scale = _vertical(row, [v for v, style in thinned if not row.fit or style in row.fit], top)
    step = len(episode.lines["demand"]) * episode.tick_s / len(thinned[0][0])
    at = [time(i * step) for i in range(len(thinned[0][0]))]
    lines = [
        tag(
            "path",
            d=_path(at, values, _on(row, scale), area=style == "demand"),
            class_=f"is-{style}",
        )
        for values, style in thinned
    ]
    limit = None
    if math.isfinite(row.limit) and scale.low <= _value(row, row.limit) <= scale.high:
        y = _on(row, scale)(row.limit)
        limit = tag("line", x1=time.start, x2=time.end, y1=y, y2=y, class_="limit")
    label = tag("text", row.label, x=time.start, y=top - 6, class_="axis")
    return tag("g", _frame(row, scale, time), *lines, limit, label)


def _on(row: _Row, scale: Scale) -> Callable[[float], float]:
    """Return what maps a value of the strip to its coordinate."""
    return lambda value: scale(_value(row, value))


def _value(row: _Row, value: float) -> float:
    return math.log10(max(value, 1e-4)) if row.logarithmic else value


def _vertical(row: _Row, values: Sequence[np.ndarray], top: float) -> Scale:
    """Return the scale of a strip; with a limit near the values the limit is inside."""
    known = [float(v) for line in values for v in line[np.isfinite(line)]] or [0.0, 1.0]
    high, low = max(known), min(known)
    if math.isfinite(row.limit) and row.limit > 0:
        high, low = max(high, row.limit), min(low, row.limit)
    if row.logarithmic:
        low = max(low, min((v for v in known if v > 0), default=1e-3))
        return Scale(_value(row, low) - 0.1, _value(row, high) + 0.1, top + _ROW, top)
    if row.from_zero:
        return Scale(0.0, (high or 1.0) * 1.08, top + _ROW, top)
    pad = 0.1 * (high - low or 0.1)
    return Scale(low - pad, high + pad, top + _ROW, top)


def _frame(row: _Row, scale: Scale, time: Scale) -> Markup:
    marks = ticks(scale.low, scale.high, 3)
    if len(marks) < 2:  # noqa: PLR2004 - one number along an axis says nothing of its scale
        marks = ticks(scale.low, scale.high, 5)
    if row.whole:
        marks = [v for v in marks if v.is_integer()]
    if row.logarithmic:
        decades = range(math.ceil(scale.low), math.floor(scale.high) + 1)
        marks = [float(d) for d in decades] or [scale.low, scale.high]
    texts = [_seconds(10**v) if row.logarithmic else _plain(row, v) for v in marks]
    return join(
        *(
            join(
                tag("line", x1=time.start, x2=time.end, y1=scale(v), y2=scale(v), class_="grid"),
                tag("text", text, x=time.start - 6, y=scale(v) + 4, text_anchor="end"),
            )
            for v, text in zip(marks, texts, strict=True)
        )
    )


def _plain(row: _Row, value: float) -> str:
    return _seconds(value) if row.label == "p99" else f"{value:g}"


def _seconds(value: float) -> str:
    if value == 0:
        return "0"
    return f"{value:.3g} s" if value >= 1 else f"{1000 * value:.3g} ms"


def _path(
    at: Sequence[float], values: np.ndarray, place: Callable[[float], float], *, area: bool
) -> str:
    """Return a line with gaps where values are unknown; an area reaches down to zero."""
    bottom = number(place(0.0))
    path, open_at = [], None
    for x, v in zip(at, values, strict=True):
        if not math.isfinite(v):
            path.append(f"V{bottom}H{open_at}Z" if area and open_at else "")
            open_at = None
            continue
        y = number(place(float(v)))
        if open_at is None:
            open_at = number(x)
            path.append(f"M{open_at} {bottom}V{y}" if area else f"M{open_at} {y}")
        else:
            path.append(f"L{number(x)} {y}")
    if area and open_at:
        path.append(f"V{bottom}H{open_at}Z")
    return "".join(path)


def _shades(episode: Strip, time: Scale, bottom: float) -> Markup:
    return tag(
        "g",
        *(
            tag(
                "rect",
                x=time(a),
                y=_TOP - 18,
                width=max(1.5, time(b) - time(a)),
                height=bottom - _TOP + 18,
                class_="fault",
            )
            for a, b in episode.faults
        ),
        class_="faults",
    )


def _lane(episode: Strip, time: Scale, bottom: float) -> Markup:
    """Return the marks above the strips, each with a thin line down through them."""
    return tag(
        "g",
        *(
            tag(
                "g",
                tag("title", f"{time_text(round(m.at_s))}: {m.text}"),
                tag("line", x1=time(m.at_s), x2=time(m.at_s), y1=16.0, y2=bottom, class_="when"),
                glyph(m.kind, time(m.at_s)),
                class_=f"mark {m.kind}",
            )
            for m in episode.marks
        ),
    )


def glyph(kind: str, x: float) -> Markup:
    """Return the shape of a kind of mark: a diamond, a dot, a flag."""
    if kind == "action":
        return tag("path", d=f"M{number(x)} 5l5.5 5.5l-5.5 5.5l-5.5-5.5Z", class_="dot")
    if kind == "person":
        return tag("circle", cx=x, cy=10.5, r=4.5, class_="dot")
    return tag("path", d=f"M{number(x)} 4v13M{number(x)} 4l9 3.5l-9 3.5Z", class_="dot")


def _times(time: Scale, bottom: float, *, wide: bool) -> Markup:
    label = time_label(time.high)
    return tag(
        "g",
        *(
            join(
                tag("line", x1=time(v), x2=time(v), y1=bottom, y2=bottom + 4, class_="tick"),
                tag("text", label(v), x=time(v), y=bottom + 18, text_anchor="middle"),
            )
            for v in time_ticks(time.high, 9 if wide else 4)
        ),
    )
