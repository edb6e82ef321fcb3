"""Actions, the safe set, and proposals that cannot leave it.

Every action is a change of levers to absolute values. `SafeSet` can be built only by
`safety.permit` (it holds the seal), always holds HOLD, and says why each refused action was
refused. A `Proposal` for anything outside its safe set cannot be constructed.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from homeostat.base import names
from homeostat.base._seal import SEAL
from homeostat.base.errors import UnsafeActionError
from homeostat.base.units import TimeNs
from homeostat.base.world import Levers


class ActionKind(StrEnum):
    """The product's action set (design, section 5)."""

    HOLD = "hold"
    SCALE_UP = "scale_up"
    SCALE_DOWN = "scale_down"
    RESIZE_UP = "resize_up"
    RESIZE_DOWN = "resize_down"
    BATCH_UP = "batch_up"
    BATCH_DOWN = "batch_down"
    SHIFT_TRAFFIC = "shift_traffic"
    ROLLBACK = "rollback"
    RESTART_REPLICA = "restart_replica"
    DRAIN_REPLICA = "drain_replica"
    SHED_LOAD = "shed_load"
    RETRAIN = "retrain"
    RESTART_ALL = "restart_all"  # exists only to be refused
    ESCALATE = "escalate"


class UndoKind(StrEnum):
    """How an action is taken back; NONE never runs automatically."""

    EXACT = "exact"  # write the pre-image back
    COMPENSATING = "compensating"  # a ready replacement came first; nothing to take back
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One change that may be made to a deployment.

    Attributes:
        kind: What is done.
        subject: The part it is done to: `gateway`, `pool:NAME`, `replica:NAME`, `model`.
        actuator: The actuator that carries it out; empty for HOLD and ESCALATE.
        change: Levers and the absolute values they are set to; empty for HOLD and ESCALATE.
        undo: How it is taken back.
        ramp: Successive values of the single lever in `change`, for changes that are made in
            steps, the last one equal to the value in `change`; empty for one step.
        replicas_touched: Replicas whose service it may disturb (blast radius).
        cost_usd_per_hour: What it adds to the bill; negative saves.
        settle_ns: How long its effect takes to show.
        exempt: True for undo, rollback to the last verified version, drain or restart of one
            replica proven failing while N-1 remain, and +1 capacity. The safety kernel checks
            the claim; it never believes it.
        beside: The pool whose answers it is compared with at every rung of its ramp; empty for
            what is compared with the time before it only. Of a setting: the pool of which some
            replicas are given it first, and the rest are what they are compared with; see `first`.
    """

    kind: ActionKind
    subject: str
    actuator: str = ""
    change: Levers = ()
    undo: UndoKind = UndoKind.NONE
    ramp: tuple[float, ...] = ()
    replicas_touched: int = 0
    cost_usd_per_hour: float = 0.0
    settle_ns: int = 0
    exempt: bool = False
    beside: str = ""

    @property
    def is_passive(self) -> bool:
        """True when the action changes nothing in the deployment."""
        return self.kind in {ActionKind.HOLD, ActionKind.ESCALATE}

    @property
    def first(self) -> Levers:
        """What some replicas are given before `change` is written, empty for most actions.

        A compared change of a setting names the replicas that have it first by ending their own
        values: `batch_max=16, batch_max.a-1=0` is `batch_max.a-1=16` before.
        """
        if not self.beside or self.ramp:
            return ()
        whole, own = dict(self.change), {lever: names.own(lever) for lever, _ in self.change}
        return tuple(
            (lever, whole[of[0]])
            for lever, of in own.items()
            if of is not None and of[0] in whole and whole[lever] == 0
        )


def barred(action: Action) -> tuple[str, str]:
    """Return the mark of an action that a person refused for an incident; see `LoopState.tried`."""
    return (f"{action.kind.value}!", action.subject)


HOLD = Action(kind=ActionKind.HOLD, subject="model", undo=UndoKind.EXACT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One action that is not permitted, and every reason why.

    Attributes:
        action: The refused action.
        reasons: One sentence per guard that said no, each starting with the guard's id.
    """

    action: Action
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SafeSet:
    """What is permitted now. Only `safety.permit` can build one.

    Attributes:
        allowed: Permitted actions; always holds HOLD.
        approvals: Actions permitted only after a person said yes.
        refused: Everything else that was asked about, with reasons.
        at: When it was worked out.
        policy_digest: SHA-256 of the guard policy that it was worked out under.
        questions: Why a person must say yes to each of `approvals`, guard by guard.
        seal: The maker's mark; see `base._seal`.
    """

    allowed: tuple[Action, ...]
    approvals: tuple[Action, ...]
    refused: tuple[Refusal, ...]
    at: TimeNs
    policy_digest: str
    seal: object = field(repr=False, compare=False)
    questions: tuple[Refusal, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a forged set, and one without HOLD.

        Raises:
            UnsafeActionError: The seal is not the kernel's, or HOLD is missing.
        """
        if self.seal is not SEAL:
            raise UnsafeActionError("a SafeSet can only be built by homeostat.safety.permit")
        if HOLD not in self.allowed:
            raise UnsafeActionError("a SafeSet always holds HOLD")

    def holds(self, action: Action) -> bool:
        """Return whether the action may be carried out, with or without approval.

        A truth value equals 1 and is no number to the guards: what carries one was never allowed.
        """
        carried = (*(part for pair in action.change for part in pair), *action.ramp)
        if any(isinstance(part, bool) for part in carried):
            return False
        return action in self.allowed or action in self.approvals


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One member of a safe set, chosen by a policy.

    Attributes:
        action: The chosen action.
        safe_set: The set it was chosen from.
        policy: Name of the policy that chose.
        propensity: Probability with which it was chosen, in (0, 1].
        scores: Considered actions (kind and subject) with their scores, best first.
        because: Short sentences for people.
    """

    action: Action
    safe_set: SafeSet
    policy: str
    propensity: float = 1.0
    scores: tuple[tuple[str, float], ...] = ()
    because: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what the safe set does not hold.

        Raises:
            UnsafeActionError: Outside the safe set, or the propensity is not in (0, 1].
        """
        if not self.safe_set.holds(self.action):
            raise UnsafeActionError(f"{self.action.kind} {self.action.subject} is not permitted")
        if not 0.0 < self.propensity <= 1.0:
            raise UnsafeActionError(f"propensity must be in (0, 1], got {self.propensity}")
