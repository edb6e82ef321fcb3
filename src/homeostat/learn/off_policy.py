"""What another policy would have brought, from what this one did: doubly robust, round by round.

For a round with context x, arms a, logging probabilities p, and foreseen rewards q(x, a):

    value(pi)  =  sum_a pi(a) q(a)  +  pi(A) / p(A)  (R - q(A)),         A, R: played and seen
    difference =  value(candidate) - value(incumbent)

has the right mean for exact p, whatever q is, and the less noise the better q foresees: q is a
control variate. Costs are scored as differences too: a twin that is off for both alike is no cost
of the candidate. It must not have seen this round: the twin's prediction, written before acting.
Source: Dudik, Langford & Li, ICML 2011 (doubly robust); differences share their noise.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """Rounds as they were logged, in the order of their decisions; NaN = not known.

    Attributes:
        arm: The arm that was played `[round]`.
        logging: Probability of each arm when it was drawn `[round, arm]`.
        reward: What was seen `[round]`.
        costs: What was seen `[round, cost]`.
        foreseen: Reward of each arm, written before the round `[round, arm]`.
        foreseen_costs: Likewise `[round, cost, arm]`.
    """

    arm: npt.NDArray[np.int64]
    logging: Floats
    reward: Floats
    costs: Floats
    foreseen: Floats
    foreseen_costs: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One number per round, of the rounds that could be scored.

    Attributes:
        difference: Reward of the candidate less the incumbent's `[round]`.
        costs: Of the candidate less the incumbent's `[round, cost]`.
        unknown: Rounds that were left out, because their outcome is not known.
        heaviest: The largest weight of a round.
    """

    difference: Floats
    costs: Floats
    unknown: int
    heaviest: float


def scored(log: Logged, candidate: Floats, incumbent: Floats) -> Scored:
    """Return what each round says of a candidate.

    Args:
        log: What happened.
        candidate: Its probability of each arm in each round `[round, arm]`.
        incumbent: Likewise.

    Raises:
        ValueError: A probability is none, or a policy would play what the log could never show.
    """
    _check(log, candidate, incumbent)
    rows = np.arange(len(log.arm))
    chance = log.logging[rows, log.arm]
    own, base = (policy[rows, log.arm] / chance for policy in (candidate, incumbent))
    ahead = np.sum((candidate - incumbent) * log.foreseen, axis=1)
    difference = ahead + (own - base) * (log.reward - log.foreseen[rows, log.arm])
    dearer = np.einsum("na,nca->nc", candidate - incumbent, log.foreseen_costs)
    error = log.costs - log.foreseen_costs[rows, :, log.arm]
    costs = dearer + (own - base)[:, None] * error
    known = np.isfinite(difference) & np.isfinite(costs).all(axis=1)
    return Scored(
        difference=difference[known],
        costs=costs[known],
        unknown=int((~known).sum()),
        heaviest=float(np.maximum(own, base).max(initial=0.0)),
    )


def _check(log: Logged, candidate: Floats, incumbent: Floats) -> None:
    """Refuse probabilities that are none.

    Raises:
        ValueError: See `scored`.
    """
    for name, policy in (
        ("logging", log.logging),
        ("candidate", candidate),
        ("incumbent", incumbent),
    ):
        whole = (policy >= 0.0).all() and np.allclose(policy.sum(axis=1), 1.0, atol=1e-9)
        if policy.shape != log.logging.shape or not whole:
            raise ValueError(f"off-policy: {name}'s probabilities do not add up to 1 in each round")
    if ((log.logging <= 0.0) & ((candidate > 0.0) | (incumbent > 0.0))).any():
        raise ValueError(
            "off-policy: a policy plays an arm that could not have been logged; nothing can be "
            "said of it. Log with a floor: bandit.Config(explore=...)"
        )


def half_width(count: Floats | float, deviation: Floats, tuned: float, alpha: float) -> Floats:
    """Return how far below the mean the one-sided asymptotic confidence sequence lies.

    At all rounds together the true mean is below `mean - half` with a chance of about alpha:
    about, because it is asymptotic. It treats the running deviation as the true one, which
    is why nothing is said before a lead-in (`promotion`).

        half = s sqrt( 2 (n rho^2 + 1) / (n^2 rho^2)  log(1 + sqrt(n rho^2 + 1) / (2 alpha)) )

    Source: Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas, "Time-uniform central limit theory and
    asymptotic confidence sequences", Annals of Statistics 52 (2024), the one-sided form (appendix).

    Args:
        count: Rounds n.
        deviation: Running deviation s.
        tuned: Rounds at which it is to be tightest.
        alpha: Chance.
    """
    rho2 = (-2.0 * math.log(2.0 * alpha) + math.log(1.0 - 2.0 * math.log(2.0 * alpha))) / tuned
    grown = count * rho2 + 1.0
    log = np.log1p(np.sqrt(grown) / (2.0 * alpha))
    return np.asarray(deviation * np.sqrt(2.0 * grown / (count * count * rho2) * log))
