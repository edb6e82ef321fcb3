"""One deployment as its journal tells it: a fold over events and facts, bounded in memory.

Keeps the latest of everything and a bounded history. It draws no conclusion of its own: health is
a word for what the evidence, the incidents and the actions already say.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from homeostat.base.budgets import Accounts
from homeostat.base.canary import AlikeState
from homeostat.base.learning import Covering, Lesson, Seating
from homeostat.base.rehearsal import Rehearsal
from homeostat.base.training import Lineage
from homeostat.base.types import (
    ActionRecord,
    ActionState,
    Ask,
    DecisionRecord,
    Evidence,
    Incident,
    Managed,
    Notice,
    Outcome,
    Proof,
    Quality,
    Receipt,
    Snapshot,
    TimeNs,
    UndoKind,
)
from homeostat.server.view_series import SeriesRing

HISTORY: Final = 500
"""Decisions, actions and incidents kept per deployment; the journal keeps them all."""

THEN: Final = 50
"""Decisions of which it is kept what they were taken with: some kilobytes each."""

STEPS: Final = 64
"""States kept per action; a ramp of ten stages with retries needs about 40."""

T = TypeVar("T")


class Bounded(Generic[T]):
    """A dict in order of first insertion that forgets the oldest entry it may forget."""

    __slots__ = ("_items", "_pinned", "limit")

    def __init__(self, limit: int, pinned: Callable[[T], bool] = lambda _: False) -> None:
        self.limit = limit
        self._items: dict[str, T] = {}
        self._pinned = pinned

    def drop(self, key: str) -> None:
        """Forget one entry, if it is there."""
        self._items.pop(key, None)

    def put(self, key: str, item: T) -> None:
        """Add or replace; beyond the limit the oldest entry that is not pinned goes."""
        self._items[key] = item
        if len(self._items) > self.limit:
            old = next((k for k, v in self._items.items() if k != key and not self._pinned(v)), "")
            self._items.pop(old, None)

    def get(self, key: str) -> T | None:
        """Return an entry, None if there is none."""
        return self._items.get(key)

    def newest(self, limit: int | None = None) -> tuple[T, ...]:
        """Return the entries, newest first."""
        return tuple(reversed(self._items.values()))[:limit]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a person said to a question."""

    approved: bool
    by: str
    why: str
    at: TimeNs


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentEntry:
    """An incident as last recorded; `closed_at` is None while it is open."""

    incident: Incident
    closed_at: TimeNs | None


@dataclass(slots=True, kw_only=True)
class ActionEntry:
    """An action record as last recorded, with the states it went through.

    Attributes:
        record: The latest version.
        steps: State, since when, why; oldest first.
        receipt: The last answer to one of its writes.
    """

    record: ActionRecord
    steps: list[tuple[ActionState, TimeNs, str]] = field(default_factory=list)
    receipt: Receipt | None = None


class DeploymentState:
    """All that is shown of one deployment. Changed only by `View`."""

    def __init__(self, name: str, *, ticks: int, history: int = HISTORY) -> None:
        self.name = name
        self.now = TimeNs(0)
        self.rehearsal: Rehearsal | None = None
        self.accounts: Accounts | None = None
        self.alike: AlikeState | None = None
        self.freeze: tuple[TimeNs, TimeNs | None, str] | None = None
        self.managed: Managed | None = None
        self.epoch: int | None = None
        self.evidence: Evidence | None = None
        self.world: Snapshot | None = None
        self.world_failed_at: TimeNs | None = None
        self.believed_at: TimeNs | None = None
        self.known_at: TimeNs | None = None
        self.series = SeriesRing(ticks)
        self.answers: Bounded[Answer] = Bounded(history)
        self.outcomes: Bounded[Outcome] = Bounded(history)
        self.notices: Bounded[Notice] = Bounded(history)
        self.incidents: Bounded[IncidentEntry] = Bounded(history, lambda e: e.closed_at is None)
        self.actions: Bounded[ActionEntry] = Bounded(
            history, lambda e: not e.record.state.is_terminal
        )
        self.rehearsals: Bounded[Rehearsal] = Bounded(history)
        self.seatings: Bounded[Seating] = Bounded(history)
        self.lessons: Bounded[Lesson] = Bounded(history)
        self.lineages: Bounded[Lineage] = Bounded(history)
        self.covering: Covering | None = None
        self.then: Bounded[dict[str, Any]] = Bounded(min(history, THEN))
        self.decisions: Bounded[DecisionRecord] = Bounded(
            history, lambda d: self.is_pending(d, self.now)
        )

    def saw(self, at: TimeNs) -> None:
        """Move the deployment's own time; it is the newest time in its journal."""
        self.now = at
        if self.known_at is None:
            self.known_at = at  # nothing is known yet, and for how long counts from here

    def decided(self, record: DecisionRecord) -> None:
        """Take one decision, with the rehearsal that it rests on, if there is one."""
        self.decisions.put(record.id, record)
        twin = None if self.managed is None else self.managed.twin
        if twin is None or self.rehearsal is None:
            return
        if record.at - self.rehearsal.at <= twin.good_ns + twin.deadline_ns:
            self.rehearsals.put(record.id, self.rehearsal)

    def learnt(self, lesson: Lesson) -> None:
        """Take what came of a choice."""
        self.lessons.put(lesson.decision_id, lesson)
        self.covering = lesson.covering

    def ticked(self, evidence: Evidence) -> None:
        """Take one tick's evidence."""
        self.evidence = evidence
        self.series.push(evidence.at, evidence.readings)
        if evidence.world is not None:
            self.world, self.world_failed_at = evidence.world, None
        if evidence.slo_met is not None:
            self.known_at = evidence.at
        ages = [r.age_ns for r in evidence.readings if r.quality is Quality.GOOD]
        if ages:
            self.believed_at = TimeNs(evidence.at - min(ages))

    def acted(self, record: ActionRecord) -> ActionEntry:
        """Take one version of an action record."""
        entry = self.actions.get(record.id) or ActionEntry(record=record)
        entry.record = record
        if self._ends_unproven(record.id):
            self.answers.drop(record.id)  # a second question, and nobody's word has settled it
        step = (record.state, record.state_since, record.reason)
        if not entry.steps or entry.steps[-1][:2] != step[:2]:
            entry.steps = [*entry.steps[1 - STEPS :], step]
        self.actions.put(record.id, entry)
        if record.state is ActionState.AWAITING_APPROVAL and not record.approved_by:
            self.answers.drop(record.id)  # what was said did not settle it
        return entry

    def is_pending(self, record: DecisionRecord, now: TimeNs) -> bool:
        """Return whether a question is still open: asked, not answered, not expired."""
        if self._ends_unproven(record.id):
            return self.answers.get(record.id) is None
        if not isinstance(record.decision, Ask) or now >= record.decision.expires_at:
            return False
        entry = self.actions.get(record.id)
        waiting = {ActionState.PROPOSED, ActionState.AWAITING_APPROVAL}
        return self.answers.get(record.id) is None and (
            entry is None or entry.record.state in waiting
        )

    def _ends_unproven(self, decision_id: str) -> bool:
        """Return whether a ramp is waiting for a word that it may end unproven."""
        entry = self.actions.get(decision_id)
        if entry is None or entry.record.state.is_terminal:
            return False
        back = entry.record.state is ActionState.ROLLING_BACK
        return entry.record.proof is Proof.ASKED and not back

    def pending(self, now: TimeNs) -> tuple[DecisionRecord, ...]:
        """Return the open questions, oldest first."""
        return tuple(d for d in reversed(self.decisions.newest()) if self.is_pending(d, now))

    def is_undoable(self, decision_id: str) -> bool:
        """Return whether an action can be taken back: finished, or a ramp that is under way."""
        entry = self.actions.get(decision_id)
        if entry is None or entry.record.action.undo is UndoKind.NONE:
            return False
        if entry.record.action.beside and not entry.record.state.is_terminal:
            return entry.record.state is not ActionState.ROLLING_BACK
        done = {ActionState.SUCCEEDED, ActionState.SUCCEEDED_UNPROVEN}
        return entry.record.state in done and bool(entry.record.first_pre)

    def in_flight(self) -> ActionEntry | None:
        """Return the action that is being carried out, None if there is none."""
        idle = {ActionState.PROPOSED, ActionState.AWAITING_APPROVAL}
        return next(
            (
                entry
                for entry in self.actions.newest()
                if not entry.record.state.is_terminal and entry.record.state not in idle
            ),
            None,
        )

    def open_incidents(self) -> tuple[IncidentEntry, ...]:
        """Return the open incidents, newest first."""
        return tuple(entry for entry in self.incidents.newest() if entry.closed_at is None)

    def health(self, now: TimeNs) -> str:
        """Return one word: the most pressing of what is already known."""
        facts = (
            (self.evidence is None, "unknown"),
            (self.in_flight() is not None, "healing"),
            (bool(self.pending(now)), "asking"),
            (self.evidence is not None and self.evidence.slo_met is False, "breach"),
            (bool(self.open_incidents()), "incident"),
            (self.evidence is not None and not self.evidence.ready, "learning"),
            (self.evidence is not None and self.evidence.slo_met is None, "unknown"),
        )
        return next((word for holds, word in facts if holds), "ok")
