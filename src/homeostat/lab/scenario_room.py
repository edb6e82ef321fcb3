"""How large and how fine a twin a scenario needs: slots for its replicas, ticks for its clients.

Worked out from the ranges alone, so that one that fits nowhere is refused when it is read, and all
draws of a scenario are played by one program.
"""

import math
from typing import Final

from homeostat.lab.ambient import AMBIENT
from homeostat.lab.deployments import B_RHO, DEFAULTS
from homeostat.lab.scenario import Scenario, Spec
from homeostat.lab.scenario_errors import DrawError
from homeostat.lab.scenario_fields import bounds
from homeostat.twin.shapes import FINE_TICK_S, SLOT_COUNTS, TICK_S

_FINE_BELOW_S: Final = 2.0  # clients that give up sooner see less than two ticks of a second
_ROOM: Final = 2  # slots for so many times the replicas of pool A, so that it can double


def slots_for(scenario: Scenario) -> int:
    """Return the fewest slots that hold every draw, with room for pool A to double.

    Raises:
        DrawError: There are not so many.
    """
    most_a = _most(scenario, "replicas")
    # B's share of the load, at B_RHO of its own capacity, in replicas of A.
    ratio = _most(scenario, "b_share") * _most(scenario, "b_service_ratio")
    most_b = math.ceil(ratio * _most(scenario, "base_rho") * most_a / B_RHO)
    for slots in SLOT_COUNTS:
        if slots >= most_a + most_b + 1 and slots >= _ROOM * most_a + most_b - 1:
            return slots
    if SLOT_COUNTS[-1] > most_a + most_b:
        return SLOT_COUNTS[-1]
    raise DrawError(
        f"{scenario.id}: up to {most_a:g} + {most_b} replicas; there are {SLOT_COUNTS[-1]} slots. "
        "Lower deployment.replicas or deployment.b_share"
    )


def tick_s_for(scenario: Scenario) -> float:
    """Return the length of the twin's own tick: finer where clients may give up in under 2 s."""
    return FINE_TICK_S if _range(scenario, "timeout_s")[0] < _FINE_BELOW_S else TICK_S


def _most(scenario: Scenario, key: str) -> float:
    """Return the greatest value that a deployment's number may be drawn with."""
    return _range(scenario, key)[1]


def _range(scenario: Scenario, key: str) -> tuple[float, float]:
    """Return the least and the greatest value that a deployment's number may be drawn with."""
    given: list[Spec] = [scenario.deployment.get(key, DEFAULTS[key].usual)]
    given += [
        fault.magnitude
        for fault in scenario.faults
        if fault.ambient and AMBIENT[fault.primitive] == key
    ]
    found = [bounds(each, dict(scenario.params)) for each in given]
    return min(low for low, _ in found), max(high for _, high in found)
