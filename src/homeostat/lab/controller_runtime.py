"""One deployment's runtime in simulated time: events in, commands carried out, nothing judged.

Does for one episode what the server's runtime does for one deployment, in the same order: a tick's
evidence is stepped, each command is carried out in turn, and what comes of it is the next event.
The twin moves a scrape at a time, so the answers to what was sent after one scrape come in shortly
before the next one. What asks again and again is answered again and again, `HOPS` times a scrape.
A question to the twin (`controller_twin`) is answered a second later, which is what it takes live;
what follows is ordered with the same scrape, as what follows from no question is.
"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from homeostat.base.actions import ActionKind
from homeostat.base.decisions import DecisionRecord, Notice, Urgency
from homeostat.base.events import (
    Claim,
    Command,
    Event,
    FleetView,
    ReadWorld,
    Received,
    Record,
    Rehearse,
    Rehearsed,
    Started,
    Tell,
    Ticked,
    WorldRead,
    Write,
)
from homeostat.base.evidence import Evidence
from homeostat.base.intent import ActionRecord, ActionState, Intent, Receipt
from homeostat.base.learning import Lesson, Payoff, Pick, Seating, SeatState
from homeostat.base.policy import KillLevel, Managed
from homeostat.base.rehearsal import Rehearsal
from homeostat.base.state import LoopState
from homeostat.base.units import MILLISECOND, SECOND, TimeNs
from homeostat.lab.controller_names import OWNERSHIP, family_index
from homeostat.lab.controller_platform import Platform
from homeostat.loop import step as loop_step
from homeostat.loop.parts import LoopParts
from homeostat.loop.telling import is_held

HOPS: Final = 10
"""Reads of the world in a row, before and after a tick, that find the same; a real read takes
milliseconds, a hundred of them here so that a loop of reads stays visible and cheap."""
_HOP_NS: Final = 100 * MILLISECOND
ANSWER_NS: Final = SECOND
"""From a question to the twin to its answer: live a rehearsal takes about a second of a core."""
_OFF: Final = KillLevel.OFF
_TELLS: Final = frozenset({Urgency.PAGE, Urgency.ASK})
# What removes or replaces capacity or versions; an undo of what added capacity does too.
DESTRUCTIVE: Final = frozenset({
    ActionKind.SCALE_DOWN,
    ActionKind.RESIZE_DOWN,
    ActionKind.RESTART_REPLICA,
    ActionKind.DRAIN_REPLICA,
    ActionKind.ROLLBACK,
    ActionKind.RETRAIN,
})
_ADDS: Final = frozenset({ActionKind.SCALE_UP, ActionKind.RESIZE_UP})


@dataclass(slots=True)
class Done:
    """What one deployment's controller did since the last scrape.

    Attributes:
        writes: Writes that the platform took.
        notices: What people were told.
        decisions: Decisions that were recorded.
        impulses: Orders without a lever, by their field in `twin.orders.Orders`.
        destructive: A write removes or replaces capacity or versions.
        owner_conflict: An action ended because somebody else wrote.
    """

    writes: list[Intent] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    decisions: list[DecisionRecord] = field(default_factory=list)
    impulses: list[str] = field(default_factory=list)
    destructive: bool = False
    owner_conflict: bool = False

    @property
    def told(self) -> bool:
        """Whether a person was asked or woken."""
        return any(notice.urgency in _TELLS for notice in self.notices)


class Runtime:
    """The controller of one episode.

    Args:
        parts: The loop's stages.
        managed: The deployment.
        platform: What is written to.
        now: When it starts.
        rehearse: The twin; None = questions are left unanswered, and nobody asks without one.
        learnt: What the decision seat knows when it starts, as text; empty = nothing.

    Attributes:
        played: How often the seat played each arm, by name.
        taught: What the seat learnt from, in order: the pick, and what came of it.
    """

    def __init__(
        self,
        parts: LoopParts,
        managed: Managed,
        platform: Platform,
        now: TimeNs,
        *,
        rehearse: Callable[[Rehearse, LoopState], Rehearsal] | None = None,
        learnt: str = "",
    ) -> None:
        self.parts, self.platform = parts, platform
        self.state = replace(loop_step.initial(managed), verified=platform.trusted)
        if learnt:
            self.state = replace(self.state, seat=SeatState(learnt=learnt))
        self.done = Done()
        self.played: Counter[str] = Counter()
        self.taught: list[tuple[Pick, Payoff]] = []
        self._picks: dict[str, Pick] = {}
        self._rehearse = rehearse
        self._answered = TimeNs(0)
        self._queue: deque[tuple[Command, int]] = deque()
        self._take(Started(at=now, epoch=1, managed=managed), now)

    @property
    def busy(self) -> bool:
        """Whether an action is in flight."""
        return self.state.record is not None

    @property
    def finished(self) -> bool:
        """Never: something may always happen."""
        return False

    @property
    def family(self) -> int:
        """What is diagnosed, as a place in `lab.types.FAMILIES`; -1 for nothing."""
        if self.done.owner_conflict:
            return OWNERSHIP
        incident = self.state.incident
        return family_index(incident.family if self.alarm and incident else None)

    @property
    def alarm(self) -> bool:
        """Whether the deployment is taken to be abnormal, and people are told so."""
        incident = self.state.incident
        held = is_held(self.state.telling, incident)
        return incident is not None and incident.confirmed_at is not None and not held

    def answers(self, receipts: tuple[Receipt, ...], at: TimeNs) -> None:
        """Take what became of the last scrape's writes, and everything that follows from it.

        Args:
            receipts: From the platform.
            at: Shortly before this scrape.
        """
        self.done = Done()
        for receipt in receipts:
            self._take(Received(at=at, receipt=receipt, kill=_OFF), at)
        self._carry_out(at)

    def tick(self, evidence: Evidence, at: TimeNs) -> None:
        """Take one tick's evidence, and everything that follows from it."""
        view = fleet_of_one(self.state, evidence)
        self._take(Ticked(at=at, evidence=evidence, fleet=view, kill=_OFF), at)
        self._carry_out(at)

    def _take(self, event: Event, at: TimeNs) -> None:
        self.state, commands = loop_step.step(self.parts, self.state, event)
        self._queue.extend((command, at) for command in commands)

    def _carry_out(self, at: TimeNs) -> None:
        """Carry out what is waiting, in its order."""
        while self._queue:
            last = max(at, self._answered) + HOPS * _HOP_NS
            command, asked = self._queue[0]
            now = TimeNs(max(asked, at))
            if isinstance(command, ReadWorld) and now + _HOP_NS > last:
                return  # the rest waits until the next scrape's answers
            self._queue.popleft()
            self._do(command, now)

    def _do(self, command: Command, now: TimeNs) -> None:
        match command:
            case Write(intent=intent):
                self._write(intent, now)
            case ReadWorld():
                read = TimeNs(now + _HOP_NS)
                world = self.platform.snapshot(read)
                self._take(WorldRead(at=read, world=world, kill=_OFF), read)
            case Rehearse() if self._rehearse is not None:
                answer = self._rehearse(command, self.state)
                self._answered = then = TimeNs(now + ANSWER_NS)
                self._take(Rehearsed(at=then, rehearsal=answer, kill=_OFF), then)
            case Claim(actuator=actuator, epoch=epoch):
                self.platform.claim(actuator, epoch)
            case Tell(notice=notice):
                self.done.notices.append(notice)
            case Record(fact=DecisionRecord() as decision):
                self.done.decisions.append(decision)
            case Record(fact=ActionRecord(state=ActionState.FOREIGN)):
                self.done.owner_conflict = True
            case Record(fact=Seating(pick=pick, played=arm)):
                self._picks[pick.id] = pick
                self.played[arm] += 1
            case Record(fact=Lesson(payoff=payoff)) if payoff.gains() is not None:
                self.taught.append((self._picks[payoff.pick_id], payoff))
            case _:
                pass

    def _write(self, intent: Intent, now: TimeNs) -> None:
        receipt = self.platform.write(intent, now)
        if receipt is not None:
            self._take(Received(at=now, receipt=receipt, kill=_OFF), now)
            return
        self.done.writes.append(intent)
        record = self.state.record
        kind = None if record is None else record.action.kind
        self.done.destructive |= kind in (_ADDS if intent.undo else DESTRUCTIVE)


def fleet_of_one(state: LoopState, evidence: Evidence) -> FleetView:
    """Return what the deployment must know of the fleet: in the lab it is the whole of it."""
    incident = state.incident
    window = round(state.managed.guard.correlated_scrapes * state.managed.scrape_ns)
    recent = incident is not None and evidence.at - incident.opened_at <= window
    confirmed = incident is not None and incident.confirmed_at is not None
    return FleetView(
        targets=1,
        replicas=len(evidence.world.replicas) if evidence.world is not None else 0,
        anomalous=int(recent and confirmed),
    )
