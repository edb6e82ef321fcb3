"""What a controller's journal holds of a deployment's past: its ticks, words, incidents, actions.

People spoke of incidents and of times without one (`Confirmed`); outcomes say which action helped
against which incident; actions say when something of ours was under way.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from homeostat.base import codec
from homeostat.base.decisions import Effect, Outcome
from homeostat.base.events import Confirmed, Record, Ticked
from homeostat.base.evidence import Evidence, Incident
from homeostat.base.intent import ActionRecord
from homeostat.base.ports import Journal
from homeostat.base.units import TimeNs
from homeostat.learn.feedback_spans import QUARTER
from homeostat.learn.feedback_words import Source, Word
from homeostat.learn.normal_past import Spoken

_FOR_EVER: Final = TimeNs(2**62)
_NEEDED: Final = (
    b'"$":"Ticked"',
    b'{"$":"Confirmed"',
    b'{"$":"Record","fact":{"$":"Incident"',
    b'{"$":"Record","fact":{"$":"ActionRecord"',
    b'{"$":"Record","fact":{"$":"Outcome"',
)


@dataclass(slots=True)
class Held:
    """What a journal holds of one deployment, gathered entry by entry.

    Attributes:
        seen: Evidence, oldest first.
        opened: When each incident began.
        closed: When it ended; one that is open still is not in it.
        persons: What each person last said of each incident.
        overlooked: Times at which people said that something had been missed.
        answers: The incident that each action answered.
        helped: Actions that were seen to help.
        began: When each action first was under way.
        ended: When nothing more happened to it.
    """

    seen: list[Evidence] = field(default_factory=list)
    opened: dict[str, TimeNs] = field(default_factory=dict)
    closed: dict[str, TimeNs] = field(default_factory=dict)
    persons: dict[str, dict[str, bool]] = field(default_factory=dict)
    overlooked: list[TimeNs] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    helped: set[str] = field(default_factory=set)
    began: dict[str, TimeNs] = field(default_factory=dict)
    ended: dict[str, TimeNs] = field(default_factory=dict)

    def spoken(self) -> tuple[Spoken, ...]:
        """Return what was said of which stretch."""
        words: dict[str, list[Word]] = {
            name: [Word(source=Source.PERSON, trouble=real) for real in said.values()]
            for name, said in self.persons.items()
        }
        for action in sorted(self.helped):
            if incident := self.answers.get(action):
                outcome = Word(source=Source.OUTCOME, trouble=True)
                words.setdefault(incident, []).append(outcome)
        known = [
            Spoken(
                name=name,
                since=self.opened[name],
                until=self.closed.get(name, _FOR_EVER),
                words=tuple(said),
            )
            for name, said in words.items()
            if name in self.opened
        ]
        missed = [
            Spoken(
                name=f"missed at {about / 1e9:.0f}",
                since=TimeNs(about - QUARTER),
                until=TimeNs(about + QUARTER),
                words=(Word(source=Source.PERSON, trouble=True),),
            )
            for about in self.overlooked
        ]
        return (*known, *missed)

    def acted(self) -> tuple[tuple[TimeNs, TimeNs], ...]:
        """Return when actions of ours were under way: first and last moment of each."""
        return tuple((began, self.ended.get(name, _FOR_EVER)) for name, began in self.began.items())


def held(journal: Journal) -> dict[str, Held]:
    """Return what a journal holds of each deployment that it shows.

    Raises:
        StoreError: It cannot be read.
    """
    out: dict[str, Held] = {}
    for entry in journal.read(kinds=("event", "command")):
        if not any(one in entry.body for one in _NEEDED):
            continue
        value = codec.decode(entry.body)
        what = value.fact if isinstance(value, Record) else value
        take = _TAKES.get(type(what))
        if take is None:
            continue
        name = what.evidence.deployment if isinstance(what, Ticked) else entry.deployment
        take(out.setdefault(name, Held()), what, value, entry.at)
    return {name: one for name, one in out.items() if one.seen}


def _ticked(one: Held, what: Ticked, _whole: Any, _at: TimeNs) -> None:
    one.seen.append(what.evidence)


def _confirmed(one: Held, what: Confirmed, _whole: Any, _at: TimeNs) -> None:
    if what.incident_id:
        one.persons.setdefault(what.incident_id, {})[what.by] = what.real
    elif what.about is not None and what.real:
        one.overlooked.append(what.about)


def _incident(one: Held, what: Incident, whole: Record, at: TimeNs) -> None:
    one.opened.setdefault(what.id, what.opened_at)
    if not whole.open:
        one.closed[what.id] = at


def _action(one: Held, what: ActionRecord, _whole: Any, _at: TimeNs) -> None:
    one.answers[what.id] = what.incident_id
    if what.intent is not None:
        one.began.setdefault(what.id, what.state_since)
    if what.id in one.began and what.state.is_terminal:
        one.ended[what.id] = what.state_since


def _outcome(one: Held, what: Outcome, _whole: Any, _at: TimeNs) -> None:
    if what.effect is Effect.HELPED:
        one.helped.add(what.action_id)


_TAKES: Final[Mapping[type, Callable[[Held, Any, Any, TimeNs], None]]] = MappingProxyType({
    Ticked: _ticked,
    Confirmed: _confirmed,
    Incident: _incident,
    ActionRecord: _action,
    Outcome: _outcome,
})
