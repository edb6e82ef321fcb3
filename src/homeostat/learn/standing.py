"""How learning stands against the runbook: each outcome scored doubly robust, and the gate's word.

Scored are the decisions on which learning acted and could have done otherwise: its choice against
the runbook's proposal, by what was foreseen of both before acting, corrected by what was played,
weighed by its exact chance (`off_policy`). The gate (`promotion`) may be asked after every one.
"""

import numpy as np

from homeostat.base.learning import Arm, Awaited, Payoff, Standing
from homeostat.learn import promotion
from homeostat.learn.off_policy import Logged, Scored, scored
from homeostat.learn.promotion import Gate, State


def stand(before: Standing, awaited: Awaited, payoff: Payoff) -> Standing:
    """Return how learning stands after one outcome.

    Args:
        before: How it stood.
        awaited: The pick, with every arm that could have been played.
        payoff: What came of it; NaN = not known, which is counted and never a zero.
    """
    gate = Gate(limits=awaited.room)
    arms = [one for one in awaited.arms if not one.refused]
    found = _scored(arms, awaited, payoff)
    if found is None:
        return Standing(
            rounds=before.rounds, mean=before.mean, squares=before.squares,
            unknown=before.unknown, unscored=before.unscored + 1, answer=before.answer,
            because=before.because, limits=before.limits,
        )  # fmt: skip
    now = promotion.step(gate, _state(before, gate), found)
    told = promotion.verdict(gate, now)
    return Standing(
        rounds=now.rounds,
        mean=tuple(now.mean.tolist()),
        squares=tuple(now.squares.tolist()),
        unknown=now.unknown,
        unscored=before.unscored,
        answer=told.answer.value,
        because=told.because,
        limits=gate.limits,
    )


def _state(before: Standing, gate: Gate) -> State:
    """Return the gate's state; what was counted under other limits than these starts anew.

    So does what names no limits: its costs were counted whole, not as differences.
    """
    if before.limits != gate.limits or len(before.mean) != 1 + len(gate.limits):
        return promotion.init(gate)
    return State(before.rounds, np.array(before.mean), np.array(before.squares), before.unknown)


def _scored(arms: list[Arm], awaited: Awaited, payoff: Payoff) -> Scored | None:
    """Return the round as numbers, None where one of the two could not have been seen.

    The runbook's arm comes first (`policy.seat`); learning's is the likeliest, since exploration
    has at most half of the chance.
    """
    played = [
        number
        for number, one in enumerate(arms)
        if (one.name, one.fraction if number else 0.0) == (awaited.arm, awaited.pick.fraction)
    ]
    best = max(range(len(arms)), key=lambda number: arms[number].chance, default=0)
    if len(played) != 1 or min(arms[0].chance, arms[best].chance) <= 0.0:
        return None
    base = (payoff.base_reward, *payoff.base_costs)
    seen = np.array((payoff.reward, *payoff.costs)) - np.array(base)
    rows = np.eye(len(arms))
    log = Logged(
        arm=np.array(played),
        logging=np.array([[one.chance for one in arms]]),
        reward=seen[:1],
        costs=seen[None, 1:],
        foreseen=np.array([[one.gain.mid for one in arms]]),
        foreseen_costs=np.array([
            [[one.extra[n].mid for one in arms] for n in range(len(seen) - 1)]
        ]),
    )
    return scored(log, candidate=rows[None, best], incumbent=rows[None, 0])
