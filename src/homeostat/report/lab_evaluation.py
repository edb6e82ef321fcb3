"""The evaluation as values and as tables for a page."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

FORMAT: Final = "homeostat.lab-evaluation/1"

Three = tuple[float, float, float]
"""A value, and the ends of its 95 % interval; NaN ends = not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """How a measure is presented.

    Attributes:
        label: A column's head.
        means: What it is, with its unit and which way is better.
        digits: After the point.
        scale: Times which it is written.
    """

    label: str
    means: str
    digits: int = 2
    scale: float = 1.0


WORDS: Final[Mapping[str, Word]] = {
    "gain": Word(
        label="Gain over hold",
        means="the value J less that of doing nothing in the same episode, in hourly budgets per "
        "hour: violated hours at ten budgets each, catastrophes caused, spend; more is better",
    ),
    "violation": Word(
        label="Violation", means="minutes of an hour in which an objective was missed", digits=1
    ),
    "failed": Word(label="Failed %", means="of the requests, refused ones included", scale=100.0),
    "spend": Word(label="Spend", means="times what doing nothing costs"),
    "minutes": Word(label="Person", means="minutes of people's time per hour", digits=1),
    "caused": Word(
        label="Catastrophes %",
        means="of the episodes, caused by the policy (K1 to K7; with HOLD they did not happen)",
        digits=1, scale=100.0,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One policy by one measure.

    Attributes:
        policy: Name.
        measure: Of `WORDS`.
        middle: Interquartile mean; None = it says nothing of this measure.
        mean: Over all episodes.
    """

    policy: str
    measure: str
    middle: Three | None
    mean: Three


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One policy less the reference by one measure.

    Attributes:
        policy: Name.
        measure: Of `WORDS`.
        difference: Mean over episodes.
        p: Of no difference.
        corrected: The same, by Holm over all pairs of the evaluation.
    """

    policy: str
    measure: str
    difference: Three
    p: float
    corrected: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Policies over the same episodes.

    Attributes:
        scenarios: How many.
        seeds: Of each.
        reference: That the others are set against.
        policies: In order.
        measures: In order.
        lines: One for each policy and measure.
        pairs: One for each policy but the reference, and measure.
        made: How and on what it was made: `command`, `commit`, `machine`, `cpu_s`.
    """

    scenarios: int
    seeds: int
    reference: str
    policies: tuple[str, ...]
    measures: tuple[str, ...]
    lines: tuple[Line, ...]
    pairs: tuple[Pair, ...]
    made: Mapping[str, str] | None = None


def to_json(found: Evaluation) -> str:
    """Return it as JSON; what is not known is null."""
    return json.dumps({"format": FORMAT} | _plain(asdict(found)), indent=2, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def rows(found: Evaluation) -> list[dict[str, str]]:
    """Return a row for each policy and measure, for a terminal."""
    apart = {(one.policy, one.measure): one for one in found.pairs}
    out = []
    for line in found.lines:
        pair = apart.get((line.policy, line.measure))
        out.append({
            "policy": line.policy,
            "measure": WORDS[line.measure].label,
            "middle": _cell(line.measure, _shown(line)),
            f"less {found.reference}": _apart(line.measure, pair) if pair else "",
        })
    return out


def markdown(found: Evaluation) -> str:
    """Return the evaluation as Markdown: two tables and what stands in them."""
    by_line = {(one.policy, one.measure): one for one in found.lines}
    heads = [WORDS[name].label for name in found.measures]
    middles = [
        [policy, *(_cell(name, _shown(by_line[policy, name])) for name in found.measures)]
        for policy in found.policies
    ]
    by_pair = {(one.policy, one.measure): one for one in found.pairs}
    pairs = [
        [policy, *(_apart(name, by_pair[policy, name]) for name in found.measures)]
        for policy in found.policies
        if policy != found.reference
    ]
    meanings = [f"*{WORDS[name].label}*: {WORDS[name].means}." for name in found.measures]
    first = (
        f"{found.scenarios} scenarios x {found.seeds} seeds, the same for every policy. "
        "Interquartile means (of catastrophes the mean); in brackets 95 % over other seeds of "
        "these scenarios."
    )
    second = (
        f"Paired differences to `{found.reference}`, mean over episodes; the p-value is of no "
        "difference, by flips of whole scenarios, corrected by Holm over all "
        f"{len(found.pairs)} of them. A mean is moved by single disasters, as it should be."
    )
    parts = [
        *_made(found), first, "\n".join(_table(["policy", *heads], middles)),
        second, "\n".join(_table(["policy", *heads], pairs)), " ".join(meanings),
    ]  # fmt: skip
    return "\n\n".join(parts)


def _made(found: Evaluation) -> list[str]:
    if not found.made:
        return []
    said = found.made
    return [f"Made by `{said['command']}` at {said['commit']} on {said['machine']}."]


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        f"|{' --- |' * len(head)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _shown(line: Line) -> Three:
    return line.mean if line.middle is None else line.middle


def _cell(name: str, three: Three) -> str:
    value, low, high = (_number(name, one) for one in three)
    return f"{value} ({low} to {high})" if math.isfinite(three[1]) else value


def _apart(name: str, pair: Pair) -> str:
    p = "p < 0.001" if pair.corrected < 0.001 else f"p {pair.corrected:.3f}"  # noqa: PLR2004 - of print
    return f"{_cell(name, pair.difference)}, {p}"


def _number(name: str, value: float) -> str:
    word = WORDS[name]
    text = f"{word.scale * value:.{word.digits}f}"
    return text.removeprefix("-") if float(text) == 0.0 else text
