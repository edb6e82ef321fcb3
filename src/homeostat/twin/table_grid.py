"""The axes of the queue tables, and what a stored number means; shared by builder and reader.

A server that takes batches of at most b, S(b) = tau0 + alpha b, is known up to a time scale by b
and alpha / tau0. Capacity is c = b / S(b), the load is rho = rate / c.

- `wait`: log of (mean latency / S(1)) at each of `LOADS` [BATCHES, MIXES, LOADS], stored in steps
  of `WAIT_STEP` above `WAIT_LEAST`.
- `varied`: the same where service times vary by each of `CV2`
  [CV2, BATCHES, MIXES, LOADS], stored in steps of `VARIED_STEP` above `WAIT_LEAST`.
- `many`: the same for one of infinitely many replicas, each request going to the shorter of two
  queues, without variation and for each of `CV2` [1 + CV2, BATCHES, RATIO_MIXES, LOADS].
- `way`: n times the share of the way from many replicas back to one that n are, for each of
  `REPLICAS`, at each of `LOADS` [REPLICAS, LOADS].
- `spread`: log of (quantile / mean) at each of `RATIO_LOADS`, for service without spread and with
  cv2 = 1 [2, BATCHES, RATIO_MIXES, RATIO_LOADS, QUANTILES].
"""

from typing import Final

# Octaves; a larger batch than the last is treated as the last.
BATCHES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
# alpha / tau0 from 0 to infinity on an even axis m = sqrt(alpha) / (sqrt(alpha) + sqrt(KNEE tau0)).
KNEE: Final = 0.2
MIXES: Final = 13
RATIO_MIXES: Final = 7
# Chords between these loads miss the convex curve of the jobs in the system by at most about 1 % of
# it; the knots are then moved by half of that, see `table_build`.
LOADS: Final = (
    0.01, 0.03, 0.05, 0.08, 0.105, 0.13, 0.18, 0.24, 0.31, 0.375, 0.44, 0.5, 0.56, 0.615, 0.665,
    0.71, 0.75, 0.79, 0.82, 0.845, 0.87, 0.89, 0.905, 0.92, 0.935, 0.945, 0.953, 0.961, 0.968,
    0.975, 0.981, 0.986,
)  # fmt: skip
RATIO_PLACES: Final = (5, 8, 11, 14, 17, 20, 23, 26)  # of RATIO_LOADS in LOADS
RATIO_LOADS: Final = tuple(LOADS[place] for place in RATIO_PLACES)
WAIT_LEAST: Final = -0.1
WAIT_STEP: Final = 1.5e-4  # of a log: 0.015 %, well below the interpolation's error
VARIED_STEP: Final = 2.5e-4
CV2: Final = (0.25, 1.0, 4.0)
REPLICAS: Final = (1.0, 2.0, 3.0, 4.0, float("inf"))
QUANTILES: Final = (0.5, 0.95, 0.99)
# In backlog everybody waits for the same queue: quantile over mean, measured above a load of 0.985.
BACKLOG: Final = (1.0, 1.07, 1.1)


def mix(tau0_s: float, alpha_s: float) -> float:
    """Return the place of a service law on the axis of mixes, 0 (all fixed) to 1 (none fixed)."""
    root = alpha_s**0.5
    return float(root / (root + (KNEE * tau0_s) ** 0.5))


def law(place: float) -> tuple[float, float]:
    """Return (tau0, alpha) with tau0 + alpha = 1 for a place on the axis of mixes."""
    if place >= 1.0:
        return 0.0, 1.0
    ratio = KNEE * (place / (1.0 - place)) ** 2
    return 1.0 / (1.0 + ratio), ratio / (1.0 + ratio)
