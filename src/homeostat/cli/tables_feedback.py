"""What a person sees of what detection has learnt from people's words."""

from collections.abc import Mapping
from typing import Any

from homeostat.cli.tables import clock

Plain = Mapping[str, Any]


def feedback(row: Plain) -> dict[str, str | list[str]]:
    """Return how the lines stand, what moved them and what waits for a word, by name."""
    learning = "stopped: the answers changed too much (`homeostat confirm NAME --resume`)"
    return {
        "mode": row["mode"],
        "learning": learning if row["stopped"] else "goes on",
        "held back now": [str(one) for one in row["held"]] or ["-"],
        "told of by what was learnt": "yes" if row["told"] else "no",
        "came to nothing": _came_to_nothing(row["came_to_nothing"]),
        "called nothing": [
            f"{one['incident_id']} {one['family']} {one['confidence']:.2f}, by {one['by']}"
            for one in row["nothings"]
        ]
        or ["-"],
        "named otherwise": [
            f"{one['suspected']} was {one['said']}, {one['count']} times" for one in row["mistaken"]
        ]
        or ["-"],
        "lines moved": [f"{clock(one['at'])} {one['words']}" for one in row["moves"]] or ["-"],
        "wait for a word": [_waiting(one) for one in row["waiting"]] or ["-"],
    }


def _came_to_nothing(one: Plain | None) -> str:
    if one is None:
        return "-"
    return f"the like is told of beyond 1e-{one['beyond']:.1f}, until {clock(one['until'])}"


def _waiting(one: Plain) -> str:
    said = ", ".join(f"{w['by']}: {'real' if w['real'] else 'nothing'}" for w in one["said"])
    return f"{one['incident_id']} {one['family'] or '-'}" + (f" ({said})" if said else "")
