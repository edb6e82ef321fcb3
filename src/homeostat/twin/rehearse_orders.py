"""An action's levers as orders to the twin, from where the deployment stands.

A limit on requests in flight becomes a rate by Little's law with the latency seen now. A ramp is as
many orders as it has stages. What the twin has no lever for is refused by name, never guessed.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import jax.numpy as jnp
import numpy as np

from homeostat.base import names
from homeostat.base.actions import Action
from homeostat.base.errors import HomeostatError
from homeostat.base.world import Scalar
from homeostat.twin.orders import Orders
from homeostat.twin.rehearse_situation import UNBOUNDED, Situation
from homeostat.twin.shapes import VARIANTS, Phase, Variant

# No answer is faster than the network: below this a limit in flight is no limit.
_FASTEST_S: Final = 0.001
_PERCENT: Final = 100.0
_MEDIAN: Final = "which rate that lets in needs the median latency, which is not known"


class NotRehearsedError(HomeostatError):
    """The twin has no lever for this; the candidate is not rehearsed, which is no yes."""


def standing_orders(now: Situation, slots: int) -> Orders:
    """Return the orders that leave the deployment as it is: HOLD.

    Args:
        now: The deployment.
        slots: Replica slots of the program.

    Raises:
        NotRehearsedError: A limit on requests in flight is in force, and which rate that is cannot
            be said: without it HOLD would have no limit.
    """
    admitted = _admitted(now, now.in_flight_limit)
    if math.isnan(admitted):
        raise NotRehearsedError(f"{names.GATEWAY_LIMIT} is in force: {_MEDIAN}")
    none, few = np.zeros((), bool), np.zeros(VARIANTS, bool)
    drained = np.zeros(slots, bool)
    for at, slot in enumerate(now.slots):
        drained[at] = slot.phase is Phase.DRAINING
    return _on_device({
        "replicas": np.asarray(now.target, np.float32),
        "weights": np.asarray(now.weights, np.float32),
        "batch_max": np.full(VARIANTS, now.batch_max, np.float32),
        "concurrency": np.asarray(_finite(now.concurrency), np.float32),
        "admit_rps": np.asarray(admitted, np.float32),
        "restart": np.zeros(slots, bool),
        "drain": drained,
        "rollback": few,
        "retrain": none,
        "retrain_ungated": none,
        "person_fixes": none,
        "by_us": none,
    })


def orders_of(action: Action, now: Situation, slots: int) -> Orders:
    """Return what an action orders.

    Args:
        action: The candidate.
        now: The deployment.
        slots: Replica slots of the program.

    Raises:
        NotRehearsedError: The twin has no such lever, pool or replica.
    """
    changed = {name: np.array(value) for name, value in vars(standing_orders(now, slots)).items()}
    for lever, value in action.change:
        if names.own(lever) is None:
            _order(changed, lever, value, now)
        elif value != 0:  # 0 is what all replicas have
            raise NotRehearsedError(f"the twin has no lever {lever}: its replicas are alike")
    changed["by_us"] = np.asarray(bool(action.change))
    return _on_device(changed)


def stages_of(action: Action, now: Situation, slots: int) -> tuple[tuple[float, Orders], ...]:
    """Return what the stages of a ramp order before its end, with the value of each.

    Args:
        action: The candidate; without a ramp there is no stage.
        now: The deployment.
        slots: Replica slots of the program.

    Raises:
        NotRehearsedError: The twin has no such lever, pool or replica.
    """
    if len(action.change) != 1:
        return ()
    ((lever, _),) = action.change
    return tuple(
        (value, orders_of(replace(action, change=((lever, value),)), now, slots))
        for value in action.ramp[:-1]
    )


def _order(orders: dict[str, np.ndarray], lever: str, value: Scalar, now: Situation) -> None:
    kind, _, rest = lever.partition(".")
    match kind:
        case "replicas":
            orders["replicas"][_pool(now, rest)] = _number(lever, value)
        case "weight":
            _weigh(orders["weights"], _pool(now, rest), _number(lever, value) / _PERCENT)
        case "version":
            orders["rollback"][_pool(now, rest)] = True
        case "incarnation":
            orders["restart"][_slot(now, rest)] = True
        case "drained":
            orders["drain"][_slot(now, rest)] = bool(value)
        case names.BATCH_MAX:
            orders["batch_max"][:] = _number(lever, value)
        case names.CONCURRENCY:
            orders["concurrency"] = np.asarray(_number(lever, value), np.float32)
        case names.GATEWAY_LIMIT:
            rate = _admitted(now, _number(lever, value))
            if math.isnan(rate):
                raise NotRehearsedError(f"{lever}: {_MEDIAN}")
            orders["admit_rps"] = np.asarray(rate, np.float32)
        case _:
            raise NotRehearsedError(f"the twin has no lever {lever}")


def _number(lever: str, value: Scalar) -> float:
    if isinstance(value, str) or not math.isfinite(value):
        raise NotRehearsedError(f"{lever}: a number is asked for, got {value!r}")
    return float(value)


def _pool(now: Situation, name: str) -> int:
    if name not in now.pools:
        raise NotRehearsedError(f"the twin has no pool {name}")
    return now.pools.index(name)


def _slot(now: Situation, name: str) -> int:
    for at, slot in enumerate(now.slots):
        if slot.name == name:
            return at
    raise NotRehearsedError(f"there is no replica {name}")


def _weigh(weights: np.ndarray, variant: int, share: float) -> None:
    """Give a variant its share; the others keep theirs among what is left."""
    others = weights.copy()
    others[variant] = 0.0
    total = float(others.sum())
    if total > 0.0:
        weights[:] = others * (1.0 - share) / total
    elif variant != Variant.A:
        weights[Variant.A] = 1.0 - share
    weights[variant] = share


def _admitted(now: Situation, in_flight: float) -> float:
    """Return the rate that a limit on requests in flight lets through; 0 in flight = no limit."""
    if in_flight <= 0.0:
        return math.inf
    if math.isnan(now.median_s):
        return math.nan
    return in_flight / max(now.median_s, _FASTEST_S)


def _finite(limit: float) -> float:
    return limit if math.isfinite(limit) else UNBOUNDED


def _on_device(values: Mapping[str, np.ndarray]) -> Orders:
    return Orders(**{name: jnp.asarray(value) for name, value in values.items()})
