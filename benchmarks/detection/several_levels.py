"""Which level of evidence several columns should alarm at: what each level tells of, made up.

`python -m detection.several_levels` plays the shipped stack over five made-up sets and counts, for
some levels, incidents told of and false ones, beside the healthy ticks there were. No label of a
public set is used: two of the sets are faults put into the training parts of SMD, which have none.
Decision 60 chose by it.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from detection import judging, sets, synthetic_many
from detection.synthetic_many import DAY, Entity, _factors, _Fault, _fault, _own, _reach, _strike
from homeostat.detect import stack, stack_incident

LEVELS: Final = (2.6, 2.4, 2.2, 2.0, 1.8)
_STAYS: Final = (1.7, 1.5, 1.3, 1.2, 1.1)
_SIZED: Final = frozenset({"shift", "steps", "wild"})
_FAULTS: Final = 5
SELDOM, OFTEN = (150, 900), (40, 250)  # ticks between two incidents
_COLUMNS, _TICKS = 16, 7200
_SMD_TRAINED, _SMD_TICKS = 12_000, 23_600

Strike = Callable[[np.random.Generator, Any, _Fault, int, int], None]


class Counted(NamedTuple):
    """What a level comes to: incidents told of, of how many, false ones, healthy ticks."""

    told: int
    incidents: int
    false: int
    healthy: int


def made(seed: int, gap: tuple[int, int]) -> list[Entity]:
    """Return twelve made-up entities; incidents last from one tick on, up to thirty deviations."""
    out = []
    for number in range(12):
        draw = np.random.default_rng([seed, number])
        factors = _factors(draw, 2 * _TICKS)
        loads = draw.normal(size=(factors.shape[1], _COLUMNS)) * (draw.random(_COLUMNS) < 0.7)
        own = np.stack([_own(draw, 2 * _TICKS) for _ in range(_COLUMNS)], axis=1)
        values = factors @ loads + own
        values[:, draw.random(_COLUMNS) < 0.1] = 0.0
        values = np.where(draw.random(_COLUMNS) < 0.2, np.maximum(values, 0.0), values)
        out.append(_struck(draw, values, _TICKS, gap, _sized))
    return out


def of_smd(seed: int, gap: tuple[int, int]) -> list[Entity]:
    """Return the training parts of SMD's machines, the later half with faults put in."""
    out = []
    for number, path in enumerate(sets.paths("smd")):
        values = np.load(path)["train"].astype(float).copy()[:_SMD_TICKS]
        draw = np.random.default_rng([seed, number])
        out.append(_struck(draw, values, _SMD_TRAINED, gap, _all_sized))
    return out


def _struck(
    draw: np.random.Generator, values: Any, trained: int, gap: tuple[int, int], strike: Strike
) -> Entity:
    """Put incidents into all that comes after the trained part, and return the entity."""
    faults = [_fault(draw, values.shape[1]) for _ in range(_FAULTS)]
    events, at = [], trained + int(draw.integers(200, 800))
    while at < len(values) - 1500:
        fault = faults[int(draw.integers(_FAULTS))]
        length = int(10.0 ** draw.uniform(0.0, np.log10(DAY)))
        length = max(length, 10) if fault.kind == "frozen" else length
        strike(draw, values, fault, at, length)
        events.append((at, at + length - 1))
        at += length + int(draw.integers(*gap))
    kinds = ("",) * len(events)
    return Entity(values=values, trained=trained, events=tuple(events), kinds=kinds)


def _sized(draw: np.random.Generator, values: Any, fault: _Fault, at: int, length: int) -> None:
    if fault.kind not in _SIZED:
        _strike(draw, values, fault, at, length)
        return
    size = 10.0 ** draw.uniform(-0.1, 1.5) * _reach(values[:, fault.touched]) * fault.sign
    values[at : at + length, fault.touched] = _changed(draw, values, fault, (at, length), size)


def _all_sized(draw: np.random.Generator, values: Any, fault: _Fault, at: int, length: int) -> None:
    reach = np.maximum(values[:_SMD_TRAINED, fault.touched].std(axis=0), 0.02)
    size = 10.0 ** draw.uniform(-0.1, 1.5) * reach * fault.sign
    values[at : at + length, fault.touched] = _changed(draw, values, fault, (at, length), size)


def _changed(
    draw: np.random.Generator, values: Any, fault: _Fault, where: tuple[int, int], size: Any
) -> Any:
    """Return the touched columns during an incident, `[tick, column]`."""
    at, length = where
    part = values[at : at + length, fault.touched]
    match fault.kind:
        case "shift":
            return part + size
        case "steps":
            return part + size * (np.arange(length) * 4 // length % 2 == 0)[:, None]
        case "ramp":
            return part + size * np.linspace(0.0, 1.0, length)[:, None]
        case "relation":
            return np.median(values[:at, fault.touched], axis=0) * 2.0 - part[::-1]
        case "wild":
            return part + np.abs(size) * draw.normal(size=part.shape)
        case _:
            return np.repeat(part[:1], length, axis=0)


def counted(entities: list[Entity]) -> Iterator[Counted]:
    """Yield what each of `LEVELS` comes to, with what a short past adds to it, up to the first."""
    config, values = stack.StackConfig(), np.stack([one.values for one in entities], axis=1)
    detector, evidence = stack.Stack(config), np.empty(values.shape[:2])
    state = detector.init(values.shape[2], entities=len(entities))
    for tick, row in enumerate(values):
        state, said = detector.step(state, row, learn=True)
        evidence[tick] = said.neg_log10_p
    more = config.young(np.cumsum(np.isfinite(evidence), axis=0))
    for level, stay in zip(LEVELS, _STAYS, strict=True):
        lasting = stack_incident.Config(start=level, stay=stay, quiet=30)
        yield _counted(entities, evidence, more, lasting)


def _counted(
    entities: list[Entity], evidence: Any, more: Any, config: stack_incident.Config
) -> Counted:
    state, alarm = stack_incident.init(np, len(entities)), np.zeros(evidence.shape, dtype=bool)
    for tick, row in enumerate(evidence):
        level = np.minimum(config.start + more[tick], LEVELS[0])
        state, alarm[tick] = stack_incident.step(np, config, state, row, level)
    told = incidents = false = healthy = 0
    for number, one in enumerate(entities):
        labels = one.labels[one.trained :]
        wins = judging.scorer().ranges(labels)
        live = np.ones(len(labels), dtype=bool)
        found, _, wrong = judging.scorer().events(alarm[one.trained :, number], wins, live)
        told, incidents = told + sum(map(bool, found)), incidents + len(wins)
        false, healthy = false + wrong, healthy + int((~labels).sum())
    return Counted(told, incidents, false, healthy)


def _sets() -> Iterator[list[Entity]]:
    """Yield the five sets: 44 entities, three sets of them made up whole."""
    yield synthetic_many.entities(12, seed=11)
    yield made(12, SELDOM)
    yield of_smd(13, SELDOM)
    yield made(14, OFTEN)
    yield of_smd(15, OFTEN)


def main() -> None:
    """Print the table."""
    total = [Counted(0, 0, 0, 0)] * len(LEVELS)
    for made_up in _sets():
        found = list(counted(made_up))
        print(*found, sep="\n", flush=True)
        total = [
            Counted(*map(sum, zip(a, b, strict=True))) for a, b in zip(total, found, strict=True)
        ]
    for level, one in zip(LEVELS, total, strict=True):
        print(f"{level}: {one.told} of {one.incidents} told of, {one.false} false in {one.healthy}")


if __name__ == "__main__":
    main()
