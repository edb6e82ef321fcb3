"""Arrival times for the event-driven reference: renewal, of a changing rate, or replayed.

A process with a changing rate is a process of rate 1 on a stretched clock: time t becomes the
integral of the rate up to t. So burstiness and a flash crowd combine, and the mean is exact.
"""

from collections.abc import Sequence

import numpy as np

from homeostat.lab.reference_station import renewal


def varying(
    chance: np.random.Generator, knots_s: Sequence[float], rates: Sequence[float], ca2: float = 1.0
) -> np.ndarray:
    """Return arrival times in seconds of a process whose rate is linear between knots.

    Args:
        chance: Source of randomness.
        knots_s: Ascending times, from 0; two at the same time make a step. Ends at the last.
        rates: Requests per second at the knots, not negative.
        ca2: Squared coefficient of variation of the gaps on the stretched clock; 1 = Poisson.

    Raises:
        ValueError: Knots and rates do not go together, or a rate is negative.
    """
    times, levels = np.asarray(knots_s, float), np.asarray(rates, float)
    if times.shape != levels.shape or np.any(np.diff(times) < 0) or np.any(levels < 0):
        raise ValueError(
            "need as many rates as knots, ascending knots and rates >= 0; "
            f"got {times.tolist()} and {levels.tolist()}"
        )
    steps = np.diff(times) * (levels[1:] + levels[:-1]) / 2
    total = float(steps.sum())
    room = int(total + 10 * np.sqrt(total * max(ca2, 1.0)) + 50)
    clock = renewal(chance, 1.0, ca2, (1, room))[0]
    return _unstretch(clock[clock < total], times, levels, steps)


def flash_crowd(
    chance: np.random.Generator, rate: float, *, times: float, start_s: float, stop_s: float,
    end_s: float, ca2: float = 1.0,
) -> np.ndarray:  # fmt: skip
    """Return arrivals at `rate` until `end_s`, at `times` that between `start_s` and `stop_s`."""
    knots = (0.0, start_s, start_s, stop_s, stop_s, end_s)
    high = rate * times
    return varying(chance, knots, (rate, rate, high, high, rate, rate), ca2)


def replay(recorded_s: np.ndarray, compression: float = 1.0) -> np.ndarray:
    """Return recorded arrival times from 0 on, `compression` times as fast."""
    ordered = np.sort(np.asarray(recorded_s, float))
    return np.asarray((ordered - ordered[0]) / compression)


def _unstretch(
    clock: np.ndarray, times: np.ndarray, levels: np.ndarray, steps: np.ndarray
) -> np.ndarray:
    """Return the times at which the integral of the rate reaches the given values."""
    reached = np.concatenate([[0.0], np.cumsum(steps)])
    place = np.clip(np.searchsorted(reached, clock, side="right") - 1, 0, len(steps) - 1)
    wanted, low = clock - reached[place], levels[place]
    length = times[place + 1] - times[place]
    # Solve low d + slope d^2 / 2 = wanted in the form that stands a slope of 0.
    slope = (levels[place + 1] - low) / np.maximum(length, 1e-12)
    root = np.sqrt(np.maximum(low**2 + 2 * slope * wanted, 0.0))
    return np.asarray(times[place] + 2 * wanted / np.maximum(low + root, 1e-12))
