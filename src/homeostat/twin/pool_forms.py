"""Pools behind a balancer that takes the shorter of two queues: limits and exact chains.

What is known exactly: one replica alone (`bulk_forms`), infinitely many (`mean_field`), and a few
that serve one by one with exponential times (`few`). In between, the share of the way from many to
one, R(load, n) = (J_n - J_many) / (J_1 - J_many), is taken from the last for all: it is 1 for one
replica, 1/n at full load whatever the batches and the variation (there all queues act as one), and
`refined` gives what it comes to for large n. Pure NumPy (and SciPy's sparse solver), used to build
tables.

Sources: Mitzenmacher, "The power of two choices in randomized load balancing", IEEE TPDS 12 (2001);
Bramson, Lu and Prabhakar, "Asymptotic independence of queues under randomized load balancing",
Queueing Systems 71 (2012), for general service; Gast and Van Houdt, "A refined mean field
approximation", Proc. ACM Meas. Anal. Comput. Syst. 1 (2017), theorem 1; Chen and Ye, "Asymptotic
optimality of balanced routing", Operations Research 60 (2012), for heavy traffic.
"""

import itertools
import math
from typing import Final

import numpy as np

from homeostat.base.errors import HomeostatError
from homeostat.twin.bulk_forms import Law

_SETTLED: Final = 1e-6  # of the distribution of jobs between two rounds
_ROUNDS: Final = 400
_CUT: Final = 1e-8  # most of the time that may be spent where states end
_MEMORY: Final = 5  # rounds that Anderson's acceleration looks back on
_LEVELS: Final = 16  # queue lengths of the refined mean field; each squares the share above it


class TooFewStatesError(HomeostatError):
    """A queue is longer than the states that were told apart.

    Attributes:
        states: How many there were.
        load: Of the queue.
    """

    def __init__(self, states: int, load: float) -> None:
        super().__init__(f"{states} states are too few at a load of {load:g}; take more")
        self.states, self.load = states, load


def mean_field(
    load: float, tau0_s: float, alpha_s: float, batch_max: int, law: Law, states: int
) -> float:
    """Return the mean jobs of one of infinitely many batching replicas under two choices.

    One replica has k jobs with probability p_k, another is as independent of it as if it were
    elsewhere, and it is sent rate x (2 P(other has more) + P(other has as many)). With that the
    embedded chain of its batches is solved, and p anew, until it stays.

    Args:
        load: Arrivals over what is served in full batches, below 1.
        tau0_s: Fixed time of a batch.
        alpha_s: Time per request of a batch.
        batch_max: Largest batch.
        law: Of the service time.
        states: Jobs at a replica that are told apart; too few are refused.

    Raises:
        TooFewStatesError: More than 1e-8 of the time would need more of them.
        ValueError: It does not settle.
    """
    rate = load * batch_max / (tau0_s + alpha_s * batch_max)
    start = np.minimum(np.arange(1, states + 1), batch_max)
    chain = _Chain(start, tau0_s + alpha_s * start, law)
    count = np.arange(states + 1)
    share = np.exp(-count / max(load * batch_max, 1.0))
    share /= share.sum()
    seen: list[np.ndarray] = []
    left: list[np.ndarray] = []
    for _ in range(_ROUNDS):
        more = np.append(np.cumsum(share[:0:-1])[::-1], 0.0)
        sent = rate * np.maximum(2 * more + share, 0.0)
        sent[-1] = 0.0
        found = chain.jobs(sent)
        gap = found - share
        if np.abs(np.cumsum(gap)).max() < _SETTLED:
            if found[-1] > _CUT:
                raise TooFewStatesError(states, load)
            return float(count @ found)
        share = _next(seen, left, share, gap)
    raise ValueError(f"two choices did not settle at load {load:g} and batches of {batch_max}")


def _next(
    seen: list[np.ndarray], left: list[np.ndarray], share: np.ndarray, gap: np.ndarray
) -> np.ndarray:
    """Return the next guess by Anderson's acceleration; `seen` and `left` remember the last."""
    seen.append(share)
    left.append(gap)
    del seen[: -_MEMORY - 1], left[: -_MEMORY - 1]
    guess = share + 0.5 * gap
    if len(seen) > 1:
        moved, changed = np.diff(seen, axis=0).T, np.diff(left, axis=0).T
        mix, *_ = np.linalg.lstsq(changed, gap, rcond=1e-9)
        guess = share + 0.5 * gap - (moved + 0.5 * changed) @ mix
    guess = np.maximum(guess, 0.0)
    return np.asarray(guess / guess.sum())


class _Chain:
    """A replica's batches under arrivals whose rate depends on its jobs."""

    def __init__(self, start: np.ndarray, mean_s: np.ndarray, law: Law) -> None:
        self.taken = start
        self.law = law
        # One column for every part of the law and every number of jobs at the start.
        self.ends = law.stages / (law.means[:, None] * mean_s).ravel()

    def jobs(self, sent: np.ndarray) -> np.ndarray:
        """Return the distribution over time of the jobs, 0..K, for arrivals at `sent` [K + 1]."""
        states, parts = len(sent) - 1, len(self.law.weights)
        at = np.zeros((states + 1, parts * states))
        columns = np.arange(parts * states)
        at[columns % states + 1, columns] = np.repeat(self.law.weights, states)
        spent = np.zeros_like(at)
        for _ in range(round(self.law.stages)):
            carry = np.zeros(parts * states)
            for k in range(1, states + 1):
                # Time with k jobs in this stage: enter, or come up from k - 1; leave by either.
                stay = (at[k] + carry) / (sent[k] + self.ends)
                carry = stay * sent[k]
                at[k] = stay
            spent += at
            at *= self.ends
        ended = at.reshape(states + 1, parts, states).sum(axis=1)
        spent = spent.reshape(states + 1, parts, states).sum(axis=1)
        step = np.zeros((states + 1, states))
        for column, taken in enumerate(self.taken):
            step[: states + 1 - taken, column] = ended[taken:, column]
        idle = step[0].copy()
        step[1] += idle  # nobody waits: the next one to come is served alone
        balance = step[1:] - np.eye(states)
        balance[-1] = 1.0
        right = np.zeros(states)
        right[-1] = 1.0
        begin = np.linalg.solve(balance, right)
        share = spent @ begin
        share[0] = float(idle @ begin) / sent[0]
        return np.asarray(share / share.sum())


def few(load: float, replicas: int, *, most: int, apart: int) -> float:
    """Return the mean jobs of each of a few replicas that serve one by one, exponentially.

    The exact chain of the sorted queue lengths; two different replicas are looked at.

    Args:
        load: Arrivals over what all of them serve, below 1.
        replicas: 2 to 5, or there are too many states.
        most: Jobs in all that are told apart; beyond it nobody is let in.
        apart: Between the longest queue and the shortest, likewise.
    """
    from scipy.sparse import csc_matrix, diags  # noqa: PLC0415 - only to build tables
    from scipy.sparse.linalg import spsolve  # noqa: PLC0415

    place: dict[tuple[int, ...], int] = {(0,) * replicas: 0}
    states = list(place)
    flows: list[tuple[int, int, float]] = []
    for state in states:  # grows as it is gone through
        for after, flow in _moves(state, load):
            if sum(after) > most or after[-1] - after[0] > apart:
                continue
            if after not in place:
                place[after] = len(states)
                states.append(after)
            flows.append((place[after], place[state], flow))
    to, of, rates = (np.array(column) for column in zip(*flows, strict=True))
    step = csc_matrix((rates, (to, of)), shape=(len(states), len(states)))
    balance = (step - diags(np.asarray(step.sum(axis=0)).ravel())).tocsc()
    rest = spsolve(balance[1:, 1:].tocsc(), -balance[1:, 0].toarray().ravel())
    share = np.append(1.0, rest)
    return float(share @ [sum(state) for state in states] / share.sum()) / replicas


def _moves(state: tuple[int, ...], load: float) -> list[tuple[tuple[int, ...], float]]:
    pairs = list(itertools.combinations(range(len(state)), 2))
    found = [
        (first if state[first] <= state[second] else second, 1, len(state) * load / len(pairs))
        for first, second in pairs
    ]
    found += [(at, -1, 1.0) for at, held in enumerate(state) if held]
    moves = []
    for at, change, flow in found:
        after = list(state)
        after[at] += change
        moves.append((tuple(sorted(after)), flow))
    return moves


def many(load: float) -> float:
    """Return the mean jobs of each of infinitely many, as in `few` (Mitzenmacher)."""
    return float(_above(load)[1:-1].sum())


def refined(load: float) -> float:
    """Return n (J_n - J_many) for large n, as in `few` (Gast and Van Houdt, with distinct choices).

    The drift of x_k, the share of replicas with k jobs or more, is
    load (x_{k-1}^2 - x_k^2) - (x_k - x_{k+1}); A is its slope, W the covariance of its noise, and
    the second derivative times W, and what distinct choices add, move the mean.
    """
    x = _above(load)
    below, here, above = x[:-2], x[1:-1], x[2:]
    slope = np.diag(-2 * load * here - 1)
    slope += np.diag(2 * load * below[1:], -1) + np.diag(np.ones(len(here) - 1), 1)
    noise = np.diag(load * (below**2 - here**2) + here - above)
    unit = np.eye(len(here))
    spread = np.linalg.solve(np.kron(slope, unit) + np.kron(unit, slope), -noise.ravel())
    spread = np.diag(spread.reshape(noise.shape))
    moved = load * (np.append(0.0, spread[:-1]) - spread)
    # Of n replicas with k jobs or more, two different ones: x^2 - x (1 - x) / (n - 1).
    moved += load * (here * (1 - here) - below * (1 - below))
    return float(np.linalg.solve(slope, -moved).sum())


def _above(load: float) -> np.ndarray:
    return np.array([load ** min(2.0**k - 1, 1e4) for k in range(_LEVELS + 2)])


def way(load: float) -> np.ndarray:
    """Return n R(load, n) for 1, 2, 3, 4 and infinitely many replicas [5], each from 0 to 1."""
    one, all_ = load / (1 - load), many(load)
    tail = -1 / math.log(load)
    sizes = ((2, 16 * tail + 20, 30), (3, 16 * tail + 20, 14), (4, 13 * tail + 16, 9))
    found = [n * (few(load, n, most=int(most), apart=gap) - all_) for n, most, gap in sizes]
    return np.array([one - all_, *found, refined(load)]) / (one - all_)
