"""What coordination was worth, as plain values and as a section of a page."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

FORMAT: Final = "homeostat.dev/lab-together/v1"
_WORDS: Final[Mapping[str, tuple[str, int, float]]] = {
    "gain": ("Gain over hold", 3, 1.0),
    "violation": ("Violation", 2, 1.0),
    "spend": ("Spend", 3, 1.0),
    "caused": ("Catastrophes %", 1, 100.0),
}
Three = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was measured at one width of the shared room.

    Attributes:
        members: Deployments of a group.
        groups: How many.
        room: Beyond what all hold at the start, as a share of it.
        family: Of the faults; empty = all.
        lines: By mode, by measure: the mean and the ends of 95 %.
        pairs: What `priced` has more, by the other mode, by measure: the difference with its ends,
            the p-value and the corrected one.
        over: Largest share of what is shared that was ordered at once, by mode.
    """

    members: int
    groups: int
    room: float
    family: str
    lines: Mapping[str, Mapping[str, Three]]
    pairs: Mapping[str, Mapping[str, tuple[Three, float, float]]]
    over: Mapping[str, float]


def plain(found: Sequence[Found], made: Mapping[str, str]) -> dict[str, Any]:
    """Return everything as JSON can hold it; what is not known is null."""
    rows = [
        {
            "members": one.members,
            "groups": one.groups,
            "room": one.room,
            "family": one.family or None,
            "modes": {
                mode: {name: _plain(value) for name, value in lines.items()}
                for mode, lines in one.lines.items()
            },
            "priced_less": {
                mode: {
                    name: {"difference": _plain(value), "p": _known(p), "corrected": _known(all_p)}
                    for name, (value, p, all_p) in pairs.items()
                }
                for mode, pairs in one.pairs.items()
            },
            "most_ordered": dict(one.over),
        }
        for one in found
    ]
    return {"format": FORMAT, "made": dict(made), "found": rows}


def rows(found: Sequence[Found]) -> list[dict[str, str]]:
    """Return a row for each mode and width, for a terminal."""
    return [
        {"room": f"{one.room:.0%}", "mode": mode}
        | {_WORDS[name][0]: _written(name, value) for name, value in lines.items()}
        | {"less": _less(one, mode)}
        for one in found
        for mode, lines in one.lines.items()
    ]


def markdown(found: Sequence[Found], made: Mapping[str, str]) -> str:
    """Return the section of a page."""
    first = found[0]
    kind = f"faults of the family `{first.family}`" if first.family else "faults of every family"
    made_by = f"Made by `{made['command']}` at {made['commit']} on {made['machine']}"
    columns = "| room | way | " + " | ".join(label for label, _, _ in _WORDS.values()) + " |"
    ruled = "| --- " * (2 + len(_WORDS)) + "|"
    drawn = f"random compositions from seed {made['first_seed']} on, {kind}"
    means = (
        f"{first.groups} groups of {first.members} deployments, the same for every way; means of a "
        "deployment and hour, in brackets 95 % over other groups; p by flips of whole groups, "
        "corrected by Holm over all pairs of a width."
    )
    table = [
        f"| {one.room:.0%} | {mode} | "
        + " | ".join(_written(name, lines[name]) for name in _WORDS)
        + " |"
        for one in found
        for mode, lines in one.lines.items()
    ]
    against = [
        f"| {one.room:.0%} | {mode} | "
        + " | ".join(_paired(name, pairs[name]) for name in _WORDS)
        + " |"
        for one in found
        for mode, pairs in one.pairs.items()
    ]
    more = "What `priced` has more than another way:"
    return "\n".join([
        f"{made_by}; {drawn}.", "", means, "", columns, ruled, *table, "", more, "", columns, ruled,
        *against,
    ])  # fmt: skip


def _less(one: Found, mode: str) -> str:
    if mode not in one.pairs:
        return "-"
    value, _, corrected = one.pairs[mode]["gain"]
    return f"priced gains {value[0]:+.3f}, p {corrected:.3f}"


def _paired(name: str, pair: tuple[Three, float, float]) -> str:
    value, _, corrected = pair
    return f"{_written(name, value)}, p {corrected:.3f}"


def _written(name: str, value: Three) -> str:
    _, digits, scale = _WORDS[name]
    mid, low, high = (f"{scale * one:.{digits}f}" for one in value)
    return f"{mid} ({low} to {high})" if math.isfinite(value[1]) else mid


def _plain(value: Three) -> list[float | None]:
    return [_known(one) for one in value]


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
