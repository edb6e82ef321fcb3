"""What stands of every matter: events and commands folded into one bulletin an incident.

Pure, bounded, and of one thread. It decides nothing; what it forgets, the journal has.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from homeostat.base.bulletin import Bulletin, Question, alone
from homeostat.base.decisions import Ask, DecisionRecord, Notice, Urgency
from homeostat.base.events import Command, Event, Record, Tell
from homeostat.base.evidence import Incident
from homeostat.base.intent import ActionRecord, ActionState
from homeostat.base.state import LoopState
from homeostat.base.units import TimeNs

KEPT: Final = 500
"""Matters kept; of those beyond, the ones that are over go first."""
STORY: Final = 20
"""Lines kept of one matter."""
_HOMES: Final = 4096
_ORDER: Final = (Urgency.INFO, Urgency.ASK, Urgency.PAGE)
_WAITING: Final = frozenset({ActionState.PROPOSED, ActionState.AWAITING_APPROVAL})
_STEPS: Final = frozenset({ActionState.INTENT, ActionState.ROLLING_BACK})
_DECISION: Final = re.compile(r"(d-[0-9]+)(\..*)?")

Matter = tuple[str, str]
"""Deployment and key."""


class Board:
    """Every matter as it stands, and a number for each that grows when it changes."""

    def __init__(self) -> None:
        self.bulletins: OrderedDict[Matter, Bulletin] = OrderedDict()
        self.versions: dict[Matter, int] = {}
        self._homes: OrderedDict[Matter, str] = OrderedDict()  # of decisions: their matter's key
        self._now: dict[str, TimeNs] = {}
        self._changes = 0
        self._wakes: list[Callable[[], None]] = []

    def watch(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` after each change, until the returned function is called."""
        self._wakes.append(wake)

        def stop() -> None:
            if wake in self._wakes:
                self._wakes.remove(wake)

        return stop

    def observe(self, deployment: str, item: Event | Command) -> None:
        """Fold one entry of a deployment's journal."""
        match item:
            case Record(fact=Incident() as incident, open=is_open):
                self._incident(incident, is_open=is_open)
            case Record(fact=DecisionRecord() as record):
                self._decided(record)
            case Record(fact=ActionRecord() as record):
                self._acted(record)
            case Tell(notice=notice):
                self._told(notice)
            case _ if isinstance(item, Event):
                self._now[deployment] = item.at
            case _:
                pass  # nothing to look at

    def heard(self, deployment: str, line: str, at: TimeNs) -> None:
        """Add what somebody outside says to the story of a deployment's open incidents."""
        for matter, one in tuple(self.bulletins.items()):
            if matter[0] == deployment and one.lasting and one.is_open:
                self._put(matter, _with_line(one, at, line))

    def adopt(self, states: Mapping[str, LoopState]) -> None:
        """Take what a restored state still holds: what is open, and what is over meanwhile."""
        for name, state in states.items():
            self._now.setdefault(name, state.evidence.at if state.evidence else TimeNs(0))
            incident = state.incident
            if incident is not None and (name, incident.id) not in self.bulletins:
                self._incident(incident, is_open=True)

    def _incident(self, incident: Incident, *, is_open: bool) -> None:
        matter = (incident.deployment, incident.id)
        known = self.bulletins.get(matter)
        if incident.confirmed_at is None and known is None:
            return  # one tick's suspicion is nobody's news
        now = self._now.get(incident.deployment, incident.opened_at)
        before = known or Bulletin(
            key=incident.id,
            deployment=incident.deployment,
            since=incident.opened_at,
            at=now,
            urgency=Urgency.INFO,
            title="",
            lasting=True,
        )
        over = None if is_open else before.over_at or now
        after = replace(
            before,
            title=f"{incident.family} at {incident.subject}",
            because=incident.because,
            lasting=True,
            since=incident.opened_at,
            over_at=over,
            question=before.question if is_open else None,
        )
        if after != known:
            self._put(matter, replace(after, at=now))

    def _decided(self, record: DecisionRecord) -> None:
        home = record.incident_id or record.id
        self._homes[record.deployment, record.id] = home
        while len(self._homes) > _HOMES:
            self._homes.popitem(last=False)
        if not isinstance(record.decision, Ask):
            return
        action = record.decision.action
        question = Question(
            decision_id=record.id,
            words=f"{action.kind} {action.subject}",
            asked_at=record.at,
            expires_at=record.decision.expires_at,
        )
        matter = (record.deployment, home)
        known = self.bulletins.get(matter) or Bulletin(
            key=home,
            deployment=record.deployment,
            since=record.at,
            at=record.at,
            urgency=Urgency.ASK,
            title=f"may I {question.words}?",
            because=record.decision.because,
        )
        self._put(matter, replace(_urgent(known, Urgency.ASK), question=question, at=record.at))

    def _acted(self, record: ActionRecord) -> None:
        matter = (record.deployment, self._home(record.deployment, record.id))
        known = self.bulletins.get(matter)
        if known is None or record.state in _WAITING:
            return
        after = known
        if record.state.is_terminal or record.state in _STEPS:
            after = _with_line(known, record.state_since, _words(record))
        if known.question is not None and known.question.decision_id == record.id:
            settled = None if known.lasting else record.state_since
            after = replace(after, question=None, over_at=known.over_at or settled)
        if after != known:
            self._put(matter, after)

    def _told(self, notice: Notice) -> None:
        matter = (notice.deployment, self._home(notice.deployment, notice.key))
        known = self.bulletins.get(matter)
        if known is None:
            self._put(matter, replace(alone(notice), key=matter[1]))
            return
        if not known.lasting and known.question is None and known.over_at is None:
            again = replace(alone(notice), key=matter[1], story=known.story)
            self._put(matter, _with_line(again, known.at, known.title))
            return
        after = _with_line(_urgent(known, notice.urgency), notice.at, notice.title)
        if notice.urgency is Urgency.PAGE and known.paged_at is None:
            after = replace(after, paged_at=notice.at)
        self._put(matter, after)

    def _home(self, deployment: str, key: str) -> str:
        """Return the matter that a notice's key or a decision's id belongs to."""
        found = _DECISION.fullmatch(key)
        return key if found is None else self._homes.get((deployment, found.group(1)), key)

    def _put(self, matter: Matter, bulletin: Bulletin) -> None:
        self._changes += 1
        self.bulletins[matter] = bulletin
        self.versions[matter] = self._changes
        while len(self.bulletins) > KEPT:
            closed = (one for one, what in self.bulletins.items() if not what.is_open)
            oldest = next(closed, next(iter(self.bulletins)))
            del self.bulletins[oldest], self.versions[oldest]
        for wake in tuple(self._wakes):
            wake()


def _words(record: ActionRecord) -> str:
    agreed = f", approved by {record.approved_by}" if record.approved_by else ""
    why = f" ({record.reason})" if record.reason else ""
    what = f"{record.action.kind} {record.action.subject}"
    return f"{record.id} {what}: {record.state.value}{agreed}{why}"


def _with_line(bulletin: Bulletin, at: TimeNs, line: str) -> Bulletin:
    if any(line == said for _, said in bulletin.story[-3:]):
        return bulletin
    story = (*bulletin.story, (at, line))[-STORY:]
    return replace(bulletin, story=story, at=max(at, bulletin.at))


def _urgent(bulletin: Bulletin, urgency: Urgency) -> Bulletin:
    highest = max(bulletin.urgency, urgency, key=_ORDER.index)
    return replace(bulletin, urgency=highest)
