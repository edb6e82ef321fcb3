"""Decisions, outcomes and what is told to people."""

from dataclasses import dataclass
from enum import StrEnum

from homeostat.base.actions import Action
from homeostat.base.units import TimeNs


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """Carry it out: nobody needs to be asked."""

    action: Action
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Carry it out only if a person says yes before the question expires."""

    action: Action
    because: tuple[str, ...]
    expires_at: TimeNs


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Change nothing, and say why."""

    because: tuple[str, ...]


Decision = Apply | Ask | Hold


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecord:
    """One decision with all that a person needs to judge it; journaled and shown.

    Attributes:
        id: `d-NNNN`, unique within the deployment's journal; HOLD decisions too.
        deployment: The managed model's name.
        incident_id: The incident it answers.
        at: When it was taken.
        decision: What was decided.
        considered: Considered actions (kind and subject) with scores, best first.
        allowed: Permitted actions, kind and subject.
        refused: Refused actions (kind and subject) with their reasons.
        policy_digest: The guard policy it was taken under.
        mode: The autonomy mode at the time.
    """

    id: str
    deployment: str
    incident_id: str
    at: TimeNs
    decision: Decision
    considered: tuple[tuple[str, float], ...]
    allowed: tuple[str, ...]
    refused: tuple[tuple[str, tuple[str, ...]], ...]
    policy_digest: str
    mode: str


class Effect(StrEnum):
    """What an action did, measured against the state before it."""

    HELPED = "helped"
    HARMED = "harmed"
    NO_CHANGE = "no_change"
    UNKNOWN = "unknown"


class RampCall(StrEnum):
    """What the comparison of two pools calls for on one tick of a ramp."""

    BLIND = "blind"  # one of them was not seen on this tick
    WAIT = "wait"  # both seen; this rung has not lasted long enough, or promotion is not proven
    GO_ON = "go_on"  # no harm for long enough: the next rung
    CERTIFIED = "certified"  # and it may be promoted: how much worse it can be is bounded
    UNPROVEN = "unproven"  # time is over without harm: the policy lets it go on
    ASK = "ask"  # time is over without harm: a person decides
    HARM = "harm"  # worse than the margin: back
    RETURN = "return"  # back, and nobody is blamed


class LeaveCall(StrEnum):
    """What comparing the fallback pool with the pool that is left calls for on one tick."""

    NONE = "none"  # nothing: before and after decide, as without a comparison
    DOUBT = "doubt"  # half way to harm: no more traffic
    STAY = "stay"  # no harm and no proof yet: longer, and not back to what misses its objectives
    GO_ON = "go_on"  # no harm for long enough, and what is left misses its objectives
    BETTER = "better"  # proven not to be worse than the margin
    HARM = "harm"  # proven to be worse than the margin: back


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The measured effect of one action, for learning and for people.

    Attributes:
        action_id: The action record.
        deployment: The managed model's name.
        at: When it was settled.
        effect: Four answers.
        before: Objective signals before the action: (signal, value) pairs, known ones only.
        after: The same signals when it was judged.
    """

    action_id: str
    deployment: str
    at: TimeNs
    effect: Effect
    before: tuple[tuple[str, float], ...]
    after: tuple[tuple[str, float], ...]


class Urgency(StrEnum):
    """How a notice is delivered; only PAGE may wake anybody."""

    INFO = "info"
    ASK = "ask"
    PAGE = "page"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message to people; repeated notices with one `key` edit the first.

    Attributes:
        key: Incident or decision id: one thread per key.
        deployment: The managed model's name.
        at: When it was said.
        urgency: How it is delivered.
        title: One line.
        lines: Detail, one sentence each.
    """

    key: str
    deployment: str
    at: TimeNs
    urgency: Urgency
    title: str
    lines: tuple[str, ...] = ()
