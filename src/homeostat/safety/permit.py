"""The only maker of safe sets: every candidate through the guard, HOLD always in."""

from collections.abc import Sequence

from homeostat.base._seal import SEAL
from homeostat.base.actions import HOLD, Action, Refusal, SafeSet
from homeostat.base.guard import Allow, Deny, GuardAnswer, GuardState, NeedApproval
from homeostat.base.units import TimeNs
from homeostat.safety.guard import answer, guard
from homeostat.safety.sight import Sight, look


def permit(
    candidates: Sequence[Action], state: GuardState, now: TimeNs, *, first: bool = False
) -> SafeSet:
    """Return which candidates are permitted now, which only with approval, and why not the rest.

    Args:
        candidates: What might be done, best first; repeats are dropped.
        state: Everything that may forbid it.
        now: The time.
        first: Ask no further than the first that is allowed; the set holds what was asked about.
    """
    allowed: list[Action] = [HOLD]
    approvals: list[Refusal] = []
    refused: list[Refusal] = []
    sight = _look(state, now) if candidates else None
    for action in dict.fromkeys(candidates):
        if action == HOLD:
            continue
        match _answer(action, state, now, sight):
            case Allow():
                allowed.append(action)
                if first:
                    break
            case NeedApproval(reasons=reasons):
                approvals.append(Refusal(action=action, reasons=reasons))
            case Deny(reasons=reasons):  # pragma: no branch
                refused.append(Refusal(action=action, reasons=reasons))
    return SafeSet(
        allowed=tuple(allowed),
        approvals=tuple(one.action for one in approvals),
        questions=tuple(approvals),
        refused=tuple(refused),
        at=now,
        policy_digest=state.managed.policy_digest,
        seal=SEAL,
    )


def _look(state: GuardState, now: TimeNs) -> Sight | None:
    try:
        return look(state, now)
    except Exception:  # noqa: BLE001 - the guard says why, for each candidate
        return None


def _answer(action: Action, state: GuardState, now: TimeNs, sight: Sight | None) -> GuardAnswer:
    if sight is None:
        return guard(action, state, now)
    try:
        return answer(action, sight)
    except Exception:  # noqa: BLE001 - the guard turns it into a denial with its reason
        return guard(action, state, now)
