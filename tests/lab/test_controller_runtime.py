"""The lab's shell and the server's runtime make the same decisions of the same inputs."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

from controller_made import Made, episode, play
from pages_one_by_one import Pages
from typing_extensions import override

from homeostat.base import codec
from homeostat.base.decisions import DecisionRecord
from homeostat.base.events import Record
from homeostat.base.evidence import Quality, SourceReport
from homeostat.base.intent import ActionRecord, Intent, Receipt, ReceiptStatus
from homeostat.base.policy import KillLevel
from homeostat.base.ports import Actuator, Capabilities, Entry, Journal, Source
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Snapshot
from homeostat.lab.controller import Controller
from homeostat.lab.controller_names import SCALE_ACTUATOR, time_ns
from homeostat.lab.controller_parts import managed
from homeostat.lab.controller_platform import ANSWERED_BEFORE_S, Platform
from homeostat.server import wiring
from homeostat.server.clock import Clock
from homeostat.server.runtime import Deployment, Runtime, Shell
from homeostat.testing.clock import FakeClock
from homeostat.twin.outputs import Scrape

NAME = "ep-0000"
Told = tuple[str, ...]


class Tape(Controller):
    """The lab's controller, recording what its senses are fed and what it decides."""

    @override
    def start(self, episodes: Sequence[Any]) -> None:
        super().start(episodes)
        self.scrapes: list[Scrape] = []
        self.reports: list[dict[str, SourceReport]] = []
        self.decided: list[Told] = []
        self._pages = Pages(NAME, 0)

    @override
    def act(self, now_s: float, scrape: Scrape) -> Any:
        move = super().act(now_s, scrape)
        mind = self.minds[0]
        again = self._pages.reports(now_s, scrape, self._counters, mind.platform.processes())
        self.scrapes.append(scrape)
        self.reports.append({report.source: report for report in again})
        self.decided += [summary(one) for one in mind.done.decisions]
        return move


def summary(record: DecisionRecord) -> Told:
    """A decision without its time: the lab's reads take longer than the server's."""
    return (
        record.id,
        record.incident_id,
        codec.encode(record.decision).decode().partition('"expires_at"')[0],
        str(record.considered),
        str(record.allowed),
    )


class Target:
    """The lab's platform behind the server's port; receipts come when the test lets them."""

    def __init__(self, platform: Platform, clock: FakeClock) -> None:
        self.platform, self.clock = platform, clock
        self.waiting: dict[str, asyncio.Future[Receipt]] = {}

    @property
    def name(self) -> str:
        return SCALE_ACTUATOR

    def capabilities(self) -> Capabilities:
        return Capabilities(compare_and_set=True, fencing=True, levers=())

    async def read(self, deployment: str, now: TimeNs) -> Snapshot:
        return self.platform.snapshot(self.clock.now())

    async def apply(self, intent: Intent, now: TimeNs) -> Receipt:
        if not intent.post:
            self.platform.claim(intent.actuator, intent.epoch)
            return Receipt(intent_id=intent.id, status=ReceiptStatus.DONE, at=now)
        refused = self.platform.write(intent, now)
        if refused is not None:
            return refused
        self.waiting[intent.id] = asyncio.get_running_loop().create_future()
        return await self.waiting[intent.id]

    async def close(self) -> None:
        pass


class Replayed:
    """A source that says what the lab's pages said."""

    def __init__(self, source: str, tape: Tape) -> None:
        self._source, self._tape, self.tick = source, tape, 0

    @property
    def name(self) -> str:
        return self._source

    async def observe(self, now: TimeNs) -> SourceReport:
        found = self._tape.reports[self.tick].get(self._source)
        if found is not None:
            return found
        subject = self._source.partition("-")[2].partition(":")[0]
        return SourceReport(
            source=self._source,
            at=now,
            observations=(),
            subjects=(f"replica:{subject}",),
            quality=Quality.UNREACHABLE,
        )

    async def close(self) -> None:
        pass


class Memory:
    """A journal in a list."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def append(self, entries: Sequence[Any], *, durable: bool) -> tuple[Entry, ...]:
        written = tuple(
            Entry(
                seq=len(self.entries) + n + 1,
                at=at,
                deployment=name,
                kind=kind,
                body=body,
                digest="",
            )
            for n, (at, name, kind, body) in enumerate(entries)
        )
        self.entries.extend(written)
        return written

    def read(self, **_: Any) -> Iterator[Entry]:
        return iter(())

    def claim_epoch(self, owner: str, now: TimeNs) -> int:
        return 1

    def close(self) -> None:
        pass


async def served(tape: Tape) -> list[Any]:
    """Feed a recording to the server's runtime and return the facts that it recorded."""
    clock = FakeClock(time_ns(0.0))
    platform = Platform(NAME, episode().params)
    target, journal = Target(platform, clock), Memory()
    sources = [Replayed(name, tape) for name in sorted({n for r in tape.reports for n in r})]
    sense, sense_state = wiring.sense_step()
    shell = Shell(
        journal=cast("Journal", journal),
        parts=wiring.loop_parts(),
        sense=sense,
        sense_state=sense_state,
        encode_frame=None,
        kill=lambda: KillLevel.OFF,
        observe=lambda *_: None,
        notifiers=(),
        owner="me",
        deployments={
            NAME: Deployment(
                managed=managed(episode(), NAME),
                actuators={SCALE_ACTUATOR: cast("Actuator", target)},
                sources_for=lambda _: cast("tuple[Source, ...]", tuple(sources)),
            )
        },
    )
    runtime = Runtime(shell, cast("Clock", clock))
    await runtime.start()
    await runtime.settle()
    runtime.states[NAME] = replace(runtime.states[NAME], verified=platform.trusted)
    for tick, scrape in enumerate(tape.scrapes):
        at = time_ns(15.0 * (tick + 1))
        clock.advance(at - round(ANSWERED_BEFORE_S * SECOND) - clock.now())
        for receipt in platform.read(15.0 * (tick + 1), scrape, 0):
            target.waiting.pop(receipt.intent_id).set_result(receipt)
        for _ in range(20):
            await asyncio.sleep(0)
        clock.advance(at - clock.now())
        for source in sources:
            source.tick = tick
        await runtime.cycle()
        for _ in range(20):
            await asyncio.sleep(0)
    await runtime.close()
    values = (codec.decode(e.body) for e in journal.entries if e.kind == "command")
    return [value.fact for value in values if isinstance(value, Record)]


async def test_the_same_pages_and_read_backs_lead_to_the_same_decisions() -> None:
    tape, made = Tape(), Made(seed=4)
    tape.start([episode()])
    moves = play(tape, made, 20)
    made.dead = {2}
    moves += play(tape, made, 20, moves[-1].orders)
    facts = await served(tape)
    decided = [summary(fact) for fact in facts if isinstance(fact, DecisionRecord)]
    assert decided == tape.decided
    assert len(decided) >= 1
    states = [fact.state for fact in facts if isinstance(fact, ActionRecord)]
    finished = tape.minds[0].state.finished
    assert finished[0].state is states[-1]
    assert [one.id for one in finished] == ["d-0001"]
