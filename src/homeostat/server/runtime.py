"""The runtime: reads the world, journals, steps the core, carries out its commands.

No judgement lives here. Order is everything: an event is journaled before the core sees it, a
command before it is carried out, and the kill switch is read once more before each write. If the
journal cannot be written nothing is decided and nothing is done.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog

from homeostat.base import codec
from homeostat.base.errors import ActuatorError, StoreError
from homeostat.base.events import (
    Claim,
    ClockJumped,
    Command,
    Event,
    ReadWorld,
    Received,
    Record,
    Started,
    Tell,
    Ticked,
    WorldRead,
    Write,
)
from homeostat.base.evidence import Evidence, SourceReport
from homeostat.base.intent import Intent, Receipt, ReceiptStatus
from homeostat.base.policy import KillLevel, Managed
from homeostat.base.ports import Actuator, Journal, Notifier, Source
from homeostat.base.state import LoopState
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Snapshot
from homeostat.loop import step as loop_step
from homeostat.loop.parts import LoopParts
from homeostat.server import fleet
from homeostat.server.clock import Clock
from homeostat.server.restore import restore
from homeostat.server.world import compose

log = structlog.get_logger()

# A state snapshot every so many ticks bounds how much replay a restart needs.
SNAPSHOT_TICKS = 300
# A read of the world may take this share of the tick; the tick must not wait for a hung target.
READ_SHARE = 0.6

Sense = Callable[..., tuple[Any, Any, tuple[Evidence, ...]]]


@dataclass(slots=True, kw_only=True)
class Deployment:
    """One managed deployment and the adapters it is reached through.

    Attributes:
        managed: Its configuration.
        actuators: By name.
        sources_for: Makes the sources for the replicas that a snapshot shows; a source that is
            still wanted is the same object as before (probers count).
        sources: The sources in use.
        world: The last snapshot, None if the last read failed.
        seen: Replicas (name, incarnation, address, version) that `sources` were made for.
    """

    managed: Managed
    actuators: dict[str, Actuator]
    sources_for: Callable[[Snapshot | None], tuple[Source, ...]]
    sources: tuple[Source, ...] = ()
    world: Snapshot | None = None
    seen: tuple[tuple[str, int, str | None, str | None], ...] | None = None


@dataclass(slots=True, kw_only=True)
class Shell:
    """What the runtime needs from outside; the wiring fills it.

    Attributes:
        journal: The record.
        parts: The loop's stages.
        sense: `loop.sense.step` with its parts bound: (state, reports, worlds, managed, busy,
            now, tick) -> (state, signals, evidence).
        sense_state: The sense state to start from.
        encode_frame: Signals to bytes for the journal, None to keep no frames.
        kill: Reads the kill switch; must not raise.
        observe: Told of every event and command (the read model).
        notifiers: Tell people.
        owner: Names this controller in the journal.
    """

    journal: Journal
    parts: LoopParts
    sense: Sense
    sense_state: Any
    encode_frame: Callable[[Any], bytes] | None
    kill: Callable[[], KillLevel]
    observe: Callable[[str, Event | Command], None]
    notifiers: tuple[Notifier, ...]
    owner: str
    deployments: dict[str, Deployment] = field(default_factory=dict)


class Runtime:
    """One controller process."""

    def __init__(self, shell: Shell, clock: Clock) -> None:
        """Keep the parts; nothing is read or written before `start`."""
        self.shell = shell
        self.clock = clock
        self.states: dict[str, LoopState] = {}
        self.tick = 0
        self.epoch = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._jumped_at: dict[str, TimeNs] = {}

    async def start(self) -> None:
        """Claim the journal, rebuild every state from it, and stamp the targets.

        Raises:
            StoreError: The journal cannot be claimed or read.
        """
        self.epoch = self.shell.journal.claim_epoch(self.shell.owner, self.clock.now())
        for name, deployment in self.shell.deployments.items():
            restored = restore(self.shell.journal, self.shell.parts, deployment.managed)
            self.clock.not_before(restored.last_at)
            self.states[name] = restored.state
            self.tick = max(self.tick, restored.tick)
            for item in restored.story:
                self.shell.observe(name, item)
            started = Started(at=self.clock.now(), epoch=self.epoch, managed=deployment.managed)
            self.take(name, started)

    def take(self, name: str, event: Event) -> None:
        """Journal an event, step the core, journal the commands, and start carrying them out.

        Raises:
            StoreError: The journal could not be written; nothing was decided or done.
        """
        shell = self.shell
        shell.journal.append([(event.at, name, "event", codec.encode(event))], durable=False)
        state, commands = loop_step.step(shell.parts, self.states[name], event)
        if commands:
            at = event.at
            rows = [(at, name, "command", codec.encode(command)) for command in commands]
            acts = any(isinstance(command, Write | Claim) for command in commands)
            shell.journal.append(rows, durable=acts)
        self.states[name] = state
        shell.observe(name, event)
        for command in commands:
            shell.observe(name, command)
        if commands:
            self._spawn(self._carry_out(name, commands))

    async def run(self, *, once: bool = False) -> None:
        """Tick until cancelled; a slow cycle skips ticks, it never queues them."""
        period_ns = min(d.managed.scrape_ns for d in self.shell.deployments.values())
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            try:
                await self.cycle()
            except StoreError:
                log.exception("journal", effect="nothing is decided or done")
            if once:
                await self.settle()
                return
            period = period_ns / SECOND
            due = max(due + period, loop.time())
            await asyncio.sleep(due - loop.time())

    async def cycle(self) -> None:
        """One tick: read everything, sense the fleet, step every deployment."""
        shell = self.shell
        now = self.clock.now()
        jumped = self.clock.jumped_by()
        deployments = shell.deployments
        await asyncio.gather(*(self._refresh(d, now) for d in deployments.values()))
        gathered = await asyncio.gather(*(self._observe(d, now) for d in deployments.values()))
        reports = tuple(report for batch in gathered for report in batch)
        worlds = tuple(d.world for d in deployments.values() if d.world is not None)
        managed = tuple(d.managed for d in deployments.values())
        busy = frozenset(name for name, s in self.states.items() if s.record is not None)
        now = self.clock.now()
        self.tick += 1
        shell.sense_state, signals, evidences = shell.sense(
            shell.sense_state, reports, worlds, managed, busy, now, self.tick
        )
        if shell.encode_frame is not None:
            shell.journal.append([(now, "", "frame", shell.encode_frame(signals))], durable=False)
        kill = shell.kill()
        views = fleet.views(self.states, evidences, now)
        for evidence in evidences:
            name = evidence.deployment
            if jumped:
                self.take(name, ClockJumped(at=now, by_ns=jumped))
            self.take(name, Ticked(at=now, evidence=evidence, fleet=views[name], kill=kill))
        if self.tick % SNAPSHOT_TICKS == 0:
            self._snapshot(now)

    async def settle(self) -> None:
        """Wait until nothing that was started is still under way."""
        while self._tasks:
            await asyncio.gather(*tuple(self._tasks), return_exceptions=True)

    async def close(self) -> None:
        """Stop what is under way and release every connection."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*tuple(self._tasks), return_exceptions=True)
        for deployment in self.shell.deployments.values():
            for source in deployment.sources:
                await source.close()
            for actuator in deployment.actuators.values():
                await actuator.close()
        for notifier in self.shell.notifiers:
            await notifier.close()

    def _snapshot(self, now: TimeNs) -> None:
        rows = [(now, name, "state", codec.encode(state)) for name, state in self.states.items()]
        self.shell.journal.append(rows, durable=False)

    async def _refresh(self, deployment: Deployment, now: TimeNs) -> None:
        limit = READ_SHARE * deployment.managed.scrape_ns / SECOND
        deployment.world = await self._read(deployment, now, limit)
        seen = tuple(
            (replica.name, replica.incarnation, replica.address, replica.version)
            for replica in (deployment.world.replicas if deployment.world else ())
        )
        if deployment.seen is None or (deployment.world is not None and seen != deployment.seen):
            old = deployment.sources
            deployment.sources = deployment.sources_for(deployment.world)
            deployment.seen = seen if deployment.world is not None else None
            for source in old:
                if source not in deployment.sources:
                    await source.close()

    async def _read(self, deployment: Deployment, now: TimeNs, limit: float) -> Snapshot | None:
        async def one(actuator: Actuator) -> Snapshot | None:
            try:
                async with asyncio.timeout(limit):
                    return await actuator.read(deployment.managed.name, now)
            except (ActuatorError, TimeoutError) as error:
                log.warning("read", actuator=actuator.name, problem=str(error) or "timed out")
                return None

        found = await asyncio.gather(*(one(a) for a in deployment.actuators.values()))
        return compose(deployment.managed, tuple(s for s in found if s is not None))

    async def _observe(self, deployment: Deployment, now: TimeNs) -> tuple[SourceReport, ...]:
        return tuple(await asyncio.gather(*(s.observe(now) for s in deployment.sources)))

    async def _carry_out(self, name: str, commands: tuple[Command, ...]) -> None:
        """Carry out one step's commands in their order: a claim lands before the read after it."""
        for command in commands:
            match command:
                case Write(intent=intent):
                    await self._write(name, intent)
                case ReadWorld():
                    await self._read_world(name, command)
                case Claim():
                    await self._claim(name, command)
                case Tell():
                    self._spawn(self._tell(command))
                case Record():
                    pass  # for the journal and the read model, which have it

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("command", problem=repr(error))

    async def _write(self, name: str, intent: Intent) -> None:
        kill = self.shell.kill()
        blocked = kill is KillLevel.NOTHING or (kill is KillLevel.NO_NEW and not intent.undo)
        if blocked:
            detail = f"kill switch is at {kill}"
            receipt = self._receipt(intent, ReceiptStatus.NOT_APPLIED, detail)
        else:
            receipt = await self._apply(name, intent)
        self.take(name, Received(at=self.clock.now(), receipt=receipt, kill=kill))

    async def _apply(self, name: str, intent: Intent) -> Receipt:
        actuator = self.shell.deployments[name].actuators.get(intent.actuator)
        if actuator is None:
            detail = f"there is no actuator {intent.actuator!r}"
            return self._receipt(intent, ReceiptStatus.NOT_APPLIED, detail)
        now = self.clock.now()
        try:
            async with asyncio.timeout(max(0.0, (intent.deadline - now) / SECOND)):
                return await actuator.apply(intent, now)
        except TimeoutError:
            return self._receipt(intent, ReceiptStatus.UNKNOWN, "no answer before the deadline")
        except ActuatorError as error:
            return self._receipt(intent, ReceiptStatus.UNKNOWN, str(error))

    def _receipt(self, intent: Intent, status: ReceiptStatus, detail: str) -> Receipt:
        return Receipt(intent_id=intent.id, status=status, at=self.clock.now(), detail=detail)

    async def _read_world(self, name: str, command: ReadWorld) -> None:
        deployment = self.shell.deployments[name]
        now = self.clock.now()
        limit = max(0.05, (command.deadline - now) / SECOND)
        world = await self._read(deployment, now, limit)
        event = WorldRead(at=self.clock.now(), world=world, kill=self.shell.kill())
        self.take(name, event)

    async def _claim(self, name: str, command: Claim) -> None:
        actuator = self.shell.deployments[name].actuators.get(command.actuator)
        if actuator is None or not actuator.capabilities().compare_and_set:
            return  # without compare-and-set nothing can be stamped; the protocol waits instead
        intent = Intent(
            id=f"claim.{command.epoch}.{self.clock.now()}",
            action_id="",
            deployment=name,
            actuator=command.actuator,
            epoch=command.epoch,
            stage=0,
            pre=(),
            post=(),
            token=None,
            evidence_at=self.clock.now(),
            deadline=command.deadline,
        )
        receipt = await self._apply(name, intent)
        log.info("claim", deployment=name, epoch=command.epoch, status=receipt.status.value)

    async def _tell(self, command: Tell) -> None:
        for notifier in self.shell.notifiers:
            try:
                await notifier.notify(command.notice)
            except Exception as error:  # noqa: BLE001 - a broken notifier must not stop healing
                log.warning("notify", notifier=type(notifier).__name__, problem=repr(error))
