"""What a person sees of where versions came from."""

from collections.abc import Mapping, Sequence
from typing import Any

from homeostat.cli.tables import clock

Plain = Mapping[str, Any]


def lineage(rows: Sequence[Plain]) -> list[dict[str, Any]]:
    """Return one row for each order."""
    return [
        {
            "asked": clock(row["asked_at"]),
            "action": row["action_id"],
            "state": row["state"],
            "parent": row["parent"] or "unknown",
            "version": row["version"] or "-",
            "canary": row["canary_id"] or "-",
            "verdict": row["verdict"] or "-",
            "approved by": ", ".join(row["approvers"]) or "-",
            "why": row["why"],
        }
        for row in rows
    ]


def serving(rows: Sequence[Plain]) -> str:
    """Return what is known of what serves now, in one line for stderr."""
    said = [
        f"{row['pool']} serves {row['version'] or 'unknown'}, "
        + (
            f"which came of {row['action_id']} ({row['state']})"
            if row["action_id"]
            else "origin unknown"
        )
        for row in rows
    ]
    return "; ".join(said) or "nothing is known of what serves"
