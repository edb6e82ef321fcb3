"""Asks one Prometheus for several deployments in one query, and gives each its own part.

Sources that look at the same moment at the same server for the same metrics, and whose selections
differ in the value of one label, are one query: a thousand deployments are twenty round trips. What
one of them says wrong is wrong with its part alone (`read_apart`). Where the answer cannot be used
as a whole (refused, too large, partial) everybody asks alone in the same round, so that a round is
two queries a deployment at most; who fails alone too stays alone for a while, and where nobody does
the groups were too large. A server that was too slow is asked for less the next time, not again.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self
from weakref import WeakKeyDictionary

from homeostat.adapters.sources.prometheus_access import Access
from homeostat.adapters.sources.prometheus_answer import (
    AbsurdAnswerError,
    Answered,
    Parted,
    QueryError,
    RefusedQueryError,
)
from homeostat.adapters.sources.prometheus_api import PrometheusApi
from homeostat.adapters.sources.prometheus_select import selector, together, window
from homeostat.base.evidence import Quality
from homeostat.base.units import TimeNs

MOST: Final = 50
"""Deployments in one query: with 20 series of five samples each, an answer of 300 kB."""
PATIENCE: Final = 20
"""Rounds until who failed alone, or a larger group, is tried again."""
_TEXT_MAX: Final = 6_000  # characters of values in a query; VictoriaMetrics takes 16 kB by default
_AT_ONCE: Final = 100  # queries under way to one server
_PARTIAL: Final = frozenset({"isPartial", "warnings"})
_PATTERN: Final = "~"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What one source asks for in one round.

    Attributes:
        names: Metrics, as they are stored.
        select: Label and value, as `PrometheusSettings.select`.
        window_s: How far back, in seconds.
        at: The moment.
    """

    names: frozenset[str]
    select: tuple[tuple[str, str], ...]
    window_s: float
    at: TimeNs


@dataclass(slots=True)
class _Fall:
    """A group that fell apart: how many still ask alone, and how many of them failed."""

    size: int
    left: int = 0
    failed: int = 0


@dataclass(slots=True, eq=False)
class _Waiting:
    """Somebody who asked. Its future holds the answer, or None: ask alone."""

    wanted: Wanted
    future: asyncio.Future[Answered | None]
    fall: _Fall | None = None

    def tell(self, answered: Answered | None, fall: _Fall | None = None) -> None:
        """Answer, unless it was given up."""
        if self.future.done():
            return
        if fall is not None:
            self.fall = fall
            fall.left += 1
        self.future.set_result(answered)

    def refuse(self, error: QueryError) -> None:
        """Fail, unless it was given up; everybody gets an error of its own."""
        if not self.future.done():
            own = QueryError(str(error), quality=error.quality, field=error.field)
            self.future.set_exception(own)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Who is asked for in one query: all but the value of one label is the same."""

    label: str
    shared: dict[str, str]
    members: list[_Waiting] = field(default_factory=list)

    @property
    def values(self) -> set[str]:
        """The values that tell the members apart."""
        return {self.value(one) for one in self.members}

    def value(self, one: _Waiting) -> str:
        """Return the value that a member is told by."""
        return dict(one.wanted.select)[self.label]


class Asker:
    """Asks one server for all sources of this process. Changes in place."""

    def __init__(self, access: Access, **outside: Any) -> None:
        self.api = PrometheusApi(access, **outside)
        self.users = 0
        self._size, self._round, self._grow_at = MOST, 0, 0
        self._alone: dict[tuple[tuple[str, str], ...], int] = {}
        self._waiting: list[_Waiting] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def ask(self, wanted: Wanted) -> Answered:
        """Return what one source asked for, with whoever asks at the same moment.

        Raises:
            QueryError: No answer in time, none that can be believed, or a partial one.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(wanted, loop.create_future())
        if not self._waiting:
            # All sources of a round have asked when the loop comes round to this.
            loop.call_soon(self._send)
        self._waiting.append(waiting)
        answered = await waiting.future
        if answered is not None:
            return answered
        failed = True
        try:
            query = window(selector(wanted.names, dict(wanted.select)), wanted.window_s)
            async with self._gate:
                found = (await self.api.instant(query, at=wanted.at)).whole(self.api.where)
            failed = False
        finally:
            self._note(waiting, failed=failed)
        return found

    def _send(self) -> None:
        """Ask for all who wait."""
        waiting, self._waiting = self._waiting, []
        self._round += 1
        if self._size < MOST and self._round >= self._grow_at:
            self._size = min(MOST, 2 * self._size)
            self._grow_at = self._round + PATIENCE
        self._alone = {who: end for who, end in self._alone.items() if end > self._round}
        rest = []
        for one in waiting:
            if one.wanted.select in self._alone:
                one.tell(None)
            else:
                rest.append(one)
        for group in _grouped(rest, self._size):
            if len(group.members) == 1:
                group.members[0].tell(None)
                continue
            task = asyncio.get_running_loop().create_task(self._together(group))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _together(self, group: _Group) -> None:
        one = group.members[0].wanted
        query = together(one.names, group.shared, group.label, group.values)
        try:
            async with self._gate:
                asked = window(query, one.window_s)
                parted = await self.api.apart(asked, label=group.label, at=one.at)
            self._give(group, parted)
        except QueryError as error:
            self._failed(group, error)
        finally:
            for member in group.members:
                member.tell(None)  # whatever went wrong: nobody waits for ever

    def _give(self, group: _Group, parted: Parted) -> None:
        for member in group.members:
            part = parted.parts.get(group.value(member), ())
            if isinstance(part, AbsurdAnswerError):
                member.refuse(part)
            else:
                member.tell(Answered(series=part, skew_s=parted.skew_s))

    def _failed(self, group: _Group, error: QueryError) -> None:
        """Let the members ask alone where that may help: an answer came, and was of no use."""
        of_no_use = isinstance(error, RefusedQueryError) or error.field in _PARTIAL
        if of_no_use or error.quality is Quality.ABSURD:
            fall = _Fall(size=len(group.members))
            for member in group.members:
                member.tell(None, fall)
            return
        if isinstance(error.__cause__, TimeoutError):
            self._shrink(len(group.members))
        for member in group.members:
            member.refuse(error)

    def _note(self, waiting: _Waiting, *, failed: bool) -> None:
        """Remember how somebody fared alone."""
        fall, who = waiting.fall, waiting.wanted.select
        if failed and (fall is not None or who in self._alone):
            self._alone[who] = self._round + PATIENCE
        if fall is None:
            return
        fall.left -= 1
        fall.failed += failed
        if not fall.left and not fall.failed:
            self._shrink(fall.size)

    def _shrink(self, size: int) -> None:
        self._size = max(1, min(self._size, size // 2))
        self._grow_at = self._round + PATIENCE


class Desk:
    """The servers that are asked from one event loop. Changes in place."""

    def __init__(self, **outside: Any) -> None:
        self._outside = outside
        self._askers: dict[Access, Asker] = {}

    @classmethod
    def here(cls) -> Self:
        """Return the one of the running loop: whoever asks from it shares its queries."""
        loop = asyncio.get_running_loop()
        if loop not in _DESKS:
            _DESKS[loop] = cls()
        desk = _DESKS[loop]
        assert isinstance(desk, cls)  # noqa: S101 - for the type checker
        return desk

    def join(self, access: Access) -> Asker:
        """Return who asks a server; `leave` once nothing more is to be asked."""
        if access not in self._askers:
            self._askers[access] = Asker(access, **self._outside)
        asker = self._askers[access]
        asker.users += 1
        return asker

    async def leave(self, access: Access) -> None:
        """Release what `join` gave; the last to leave closes the connections."""
        asker = self._askers[access]
        asker.users -= 1
        if not asker.users:
            del self._askers[access]
            await asker.api.close()


_DESKS: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Desk]] = WeakKeyDictionary()


def _grouped(waiting: Sequence[_Waiting], most: int) -> Iterator[_Group]:
    alike: dict[tuple[TimeNs, float, frozenset[str], tuple[str, ...]], list[_Waiting]] = {}
    for one in waiting:
        wanted = one.wanted
        labels = tuple(label for label, _ in wanted.select)
        key = (wanted.at, wanted.window_s, wanted.names, labels)
        alike.setdefault(key, []).append(one)
    for (_, _, _, labels), members in alike.items():
        best = min((_split(members, label) for label in labels), key=len)
        for group in best:
            yield from _chunks(group, most)


def _split(members: Sequence[_Waiting], label: str) -> list[_Group]:
    """Return groups whose members differ in one label alone; a pattern is nobody's equal."""
    groups: dict[tuple[object, ...], _Group] = {}
    for place, one in enumerate(members):
        rest = {name: value for name, value in one.wanted.select if name != label}
        pattern = dict(one.wanted.select)[label].startswith(_PATTERN)
        key = (tuple(rest.items()), place if pattern else None)
        groups.setdefault(key, _Group(label=label, shared=rest)).members.append(one)
    return list(groups.values())


def _chunks(group: _Group, most: int) -> Iterator[_Group]:
    """Return a group in pieces that make a query of bearable length."""
    piece = _Group(label=group.label, shared=group.shared)
    length = 0
    for one in group.members:
        longer = len(group.value(one))
        if piece.members and (len(piece.members) >= most or length + longer > _TEXT_MAX):
            yield piece
            piece, length = _Group(label=group.label, shared=group.shared), 0
        piece.members.append(one)
        length += longer
    yield piece


__all__ = ["MOST", "PATIENCE", "Asker", "Desk", "Wanted"]
