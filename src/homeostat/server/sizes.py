"""How many bytes detection keeps for a series: from the states that its parts really begin with.

What is remembered of a series is of fixed size, so this can be said before the first tick. Counted
are the arrays of the score, the charts and the forecasters; what else the controller keeps (the
last page of each source, the state of the loop) is not of a series.
"""

from dataclasses import fields, is_dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat import plugins
from homeostat.base.units import SECOND
from homeostat.detect.changepoint import Changepoint
from homeostat.detect.changepoint_config import Config as ChangeConfig
from homeostat.detect.fleet_told import Fleet
from homeostat.detect.fleetwide import Config as FleetConfig
from homeostat.detect.forecast_fleet import empty
from homeostat.detect.fused_groups import width_for
from homeostat.detect.panel import Panel
from homeostat.detect.stack import Stack, StackConfig
from homeostat.server.wiring import DETECTORS

SERIES: Final = 20
"""Of a deployment of which nothing is known yet: four replicas with five signals each."""
_TICK_NS: Final = 15 * SECOND
_MANY: Final = 64  # series of which the parts of all deployments are made; some grow in such steps


class Sizes(NamedTuple):
    """Bytes for each series.

    Attributes:
        score: Of a deployment's score, with the change points that begin it anew.
        charts: Of its charts, and the last values that trends are seen in.
        forecasts: Of the forecasters; only of series that are foretold: demand, and those of
            objectives.
        fleet: Of the tests over the whole fleet; only where they are asked for.
    """

    score: float
    charts: float
    forecasts: float
    fleet: float


def of_series(columns: int = SERIES, config: StackConfig | None = None) -> Sizes:
    """Return the bytes that detection keeps for each series.

    Args:
        columns: How many series the deployment has: what is kept of how they go together grows
            with them.
        config: Of the score's stack; None for the default settings.
    """
    width = width_for(columns)  # deployments of like width share a batch: some of it is padding
    stack = Stack(config).init(width)
    changes = Changepoint(ChangeConfig()).init(np, width)
    detectors = {name: plugins.part("detector", name) for name in DETECTORS}
    charts = Panel({name: part.build(part.config()) for name, part in detectors.items()}).init()
    return Sizes(
        score=held((stack, changes)) / columns,
        charts=held(charts) / len(charts.slots.keys),
        forecasts=held(empty(_TICK_NS, _MANY)) / _MANY,
        fleet=(_tests(2 * _MANY) - _tests(_MANY)) / _MANY,
    )


def _tests(series: int) -> int:
    """Return the bytes of the fleet's tests of so many series; some are the whole fleet's."""
    return held(Fleet([series], FleetConfig().told).init())


def held(state: Any) -> int:
    """Return the bytes of all arrays in a state of tuples, mappings and dataclasses."""
    if isinstance(state, np.ndarray | np.generic):
        return int(state.nbytes)
    if isinstance(state, tuple):
        return sum(held(part) for part in state)
    if isinstance(state, dict):
        return sum(held(part) for part in state.values())
    if is_dataclass(state):
        return sum(held(getattr(state, field.name)) for field in fields(state))
    return 0
