"""Plays the schedule of a chaos run, and is the operator who puts healed servers back to work."""

import math
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import httpx2
from chaos_files import BACKEND, guardrails
from chaos_judge import FROZEN, KILLED, SECOND, Hold, Ill
from chaos_plan import FREEZE, KILL, LEADER, SERVERS, STANDBY, SWITCH, Step
from chaos_stage import SIDES, Stage, wait

from homeostat.base.policy import KillLevel
from homeostat.server.config.oneoff import write_freeze
from homeostat.server.kill import throw_file

_TICK_S: Final = 0.1
_WELL_S: Final = 3.0  # a server that serves for so long is put back
_ASK_S: Final = 5.0  # between two requests for the same
_PATIENCE_S: Final = 75.0  # then the operator does it by hand
_TIDY_S: Final = 60.0
_SEEN_S: Final = 2  # a file of configuration is in force within that
_UP: Final = 2


@dataclass(slots=True)
class _Well:
    since: float
    asked: float = 0.0


@dataclass(slots=True)
class Director:
    """Breaks and mends what the schedule says, and keeps the rest running.

    Attributes:
        stage: Where.
        seed: Of the run.
        holds: When nothing new may be done, from its being in force to its end.
        ills: Which server hung or was gone, and when.
    """

    stage: Stage
    seed: int
    holds: list[Hold] = field(default_factory=list)
    ills: list[Ill] = field(default_factory=list)
    _mending: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    _ill: set[str] = field(default_factory=set)
    _well: dict[str, _Well] = field(default_factory=dict)

    def warm_up(self) -> None:
        """Wait until the controller that leads has learnt what is usual."""
        wait(self.stage, self._sees, "a controller that has learnt what is usual", every_s=1.0)

    def play(self, steps: Sequence[Step], seconds: float, plant_at: float = math.inf) -> None:
        """Do what the schedule says, at its times; plant one unsafe write if told when."""
        began, left = time.monotonic(), list(steps)
        while (now := time.monotonic() - began) < seconds:
            while left and left[0].at_s <= now:
                step = left.pop(0)
                self._mending.append((now + step.for_s, self._break(step)))
            if plant_at <= now:
                plant_at = math.inf
                self.stage.runtime.plant(SERVERS[-1])
            due = [mend for at, mend in self._mending if at <= now]
            self._mending = [one for one in self._mending if one[0] > now]
            for mend in due:
                mend()
            self.stage.tend()
            self._operate()
            time.sleep(_TICK_S)

    def mend(self) -> None:
        """Put right whatever is broken still."""
        for _, mend in self._mending:
            mend()
        self._mending = []

    def tidy(self) -> None:
        """Operate on until every server is back at work, or for a minute."""
        end = time.monotonic() + _TIDY_S
        while time.monotonic() < end:
            self.stage.tend()
            self._operate()
            time.sleep(_TICK_S)
            look = self.stage.runtime.last()
            if look is not None and not any(one.is_out for one in look.servers.values()):
                return

    def _sees(self) -> bool:
        """Return whether the controller that leads has learnt what is usual, and may decide."""
        api = self.stage.apis[self.stage.leader()]
        with suppress(httpx2.HTTPError, LookupError, ValueError):
            answer = httpx2.get(f"http://127.0.0.1:{api}/v1/deployments", timeout=3.0).json()
            return bool(answer["deployments"][0]["ready"])
        return False

    def _break(self, step: Step) -> Callable[[], None]:
        """Break something and return what mends it."""
        if step.what in SERVERS:
            return self._server(step)
        if step.what == SWITCH:
            return self._switch(KillLevel(step.how), step.for_s)
        if step.what == FREEZE:
            return self._freeze(step.for_s)
        return self._part(step)

    def _part(self, step: Step) -> Callable[[], None]:
        name = step.what
        if name in {LEADER, STANDBY}:
            leads = self.stage.leader()
            name = next(side for side in SIDES if (side == leads) == (step.what == LEADER))
        program = self.stage.programs[name]
        if step.how == KILL:
            program.kill()
            return program.start
        program.stop()
        return program.go_on

    def _server(self, step: Step) -> Callable[[], None]:
        servers, name, killed = self.stage.servers, step.what, step.how == KILL
        servers.signal(name, signal.SIGKILL if killed else signal.SIGSTOP)
        self._ill.add(name)
        since = time.time_ns()

        def heal() -> None:
            self._ill.discard(name)
            self.ills.append(Ill(server=name, since=since, until=time.time_ns()))
            if killed:
                servers.start(name)
            else:
                servers.signal(name, signal.SIGCONT)

        return heal

    def _switch(self, level: KillLevel, for_s: float) -> Callable[[], None]:
        file = self.stage.folder / "kill"
        throw_file(file, level, "whoever runs the chaos")
        self._hold(KILLED, 0.0, for_s, undo=level is KillLevel.NO_NEW)

        def lift() -> None:
            self._over()
            throw_file(file, KillLevel.OFF, "whoever runs the chaos")

        return lift

    def _freeze(self, for_s: float) -> Callable[[], None]:
        folder, now = self.stage.folder / "conf.d", datetime.now(UTC)
        file = write_freeze(folder, now, round(60 * for_s * SECOND), why="chaos", by="the run")
        self._hold(FROZEN, _SEEN_S, for_s, undo=True)

        def thaw() -> None:
            self._over()
            file.unlink()

        return thaw

    def _hold(self, kind: str, seen_s: float, for_s: float, *, undo: bool) -> None:
        """Note a time in which nothing new may be sent, but for what had been checked before."""
        since = time.time_ns() + round((seen_s + guardrails()["receipt"]) * SECOND)
        until = time.time_ns() + round(10 * for_s * SECOND)
        self.holds.append(Hold(since=since, until=until, undo=undo, kind=kind))

    def _over(self) -> None:
        """Note that the last hold ends now."""
        last = self.holds[-1]
        self.holds[-1] = Hold(
            since=last.since, until=time.time_ns(), undo=last.undo, kind=last.kind
        )

    def _operate(self) -> None:
        """Put back servers that are well again, as an operator does: by undo, or by hand."""
        look, now = self.stage.runtime.last(), time.monotonic()
        if look is None:
            return
        for name, server in look.servers.items():
            if name in self._ill or not (server.op == _UP and server.is_out):
                self._well.pop(name, None)
                continue
            well = self._well.setdefault(name, _Well(now))
            if now - well.since < _WELL_S or now - well.asked < _ASK_S:
                continue
            well.asked = now
            action = self._drained_by(name)
            if now - well.since > _PATIENCE_S or not action:
                self.stage.runtime.person(f"set server {BACKEND}/{name} state ready")
            else:
                self.stage.leader()
                self.stage.ask(f"/v1/decisions/{action}/undo", {"why": f"{name} is well again"})

    def _drained_by(self, server: str) -> str:
        sent = (one for one in reversed(self.stage.runtime.sent) if one.drained.get(server) == 1)
        last = next(sent, None)
        return "" if last is None else last.intent.partition(".")[0]
