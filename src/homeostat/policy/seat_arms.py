"""The arms of the decision seat: what might be done instead of what the runbook proposes.

`hold` does nothing for now. `twin` does what the twin likes best of all that it rehearsed; of a
shift of traffic it may do less than the whole, rung by rung: that is its canary fraction. A
snapshot of a trained policy is a third, `ppo`, where somebody names it (`seat_trained`): an arm is
a name and what it would do. Nobody is asked here whether any of it is permitted.
"""

from dataclasses import replace
from typing import Final

from homeostat.base.actions import HOLD, Action, Refusal, SafeSet
from homeostat.base.guard import GuardState
from homeostat.base.learning import TRAINED, Offer
from homeostat.base.policy import AdaptivePolicy
from homeostat.base.rehearsal import ranked

ARMS: Final = ("hold", "twin", TRAINED)
"""In the order of what is remembered of them: append, never insert."""
_ALWAYS: Final = ARMS[:2]  # what was remembered before there was a third


def arms_of(policy: AdaptivePolicy) -> tuple[str, ...]:
    """Return the arms of which something is remembered: the third only where it is named.

    What was learnt without it stays what it is, and so does every journal from before.
    """
    return ARMS if TRAINED in policy.arms else _ALWAYS


def offers(incumbent: Action, seen: GuardState, safe_set: SafeSet) -> tuple[Offer, ...]:
    """Return what the arms would do; an arm that would do what the runbook does is left out.

    Args:
        incumbent: The runbook's proposal.
        seen: What the guards see; read from it are the rehearsal and the live levers.
        safe_set: What is permitted of what was rehearsed. Parts of a ramp are new: ask for them.
    """
    policy = seen.managed.adaptive
    wanted = () if policy is None else policy.arms
    out = [Offer(arm="hold", action=HOLD)] if "hold" in wanted else []
    best = next((one for one in _liked(seen) if safe_set.holds(one)), None)
    if "twin" in wanted and best is not None:
        out += fractions(best, seen, arm="twin")
    return tuple(one for one in out if one.action != incumbent)


def passed_over(seen: GuardState, safe_set: SafeSet) -> tuple[Refusal, ...]:
    """Return what the twin likes better than the best that is permitted, with the guards' words."""
    refused = {one.action: one for one in safe_set.refused}
    out: list[Refusal] = []
    for action in _liked(seen):
        if safe_set.holds(action):
            break
        out += [refused[action]] if action in refused else []
    return tuple(out)


def _liked(seen: GuardState) -> tuple[Action, ...]:
    """Return what changes something, as a trusted twin ranks it; holding is an arm of its own."""
    answer = seen.rehearsal
    if answer is None or not answer.trust.is_given:
        return ()
    return tuple(one.action for one in ranked(answer.prospects) if not one.action.is_passive)


def fractions(action: Action, seen: GuardState, *, arm: str) -> list[Offer]:
    """Return an action whole and, where it is a shift of traffic, each rung of it as an end.

    Args:
        action: The whole.
        seen: What the guards see; read from it is the live lever.
        arm: Whose offers they are.
    """
    whole = Offer(arm=arm, action=action)
    if len(action.change) != 1 or seen.world is None or not action.ramp:
        return [whole]
    ((lever, _),) = action.change
    live = seen.world.lever(lever)
    if not isinstance(live, int | float) or live >= action.ramp[-1]:
        return [whole]
    parts = [
        Offer(
            arm=arm,
            action=replace(action, change=((lever, rung),), ramp=action.ramp[: number + 1]),
            fraction=(rung - live) / (action.ramp[-1] - live),
            whole=action,
        )
        for number, rung in enumerate(action.ramp[:-1])
        if rung > live
    ]
    return [*parts, whole]
