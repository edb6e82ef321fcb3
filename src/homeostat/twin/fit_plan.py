"""The cheapest batch and number of replicas that keep a promised p99, with their uncertainty.

For each largest batch, the twin's curves give what one replica serves within the promise; the
demand over that, rounded up, is how many are needed. Every draw of the parameters gives another
answer: their range is the interval.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from homeostat.twin import fit_bootstrap as bootstrap
from homeostat.twin import tables
from homeostat.twin.fit_frame import Floats
from homeostat.twin.fit_region import Region

BATCHES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_NONE: Final = 1e9  # replicas: no number of them keeps the promise


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What one largest batch needs.

    Attributes:
        batch: Largest batch.
        replicas: That are needed; None if no number is enough.
        low: Fewest by the 90 % interval.
        high: Most; None if the interval has draws that no number is enough for.
        rate: Requests per second of one replica within the promise.
        usd_per_hour: Price, if a replica's is known.
        seen: Whether the deployment was seen in this state; if not, it is advice to be tried.
    """

    batch: int
    replicas: int | None
    low: int | None
    high: int | None
    rate: float
    usd_per_hour: float | None
    seen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a demand needs.

    Attributes:
        demand_rps: Requests per second.
        p99_s: Promised.
        best: The cheapest choice, the smallest batch of equal ones; None if there is none.
        choices: One for each batch.
    """

    demand_rps: float
    p99_s: float
    best: Choice | None
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a plan is for.

    Attributes:
        p99_s: Promised latency.
        limit: Largest batch that the server can form.
        ca2: Squared variation of arrivals at a replica.
        factor: What observed p99 is over the curves'.
        usd_per_hour: Price of a replica; None = unknown.
    """

    p99_s: float
    limit: float
    ca2: float
    factor: float
    usd_per_hour: float | None


def plan(
    theta: Floats, draws: Floats, demand_rps: float, asked: Asked, region: Region | None
) -> Plan:
    """Return what a demand needs.

    Args:
        theta: tau0, alpha, cv2 [3].
        draws: The same [draws, 3].
        demand_rps: Requests per second.
        asked: The promise and what else counts.
        region: Where the deployment was seen.
    """
    batches = [b for b in BATCHES if b <= max(asked.limit, 1.0)]
    whole = round(asked.limit)
    if whole not in batches and 1 < whole < BATCHES[-1]:
        batches.append(whole)
    rate = _rates(np.concatenate([theta[None], draws]), np.asarray(sorted(batches), float), asked)
    need = np.where(rate > 0, np.ceil(demand_rps / np.maximum(rate, 1e-12) - 1e-9), _NONE)
    need = np.clip(need, 1.0, _NONE)
    choices = tuple(
        _choice(batch, need[:, k], rate[0, k], theta, demand_rps, asked, region)
        for k, batch in enumerate(sorted(batches))
    )
    possible = [one for one in choices if one.replicas is not None]
    best = min(possible, key=_cost, default=None)
    return Plan(demand_rps=demand_rps, p99_s=asked.p99_s, best=best, choices=choices)


def _cost(one: Choice) -> tuple[float, float, int]:
    return one.replicas or _NONE, one.high or _NONE, one.batch


def _choice(
    batch: int,
    need: Floats,
    rate: float,
    theta: Floats,
    demand: float,
    asked: Asked,
    region: Region | None,
) -> Choice:
    low, high = interval(need[1:])
    count = _whole(need[0])
    seen = False
    if count and region:
        each = demand / count
        held = each * theta[0] / max(1.0 - each * theta[1], 1e-9)
        rho = each * (theta[0] / batch + theta[1])
        seen = region.trusts(rho, min(max(held, 1.0), batch), count)
    price = asked.usd_per_hour
    return Choice(
        batch=batch,
        replicas=count,
        low=_whole(low),
        high=_whole(high),
        rate=float(rate),
        usd_per_hour=None if price is None or count is None else price * count,
        seen=seen,
    )


def interval(counts: Floats) -> tuple[float, float]:
    """Return the ends of the 90 % interval of whole counts: each is one of them.

    Between a count and one that no number is enough for there is nothing: an end that lies there is
    the outer one, as counts of replicas are rounded up.

    >>> interval(np.asarray([12.0] * 18 + [_NONE] * 2)) == (12.0, _NONE)
    True
    """
    side = (1.0 - bootstrap.LEVEL) / 2.0
    low = np.quantile(counts, side, method="lower")
    return float(low), float(np.quantile(counts, 1.0 - side, method="higher"))


def _whole(count: float) -> int | None:
    return int(count) if count < _NONE else None


def _rates(theta: Floats, batches: Floats, asked: Asked) -> Floats:
    """Return what one replica serves within the promise [draws, batches]."""
    p99 = asked.p99_s / asked.factor
    found = _compiled()(
        tables.load(),
        jnp.asarray(theta, jnp.float32),
        jnp.asarray(batches, jnp.float32),
        p99,
        asked.ca2,
    )
    return np.asarray(found, float)


@cache
def _compiled() -> Any:
    def rates(
        curves: tables.Tables, theta: Array, batches: Array, p99_s: Array, ca2: Array
    ) -> Array:
        row = curves.row(theta[:, :1], theta[:, 1:2], batches[None], theta[:, 2:], ca2)
        return row.capacity_within(p99_s)

    return jax.jit(rates)
