"""What a controller saw and would have done over the time that it watched, told from its record.

Values in, values out: ticks, incidents and decisions of one deployment become a `Watch`. Time in
which nobody looked is unknown, and so is time in which the objectives could not be judged.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from homeostat.base.actions import ActionKind
from homeostat.base.decisions import Apply, Ask, DecisionRecord
from homeostat.base.evidence import Incident
from homeostat.base.policy import Managed, Mode
from homeostat.base.units import SECOND, TimeNs, seconds

MET: Final = "met"
MISSED: Final = "missed"
UNKNOWN: Final = "unknown"
_GAP: Final = 3  # intervals without a tick: nobody watched
# The guards by which a shadow is a shadow; what nothing else refuses, it would have done.
_SHADOW: Final = ("G12 shadow", "G12 unproved", "G12 autonomy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One tick: what was known of the objectives.

    Attributes:
        at: Its time.
        met: Whether they were met, None for unknown.
        ready: Whether enough had been learnt to act.
    """

    at: TimeNs
    met: bool | None
    ready: bool


@dataclass(slots=True)
class Trouble:
    """One incident.

    Attributes:
        incident: As last recorded.
        closed_at: When it was over, None while it lasts.
        decisions: What was decided about it, oldest first.
    """

    incident: Incident
    closed_at: TimeNs | None = None
    decisions: list[DecisionRecord] = field(default_factory=list)


@dataclass(slots=True)
class Watch:
    """One deployment over the time watched. Changes in place, oldest news first.

    Attributes:
        managed: Its configuration, as last recorded.
        began: The first tick, None before there is any.
        ended: The last tick.
        spans: Stretches with one answer: (from, to, met or missed or unknown).
        learning_ns: Time before enough was known to act.
        unwatched_ns: Time between ticks in which nobody looked.
        troubles: Incidents by id.
    """

    managed: Managed
    began: TimeNs | None = None
    ended: TimeNs | None = None
    spans: list[tuple[TimeNs, TimeNs, str]] = field(default_factory=list)
    learning_ns: int = 0
    unwatched_ns: int = 0
    troubles: dict[str, Trouble] = field(default_factory=dict)

    def tick(self, one: Tick) -> None:
        """Take one tick; what it says holds for the time since the one before."""
        if self.ended is None or self.began is None:
            self.began = self.ended = one.at
            return
        since, passed = self.ended, one.at - self.ended
        if passed <= 0:
            return
        self.ended = one.at
        if passed > _GAP * self.managed.scrape_ns:
            self.unwatched_ns += passed
            return
        self.learning_ns += 0 if one.ready else passed
        said = UNKNOWN if one.met is None else MET if one.met else MISSED
        if self.spans and self.spans[-1][1:] == (since, said):
            self.spans[-1] = (self.spans[-1][0], one.at, said)
        else:
            self.spans.append((since, one.at, said))

    def incident(self, one: Incident, at: TimeNs, *, is_open: bool) -> None:
        """Take an incident that opened, changed or closed."""
        trouble = self.troubles.setdefault(one.id, Trouble(one))
        trouble.incident = one
        trouble.closed_at = None if is_open else at

    def decision(self, one: DecisionRecord) -> None:
        """Take a decision about an incident; one about none (less is needed) is left out."""
        if one.incident_id in self.troubles:
            self.troubles[one.incident_id].decisions.append(one)

    def share(self, answer: str) -> float | None:
        """Return the share of the time judged that had an answer; None if nothing was judged."""
        total = sum(end - begin for begin, end, _ in self.spans)
        part = sum(end - begin for begin, end, said in self.spans if said == answer)
        return part / total if total else None

    @property
    def lasting(self) -> list[Trouble]:
        """Incidents that lasted long enough to act on."""
        return [one for one in self.troubles.values() if one.incident.confirmed_at is not None]

    @property
    def watched_ns(self) -> int:
        """Time in which it was looked at."""
        return sum(end - begin for begin, end, _ in self.spans)


def would(decision: DecisionRecord) -> tuple[str, str, tuple[str, ...]]:
    """Return what a decision comes to: the verdict, the action in words, and the reasons.

    The verdict is `did`, `asked`, `would` (nothing but being a shadow stood against it),
    `refused` (a guard did), `told` (a person was) or `held`.
    """
    what = decision.decision
    if isinstance(what, Apply | Ask):
        return "did" if isinstance(what, Apply) else "asked", _label(decision, what), what.because
    for action, reasons in decision.refused:
        beyond = tuple(one for one in reasons if not one.startswith(_SHADOW))
        if not beyond and reasons:
            return "would", action, ()
    passive = ActionKind.ESCALATE.value
    named = [(action, reasons) for action, reasons in decision.refused if action != passive]
    if named:
        action, reasons = named[0]
        kept = tuple(one for one in reasons if not one.startswith(_SHADOW))
        return "refused", action, kept
    if any(name.startswith(passive) for name, _ in decision.considered):
        return "told", "", ()  # shadows tell as well; why is the incident's
    return "held", "", what.because


def came_to(trouble: Trouble) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return what an incident's decisions come to, oldest first; what is repeated is said once."""
    return list(dict.fromkeys(would(one) for one in trouble.decisions))


def _label(decision: DecisionRecord, what: Apply | Ask) -> str:
    wanted = f"{what.action.kind} {what.action.subject}"
    return next((one for one in decision.allowed if one.startswith(wanted)), wanted)


def plain(watch: Watch) -> dict[str, Any]:
    """Return a watch as plain values; times in seconds since 1970, lengths in seconds."""
    return {
        "deployment": watch.managed.name,
        "mode": watch.managed.mode.value,
        "from": None if watch.began is None else seconds(watch.began),
        "to": None if watch.ended is None else seconds(watch.ended),
        "watched_s": seconds(watch.watched_ns),
        "unwatched_s": seconds(watch.unwatched_ns),
        "learning_s": seconds(watch.learning_ns),
        "met": watch.share(MET),
        "missed": watch.share(MISSED),
        "unknown": watch.share(UNKNOWN),
        "incidents": [_trouble(one) for one in watch.troubles.values()],
    }


def counts(watch: Watch) -> Mapping[str, int]:
    """Return how many incidents ended in each verdict: the strongest of its decisions counts."""
    order = ("did", "asked", "would", "refused", "told", "held")
    found = dict.fromkeys(order, 0)
    for trouble in watch.troubles.values():
        said = {would(one)[0] for one in trouble.decisions}
        first = next((one for one in order if one in said), None)
        if first is not None:
            found[first] += 1
    return found


def _trouble(one: Trouble) -> dict[str, Any]:
    incident = one.incident
    return {
        "id": incident.id,
        "family": incident.family.value,
        "subject": incident.subject,
        "opened_at": seconds(incident.opened_at),
        "confirmed_at": None if incident.confirmed_at is None else seconds(incident.confirmed_at),
        "closed_at": None if one.closed_at is None else seconds(one.closed_at),
        "because": list(incident.because),
        "decisions": [
            {"id": said.id, "at": seconds(said.at), "verdict": verdict}
            | {"action": action, "because": list(because)}
            for said, (verdict, action, because) in ((d, would(d)) for d in one.decisions)
        ],
    }


def watches(every: Iterable[Watch]) -> list[Watch]:
    """Return those that were watched at all, by name."""
    there = [one for one in every if one.began is not None]
    return sorted(there, key=lambda one: one.managed.name)


def all_shadow(every: Iterable[Watch]) -> bool:
    """Return whether nothing was allowed to act."""
    return all(one.managed.mode is Mode.SHADOW for one in every)


def length(span_ns: int) -> str:
    """Return a length of time in words.

    >>> length(90 * SECOND), length(3 * 3600 * SECOND), length(50 * 3600 * SECOND)
    ('1.5 min', '3.0 h', '2.1 d')
    """
    spent = span_ns / SECOND
    for unit, size in (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if spent >= (2.0 * size if unit == "d" else size):
            return f"{spent / size:.1f} {unit}"
    return f"{spent:.0f} s"
