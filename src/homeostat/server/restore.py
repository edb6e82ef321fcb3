"""Rebuilds a deployment's state from the journal: the last snapshot, then every event after it.

The same walk is what `homeostat replay` does over the whole journal, comparing every command.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from homeostat.base import codec
from homeostat.base.decisions import Urgency
from homeostat.base.errors import StoreError
from homeostat.base.events import Command, Event, Tell, Ticked
from homeostat.base.policy import Managed
from homeostat.base.ports import Entry, Journal
from homeostat.base.state import LoopState
from homeostat.base.units import SECOND, TimeNs
from homeostat.loop import step as loop_step
from homeostat.loop.parts import LoopParts

# A notice may have been on its way for this long when its controller was killed: a webhook's
# tries, twice over. More than this many in that time are a flood, of which the last ones count.
UNTOLD_NS = 30 * SECOND
UNTOLD_MAX = 100
_TELL = b'{"$":"Tell"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A rebuilt deployment.

    Attributes:
        state: As the journal left it.
        tick: The last tick's number.
        last_at: Time of the last entry.
        story: What happened since the last snapshot.
        untold: Notices for a person that the controller before may not have delivered.
    """

    state: LoopState
    tick: int
    last_at: TimeNs
    story: tuple[Event | Command, ...] = ()
    untold: tuple[Tell, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A command that replay did not give again."""

    seq: int
    recorded: str
    replayed: str


def restore(journal: Journal, parts: LoopParts, managed: Managed) -> Restored:
    """Return one deployment's state as the journal left it.

    Raises:
        StoreError: The journal cannot be read.
    """
    return restore_all(journal, parts, (managed,))[managed.name]


def restore_all(
    journal: Journal, parts: LoopParts, managed: Sequence[Managed]
) -> dict[str, Restored]:
    """Return every deployment's state as the journal left it, in two walks over the journal.

    Raises:
        StoreError: The journal cannot be read, or a snapshot in it is none.
    """
    newest: dict[str, Entry] = {}
    told: deque[Entry] = deque(maxlen=UNTOLD_MAX)
    for entry in journal.read(kinds=("state", "command")):
        if entry.kind == "state":
            newest[entry.deployment] = entry
        elif entry.body.startswith(_TELL):
            told.append(entry)
    found = {one.name: _from_snapshot(one, newest.get(one.name)) for one in managed}
    after = {name: newest[name].seq if name in newest else 0 for name in found}
    stories: dict[str, list[Event | Command]] = {name: [] for name in found}
    for entry in journal.read(after=min(after.values(), default=0), kinds=("event",)):
        name = entry.deployment
        if name not in found or entry.seq <= after[name]:
            continue
        event = decoded(entry)
        before = found[name]
        state, commands = loop_step.step(parts, before.state, event)
        tick = event.evidence.tick if isinstance(event, Ticked) else before.tick
        last_at = max(before.last_at, entry.at)
        found[name] = Restored(state=state, tick=tick, last_at=last_at)
        stories[name].extend((event, *commands))
    return {
        name: replace(one, story=tuple(stories[name]), untold=_untold(name, one.last_at, told))
        for name, one in found.items()
    }


def _untold(name: str, last_at: TimeNs, told: Iterable[Entry]) -> tuple[Tell, ...]:
    """Return what a person must hear and perhaps has not; telling twice edits the first."""
    recent = (
        decoded(entry)
        for entry in told
        if entry.deployment == name and last_at - entry.at <= UNTOLD_NS
    )
    return tuple(tell for tell in recent if tell.notice.urgency is not Urgency.INFO)


def replay(
    journal: Journal, parts: LoopParts, managed: Managed
) -> Iterator[tuple[Entry, tuple[Command, ...], bool, Mismatch | None]]:
    """Feed every journaled event again and compare every command, bit for bit.

    Yields:
        Each event's entry, the commands it gave now, whether commands were recorded, and the
        difference, if any; and the entry of each snapshot that does not hold the state. A
        controller may be killed between an event and its commands: commands that were never
        recorded were never carried out and are no difference.

    Raises:
        StoreError: The journal cannot be read.
    """
    state, after = _beginning(journal, managed)
    pending: tuple[Entry, tuple[Command, ...]] | None = None
    recorded: list[Entry] = []
    for entry in journal.read(after=after, deployment=managed.name):
        match entry.kind:
            case "command":
                recorded.append(entry)
            case "event":
                if pending is not None:
                    yield (*pending, bool(recorded), _compare(*pending, recorded))
                recorded = []
                state, commands = loop_step.step(parts, state, decoded(entry))
                pending = (entry, commands)
            case "state" if (again := _canonical(state)) != (said := _canonical(_state(entry))):
                yield entry, (), True, Mismatch(seq=entry.seq, recorded=said, replayed=again)
            case _:
                pass
    if pending is not None:
        yield (*pending, bool(recorded), _compare(*pending, recorded))


def walk(
    journal: Journal, parts: LoopParts, managed: Managed
) -> Iterator[tuple[Entry, LoopState, tuple[Command, ...]]]:
    """Yield each journaled event with the state after it and the commands that it gave.

    Raises:
        StoreError: The journal cannot be read.
    """
    state, after = _beginning(journal, managed)
    for entry in journal.read(after=after, deployment=managed.name, kinds=("event",)):
        state, commands = loop_step.step(parts, state, decoded(entry))
        yield entry, state, commands


def _beginning(journal: Journal, managed: Managed) -> tuple[LoopState, int]:
    """Return where replay starts: the first event, or where that was dropped, a snapshot.

    Retention drops everything before a snapshot; a gap in the numbers before the deployment's
    first event says that it may have.
    """
    last, gap = 0, False
    for entry in journal.read():
        gap = gap or entry.seq != last + 1
        last = entry.seq
        if entry.deployment != managed.name:
            continue
        if entry.kind == "event" and not gap:
            break
        if entry.kind == "state":
            return _state(entry), entry.seq
    return loop_step.initial(managed), 0


def _compare(entry: Entry, commands: tuple[Command, ...], recorded: list[Entry]) -> Mismatch | None:
    again = [codec.encode(command) for command in commands]
    if recorded and [row.body for row in recorded] != again:
        said = b" ".join(row.body for row in recorded).decode()
        return Mismatch(seq=entry.seq, recorded=said, replayed=b" ".join(again).decode())
    return None


def _from_snapshot(managed: Managed, entry: Entry | None) -> Restored:
    if entry is None:
        state = loop_step.initial(managed)
        return Restored(state=state, tick=0, last_at=TimeNs(0))
    state = _state(entry)
    tick = state.evidence.tick if state.evidence is not None else 0
    return Restored(state=state, tick=tick, last_at=entry.at)


def _canonical(state: LoopState) -> str:
    """Return a state as the journal gives it back: whole numbers where floats belong are floats."""
    return codec.encode(codec.decode(codec.encode(state))).decode()


def _state(entry: Entry) -> LoopState:
    """Return the state that a snapshot holds.

    Raises:
        StoreError: It holds something else.
    """
    state = decoded(entry)
    if not isinstance(state, LoopState):
        raise StoreError(f"journal entry {entry.seq} is no state but {type(state).__name__}")
    return state


def decoded(entry: Entry) -> Any:
    """Return what an entry holds.

    Raises:
        StoreError: It cannot be understood, though its digest fits.
    """
    try:
        return codec.decode(entry.body)
    except ValueError as error:
        raise StoreError(
            f"journal entry {entry.seq} cannot be understood ({error}); was it written by a newer "
            "version? Read it with that one"
        ) from error
