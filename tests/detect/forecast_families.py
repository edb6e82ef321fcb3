"""Series of known kinds, for forecasters: what they do is known, what comes next is not."""

from collections.abc import Iterator
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]

DAY = 200


def wandering(noise: Floats, phi: float) -> Floats:
    """Return an AR(1) of this noise `[time, series]`."""
    out = np.zeros_like(noise)
    for tick in range(1, len(noise)):
        out[tick] = phi * out[tick - 1] + noise[tick]
    return out


def families(ticks: int, series: int, seed: int) -> Iterator[tuple[str, Floats]]:
    """Yield names and `[time, series]`."""
    rng = np.random.default_rng(seed)

    def noise() -> Floats:
        return rng.standard_normal((ticks, series))

    yield "AR(1) 0.5", wandering(noise(), 0.5)
    yield "AR(1) 0.98", wandering(noise(), 0.98)
    yield "AR(1) 0.998", wandering(noise(), 0.998)
    yield "heavy tails", wandering(rng.standard_t(3, (ticks, series)), 0.7)
    yield "log-normal", np.exp(0.3 * wandering(noise(), 0.9))
    phase = rng.uniform(0.0, 1.0, (1, series))
    wave = np.sin(2.0 * np.pi * (np.arange(ticks)[:, None] / DAY + phase))
    yield "season", 4.0 * wave + wandering(noise(), 0.7)
    yield "sharp season", 6.0 * np.maximum(wave, 0.6) + 0.5 * wandering(noise(), 0.8)
    yield "levels that jump", _levels(rng, ticks, series) + wandering(noise(), 0.5)
    yield "bursts", _bursts(rng, ticks, series) + wandering(noise(), 0.5)
    yield "leaks with restarts", _leaks(rng, ticks, series) + 0.3 * wandering(noise(), 0.5)


def _levels(rng: np.random.Generator, ticks: int, series: int) -> Floats:
    out = np.zeros((ticks, series))
    for row in range(series):
        tick = 0
        while tick < ticks:
            length = int(rng.exponential(300.0)) + 50
            out[tick : tick + length, row] = rng.normal(0.0, 4.0)
            tick += length
    return out


def _bursts(rng: np.random.Generator, ticks: int, series: int) -> Floats:
    out = np.zeros((ticks, series))
    for row in range(series):
        for tick in np.flatnonzero(rng.random(ticks) < 1.0 / 150.0).tolist():
            length = min(int(rng.integers(5, 60)), ticks - tick)
            fades = np.exp(-np.arange(length) / 20.0)
            out[tick : tick + length, row] += rng.uniform(4.0, 12.0) * fades
    return out


def _leaks(rng: np.random.Generator, ticks: int, series: int) -> Floats:
    out = np.zeros((ticks, series))
    for row in range(series):
        tick = 0
        while tick < ticks:
            length = min(int(rng.integers(100, 400)), ticks - tick)
            out[tick : tick + length, row] = rng.uniform(0.01, 0.08) * np.arange(length)
            tick += length
    return out
