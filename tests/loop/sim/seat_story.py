"""One deployment with a twin under one suspicion, tick by tick: what the decision seat is shown."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from homeostat.base import names
from homeostat.base.actions import HOLD, Action, ActionKind
from homeostat.base.decisions import DecisionRecord
from homeostat.base.events import (
    Command,
    Event,
    FleetView,
    Received,
    Record,
    Rehearse,
    Rehearsed,
    Started,
    Ticked,
    Write,
)
from homeostat.base.evidence import Family
from homeostat.base.intent import Receipt, ReceiptStatus
from homeostat.base.policy import AdaptiveMode, AdaptivePolicy, KillLevel, Managed, TwinPolicy
from homeostat.base.rehearsal import Foreseen, Means, Prospect, Quantiles, Rehearsal, Trust
from homeostat.base.state import LoopState
from homeostat.base.units import SECOND
from homeostat.base.world import Snapshot, Stamp
from homeostat.loop.parts import LoopParts
from homeostat.loop.step import initial, step
from homeostat.server.wiring import loop_parts
from homeostat.testing import build

T = TypeVar("T")
PARTS = loop_parts()
TWIN = TwinPolicy(deadline_ns=3 * SECOND, good_ns=10 * SECOND, horizon_ns=20 * SECOND)
SHADOW = AdaptivePolicy(explore=0.0)
ON = AdaptivePolicy(mode=AdaptiveMode.ON, explore=0.0)
SLOW_BATCHES = build.suspicion(Family.BATCHING, "pool:a")
DEAD = build.suspicion(Family.REPLICA, "replica:a-2", urgent=True)
# By kind: the share of draws that end within the objectives.
SCALE_IS_BEST = {ActionKind.BATCH_UP: 0.3, ActionKind.SCALE_UP: 0.9, ActionKind.HOLD: 0.1}
HOLD_IS_BEST = {ActionKind.BATCH_UP: 0.3, ActionKind.SCALE_UP: 0.3, ActionKind.HOLD: 0.9}


def ends(middle: float, reach: float = 0.0) -> Quantiles:
    """Return an interval around a middle."""
    return Quantiles(p5=middle - reach, p50=middle, p95=middle + reach)


def prospect(action: Action, holds: float, latency_ms: float = 80.0) -> Prospect:
    """Return what a twin foresees of an action: how it ends, and a p95 within 10 ms."""
    seen = Foreseen(
        latency_ms=ends(latency_ms, 10.0),
        error_ratio=ends(0.0),
        availability=ends(1.0),
        usd_per_hour=ends(8.0),
        breach=ends(1.0 - holds),
    )
    none = Foreseen(
        latency_ms=ends(0.0),
        error_ratio=ends(0.0),
        availability=ends(0.0),
        usd_per_hour=ends(0.0),
        breach=ends(0.0),
    )
    means = Means(missed=1.0 - holds, failed=0.0, usd_per_hour=8.0)
    return Prospect(action=action, foreseen=seen, against_hold=none, holds=holds, means=means)


class SeatStory:
    """Feeds events, obeys writes, and keeps everything that was said."""

    def __init__(
        self, adaptive: AdaptivePolicy | None, parts: LoopParts = PARTS, **changes: object
    ) -> None:
        self.parts = parts
        managed: Managed = build.managed(twin=TWIN, adaptive=adaptive, **changes)
        self.state: LoopState = initial(managed)
        self.now = 0.0
        self.world: Snapshot = build.world()
        self.events: list[Event] = []
        self.commands: list[Command] = []
        self.take(Started(at=build.at(0), epoch=1, managed=managed))

    def take(self, event: Event) -> tuple[Command, ...]:
        """Feed one event; a write is carried out at once."""
        self.events.append(event)
        self.state, commands = step(self.parts, self.state, event)
        self.commands += commands
        for command in commands:
            if isinstance(command, Write):
                self._obey(command)
        return commands

    def _obey(self, write: Write) -> None:
        intent = write.intent
        levers = dict(self.world.levers) | dict(intent.post)
        stamps = tuple(
            Stamp(
                actuator=one.actuator,
                token=one.token and str(int(one.token) + 1),
                intent=intent.id,
                epoch=1,
            )
            if one.actuator == intent.actuator
            else one
            for one in self.world.stamps
        )
        self.world = replace(self.world, levers=tuple(sorted(levers.items())), stamps=stamps)
        self.now += 0.01
        receipt = Receipt(intent_id=intent.id, status=ReceiptStatus.DONE, at=build.at(self.now))
        self.take(Received(at=build.at(self.now), receipt=receipt, kill=KillLevel.OFF))

    def tick(
        self,
        suspected: object = SLOW_BATCHES,
        *,
        met: bool = False,
        blind: bool = False,
        values: Mapping[tuple[str, str], float | None] | None = None,
    ) -> tuple[Command, ...]:
        """Feed one tick; None for nothing suspected; blind is one on which nothing is seen."""
        self.now += 1.0
        now = build.at(self.now)
        self.world = replace(self.world, observed_at=now)
        values = dict(values or {})
        if suspected is DEAD:
            values["replica:a-2", "probe_failures"] = 3.0
        for signal in (names.LATENCY_P95, names.ERROR_RATIO) if blind else ():
            values[names.GATEWAY, signal] = None
        evidence = build.evidence(
            now,
            int(self.now),
            suspicions=() if suspected is None else (suspected,),
            values=values,
            slo_met=None if blind else met,
            world=self.world,
        )
        fleet = FleetView(targets=1, replicas=4)
        return self.take(Ticked(at=now, evidence=evidence, fleet=fleet, kill=KillLevel.OFF))

    def until_asked(self, *, met: bool = False) -> Rehearse:
        """Tick until the twin is asked.

        Raises:
            AssertionError: It is not asked within 30 ticks.
        """
        for _ in range(30):
            for command in self.tick(met=met):
                if isinstance(command, Rehearse):
                    return command
        raise AssertionError("nothing was asked")

    def answer(
        self,
        question: Rehearse,
        ends_well: Mapping[ActionKind, float],
        *,
        why: str = "",
        latency_ms: float = 80.0,
    ) -> tuple[Command, ...]:
        """Let the twin answer."""
        found = Rehearsal(
            id=question.id,
            at=question.at,
            horizon_ns=question.horizon_ns,
            draws=question.draws,
            prospects=tuple(
                prospect(one, ends_well.get(one.kind, 0.5), latency_ms)
                for one in (HOLD, *question.candidates)
            ),
            trust=Trust(reasons=(why,) if why else ()),
        )
        event = Rehearsed(at=build.at(self.now + 0.5), kill=KillLevel.OFF, rehearsal=found)
        return self.take(event)

    def facts(self, kind: type[T]) -> list[T]:
        """Return the recorded facts of a kind."""
        facts = [c.fact for c in self.commands if isinstance(c, Record)]
        return [fact for fact in facts if isinstance(fact, kind)]

    def written(self) -> list[ActionKind]:
        """Return the kinds of what reached the deployment, in order."""
        ids = [c.intent.action_id for c in self.commands if isinstance(c, Write)]
        by_id = {one.id: one for one in self.facts(DecisionRecord)}
        found = (by_id[one].decision for one in dict.fromkeys(ids))
        return [one.action.kind for one in found]  # type: ignore[union-attr]
