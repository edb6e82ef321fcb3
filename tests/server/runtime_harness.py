"""A runtime on fakes that obey the ports: a journal, a target and senses that tests can break."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from homeostat.base import codec, names
from homeostat.base.decisions import Notice
from homeostat.base.errors import StoreError, SupersededError
from homeostat.base.events import Command, Event, Write
from homeostat.base.evidence import Evidence, Family, Quality, SourceReport
from homeostat.base.intent import Intent, Receipt, ReceiptStatus
from homeostat.base.policy import KillLevel, Managed
from homeostat.base.ports import Capabilities, Entry, Journal, Source
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Replica, Snapshot, Stamp
from homeostat.server.clock import Clock
from homeostat.server.runtime import Deployment, Runtime, Shell
from homeostat.server.wiring import loop_parts
from homeostat.testing import build
from homeostat.testing.clock import FakeClock

Row = tuple[TimeNs, str, str, bytes]
SCRAPE_NS = SECOND // 10


class MemoryJournal:
    """A journal in a list; `refuse` says when an append fails."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.durable: list[bool] = []
        self.epoch = 0
        self.refuse: Callable[[Sequence[Row], bool], StoreError | None] = lambda rows, durable: None

    def append(self, entries: Sequence[Row], *, durable: bool) -> tuple[Entry, ...]:
        error = self.refuse(entries, durable)
        if error is not None:
            raise error
        written = tuple(
            Entry(
                seq=len(self.entries) + n + 1,
                at=row[0],
                deployment=row[1],
                kind=row[2],
                body=row[3],
                digest="",
            )
            for n, row in enumerate(entries)
        )
        self.entries.extend(written)
        self.durable.extend([durable] * len(written))
        return written

    def read(
        self, *, after: int = 0, deployment: str | None = None, kinds: Sequence[str] = ()
    ) -> Iterator[Entry]:
        for entry in tuple(self.entries):
            wanted = deployment is None or entry.deployment == deployment
            if entry.seq > after and wanted and (not kinds or entry.kind in kinds):
                yield entry

    def claim_epoch(self, owner: str, now: TimeNs) -> int:
        self.epoch += 1
        return self.epoch

    def close(self) -> None:
        pass

    def decoded(self, kind: type[Any], deployment: str = "m") -> list[Any]:
        bodies = (e.body for e in self.entries if e.kind in {"event", "command"})
        found = (codec.decode(body) for body in bodies)
        return [one for one in found if isinstance(one, kind)]

    def holds_write(self, intent_id: str) -> bool:
        """Return whether an intent is recorded, and durably."""
        return any(
            durable and entry.kind == "command" and isinstance(value, Write)
            for entry, durable in zip(self.entries, self.durable, strict=True)
            if intent_id.encode() in entry.body
            for value in (codec.decode(entry.body),)
        )


def superseded(_: Sequence[Row], __: bool) -> StoreError:  # noqa: FBT001 - as the journal calls it
    return SupersededError("epoch 2 of 'other' supersedes epoch 1 of 'me'")


class Target:
    """A target with compare-and-set that keeps the order of everything asked of it."""

    def __init__(self, clock: FakeClock, deployment: str = "m", name: str = "host") -> None:
        self.clock, self.deployment, self._name = clock, deployment, name
        self.levers: dict[str, int | float | str] = dict(build.world().levers)
        self.replicas: tuple[Replica, ...] = build.world().replicas
        self.revision, self.epoch, self.stamp = 1, 1, cast("str | None", None)
        self.calls: list[str] = []
        self.on_read: Callable[[], Any] | None = None
        self.on_apply: Callable[[Intent], Any] | None = None
        self.closed = 0

    @property
    def name(self) -> str:
        return self._name

    def capabilities(self) -> Capabilities:
        return Capabilities(compare_and_set=True, fencing=True, levers=tuple(self.levers))

    async def read(self, deployment: str, now: TimeNs) -> Snapshot:
        self.calls.append("read")
        if self.on_read is not None and (waiting := self.on_read()) is not None:
            await waiting
        stamp = Stamp(
            actuator=self.name, token=str(self.revision), intent=self.stamp, epoch=self.epoch
        )
        world = build.world(self.clock.now(), deployment=self.deployment, stamps=(stamp,))
        return replace(world, levers=tuple(sorted(self.levers.items())), replicas=self.replicas)

    async def apply(self, intent: Intent, now: TimeNs) -> Receipt:
        self.calls.append(f"apply {intent.id}" if intent.post else f"claim {intent.epoch}")
        if self.on_apply is not None and (waiting := self.on_apply(intent)) is not None:
            await waiting
        if intent.epoch < self.epoch or intent.token not in {None, str(self.revision)}:
            return Receipt(
                intent_id=intent.id, status=ReceiptStatus.NOT_APPLIED, at=now, conflict=True
            )
        self.revision, self.epoch = self.revision + 1, intent.epoch
        if intent.post:
            self.levers.update(intent.post)
            self.stamp = intent.id
        return Receipt(
            intent_id=intent.id, status=ReceiptStatus.DONE, at=now, token=str(self.revision)
        )

    async def close(self) -> None:
        self.closed += 1

    def applied(self) -> list[str]:
        return [call for call in self.calls if call.startswith("apply")]


class Page:
    """A source that says nothing, or what a test makes it do."""

    def __init__(self, name: str = "page:gateway") -> None:
        self._name = name
        self.does: Callable[[], Any] | None = None
        self.rounds = 0
        self.closed = 0

    @property
    def name(self) -> str:
        return self._name

    async def observe(self, now: TimeNs) -> SourceReport:
        self.rounds += 1
        if self.does is not None and (waiting := self.does()) is not None:
            await waiting
        return SourceReport(
            source=self.name,
            at=now,
            observations=(),
            subjects=(names.GATEWAY,),
            quality=Quality.GOOD,
        )

    async def close(self) -> None:
        self.closed += 1


@dataclass(slots=True)
class Told:
    """A notifier that keeps what it was told, or breaks."""

    notices: list[Notice] = field(default_factory=list)
    breaks: bool = False

    async def notify(self, notice: Notice) -> None:
        if self.breaks:
            raise RuntimeError("the pager is on fire")
        self.notices.append(notice)

    async def close(self) -> None:
        pass


@dataclass(slots=True)
class Stage:
    """Everything around one runtime."""

    runtime: Runtime
    journal: MemoryJournal
    clock: FakeClock
    targets: dict[str, Target]
    pages: dict[str, Page]
    told: Told
    reports: list[tuple[SourceReport, ...]]
    shown: list[Event | Command]
    faulty: set[str] = field(default_factory=set)
    kill: KillLevel = KillLevel.OFF

    @property
    def target(self) -> Target:
        return self.targets["m"]

    @property
    def page(self) -> Page:
        return self.pages["m"]

    async def cycles(self, count: int, *, settle: bool = True) -> None:
        for _ in range(count):
            self.clock.advance(SCRAPE_NS)
            await self.runtime.cycle()
            if settle:
                await self.runtime.settle()


def stage(*deployments: str, journal: Any = None, **managed: Any) -> Stage:
    """Return a runtime for these deployments (default `m`), not yet started."""
    clock = FakeClock()
    record = journal or MemoryJournal()
    told, reports, shown = Told(), [], []
    wanted = deployments or ("m",)
    targets = {name: Target(clock, name) for name in wanted}
    pages = {name: Page() for name in wanted}

    def sense(
        state: Any, seen: Any, worlds: Any, plans: Any, busy: Any, now: Any, tick: Any
    ) -> Any:
        reports.append(tuple(seen))
        by_name = {world.deployment: world for world in worlds}
        found = tuple(
            _evidence(plan, by_name.get(plan.name), now, tick, ready.faulty, busy) for plan in plans
        )
        return state, None, found

    shell = Shell(
        journal=cast("Journal", record),
        parts=loop_parts(),
        sense=sense,
        sense_state=None,
        encode_frame=None,
        kill=lambda: ready.kill,
        observe=lambda _, item: shown.append(item),
        notifiers=(told,),
        owner="me",
        deployments={
            name: Deployment(
                managed=plan(name, **managed),
                actuators={"host": targets[name]},
                sources_for=_only(pages[name]),
            )
            for name in wanted
        },
    )
    runtime = Runtime(shell, cast("Clock", clock))
    ready = Stage(runtime, record, clock, targets, pages, told, reports, shown)
    return ready


def plan(name: str, **changes: Any) -> Managed:
    """Return a deployment that acts at once and often."""
    rails = build.guard(
        persist_scrapes=1,
        cooldown_scrapes=1.0,
        fresh_scrapes=50.0,
        max_tries=10**6,
        actions_per_hour=10**6,
        fleet_actions_per_hour=10**6,
        targets_share=1.0,
        correlated_targets=10**6,
    )
    settings: dict[str, Any] = {
        "name": name,
        "scrape_ns": SCRAPE_NS,
        "guard": rails,
        "traffic_actuator": None,
        "fallback_pool": None,
    }
    return build.managed(**{**settings, **changes})


def _only(page: Source) -> Callable[[Snapshot | None], tuple[Source, ...]]:
    return lambda _: (page,)


def _evidence(
    managed: Managed,
    world: Snapshot | None,
    now: TimeNs,
    tick: int,
    faulty: set[str],
    busy: frozenset[str],
) -> Evidence:
    """Suspect replica a-1 of what is faulty, until something is done about it."""
    if world is None or managed.name not in faulty or managed.name in busy:
        return build.evidence(now, tick, deployment=managed.name, world=world)
    subject = names.replica("a-1")
    return build.evidence(
        now,
        tick,
        deployment=managed.name,
        world=world,
        values={(subject, names.PROBE_FAILURES): 3.0, (subject, names.PROCESS_UP): 0.0},
        suspicions=(build.suspicion(Family.REPLICA, subject, urgent=True),),
    )
