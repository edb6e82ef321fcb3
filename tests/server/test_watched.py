"""A journal becomes a watch: ticks are read for two words each, and those are the right ones."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from homeostat.base import codec
from homeostat.base.decisions import DecisionRecord
from homeostat.base.events import Event, Record, Started, Ticked
from homeostat.base.evidence import Incident
from homeostat.base.ports import Entry
from homeostat.base.units import SECOND, TimeNs
from homeostat.report.shadow import Tick, Watch, plain
from homeostat.server import watched as module
from homeostat.server.watched import watched
from homeostat.testing.story import story

START = TimeNs(1_700_000_000 * SECOND)


@cache
def entries() -> tuple[Entry, ...]:
    """Return the story as a journal would hold it."""
    made = [
        (beat.at, "event" if isinstance(item, Event) else "command", codec.encode(item))
        for beat in story(START, name="credit", ticks=300)
        for item in beat.items
    ]
    return tuple(
        Entry(seq=seq, at=at, deployment="credit", kind=kind, body=body, digest="")
        for seq, (at, kind, body) in enumerate(made, start=1)
    )


class Book:
    """A journal that only reads."""

    def read(
        self, *, after: int = 0, deployment: str | None = None, kinds: Sequence[str] = ()
    ) -> Iterator[Entry]:
        return iter([one for one in entries() if one.kind in kinds])


def read(since: TimeNs = START) -> Watch:
    book: Any = Book()
    (found,) = watched(book, since)
    return found


def items() -> list[Any]:
    return [codec.decode(one.body) for one in entries()]


def test_ticks_say_what_decoding_all_of_them_says() -> None:
    slow = Watch(next(one for one in items() if isinstance(one, Started)).managed)
    for one in items():
        if isinstance(one, Ticked):
            slow.tick(Tick(at=one.at, met=one.evidence.slo_met, ready=one.evidence.ready))
    quick = read()
    assert (quick.spans, quick.learning_ns) == (slow.spans, slow.learning_ns)
    assert {said for _, _, said in quick.spans} > {"met"}


def test_every_incident_is_there_with_its_decisions() -> None:
    facts = [one.fact for one in items() if isinstance(one, Record)]
    incidents = {one.id for one in facts if isinstance(one, Incident)}
    decisions = [one for one in facts if isinstance(one, DecisionRecord) and one.incident_id]
    found = read()
    assert incidents
    assert found.troubles.keys() == incidents
    assert sum(len(one.decisions) for one in found.troubles.values()) == len(decisions) > 0
    assert len(plain(found)["incidents"]) == len(incidents)


def test_what_was_before_is_left_out() -> None:
    last = entries()[-1].at
    assert read(TimeNs(last - 10 * SECOND)).watched_ns <= 10 * SECOND
    late = read(TimeNs(last + SECOND))
    assert late.began is None
    assert all(one.closed_at is None for one in late.troubles.values())


def test_a_tick_that_says_a_word_twice_is_decoded_whole() -> None:
    tick = next(one for one in entries() if b'"$":"Ticked"' in one.body)
    event = codec.decode(tick.body)
    assert isinstance(event, Ticked)
    assert module._MET.findall(tick.body) == [
        {True: b"true", False: b"false", None: b"null"}[event.evidence.slo_met]
    ]
