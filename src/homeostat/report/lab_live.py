"""What the twin predicted of real processes and what they did: values, JSON and a table."""

import json
from dataclasses import dataclass
from typing import Final

from homeostat.report.lab_figures import made, table
from homeostat.report.lab_made import Provenance
from homeostat.report.lab_results import read, to_plain

FORMAT: Final = "homeostat.dev/twin-live/v1"
_NEVER: Final = frozenset({"recovery_s", "acted_s"})  # quantities that may not come about
_DIGITS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One quantity of one fault; see `lab.live_compare.Row`.

    Attributes:
        fault: Name of the scenario.
        quantity: `recovery_s`, `fault: p99_ms`, ...
        median: Predicted; None = not within the run, or there is none.
        low: Of the prediction's 90 % interval.
        high: See `low`.
        measured: None = not within the run, or not measured.
        inside: Whether it lies in the interval; None = not measured.
        agrees: Whether both have one sign; None = it has none, or it was not measured.
    """

    fault: str
    quantity: str
    median: float | None
    low: float | None
    high: float | None
    measured: float | None
    inside: bool | None
    agrees: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Live(Provenance):
    """What `twin live` found, with how it was made.

    Attributes:
        draws: That the twin played of each fault.
        runs: Live runs of each fault.
        starved: Runs that were left out because the machine was too busy.
        faults: How many were compared.
        signs: Of how many of them every effect has the predicted sign.
        lines: Every quantity of every fault.
    """

    format: str = FORMAT
    draws: int
    runs: int
    starved: int
    faults: int
    signs: int
    lines: tuple[Line, ...]


def to_json(found: Live) -> str:
    """Return the text of the file."""
    return json.dumps(to_plain(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str) -> Live:
    """Return what a file holds.

    Raises:
        ResultsError: It is no JSON, of another format, or a field is missing or of another type.
    """
    return read(Live, text, FORMAT, "twin-live", "docs")


def markdown(found: Live) -> str:
    """Return predicted beside measured, one row for each quantity of each fault."""
    left = f" {found.starved} runs were left out, the machine being too busy." * bool(found.starved)
    measured = [one for one in found.lines if one.inside is not None]
    facts = (
        f"{found.faults} faults, {found.draws} draws of each in the twin and {found.runs} live: in "
        f"{found.signs} every effect has the predicted sign, and "
        f"{sum(bool(one.inside) for one in measured)} of {len(measured)} measured values lie in "
        f"their 90 % interval.{left} {found.catalogue}, `{found.catalogue_digest[:12]}` (SHA-256)."
    )
    heads = ["", "quantity", "predicted", "measured", "inside", "one sign"]
    rows = [
        [
            f"`{one.fault}`",
            f"`{one.quantity}`",
            f"{_text(one, one.median)} ({_text(one, one.low)} to {_text(one, one.high)})",
            "-" if one.inside is None else _text(one, one.measured),
            _said(one.inside),
            _said(one.agrees),
        ]
        for one in found.lines
    ]
    return "\n\n".join([facts, *made(found), table(heads, rows)])


def _text(line: Line, value: float | None) -> str:
    if value is None:
        return "never" if line.quantity in _NEVER else "-"
    return f"{value:.{_DIGITS}g}" if abs(value) < 10**_DIGITS else f"{value:.0f}"


def _said(what: bool | None) -> str:  # noqa: FBT001 - one of three answers, not a switch
    return "-" if what is None else "yes" if what else "no"
