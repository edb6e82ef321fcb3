"""The batch queue of one replica with lognormal service times, by roots.

`closed_forms.batch_queue` solves the same embedded chain state by state, for gamma times
and as many states as it takes; here no state is cut off, so that it holds up to full load and for
large variation, where that chain is too long. Wanted is the queue at the start of a batch, P(z).
With batches of at most b, a_n(z) the generating function of the arrivals during a batch of n, p_n
the probability of starting with n, and e that of finding nobody after a batch,

    P(z) (z^b - a_b(z)) = sum over n < b of p_n (z^b a_n(z) - z^n a_b(z)) + z^b (z - 1) e.

Where the left side vanishes in the unit circle (b - 1 times, and at 1) so must the right: b linear
equations for as many unknowns. Means follow from two derivatives at 1. Pure NumPy, used to build
tables. Sources: Bailey, J. R. Stat. Soc. B 16 (1954); Downton, J. R. Stat. Soc. B 17 (1955);
Chaudhry and Templeton, "A first course in bulk queues" (1983), 3.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from homeostat.twin.closed_forms import UnstableQueueError

_NODES: Final = 7  # of Gauss and Hermite; with fewer, cv2 1 is no longer 1 within 1e-4
_FEWER: Final = 5  # where there is less to spread
_MOST_STAGES: Final = 16
_ERLANG: Final = 1 / 8  # up to here the two laws' third moments are within 2 %
_STEPS: Final = 400  # of the fixed points; each shrinks their distance to about the load


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """A service time with mean 1, as a mixture of Erlang variables with as many stages each.

    Attributes:
        weights: Of each part, sum 1 [parts].
        means: Of each part [parts].
        stages: Of each part; need not be whole where there is one.
        cv2: Squared coefficient of variation.
    """

    weights: np.ndarray
    means: np.ndarray
    stages: float
    cv2: float

    def transform(self, s: np.ndarray) -> np.ndarray:
        """Return E exp(-s X) for complex `s` with a real part that is not negative [...]."""
        return np.asarray(np.exp(self._logs(s)) @ self.weights)

    def log_transform(self, s: np.ndarray) -> np.ndarray:
        """Return the logarithm of `transform`, without jumps over the unit circle's arrivals."""
        if len(self.weights) == 1:
            return np.asarray(self._logs(s)[..., 0])
        # Of a mixture, the branch of an inverse Gaussian variable, which has the same two moments
        # and a logarithm without branches; the ratio to it stays near 1.
        near = (1 - np.sqrt(1 + 2 * self.cv2 * s)) / self.cv2
        return np.asarray(near + np.log(self.transform(s) * np.exp(-near)))

    def _logs(self, s: np.ndarray) -> np.ndarray:
        return np.asarray(-self.stages * np.log1p(s[..., None] * self.means / self.stages))


def lognormal(cv2: float) -> Law:
    """Return a law whose first two moments are exact and whose shape is a lognormal's.

    A lognormal variable is the product of two, and one of them with little variation may as well
    be Erlang's: the third moment is then 1 to 4 % short of the lognormal's for cv2 0.25 to 4, where
    a gamma variable is 10 to 60 % short of it.

    Args:
        cv2: Squared coefficient of variation, 1/32 or more; up to 1/8 it is Erlang's alone.

    Raises:
        ValueError: It is less.
    """
    if not cv2 >= 1 / 32:  # nor nan
        raise ValueError(f"a cv2 of at least 1/32 has few enough stages, got {cv2}; take a limit")
    if cv2 <= _ERLANG:
        return Law(weights=np.ones(1), means=np.ones(1), stages=round(1 / cv2), cv2=cv2)
    stages = min(max(round(8 / cv2), 4), _MOST_STAGES)
    sigma2 = math.log((1 + cv2) / (1 + 1 / stages))
    nodes = _NODES if cv2 > 0.5 else _FEWER  # noqa: PLR2004
    at, weights = np.polynomial.hermite_e.hermegauss(nodes)
    weights = weights / weights.sum()
    means = np.exp(math.sqrt(sigma2) * at)
    return Law(weights=weights, means=means / (weights @ means), stages=stages, cv2=cv2)


def gamma(cv2: float) -> Law:
    """Return gamma's law, as `closed_forms.batch_queue` takes it; above 0."""
    return Law(weights=np.ones(1), means=np.ones(1), stages=1 / cv2, cv2=cv2)


def jobs(load: float, tau0_s: float, alpha_s: float, batch_max: int, law: Law) -> float:
    """Return the mean number of requests in the system, those in service included.

    Poisson arrivals; a batch of n takes (tau0 + alpha n) times a variable of the law.

    Args:
        load: Arrivals over what is served in full batches, below 1.
        tau0_s: Fixed time of a batch.
        alpha_s: Time per request of a batch.
        batch_max: Largest batch.
        law: Of the service time.

    Raises:
        UnstableQueueError: The load is not below 1.
    """
    if load >= 1:
        raise UnstableQueueError(load)
    size = np.arange(1, batch_max)
    full_s = tau0_s + alpha_s * batch_max
    rate = load * batch_max / full_s
    come, come_full = rate * (tau0_s + alpha_s * size), rate * full_s
    z = _roots(batch_max, come_full, law)[:, None]
    matrix = np.ones((batch_max, batch_max), complex)
    # Divided by z - 1, which the right side has as a factor.
    matrix[:-1, :-1] = (law.transform(come * (1 - z)) - z**size) / (z - 1)
    matrix[-1, :-1] = batch_max + come - size - come_full
    right = np.zeros(batch_max, complex)
    right[-1] = batch_max - come_full
    found = np.linalg.solve(matrix, right).real
    return _mean_jobs(found[:-1], float(found[-1]), batch_max, come, come_full, law.cv2)


def _roots(batch_max: int, come: float, law: Law) -> np.ndarray:
    """Return the roots of z^b = a_b(z) inside the unit circle, without 1 [b - 1].

    Raises:
        ValueError: They do not settle: too many arrivals in a batch for a lognormal law.
    """
    turn = np.exp(2j * np.pi * np.arange(1, batch_max) / batch_max)
    z = np.zeros_like(turn)
    for _ in range(_STEPS):
        after = turn * np.exp(law.log_transform(come * (1 - z)) / batch_max)
        moved, z = np.abs(after - z).max(initial=0.0), after
        if moved < 1e-14:  # noqa: PLR2004 - rounding
            return np.asarray(z)
    raise ValueError(
        f"the roots did not settle for batches of {batch_max}, {come:.3g} arrivals in one and "
        f"cv2 {law.cv2:g}; use `closed_forms.batch_queue`"
    )


def _mean_jobs(
    start: np.ndarray, empties: float, b: int, come: np.ndarray, full: float, cv2: float
) -> float:
    """Return the mean over time from the starts of batches below b; time in units of 1 / rate."""
    n = np.arange(1, b)
    # Second derivatives at 1 of both sides of the equation.
    twice = come**2 * (1 + cv2) - full**2 * (1 + cv2)
    twice = twice + b * (b - 1) + 2 * b * come - n * (n - 1) - 2 * n * full
    left = b * (b - 1) - full**2 * (1 + cv2)
    mean = (float(start @ twice) + 2 * b * empties - left) / (2 * (b - full))
    others, their_jobs = 1 - start.sum(), mean - float(n @ start)
    cycle = float(start @ come) + others * full + empties
    # Those there at the start stay all the batch long, those who come half of it.
    held = float(start @ (n * come + 0.5 * (1 + cv2) * come**2))
    held += their_jobs * full + others * 0.5 * (1 + cv2) * full**2
    return float(held / cycle)
