"""Five kinds of noise that a healthy fleet may have, tick by tick, for tests of what it tells."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


def independent(draw: Callable[[Any, int], Any]) -> Callable[[Any, int], Iterator[Any]]:
    def ticks(rng: Any, series: int) -> Iterator[Any]:
        while True:
            yield draw(rng, series)

    return ticks


def correlated(rng: Any, series: int) -> Iterator[Any]:
    y = rng.standard_normal(series)
    while True:
        y = 0.9 * y + np.sqrt(1.0 - 0.81) * rng.standard_normal(series)
        yield y


def seasonal(rng: Any, series: int) -> Iterator[Any]:
    """A season of 200 ticks and two deviations, and levels that jump by about one now and then."""
    phase, level, tick = rng.random(series) * 200.0, np.zeros(series), 0
    while True:
        jumps = rng.random(series) < 1.0 / 400.0
        level = 0.995 * level + jumps * rng.standard_normal(series)
        wave = 2.0 * np.sin(2.0 * np.pi * (tick + phase) / 200.0)
        yield wave + level + rng.standard_normal(series)
        tick += 1


# Each in its own standard deviations; those of the seasonal one are its noise's.
FAMILIES: dict[str, Callable[[Any, int], Iterator[Any]]] = {
    "normal": independent(lambda rng, n: rng.standard_normal(n)),
    "t4": independent(lambda rng, n: rng.standard_t(4, n) / np.sqrt(2.0)),
    "lognormal": independent(lambda rng, n: np.exp(rng.standard_normal(n)) / 2.1612),
    "correlated": correlated,
    "seasonal": seasonal,
}
