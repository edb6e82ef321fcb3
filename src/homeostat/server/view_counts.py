"""Counters behind `/metrics`, folded from the same events as the rest of the view.

Folded from the same part of a journal they give the same numbers. Labels are bounded: names come
from the configuration and from enums; a reason counts under its guard's id (`G0` to `G99`) or
under `other`.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from typing import Final

from homeostat.base.evidence import Evidence, Quality
from homeostat.base.intent import ActionRecord, ActionState, ReceiptStatus
from homeostat.base.types import Apply, Ask, DecisionRecord, Outcome
from homeostat.base.units import SECOND

RECOVERY_EDGES: Final = (5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 300.0, 900.0, 3600.0)
"""Seconds; the goals are a median of 20 and a worst case of 45."""

LOOP_EDGES: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Seconds; a tick is one second, so a loop above that is late."""

ACTION_EDGES: Final = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 1800.0, 3600.0, 14400.0, 86400.0)
"""Seconds; a restart ends within a minute, a ramp within hours."""

_RULE = re.compile(r"G\d{1,2}\b")


class Histogram:
    """Counts per bucket, sum and number, as Prometheus wants them."""

    __slots__ = ("counts", "edges", "total")

    def __init__(self, edges: tuple[float, ...]) -> None:
        self.edges = edges
        self.counts = [0] * (len(edges) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value; a bucket holds what is at or below its edge."""
        self.counts[bisect_left(self.edges, value)] += 1
        self.total += value

    def cumulative(self) -> list[tuple[str, float]]:
        """Return (upper edge, count at or below it) pairs, `+Inf` last."""
        running, rows = 0, []
        for edge, count in zip((*map(str, self.edges), "+Inf"), self.counts, strict=True):
            running += count
            rows.append((edge, float(running)))
        return rows


class Counts:
    """Totals of what was folded so far: this process's, and what it read of the journal."""

    __slots__ = (
        "blocked",
        "decisions",
        "ended",
        "jumps",
        "loop",
        "missing",
        "outcomes",
        "receipts",
        "recovery",
        "rollbacks",
        "took",
    )

    def __init__(self) -> None:
        self.decisions: Counter[tuple[str, ...]] = Counter()
        self.blocked: Counter[tuple[str, ...]] = Counter()
        self.outcomes: Counter[tuple[str, ...]] = Counter()
        self.missing: Counter[tuple[str, str]] = Counter()
        self.ended: Counter[tuple[str, str]] = Counter()
        self.receipts: Counter[tuple[str, str]] = Counter()
        self.rollbacks: Counter[tuple[str, str]] = Counter()
        self.took: dict[str, Histogram] = {}
        self.jumps: Counter[str] = Counter()
        self.recovery: dict[str, Histogram] = {}
        self.loop = Histogram(LOOP_EDGES)

    def decided(self, record: DecisionRecord) -> None:
        """Count a decision and what its guards refused."""
        choice, action = "hold", "hold"
        if isinstance(record.decision, Apply | Ask):
            choice = "apply" if isinstance(record.decision, Apply) else "ask"
            action = record.decision.action.kind.value
        self.decisions[record.deployment, action, choice, record.mode] += 1
        for _, reasons in record.refused:
            for rule in rules(reasons):
                self.blocked[record.deployment, rule] += 1

    def ticked(self, evidence: Evidence) -> None:
        """Count the values that could not be believed, by cause."""
        bad = (one.quality for one in evidence.readings if one.quality is not Quality.GOOD)
        for quality, number in Counter(bad).items():
            self.missing[evidence.deployment, quality.value] += number

    def moved(self, deployment: str, before: ActionRecord | None, after: ActionRecord) -> None:
        """Count an action that entered a state: that it was taken back, or how it ended.

        Args:
            deployment: Whose it is.
            before: The record as it was last seen, None for a new one.
            after: The record now.
        """
        was = None if before is None else before.state
        if was is after.state:
            return
        if after.state is ActionState.ROLLING_BACK and was is not None:
            trigger = "blameless" if after.blameless else was.value
            self.rollbacks[deployment, trigger] += 1
        if after.state.is_terminal:
            end = after.state.value
            self.ended[deployment, end] += 1
            histogram = self.took.setdefault(end, Histogram(ACTION_EDGES))
            histogram.observe(max(0, after.state_since - after.proposed_at) / SECOND)

    def received(self, deployment: str, status: ReceiptStatus) -> None:
        """Count a target's answer to a write."""
        self.receipts[deployment, status.value] += 1

    def settled(self, outcome: Outcome) -> None:
        """Count an action's measured effect."""
        self.outcomes[outcome.deployment, outcome.effect.value] += 1

    def recovered(self, deployment: str, duration_ns: int) -> None:
        """Count a closed incident with its length."""
        histogram = self.recovery.setdefault(deployment, Histogram(RECOVERY_EDGES))
        histogram.observe(max(0, duration_ns) / SECOND)


def rules(reasons: Iterable[str]) -> tuple[str, ...]:
    """Return the distinct guards that said no, in order of appearance.

    >>> rules(("G5 blast radius 100 %", "G3 cooling down", "because"))
    ('G5', 'G3', 'other')
    """
    found = (_RULE.match(reason) for reason in reasons)
    return tuple(dict.fromkeys(match.group() if match else "other" for match in found))
