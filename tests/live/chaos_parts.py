"""The programs of a chaos run: each is killed, stopped, started again, and none outlives it."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from homeostat.demo.host_child import die_with_parent

_END_S: Final = 20.0
_AGAIN_S: Final = (0.5, 2.5)  # what runs a program waits so long before it starts it again


@dataclass(slots=True, kw_only=True)
class Program:
    """One program that a supervisor keeps running, as systemd would.

    Attributes:
        name: Which part it is.
        words: The command.
        log: Takes what it says.
        env: Beside the environment of the run.
        user: Whom it runs as, None for whoever runs all this.
        kills: How often it was killed.
        stops: How often it was stopped.
        ends: Exit codes of the times that it ended by itself.
        starts: When it was started, nanoseconds of the wall clock.
        wanted: Whether it is to run now.
    """

    name: str
    words: Sequence[str]
    log: Path
    chance: random.Random
    env: Mapping[str, str] = field(default_factory=dict)
    user: int | None = None
    kills: int = 0
    stops: int = 0
    ends: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    wanted: bool = False
    _process: "subprocess.Popen[bytes] | None" = None
    _stopped: list[psutil.Process] = field(default_factory=list)
    _not_before: float = 0.0

    @property
    def pid(self) -> int:
        """Its process, 0 if there is none."""
        return 0 if self._process is None else self._process.pid

    @property
    def runs(self) -> bool:
        """Whether there is a process, stopped or not."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it; it is not waited for."""
        self.wanted = True
        self.starts.append(time.time_ns())
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                list(self.words),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.log.parent,
                env={**os.environ, **self.env},
                user=self.user,
                group=self.user,
                extra_groups=None if self.user is None else [],
                preexec_fn=_follow,  # noqa: PLW1509 - exec comes next, and threads wait in reads
            )

    def tend(self) -> None:
        """Start it again some time after it ended by itself; called again and again."""
        if not self.wanted or self.runs:
            return
        if self._process is not None:
            self.ends.append(self._process.returncode)
            self._process = None
            self._not_before = time.monotonic() + self.chance.uniform(*_AGAIN_S)
        if time.monotonic() >= self._not_before:
            self.start()

    def kill(self) -> None:
        """End it as a crash would."""
        self.kills += 1
        self.wanted = False
        self.end(signal.SIGKILL)

    def stop(self) -> None:
        """Stop it and its children where they are (SIGSTOP)."""
        self.stops += 1
        with suppress(psutil.NoSuchProcess):
            own = psutil.Process(self.pid)
            self._stopped = [own, *own.children(recursive=True)]
        for one in self._stopped:
            with suppress(psutil.NoSuchProcess):
                one.suspend()

    def go_on(self) -> None:
        """Let it go on (SIGCONT), if it is still there."""
        for one in self._stopped:
            with suppress(psutil.NoSuchProcess):
                one.resume()
        self._stopped = []

    def end(self, how: signal.Signals = signal.SIGTERM) -> int | None:
        """End it and return its exit code, None if it was not there."""
        self.wanted = False
        process, self._process = self._process, None
        if process is None:
            return None
        if process.poll() is None:
            process.send_signal(how)
            self.go_on()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_S)
        if process.poll() is None:
            process.kill()
            process.wait(_END_S)
        return process.returncode

    def said(self, most: int = 1500) -> str:
        """Return its last words."""
        return self.log.read_text(errors="replace")[-most:] if self.log.exists() else ""


def _follow() -> None:
    die_with_parent(signal.SIGKILL)
