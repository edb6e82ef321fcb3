"""One action played through the real protocol against a tiny target that may misbehave.

For `outages_*`: a second is a tick; the guard's answers, the verdicts and what the network does
are given as functions of the tick. The target keeps levers, a revision and the last write's id, as
a Kubernetes object would.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from homeostat.base.actions import Action
from homeostat.base.decisions import Effect
from homeostat.base.intent import ActionRecord, ActionState, Intent, Receipt, ReceiptStatus
from homeostat.base.units import MINUTE, SECOND, TimeNs
from homeostat.base.world import Levers, Snapshot, Stamp
from homeostat.loop import protocol
from homeostat.loop.protocol import Demand, EffectSeen, News, Tick, WorldSeen, WroteReceipt
from homeostat.testing import guard_scene as g

START: Final = 1_000
DAY_TICKS: Final = 24 * 60 * 60
TIMING: Final = protocol.Timing(blind_ns=5 * MINUTE, verify_ns=2 * MINUTE)


@dataclass(slots=True, kw_only=True)
class Target:
    """Levers behind compare-and-set."""

    levers: dict[str, float | int | str]
    revision: int = 7
    last: str | None = None
    epoch: int = 0
    reachable: bool = True

    def take(self, intent: Intent) -> ReceiptStatus:
        """Carry out a write, or refuse one that was made against an older state."""
        if intent.token != str(self.revision) or intent.epoch < self.epoch:
            return ReceiptStatus.NOT_APPLIED
        self.levers.update(dict(intent.post))
        self.revision, self.last, self.epoch = self.revision + 1, intent.id, intent.epoch
        return ReceiptStatus.DONE

    def meddle(self, lever: str, value: float) -> None:
        """Take a write by somebody else."""
        self.levers[lever] = value
        self.revision, self.last = self.revision + 1, None

    def read(self, now: TimeNs) -> Snapshot | None:
        """Return what a reading shows, None while nothing answers."""
        if not self.reachable:
            return None
        stamp = Stamp(actuator=g.GATE, token=str(self.revision), intent=self.last, epoch=self.epoch)
        levers: Levers = tuple(sorted(self.levers.items()))
        return Snapshot(
            deployment=g.NAME, observed_at=now, replicas=(), releases=(), levers=levers,
            stamps=(stamp, replace(stamp, actuator=g.HOST)),
        )  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Play:
    """One action on its way.

    Attributes:
        action: What is to be done.
        target: Where.
        effect: The verdict of each tick.
        answer: The guard's answer, by tick and whether it is an undo.
        replies: Whether requests arrive and are answered.
        said: News from people and switches, by tick.
        each: Called on each tick before anything else.
        sent: Writes that left, with their tick.
        pages: What people were told.
    """

    action: Action
    target: Target
    effect: Callable[[int], Effect] = lambda _: Effect.HELPED
    answer: Callable[[int, bool], News] = lambda _tick, _undo: protocol.GuardAllowed()
    replies: bool = True
    said: dict[int, News] = field(default_factory=dict)
    each: Callable[[int], None] = lambda _: None
    sent: list[tuple[int, Intent]] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    record: ActionRecord = field(init=False)
    tick: int = 0
    snapshot: Snapshot | None = None

    def __post_init__(self) -> None:
        self.record = protocol.propose(
            self.action, id="d-0001", deployment=g.NAME, incident_id="", epoch=1, now=self.now
        )

    @property
    def now(self) -> TimeNs:
        """The time."""
        return TimeNs((START + self.tick) * SECOND)

    def go(self, ticks: int = 3_600) -> ActionRecord:
        """Play until the action ends, or so many seconds."""
        for _ in range(ticks):
            if self.record.state.is_terminal:
                break
            self.each(self.tick)
            self.snapshot = self.target.read(self.now)
            if self.tick in self.said:
                self._feed(self.said[self.tick])
            self._feed(WorldSeen(world=self.snapshot))
            if self.record.state is ActionState.VERIFYING:
                self._feed(EffectSeen(effect=self.effect(self.tick)))
            self._feed(Tick())
            self.tick += 1
        return self.record

    def _feed(self, first: News) -> None:
        queue, reads = [first], 0
        while queue:
            news = queue.pop(0)
            self.record, demands = protocol.advance(
                self.record, news, self.now, world=self.snapshot, timing=TIMING
            )
            for demand in demands:
                if isinstance(demand, protocol.ReadWorldAgain):
                    reads += 1
                    self.snapshot = self.target.read(self.now)
                    queue += [WorldSeen(world=self.snapshot)] if reads <= 2 else []  # noqa: PLR2004 - then the next tick
                else:
                    queue += self._meet(demand)

    def _meet(self, demand: Demand) -> list[News]:
        match demand:
            case protocol.AskGuard(undo=undo):
                return [self.answer(self.tick, undo)]
            case protocol.SendWrite(intent=intent):
                self.sent.append((self.tick, intent))
                if not self.replies:
                    return []
                receipt = self.target.take(intent)
                conflict = receipt is ReceiptStatus.NOT_APPLIED
                told = Receipt(intent_id=intent.id, status=receipt, at=self.now, conflict=conflict)
                return [WroteReceipt(receipt=told)]
            case protocol.ClaimTarget(epoch=epoch) if self.replies and self.target.reachable:
                self.target.revision += 1
                self.target.epoch = max(self.target.epoch, epoch)
            case protocol.Page(text=text):
                self.pages.append(text)
            case _:
                pass
        return []
