"""Retraining as values: what is asked of a trainer, what it answers, where a version came from.

A training takes hours and is somebody else's work; here it is an order with a key, and what is
known of it. Nobody is believed about a version that came of no order: its lineage is *unknown*.
What becomes of an order in the loop is `loop.training`.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from homeostat.base.canary import CanaryVerdict
from homeostat.base.units import HOUR, MINUTE, TimeNs

_KEY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+/@-]{0,199}\Z")


def is_key(text: str) -> bool:
    """Return whether a text may be an order's key: 1 to 128 letters, digits, dots and dashes.

    >>> is_key("fraud-d-0007-1800000000"), is_key("../x"), is_key("")
    (True, False, False)
    """
    return _KEY.match(text) is not None


def is_version(text: str) -> bool:
    r"""Return whether a text may be a version's name; control characters and spaces may not.

    >>> is_version("17"), is_version("models:/fraud/17"), is_version("1\n2"), is_version("")
    (True, True, False, False)
    """
    return _VERSION.match(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPolicy:
    """Whether a retrain may be proposed, and how long it may take.

    Attributes:
        window_ns: How far back the data goes that a training is asked to use.
        within_ns: A version must have come of it within this long, else it counts as lost.
        every_ns: How often the trainer is asked how it stands.
        marks: What became of a version is written back to the trainer (tags, an alias). Off:
            nothing but orders is ever written there.
    """

    window_ns: int = 7 * 24 * HOUR
    within_ns: int = 24 * HOUR
    every_ns: int = MINUTE
    marks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOrder:
    """One request for a training; the same key is the same training, however often it is sent.

    Attributes:
        key: Idempotency key, unique over deployments and over a journal that was begun anew.
        intent_id: The write of the action protocol that carries it.
        deployment: The managed model's name.
        action_id: The action record it belongs to.
        incident_id: The incident it answers.
        at: When it was made.
        reason: Why, one sentence each: what the incident rests on.
        approvers: Who said yes.
        data_from: Beginning of the data to train on.
        data_to: End of it.
        parent: The version that served the stable pool then; empty for unknown.
        epoch: The controller's.
        deadline: After this time the answer to the request counts as UNKNOWN.
        due: When a version must have come of it.
    """

    key: str
    intent_id: str
    deployment: str
    action_id: str
    incident_id: str
    at: TimeNs
    reason: tuple[str, ...]
    approvers: tuple[str, ...]
    data_from: TimeNs
    data_to: TimeNs
    parent: str
    epoch: int
    deadline: TimeNs
    due: TimeNs

    def __post_init__(self) -> None:
        """Refuse a key that a trainer could not keep.

        Raises:
            ValueError: Names the key and what one looks like.
        """
        if not is_key(self.key):
            raise ValueError(f"training key {self.key!r}: 1 to 128 letters, digits, dots, dashes")


class TrainingPhase(StrEnum):
    """Where a training stands, as the trainer tells it."""

    ABSENT = "absent"  # the trainer was read, and knows no order of this key
    TAKEN = "taken"  # it has the order; nothing more is known
    RUNNING = "running"
    MADE = "made"  # a version came of it
    FAILED = "failed"  # it ended without one
    UNKNOWN = "unknown"  # what it says makes no sense


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSight:
    """What a trainer says of one order.

    Attributes:
        key: The order's.
        phase: Where it stands.
        at: When it was read.
        version: What came of it, with MADE only.
        detail: For people.
        alias: The version that the serving alias names; empty for none, None where the trainer
            keeps none or does not say.
        verdict: What is written there of this version, empty for nothing.
    """

    key: str
    phase: TrainingPhase
    at: TimeNs
    version: str = ""
    detail: str = ""
    alias: str | None = None
    verdict: str = ""


class LineageState(StrEnum):
    """What has become of an order."""

    ASKING = "asking"  # it may have reached the trainer; shown as unknown
    ASKED = "asked"  # the trainer has it
    MADE = "made"  # a version came of it, which nobody has tried yet
    TRYING = "trying"  # it gets traffic, rung by rung
    PROMOTED = "promoted"  # with a certificate
    UNPROVEN = "unproven"  # promoted because somebody said so, without one
    REFUSED = "refused"  # it did harm while it was tried
    WITHDRAWN = "withdrawn"  # promoted, and taken back
    FAILED = "failed"  # the training ended without a version
    NOT_TAKEN = "not_taken"  # the trainer refused the order, or never got it
    LOST = "lost"  # nothing came of it in time, or nobody can tell

    @property
    def is_open(self) -> bool:
        """True while something is still to come of it: one such order at a time."""
        return self in _OPEN


_OPEN: Final = frozenset({
    LineageState.ASKING,
    LineageState.ASKED,
    LineageState.MADE,
    LineageState.TRYING,
})
PROMOTED: Final = frozenset({LineageState.PROMOTED, LineageState.UNPROVEN})


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionMark:
    """What became of a version, for the trainer to keep; absolute, so that twice is once.

    Attributes:
        id: Unique; its receipt's.
        key: The order's that it came of.
        deployment: The managed model's name.
        version: The version that the verdict is on.
        verdict: What became of it.
        reason: Why, for people.
        alias_from: The version that the serving alias must name now; None to leave it alone.
        alias_to: The version that it names afterwards; None to leave it alone.
        deadline: After this time its result counts as UNKNOWN.
    """

    id: str
    key: str
    deployment: str
    version: str
    verdict: LineageState
    reason: str
    deadline: TimeNs
    alias_from: str | None = None
    alias_to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Where a version came from, and what became of it; the journal holds every version of this.

    Attributes:
        order: Who asked, why, on what data, and which version served.
        state: Where it stands.
        since: When it got there.
        reason: Why, for people.
        phase: What the trainer said last.
        seen_at: When it last said anything; None for never.
        looked_at: When it was last asked.
        version: What came of it; empty for nothing yet.
        wished: Its canary has been asked for.
        held_back: Why that was refused as things stood, and is asked again; empty where it was not.
        canary_id: The ramp that tried it.
        verdict: What the comparison said last; None without one.
        because: What that rests on.
        alias_was: The version that the serving alias named before it was moved; None if it was not.
        marks: How often it was tried to write the outcome back.
        marked: The state that the trainer is known to have been told, empty for none.
    """

    order: TrainingOrder
    state: LineageState
    since: TimeNs
    reason: str = ""
    phase: TrainingPhase = TrainingPhase.UNKNOWN
    seen_at: TimeNs | None = None
    looked_at: TimeNs | None = None
    version: str = ""
    wished: bool = False
    held_back: str = ""
    canary_id: str = ""
    verdict: CanaryVerdict | None = None
    because: tuple[str, ...] = ()
    alias_was: str | None = None
    marks: int = 0
    marked: str = ""


def lineage_of(known: tuple[Lineage, ...], version: str) -> Lineage | None:
    """Return where a version came from; None, unknown, for one that no order led to."""
    found = (one for one in reversed(known) if version and one.version == version)
    return next(found, None)
