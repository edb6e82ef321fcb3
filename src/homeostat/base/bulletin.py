"""What people see of one matter now: an incident from its onset to its end, or a word said once.

A `Notice` is said once. A `Bulletin` is what stands: a notifier that keeps one thing up to date (a
message in a chat, an alert) is shown the latest one, and whoever was away has missed nothing.
Never journaled: it follows from what is.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from homeostat.base.decisions import Notice, Urgency
from homeostat.base.units import TimeNs


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a person is asked.

    Attributes:
        decision_id: The question's.
        words: What would be done: the kind and the subject of the action.
        asked_at: When it was asked.
        expires_at: From then on a yes is worth nothing, and nothing is done.
        action_hash: What a yes would be bound to, as in `state.Asked`; empty where that is not
            known: then it can be read and not answered.
        evidence_hash: The same.
    """

    decision_id: str
    words: str
    asked_at: TimeNs
    expires_at: TimeNs
    action_hash: str = ""
    evidence_hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulletin:
    """One matter as it stands.

    Attributes:
        key: The incident's id, or the key of the notice where there is no incident; unique within
            the deployment, and the same for as long as the matter lasts.
        deployment: The managed model's name.
        since: When it began.
        at: When anything of it changed last.
        urgency: The highest so far.
        title: One line.
        because: The evidence, one sentence each.
        story: What was said of it, (time, one line), oldest first.
        lasting: True for an incident: somebody will say that it is over.
        over_at: When it was over, or its question settled; None before, and where nobody will say.
        paged_at: When it first needed a person; None if it never did.
        question: What is asked now.
    """

    key: str
    deployment: str
    since: TimeNs
    at: TimeNs
    urgency: Urgency
    title: str
    because: tuple[str, ...] = ()
    story: tuple[tuple[TimeNs, str], ...] = ()
    lasting: bool = False
    over_at: TimeNs | None = None
    paged_at: TimeNs | None = None
    question: Question | None = None

    @property
    def is_open(self) -> bool:
        """Whether it goes on: an incident that is not over, or a question that waits."""
        return self.over_at is None and (self.lasting or self.question is not None)


@runtime_checkable
class Showing(Protocol):
    """A notifier that keeps one thing per matter up to date, where others tell each notice."""

    @property
    def again_s(self) -> float | None:
        """Show what is open at least this often; None for only when it changes. Seconds."""
        ...

    async def show(self, bulletin: Bulletin) -> None:
        """Bring what is shown of one matter up to date; the same bulletin again is no news.

        Raises:
            NotifierError: It may not be up to date; it is shown again later.
        """
        ...


def alone(notice: Notice) -> Bulletin:
    """Return a bulletin that says no more than one notice.

    >>> alone(Notice(key="k", deployment="m", at=TimeNs(1), urgency=Urgency.INFO, title="t")).title
    't'
    """
    return Bulletin(
        key=notice.key,
        deployment=notice.deployment,
        since=notice.at,
        at=notice.at,
        urgency=notice.urgency,
        title=notice.title,
        because=notice.lines,
        paged_at=notice.at if notice.urgency is Urgency.PAGE else None,
    )
