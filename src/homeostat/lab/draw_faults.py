"""What a scenario's faults come to for one deployment: magnitudes, times and whom they hit.

Shared by all faults of an episode and drawn once: the onset, which replicas, which hardware pool,
which signals; so that "one replica" is the same replica for every fault that says so.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from homeostat.lab.chance import value
from homeostat.lab.deployment_build import Built, array, leak_kb, rounded
from homeostat.lab.scenario import Basis, Fault, Onset, OnsetShape, Scenario, Spec, Target, fixed
from homeostat.twin.faults import Faults
from homeostat.twin.primitives import INDEX, PRIMITIVES, Level
from homeostat.twin.shapes import FAULTS, VARIANTS, Cure, Shape, Variant
from homeostat.twin.signals import CLASSES

_HALF: Final = 0.5
_SHAPES: Final[Mapping[OnsetShape, Shape]] = {
    OnsetShape.EXP_RISE_DECAY: Shape.RISE_DECAY,
    OnsetShape.PERIODIC: Shape.PERIODIC,
    OnsetShape.PULSE: Shape.PULSES,
    OnsetShape.IMPULSE: Shape.IMPULSE,
    OnsetShape.ROLLOUT: Shape.STAIRS,
    OnsetShape.QUIET_THEN_PEAK: Shape.QUIET_THEN_PEAK,
}  # the others are ramps, of no length for a step
_RAMPED: Final = (OnsetShape.RAMP, OnsetShape.TRIGGER)
# Their magnitude says how many are hit; what happens to those happens in full.
_COUNTS: Final = ("replica_kill", "replica_hang", "group_hang", "pool_loss")
_DEFAULT_POOLS: Final = 2.0
# Load is worked out tick by tick; platforms act every 5 s, answers and signals are judged at every
# scrape: what is over sooner would be missed, or not, by where it falls between two of them.
_LEAST_S: Final[Mapping[str, float]] = {"arrival": 1.0, "quality": 15.0, "telemetry": 15.0}
_USUAL_LEAST_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """An episode's onset, and who is hit, drawn once.

    Attributes:
        onset: The scenario's times as fixed numbers, its shape one of the plain ones.
        until_fixed: It does not end by itself within the episode.
        ranks: A number in 0..1 for each of 32 slots: the lower, the sooner it is hit.
        classes: The same for each class of signals.
        whole_variant: Of "a variant or some replicas": the variant.
    """

    onset: Mapping[str, float]
    shape: OnsetShape
    until_fixed: bool
    ranks: np.ndarray
    classes: np.ndarray
    whole_variant: bool

    @classmethod
    def of(
        cls, scenario: Scenario, params: Mapping[str, float], chance: np.random.Generator
    ) -> "Start":
        """Draw it."""
        coin = float(chance.random()) < _HALF
        times = {
            key: value(given, params, chance) if given is not None else math.nan
            for key, given in _times(scenario.onset)
        }
        return cls(
            onset=times,
            shape=_plain(scenario.onset.shape or OnsetShape.STEP, first=coin),
            until_fixed=scenario.onset.until_fixed is not False,
            ranks=chance.random(32),
            classes=chance.random(len(CLASSES)),
            whole_variant=float(chance.random()) < _HALF,
        )


def to_faults(
    scenario: Scenario,
    params: Mapping[str, float],
    built: Built,
    start: Start,
    streams: Sequence[np.random.Generator],
    slots: int,
) -> Faults:
    """Return the fault instances of an episode, ambient ones left out.

    Args:
        scenario: Whose faults.
        params: Its drawn parameters.
        built: The deployment.
        start: Onset and who is hit.
        streams: Of chance, one for each fault.
        slots: Replica slots there are.
    """
    found = _empty(slots)
    drawn = [
        value(fault.magnitude, params, chance)
        for fault, chance in zip(scenario.faults, streams, strict=True)
    ]
    sizes = {fault.primitive: m for fault, m in zip(scenario.faults, drawn, strict=True)}
    row = 0
    for number, (fault, chance) in enumerate(zip(scenario.faults, streams, strict=True)):
        share = value(fault.share or fixed(1.0), params, chance)
        if fault.ambient:
            continue
        spared = value(fault.spares_b or fixed(0.0), params, chance) >= _HALF
        hit = _Hit(
            fault=fault, size=drawn[number], share=share, spared=spared, start=start, built=built
        )
        usual = _product(scenario.faults[:number], drawn[:number], fault.primitive)
        name, magnitude = _magnitude(hit, usual)
        found["primitive"][row] = INDEX[name]
        found["magnitude"][row] = magnitude
        found["cure"][row] = hit.cure
        found["slots"][row] = hit.slots(slots, sizes)
        found["variants"][row] = hit.variants()
        found["signals"][row] = hit.signals()
        least_s = _LEAST_S.get(PRIMITIVES[INDEX[name]].channel, _USUAL_LEAST_S)
        for key, number_of in _when(fault.onset, start, params, chance, least_s).items():
            found[key][row] = number_of
        row += 1
    return Faults(**{name: array(rows, rows.dtype.type) for name, rows in found.items()})


def _empty(slots: int) -> dict[str, np.ndarray]:
    """Return instances that never start."""
    return {
        "primitive": np.zeros(FAULTS, np.int32),
        "magnitude": np.full(FAULTS, PRIMITIVES[0].neutral, np.float32),
        "start_s": np.full(FAULTS, np.inf, np.float32),
        "ramp_s": np.zeros(FAULTS, np.float32),
        "stop_s": np.full(FAULTS, np.inf, np.float32),
        "period_s": np.zeros(FAULTS, np.float32),
        "shape": np.zeros(FAULTS, np.int32),
        "cure": np.zeros(FAULTS, np.int32),
        "slots": np.ones((FAULTS, slots), bool),
        "variants": np.ones((FAULTS, VARIANTS), bool),
        "signals": np.ones((FAULTS, len(CLASSES)), bool),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hit:
    """One fault with its size, and whom it hits."""

    fault: Fault
    size: float
    share: float
    spared: bool
    start: Start
    built: Built

    @property
    def cure(self) -> Cure:
        if self.fault.target is not Target.VARIANT_OR_SOME:
            return self.fault.cure
        return Cure.ROLLBACK if self.start.whole_variant else Cure.RESTART

    def variants(self) -> np.ndarray:
        """Return which variants [V]."""
        target, found = self.fault.target, np.ones(VARIANTS, bool)
        if target is Target.VARIANT_OR_SOME and self.start.whole_variant:
            target = Target.A
        one = {
            Target.A: Variant.A,
            Target.NEW_VERSION: Variant.A,
            Target.B: Variant.B,
            Target.CANARY: Variant.CANARY,
        }.get(target)
        if one is not None:
            found[:] = False
            found[one] = True
        if self.spared:
            found[Variant.B] = False
        return found

    def slots(self, slots: int, sizes: Mapping[str, float]) -> np.ndarray:
        """Return which slots [S]; pool A holds the first ones at the start."""
        target = self.fault.target
        if target is Target.ROLLBACK:
            return np.zeros(slots, bool)
        if target is Target.HARDWARE_POOL:
            return self._pools(slots, sizes)
        if target is Target.VARIANT_OR_SOME:
            target = Target.A if self.start.whole_variant else Target.SOME_REPLICAS
        count = self._count(target, sizes)
        if count is None:
            return np.ones(slots, bool)
        order = np.argsort(self.start.ranks[: self.built.a], kind="stable")
        if target is Target.NODE_GROUP:  # neighbours
            order = (order[0] + np.arange(self.built.a)) % self.built.a
        found = np.zeros(slots, bool)
        found[order[:count]] = True
        return found

    def _count(self, target: Target, sizes: Mapping[str, float]) -> int | None:
        """Return how many replicas of pool A; None = all there are and are to come."""
        a = self.built.a
        if target is Target.ONE_REPLICA:
            return 1
        if target is Target.COUNTED_REPLICAS:
            return _inside(self.size, a)
        if target is Target.SOME_REPLICAS:
            return None if self.share >= 1 else _inside(self.share * a, a)
        if target is not Target.NODE_GROUP:
            return None
        if self.fault.primitive == "group_hang":
            return _inside(self.size * sizes.get("group_size", 1.0), a)
        share = self.size if self.fault.primitive == "replica_kill" else self.share
        return min(a, max(1, round(share * a)))

    def _pools(self, slots: int, sizes: Mapping[str, float]) -> np.ndarray:
        """Return the slots of the hardware pools that are hit; slots are dealt to them in turn."""
        pools = max(1, round(sizes.get("n_pools", _DEFAULT_POOLS)))
        lost = round(self.size) if self.fault.primitive == "pool_loss" else 1
        first = int(self.start.ranks[0] * pools)
        hit = {(first + i) % pools for i in range(min(max(1, lost), pools))}
        return np.asarray([slot % pools in hit for slot in range(slots)])

    def signals(self) -> np.ndarray:
        """Return which classes of signals [CLASSES]."""
        if self.fault.signals:
            return np.asarray([name in self.fault.signals for name in CLASSES])
        if self.fault.target is not Target.SOME_SIGNALS:
            return np.ones(len(CLASSES), bool)
        count = min(len(CLASSES), max(1, round(self.share * len(CLASSES))))
        found = np.zeros(len(CLASSES), bool)
        found[np.argsort(self.start.classes, kind="stable")[:count]] = True
        return found


def _inside(count: float, a: int) -> int:
    """Return a number of replicas: one at least, and not the last one if there are more."""
    return min(max(1, round(count)), max(1, a - 1))


def _product(faults: Sequence[Fault], drawn: Sequence[float], primitive: str) -> float:
    return math.prod(m for f, m in zip(faults, drawn, strict=True) if f.primitive == primitive)


def _magnitude(hit: _Hit, usual: float) -> tuple[str, float]:
    """Return the primitive that the kernel gets, and its magnitude in that one's unit."""
    fault, built, size = hit.fault, hit.built, hit.size
    name = fault.primitive
    if name in _COUNTS:
        return name, 1.0
    if name == "base_rho":
        return "arrival_mult", rounded(size / built.numbers["base_rho"])
    size = _absolute(fault, size, built, usual)
    if name == "feature_shift_sd":  # |M delta| of inputs of which so many are shifted
        size *= math.sqrt(built.numbers["affected_features"])
    row = PRIMITIVES[INDEX[name]]
    if fault.share is not None and row.level in {Level.DEPLOYMENT, Level.VARIANT}:
        size = row.neutral + hit.share * (size - row.neutral)  # the mean over all requests
    return name, rounded(min(max(size, row.low), row.high))


def _absolute(fault: Fault, size: float, built: Built, usual: float) -> float:
    """Return a magnitude in the primitive's own unit."""
    match fault.of:
        case Basis.ITSELF:
            return size
        case Basis.DEMAND:
            each = built.a if fault.primitive == "frontend_capacity_rps" else 1
            return size * built.demand_rps / each
        case Basis.REPLICAS:
            return math.floor(size * built.replicas + 1e-6)
        case Basis.IN_FLIGHT:
            return max(1.0, math.floor(size * built.in_flight))
        case Basis.USUAL:
            return size / usual
        case Basis.SECONDS:
            return size / 60  # the kernel counts a backlog in minutes of organic load
        case Basis.TIME_TO_LIMIT:
            return leak_kb(built, size)


def _when(
    own: Onset,
    start: Start,
    params: Mapping[str, float],
    chance: np.random.Generator,
    least_s: float,
) -> dict[str, float]:
    """Return shape and times of one fault: its own, else the scenario's; long enough to be met."""
    coin = float(chance.random()) < _HALF
    shape = start.shape if own.shape is None else _plain(own.shape, first=coin)
    at: dict[str, float] = dict(start.onset)
    for key, given in _times(own):
        drawn = value(given or fixed(0.0), params, chance)
        if given is not None:
            at[key] = drawn
    begin = at["start_s"] + (0.0 if math.isnan(at["delay_s"]) else at["delay_s"])
    until_fixed = start.until_fixed if own.until_fixed is None else own.until_fixed
    duration = at["duration_s"]
    stop = math.inf if until_fixed or math.isnan(duration) else begin + max(duration, least_s)
    if shape is OnsetShape.IMPULSE and least_s > 1.0:
        shape, stop = OnsetShape.STEP, begin + least_s
    ramp = _number(at["ramp_s"]) if shape in _SHAPES or shape in _RAMPED else 0.0
    if shape is OnsetShape.PULSE:
        ramp = max(at["width_s"], least_s)
        if not math.isnan(at["pulses"]):
            stop = begin + (max(1.0, round(at["pulses"])) - 1) * at["period_s"] + ramp
    if shape is OnsetShape.QUIET_THEN_PEAK:
        stop = begin + duration
    if shape is OnsetShape.EXP_RISE_DECAY:  # the rise leaves half of the time to the decay
        ramp = min(ramp, duration / 2)
    return {
        "shape": _SHAPES.get(shape, Shape.RAMP),
        "start_s": rounded(begin),
        "ramp_s": ramp,
        "stop_s": rounded(stop) if math.isfinite(stop) else stop,
        "period_s": _number(at["period_s"]),
    }


def _number(given: float) -> float:
    return 0.0 if math.isnan(given) else given


def _plain(shape: OnsetShape, *, first: bool) -> OnsetShape:
    """Return one of the two shapes that an "or" stands for."""
    if shape is OnsetShape.STEP_OR_RAMP:
        return OnsetShape.STEP if first else OnsetShape.RAMP
    if shape is OnsetShape.STEP_OR_PULSE:
        return OnsetShape.STEP if first else OnsetShape.PULSE
    return shape


def _times(onset: Onset) -> tuple[tuple[str, Spec | None], ...]:
    names = ("start_s", "delay_s", "ramp_s", "duration_s", "period_s", "width_s", "pulses")
    return tuple((name, getattr(onset, name)) for name in names)
