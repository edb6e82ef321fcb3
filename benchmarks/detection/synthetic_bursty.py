"""Made-up recordings in which bursts recur in health: what `synthetic` has too few of.

Traffic of disks and networks, mentions, jobs: flat or with a day's course, and out of it bursts
that come by chance, alone or in clusters, whose sizes have a heavy tail, so that the largest in a
fortnight is several times the usual one and still nothing. Incidents are a burst that lasts far
longer than any, a level that shifts, bursts that come many times as often, bursts that fail to
come, a climb, and a peak of a few times what was ever seen.
"""

from itertools import pairwise
from typing import Any, Final

import numpy as np

from detection.synthetic import Recording
from detection.synthetic_many import _memory

_KINDS: Final = ("flat", "counts", "jobs", "course")


def bursty(count: int, *, seed: int) -> list[Recording]:
    """Return so many recordings of about 4,000 ticks, the four kinds in turn.

    Args:
        count: Recordings.
        seed: The same gives the same ones.
    """
    return [_one(np.random.default_rng([seed, k]), k) for k in range(count)]


def _one(draw: np.random.Generator, number: int) -> Recording:
    kind, ticks = _KINDS[number % 4], int(draw.integers(3000, 5000))
    values, bursts = _normal(draw, kind, ticks)
    wanted, events, kinds = int(draw.integers(1, 4)), [], []
    for first, last in pairwise(np.linspace(0.22, 0.9, wanted + 1)):
        at = int(draw.uniform(first, first + 0.7 * (last - first)) * ticks)
        what = str(draw.choice(["long", "shift", "often", "none", "climb", "peak"]))
        length = _strike(draw, values, bursts, at, what)
        events.append((at, min(at + length, ticks) - 1))
        kinds.append(what)
    values = values + bursts
    if draw.random() < 0.5:
        values = np.maximum(values, 0.0)
    if draw.random() < 0.3:
        values = np.round(values, 1)
    return Recording(
        name=f"{kind}/{number:03d}",
        values=values * 10.0 ** draw.uniform(-2.0, 4.0),
        events=tuple(events),
        kinds=tuple(kinds),
    )


def _normal(draw: np.random.Generator, kind: str, ticks: int) -> tuple[Any, Any]:
    """Return what is normal without bursts, and the bursts, float `[tick]` both."""
    noise = draw.uniform(0.1, 1.0) * _memory(draw, ticks, float(draw.choice([0.0, 0.5, 0.9])))
    values, phase = 5.0 + noise, np.arange(ticks) / 288.0
    course = 1.0 + draw.uniform(0.3, 0.9) * np.sin(2 * np.pi * (phase + draw.uniform()))
    if kind == "counts":
        rate = 6.0 * course * np.exp(0.3 * _memory(draw, ticks, 0.8))
        values = draw.poisson(rate).astype(float)
    elif kind == "course":
        values = values + draw.uniform(2.0, 6.0) * course
    bursts, at = np.zeros(ticks), 0
    often = draw.uniform(25.0, 250.0)
    tail, size = draw.uniform(1.5, 4.0), draw.uniform(2.0, 8.0)
    while True:
        at += int(draw.exponential(often) if draw.random() < 0.7 else draw.exponential(8.0)) + 1
        if at >= ticks:
            break
        width = int(draw.choice([1, 1, 2, 4, 8]))
        bursts[at : at + width] += size * (1.0 + draw.pareto(tail))
    if kind == "jobs":
        every, wide = int(draw.choice([12, 72, 288])), int(draw.integers(1, 4))
        bursts[np.arange(ticks) % every < wide] += draw.uniform(3.0, 12.0)
    return values, np.minimum(bursts, 12.0 * size)


def _strike(draw: np.random.Generator, values: Any, bursts: Any, at: int, what: str) -> int:
    """Put an incident into a recording and return how long it lasts."""
    reach = float(np.quantile(bursts[:at] + values[:at], 0.98) - np.median(values[:at]))
    reach = max(reach, 2.0 * float(values[:at].std()))
    length = int(draw.integers(30, 200))
    here = slice(at, at + length)
    sign = 1.0 if draw.random() < 0.7 else -1.0
    if what == "long":
        bursts[here] += draw.uniform(0.8, 1.5) * reach
    elif what == "shift":
        values[here] += sign * draw.uniform(0.7, 2.0) * reach
    elif what == "often":
        hits = at + np.flatnonzero(draw.random(len(bursts[here])) < 0.4)
        bursts[hits] += draw.uniform(0.8, 1.5, len(hits)) * reach
    elif what == "none":
        length *= 2
        bursts[at : at + length] = 0.0
        values[at : at + length] = np.median(values[:at])
    elif what == "climb":
        values[here] += sign * np.linspace(0.0, 2.0, len(values[here])) * reach
    else:
        length = int(draw.integers(1, 6))
        bursts[at : at + length] += draw.uniform(1.5, 4.0) * bursts[:at].max()
    return length


__all__ = ["bursty"]
