"""From arms to a proposal: the safe set is asked last, and only its members can be proposed.

An arm names an action and the fractions at which it can be given. Whatever the bandit believes, an
action that `safety.permit` did not let through is no option; hold always is. The state of the
bandit can be anything, NaN included: `Proposal` refuses what the safe set does not hold.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.base.actions import HOLD, Action, Proposal, SafeSet
from homeostat.base.learning import Pick
from homeostat.base.units import TimeNs
from homeostat.policy.bandit import Config, View
from homeostat.policy.bandit_choose import (
    Option,
    Weighed,
    chosen,
    context,
    rounded_down,
    weighed,
)

Floats = npt.NDArray[np.float64]

NAME: Final = "safe_canary"
"""The policy's name in proposals."""
INCUMBENT: Final = -1
"""The arm of the incumbent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What an arm would do.

    Attributes:
        arm: Its index, from 0.
        action: The action at this fraction.
        fraction: The share of the deployment that it is given, in (0, 1].
        divisible: Whether it can also be given any smaller share.
    """

    arm: int
    action: Action
    fraction: float = 1.0
    divisible: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be decided.

    Attributes:
        id: The decision's id.
        now: When.
        features: Context `[d]`.
        room: Of each constraint, its limit less an upper bound of the incumbent's cost; NaN = not
            known.
        incumbent: What would be done without the bandit; hold where the safe set lacks it.
        candidates: What the arms would do.
        roll: Uniform in [0, 1).
        aim: The arm on which exploration is spent; None = evenly on all that may be played.
    """

    id: str
    now: TimeNs
    features: Floats
    room: tuple[float, ...]
    incumbent: Action
    candidates: tuple[Candidate, ...]
    roll: float = 0.0
    aim: int | None = None


def propose(config: Config, seen: View, ask: Question, safe_set: SafeSet) -> tuple[Proposal, Pick]:
    """Return the proposal, always a member of the safe set, and the pick for the journal.

    Args:
        config: Settings.
        seen: The ellipsoids.
        ask: What is to be decided.
        safe_set: What is permitted now.

    Raises:
        ValueError: A candidate's arm or fraction is out of range, or a feature is not finite.
    """
    x = context(ask.features)
    if len(x) != config.features or len(ask.room) != config.costs:
        raise ValueError(
            f"bandit: {len(x)} features and {len(ask.room)} rooms, "
            f"expected {config.features} and {config.costs}"
        )
    arms = weighed(config, seen, x, ask.room)
    fallback = ask.incumbent if _holds(safe_set, ask.incumbent) else HOLD
    actions, options = [fallback], [Option(INCUMBENT, 0.0, 0.0)]
    for candidate in ask.candidates:
        option = _option(candidate, arms)
        if option is not None and _holds(safe_set, candidate.action):
            actions.append(candidate.action)
            options.append(option)
    choice = chosen(options, config.explore, ask.roll, ask.aim)
    taken, chance = options[choice.number], choice.propensities
    proposal = Proposal(
        action=actions[choice.number],
        safe_set=safe_set,
        policy=NAME,
        propensity=chance[choice.number],
        scores=_scores(actions, options),
        because=(_because(taken, arms, explored=choice.number != choice.best),),
    )
    pick = Pick(
        id=ask.id, at=ask.now, features=tuple(x.tolist()), arm=taken.arm, fraction=taken.fraction,
        propensity=chance[choice.number], propensities=_by_arm(config.arms, options, chance),
    )  # fmt: skip
    return proposal, pick


def _option(candidate: Candidate, arms: Sequence[Weighed]) -> Option | None:
    """Return how a candidate may be played, None when it may not.

    Raises:
        ValueError: Its arm or fraction is out of range.
    """
    if not (0 <= candidate.arm < len(arms) and 0.0 < candidate.fraction <= 1.0):
        raise ValueError(f"bandit: arm {candidate.arm} at fraction {candidate.fraction}")
    arm = arms[candidate.arm]
    fraction = rounded_down(candidate.fraction)
    if candidate.divisible and fraction > arm.fraction:
        fraction = arm.fraction
    # NaN is no number to play by: every comparison with it is false, this one too.
    if not (fraction > 0.0 and arm.least <= fraction <= arm.fraction and math.isfinite(arm.value)):
        return None
    return Option(candidate.arm, fraction, arm.value)


def _holds(safe_set: SafeSet, action: Action) -> bool:
    """Return whether the safe set holds it; most often it is the very same object."""
    for one in safe_set.allowed:  # any() over a generator takes four times as long
        if one is action:
            return True
    return safe_set.holds(action)


def _by_arm(arms: int, options: Sequence[Option], chance: Sequence[float]) -> tuple[float, ...]:
    out = [0.0] * (arms + 1)
    for option, share in zip(options, chance, strict=True):
        out[option.arm] += share  # the incumbent is -1: the last place
    return tuple(out)


def _scores(actions: Sequence[Action], options: Sequence[Option]) -> tuple[tuple[str, float], ...]:
    rows = [
        (f"{action.kind.value} {action.subject}", option.value)
        for action, option in zip(actions, options, strict=True)
    ]
    return tuple(sorted(rows, key=lambda row: -row[1]))


def _because(taken: Option, arms: Sequence[Weighed], *, explored: bool) -> str:
    if taken.arm == INCUMBENT:
        return "the incumbent, to learn" if explored else "no arm may gain on the incumbent"
    low, high = arms[taken.arm].gain
    why = "to learn" if explored else "the most to gain"
    return f"arm {taken.arm} at {taken.fraction:.0%}: {why}, gain {low:+.3g} to {high:+.3g}"
