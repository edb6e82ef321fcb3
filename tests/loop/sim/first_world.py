"""A pool whose replicas can each have a largest batch of their own: loop, guards and protocol.

Replicas answer late and fail at rates that follow from the batch that each has; whoever asks may
break what is seen of them, write as somebody else would, or take a target's ability away.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from homeostat.base import names
from homeostat.base.events import (
    Claim,
    Command,
    Event,
    FleetView,
    Received,
    Record,
    Started,
    Tell,
    Ticked,
    Write,
)
from homeostat.base.evidence import Evidence, Family, Increments
from homeostat.base.intent import ActionRecord, ActionState, Receipt, ReceiptStatus
from homeostat.base.policy import CanaryPolicy, KillLevel, Managed, OnUnproven
from homeostat.base.state import LoopState
from homeostat.base.units import SECOND
from homeostat.base.world import Scalar, Snapshot, Stamp
from homeostat.loop.step import initial, step
from homeostat.server.wiring import loop_parts
from homeostat.testing import build

PARTS = loop_parts()
BOUNDS = (50.0, 100.0, 250.0, 500.0, float("inf"))
BATCH = names.BATCH_MAX
POLICY = CanaryPolicy(
    pool="c",
    bucket_ns=2 * SECOND,
    max_wait_ns=120 * SECOND,
    on_unproven=OnUnproven.RETURN,
)


def managed(**changes: object) -> Managed:
    """Return a deployment whose policy has margins to compare by; `changes` go to the canary."""
    canary = replace(POLICY, **changes)  # type: ignore[arg-type]
    return build.managed(guard=build.guard(blind_scrapes=10.0), canary=canary)


class First:
    """One deployment under the real loop, in a jam that a larger batch may cure.

    Args:
        config: Its configuration.
        slots: Replicas of pool a.
        own: Whether its target can set one of them alone.
        seed: Of what is answered.
    """

    def __init__(
        self, config: Managed | None = None, *, slots: int = 4, own: bool = True, seed: int = 1
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.late = {8: 0.5, 16: 0.1}  # share of answers later than promised, by batch
        self.errors: dict[int, float] = {}
        self.state: LoopState = initial(config or managed())
        self.names = [f"a-{number}" for number in range(1, slots + 1)]
        levers: dict[str, Scalar] = {"replicas.a": slots}
        for slot in (*self.names, "b-1"):
            levers |= {names.lever_incarnation(slot): 1, names.lever_drained(slot): 0}
            levers |= {names.lever_own(BATCH, slot): 0} if own else {}
        replicas = tuple(build.replica(slot) for slot in (*self.names, "b-1"))
        self.world: Snapshot = build.world(replicas=replicas, levers=levers)
        self.now, self.tick, self.revision = 0.0, 0, 1
        self.kill = KillLevel.OFF
        self.commands: list[Command] = []
        self.jam = (Family.BATCHING, "pool:a")
        self.jammed = True
        self.lost: Callable[[Write], bool] = lambda _: False
        self.spoil: Callable[[tuple[Increments, ...]], tuple[Increments, ...]] = lambda seen: seen
        self.feed(Started(at=build.at(0), epoch=1, managed=self.state.managed))

    def batch(self, slot: str) -> int:
        """Return the largest batch that a replica forms now."""
        own = self.world.lever(names.lever_own(BATCH, slot))
        return int(own or self.world.lever(BATCH) or 0)

    def feed(self, event: Event) -> None:
        """Step the loop and carry out what it writes."""
        self.state, commands = step(PARTS, self.state, event)
        self.commands += commands
        for command in commands:
            if isinstance(command, Write):
                self._carry_out(command)
            elif isinstance(command, Claim) and command.actuator == "host":
                self._claim(command.epoch)

    def _claim(self, epoch: int) -> None:
        """Move the token on, so that what was sent before cannot land any more."""
        self.revision += 1
        stamps = tuple(
            replace(one, token=str(self.revision), epoch=epoch) if one.actuator == "host" else one
            for one in self.world.stamps
        )
        self.world = replace(self.world, stamps=stamps)

    def _carry_out(self, write: Write) -> None:
        intent = write.intent
        self.now += 0.01
        if self.lost(write):
            return
        status = ReceiptStatus.DONE
        if intent.actuator == "host" and intent.token != str(self.revision):
            status = ReceiptStatus.NOT_APPLIED
        else:
            self.write(dict(intent.post), intent.id)
        receipt = Receipt(
            intent_id=intent.id,
            status=status,
            at=build.at(self.now),
            conflict=status is ReceiptStatus.NOT_APPLIED,
        )
        self.feed(Received(at=build.at(self.now), receipt=receipt, kill=self.kill))

    def write(self, post: dict[str, Scalar], intent: str | None) -> None:
        """Set levers as the process host does: a setting ends the own values beside it."""
        levers = dict(self.world.levers)
        levers |= {
            lever: 0
            for lever in levers
            if (of := names.own(lever)) and of[0] in post and lever not in post
        }
        self.revision += 1
        stamp = Stamp(
            actuator="host", token=str(self.revision), intent=intent, epoch=self.state.epoch or 1
        )
        stamps = tuple(stamp if one.actuator == "host" else one for one in self.world.stamps)
        self.world = replace(
            self.world, levers=tuple(sorted((levers | post).items())), stamps=stamps
        )

    def second(self) -> None:
        """Serve for a second, then tick."""
        apart = any(value and names.own(lever) for lever, value in self.world.levers)
        seen = tuple(self._served(slot) for slot in self.names) if apart else ()
        self.now += 1.0
        self.tick += 1
        now = build.at(self.now)
        self.world = replace(self.world, observed_at=now)
        cured = all(self.batch(slot) >= 16 for slot in self.names)
        jammed = self.jammed and not cured
        suspected = (build.suspicion(*self.jam),) if jammed else ()
        evidence: Evidence = build.evidence(
            now, self.tick, world=self.world, suspicions=suspected, slo_met=not jammed
        )
        evidence = replace(evidence, increments=self.spoil(seen))
        fleet = FleetView(targets=1, replicas=len(self.names) + 1)
        self.feed(Ticked(at=now, evidence=evidence, fleet=fleet, kill=self.kill))

    def _served(self, slot: str) -> Increments:
        size = self.batch(slot)
        count = int(self.rng.poisson(100.0))
        failed = int(self.rng.binomial(count, self.errors.get(size, 0.0)))
        late = int(self.rng.binomial(count, self.late.get(size, 0.5)))
        within = (0, (count - late) // 2, count - late, count, count)
        return Increments(
            pool=names.replica(slot),
            answered=float(count),
            failed=float(failed),
            seconds=1.0,
            latency=tuple(zip(BOUNDS, map(float, within), strict=True)),
            timed=True,
        )

    def run(self, seconds: int, until: Callable[[], bool] = lambda: False) -> None:
        """Serve until something is so, so many seconds at most."""
        for _ in range(seconds):
            if until():
                return
            self.second()

    def tried(self) -> "First":
        """Serve until some replicas have the setting first and that is compared."""
        self.run(60, lambda: self.state.comparison is not None)
        assert self.state.record is not None
        assert self.state.record.action.first, self.state.record
        return self

    def finish(self, seconds: int = 300) -> ActionRecord:
        """Serve until the change ends, and return it."""
        self.run(seconds, lambda: self.state.record is None)
        assert self.state.record is None, self.state.record
        return self.state.finished[-1]

    def finish_soon(self) -> ActionRecord:
        """Serve until something was done and has ended, and return it."""
        self.run(40, lambda: bool(self.state.finished))
        return self.state.finished[-1]

    def and_run(self, seconds: int) -> "First":
        """Serve for so long."""
        self.run(seconds)
        return self

    def writes(self) -> list[dict[str, Scalar]]:
        """Return what was written to the batch, in order."""
        posts = [dict(c.intent.post) for c in self.commands if isinstance(c, Write)]
        return [post for post in posts if any(lever.startswith(BATCH) for lever in post)]

    def records(self) -> list[ActionRecord]:
        """Return every version of every action."""
        facts = [c.fact for c in self.commands if isinstance(c, Record)]
        return [fact for fact in facts if isinstance(fact, ActionRecord)]

    def states(self) -> list[ActionState]:
        """Return the states that the actions went through, in order."""
        seen = [fact.state for fact in self.records()]
        return [one for place, one in enumerate(seen) if place == 0 or seen[place - 1] is not one]

    def told(self) -> list[str]:
        """Return the titles of what people were told."""
        return [command.notice.title for command in self.commands if isinstance(command, Tell)]
