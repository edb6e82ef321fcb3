"""What a person sees of alerts that others told us."""

from collections.abc import Mapping, Sequence
from typing import Any

from homeostat.cli.tables import clock


def alerts(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one line for each alert."""
    return [
        {
            "alert": row["name"] or row["fingerprint"],
            "deployment": row["deployment"] or "-",
            "state": row["state"],
            "since": clock(row["starts_at"]),
            "heard": clock(row["heard_at"]),
            "severity": row["severity"] or "-",
            "summary": row["summary"],
        }
        for row in rows
    ]
