"""What learning said on a decision, for people: every arm on a line, and why the one was played."""

from collections.abc import Mapping, Sequence
from typing import Any

from homeostat.base.learning import INCUMBENT

Plain = Mapping[str, Any]


def learning(row: Plain | None) -> dict[str, str | list[str]]:
    """Return what was said and what came of it, by name; nothing where nobody was heard."""
    if row is None:
        return {}
    fields: dict[str, str | list[str]] = {
        "learning": f"{row['mode']}: wanted {row['wanted']}, played {row['played']}",
        "arms": [_arm(one) for one in row["arms"]] or ["-"],
        "it won because": list(row["because"]),
    }
    if row["trained"]:
        fields["trained policy"] = row["trained"]
    came = row["came"]
    if came is not None:
        held = {True: "held", False: "missed", None: "not known"}[came["held"]]
        fields["it came to"] = [came["because"], f"the twin's interval: {held}"]
        fields["twin's intervals"] = _intervals(came["intervals"])
        fields["against runbook"] = _standing(came["standing"])
    return fields


def _arm(one: Plain) -> str:
    if one["arm"] == INCUMBENT:
        against = "the others are set against it"
        return f"{INCUMBENT}: {one['action']}; {against}; chance {one['chance']:.1%}"
    share = "" if one["fraction"] is None else f" at {one['fraction']:.0%}"
    name = f"{one['arm']}: {one['action']}{share}"
    if one["refused"] and one["gain"][1] is None:
        return f"{name}; refused: {'; '.join(one['refused'])}"
    extra = ", ".join(f"{cost} {_ends(span)}" for cost, span in one["extra"].items())
    what = f"{name}; gain {_ends(one['gain'])}; adds to {extra}"
    if one["refused"]:
        return f"{what}; refused: {'; '.join(one['refused'])}"
    return f"{what}; chance {one['chance']:.1%}"


def _intervals(row: Plain) -> str:
    end = "; autonomy is to drop to approve" if row["drop"] else ""
    return f"{row['held']} of the last {row['of']} effects were held{end}"


def _standing(row: Plain) -> list[str]:
    return [f"{row['answer']}, after {row['scored']} outcomes", *row["because"]]


def _ends(span: Sequence[float | None]) -> str:
    low, mid, high = ("?" if end is None else f"{end:+.2f}" for end in span)
    return f"{mid} ({low} to {high})"
