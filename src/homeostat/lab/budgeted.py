"""The controller's budget in the lab: each episode is the whole fleet of a controller of its own.

A batch holds many episodes, and what the fleet's tests know is the fleet's: with one fleet for a
batch, what is said of an episode would depend on the others that are played beside it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.base.evidence import SeriesKey, Signals
from homeostat.detect.fleetwide import Config, FleetTests, FleetwideState, Seen, budgeted
from homeostat.detect.fused import Fused
from homeostat.detect.layout import Layout, layout
from homeostat.loop.sense import SenseParts
from homeostat.twin.shapes import SCRAPE_S

Ints = npt.NDArray[np.int64]

SHARE: Final = 0.05
"""What may be false of what a fleet tells, beside the budget; as the configuration has it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ApartState:
    """What is remembered.

    Attributes:
        frame: The series for which `parts` was worked out.
        parts: Of each deployment, its rows and their layout.
        fleets: Of each deployment, its fleet.
    """

    frame: tuple[SeriesKey, ...]
    parts: Mapping[str, tuple[Ints, Layout]]
    fleets: Mapping[str, FleetwideState]


class Apart:
    """The fleet's tests, each deployment a fleet of its own; see `loop.sense_parts.FleetwidePart`.

    Args:
        config: Of each.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._tests: dict[str, FleetTests] = {}

    def init(self) -> ApartState:
        """Return the state before any series."""
        return ApartState(frame=(), parts={}, fleets={})

    def step(
        self,
        state: ApartState,
        signals: Signals[npt.NDArray[np.float64]],
        rows: Layout,
        busy: Collection[str],
    ) -> tuple[ApartState, dict[str, Seen]]:
        """Test one tick of each fleet; see `FleetTests.step`."""  # fmt: skip
        if rows.keys is not state.frame:
            parts = {}
            for name, part in rows.parts.items():
                first = rows.first[name]
                parts[name] = (np.arange(first, first + len(part.keys)), layout(part.keys))
            state = replace(state, frame=rows.keys, parts=parts)
        fleets, out = dict(state.fleets), dict[str, Seen]()
        for name, (own, alone) in state.parts.items():
            tests = self._tests.setdefault(name, FleetTests(self._config))
            fleet, seen = tests.step(
                fleets.get(name) or tests.init(), _of(signals, own, alone), alone, busy
            )
            fleets[name] = fleet
            out |= seen
        return replace(state, fleets=fleets), out


def _of(
    signals: Signals[npt.NDArray[np.float64]], own: Ints, part: Layout
) -> Signals[npt.NDArray[np.float64]]:
    """Return one deployment's series of a frame."""
    return replace(
        signals,
        keys=part.keys,
        values=signals.values[own],
        age_ns=signals.age_ns[own],
        samples=signals.samples[own],
        quality=tuple(signals.quality[row] for row in own.tolist()),
    )


def with_budget(parts: SenseParts, false_incidents: float) -> SenseParts:
    """Return the stages of sensing of a controller that a budget was set for.

    Args:
        parts: Without one.
        false_incidents: The budget, per 1,000 signals and day.
    """
    score, tests = budgeted(false_incidents, SHARE, tick_s=float(SCRAPE_S))
    assert tests is not None  # noqa: S101 - a share was given
    return replace(parts, fused=Fused(score), fleetwide=Apart(tests))
