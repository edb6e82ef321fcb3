"""Findings of the safe-set table as plain values, so that a run can be kept and taken up."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from homeostat.lab.safe_set import BEST_INSIDE, ROWS, Finding, summarise
from homeostat.lab.safe_set_table import Row
from homeostat.report import lab_safe_set as report


def to_plain(finding: Finding) -> dict[str, Any]:
    """Return a finding as values that JSON knows; its row by its place in the table."""
    return {
        "row": ROWS.index(finding.row),
        "episodes": finding.episodes,
        "inside": finding.inside,
        "asks": finding.asks,
        "caused": finding.caused,
        "inside_and_caused": finding.inside_and_caused,
        "codes": [list(pair) for pair in finding.codes],
        "first_s": None if math.isnan(finding.first_s) else finding.first_s,
        "reasons": [list(pair) for pair in finding.reasons],
    }


def from_plain(plain: Mapping[str, Any]) -> Finding:
    """Return the finding that `to_plain` was given.

    Raises:
        KeyError: A field is missing.
    """
    first = plain["first_s"]
    return Finding(
        row=ROWS[int(plain["row"])],
        episodes=int(plain["episodes"]),
        inside=int(plain["inside"]),
        asks=int(plain["asks"]),
        caused=int(plain["caused"]),
        inside_and_caused=int(plain["inside_and_caused"]),
        codes=_pairs(plain["codes"]),
        first_s=math.nan if first is None else float(first),
        reasons=_pairs(plain["reasons"]),
    )


def gate(findings: Iterable[Finding], scenarios: Sequence[str]) -> dict[str, Any]:
    """Return the fields of `report.SafeSetCheck` that follow from the findings.

    Args:
        findings: Of the scenarios.
        scenarios: Ids that were examined.
    """
    kept = tuple(findings)
    summary = summarise(kept)
    by_row = {one.row: one for one in kept}
    rows = [_told(row, by_row.get(row)) for row in ROWS if row.scenario in set(scenarios)]
    known = not math.isnan(summary.best_inside)
    return {
        "scenarios": len(set(scenarios)),
        "best_inside": summary.best_inside if known else None,
        "best_asks": summary.best_asks if known else None,
        "needs_inside": BEST_INSIDE,
        "catastrophic": summary.catastrophic,
        "passes": summary.passes,
        "rows": tuple(rows),
    }


def _told(row: Row, found: Finding | None) -> report.Row:
    said = report.Row(
        scenario=row.scenario,
        role=row.role.value,
        text=row.text,
        does=" > ".join(" | ".join(str(word) for word in step) for step in row.do),
        note=row.reason,
        passive=row.passive,
    )
    if found is None:
        return said
    return replace(
        said,
        episodes=found.episodes,
        inside=found.inside,
        asks=found.asks,
        caused=found.caused,
        let_through=found.inside_and_caused,
        codes=dict(found.codes),
        first_s=None if math.isnan(found.first_s) else found.first_s,
        reasons=dict(found.reasons),
    )


def _pairs(plain: Sequence[Sequence[Any]]) -> tuple[tuple[str, int], ...]:
    return tuple((str(name), int(count)) for name, count in plain)
