"""What a person sees of what deployments share: who holds what, and what a replica costs others."""

from collections.abc import Mapping, Sequence
from typing import Any

Plain = Mapping[str, Any]


def shared(rows: Sequence[Plain]) -> list[dict[str, Any]]:
    """Return one line for each deployment that shares something."""
    return [
        {
            "deployment": row["deployment"],
            "holds": row["held"],
            "proposed": row["proposed"],
            "at least": row["floor"],
            "load": "unknown" if row["load"] is None else f"{row['load']:.2f}",
            "costs the others": _price(row["price"]),
            "shares": ", ".join(row["shares"]),
        }
        for row in rows
    ]


def summary(answer: Plain) -> str:
    """Return what is shared and how scarce it is, in one line for stderr."""
    parts = [
        f"{one['name']}: {one['used']:g} of {one['most']:g} held, one more is worth "
        f"{_price(one['price'])}"
        for one in answer["shared"]
    ]
    why = f"; {'; '.join(answer['because'])}" if answer["because"] else ""
    return f"{answer['answer']}{why}; {'; '.join(parts) or 'nothing is shared'}; nothing follows it"


def now(answer: Plain, deployment: str) -> dict[str, str | list[str]]:
    """Return what is proposed for one deployment now, for `explain`; nothing where none shares."""
    rows = [row for row in answer["deployments"] if row["deployment"] == deployment]
    if not rows:
        return {}
    (row,) = rows
    why = [f"no answer: {one}" for one in answer["because"]]
    said = f"holds {row['held']}, proposed {row['proposed']}"
    price = f"a replica costs the others {_price(row['price'])}"
    return {"shared now": [f"{', '.join(row['shares'])}: {said}; {price}", *why]}


def _price(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}/h"
