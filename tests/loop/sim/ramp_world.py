"""A deployment with a canary pool, second by second: the real loop, guards and protocol.

Traffic is divided by the weight that is live, answers fail at each pool's own rate, and whoever
asks may break what is seen of it.
"""

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from homeostat.base.events import (
    CanaryRequested,
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
from homeostat.base.evidence import Evidence, Increments
from homeostat.base.intent import ActionRecord, ActionState, Receipt, ReceiptStatus
from homeostat.base.policy import CanaryPolicy, KillLevel, LeverLimit, Managed, OnUnproven
from homeostat.base.state import LoopState
from homeostat.base.units import SECOND
from homeostat.base.world import Snapshot, Stamp
from homeostat.loop.step import initial, step
from homeostat.server.wiring import loop_parts
from homeostat.testing import build

PARTS = loop_parts()
BOUNDS = (50.0, 100.0, 250.0, float("inf"))
RAMP = (1.0, 5.0, 10.0, 25.0, 50.0, 100.0)
LIMITS = (*build.LIMITS, LeverLimit(lever="replicas.c", low=0, high=6))


def policy(**changes: object) -> CanaryPolicy:
    """Return a policy whose stretches last two seconds."""
    settings: dict[str, object] = {
        "pool": "c",
        "ramp": RAMP,
        "bucket_ns": 2 * SECOND,
        "rung_buckets": 3,
        "missing_buckets": 3,
        "max_wait_ns": 300 * SECOND,
        "on_unproven": OnUnproven.RETURN,
        "watch_ns": 60 * SECOND,
    }
    return CanaryPolicy(**{**settings, **changes})  # type: ignore[arg-type]


def managed(**changes: object) -> Managed:
    """Return a deployment with two replicas of a canary pool."""
    guard = build.guard(limits=LIMITS, blind_scrapes=20.0)
    return build.managed(guard=guard, canary=policy(**changes))


class Ramp:
    """One deployment under the real loop.

    Args:
        config: Its configuration.
        seed: Of what is answered.
        rate: Requests a second.
    """

    def __init__(
        self, config: Managed | None = None, *, seed: int = 1, rate: float = 2000.0
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.rate = rate
        self.errors = {"a": 0.02, "c": 0.02}
        self.slow = {"a": 0.1, "c": 0.1}
        self.state: LoopState = initial(config or managed())
        replicas = (*build.world().replicas, build.replica("c-1"), build.replica("c-2"))
        levers = dict(build.world().levers) | {"weight.b": 0, "weight.c": 0, "replicas.c": 2}
        levers |= {f"{what}.{slot}": n for slot in ("c-1", "c-2") for what, n in
                   (("incarnation", 1), ("drained", 0))}  # fmt: skip
        self.world: Snapshot = replace(
            build.world(), replicas=replicas, levers=tuple(sorted(levers.items()))
        )
        self.now, self.tick = 0.0, 0
        self.kill = KillLevel.OFF
        self.events: list[Event] = []
        self.commands: list[Command] = []
        self.values: dict[tuple[str, str], float | None] = {("pool:c", "utilisation"): 0.1}
        self.spoil: Callable[[tuple[Increments, ...]], tuple[Increments, ...]] = lambda seen: seen
        self.trouble: dict[str, object] = {}
        self.feed(Started(at=build.at(0), epoch=1, managed=self.state.managed))

    def copy(self) -> "Ramp":
        """Return the same moment once more; what happens to one is nothing to the other."""
        other = copy.copy(self)
        other.rng = copy.deepcopy(self.rng)
        for name in ("errors", "slow", "values", "trouble", "events", "commands"):
            setattr(other, name, copy.copy(getattr(self, name)))
        return other

    def feed(self, event: Event) -> None:
        """Step the loop and carry out what it writes."""
        self.events.append(event)
        self.state, commands = step(PARTS, self.state, event)
        self.commands += commands
        for command in commands:
            if isinstance(command, Write):
                self._carry_out(command)

    def _carry_out(self, write: Write) -> None:
        intent = write.intent
        levers = dict(self.world.levers) | dict(intent.post)
        stamps = tuple(
            Stamp(actuator=s.actuator, token=s.token, intent=intent.id, epoch=1)
            if s.actuator == intent.actuator
            else s
            for s in self.world.stamps
        )
        self.world = replace(self.world, levers=tuple(sorted(levers.items())), stamps=stamps)
        self.now += 0.01
        receipt = Receipt(intent_id=intent.id, status=ReceiptStatus.DONE, at=build.at(self.now))
        self.feed(Received(at=build.at(self.now), receipt=receipt, kill=self.kill))

    @property
    def weight(self) -> float:
        """The canary's share in percent, live."""
        return float(self.world.lever("weight.c") or 0)

    def second(self) -> None:
        """Serve for a second, then tick."""
        seen = tuple(self._served(pool) for pool in ("a", "c"))
        self.now += 1.0
        self.tick += 1
        now = build.at(self.now)
        self.world = replace(self.world, observed_at=now)
        changes: dict[str, object] = {"world": self.world, "values": self.values, **self.trouble}
        evidence: Evidence = build.evidence(now, self.tick, **changes)
        evidence = replace(evidence, increments=self.spoil(seen))
        fleet = FleetView(targets=1, replicas=6)
        self.feed(Ticked(at=now, evidence=evidence, fleet=fleet, kill=self.kill))

    def _served(self, pool: str) -> Increments:
        share = self.weight / 100.0 if pool == "c" else 1.0 - self.weight / 100.0
        count = int(self.rng.poisson(self.rate * share))
        failed = int(self.rng.binomial(count, self.errors[pool]))
        slow = int(self.rng.binomial(count, self.slow[pool]))
        within = (count - 2 * slow if count > 2 * slow else 0, count - slow, count, count)
        return Increments(
            pool=pool,
            answered=float(count),
            failed=float(failed),
            seconds=1.0,
            latency=tuple(zip(BOUNDS, map(float, within), strict=True)),
            timed=True,
        )

    def ask(self) -> None:
        """Ask for the canary's ramp."""
        self.feed(CanaryRequested(at=build.at(self.now), by="ann", kill=self.kill, why="v3"))

    def run(self, seconds: int, until: Callable[[], bool] = lambda: False) -> None:
        """Serve until something is so, so many seconds at most."""
        for _ in range(seconds):
            if until():
                return
            self.second()

    def begin(self) -> None:
        """Learn what is usual, then ask."""
        self.run(3)
        self.ask()

    def finish(self, seconds: int = 600) -> ActionRecord:
        """Serve until the ramp ends, and return it."""
        self.run(seconds, lambda: self.state.record is None)
        assert self.state.record is None, self.state.record
        return self.state.finished[-1]

    def rungs(self) -> list[float]:
        """Return the weights that were written for the canary, in order."""
        return [
            float(value)
            for command in self.commands
            if isinstance(command, Write)
            for lever, value in command.intent.post
            if lever == "weight.c"
        ]

    def states(self) -> list[ActionState]:
        """Return the states that the ramp went through, in order."""
        facts = [c.fact for c in self.commands if isinstance(c, Record)]
        seen = [fact.state for fact in facts if isinstance(fact, ActionRecord)]
        return [one for place, one in enumerate(seen) if place == 0 or seen[place - 1] is not one]

    def told(self) -> list[str]:
        """Return the titles of what people were told."""
        return [command.notice.title for command in self.commands if isinstance(command, Tell)]
