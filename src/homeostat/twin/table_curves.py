"""Put the stored curves of the queue tables together: variation, pools, bursts.

What `tables.Tables.row` reads off for a service law are the mean jobs of one replica, and of one of
infinitely many under two choices, for a few variations of the service time. Here they become the
jobs at one variation, one number of replicas and one burstiness.
"""

from typing import Final

import jax.numpy as jnp
from jax import Array

from homeostat.twin import table_grid as grid

_PLACES: Final = (0.0, *(one / (1.0 + one) for one in grid.CV2))
_INVERSE: Final = tuple(1.0 / one for one in grid.REPLICAS)


def at_variation(curves: Array, cv2: Array) -> Array:
    """Return jobs at a variation of service times from those at each of the stored [K, ...].

    Without batches they are a straight line of cv2, with them nearly: divided by 1 + cv2 they are
    a cubic over cv2 / (1 + cv2), which is exact for lines. Beyond the last stored variation they
    grow evenly.

    Args:
        curves: Without variation, and with each of `table_grid.CV2` [1 + CV2, K, ...].
        cv2: Squared coefficient of variation [...].
    """
    near = jnp.clip(cv2, 0.0, grid.CV2[-1])
    weights = _lagrange(near / (1.0 + near), _PLACES)
    parts = (w * c / (1.0 + k) for w, c, k in zip(weights, curves, (0.0, *grid.CV2), strict=True))
    found = (1.0 + near) * jnp.sum(jnp.stack(list(parts)), axis=0)
    return curves[0] + jnp.maximum(cv2 / grid.CV2[-1], 1.0) * (found - curves[0])


def way_to_one(stored: Array, replicas: Array) -> Array:
    """Return the share of the way from many replicas' jobs to one's that `replicas` are [K, ...].

    Args:
        stored: `Tables.way`, n times it [REPLICAS, K].
        replicas: How many share the traffic, at least 1 [...].
    """
    inverse = 1.0 / jnp.maximum(replicas, 1.0)
    weights = _lagrange(inverse, _INVERSE)
    column = (-1, *(1,) * inverse.ndim)
    times = sum(w * row.reshape(column) for w, row in zip(weights, stored, strict=True))
    return inverse * jnp.clip(times, 0.0, 1.0)


def by_bursts(load: Array, batch: Array, cv2: Array, ca2: Array) -> Array:
    """Return the jobs that the variation of arrivals adds to Poisson's; fewer where it is less.

    Near full load ca2 adds as Allen and Cunneen say, whether replicas share their requests at
    random or by two choices (there a pool acts as one server, and what one of n is added is the
    same). Bursts hurt less where there is room: Kraemer and Langenbach-Belz's factor, "Approximate
    formulae for the delay in the queueing system GI/G/1", ITC 8 (1976). A batch that takes longer
    makes all in it late, so the variation of service counts as often as a batch is large.

    Args:
        load: 0..1 [K, ...].
        batch: Largest batch [...].
        cv2: Of the service time [...].
        ca2: Of the times between arrivals at the replica [...].
    """
    chance = load**2 / (2.0 * (1.0 - load))
    work, bursts = batch * cv2, jnp.maximum(ca2, 1.0)
    damped = jnp.exp(-(1.0 - load) * (bursts - 1.0) / (bursts + 4.0 * work))
    more = (bursts + work) * damped - (1.0 + work)
    return chance * (more + jnp.minimum(ca2 - 1.0, 0.0))


def _lagrange(at: Array, places: tuple[float, ...]) -> list[Array]:
    """Return the weight of each place in the polynomial through all of them, at `at` [...]."""
    weights = []
    for k, here in enumerate(places):
        weight = jnp.ones_like(at)
        for other in (place for n, place in enumerate(places) if n != k):
            weight = weight * (at - other) / (here - other)
        weights.append(weight)
    return weights
