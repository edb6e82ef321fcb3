"""The runtime: reads the world, journals, steps the core, carries out its commands.

No judgement lives here. Order is everything: an event is journaled together with the commands
that follow from it before any of them is carried out, and the kill switch is read once more before
each write. If the journal cannot be written nothing is decided and nothing is done.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import structlog

from homeostat.base import codec
from homeostat.base.errors import ENDING, HomeostatError, StoreError
from homeostat.base.events import (
    AskTraining,
    Claim,
    ClockJumped,
    Command,
    Event,
    LookAtTraining,
    MarkVersion,
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
from homeostat.base.intent import Intent, ReceiptStatus
from homeostat.base.ports import Pruning
from homeostat.base.state import LoopState
from homeostat.base.units import HOUR, SECOND, TimeNs
from homeostat.loop import step as loop_step
from homeostat.loop.rehearsing import unanswered
from homeostat.loop.sense import begun_anew
from homeostat.server.claiming import claim
from homeostat.server.clock import Clock
from homeostat.server.code_version import code_version
from homeostat.server.fleet import Fleet
from homeostat.server.kill import forbids
from homeostat.server.pruning import drop_old
from homeostat.server.reading import (
    Deployment,
    close_all,
    observe,
    plain,
    read_world,
    refresh,
)
from homeostat.server.restore import restore_all
from homeostat.server.sending import answer, send
from homeostat.server.shell import Shell
from homeostat.server.training import TrainerCommand, asked

log = structlog.get_logger()

SNAPSHOT_TICKS = 300  # between two state snapshots: bounds how much a restart replays
PRUNE_NS = HOUR  # between two droppings; one takes milliseconds when little is due

_NOTHING = "nothing is decided or done"


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
        self._ended = asyncio.Event()
        self._fatal: HomeostatError | None = None
        self._pruned_at: TimeNs | None = None
        self._jumped: dict[str, int] = {}

    async def start(self, epoch: int | None = None) -> None:
        """Claim the journal, rebuild every state from it, and stamp the targets.

        Args:
            epoch: Under which the journal was claimed already, None to claim it now.

        Raises:
            StoreError: The journal cannot be claimed or read.
        """
        shell, again = self.shell, bool(self.states)
        if epoch is None:
            epoch = shell.journal.claim_epoch(shell.owner, self.clock.now())
        self.epoch, deployments = epoch, shell.deployments
        managed = [deployment.managed for deployment in deployments.values()]
        # In a thread: the lease is renewed meanwhile, however much there is to read.
        restored = await asyncio.to_thread(restore_all, shell.journal, shell.parts, managed)
        for name, found in restored.items():
            self.clock.not_before(found.last_at)
            self.states[name] = found.state
            self.tick = max(self.tick, found.tick)
            for item in () if again else found.story:
                self._show(name, item)
        shell.pulse.leads(self.clock.now())
        for name, deployment in deployments.items():
            now, plan = self.clock.now(), deployment.managed
            self.take(name, Started(at=now, epoch=epoch, managed=plan, code=code_version()))
            for tell in restored[name].untold:
                self._spawn(self._tell(tell))

    def take(self, name: str, event: Event) -> None:
        """Step the core, journal event and commands, and start carrying the commands out.

        One transaction holds both: a controller killed at any moment leaves either an event with
        all that followed from it, or neither. The step before it has no effect on anything.

        Raises:
            StoreError: Nothing was written, nothing is done, and the state is as it was.
            ENDING: The same, and `run` ends.
        """
        shell = self.shell
        began = self.clock.now()
        state, commands = loop_step.step(shell.parts, self.states[name], event)
        rows = [(event.at, name, "event", codec.encode(event))]
        rows += [(event.at, name, "command", codec.encode(command)) for command in commands]
        acts = any(isinstance(one, Write | Claim | AskTraining | MarkVersion) for one in commands)
        self._append(rows, durable=acts)
        self.states[name] = state
        if shell.stage is not None:
            shell.stage(name, began, self.clock.now())
        shell.deployments[name].managed = state.managed  # a person may have changed it
        for item in (event, *commands):
            self._show(name, item)
        if commands:
            self._spawn(self._carry_out(name, commands))

    def _append(self, rows: list[tuple[TimeNs, str, str, bytes]], *, durable: bool) -> None:
        try:
            self.shell.journal.append(rows, durable=durable)
        except StoreError as error:
            self.shell.pulse.wrote(kept=False)
            if isinstance(error, ENDING):
                self.end(error)  # also where the caller answers a person and goes on
            raise
        self.shell.pulse.wrote(kept=True)

    async def run(self, *, once: bool = False) -> None:
        """Tick until cancelled; a slow cycle skips ticks, it never queues them.

        Raises:
            SupersededError: Another controller has taken over; this one must end.
            CorruptStoreError: The journal is damaged; nothing more may be decided.
            OutOfStepError: The journal holds more or less than this memory; see `begin_again`.
        """
        loop = asyncio.get_running_loop()
        due = loop.time()
        while self._fatal is None:
            try:
                await self.cycle()
            except ENDING as error:
                self.end(error)
            except StoreError as error:
                log.critical("journal", effect=_NOTHING, problem=str(error))
            except Exception as error:  # noqa: BLE001 - a reading nobody thought of ends no loop
                log.critical("tick", effect=_NOTHING, problem=plain(error))
            if once:
                await self.settle()
            if once or self._fatal is not None:
                break
            self._prune()
            period = min(d.managed.scrape_ns for d in self.shell.deployments.values()) / SECOND
            due = max(due + period, loop.time())
            with suppress(TimeoutError):
                async with asyncio.timeout(due - loop.time()):
                    await self._ended.wait()
        if self._fatal is not None:
            raise self._fatal

    async def cycle(self) -> None:
        """One tick: read everything, sense the fleet, step every deployment.

        Raises:
            StoreError: The journal refused; the deployments after that have no tick.
        """
        shell = self.shell
        now = began = self.clock.now()
        self._note_jump(self.clock.jumped_by())
        deployments = shell.deployments
        await asyncio.gather(*(refresh(d, now) for d in deployments.values()))
        gathered = await asyncio.gather(*(observe(d, now) for d in deployments.values()))
        reports = tuple(report for batch in gathered for report in batch)
        worlds = tuple(d.world for d in deployments.values() if d.world is not None)
        managed = tuple(d.managed for d in deployments.values())
        busy = frozenset(name for name, s in self.states.items() if s.record is not None)
        now = self.clock.now()
        self.tick += 1
        sensed = shell.sense(self._begun_anew(), reports, worlds, managed, busy, now, self.tick)
        shell.sense_state, signals, evidences = sensed
        if shell.stage is not None:
            shell.stage("", began, self.clock.now())
        if shell.encode_frame is not None:
            self._append([(now, "", "frame", shell.encode_frame(signals))], durable=False)
        kill = shell.kill()
        others = Fleet(self.states, evidences, now)
        for evidence in evidences:
            name = evidence.deployment
            if by_ns := self._jumped.get(name, 0):
                self.take(name, ClockJumped(at=now, by_ns=by_ns))
                del self._jumped[name]  # only now: a jump that is not journaled is told again
            try:
                view = others.view(name)  # with what those before it have just begun
                self.take(name, Ticked(at=now, evidence=evidence, fleet=view, kill=kill))
            except StoreError:
                raise  # then nobody's tick can be recorded
            except Exception as error:  # noqa: BLE001 - what one said costs no other its tick
                log.critical("tick", deployment=name, effect="not judged", problem=plain(error))
            others.stepped(name, self.states[name])
        if self.tick % SNAPSHOT_TICKS == 0:
            self._snapshot(now)
        shell.pulse.turned(self.clock.now())
        if shell.took is not None:
            shell.took(self.clock.now() - began)

    def _begun_anew(self) -> Any:
        """Return the senses' state, with the levels anew that people have called normal.

        Their word is in the journal, and the tick that follows takes it back. An action that has
        begun since comes first: what it changes is no level that anybody called normal.
        """
        anew = frozenset(
            name for name, s in self.states.items() if s.anew is not None and s.record is None
        )
        return begun_anew(self.shell.sense_state, anew) if anew else self.shell.sense_state

    def _note_jump(self, by_ns: int) -> None:
        if by_ns:
            effect = "observing only for a while; deadlines go on by our own time"
            log.warning("clock", jumped_s=round(by_ns / SECOND, 3), effect=effect)
            for name in self.states:
                self._jumped[name] = self._jumped.get(name, 0) + by_ns

    async def begin_again(self) -> None:
        """Forget what is in memory: what is under way ends, and `start` reads the journal anew."""
        await self._cancel()
        self._fatal = None
        self._ended.clear()

    async def settle(self) -> None:
        """Wait until nothing that was started is still under way."""
        while self._tasks:
            await asyncio.gather(*tuple(self._tasks), return_exceptions=True)

    async def close(self) -> None:
        """Stop what is under way and release every connection."""
        await self._cancel()
        for deployment in self.shell.deployments.values():
            trainer = () if deployment.trainer is None else (deployment.trainer,)
            await close_all([*deployment.sources, *deployment.actuators.values(), *trainer])
        for notifier in self.shell.notifiers:
            await notifier.close()

    async def _cancel(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*tuple(self._tasks), return_exceptions=True)

    def _snapshot(self, now: TimeNs) -> None:
        rows = [(now, name, "state", codec.encode(state)) for name, state in self.states.items()]
        self._append(rows, durable=False)

    def _prune(self) -> None:
        """Drop old frames and ticks now and then, in a thread, so that no tick waits for it."""
        journal, now = self.shell.journal, self.clock.now()
        if self._pruned_at is not None and now - self._pruned_at < PRUNE_NS:
            return
        self._pruned_at = now
        if isinstance(journal, Pruning):
            # The earlier of the two clocks: a wrong time from the future must not age the young.
            before = TimeNs(min(now, self.clock.wall()) - self.shell.retention_ns)
            self._spawn(drop_old(journal, before, now))

    def _show(self, name: str, item: Event | Command) -> None:
        """Tell the read model; what people see must never stop what heals."""
        try:
            self.shell.observe(name, item)
        except Exception as error:  # noqa: BLE001 - see above; it is logged
            log.warning("view", deployment=name, problem=plain(error))

    async def _carry_out(self, name: str, commands: tuple[Command, ...]) -> None:
        """Carry out one step's commands in their order: a claim lands before the read after it."""
        for command in commands:
            if self._fatal is not None:
                return  # another controller may be at work
            match command:
                case Write(intent=intent):
                    await self._write(name, intent)
                case ReadWorld():
                    await self._read_world(name, command)
                case Claim():
                    await self._claim(name, command)
                case Tell():
                    self._spawn(self._tell(command))
                case Rehearse():
                    self._spawn(self._rehearse(name, command))  # nothing waits for it
                case AskTraining() | LookAtTraining() | MarkVersion():
                    self._spawn(self._train(name, command))
                case Record():
                    pass  # for the journal and the read model, which have it

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, ENDING):
            self.end(error)
        else:
            log.error("command", problem=plain(error))

    def end(self, error: HomeostatError) -> None:
        """End `run`, once: without the journal nothing more may be decided or done."""
        if self._fatal is None:
            effect = "this controller decides and does nothing more"
            log.error("ending", effect=effect, problem=str(error))
            self._fatal = error
            self._ended.set()
            self.shell.pulse.ends()

    async def _write(self, name: str, intent: Intent) -> None:
        kill = self.shell.kill()
        if forbids(kill, intent, self.states[name].record):
            detail = f"kill switch is at {kill}"
            receipt = answer(intent, ReceiptStatus.NOT_APPLIED, self.clock.now(), detail)
        else:
            receipt = await send(self.shell.deployments[name].actuators, intent, self.clock.now)
        self.take(name, Received(at=self.clock.now(), receipt=receipt, kill=kill))

    async def _read_world(self, name: str, command: ReadWorld) -> None:
        deployment = self.shell.deployments[name]
        now = self.clock.now()
        limit = max(0.05, (command.deadline - now) / SECOND)
        world = await read_world(deployment, now, limit)
        event = WorldRead(at=self.clock.now(), world=world, kill=self.shell.kill())
        self.take(name, event)

    async def _claim(self, name: str, command: Claim) -> None:
        actuators = self.shell.deployments[name].actuators
        await claim(actuators, name, command, self.clock.now, self.shell.kill)

    async def _train(self, name: str, command: TrainerCommand) -> None:
        trainer = self.shell.deployments[name].trainer
        self.take(name, await asked(trainer, command, self.clock.now, self.shell.kill))

    async def _rehearse(self, name: str, command: Rehearse) -> None:
        rehearse = self.shell.rehearse
        if rehearse is None:
            answer = unanswered(command, "there is no twin to ask")
        else:
            answer = await rehearse(command, self.states[name])
        now, kill = self.clock.now(), self.shell.kill()
        others = Fleet(self.states, (), now).view(name)
        self.take(name, Rehearsed(at=now, rehearsal=answer, kill=kill, fleet=others))

    async def _tell(self, command: Tell) -> None:
        for notifier in self.shell.notifiers:
            name = type(notifier).__name__
            try:
                await notifier.notify(command.notice)
            except Exception as error:  # noqa: BLE001 - a broken notifier must not stop healing
                log.warning("notify", notifier=name, problem=repr(error))
                self.shell.pulse.told(name, well=False)
            else:
                self.shell.pulse.told(name, well=True)


__all__ = ["Deployment", "Runtime", "Shell"]
