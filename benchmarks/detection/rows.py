"""A row of the table of gates: a figure with its interval, how it was made, met or missed.

A figure is of this run, or kept from an earlier one and marked so (`detection.kept`). A row that
has neither says why: a row is never left out. An interval that has both sides of a gate in it says
that the run was too short to tell.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from detection.gates import Gate

HEADS = ("gate", "asked", "aim", "ours", "peers", "verdict", "how measured")
CONFIDENCE = "95 %"


class Found(NamedTuple):
    """A figure.

    Attributes:
        value: In the unit of its gate.
        how: How it was measured, with how many of what.
        low: Lower end of its interval; None = there is none.
        high: Upper end.
        of: What the interval is.
        asked: Instead of the gate's own number, where that depends on the run.
        peers: Figures of others, in words.
        short: A short form was run; its figure is of too little.
        instead: In which other way the gate is met, if it is.
    """

    value: float
    how: str
    low: float | None = None
    high: float | None = None
    of: str = CONFIDENCE
    asked: float | None = None
    peers: str = ""
    short: bool = False
    instead: str = ""


class Outcome(NamedTuple):
    """What a part found.

    Attributes:
        found: By key of its gates.
        text: Its own tables, in Markdown.
        missing: Why some of its gates have no figure; empty where all have one.
    """

    found: Mapping[str, Found]
    text: str = ""
    missing: str = ""


class Row(NamedTuple):
    """One gate with what is known of it.

    Attributes:
        gate: What is asked.
        found: In this run; None = nothing.
        why: Nothing was found because of this.
        command: What makes it.
        kept: An earlier figure, if there is one worth showing.
        kept_of: Of which commit, day and machine that is.
    """

    gate: Gate
    found: Found | None
    why: str = ""
    command: str = ""
    kept: Found | None = None
    kept_of: str = ""


def table(rows: Iterable[Row]) -> str:
    """Return the table in Markdown: every row, and below it what was kept of it."""
    lines = [_line(HEADS), _line(["---", "---:", "---:", "---:", "---", "---", "---"])]
    for row in rows:
        lines += [_line(cells) for cells in _cells(row)]
    return "\n".join(lines)


def verdict(gate: Gate, found: Found) -> str:
    """Return whether a gate and its aim are met, in words."""
    if np.isnan(found.value):
        return "not to be told"
    words, asked, aim = [], gate.gate, gate.aim
    if found.asked is not None:
        asked, aim = (None, found.asked) if gate.gate is None else (found.asked, aim)
    if asked is not None:
        words.append(_said(gate, found, asked, "met", "missed"))
    if aim is not None:
        words.append(_said(gate, found, aim, "aim met", "aim missed"))
    if found.instead and words and not words[0].startswith("met"):
        words.append(f"met otherwise: {found.instead}")
    return "; ".join(words)


def missed(rows: Iterable[Row]) -> str:
    """Return in words which gates are met and missed, and what was not measured."""
    lists: dict[str, list[str]] = {"Gates met": [], "Gates missed": [], "Not measured": []}
    for row in rows:
        one, key = row.found or row.kept, row.gate.key
        if one is None or np.isnan(one.value):
            lists["Not measured"].append(key)
        elif row.gate.gate is not None:
            bad = verdict(row.gate, one).startswith("missed") and not one.instead
            lists["Gates missed" if bad else "Gates met"].append(key if row.found else f"{key}*")
    said = [f"{name}: {', '.join(keys) or 'none'}." for name, keys in lists.items()]
    return " ".join(said) + " (*: kept, not of this run.)"


def measured(of: float, resampled: Any = None, **rest: Any) -> Found:
    """Return a figure with the middle 95 % of its resamples, if there are any."""
    known = np.asarray(resampled if resampled is not None else [], dtype=float)
    known = known[np.isfinite(known)]
    if not known.size:
        return Found(value=float(of), **rest)
    low, high = np.quantile(known, [0.025, 0.975])
    return Found(value=float(of), low=float(low), high=float(high), **rest)


def _cells(row: Row) -> Iterable[Sequence[str]]:
    gate = row.gate
    asked, aim = _asked(row)
    how = f"`{row.command}`" if row.command else ""
    if row.found is None:
        yield gate.title, asked, aim, f"not run: {row.why}", "", "-", how
    else:
        one = row.found
        short = " (short run)" if one.short else ""
        said = verdict(gate, one) + short
        yield gate.title, asked, aim, _figure(gate, one), one.peers, said, f"{one.how}; {how}"
    if row.kept is not None:
        one = row.kept
        kept = f"*kept of {row.kept_of}:* {one.how}"
        yield "", "", "", f"*{_figure(gate, one)}*", one.peers, f"*{verdict(gate, one)}*", kept


def _asked(row: Row) -> tuple[str, str]:
    """Return gate and aim as they are written; what depends on the run is of this run."""
    gate, found = row.gate, row.found or row.kept
    asked, aim = gate.gate, gate.aim
    if found is not None and found.asked is not None:
        asked, aim = (None, found.asked) if gate.gate is None else (found.asked, aim)
    return _wanted(gate, asked), _wanted(gate, aim)


def _wanted(gate: Gate, value: float | None) -> str:
    return "-" if value is None else ("<= " if gate.lower else ">= ") + _number(gate, value)


def _figure(gate: Gate, found: Found) -> str:
    text = _number(gate, found.value)
    if found.low is None or found.high is None:
        return text
    what = "" if found.of == CONFIDENCE else f", {found.of}"
    return f"{text} ({_number(gate, found.low)} to {_number(gate, found.high)}{what})"


def _number(gate: Gate, value: float) -> str:
    if np.isneginf(value):  # nobody alarmed: less than any lead
        return "none"
    return f"{value:{gate.form}}" if np.isfinite(value) else "unknown"


def _said(gate: Gate, found: Found, asked: float, good: str, bad: str) -> str:
    met = gate.met(found.value, asked)
    ends = [end for end in (found.low, found.high) if end is not None]
    sure = all(gate.met(end, asked) == met for end in ends)
    return (good if met else bad) + ("" if sure else ", but the interval has both")


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |"
