"""The read model: what the journal says, folded into what people look at.

`View` takes journaled events and commands, in order, and keeps in bounded memory what the API,
the event stream and the console show. It is pure (no clock, no I/O), decides nothing, and can be
rebuilt from a journal at any time. It belongs to one thread.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from homeostat.base import codec
from homeostat.base.autonomy import Grant
from homeostat.base.budgets import Accounts
from homeostat.base.canary import AlikeState
from homeostat.base.events import (
    Approval,
    AskTraining,
    AutonomySet,
    CanaryRequested,
    Claim,
    ClockJumped,
    Command,
    Confirmed,
    Event,
    FeedbackReset,
    Granted,
    LookAtTraining,
    MarkVersion,
    ReadWorld,
    Received,
    Reconfigured,
    Record,
    Rehearse,
    Rehearsed,
    Started,
    Tell,
    Ticked,
    TrainingSeen,
    UndoRequested,
    WorldRead,
    Write,
)
from homeostat.base.learning import Lesson, Seating
from homeostat.base.ports import Entry
from homeostat.base.training import Lineage
from homeostat.base.types import (
    ActionRecord,
    DecisionRecord,
    Incident,
    KillLevel,
    Managed,
    Outcome,
    Receipt,
    Snapshot,
    TimeNs,
)
from homeostat.base.units import SECOND
from homeostat.base.words import CalledNormal
from homeostat.server import view_plain, view_series
from homeostat.server.view_counts import Counts
from homeostat.server.view_deployment import HISTORY, Answer, DeploymentState, IncidentEntry
from homeostat.server.view_feed import KEEP, Change, Feed
from homeostat.server.view_series import CAPACITY
from homeostat.server.view_then import then

_Words = Confirmed | CalledNormal | FeedbackReset
_Said = CanaryRequested | Granted | AutonomySet | _Words | TrainingSeen
_Noted = Rehearsed | ClockJumped | UndoRequested | _Said
_WITHOUT_KILL = Started | Reconfigured | ClockJumped | Granted | AutonomySet | _Words
Freezing = tuple[TimeNs, TimeNs | None, str]
"""Start, end and reason of a freeze that is in force or comes next."""
_INTENTS: Final = 4096
"""Writes whose deployment is remembered until their receipts come."""


class View:
    """Everything that can be looked at, by deployment.

    Args:
        ticks: Ticks of series kept per deployment.
        history: Decisions, actions and incidents kept per deployment.
        feed: Changes kept for the event stream.
    """

    def __init__(self, *, ticks: int = CAPACITY, history: int = HISTORY, feed: int = KEEP) -> None:
        self.counts = Counts()
        self.kill = KillLevel.OFF
        self.accounts_of: Callable[[str], Accounts | None] = lambda _: None
        self.alike_of: Callable[[str], AlikeState | None] = lambda _: None
        self.freeze_of: Callable[[str], Freezing | None] = lambda _: None
        self._ticks, self._history = ticks, history
        self._states: dict[str, DeploymentState] = {}
        self._feed = Feed(feed)
        self._intents: OrderedDict[str, str] = OrderedDict()

    @property
    def version(self) -> int:
        """The number of the last change; grows with every change, never falls."""
        return self._feed.version

    def deployments(self) -> tuple[DeploymentState, ...]:
        """Return every deployment, sorted by name."""
        return tuple(state for _, state in sorted(self._states.items()))

    def deployment(self, name: str) -> DeploymentState | None:
        """Return one deployment, None if the journal never named it."""
        return self._states.get(name)

    def changes(self, after: int) -> tuple[Change, ...] | None:
        """Return the changes after a version; None if they are no longer all kept."""
        return self._feed.after(after)

    def watch(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` after each change; returns the function that ends it."""
        return self._feed.watch(wake)

    def loop_took(self, duration_ns: int) -> None:
        """Count how long one turn of the loop took."""
        self.counts.loop.observe(duration_ns / SECOND)

    def rebuild(self, entries: Iterable[Entry]) -> int:
        """Fold a journal's entries; returns how many were events or commands.

        Raises:
            ValueError: An entry is not a noun of this version's codec.
        """
        folded = 0
        for entry in entries:
            if entry.kind == "event":
                self.event(codec.decode(entry.body), deployment=entry.deployment)
            elif entry.kind == "command":
                self.command(codec.decode(entry.body), deployment=entry.deployment)
            else:
                continue
            folded += 1
        return folded

    def observe(self, deployment: str, item: Event | Command) -> None:
        """Fold one entry of a deployment's journal, event or command."""
        if isinstance(item, Event):
            self.event(item, deployment=deployment)
        else:
            self.command(item, deployment=deployment)

    def event(self, event: Event, *, deployment: str = "") -> None:
        """Fold one event; `deployment` names the journal it is from when the event does not."""
        match event:
            case Started(managed=managed):
                self._configured(managed, event.at, by="start", epoch=event.epoch)
            case Reconfigured(managed=managed):
                self._configured(managed, event.at, by=event.by)
            case Ticked():
                self._ticked(event)
            case WorldRead():
                self._world_read(event, deployment)
            case Received(receipt=receipt):
                self._received(receipt, event.at, deployment)
            case Approval():
                self._answered(event, deployment or event.deployment)
            case _:
                self._noted(event, deployment)
        if not isinstance(event, _WITHOUT_KILL):
            self.throw(event.kill)

    def _noted(self, event: _Noted, deployment: str) -> None:
        match event:
            case Rehearsed():
                self._state(deployment).rehearsal = event.rehearsal
            case ClockJumped():
                self.counts.jumps[deployment] += 1
                self._said("clock", event.at, deployment, event)
            case UndoRequested():
                self._said("undo", event.at, deployment or event.deployment, event)
            case _:
                self._state(deployment).saw(event.at)  # what follows from it is a fact of its own

    def command(self, command: Command, *, deployment: str = "") -> None:
        """Fold one command; `deployment` names the journal it is from when it does not.

        Raises:
            TypeError: It is not one of `base.events.Command`.
        """
        match command:
            case Record():
                self._fact(command, deployment)
            case Tell(notice=notice):
                state = self._state(notice.deployment or deployment)
                state.notices.put(notice.key, notice)
                self._publish(state, "notice", view_plain.notice(notice))
            case Write(intent=intent):
                self._intents[intent.id] = intent.deployment
                if len(self._intents) > _INTENTS:
                    self._intents.popitem(last=False)
            case (
                ReadWorld()
                | Claim()
                | Rehearse()
                | AskTraining()
                | LookAtTraining()
                | MarkVersion()
            ):
                pass  # nothing to look at until the answer comes
            case _:
                raise TypeError(f"not a command: {command!r}")

    def _fact(self, command: Record, deployment: str) -> None:
        match command.fact:
            case ActionRecord() as record:
                state = self._state(record.deployment or deployment)
                before = state.actions.get(record.id)
                self.counts.moved(state.name, None if before is None else before.record, record)
                self._publish(state, "action", view_plain.action_entry(state, state.acted(record)))
            case DecisionRecord() as record:
                state = self._state(record.deployment or deployment)
                state.decided(record)
                if state.evidence is not None:
                    state.then.put(record.id, then(state.evidence))
                self.counts.decided(record)
                self._publish(state, "decision", view_plain.decision(state, record, state.now))
            case Incident() as incident:
                self._incident(incident, is_open=command.open)
            case Outcome() as outcome:
                state = self._state(outcome.deployment or deployment)
                state.outcomes.put(outcome.action_id, outcome)
                self.counts.settled(outcome)
                self._publish(state, "outcome", view_plain.outcome(outcome))
            case Seating() as said:
                self._state(said.deployment or deployment).seatings.put(said.decision_id, said)
            case Lesson() as lesson:
                self._learnt(self._state(lesson.deployment or deployment), lesson)
            case Lineage() as lineage:
                self._state(deployment).lineages.put(lineage.order.key, lineage)
            case Grant():
                pass  # nothing to look at

    def _learnt(self, state: DeploymentState, lesson: Lesson) -> None:
        state.learnt(lesson)
        record = state.decisions.get(lesson.decision_id)
        if record is not None:
            self._publish(state, "decision", view_plain.decision(state, record, state.now))

    def throw(self, level: KillLevel) -> None:
        """Show the kill switch's level; setting it is `KillControl`'s."""
        if level is not self.kill:
            self.kill = level
            self._feed.publish("kill", "", {"level": level.value})

    def _state(self, name: str) -> DeploymentState:
        if name not in self._states:
            self._states[name] = DeploymentState(name, ticks=self._ticks, history=self._history)
        return self._states[name]

    def _publish(self, state: DeploymentState, kind: str, data: view_plain.Plain) -> None:
        self._feed.publish(kind, state.name, data)

    def _configured(
        self, managed: Managed, at: TimeNs, *, by: str, epoch: int | None = None
    ) -> None:
        state = self._state(managed.name)
        state.saw(at)
        state.managed = managed
        state.epoch = state.epoch if epoch is None else epoch
        self._publish(
            state,
            "config",
            {"deployment": state.name, "at": view_plain.when(at), "by": by}
            | {"mode": managed.mode.value, "frozen": managed.guard.frozen},
        )

    def _ticked(self, event: Ticked) -> None:
        state = self._state(event.evidence.deployment)
        before, world = state.world, event.evidence.world
        state.saw(event.at)
        state.ticked(event.evidence)
        self.counts.ticked(event.evidence)
        state.accounts, state.freeze = self.accounts_of(state.name), self.freeze_of(state.name)
        state.alike = self.alike_of(state.name)
        self._publish(state, "tick", view_plain.summary(state, event.at))
        self._publish(state, "points", view_series.points(event.evidence))
        if world is not None and not _same(before, world):
            self._publish_world(state)

    def _world_read(self, event: WorldRead, deployment: str) -> None:
        name = event.world.deployment if event.world else deployment
        if not name:
            return
        state = self._state(name)
        state.saw(event.at)
        if event.world is None:
            state.world_failed_at = event.at
        else:
            state.world, state.world_failed_at = event.world, None
        self._publish_world(state)

    def _publish_world(self, state: DeploymentState) -> None:
        plain = view_plain.world(state.world) if state.world else None
        failed = view_plain.when(state.world_failed_at)
        self._publish(
            state, "world", {"deployment": state.name, "world": plain, "world_failed_at": failed}
        )

    def _received(self, receipt: Receipt, at: TimeNs, deployment: str) -> None:
        name = self._intents.pop(receipt.intent_id, deployment) or deployment
        state = self._states.get(name)
        entry = state.actions.get(receipt.intent_id.partition(".")[0]) if state else None
        if state is None or entry is None:
            return
        state.saw(at)
        entry.receipt = receipt
        self.counts.received(state.name, receipt.status)
        self._publish(state, "action", view_plain.action_entry(state, entry))

    def _answered(self, event: Approval, deployment: str) -> None:
        state = self._states.get(deployment) or self._only(event.decision_id)
        if state is None:
            return
        state.saw(event.at)
        record = state.decisions.get(event.decision_id)
        if record is not None and not state.is_pending(record, event.at):
            return  # said too late: what settled it stays
        state.answers.put(
            event.decision_id,
            Answer(approved=event.approved, by=event.by, why=event.why, at=event.at),
        )
        if record is not None:
            self._publish(state, "decision", view_plain.decision(state, record, event.at))

    def _said(
        self, kind: str, at: TimeNs, deployment: str, event: UndoRequested | ClockJumped
    ) -> None:
        data: view_plain.Plain = {"deployment": deployment, "at": view_plain.when(at)}
        if isinstance(event, UndoRequested):
            data |= {"id": event.decision_id, "by": event.by}
        else:
            data |= {"by_s": round(event.by_ns / SECOND, 3)}
        self._feed.publish(kind, deployment, data)

    def _incident(self, incident: Incident, *, is_open: bool) -> None:
        state = self._state(incident.deployment)
        known = state.incidents.get(incident.id)
        closed_at = None if is_open else state.now
        if closed_at is not None and (known is None or known.closed_at is None):
            if incident.confirmed_at is not None:  # a blip is no recovery
                self.counts.recovered(state.name, closed_at - incident.opened_at)
        elif closed_at is not None and known is not None:
            closed_at = known.closed_at  # closed once
        entry = IncidentEntry(incident=incident, closed_at=closed_at)
        state.incidents.put(incident.id, entry)
        self._publish(state, "incident", view_plain.incident(entry))

    def _only(self, decision_id: str) -> DeploymentState | None:
        """Return the one deployment that took this decision; None when none or several did."""
        found = [s for s in self._states.values() if s.decisions.get(decision_id) is not None]
        return found[0] if len(found) == 1 else None


def _same(before: Snapshot | None, after: Snapshot) -> bool:
    """Return whether two reads say the same, whenever they were made."""
    return before is not None and replace(before, observed_at=after.observed_at) == after
