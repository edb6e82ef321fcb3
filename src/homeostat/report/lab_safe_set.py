"""What forced replays said of the safe set: values, their way to JSON and back, and their tables.

Nothing is worked out here (see `lab.safe_set`). Over-blocking is always shown: a safe set that
refuses everything would pass any test of safety.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from homeostat.report.lab_figures import made, table
from homeostat.report.lab_made import Provenance
from homeostat.report.lab_results import read, to_plain
from homeostat.report.lab_words import Unit, written

FORMAT: Final = "homeostat.dev/lab-safe-set/v1"
_REASONS: Final = 3  # that a table shows


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What was found for one sentence of the catalogue.

    Attributes:
        scenario: Its id.
        role: `best` or `unsafe`.
        text: The sentence.
        does: What was asked for, in the table's words; empty where the twin cannot do it.
        note: Why it cannot, or what the mapping leaves out.
        passive: It asks for nothing but to hold or to call a person: no guard is asked.
        episodes: In which it meant something and could be asked for.
        inside: Of them, in which the kernel permitted it (a best one with or without a yes).
        asks: Of them, in which it wanted a person's yes.
        caused: Of an unsafe one, in which it caused a catastrophe.
        let_through: Of an unsafe one, permitted and with a catastrophe caused.
        codes: Which, with the number of episodes.
        first_s: Of a best one, median time from the onset until it was first permitted.
        reasons: Guards that refused, with the number of episodes, most frequent first.
    """

    scenario: str
    role: str
    text: str
    does: str
    note: str = ""
    passive: bool = False
    episodes: int = 0
    inside: int = 0
    asks: int = 0
    caused: int = 0
    let_through: int = 0
    codes: Mapping[str, int] = field(default_factory=dict)
    first_s: float | None = None
    reasons: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SafeSetCheck(Provenance):
    """What `lab safe-set` found, with how it was made.

    Attributes:
        thresholds_digest: SHA-256 of the judge's frozen thresholds.
        scenarios: How many were examined.
        seeds: Replays of each action.
        best_inside: Share of the best rows' episodes in which they were permitted, with or without
            a yes, passive rows left out; None = none.
        best_asks: The same, of those that took a person's yes.
        needs_inside: That the gate asks for.
        catastrophic: Unsafe rows that caused a catastrophe in one replay or more.
        passes: Whether none of them was permitted in any replay, and enough of the best are inside.
        rows: Every sentence.
    """

    format: str = FORMAT
    thresholds_digest: str
    scenarios: int
    seeds: int
    best_inside: float | None
    best_asks: float | None
    needs_inside: float
    catastrophic: int
    passes: bool
    rows: tuple[Row, ...]

    def of(self, role: str) -> list[Row]:
        """Return the rows of a role that could be asked for at least once."""
        return [row for row in self.rows if row.role == role and row.episodes]

    @property
    def let_through(self) -> list[Row]:
        """Catastrophic rows permitted in a replay or more, be it one that they did not ruin."""
        return [row for row in self.of("unsafe") if row.caused and row.inside]

    @property
    def harmless(self) -> list[Row]:
        """Unsafe rows that caused no catastrophe in any replay, in the catalogue's order."""
        return [row for row in self.of("unsafe") if not row.caused]

    @property
    def blocked(self) -> list[Row]:
        """Best rows refused in some episode, the most refused first: over-blocking."""
        some = [row for row in self.of("best") if row.inside < row.episodes]
        return sorted(some, key=lambda row: row.inside / row.episodes)


def to_json(found: SafeSetCheck) -> str:
    """Return the text of `safe-set.json`."""
    return json.dumps(to_plain(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str) -> SafeSetCheck:
    """Return what a `safe-set.json` holds.

    Raises:
        ResultsError: It is no JSON, of another format, or a field is missing or of another type.
    """
    return read(SafeSetCheck, text, FORMAT, "safe-set", "safe-set")


def markdown(found: SafeSetCheck) -> str:
    """Return the gate's answer, what was let through, and what was blocked though it is right."""
    parts = [_facts(found), *made(found), f"**{verdict(found)}**"]
    if found.let_through:
        heads = ["let through", "episodes", "permitted", "catastrophes", "both", "codes"]
        parts.append(table(heads, [_harm(row) for row in found.let_through]))
    if found.blocked:
        heads = ["right, and refused", "episodes", "permitted", "refused by"]
        parts.append(table(heads, [_loss(row) for row in found.blocked]))
    if found.harmless:
        heads = ["tempting, and no catastrophe here", "episodes", "permitted", "refused by"]
        parts.append(_no_harm(found))
        parts.append(table(heads, [_loss(row) for row in found.harmless]))
    unasked = [row for row in found.rows if row.does and not row.episodes]
    if unasked:
        parts.append(f"No occasion in these episodes: {_listed(unasked)}.")
    unmapped = [row for row in found.rows if not row.does]
    if unmapped:
        said = "; ".join(f'{row.scenario} "{row.text}": {row.note}' for row in unmapped)
        parts.append(f"Not in the twin: {said}.")
    return "\n\n".join(parts)


def verdict(found: SafeSetCheck) -> str:
    """Return the gate's answer in a sentence."""
    inside, asks = (written(one, Unit.SHARE) for one in (found.best_inside, found.best_asks))
    return (
        f"The gate is {'passed' if found.passes else 'not passed'}: of {found.catastrophic} "
        f"catastrophic actions {len(found.let_through)} {_were(found.let_through)} permitted in a "
        f"replay or more (needs 0); of the right ones {inside} are inside (needs "
        f"{written(found.needs_inside, Unit.SHARE)}), {asks} with a person's yes."
    )


def shown(found: SafeSetCheck, *, plain: bool) -> Any:
    """Return what a command prints: the whole as plain values, or what went wrong as rows."""
    if plain:
        return to_plain(found)
    names = ("what", "episodes", "permitted", "catastrophes", "both", "why")
    harm = [dict(zip(names, _harm(row), strict=True)) for row in found.let_through]
    return harm + [
        dict(zip(names, (*_loss(row)[:3], "", "", _loss(row)[3]), strict=True))
        for row in found.blocked
    ]


def _were(rows: Sequence[Row]) -> str:
    return "was" if len(rows) == 1 else "were"


def _facts(found: SafeSetCheck) -> str:
    unsafe, right = len(found.of("unsafe")), found.of("best")
    passive = sum(row.passive for row in right)
    return (
        f"{found.scenarios} scenarios, {found.seeds} replays of each action: {unsafe} tempting "
        f"actions taken whatever the guards say and judged against nobody acting, "
        f"{len(right) - passive} right ones asked for while the trouble lasts ({passive} more are "
        f"to hold or to call a person, about which no guard is asked). {found.catalogue}, "
        f"`{found.catalogue_digest[:12]}` (SHA-256)."
    )


def _no_harm(found: SafeSetCheck) -> str:
    return (
        f"{len(found.harmless)} of the {len(found.of('unsafe'))} tempting actions caused no "
        "catastrophe in any replay, whatever the catalogue says of them: the twin lacks what makes "
        "them harmful, they are only costly, or too few replays were played. That is no proof "
        "that they are safe, and says nothing of the guards, which are asked without knowing it:"
    )


def _harm(row: Row) -> list[str]:
    codes = ", ".join(f"{code} {count}" for code, count in row.codes.items())
    numbers = (row.episodes, row.inside, row.caused, row.let_through)
    return [_name(row), *map(str, numbers), codes]


def _loss(row: Row) -> list[str]:
    reasons = list(row.reasons.items())[:_REASONS]
    why = [f"{guard} ({count})" for guard, count in reasons]
    if row.role == "unsafe" and row.asks:
        why.append(f"without a person's yes ({row.asks})")
    return [_name(row), str(row.episodes), str(row.inside), ", ".join(why)]


def _name(row: Row) -> str:
    note = f"; {row.note}" if row.note else ""
    return f"{row.scenario} {row.text} (`{row.does.replace('|', 'or')}`{note})"


def _listed(rows: Sequence[Row]) -> str:
    return ", ".join(f'{row.scenario} "{row.text}"' for row in rows)
