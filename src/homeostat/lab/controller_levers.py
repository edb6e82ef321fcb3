"""Levers as the lab's platform has them: who holds which, and when two values are the same."""

from typing import Final

from homeostat.base import names
from homeostat.base.world import Scalar
from homeostat.lab.controller_names import SCALE_ACTUATOR, TRAFFIC_ACTUATOR

# Levers are whole percents, replicas and requests: anything smaller is rounding.
_UNIT: Final = 0.5


def actuator_of(lever: str) -> str:
    """Return which actuator holds a lever.

    >>> actuator_of("weight.b"), actuator_of("replicas.a")
    ('gateway', 'platform')
    """
    traffic = lever == names.GATEWAY_LIMIT or lever.startswith("weight.")
    return TRAFFIC_ACTUATOR if traffic else SCALE_ACTUATOR


def same(lever: str, one: Scalar, other: Scalar) -> bool:
    """Return whether two values of a lever are the same, whole percents and units apart.

    >>> same("weight.b", 25.0, 25), same("version.a", "v1", "v2")
    (True, False)
    """
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    if lever == names.GATEWAY_LIMIT:
        return (one == 0) == (other == 0)
    return abs(one - other) < _UNIT
