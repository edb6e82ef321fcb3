"""Shares of the traffic in percent, as weights of HAProxy's servers and back.

Weights are whole numbers from 0 to 256, so shares are rounded: what cannot be said to the percent
is refused instead. A share is of the weights; what a server that is drained or down would have got
goes to all others of the backend, not to its own pool alone.
"""

import math
from collections.abc import Mapping, Sequence

from homeostat.adapters.actuators._haproxy_socket import WEIGHT_MAX, Server
from homeostat.adapters.actuators._shares import percent

Pools = Mapping[str, Sequence[Server]]


def shares(pools: Pools) -> dict[str, int] | None:
    """Return each pool's share in percent, None while no server has any weight.

    Something is never said to be nothing: a share of 0.2 % reads as 1, one of 99.8 % as 99.
    """
    total = sum(server.weight for servers in pools.values() for server in servers)
    if total == 0:
        return None
    sums = {pool: sum(server.weight for server in servers) for pool, servers in pools.items()}
    return {pool: percent(one, total) for pool, one in sums.items()}


def planned(pools: Pools, wanted: Mapping[str, int]) -> dict[str, int]:
    """Return the weight of every server that gives each pool its share.

    Args:
        pools: Each pool's servers; within a pool the weights keep their proportions.
        wanted: Percent for every pool; they sum to 100.

    Raises:
        ValueError: Whole weights up to 256 cannot say these shares.
    """
    raw: dict[str, float] = {}
    for pool, servers in pools.items():
        parts = _parts(servers)
        raw |= {one.name: wanted[pool] * parts[one.name] / sum(parts.values()) for one in servers}
    scale = WEIGHT_MAX / max(raw.values())
    weights = {name: math.floor(scale * part + 0.5) for name, part in raw.items()}
    sums = {pool: sum(weights[one.name] for one in servers) for pool, servers in pools.items()}
    said = {pool: percent(one, sum(sums.values())) for pool, one in sums.items()}
    if said != dict(wanted):
        raise ValueError(
            f"weights from 0 to {WEIGHT_MAX} of {len(weights)} servers cannot say the shares "
            f"{dict(wanted)}; the nearest are {said}"
        )
    return weights


def _parts(servers: Sequence[Server]) -> dict[str, int]:
    """Return the proportions within a pool: those of now, or of the configuration if they agree.

    Rounding must not add up over many changes, so the configuration's own count while the present
    ones are what it comes to; a weight that somebody changed at run time keeps its proportion.
    """
    now = {server.name: server.weight for server in servers}
    first = {server.name: server.first for server in servers}
    total, whole = sum(now.values()), sum(first.values())
    if total == 0:
        return first if whole else dict.fromkeys(first, 1)
    if whole and all(abs(now[name] - first[name] * total / whole) < 1 for name in now):
        return first
    return now
