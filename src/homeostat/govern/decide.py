"""From a proposal to a decision: run it, ask a person, or hold; and the record of why.

Never adds an action: what the safe set holds only with approval is asked, the rest is as proposed.
"""

from homeostat.base.actions import Action, ActionKind, Proposal
from homeostat.base.decisions import Apply, Ask, Decision, DecisionRecord, Hold
from homeostat.base.policy import Managed
from homeostat.base.units import TimeNs


def label(action: Action) -> str:
    """Return an action as people read it.

    >>> from homeostat.base.actions import HOLD
    >>> label(HOLD)
    'hold'
    """
    if action.is_passive:
        return action.kind.value
    change = ", ".join(f"{lever}={value}" for lever, value in action.change)
    return f"{action.kind} {action.subject}" + (f" ({change})" if change else "")


def decide(proposal: Proposal, managed: Managed, now: TimeNs) -> Decision:
    """Turn a proposal into a decision."""
    action = proposal.action
    if action.kind is ActionKind.HOLD:
        return Hold(because=_why_hold(proposal))
    if action.kind is ActionKind.ESCALATE:
        return Hold(because=("a person is told", *proposal.because, *_refusals(proposal)))
    if action in proposal.safe_set.approvals:
        ttl_ns = round(managed.guard.approval_ttl_scrapes * managed.scrape_ns)
        because = (*proposal.because, *_asked(proposal))
        return Ask(action=action, because=because, expires_at=TimeNs(now + ttl_ns))
    return Apply(action=action, because=proposal.because)


def record(
    proposal: Proposal,
    decision: Decision,
    *,
    decision_id: str,
    incident_id: str,
    managed: Managed,
    now: TimeNs,
) -> DecisionRecord:
    """Return everything a person needs to judge the decision."""
    safe_set = proposal.safe_set
    return DecisionRecord(
        id=decision_id,
        deployment=managed.name,
        incident_id=incident_id,
        at=now,
        decision=decision,
        considered=proposal.scores,
        allowed=tuple(label(action) for action in (*safe_set.allowed, *safe_set.approvals)),
        refused=tuple((label(refusal.action), refusal.reasons) for refusal in safe_set.refused),
        policy_digest=safe_set.policy_digest,
        mode=managed.mode.value,
    )


def _why_hold(proposal: Proposal) -> tuple[str, ...]:
    return (*proposal.because, *_refusals(proposal)) or ("nothing to do",)


def _asked(proposal: Proposal) -> tuple[str, ...]:
    """Return what a yes would be to, in the words of the guards that ask for it."""
    return tuple(
        f"a yes is needed: {reason}"
        for question in proposal.safe_set.questions
        if question.action == proposal.action
        for reason in question.reasons
    )


def _refusals(proposal: Proposal) -> tuple[str, ...]:
    return tuple(
        f"would {label(refusal.action)}, but {refusal.reasons[0]}"
        for refusal in proposal.safe_set.refused
    )
