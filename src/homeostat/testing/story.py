"""A made-up but coherent day of one deployment, as the journal would tell it.

For tests of what people look at, for documentation and for screenshots: three minutes of calm, a
slow replica found and restarted, a gap in the data, a rush of requests that needs a yes. The
numbers are seeded and plausible; nothing here runs the core, and no benchmark may use it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from homeostat.base import names
from homeostat.base.events import Command, Event, FleetView, Received, Record, Started, Tell, Ticked
from homeostat.base.events import Write as WriteCommand
from homeostat.base.types import (
    Action,
    ActionKind,
    ActionRecord,
    ActionState,
    Apply,
    Ask,
    DecisionRecord,
    Effect,
    Family,
    GuardPolicy,
    Incident,
    Intent,
    KillLevel,
    Managed,
    Mode,
    Notice,
    Objective,
    Outcome,
    Receipt,
    ReceiptStatus,
    TimeNs,
    UndoKind,
    Urgency,
)
from homeostat.base.units import SECOND
from homeostat.testing.story_senses import GAP_AT, P95_LIMIT_MS, SLOW_AT, Senses, suspicions

ASKED_AT: Final = 268
TICKS: Final = 300
"""Ticks of one second; the question asked at `ASKED_AT` is still open at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """One tick: what is journaled, in order."""

    at: TimeNs
    items: tuple[Event | Command, ...]


def managed(name: str) -> Managed:
    """Return the deployment's configuration."""
    return Managed(
        name=name,
        mode=Mode.AUTO,
        scrape_ns=SECOND,
        objective=Objective(latency_p95_ms=P95_LIMIT_MS, error_ratio=0.01, accuracy=0.8),
        stable_pool="a",
        fallback_pool="b",
        scale_actuator="host",
        traffic_actuator="envoy",
        replica_usd_per_hour=0.35,
        guard=GuardPolicy(auto_kinds=(ActionKind.RESTART_REPLICA,), granted_by="story"),
        policy_digest="9f2b" * 16,
    )


def story(
    start: TimeNs, *, name: str = "credit", seed: int = 7, ticks: int = TICKS
) -> Iterator[Beat]:
    """Yield the story's beats, one a second from `start`.

    Args:
        start: The time of the first beat.
        name: The deployment's name.
        seed: Of the noise; the plot is always the same.
        ticks: How many beats, at most `TICKS` is told; the calm after it goes on for ever.
    """
    teller = _Teller(name=name, senses=Senses(name, start, seed))
    yield Beat(at=start, items=(Started(at=start, epoch=3, managed=managed(name)),))
    for tick in range(1, ticks):
        at = TimeNs(start + tick * SECOND)
        evidence = teller.senses.evidence(tick, at)
        ticked = Ticked(at=at, evidence=evidence, fleet=FleetView(replicas=4), kill=KillLevel.OFF)
        yield Beat(at=at, items=(ticked, *teller.plot(tick, at)))


@dataclass(slots=True, kw_only=True)
class _Teller:
    name: str
    senses: Senses
    record: ActionRecord | None = None
    incident: Incident | None = None

    def plot(self, tick: int, at: TimeNs) -> tuple[Event | Command, ...]:
        """Return what happens besides the measuring."""
        since = tick - SLOW_AT
        states = {8: ActionState.APPLIED, 9: ActionState.SETTLING, 13: ActionState.VERIFYING}
        self.senses.restarting = since == 8  # noqa: PLR2004 - while the spare takes over
        self.senses.restarted = since >= 9  # noqa: PLR2004 - the new process serves
        if since in states:
            return self._move(states[since], at, "the target confirmed the write")
        plots: dict[int, Callable[[], tuple[Event | Command, ...]]] = {
            SLOW_AT + 2: lambda: self._open(at, "i-0001", Family.REPLICA, "replica:a-2"),
            SLOW_AT + 5: lambda: (*self._confirm(at), *self._restart(at)),
            SLOW_AT + 7: lambda: self._done(at),
            SLOW_AT + 20: lambda: self._helped(at),
            SLOW_AT + 28: self._close,
            GAP_AT + 4: lambda: self._blind(at),
            ASKED_AT - 4: lambda: self._open(at, "i-0002", Family.LOAD, "pool:a"),
            ASKED_AT: lambda: (*self._confirm(at), *self._ask(at)),
        }
        return plots[tick]() if tick in plots else ()

    def _open(
        self, at: TimeNs, incident_id: str, family: Family, subject: str
    ) -> tuple[Command, ...]:
        slow, rush = (8.0, 1.0) if family is Family.REPLICA else (1.0, 2.2)
        self.incident = Incident(
            id=incident_id,
            deployment=self.name,
            family=family,
            subject=subject,
            opened_at=at,
            confirmed_at=None,
            tries=0,
            escalated=False,
            because=suspicions(slow, rush)[0].because,
        )
        return (Record(fact=self.incident),)

    def _confirm(self, at: TimeNs) -> tuple[Command, ...]:
        assert self.incident is not None  # noqa: S101 - the plot opened it
        self.incident = replace(self.incident, confirmed_at=at)
        return (Record(fact=self.incident),)

    def _close(self) -> tuple[Command, ...]:
        assert self.incident is not None  # noqa: S101 - the plot opened it
        return (Record(fact=self.incident, open=False),)

    def _restart(self, at: TimeNs) -> tuple[Command, ...]:
        action = Action(
            kind=ActionKind.RESTART_REPLICA,
            subject="replica:a-2",
            actuator="host",
            change=(("incarnation.a-2", 2),),
            undo=UndoKind.COMPENSATING,
            replicas_touched=1,
            settle_ns=4 * SECOND,
            exempt=True,
        )
        because = ("a-2 is slow, its peers are well", "a warm spare takes its place first")
        record = self._decision(
            "d-0001",
            at,
            Apply(action=action, because=because),
            considered=(
                ("restart_replica replica:a-2", 4.0),
                ("drain_replica replica:a-2", 3.0),
                ("shift_traffic pool:b", 2.0),
                ("escalate model", 1.0),
            ),
            allowed=(
                "hold",
                "restart_replica replica:a-2 (incarnation.a-2=2)",
                "drain_replica replica:a-2 (drained.a-2=1)",
                "escalate",
            ),
        )
        intent = Intent(
            id="d-0001.0.0",
            action_id="d-0001",
            deployment=self.name,
            actuator="host",
            epoch=3,
            stage=0,
            pre=(("incarnation.a-2", 1),),
            post=action.change,
            token="41",  # noqa: S106 - a revision number
            evidence_at=at,
            deadline=TimeNs(at + 5 * SECOND),
        )
        self.record = self._action("d-0001", at, action, ActionState.INTENT, intent)
        return (Record(fact=record), Record(fact=self.record), WriteCommand(intent=intent))

    def _done(self, at: TimeNs) -> tuple[Event, ...]:
        receipt = Receipt(
            intent_id="d-0001.0.0",
            status=ReceiptStatus.DONE,
            at=at,
            token="42",  # noqa: S106 - a revision number
            detail="host took revision 42",
        )
        return (Received(at=at, receipt=receipt, kill=KillLevel.OFF),)

    def _move(self, state: ActionState, at: TimeNs, reason: str) -> tuple[Command, ...]:
        assert self.record is not None  # noqa: S101 - the plot began it
        self.record = replace(self.record, state=state, state_since=at, reason=reason)
        return (Record(fact=self.record),)

    def _helped(self, at: TimeNs) -> tuple[Command, ...]:
        outcome = Outcome(
            action_id="d-0001",
            deployment=self.name,
            at=at,
            effect=Effect.HELPED,
            before=((names.LATENCY_P95, 425.0), (names.ERROR_RATIO, 0.0023)),
            after=((names.LATENCY_P95, 62.0), (names.ERROR_RATIO, 0.0011)),
        )
        title = "d-0001 restart_replica replica:a-2: succeeded"
        return (
            *self._move(ActionState.SUCCEEDED, at, "p95 425 -> 62 ms, within the objective"),
            Record(fact=outcome),
            self._tell("d-0001", at, Urgency.INFO, title, "p95 425 -> 62 ms"),
        )

    def _blind(self, at: TimeNs) -> tuple[Command, ...]:
        line = "the gateway's metrics page has not answered for 4 s: nothing is judged, or changed"
        return (self._tell("data", at, Urgency.INFO, "data is stale: holding", line),)

    def _ask(self, at: TimeNs) -> tuple[Command, ...]:
        action = Action(
            kind=ActionKind.SCALE_UP,
            subject="pool:a",
            actuator="host",
            change=(("replicas.a", 4),),
            undo=UndoKind.EXACT,
            replicas_touched=1,
            cost_usd_per_hour=0.35,
            settle_ns=8 * SECOND,
        )
        because = ("arrivals 220/s against 88 to 112", "device time flat: more work, not slower")
        record = self._decision(
            "d-0002",
            at,
            Ask(action=action, because=because, expires_at=TimeNs(at + 300 * SECOND)),
            considered=(
                ("scale_up pool:a", 4.0),
                ("batch_up model", 3.0),
                ("shed_load gateway", 2.0),
                ("escalate model", 1.0),
            ),
            allowed=("hold", "escalate", "scale_up pool:a (replicas.a=4)"),
        )
        self.record = self._action("d-0002", at, action, ActionState.AWAITING_APPROVAL, None)
        question = self._tell(
            "d-0002", at, Urgency.ASK, "d-0002: may I scale_up pool:a?", because[0]
        )
        return (Record(fact=record), question, Record(fact=self.record))

    def _decision(
        self,
        decision_id: str,
        at: TimeNs,
        decision: Apply | Ask,
        *,
        considered: tuple[tuple[str, float], ...],
        allowed: tuple[str, ...],
    ) -> DecisionRecord:
        assert self.incident is not None  # noqa: S101 - the plot opened it
        return DecisionRecord(
            id=decision_id,
            deployment=self.name,
            incident_id=self.incident.id,
            at=at,
            decision=decision,
            considered=considered,
            allowed=allowed,
            refused=(
                ("restart_all model", ("G5 blast radius 100 %, at most 34 % at once",)),
                (
                    "rollback pool:a (version.a=v1)",
                    ("G12 rollback was not granted", "G1 v2 is not proven bad: 2 of 3 are well"),
                ),
                ("shift_traffic pool:b (weight.b=40)", ("G2 weight.b may rise to 25 at once",)),
            ),
            policy_digest="9f2b" * 16,
            mode=Mode.AUTO.value,
        )

    def _action(
        self,
        action_id: str,
        at: TimeNs,
        action: Action,
        state: ActionState,
        intent: Intent | None,
    ) -> ActionRecord:
        assert self.incident is not None  # noqa: S101 - the plot opened it
        return ActionRecord(
            id=action_id,
            deployment=self.name,
            incident_id=self.incident.id,
            action=action,
            state=state,
            epoch=3,
            stage=0,
            attempt=0,
            undo_attempts=0,
            intent=intent,
            first_pre=intent.pre if intent else (),
            proposed_at=at,
            state_since=at,
            deadline=TimeNs(at + 60 * SECOND),
            reason="the guards allow it" if intent else "waiting for a person",
        )

    def _tell(self, key: str, at: TimeNs, urgency: Urgency, title: str, line: str) -> Command:
        return Tell(
            notice=Notice(
                key=key,
                deployment=self.name,
                at=at,
                urgency=urgency,
                title=title,
                lines=(line,),
            )
        )
