"""A controller's fleet, tick by tick: deployments of charted series of made-up noise."""

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from homeostat.base import names
from homeostat.base.evidence import Quality, SeriesKey, Signals
from homeostat.base.units import SECOND, TimeNs
from homeostat.detect.fleetwide import Config, FleetTests, Seen
from homeostat.detect.layout import layout
from homeostat.testing import build

SIGNALS = (names.ARRIVAL_RATE, names.LATENCY_P50, names.LATENCY_P95, names.CPU_SHARE)


def keys_of(deployments: int, series: int) -> tuple[SeriesKey, ...]:
    """Return charted series, `series` of each deployment."""
    return tuple(
        SeriesKey(
            deployment=f"d{deployment:03d}",
            subject=f"replica:r{number // len(SIGNALS):02d}",
            signal=SIGNALS[number % len(SIGNALS)],
        )
        for deployment in range(deployments)
        for number in range(series)
    )


class Play:
    """The part with its state; each call of `tick` is one tick of the controller."""

    def __init__(self, keys: tuple[SeriesKey, ...], config: Config | None = None) -> None:
        self.part = FleetTests(config)
        self.state = self.part.init()
        self.number = 0
        self.seat(keys)

    def seat(self, keys: tuple[SeriesKey, ...]) -> None:
        """From now on these series are in the frame."""
        self.keys, self.layout = keys, layout(keys)

    def tick(self, values: Any, busy: Collection[str] = (), quality: Any = None) -> dict[str, Seen]:
        """Play one tick."""
        self.number += 1
        count = len(self.keys)
        signals = Signals(
            at=TimeNs(build.START + self.number * 15 * SECOND),
            tick=self.number,
            keys=self.keys,
            values=np.asarray(values, dtype=np.float64),
            age_ns=np.zeros(count, dtype=np.int64),
            samples=np.ones(count),
            quality=quality or (Quality.GOOD,) * count,
            world=(),
        )
        self.state, seen = self.part.step(self.state, signals, self.layout, frozenset(busy))
        return seen


def noise(count: int, seed: int = 1) -> Iterator[Any]:
    """Yield ticks of independent normal noise."""
    rng = np.random.default_rng(seed)
    while True:
        yield rng.normal(50.0, 1.0, count)
