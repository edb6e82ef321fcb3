"""Closed forms and exact chains of queueing theory: the judges of the twin and of its reference.

Pure NumPy; small inputs, exact answers. Not used inside a tick: `tables.py` holds what the twin
needs of this, sampled once by `table_build.py`.

Sources: Erlang (1917); Kleinrock, "Queueing Systems" I (1975), 3.6 and 5; Allen, "Probability,
Statistics and Queueing Theory" (1990), 5.3.5; Bailey, "On queueing processes with bulk service",
J. R. Stat. Soc. B 16 (1954); Inoue, "Queueing analysis of GPU-based inference servers with dynamic
batching", Performance Evaluation 147 (2021), arXiv:1912.06322.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from homeostat.base.errors import HomeostatError

MOST_STATES: Final = 6000  # of a dense chain: 36 M coefficients, 0.3 GB; beyond it, refuse
_DECAYS: Final = 14.0  # e-folds of the stationary tail that are kept: what is cut off is < 1e-9


class UnstableQueueError(HomeostatError):
    """A queue has no stationary state, so nothing can be said about its mean.

    Attributes:
        load: Offered load over capacity, at least 1.
    """

    def __init__(self, load: float) -> None:
        super().__init__(
            f"load {load:.4g} is not below 1: the queue grows without bound; "
            "lower the rate, or raise the largest batch or the number of servers"
        )
        self.load = load


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """M/M/c in its stationary state.

    Attributes:
        load: Offered load per server, below 1.
        waits: Probability that a request waits at all (Erlang C).
        wait_s: Mean time in the queue.
        latency_s: Mean time in the system.
        queue: Mean number of requests waiting.
        drain_per_s: Rate of the exponential tail of the wait, c mu - lambda.
    """

    load: float
    waits: float
    wait_s: float
    latency_s: float
    queue: float
    drain_per_s: float

    def wait_quantile(self, q: float) -> float:
        """Return the time that a share `q` of the requests wait at most, in seconds."""
        if self.waits <= 1 - q:
            return 0.0
        return math.log(self.waits / (1 - q)) / self.drain_per_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Finite:
    """M/M/1/K in its stationary state.

    Attributes:
        refused: Probability that an arrival finds the system full.
        jobs: Mean number of requests in the system.
        latency_s: Mean time in the system of those let in.
        throughput: Requests per second let in.
    """

    refused: float
    jobs: float
    latency_s: float
    throughput: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchQueue:
    """A server of batches in its stationary state.

    Attributes:
        load: rate x S(b) / b for the largest batch b; rate x alpha where batches have no limit.
        jobs: Mean number of requests in the system, those in service included.
        latency_s: Mean time in the system.
        mean_batch: Requests per batch.
        utilisation: Share of time that the server is busy.
    """

    load: float
    jobs: float
    latency_s: float
    mean_batch: float
    utilisation: float


def erlang_b(servers: int, load: float) -> float:
    """Return the probability that all of `servers` are busy and an arrival is lost.

    Args:
        servers: At least 1.
        load: Rate times mean service time, in Erlang.

    >>> round(erlang_b(4, 3.0), 5)
    0.20611
    """
    blocked = 1.0
    for k in range(1, servers + 1):
        blocked = load * blocked / (k + load * blocked)
    return blocked


def erlang_c(servers: int, load: float) -> float:
    """Return the probability that an arrival has to wait, in M/M/c.

    Args:
        servers: At least 1.
        load: Rate times mean service time, in Erlang; below `servers`.

    Raises:
        UnstableQueueError: The load is not below the number of servers.
    """
    per_server = load / servers
    if per_server >= 1:
        raise UnstableQueueError(per_server)
    blocked = erlang_b(servers, load)
    return blocked / (1 - per_server * (1 - blocked))


def mmc(rate: float, service_rate: float, servers: int) -> Servers:
    """Return M/M/c's stationary state.

    Args:
        rate: Arrivals per second.
        service_rate: Services per second of one server.
        servers: At least 1.

    Raises:
        UnstableQueueError: The load is not below 1.
    """
    waits = erlang_c(servers, rate / service_rate)
    drain = servers * service_rate - rate
    wait = waits / drain
    return Servers(
        load=rate / (servers * service_rate),
        waits=waits,
        wait_s=wait,
        latency_s=wait + 1 / service_rate,
        queue=rate * wait,
        drain_per_s=drain,
    )


def allen_cunneen(rate: float, service_rate: float, servers: int, ca2: float, cv2: float) -> float:
    """Return the mean wait in G/G/c in seconds by the Allen-Cunneen approximation.

    Args:
        rate: Arrivals per second.
        service_rate: Services per second of one server.
        servers: At least 1.
        ca2: Squared coefficient of variation of the time between arrivals.
        cv2: The same of the service time.

    Raises:
        UnstableQueueError: The load is not below 1.
    """
    return mmc(rate, service_rate, servers).wait_s * (ca2 + cv2) / 2


def md1_wait(rate: float, service_s: float) -> float:
    """Return the mean wait in M/D/1 in seconds: rho S / (2 (1 - rho)).

    Raises:
        UnstableQueueError: The load is not below 1.
    """
    load = rate * service_s
    if load >= 1:
        raise UnstableQueueError(load)
    return load * service_s / (2 * (1 - load))


def mm1k(rate: float, service_rate: float, places: int) -> Finite:
    """Return M/M/1/K's stationary state; stable at every load.

    Args:
        rate: Arrivals per second.
        service_rate: Services per second.
        places: Requests that fit, the one in service included.
    """
    log_weight = np.arange(places + 1) * math.log(rate / service_rate)
    share = np.exp(log_weight - log_weight.max())
    share /= share.sum()
    jobs = float(share @ np.arange(places + 1))
    let_in = rate * float(1 - share[-1])
    return Finite(refused=float(share[-1]), jobs=jobs, latency_s=jobs / let_in, throughput=let_in)


def inoue_bound(rate: float, tau0_s: float, alpha_s: float) -> float:
    """Return an upper bound of the mean latency of batches without a limit, in seconds.

    Inoue (2021): min(phi0, phi1), written out below; tight where `rate * alpha_s` is not small.

    Raises:
        UnstableQueueError: `rate * alpha_s` is not below 1.
    """
    per_job, fixed = rate * alpha_s, rate * tau0_s
    if per_job >= 1:
        raise UnstableQueueError(per_job)
    phi0 = (alpha_s + tau0_s) / (2 * (1 - per_job))
    phi0 *= 1 + 2 * fixed + (1 - fixed) / (1 + per_job)
    phi1 = 1.5 * tau0_s / (1 - per_job)
    phi1 += 0.5 * alpha_s * (per_job + 2) / (1 - per_job**2)
    return min(phi0, phi1)


def batch_queue(
    rate: float, tau0_s: float, alpha_s: float, batch_max: int | None, cv2: float = 0.0
) -> BatchQueue:
    """Return the stationary state of a server that takes all that wait, up to a limit, at once.

    Poisson arrivals; a batch of b takes (tau0 + alpha b) times a gamma variable with mean 1 and
    squared coefficient of variation `cv2`. Exact up to a truncation below 1e-9: the chain of the
    queue length at the start of a batch, then cycle averages (Bailey 1954).

    Args:
        rate: Arrivals per second.
        tau0_s: Fixed time of a batch.
        alpha_s: Time per request of a batch.
        batch_max: Largest batch; None = no limit.
        cv2: Of the service time.

    Raises:
        UnstableQueueError: The load is not below 1.
        ValueError: The chain would need more than `MOST_STATES` states.
    """
    load = rate * alpha_s
    if batch_max is not None:
        load += rate * tau0_s / batch_max
    if load >= 1:
        raise UnstableQueueError(load)
    states = _states(rate, tau0_s, alpha_s, batch_max, cv2)
    limit = states if batch_max is None else min(batch_max, states)
    size = np.minimum(np.arange(1, states + 1), limit)
    service = tau0_s + alpha_s * size
    arrivals = _arrivals(rate * service[:limit], states, cv2)
    start = _stationary(arrivals, states)
    empties = float(start[:limit] @ arrivals[:, 0])
    busy = float(start @ service)
    cycle = busy + empties / rate
    job_seconds = np.arange(1, states + 1) * service + 0.5 * rate * (1 + cv2) * service**2
    jobs = float(start @ job_seconds) / cycle
    return BatchQueue(
        load=load,
        jobs=jobs,
        latency_s=jobs / rate,
        mean_batch=float(start @ size),
        utilisation=busy / cycle,
    )


def _states(rate: float, tau0_s: float, alpha_s: float, batch_max: int | None, cv2: float) -> int:
    """Return how many queue lengths matter: past the mean, the tail decays as a diffusion's.

    Raises:
        ValueError: More than `MOST_STATES`.
    """
    if batch_max is None:
        fixed, per_job = rate * tau0_s, rate * alpha_s
        mean = (fixed + per_job) / (1 - per_job)
        variance = (mean + cv2 * mean**2) / (1 - per_job**2 * (1 + cv2))
        states = int(mean + 12 * math.sqrt(variance)) + 60
    else:
        mean = rate * (tau0_s + alpha_s * batch_max)
        variance = mean + cv2 * mean**2
        states = int(
            2 * batch_max + 10 * math.sqrt(variance) + _DECAYS * variance / (batch_max - mean)
        )
        states += 30
    if states > MOST_STATES:
        raise ValueError(
            f"the chain needs {states} states, more than {MOST_STATES}: the load is too near 1 "
            "or cv2 too large for an exact answer; use a lower one"
        )
    return states


def _arrivals(means: np.ndarray, states: int, cv2: float) -> np.ndarray:
    """Return the distribution of arrivals during a batch of each size: [sizes, 0..states]."""
    counts = np.arange(1, states + 1)
    column = means[:, None]
    if cv2 == 0:
        each = np.log(column) - np.log(counts)
        none = -column
    else:
        # A Poisson count over a gamma time is negative binomial with 1/cv2 "failures".
        failures, spread = 1 / cv2, cv2 * column
        each = np.log((failures + counts - 1) / counts) + np.log(spread / (1 + spread))
        none = -failures * np.log1p(spread)
    logs = np.concatenate([none, none + np.cumsum(each, axis=1)], axis=1)
    return np.asarray(np.exp(logs))


def _stationary(arrivals: np.ndarray, states: int) -> np.ndarray:
    """Return the distribution of the queue length (1..states) at the start of a batch."""
    limit = len(arrivals)
    step = np.zeros((states, states))
    # All that waited were taken: the next batch has those that came, or the next one to come.
    step[:limit, 0] = arrivals[:, 0] + arrivals[:, 1]
    step[:limit, 1:] = arrivals[:, 2:]
    for row in range(limit, states):
        left = row + 1 - limit
        step[row, left - 1 :] = arrivals[-1, : states - left + 1]
    step[:, -1] += 1 - step.sum(axis=1)
    balance = step.T - np.eye(states)
    balance[-1] = 1.0
    right = np.zeros(states)
    right[-1] = 1.0
    start = np.clip(np.linalg.solve(balance, right), 0.0, None)
    return np.asarray(start / start.sum())
