"""The table: what is asked, our figures, those of others, and what knows nothing."""

from collections.abc import Iterable, Mapping, Sequence

from detection import quoted

_TITLES = {
    "nab": "Numenta (58 files)",
    "aiops": "AIOPS 2018 (29 series)",
    "smd": "SMD-4 (38 columns)",
}
_COLUMNS = {
    "nab": ("standard", "one category out", "low false alarms", "shipped threshold", "VUS-PR",
            "event F1", "false a day"),
    "aiops": ("VUS-PR", "event F1"),
    "smd": ("VUS-PR", "event F1"),
}  # fmt: skip
# The figures that are better when they are lower.
_LOWER = frozenset({"false a day"})


def table(name: str, found: Mapping[str, Mapping[str, float]]) -> str:
    """Return the table of a set in Markdown.

    Args:
        name: The set.
        found: Figures made in this run by who made them; `homeostat` first.
    """
    columns = _COLUMNS[name]
    lines = [
        f"### {_TITLES[name]}",
        "",
        _line(["", *columns]),
        _line(["---", *["---:"] * len(columns)]),
    ]
    lines += [
        _line([f"**{who}**" if who == "homeostat" else who, *_row(columns, figures)])
        for who, figures in found.items()
    ]
    lines += [_line([f"{who} (quoted)", *cells]) for who, cells in _quoted(name)]
    gates = quoted.GATES[name]
    lines += [
        _line([kind, *(_figure(key, gates[key][k]) for key in columns)])
        for k, kind in enumerate(("gate", "aim"))
    ]
    lines += ["", *_verdict(gates, found["homeostat"])]
    return "\n".join(lines)


def _row(columns: Sequence[str], figures: Mapping[str, float]) -> Iterable[str]:
    return (_figure(key, figures[key]) if key in figures else "-" for key in columns)


def _quoted(name: str) -> Iterable[tuple[str, list[str]]]:
    if name != "nab":
        for who, pair in quoted.SERIES[name].items():
            yield who, [f"{value:.3f}" for value in pair]
        return
    for who, (standard, out, low, volume, events, false) in quoted.NAB.items():
        cells = [f"{standard:.1f}", f"{out:.1f}", f"{low:.1f}", "-"]
        yield who, [*cells, f"{volume:.3f}", f"{events:.3f}", f"{false:.3f}"]


def _figure(key: str, value: float) -> str:
    return f"{value:.3f}" if key in {"VUS-PR", "event F1", "false a day"} else f"{value:.1f}"


def _verdict(gates: Mapping[str, tuple[float, float]], ours: Mapping[str, float]) -> list[str]:
    """Return which gates and aims are missed, in words."""
    missed = [
        [key for key, pair in gates.items() if not _met(key, ours[key], pair[k])] for k in (0, 1)
    ]
    words = [", ".join(keys) if keys else "none" for keys in missed]
    return [f"Gates missed: {words[0]}. Aims missed: {words[1]}."]


def _met(key: str, value: float, wanted: float) -> bool:
    return value <= wanted if key in _LOWER else value >= wanted


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
