"""The controller as its own process, and what its journal says while it works."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from homeostat import plugins
from homeostat.base import codec
from homeostat.base.decisions import DecisionRecord, Notice
from homeostat.base.errors import StoreError
from homeostat.base.events import Reconfigured, Record, Started, Tell, Ticked
from homeostat.base.evidence import Incident
from homeostat.base.intent import ActionRecord, ActionState
from homeostat.base.ports import Entry
from homeostat.demo.host_child import die_with_parent

_CHANGED = frozenset({ActionState.APPLIED, ActionState.ROLLED_BACK})
Fact = Incident | DecisionRecord | ActionRecord | Notice


@dataclass(slots=True, kw_only=True)
class Controller:
    """A `homeostat run` process and a reader of its journal.

    Attributes:
        files: Configuration files.
        journal: Its journal.
        log: Where its output goes.
        unproved_by: Who answers for acting under a policy that is not proved; empty = nobody.
    """

    files: tuple[Path, ...]
    journal: Path
    log: Path
    unproved_by: str = ""
    process: "subprocess.Popen[bytes] | None" = None
    learnt: bool = False
    proved: bool = False
    _seq: int = 0
    applied: list[tuple[float, str]] = field(default_factory=list)

    def start(self) -> None:
        """Start it; call from the main thread (it ends with its starter)."""
        arguments = [sys.executable, "-m", "homeostat", "run"]
        for file in self.files:
            arguments += ["-f", str(file)]
        if self.unproved_by:
            arguments += ["--unproved-by", self.unproved_by]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_follow_parent,  # noqa: PLW1509 - the starter has no threads
            )

    def kill(self) -> None:
        """End it as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """End it politely."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(8.0)
        except subprocess.TimeoutExpired:
            self.kill()

    @property
    def ready(self) -> bool:
        """Whether it knows what is normal, and may act: its policy is proved."""
        return self.learnt and self.proved

    def running(self) -> bool:
        """Return whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def news(self) -> Iterator[tuple[float, Fact]]:
        """Yield (epoch seconds, fact) for what was journaled since the last call."""
        for entry in self._entries():
            self._seq = entry.seq
            yield from self._facts(entry)

    def _entries(self) -> list[Entry]:
        if not self.journal.is_file():
            return []
        store = plugins.part("store", "sqlite")
        try:
            journal = store.build(store.config(path=self.journal, read_only=True))
        except StoreError:
            return []  # not yet made
        try:
            return list(journal.read(after=self._seq, kinds=("event", "command")))
        except StoreError:
            return []
        finally:
            journal.close()

    def _facts(self, entry: Entry) -> Iterator[tuple[float, Fact]]:
        at = entry.at / 1e9
        value = codec.decode(entry.body)
        match value:
            case Started(managed=managed) | Reconfigured(managed=managed):
                self.proved = self.proved or managed.guard.unproved == ""
            case Ticked(evidence=evidence):
                self.learnt = self.learnt or evidence.ready
            case Record(fact=ActionRecord() as record) if record.state in _CHANGED:
                self.applied.append((at, _label(record)))
                yield at, record
            case Record(fact=Incident() | DecisionRecord() | ActionRecord() as fact):
                yield at, fact
            case Tell(notice=notice):
                yield at, notice
            case _:
                pass


def _label(record: ActionRecord) -> str:
    """Return a change as the result names it: the kind first, so that scripts can match it."""
    back = "undo " if record.state is ActionState.ROLLED_BACK else ""
    # Of a ramp the rung that was written, not its end.
    written = record.action.change if record.intent is None else record.intent.post
    change = ", ".join(f"{lever}={value}" for lever, value in written)
    return f"{back}{record.action.kind} {record.action.subject} ({change})"


def _follow_parent() -> None:
    die_with_parent(signal.SIGTERM)
