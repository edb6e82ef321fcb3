"""Hedge: weigh policies by how they would have done, when somebody can score them all.

The twin can play every policy on the same draws, so that each round shows the loss of all k of
them, not only of the one that was chosen. Under that reading, and only under it, regret against the
best policy in hindsight is O(sqrt(T log k)): with weights exp(-eta_t L), eta_t = sqrt(8 ln k / t),
losses in [0, 1],

    R_T <= 2 sqrt(T ln k / 2) + sqrt(ln k / 8)      at every T, nothing to tune.

Source: Cesa-Bianchi & Lugosi, "Prediction, Learning, and Games" (2006), Theorem 2.3. What one
bandit sees, one arm per round, cannot have this rate: for it the lower bound is of order sqrt(k T).
"""

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class State(NamedTuple):
    """What was seen.

    Attributes:
        loss: Sum of losses of each policy `[policy]`.
        rounds: How many rounds were scored in full.
        unknown: How many were not, and taught nothing.
    """

    loss: Any
    rounds: int
    unknown: int


def init(policies: int) -> State:
    """Return the state before anything was scored.

    Raises:
        ValueError: There is no policy.
    """
    if policies < 1:
        raise ValueError(f"hedge: need at least one policy, got {policies}")
    return State(np.zeros(policies), 0, 0)


def step(state: State, losses: Floats) -> State:
    """Return the state after a round.

    Args:
        state: Before.
        losses: Of every policy, in [0, 1] `[policy]`. A round in which one is not known is left
            out for all: to weigh the others by it would favour whoever was not scored.

    Raises:
        ValueError: The losses are of another number of policies.
    """
    if losses.shape != state.loss.shape:
        raise ValueError(f"hedge: losses {losses.shape}, expected {state.loss.shape}")
    if not ((losses >= 0.0) & (losses <= 1.0)).all():
        return state._replace(unknown=state.unknown + 1)
    return State(state.loss + losses, state.rounds + 1, state.unknown)


def weights(state: State, may: npt.NDArray[np.bool_] | None = None) -> Floats:
    """Return the probability of each policy for the next round `[policy]`.

    Args:
        state: What was seen.
        may: Whose proposal the safe set holds now; the others get nothing.

    Raises:
        ValueError: No policy may propose; hold instead.
    """
    allowed = np.ones(len(state.loss), dtype=bool) if may is None else may
    if not allowed.any():
        raise ValueError("hedge: no policy's proposal is permitted; hold")
    eta = math.sqrt(8.0 * math.log(max(len(state.loss), 2)) / (state.rounds + 1))
    score = np.where(allowed, -eta * (state.loss - state.loss[allowed].min()), -np.inf)
    share = np.exp(score)
    return np.asarray(share / share.sum())


def picked(shares: Floats, roll: float) -> tuple[int, float]:
    """Return a policy drawn by its weight, and the exact probability of that.

    Raises:
        ValueError: The roll is out of range.
    """
    if not 0.0 <= roll < 1.0:
        raise ValueError(f"hedge: roll must be in [0, 1), got {roll}")
    ends = np.cumsum(shares)
    last = int(np.flatnonzero(shares)[-1])  # a roll just below 1 may round up to the very end
    number = min(int(np.searchsorted(ends, roll * ends[-1], side="right")), last)
    return number, float(shares[number])


def bound(rounds: int, policies: int) -> float:
    """Return the most regret that `rounds` rounds can leave; see the module."""
    log_k = math.log(policies)
    return 2.0 * math.sqrt(rounds * log_k / 2.0) + math.sqrt(log_k / 8.0)
