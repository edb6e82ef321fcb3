"""Made-up entities of several columns, with a training part, on which defaults are chosen.

Normal is a few common factors (a load with a daily course and a slow wander, a second resource)
that columns follow each in its own way, noise with and without memory and heavy tails, jobs by the
clock, bursts by chance, counts that stop at zero, constant columns. The training part is a quiet
week, but for bursts, a load that rises, and two short incidents that nobody knows of.

Incidents are of three kinds in each entity, which come again and again as real ones do, some no
larger than what is normal. They touch few columns or many and last from ten ticks to a day:
levels that shift (some come back in steps), a ramp, a relation that breaks, noise that grows,
columns that freeze. In some
entities the level of some columns changes for good without anything being wrong, half way through
the test: its first `SETTLES` ticks count as an incident, what follows as normal.
"""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

DAY: Final = 720
SETTLES: Final = DAY // 2
_KINDS: Final = ("shift", "shift", "steps", "ramp", "relation", "wild", "frozen")
_FAULTS: Final = 3  # each comes again and again
_UNTOLD: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One made-up entity.

    Attributes:
        values: Float `[time, column]`.
        trained: Ticks of the training part.
        events: First and last tick of each incident.
        kinds: What each is.
    """

    values: Any
    trained: int
    events: tuple[tuple[int, int], ...]
    kinds: tuple[str, ...]

    @property
    def labels(self) -> Any:
        """Bool `[time]`: where an incident lasts."""
        out = np.zeros(len(self.values), dtype=bool)
        for first, last in self.events:
            out[first : last + 1] = True
        return out


def entities(count: int, *, seed: int, columns: int = 16, ticks: int = 7200) -> list[Entity]:
    """Return so many entities, half of whose ticks are a training part.

    Args:
        count: Entities.
        seed: The same gives the same ones.
        columns: Columns of each.
        ticks: Ticks of each part.
    """
    return [_one(np.random.default_rng([seed, k]), columns, ticks, k) for k in range(count)]


def _one(draw: np.random.Generator, columns: int, ticks: int, number: int) -> Entity:
    factors = _factors(draw, 2 * ticks)
    loads = draw.normal(size=(factors.shape[1], columns)) * (draw.random(columns) < 0.7)
    values = factors @ loads + np.stack([_own(draw, 2 * ticks) for _ in range(columns)], axis=1)
    flat = draw.random(columns) < 0.1
    values[:, flat] = 0.0
    cut = draw.random(columns) < 0.2
    values = np.where(cut, np.maximum(values, 0.0), values)
    for _ in range(_UNTOLD):  # nobody knows of these, and they are learnt from
        _strike(draw, values, _fault(draw, columns), int(draw.integers(ticks - DAY)), 12)
    faults = [_fault(draw, columns) for _ in range(_FAULTS)]
    events, kinds = [], []
    at = ticks + int(draw.integers(200, 800))
    while at < 2 * ticks - 2 * DAY:
        fault = faults[int(draw.integers(_FAULTS))]
        length = int(10.0 ** draw.uniform(1.0, np.log10(DAY)))
        _strike(draw, values, fault, at, length)
        events.append((at, at + length - 1))
        kinds.append(fault.kind)
        at += length + int(draw.integers(150, 900))
    if number % 3 == 0:  # a change for good, after the last incident
        at += 100
        touched = _touched(draw, columns)
        values[at:, touched] += draw.uniform(3.0, 8.0) * _reach(values[:, touched])
        events.append((at, min(at + SETTLES, 2 * ticks) - 1))
        kinds.append("for good")
    unit = 10.0 ** draw.uniform(-3, 4, columns)
    offset = draw.uniform(0.0, 20.0, columns)
    return Entity(
        values=(values + offset) * unit, trained=ticks, events=tuple(events), kinds=tuple(kinds)
    )


def _factors(draw: np.random.Generator, ticks: int) -> Any:
    """Return what columns have in common, `[time, factor]`."""
    phase = np.arange(ticks) / DAY
    day = np.sin(2 * np.pi * phase) + 0.5 * np.sin(4 * np.pi * phase + draw.uniform(0, 6))
    weekend = 1.0 - 0.4 * ((phase.astype(int) % 7) >= 5) * float(draw.random() < 0.5)
    load = draw.uniform(0.5, 2.5) * day * weekend + draw.uniform(0.3, 1.0) * _memory(
        draw, ticks, 0.995
    )
    load += draw.uniform(0.0, 0.5) * phase / phase[-1]  # it grows
    return np.stack([load, _memory(draw, ticks, 0.97), _memory(draw, ticks, 0.5)], axis=1)


def _own(draw: np.random.Generator, ticks: int) -> Any:
    """Return what a column does by itself."""
    noise = _memory(draw, ticks, float(draw.choice([0.0, 0.5, 0.9, 0.98])))
    if draw.random() < 0.3:
        noise = np.sinh(1.2 * noise) / 1.5  # heavy tails
    out = draw.uniform(0.1, 1.0) * noise
    what = draw.random()
    if what < 0.15:  # a job by the clock
        every, width = int(draw.choice([60, 144, DAY])), int(draw.integers(1, 8))
        out[np.arange(ticks) % every < width] += draw.uniform(2.0, 8.0)
    elif what < 0.3:  # bursts by chance
        for start in np.flatnonzero(draw.random(ticks) < 1.0 / 700.0):
            out[start : start + int(draw.integers(1, 12))] += draw.uniform(2.0, 8.0)
    return out


def _memory(draw: np.random.Generator, ticks: int, phi: float) -> Any:
    """Return AR(1) noise of unit variance."""
    steps = draw.normal(size=ticks) * np.sqrt(1.0 - phi * phi)
    out, last = np.empty(ticks), float(draw.normal())
    for tick, step in enumerate(steps):
        last = phi * last + step
        out[tick] = last
    return out


def _touched(draw: np.random.Generator, columns: int) -> Any:
    share = float(draw.choice([0.07, 0.2, 0.5]))
    return draw.permutation(columns)[: max(int(share * columns), 1)]


def _reach(values: Any) -> Any:
    """Return each column's standard deviation, a little for one that never moved."""
    return np.maximum(values[: len(values) // 2].std(axis=0), 0.1)


class _Fault(NamedTuple):
    """What comes again: what it does, to which columns, up or down."""

    kind: str
    touched: Any
    sign: Any


def _fault(draw: np.random.Generator, columns: int) -> _Fault:
    touched = _touched(draw, columns)
    sign = draw.choice([-1.0, 1.0], len(touched))
    return _Fault(str(draw.choice(_KINDS)), touched, sign)


def _strike(draw: np.random.Generator, values: Any, fault: _Fault, at: int, length: int) -> None:
    kind, touched, sign = fault
    size = draw.uniform(0.8, 4.0) * _reach(values[:, touched]) * sign
    part = values[at : at + length, touched]
    if kind == "shift":
        part = part + size
    elif kind == "steps":
        part = part + size * (np.arange(length) * 4 // length % 2 == 0)[:, None]
    elif kind == "ramp":
        part = part + size * np.linspace(0.0, 1.0, length)[:, None]
    elif kind == "relation":
        part = np.median(values[:at, touched], axis=0) * 2.0 - part[::-1]
    elif kind == "wild":
        part = part + np.abs(size) * draw.normal(size=part.shape)
    else:
        part = np.repeat(part[:1], length, axis=0)
    values[at : at + length, touched] = part


__all__ = ["DAY", "SETTLES", "Entity", "entities"]
