"""The action protocol's values: intents, receipts and the record of one action.

Intent before effect: an `Intent` is durable before anything is sent. A timeout is UNKNOWN, never
failure; unknown blocks the deployment until the world has been read. The states are those of the
model-checked machine in `loop.protocol`.
"""

from dataclasses import dataclass
from enum import StrEnum

from homeostat.base.actions import Action
from homeostat.base.units import TimeNs
from homeostat.base.world import Levers


class ActionState(StrEnum):
    """Where one action stands."""

    PROPOSED = "proposed"
    AWAITING_APPROVAL = "awaiting_approval"
    INTENT = "intent"
    READBACK = "readback"
    APPLIED = "applied"
    SETTLING = "settling"
    VERIFYING = "verifying"
    ROLLING_BACK = "rolling_back"
    DENIED = "denied"
    EXPIRED = "expired"
    ABANDONED = "abandoned"
    SUCCEEDED = "succeeded"
    SUCCEEDED_UNPROVEN = "succeeded_unproven"
    ROLLED_BACK = "rolled_back"
    STUCK = "stuck"
    FOREIGN = "foreign"

    @property
    def is_terminal(self) -> bool:
        """True when nothing more will happen to the action."""
        return self in _TERMINAL


_TERMINAL = frozenset({
    ActionState.DENIED,
    ActionState.EXPIRED,
    ActionState.ABANDONED,
    ActionState.SUCCEEDED,
    ActionState.SUCCEEDED_UNPROVEN,
    ActionState.ROLLED_BACK,
    ActionState.STUCK,
    ActionState.FOREIGN,
})


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One write to the world, durable before it is sent.

    Attributes:
        id: Idempotency key; `ACTION_ID.STAGE.ATTEMPT`, with `.undo` for the way back.
        action_id: The action record it belongs to.
        deployment: The managed model's name.
        actuator: The actuator that carries it out.
        epoch: The controller's epoch when it was made.
        stage: Ramp stage, from 0.
        pre: The levers' live values when it was made (pre-image).
        post: The absolute values it sets (post-image).
        token: Compare-and-set token it was made against, None for targets without one.
        evidence_at: Time of the evidence it rests on.
        deadline: After this time its result counts as UNKNOWN.
        undo: True when this write takes an earlier one back.
        stamp: Intent that the target showed as last landed when this was made, None for none or
            a foreign write.
    """

    id: str
    action_id: str
    deployment: str
    actuator: str
    epoch: int
    stage: int
    pre: Levers
    post: Levers
    token: str | None
    evidence_at: TimeNs
    deadline: TimeNs
    undo: bool = False
    stamp: str | None = None


class ReceiptStatus(StrEnum):
    """What became of a write."""

    DONE = "done"  # the target confirmed it
    NOT_APPLIED = "not_applied"  # the target refused it (conflict, guard); it cannot land later
    UNKNOWN = "unknown"  # no answer, or an answer that proves nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """An actuator's answer to one intent.

    Attributes:
        intent_id: The intent it answers.
        status: Three answers.
        at: When it came.
        token: The target's new compare-and-set token, None if it has none.
        detail: For a person.
        conflict: True when NOT_APPLIED because the token or epoch was out of date.
    """

    intent_id: str
    status: ReceiptStatus
    at: TimeNs
    token: str | None = None
    detail: str = ""
    conflict: bool = False


class Proof(StrEnum):
    """What stands behind the promotion of a compared ramp; without any it never takes its end."""

    NONE = ""
    ASKED = "asked"  # not certified in time: a person was asked
    UNPROVEN = "unproven"  # not certified: let go on by a person or the policy, and told so
    CERTIFIED = "certified"  # the comparison bounds how much worse it can be


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRecord:
    """One action from proposal to its end; the journal holds every version of it.

    Attributes:
        id: `d-NNNN`, the decision's id, unique within the deployment's journal.
        deployment: The managed model's name.
        incident_id: The incident it answers, empty for an operator's own request.
        action: What is done.
        state: Where it stands.
        epoch: The controller epoch that owns it.
        stage: Ramp stage, from 0.
        attempt: Write attempts of this stage, from 0.
        undo_attempts: Failed attempts to take it back.
        intent: The write in flight or last written, None before the first.
        first_pre: Pre-image before the first stage: what undo writes back.
        proposed_at: When it was proposed.
        state_since: When it entered its state.
        deadline: When its state times out.
        blind_since: Since when the effect cannot be judged for lack of data, None if it can.
        reason: Why it is where it is, for people.
        approved_by: Who approved it, empty if nobody was asked.
        in_flight: True from the moment the intent may have been sent until its fate is known;
            shown to people as *unknown*.
        undoes: The finished action that a person wants taken back by this one, else empty.
        floor_refused: The guards last refused to take it back, for the floor and nothing else.
        proof: What a compared ramp may be promoted on.
        blameless: It was taken back for another reason than harm: it counts as no harm.
        approvers: Who said yes to it, each of them once; empty if nobody was asked.
        harmed: It was found to do harm, whatever its end; of an undo: what it takes back was.
        held_back: Its way back has waited for the kill switch, and people were told.
    """

    id: str
    deployment: str
    incident_id: str
    action: Action
    state: ActionState
    epoch: int
    stage: int
    attempt: int
    undo_attempts: int
    intent: Intent | None
    first_pre: Levers
    proposed_at: TimeNs
    state_since: TimeNs
    deadline: TimeNs
    blind_since: TimeNs | None = None
    reason: str = ""
    approved_by: str = ""
    in_flight: bool = False
    undoes: str = ""
    floor_refused: bool = False
    proof: Proof = Proof.NONE
    blameless: bool = False
    approvers: tuple[str, ...] = ()
    harmed: bool = False
    held_back: bool = False
