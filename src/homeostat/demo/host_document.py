"""The host's desired state: one document of levers with a revision, an epoch and a stamp.

Pure: `patch` decides what a write does; `host_store` keeps the document on disk. Rules: a write
against an old revision is a conflict; a write of an older epoch is refused; an intent id that
already landed is answered again and changes nothing; a write without an epoch and an intent is a
foreign one (a person, a deployment pipeline) and clears the stamp; a setting that is written ends
the own values of single slots that the same write does not name.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, Final

from homeostat.base import names
from homeostat.base.units import TimeNs
from homeostat.base.world import Levers, Release, Scalar

KEPT_INTENTS: Final = 256  # a controller repeats only its last intent; 256 is hours of them
FOREIGN: Final = "foreign"
CONTROLLER: Final = "controller"
_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    names.BATCH_MAX: (1, 1024),
    names.BATCH_WAIT: (0.0, 1000.0),
    names.CONCURRENCY: (1, 65536),
}
# Levers of one slot, which go with it.
_OF_SLOTS: Final = ("incarnation.", "drained.", *(f"{setting}." for setting in names.OF_EACH))


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """One intent that reached the document: its id, the revision it made and what it set."""

    intent: str
    revision: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The desired state.

    Attributes:
        revision: Raised by every write that lands; the compare-and-set token.
        epoch: Highest controller epoch that has written.
        intent: Id of the last write if it was a controller's, None if it was foreign.
        writer: `controller`, `foreign`, or `host` before the first write.
        levers: Every lever's value, sorted by name.
        marks: Incarnations of slots that are gone, so that a returning slot counts on.
        releases: Versions each pool has run, oldest first.
        landed: The last intents, oldest first.
    """

    revision: int
    epoch: int
    intent: str | None
    writer: str
    levers: Levers
    marks: tuple[tuple[str, int], ...] = ()
    releases: tuple[Release, ...] = ()
    landed: tuple[Landed, ...] = ()

    def lever(self, name: str) -> Scalar:
        """Return a lever's value.

        Raises:
            KeyError: There is no such lever.
        """
        for key, value in self.levers:
            if key == name:
                return value
        raise KeyError(name)

    def pools(self) -> tuple[str, ...]:
        """Return the pools' names, sorted."""
        return tuple(
            key.removeprefix("replicas.") for key, _ in self.levers if key.startswith("replicas.")
        )

    def slots(self, pool: str) -> tuple[str, ...]:
        """Return the names of the slots a pool shall have."""
        return tuple(f"{pool}-{n + 1}" for n in range(int(self.lever(f"replicas.{pool}"))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """One write as it arrived.

    Attributes:
        expected: The revision it rests on; None for any, which only a claim may say.
        epoch: The controller's epoch, None for a foreign write.
        intent: The intent's id, None for a foreign write.
        levers: Levers and their new values; empty for a claim.
    """

    expected: int | None
    epoch: int | None
    intent: str | None
    levers: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The write lands: this is the new document."""

    document: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """The intent landed before, as this revision; nothing changes."""

    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The write does not land, and never will: an HTTP status and a sentence."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeverRules:
    """What levers may hold.

    Attributes:
        replicas_max: Most slots of a pool.
        version_problem: Says why a version cannot be loaded, None if it can.
    """

    replicas_max: int
    version_problem: Callable[[str], str | None]


def first_document(levers: Mapping[str, Scalar]) -> Document:
    """Return the document a fresh host starts from, with its slots' levers filled in."""
    blank = Document(revision=1, epoch=0, intent=None, writer="host", levers=())
    return _with_levers(blank, dict(levers))


def patch(document: Document, write: Patch, rules: LeverRules) -> Accepted | Repeated | Refused:
    """Decide what one write does to the document."""
    digest = _digest(write.levers)
    before = next((one for one in document.landed if one.intent == write.intent), None)
    if before is not None:
        if before.digest != digest:
            return Refused(status=422, reason=f"intent {write.intent} landed with other levers")
        return Repeated(revision=before.revision)
    if write.epoch is not None and write.epoch < document.epoch:
        return Refused(
            status=403, reason=f"epoch {write.epoch} is over: epoch {document.epoch} has written"
        )
    if write.expected is None and (write.levers or write.intent is None):
        return Refused(
            status=428, reason="only a claim (an intent without levers) fits any revision"
        )
    if write.expected not in {None, document.revision}:
        return Refused(
            status=409,
            reason=f"revision {write.expected} is out of date: it is {document.revision} now",
        )
    levers = dict(document.levers)
    for name, value in write.levers.items():
        checked = _checked(name, value, levers, rules)
        if isinstance(checked, Refused):
            return checked
        levers[name] = checked
    levers |= {
        name: 0
        for name in levers
        if (of := names.own(name)) and of[0] in write.levers and name not in write.levers
    }
    return Accepted(document=_landed(_with_levers(document, levers), write, digest))


def with_release(document: Document, pool: str, version: str, now: TimeNs) -> Document:
    """Return the document with a version noted as run by a pool, if that is news."""
    ran = [release.version for release in document.releases if release.pool == pool]
    if ran and ran[-1] == version:
        return document
    release = Release(pool=pool, version=version, since=now)
    return replace(document, releases=(*document.releases, release))


def _landed(document: Document, write: Patch, digest: str) -> Document:
    revision = document.revision + 1
    landed = document.landed
    if write.intent is not None:
        landed = (*landed, Landed(intent=write.intent, revision=revision, digest=digest))
    return replace(
        document,
        revision=revision,
        epoch=document.epoch if write.epoch is None else write.epoch,
        # A claim changes no lever: the last write is still the one that is stamped.
        intent=write.intent if write.levers else document.intent,
        writer=FOREIGN if write.intent is None else CONTROLLER,
        landed=landed[-KEPT_INTENTS:],
    )


def _with_levers(document: Document, levers: dict[str, Scalar]) -> Document:
    """Return the document with these levers, and those of every slot that there is."""
    marks = dict(document.marks)
    slots = {
        f"{name.removeprefix('replicas.')}-{n + 1}"
        for name, value in levers.items()
        if name.startswith("replicas.")
        for n in range(int(value))
    }
    for name in [key for key in levers if key.startswith(_OF_SLOTS)]:
        slot = names_slot(name)
        if slot not in slots:
            if name.startswith("incarnation."):
                marks[slot] = int(levers[name])
            del levers[name]
    for slot in slots:
        levers.setdefault(names.lever_incarnation(slot), marks.pop(slot, 0) + 1)
        levers.setdefault(names.lever_drained(slot), 0)
        for setting in names.OF_EACH:
            levers.setdefault(names.lever_own(setting, slot), 0)
    return replace(
        document, levers=tuple(sorted(levers.items())), marks=tuple(sorted(marks.items()))
    )


def names_slot(lever: str) -> str:
    """Return the slot (or pool) that a lever's name ends in.

    >>> names_slot("incarnation.a-1")
    'a-1'
    """
    return lever.partition(".")[2]


def _checked(
    name: str, value: object, levers: Mapping[str, Scalar], rules: LeverRules
) -> Scalar | Refused:
    if name not in levers:
        close = get_close_matches(name, levers, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return Refused(status=422, reason=f"unknown lever {name!r}{hint}")
    kind = name.partition(".")[0]
    if kind == "version":
        problem = rules.version_problem(value) if isinstance(value, str) else "not a version name"
        if problem:
            return Refused(status=422, reason=f"{name} = {value!r}: {problem}")
        return str(value)
    low, high = _RANGES.get(kind, (0.0, 0.0))
    match kind:
        case "replicas":
            high = rules.replicas_max
        case "drained":
            high = 1
        case "incarnation":
            low, high = float(levers[name]), float(levers[name]) + 1
        case _ if names.own(name) is not None:
            low = 0.0  # none of its own
        case _:
            pass
    return _number(name, value, low=low, high=high, whole=name != names.BATCH_WAIT)


def _number(name: str, value: object, *, low: float, high: float, whole: bool) -> Scalar | Refused:
    number = None if isinstance(value, bool) or not isinstance(value, int | float) else value
    if number is not None and low <= number <= high and not (whole and number != int(number)):
        return int(number) if whole else float(number)
    kind = "a whole number" if whole else "a number"
    return Refused(
        status=422, reason=f"{name} must be {kind} from {low:g} to {high:g}, got {value!r}"
    )


def _digest(levers: Mapping[str, Any]) -> str:
    text = json.dumps(sorted(levers.items()), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def to_json(document: Document) -> str:
    """Return the document as JSON text."""
    plain = {
        "revision": document.revision,
        "epoch": document.epoch,
        "intent": document.intent,
        "writer": document.writer,
        "levers": dict(document.levers),
        "marks": dict(document.marks),
        "releases": [[r.pool, r.version, r.since] for r in document.releases],
        "landed": [[one.intent, one.revision, one.digest] for one in document.landed],
    }
    return json.dumps(plain, indent=1)


def from_json(text: str) -> Document:
    """Return the document that `to_json` wrote.

    Raises:
        ValueError: The text is not such a document.
    """
    try:
        plain = json.loads(text)
        return Document(
            revision=int(plain["revision"]),
            epoch=int(plain["epoch"]),
            intent=plain["intent"],
            writer=str(plain["writer"]),
            levers=tuple(sorted(plain["levers"].items())),
            marks=tuple(sorted(plain["marks"].items())),
            releases=tuple(
                Release(pool=pool, version=version, since=TimeNs(since))
                for pool, version, since in plain["releases"]
            ),
            landed=tuple(
                Landed(intent=intent, revision=revision, digest=digest)
                for intent, revision, digest in plain["landed"]
            ),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a host document: {error!r}") from error
