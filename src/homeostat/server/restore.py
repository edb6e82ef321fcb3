"""Rebuilds a deployment's state from the journal: the last snapshot, then every event after it.

The same walk is what `homeostat replay` does over the whole journal, comparing every command.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from homeostat.base import codec
from homeostat.base.errors import StoreError
from homeostat.base.events import Command, Event, Ticked
from homeostat.base.policy import Managed
from homeostat.base.ports import Entry, Journal
from homeostat.base.state import LoopState
from homeostat.base.units import TimeNs
from homeostat.loop import step as loop_step
from homeostat.loop.parts import LoopParts


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A rebuilt state, the last tick and time, and what was said since the snapshot."""

    state: LoopState
    tick: int
    last_at: TimeNs
    story: tuple[Event | Command, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A command that replay did not give again."""

    seq: int
    recorded: str
    replayed: str


def restore(journal: Journal, parts: LoopParts, managed: Managed) -> Restored:
    """Return the deployment's state as the journal left it.

    Raises:
        StoreError: The journal cannot be read.
    """
    state, after = _last_snapshot(journal, managed)
    tick = state.evidence.tick if state.evidence is not None else 0
    story: list[Event | Command] = []
    last_at = TimeNs(0)
    for entry in journal.read(after=after, deployment=managed.name, kinds=("event",)):
        event = codec.decode(entry.body)
        last_at = max(last_at, entry.at)
        state, commands = loop_step.step(parts, state, event)
        if isinstance(event, Ticked):
            tick = event.evidence.tick
        story.extend((event, *commands))
    return Restored(state=state, tick=tick, last_at=last_at, story=tuple(story))


def replay(
    journal: Journal, parts: LoopParts, managed: Managed
) -> Iterator[tuple[Entry, tuple[Command, ...], bool, Mismatch | None]]:
    """Feed every journaled event again and compare every command, bit for bit.

    Yields:
        Each event's entry, the commands it gave now, whether commands were recorded, and the
        difference, if any. A controller may be killed between an event and its commands:
        commands that were never recorded were never carried out and are no difference.

    Raises:
        StoreError: The journal cannot be read.
    """
    state = loop_step.initial(managed)
    entries = journal.read(deployment=managed.name, kinds=("event", "command"))
    pending: tuple[Entry, tuple[Command, ...]] | None = None
    recorded: list[Entry] = []
    for entry in entries:
        if entry.kind == "command":
            recorded.append(entry)
            continue
        if pending is not None:
            yield (*pending, bool(recorded), _compare(*pending, recorded))
        recorded = []
        state, commands = loop_step.step(parts, state, codec.decode(entry.body))
        pending = (entry, commands)
    if pending is not None:
        yield (*pending, bool(recorded), _compare(*pending, recorded))


def _compare(entry: Entry, commands: tuple[Command, ...], recorded: list[Entry]) -> Mismatch | None:
    again = [codec.encode(command) for command in commands]
    if recorded and [row.body for row in recorded] != again:
        said = b" ".join(row.body for row in recorded).decode()
        return Mismatch(seq=entry.seq, recorded=said, replayed=b" ".join(again).decode())
    return None


def _last_snapshot(journal: Journal, managed: Managed) -> tuple[LoopState, int]:
    state, after = loop_step.initial(managed), 0
    for entry in journal.read(deployment=managed.name, kinds=("state",)):
        decoded = codec.decode(entry.body)
        if not isinstance(decoded, LoopState):
            raise StoreError(f"journal entry {entry.seq} is no state but {type(decoded).__name__}")
        state, after = decoded, entry.seq
    return state, after
