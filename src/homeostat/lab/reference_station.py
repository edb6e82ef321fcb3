"""One batching replica, request by request: many independent runs side by side in NumPy.

The event-driven reference for everything that needs only one station and no client that gives
up: it builds the tables of quantiles and judges the tick model's means. A cluster of replicas
with routing, timeouts and retries is in `reference`.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """A replica that takes up to `batch_max` of those that wait, first come first served.

    Attributes:
        tau0_s: Fixed time of a batch.
        alpha_s: Time per request of a batch.
        batch_max: Largest batch.
        cv2: Squared coefficient of variation of the (lognormal) service time.
        queue_delay_s: Longest time the first of a batch that is not full waits for company.
    """

    tau0_s: float
    alpha_s: float
    batch_max: int
    cv2: float = 0.0
    queue_delay_s: float = 0.0

    @property
    def capacity(self) -> float:
        """Requests per second in full batches."""
        return self.batch_max / (self.tau0_s + self.alpha_s * self.batch_max)


def renewal(
    chance: np.random.Generator, rate: float, ca2: float, shape: tuple[int, int]
) -> np.ndarray:
    """Return arrival times [runs, requests] in seconds of a renewal process.

    Gamma times between arrivals for ca2 <= 1 (ca2 = 1 is Poisson, 0 is a clock), balanced
    two-phase hyperexponential above.

    Args:
        chance: Source of randomness.
        rate: Arrivals per second.
        ca2: Squared coefficient of variation of the time between arrivals.
        shape: Runs, requests.
    """
    if ca2 == 0:
        gaps = np.full(shape, 1 / rate)
        gaps[:, 0] *= chance.random(shape[0])
    elif ca2 <= 1:
        gaps = chance.gamma(1 / ca2, ca2 / rate, shape)
    else:
        share = 0.5 * (1 + np.sqrt((ca2 - 1) / (ca2 + 1)))
        fast = chance.random(shape) < share
        gaps = chance.exponential(1.0, shape)
        gaps /= np.where(fast, 2 * share * rate, 2 * (1 - share) * rate)
    return np.asarray(np.cumsum(gaps, axis=1))


def latencies(station: Station, arrivals: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Return every request's time in the system, in seconds [runs, requests].

    Args:
        station: The replica.
        arrivals: Ascending times [runs, requests]; each run starts empty.
        chance: For the service times.
    """
    runs, requests = arrivals.shape
    limit = station.batch_max
    padded = np.concatenate([arrivals, np.full((runs, limit), np.inf)], axis=1)
    row, ahead = np.arange(runs), np.arange(limit)
    served, free = np.zeros(runs, int), np.zeros(runs)
    sizes: list[np.ndarray] = []
    ends: list[np.ndarray] = []
    log_sd = np.sqrt(np.log1p(station.cv2))
    while served.min() < requests:
        window = padded[row[:, None], served[:, None] + ahead]
        start = np.maximum(free, window[:, 0])
        if station.queue_delay_s:
            full = np.minimum(window[:, -1], window[:, 0] + station.queue_delay_s)
            start = np.maximum(start, full)
        live = np.isfinite(start)
        size = np.where(live, (window <= start[:, None]).sum(axis=1), 0)
        took = station.tau0_s + station.alpha_s * size
        if station.cv2:
            took = took * np.exp(log_sd * chance.standard_normal(runs) - log_sd**2 / 2)
        free = np.where(live, start + took, free)
        served = served + size
        sizes.append(size)
        ends.append(free)
    finish = [
        np.repeat(end, size) for end, size in zip(np.array(ends).T, np.array(sizes).T, strict=True)
    ]
    return np.asarray(np.array(finish) - arrivals)
