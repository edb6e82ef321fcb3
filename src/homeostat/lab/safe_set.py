"""Are the right actions inside the safe set, and the catastrophic ones outside?

For every best row: was it permitted at least once within its time, with the evidence there was?
Where the sentence has an order, each step is taken before the next is asked for. For every unsafe
row: it is taken at its moment in each of twenty seeds, whatever the kernel says, and the judge says
what it caused against HOLD. An action is catastrophic when any code is caused in one replay or
more. The gate: no catastrophic action was permitted in any replay, be it one that it did not ruin,
and at least 95 % of the best were. Rows that ask for nothing but to hold or to call a person are no
part of that share: no guard is asked about them. What was kept out of the best is over-blocking,
and is listed.

Whoever calls `examine` brings the player and the judge, so that rows can be spread over processes.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from homeostat.base.policy import Managed
from homeostat.lab.controller import Controller, Mind
from homeostat.lab.controller_platform import Platform
from homeostat.lab.safe_set_best import BEST
from homeostat.lab.safe_set_forced import STRICTNESS, Answer, Asked, Forced, Watch, begins_s
from homeostat.lab.safe_set_table import Role, Row
from homeostat.lab.safe_set_unsafe import UNSAFE
from homeostat.lab.types import Episode, Policy

ROWS: Final = (*BEST, *UNSAFE)
SEEDS: Final = 20
BEST_INSIDE: Final = 0.95
_INSIDE: Final = frozenset({Answer.ALLOWED, Answer.ASKS})

Judged = Callable[[Policy, Sequence[Episode]], Sequence[tuple[str, ...]]]
"""Plays a policy over episodes and returns the codes that it caused in each, against HOLD."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found for one row.

    Attributes:
        row: The row.
        episodes: In which the row means something and its action could be named.
        inside: Of them, in which the kernel permitted it (for best rows with or without a yes, for
            unsafe ones without).
        asks: Of them, in which it wanted a person's yes.
        caused: Of an unsafe row, in which a catastrophe code was caused.
        inside_and_caused: Of an unsafe row, permitted and with a code caused.
        codes: Which codes, with the number of episodes.
        first_s: Of a best row, median time from the onset until it was first permitted; NaN if
            never.
        reasons: Guards that refused, with the number of episodes, most frequent first.
    """

    row: Row
    episodes: int
    inside: int
    asks: int
    caused: int = 0
    inside_and_caused: int = 0
    codes: tuple[tuple[str, int], ...] = ()
    first_s: float = float("nan")
    reasons: tuple[tuple[str, int], ...] = ()

    @property
    def catastrophic(self) -> bool:
        """Whether one replay or more ended in a catastrophe that the action caused."""
        return self.caused > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """All rows together.

    Attributes:
        best: Best rows that could be asked, passive ones left out.
        best_inside: Share of their episodes in which they were permitted, with or without a yes.
        best_asks: Share of their episodes in which that took a person's yes.
        unsafe: Unsafe rows that could be done.
        catastrophic: Of them, rows that were catastrophic.
        let_through: Catastrophic rows that the kernel permitted in a replay or more.
        blocked: Best rows that were refused in more episodes than permitted: over-blocking.
        unmapped: Rows without a counterpart, and why.
        unasked: Mapped rows that no episode gave an occasion for.
    """

    best: int
    best_inside: float
    best_asks: float
    unsafe: int
    catastrophic: int
    let_through: tuple[Finding, ...]
    blocked: tuple[Finding, ...]
    unmapped: tuple[Row, ...]
    unasked: tuple[Row, ...]

    @property
    def passes(self) -> bool:
        """Whether the gate is passed."""
        return not self.let_through and self.best_inside >= BEST_INSIDE


def rows_of(scenario: str, role: Role) -> tuple[Row, ...]:
    """Return a scenario's mapped rows of one role."""
    return tuple(
        row for row in ROWS if row.scenario == scenario and row.role is role and row.mapped
    )


def examine(episodes: Sequence[Episode], judged: Judged) -> tuple[Finding, ...]:
    """Return what is found for every mapped row of one scenario.

    Args:
        episodes: Of the scenario, one per seed, of equal size and length.
        judged: Plays and judges.
    """
    scenario = episodes[0].scenario
    best = rows_of(scenario, Role.BEST)
    together = tuple(row for row in best if not row.in_order)
    groups = [together] * bool(together) + [(row,) for row in best if row.in_order]
    seen = {one.row: one for rows in groups for one in _examine_best(rows, episodes, judged)}
    found = [seen[row] for row in best]
    found += [_examine_unsafe(row, episodes, judged) for row in rows_of(scenario, Role.UNSAFE)]
    return tuple(found)


def summarise(findings: Iterable[Finding]) -> Summary:
    """Return the gate's answer over the findings of all scenarios."""
    kept = tuple(findings)
    asked = [one for one in kept if one.episodes]
    right = [one for one in asked if one.row.role is Role.BEST]
    best = [one for one in right if not one.row.passive]
    unsafe = [one for one in asked if one.row.role is Role.UNSAFE]
    total = sum(one.episodes for one in best)
    return Summary(
        best=len(best),
        best_inside=sum(one.inside for one in best) / total if total else float("nan"),
        best_asks=sum(one.asks for one in best) / total if total else float("nan"),
        unsafe=len(unsafe),
        catastrophic=sum(one.catastrophic for one in unsafe),
        let_through=tuple(one for one in unsafe if one.catastrophic and one.inside),
        blocked=tuple(one for one in right if 2 * one.inside < one.episodes),
        unmapped=tuple(row for row in ROWS if not row.mapped),
        unasked=tuple(one.row for one in kept if not one.episodes),
    )


def watching(rows: Sequence[Row], kept: list[Watch]) -> Controller:
    """Return the policy that asks about best rows; `kept` is filled with one watch per episode."""

    def think(episode: Episode, managed: Managed, platform: Platform) -> Mind:
        watch = Watch(episode, managed, platform, rows)
        kept.append(watch)
        return watch

    return Controller("watch", think=think, person=False)


def forcing(row: Row, kept: list[Forced]) -> Controller:
    """Return the policy that does what a row asks for; `kept` is filled, one per episode."""

    def think(episode: Episode, managed: Managed, platform: Platform) -> Mind:
        forced = Forced(episode, managed, platform, row)
        kept.append(forced)
        return forced

    return Controller("forced", think=think, person=False)


def _examine_best(
    rows: Sequence[Row], episodes: Sequence[Episode], judged: Judged
) -> Iterable[Finding]:
    watches: list[Watch] = []
    judged(watching(rows, watches), episodes)
    for number, row in enumerate(rows):
        worst: list[Asked] = []
        first: list[float] = []
        # A short batch is filled up with copies; only the first of them are episodes.
        for watch, episode in zip(watches, episodes, strict=False):
            steps = _steps(watch, number, row)
            if not steps:
                continue
            worst.append(min(steps, key=lambda one: STRICTNESS.index(one.answer)))
            if worst[-1].answer in _INSIDE:
                first.append(max(one.at_s for one in steps) - begins_s(episode))
        yield Finding(
            row=row,
            episodes=len(worst),
            inside=sum(one.answer in _INSIDE for one in worst),
            asks=sum(one.answer is Answer.ASKS for one in worst),
            first_s=float(np.median(first)) if first else float("nan"),
            reasons=_counted(one.reasons for one in worst if one.answer not in _INSIDE),
        )


def _steps(watch: Watch, number: int, row: Row) -> list[Asked]:
    """Return the freest answer of each step; empty where a step could never be asked."""
    if not watch.applies[number]:
        return []
    steps: list[Asked] = []
    for place, choice in enumerate(row.do):
        found = [
            watch.best[number, place, which]
            for which in range(len(choice))
            if (number, place, which) in watch.best
        ]
        if not found and row.in_order and steps:
            never = ("no time was left",)
            at_s = steps[-1].at_s
            steps.append(Asked(word=choice[0], answer=Answer.REFUSED, at_s=at_s, reasons=never))
            break
        if not found:
            return []
        steps.append(max(found, key=lambda one: STRICTNESS.index(one.answer)))
    return steps


def _examine_unsafe(row: Row, episodes: Sequence[Episode], judged: Judged) -> Finding:
    forced: list[Forced] = []
    codes = judged(forcing(row, forced), episodes)
    pairs = [(one, hit) for one, hit in zip(forced, codes, strict=False) if one.taken]
    permitted = [one.answer is Answer.ALLOWED for one, _ in pairs]
    return Finding(
        row=row,
        episodes=len(pairs),
        inside=sum(permitted),
        asks=sum(one.answer is Answer.ASKS for one, _ in pairs),
        caused=sum(bool(hit) for _, hit in pairs),
        inside_and_caused=sum(
            bool(hit) and ok for (_, hit), ok in zip(pairs, permitted, strict=True)
        ),
        codes=_counted(hit for _, hit in pairs),
        reasons=_counted(
            tuple(reason for asked in one.asked for reason in asked.reasons) for one, _ in pairs
        ),
    )


def _counted(groups: Iterable[Sequence[str]]) -> tuple[tuple[str, int], ...]:
    """Return in how many groups each head occurs: a guard's name, or a code."""
    counts: dict[str, int] = {}
    for group in groups:
        for head in sorted({text.partition(":")[0] for text in group}):
            counts[head] = counts.get(head, 0) + 1
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
