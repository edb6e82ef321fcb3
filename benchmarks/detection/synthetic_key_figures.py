"""Made-up key figures: long series of minutes with a day's course and many incidents.

What a service is watched by: requests (a day's course, quieter at weekends, noise that grows with
it), shares of what succeeds (near their most, with dips), latencies (a little of the course, heavy
tails) and errors (counts, mostly few). Healthy ones have bursts too: jobs by the clock, moments by
chance, nights on which a cache is warm. Some minutes are missing, some values are rounded.

Incidents are as people label them who watch for half a year: fifty or so in a series, most of a few
minutes, some of an hour; they come alone or, as a thing that flaps does, several within an hour or
two. They are dips, rises and shifts of a size that the hour's own noise makes visible or nearly so,
and the same ones come again. The first half of a series is learnt from, incidents and all, and not
scored.
"""

from typing import Any, Final

import numpy as np

from detection.synthetic_many import Entity, _memory

_KINDS: Final = ("requests", "success", "latency", "errors")
_EVERY: Final = 700.0  # ticks from one incident to the next, in the mean


def key_figures(count: int, *, seed: int, ticks: int = 20_000) -> list[Entity]:
    """Return so many series of one column, half of whose ticks are learnt from alone.

    Args:
        count: Series, the four kinds in turn.
        seed: The same gives the same ones.
        ticks: Of each.
    """
    return [_one(np.random.default_rng([seed, k]), _KINDS[k % 4], ticks) for k in range(count)]


def _one(draw: np.random.Generator, kind: str, ticks: int) -> Entity:
    day = int(draw.choice([288, 720, 1440], p=[0.3, 0.3, 0.4]))
    values, noise = _normal(draw, kind, ticks, day)
    events, kinds = [], []
    styles = [_style(draw, kind) for _ in range(4)]
    at = int(draw.exponential(_EVERY)) + 200
    while at < ticks - 200:
        sign, size, shape, longest = styles[int(draw.integers(len(styles)))]
        for _ in range(int(draw.choice([1, 1, 1, 2, 4]))):
            length = max(int(longest ** draw.uniform(0.0, 1.0)), 1)
            if at + length >= ticks - 100:
                break
            _strike(draw, values, noise, (at, length), sign * size * draw.uniform(0.7, 1.4), shape)
            events.append((at, at + length - 1))
            kinds.append(shape)
            at += length + int(draw.integers(6, 60))
        at += int(draw.exponential(_EVERY)) + 20
    values = _shown(draw, kind, values)
    values[draw.random(ticks) < draw.choice([0.0, 0.002])] = np.nan
    return Entity(
        values=values[:, None], trained=ticks // 2, events=tuple(events), kinds=tuple(kinds)
    )


def _normal(draw: np.random.Generator, kind: str, ticks: int, day: int) -> tuple[Any, Any]:
    """Return what is normal, and how wide the noise is at each tick, float `[time]` both."""
    phase = np.arange(ticks) / day
    course = 1.0 + draw.uniform(0.2, 0.6) * np.sin(2 * np.pi * (phase + draw.uniform()))
    course += draw.uniform(0.0, 0.2) * np.sin(4 * np.pi * (phase + draw.uniform()))
    course *= np.where((phase.astype(int) % 7) >= 5, draw.uniform(0.6, 1.0), 1.0)
    course = np.maximum(course, 0.05)
    memory = 0.6 * _memory(draw, ticks, 0.0) + 0.8 * _memory(draw, ticks, draw.choice([0.6, 0.95]))
    if kind in {"latency", "success"}:
        memory = np.sinh(0.9 * memory)
    wide = draw.uniform(0.02, 0.12)
    if kind == "requests":
        noise = wide * course ** draw.uniform(0.5, 1.0)
        values = course + noise * memory
    elif kind == "success":
        noise = 0.3 * wide * np.ones(ticks)
        values = 1.0 - noise * np.abs(memory)
    elif kind == "latency":
        noise = wide * (0.5 + 0.5 * course)
        values = 1.0 + 0.3 * course + noise * memory
    else:
        rate = draw.uniform(0.5, 30.0) * course
        noise = np.sqrt(rate + 1.0)
        values = draw.poisson(rate * np.exp(0.2 * _memory(draw, ticks, 0.9))).astype(float)
    moments = np.flatnonzero(draw.random(ticks) < 1.0 / draw.uniform(400.0, 3000.0))
    for start in moments:  # by chance, and nothing
        part = slice(start, start + int(draw.integers(1, 4)))
        values[part] += draw.uniform(2.0, 5.0) * noise[part] * _side(draw, kind)
    if draw.random() < 0.4:  # a job by the clock
        first, size, wide_ = int(draw.integers(day)), draw.uniform(3.0, 10.0), draw.integers(2, 15)
        often = np.arange(ticks) % int(draw.choice([60, day])) == first % 60
        for start in np.flatnonzero(often):
            part = slice(start, start + int(wide_))
            values[part] += size * noise[part] * _side(draw, kind) * draw.uniform(0.8, 1.2)
    return values, noise


def _side(draw: np.random.Generator, kind: str) -> float:
    """Return which way a key figure of this kind moves when it is odd."""
    up = {"requests": 0.5, "success": 0.0, "latency": 0.9, "errors": 1.0}[kind]
    return 1.0 if draw.random() < up else -1.0


def _style(draw: np.random.Generator, kind: str) -> tuple[float, float, str, float]:
    """Return an incident that comes again: which way, how far in spreads, shape, longest."""
    shape = str(draw.choice(["shift", "shift", "peak", "wild"]))
    size = float(10.0 ** draw.uniform(0.5, 1.3))
    return _side(draw, kind), size, shape, float(draw.choice([5.0, 20.0, 90.0]))


def _strike(
    draw: np.random.Generator,
    values: Any,
    noise: Any,
    where: tuple[int, int],
    size: float,
    shape: str,
) -> None:
    """Put an incident of a size, in spreads, into a series."""
    at, length = where
    part = slice(at, at + length)
    form = np.ones(length)
    if shape == "peak":
        form = 1.0 - np.abs(np.linspace(-0.8, 0.8, length)) if length > 1 else form
    elif shape == "wild":
        form = draw.uniform(0.3, 1.2, length)
    values[part] += size * form * noise[part]


def _shown(draw: np.random.Generator, kind: str, values: Any) -> Any:
    """Return values in some unit, cut where the figure ends, rounded in some cases."""
    if kind == "success":
        values = np.minimum(values, 1.0)
    values = np.maximum(values, 0.0)
    if draw.random() < 0.3:
        values = np.round(values, 2)
    return values * 10.0 ** draw.uniform(-2.0, 3.0)


__all__ = ["key_figures"]
