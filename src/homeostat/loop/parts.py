"""The parts that the wiring hands to `loop.step`; the loop itself imports no stage."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from homeostat.base.actions import Action, Proposal, SafeSet
from homeostat.base.budgets import Accounts
from homeostat.base.canary import AlikeState, CanaryJudgement
from homeostat.base.decisions import Decision, DecisionRecord, Effect, LeaveCall, RampCall
from homeostat.base.evidence import Evidence, Incident
from homeostat.base.guard import GuardAnswer, GuardState
from homeostat.base.intent import ActionRecord
from homeostat.base.policy import Managed
from homeostat.base.state import Comparison, Leaving
from homeostat.base.units import TimeNs
from homeostat.loop.feedback_parts import FeedbackParts
from homeostat.loop.seat_parts import SeatParts

Measured = tuple[tuple[str, float], ...]


class Guard(Protocol):
    """`safety.guard.guard`."""

    def __call__(
        self, action: Action, state: GuardState, now: TimeNs, *, undo: bool = False
    ) -> GuardAnswer:
        """Answer for one action."""
        ...


class Alike(Protocol):
    """`govern.canary_alike.step`."""

    def __call__(
        self,
        before: AlikeState | None,
        managed: Managed,
        evidence: Evidence,
        now: TimeNs,
        *,
        calm: bool,
    ) -> AlikeState | None:
        """Return what is known of two pools that serve the same, after one tick."""
        ...


class Leave(Protocol):
    """`govern.leaving.compare`."""

    def __call__(
        self,
        before: Leaving | None,
        record: ActionRecord,
        left: str,
        evidence: Evidence,
        managed: Managed,
        now: TimeNs,
    ) -> tuple[Leaving | None, LeaveCall]:
        """Return the comparison after one tick, and what it calls for."""
        ...


class RecordDecision(Protocol):
    """`govern.decide.record`."""

    def __call__(
        self,
        proposal: Proposal,
        decision: Decision,
        *,
        decision_id: str,
        incident_id: str,
        managed: Managed,
        now: TimeNs,
    ) -> DecisionRecord:
        """Return the record of one decision."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopParts:
    """What `loop.step` calls, in the order in which it calls it.

    Attributes:
        candidates: Actions worth trying and why (`policy.runbook.candidates`).
        permit: The only maker of safe sets (`safety.permit.permit`).
        choose: Picks from the safe set (`policy.runbook.choose`).
        decide: Run, ask or hold (`govern.decide.decide`).
        record: The decision for people (`govern.decide.record`).
        guard: Run again right before every write (`safety.guard.guard`).
        measure: Objective signals of a tick (`govern.verify.measure`).
        judge: What an action did (`govern.verify.judge`).
        account: Keeps the books (`govern.accounts.account`); None = no books are kept.
        compare: What the comparison of a ramp's two pools calls for (`govern.ramp.compare`); None
            = nothing is compared, so that no compared ramp is ever promoted.
        alike: What two pools of the same version say of that comparison
            (`govern.canary_alike.step`); None = nobody looks.
        watch: Whether what was promoted is now worse than what it replaced had been
            (`govern.ramp.watch`); None = nobody watches.
        leave: What comparing the fallback pool with the pool that traffic leaves calls for
            (`govern.leaving.compare`); None = such a shift is judged by before and after alone.
        canary: The ramp that a person asks for, or why there is none (`policy.canary.proposed`).
        feedback: What people say (`learn.feedback_live`); None = nothing is learnt of it.
        seat: The learner that is heard between proposal and guards; None = nobody is heard.
    """

    candidates: Callable[
        [Incident | None, GuardState, Sequence[tuple[str, str]]],
        tuple[tuple[Action, ...], tuple[str, ...]],
    ]
    permit: Callable[[Sequence[Action], GuardState, TimeNs], SafeSet]
    choose: Callable[[Sequence[Action], SafeSet, tuple[str, ...]], Proposal]
    decide: Callable[[Proposal, Managed, TimeNs], Decision]
    record: RecordDecision
    guard: Guard
    measure: Callable[[Evidence], Measured]
    judge: Callable[[Incident | None, Measured, Evidence, Managed], Effect]
    account: Callable[[Accounts | None, Managed, Evidence, TimeNs], Accounts | None] | None = None
    compare: (
        Callable[
            [Comparison | None, ActionRecord, Evidence, Managed, TimeNs, AlikeState | None],
            tuple[Comparison | None, RampCall],
        ]
        | None
    ) = None
    alike: Alike | None = None
    watch: (
        Callable[[Comparison, Evidence, TimeNs], tuple[Comparison, CanaryJudgement | None]] | None
    ) = None
    leave: Leave | None = None
    canary: Callable[[GuardState], Action | str] | None = None
    feedback: FeedbackParts | None = None
    seat: SeatParts | None = None
