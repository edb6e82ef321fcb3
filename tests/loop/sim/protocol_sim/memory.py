"""What the world remembers of promises: what was durable, what landed, what was permitted.

Kept by the world, never by a controller; the checkers (`invariants_*`) read and fill it.
"""

from collections import Counter
from dataclasses import dataclass, field, replace

from homeostat.base.actions import Action
from homeostat.base.guard import GuardAnswer
from homeostat.base.intent import ActionRecord, Intent
from homeostat.base.policy import KillLevel
from homeostat.base.units import TimeNs
from homeostat.base.world import Levers, Scalar, Snapshot
from homeostat.loop.protocol import News
from protocol_sim.options import Mode
from protocol_sim.senses import Look


class Violation(AssertionError):  # noqa: N818 - it is the word of the field
    """An invariant is broken."""

    def __init__(self, invariant: str, what: str) -> None:
        super().__init__(f"{invariant}: {what}")
        self.invariant = invariant


@dataclass(frozen=True, slots=True)
class Permit:
    """One yes of the guard; good for one write."""

    at: TimeNs  # by the process's own clock
    change: Levers
    undo: bool
    kill: KillLevel  # what the switch really said, an unreadable one as level one
    step: int  # the process's effects so far
    budget_usd: float
    action: Action
    world_at: TimeNs  # when the levers were read that it was judged on
    world: Snapshot | None = None  # as they were read


@dataclass(frozen=True, slots=True)
class Asked:
    """One question to the guard with its answer, and what could be seen."""

    action: Action
    undo: bool
    answer: GuardAnswer
    look: Look
    snapshot: Snapshot | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One durable step of an action, with what made it: enough to do it again."""

    before: ActionRecord | None
    after: ActionRecord
    news: News | None
    now: TimeNs
    snapshot: Snapshot | None


def same_write(one: Intent | None, other: Intent) -> bool:
    """Return whether two intents are one write; a takeover may give it until later to be known."""
    if one is None or one == other:
        return one is not None
    return replace(one, deadline=other.deadline) == other


@dataclass(slots=True)
class Memory:
    """The world's own memory of promises."""

    mode: Mode
    records: dict[str, ActionRecord] = field(default_factory=dict)  # target -> last durable
    actions: dict[str, ActionRecord] = field(default_factory=dict)  # action -> last durable
    intents: dict[str, Intent] = field(default_factory=dict)
    budgets: dict[str, float] = field(default_factory=dict)  # intent -> the budget it was under
    ids: dict[str, list[str]] = field(default_factory=dict)  # action -> its intents' ids
    log: list[Entry] = field(default_factory=list)
    landed: set[str] = field(default_factory=set)
    lied: set[str] = field(default_factory=set)  # "done", said of what was lost
    by_hand: set[str] = field(default_factory=set)  # of those, what somebody else did as well
    closed: set[str] = field(default_factory=set)  # may not land from now on
    permits: dict[tuple[int, str], Permit] = field(default_factory=dict)
    before: dict[str, dict[str, Scalar]] = field(default_factory=dict)  # action -> first pre-image
    helped: set[tuple[str, int]] = field(default_factory=set)
    word: set[str] = field(default_factory=set)  # actions certified, or let go on by a word
    formed: dict[str, dict[str, Scalar]] = field(default_factory=dict)  # action -> batches before
    meddled: set[str] = field(default_factory=set)  # actions while which others set a batch
    aborted: set[tuple[int, str]] = field(default_factory=set)
    stamped: dict[str, int] = field(default_factory=dict)  # target -> highest epoch seen
    live: dict[str, dict[str, Scalar]] = field(default_factory=dict)  # target -> its levers
    reverted: set[str] = field(default_factory=set)  # landed, then overwritten by somebody else
    counts: Counter[str] = field(default_factory=Counter)
    checked: Counter[str] = field(default_factory=Counter)  # how often each checker had a case

    def fail(self, invariant: str, what: str, *, cas_only: bool = False) -> None:
        """Raise, unless it cannot be told apart without compare-and-set.

        Raises:
            Violation: The invariant is promised here.
        """
        if cas_only and not self.mode.has_cas:
            self.counts[f"not told apart {invariant}"] += 1
            return
        raise Violation(invariant, what)

    def weak(self, invariant: str, what: str) -> None:
        """Raise, or only count where late and doubled writes are not excluded.

        Raises:
            Violation: The invariant is promised here.
        """
        if self.mode.is_strict:
            raise Violation(invariant, what)
        self.counts[f"stale {invariant}"] += 1

    def close(self, intent_id: str) -> None:
        self.closed.add(intent_id)

    def dead(self, intent_id: str) -> None:
        """An intent is said not to have landed and never to land (I4)."""
        if intent_id in self.landed:
            if intent_id in self.reverted and self.intents[intent_id].stamp is None:
                self.counts["not told apart: landed and reverted by someone"] += 1
            else:
                self.weak("I4", f"{intent_id} is recorded not applied and did land")
        self.close(intent_id)
