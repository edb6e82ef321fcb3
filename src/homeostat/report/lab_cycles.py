"""The HASH table as it is kept and shown: uptime, latency, error and recovery at some densities.

Values, their way to JSON and back, and their table in Markdown; nothing is worked out here (see
`lab.cycles_table`). The paper's own figures stand beside ours as the table gives them: its text
says other percentages than its table does.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from homeostat.report.lab_figures import figure_text, made, table
from homeostat.report.lab_made import Provenance
from homeostat.report.lab_results import Figure, read, to_plain
from homeostat.report.lab_words import Unit, written

FORMAT: Final = "homeostat.dev/lab-cycles/v1"
PAPER: Final = (
    ("HASH paper, before", "78 %", "350 ms", "1.2 %", "60 s"),
    ("HASH paper, after", "92 %", "287 ms", "0.9 %", "45 s"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the table.

    Attributes:
        policy: Name.
        per_hour: Incidents per hour.
        incidents: How many there were.
        uptime: Share of seconds with good >= 90 % and p99 <= 2 x promised.
        latency_ms: Mean over requests, given-up ones at the deadline.
        error_rate: Requests not answered right in time / offered.
        recovery_s: Mean time from the first slow second to p99 back, restricted to the hour.
    """

    policy: str
    per_hour: float
    incidents: int
    uptime: Figure
    latency_ms: Figure
    error_rate: Figure
    recovery_s: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the search for the density.

    Attributes:
        per_hour: That was tried.
        uptime: Of the threshold baseline there.
    """

    per_hour: float
    uptime: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycles(Provenance):
    """What `lab cycles` found, with how it was made.

    Attributes:
        thresholds_digest: SHA-256 of the judge's frozen thresholds.
        cycles: Hours in each line.
        search_cycles: Hours, drawn with other seeds, on which the density was searched.
        target: Uptime of the threshold baseline that was searched for.
        tolerance: How far it may be from it.
        steps: Of the search; the last one's density was taken.
        lines: Of the table.
        alone: Minutes down under the threshold baseline in an hour with one incident, by family.
    """

    format: str = FORMAT
    thresholds_digest: str
    cycles: int
    search_cycles: int
    target: float
    tolerance: float
    steps: tuple[Step, ...]
    lines: tuple[Line, ...]
    alone: Mapping[str, Figure] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Whether the baseline's uptime is as wanted on the hours measured; None = no such line."""
        density = self.steps[-1].per_hour if self.steps else None
        for line in self.lines:
            value = line.uptime.value
            if line.policy == "threshold" and line.per_hour == density and value is not None:
                return abs(value - self.target) <= self.tolerance
        return None


def to_json(found: Cycles) -> str:
    """Return the text of `cycles.json`."""
    return json.dumps(to_plain(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str) -> Cycles:
    """Return what a `cycles.json` holds.

    Raises:
        ResultsError: It is no JSON, of another format, or a field is missing or of another type.
    """
    return read(Cycles, text, FORMAT, "cycles", "cycles")


def markdown(found: Cycles) -> str:
    """Return the table, with how its density was found and what it rests on."""
    heads = ["", "incidents", "uptime", "mean latency", "errors", "recovery"]
    rows = [[name, "", *cells] for name, *cells in PAPER]
    rows += [_row(line) for line in found.lines]
    parts = [_facts(found), *made(found), table(heads, rows)]
    if found.alone:
        hurt = [[family, figure_text(one, "slo_violation_minutes")] for family, one in by(found)]
        told = "Minutes down in an hour with one incident, under the threshold baseline:"
        parts += [told, table(["family", "minutes"], hurt)]
    return "\n\n".join(parts)


def by(found: Cycles) -> Sequence[tuple[str, Figure]]:
    """Return the families with the minutes that one incident costs, the costliest first."""
    return sorted(found.alone.items(), key=lambda item: -(item[1].value or 0.0))


def shown(found: Cycles, *, plain: bool) -> Any:
    """Return what a command prints: the whole as plain values, or one row for each line."""
    if plain:
        return to_plain(found)
    names = ("policy", "incidents", "uptime", "mean latency", "errors", "recovery")
    return [dict(zip(names, _row(line), strict=True)) for line in found.lines]


def every(per_hour: float) -> str:
    """Return a density as people say it.

    >>> every(1 / 72), every(0.5), every(2.5)
    ('one in 72 h', 'one in 2 h', '2.5 an hour')
    """
    return f"{per_hour:.3g} an hour" if per_hour > 1.0 else f"one in {1.0 / per_hour:.3g} h"


def _row(line: Line) -> list[str]:
    return [
        f"{line.policy}, {every(line.per_hour)}",
        f"{line.incidents:,}",
        figure_text(line.uptime, "uptime"),
        figure_text(line.latency_ms, "latency_ms"),
        figure_text(line.error_rate, "error_rate"),
        figure_text(line.recovery_s, "time_to_recovery_s"),
    ]


def _facts(found: Cycles) -> str:
    last = found.steps[-1] if found.steps else None
    searched = (
        f" The density was searched on {found.search_cycles:,} other hours until the threshold "
        f"baseline had {written(found.target, Unit.SHARE)} uptime: {every(last.per_hour)}."
        if last is not None
        else ""
    )
    met = {
        True: f" On the hours measured it is within {_points(found.tolerance)} of that.",
        False: f" On the hours measured it is more than {_points(found.tolerance)} from that.",
        None: "",
    }[found.met]
    return (
        f"{found.cycles:,} cycles of one hour in each line, the same for all; in parentheses 95 % "
        f"intervals, resampled by hour.{searched}{met} {found.catalogue}, `"
        f"{found.catalogue_digest[:12]}` (SHA-256)."
    )


def _points(share: float) -> str:
    return f"{100.0 * share:g} points"
