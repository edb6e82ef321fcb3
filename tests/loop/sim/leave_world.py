"""A release that serves badly and an older pool beside it, second by second: the real loop.

The runbook has no verified version to go back to, so it shifts traffic to the fallback. Traffic is
divided by the weight that is live, answers fail and are slow at each pool's own rate, and readings
are of the last five seconds, as the product's are.
"""

import copy
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from homeostat.base.events import Command, Event, FleetView, Received, Record, Started, Tell, Ticked
from homeostat.base.events import Write as WriteCommand
from homeostat.base.evidence import Evidence, Family, Increments
from homeostat.base.intent import ActionRecord, ActionState, Receipt, ReceiptStatus
from homeostat.base.policy import KillLevel, LeverLimit, Managed
from homeostat.base.state import LoopState
from homeostat.base.world import Snapshot, Stamp
from homeostat.loop.parts import LoopParts
from homeostat.loop.step import initial, step
from homeostat.server.wiring import loop_parts
from homeostat.testing import build

PARTS = loop_parts()
ALONE = replace(PARTS, leave=None)  # by before and after alone
BOUNDS = (50.0, 100.0, 250.0, float("inf"))
LIMITS = (*build.LIMITS, LeverLimit(lever="replicas.b", low=0, high=6))
LOOKBACK = 5
GOOD = 0.001


def managed(**changes: object) -> Managed:
    """Return a deployment whose older version runs in pool b."""
    return build.managed(guard=build.guard(limits=LIMITS), **changes)


class Leave:
    """One deployment under the real loop.

    Args:
        parts: The stages.
        seed: Of what is answered.
        rate: Requests a second.
        weight: The fallback's share at the start, in percent.
    """

    def __init__(
        self,
        parts: LoopParts = PARTS,
        *,
        seed: int = 1,
        rate: float = 400.0,
        weight: float = 5.0,
        config: Managed | None = None,
    ) -> None:
        self.parts = parts
        self.rng = np.random.default_rng(seed)
        self.rate = rate
        self.errors = {"a": GOOD, "b": GOOD}
        self.slow = {"a": 0.01, "b": 0.01}
        self.family, self.accuracy = Family.RELEASE, 0.95
        self.state: LoopState = initial(config or managed())
        replicas = (*build.world().replicas, build.replica("b-2"), build.replica("b-3"))
        levers = dict(build.world().levers) | {"weight.b": weight, "replicas.b": 3}
        levers |= {f"{what}.{slot}": n for slot in ("b-2", "b-3") for what, n in
                   (("incarnation", 1), ("drained", 0))}  # fmt: skip
        self.world: Snapshot = replace(
            build.world(), replicas=replicas, levers=tuple(sorted(levers.items()))
        )
        self.now, self.tick = 0.0, 0
        self.kill = KillLevel.OFF
        self.window: deque[dict[str, Increments]] = deque(maxlen=LOOKBACK)
        self.events: list[Event] = []
        self.commands: list[Command] = []
        self.felt = {"good": 0.0, "bad": 0.0}  # answers as promised, and not
        self.spoil: Callable[[tuple[Increments, ...]], tuple[Increments, ...]] = lambda seen: seen
        self.trouble: dict[str, object] = {}
        self.feed(Started(at=build.at(0), epoch=1, managed=self.state.managed))

    def copy(self) -> "Leave":
        """Return the same moment once more; what happens to one is nothing to the other."""
        other = copy.copy(self)
        other.rng = copy.deepcopy(self.rng)
        for name in ("errors", "slow", "trouble", "events", "commands", "window", "felt"):
            setattr(other, name, copy.copy(getattr(self, name)))
        return other

    def feed(self, event: Event) -> None:
        """Step the loop and carry out what it writes."""
        self.events.append(event)
        self.state, commands = step(self.parts, self.state, event)
        self.commands += commands
        for command in commands:
            if isinstance(command, WriteCommand):
                self._carry_out(command)

    def _carry_out(self, write: WriteCommand) -> None:
        intent = write.intent
        levers = dict(self.world.levers) | dict(intent.post)
        stamps = tuple(
            Stamp(actuator=s.actuator, token=s.token, intent=intent.id, epoch=intent.epoch)
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
        """The fallback's share in percent, live."""
        return float(self.world.lever("weight.b") or 0)

    def second(self) -> None:
        """Serve for a second, then tick."""
        seen = tuple(self._served(pool) for pool in ("a", "b"))
        self.window.append({one.pool: one for one in seen})
        self.now += 1.0
        self.tick += 1
        now = build.at(self.now)
        self.world = replace(self.world, observed_at=now)
        changes: dict[str, object] = {"world": self.world, **self._readings(), **self.trouble}
        evidence: Evidence = build.evidence(now, self.tick, **changes)
        evidence = replace(evidence, increments=self.spoil(seen))
        fleet = FleetView(targets=1, replicas=6)
        self.feed(Ticked(at=now, evidence=evidence, fleet=fleet, kill=self.kill))

    def _served(self, pool: str) -> Increments:
        share = self.weight / 100.0 if pool == "b" else 1.0 - self.weight / 100.0
        count = int(self.rng.poisson(self.rate * share))
        failed = int(self.rng.binomial(count, self.errors[pool]))
        # What fails at once takes no time; of the rest a part is slow.
        slow = int(self.rng.binomial(count - failed, self.slow[pool]))
        self.felt["bad"] += failed + slow
        self.felt["good"] += count - failed - slow
        within = (failed, count - slow, count - slow, count)
        return Increments(
            pool=pool,
            answered=float(count),
            failed=float(failed),
            seconds=1.0,
            latency=tuple(zip(BOUNDS, map(float, within), strict=True)),
            timed=True,
        )

    def _readings(self) -> dict[str, object]:
        values: dict[tuple[str, str], float | None] = {("pool:a", "utilisation"): 0.2,
                                                       ("pool:b", "utilisation"): 0.1}  # fmt: skip
        missed = {}
        for subject, pools in (("gateway", "ab"), ("pool:a", "a"), ("pool:b", "b")):
            errors, late = self._last(pools)
            values[subject, "error_ratio"], values[subject, "latency_p95_ms"] = errors, late
            missed[subject] = (errors or 0.0) > 0.01 or (late or 0.0) > 250.0
        values["model", "accuracy"] = self.accuracy
        bad = missed["pool:a"] if self.family is Family.RELEASE else self.accuracy < 0.8
        suspicions = (build.suspicion(self.family, "pool:a"),) if bad and self.weight < 100 else ()
        met = not missed["gateway"] and self.accuracy >= 0.8
        return {"values": values, "suspicions": suspicions, "slo_met": met}

    def _last(self, pools: str) -> tuple[float | None, float | None]:
        seen = [tick[pool] for tick in self.window for pool in pools]
        answered = sum(one.answered or 0.0 for one in seen)
        if answered == 0.0:
            return None, None
        slow = sum(one.latency[-1][1] - one.latency[2][1] for one in seen)
        late = 400.0 if slow > 0.05 * answered else 80.0
        return sum(one.failed or 0.0 for one in seen) / answered, late

    def run(self, seconds: int, until: Callable[[], bool] = lambda: False) -> None:
        """Serve until something is so, so many seconds at most."""
        for _ in range(seconds):
            if until():
                return
            self.second()

    def begin(self, seconds: int = 30, *, bad: float = 0.3) -> None:
        """Learn what is usual, let so many of the release's answers fail, wait for the shift."""
        self.run(5)
        self.errors["a"] = bad
        self.until_shifting(seconds)

    def until_shifting(self, seconds: int = 30) -> None:
        """Serve until the shift to the fallback is in flight."""
        self.run(seconds, lambda: self.state.record is not None)
        record = self.state.record
        assert record is not None
        assert (record.action.kind, record.action.subject) == ("shift_traffic", "pool:b")

    def finish(self, seconds: int = 300) -> ActionRecord:
        """Serve until the shift ends, and return it."""
        self.run(seconds, lambda: self.state.record is None)
        assert self.state.record is None, self.state.record
        return self.state.finished[-1]

    def rungs(self) -> list[float]:
        """Return the weights that were written for the fallback, in order."""
        return [
            float(value)
            for command in self.commands
            if isinstance(command, WriteCommand)
            for lever, value in command.intent.post
            if lever == "weight.b"
        ]

    def records(self) -> list[ActionRecord]:
        """Return every record of actions that was made durable, in order."""
        facts = [c.fact for c in self.commands if isinstance(c, Record)]
        return [fact for fact in facts if isinstance(fact, ActionRecord)]

    def why(self, stage: int) -> str:
        """Return what the rung before this stage was left for."""
        went = [r for r in self.records() if r.stage == stage and r.state is ActionState.INTENT]
        return went[0].reason

    def told(self) -> list[str]:
        """Return the titles of what people were told."""
        return [command.notice.title for command in self.commands if isinstance(command, Tell)]
