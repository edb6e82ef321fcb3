"""Scenarios nobody wrote: random compositions of primitives, and pairs of catalogue scenarios.

For tests of what was not foreseen. A composition is an ordinary `Scenario`: it can be drawn from,
and written out as a file. The same seed gives the same scenario on every machine.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Final

import numpy as np

from homeostat.lab.ambient import AMBIENT
from homeostat.lab.chance import stream
from homeostat.lab.deployment_build import rounded
from homeostat.lab.scenario import (
    Basis,
    Fault,
    Onset,
    OnsetShape,
    Param,
    Range,
    Scenario,
    Spec,
    Target,
    fixed,
)
from homeostat.lab.scenario_faults import allowed_targets, default_target, uses
from homeostat.twin.primitives import INDEX, PRIMITIVES, Combine, Level, Primitive
from homeostat.twin.shapes import FAULTS, Cure

MOST: Final = 3  # primitives of one composition, partners not counted
_ENDS: Final = 0.25  # of the compositions that need not end, so many do
LENGTH_S: Final = 3600
LONG_S: Final = 14400
_SHAPES: Final = (
    OnsetShape.STEP, OnsetShape.RAMP, OnsetShape.PULSE, OnsetShape.EXP_RISE_DECAY,
)  # fmt: skip
_CURES: Final = {
    Level.SLOT: Cure.RESTART,
    Level.VARIANT: Cure.ROLLBACK,
    Level.DEPLOYMENT: Cure.NONE,
    Level.SIGNAL: Cure.NONE,
}
# The kernel channel says whose trouble it is.
_FAMILIES: Final = {
    "arrival": "load", "work_mix": "load", "client": "load", "speed": "infrastructure",
    "alive": "infrastructure", "mem": "infrastructure", "err": "serving", "limits": "serving",
    "provision": "control", "config": "control", "actuator": "control", "quality": "data",
    "telemetry": "observability",
}  # fmt: skip
# Not by themselves a trouble that somebody could find: states of the world, or nothing at all.
_NOT_ALONE: Final = frozenset({"base_rho", "benign_blip", "spot_unavailable_s", *AMBIENT}) - {
    "bmax_override", "frontend_capacity_rps", "provision_delay_s", "affected_features_frac",
}  # fmt: skip
# Full ranges say what makes sense; far ends are no composition but the end of the deployment.
_MODERATE: Final = {
    "arrival_mult": (0.3, 6.0), "arrival_trace": (1.5, 5.0), "backlog_release": (0.5, 10.0),
    "size_mult_prefill": (1.2, 6.0), "size_mult_decode": (1.2, 4.0), "output_len_mult": (0.3, 4.0),
    "adapter_working_set": (1.1, 4.0), "swap_time_s": (0.005, 0.1), "contention": (1.3, 6.0),
    "replica_speed_mult": (0.2, 0.9), "pool_speed_mult": (0.2, 0.9),
    "variant_service_mult": (1.2, 5.0), "service_cv2_mult": (1.5, 5.0),
    "post_limit_service_mult": (1.2, 3.0), "shared_limit_replicas": (2.0, 8.0),
    "replica_kill": (0.15, 0.6), "replica_hang": (1.0, 3.0), "group_hang": (1.0, 2.0),
    "group_size": (2.0, 4.0), "pool_loss": (1.0, 1.0), "n_pools": (2.0, 4.0),
    "endpoint_stale_s": (10.0, 120.0), "discovery_decay_s": (120.0, 3600.0),
    "replica_crash_on_poison": (0.2, 1.0), "poison_rate": (0.005, 0.2), "evict_at": (0.8, 0.95),
    "disk_fill_rate": (0.3, 4.0), "download_adds_disk": (0.05, 0.3),
    "replica_err_prob": (0.3, 1.0), "replica_fail_fast_ms": (2.0, 50.0),
    "variant_err_prob": (0.02, 0.6), "nan_prob": (0.05, 1.0), "schema_err_prob": (0.1, 1.0),
    "alternating_period_s": (60.0, 300.0), "oom_err_when_batch_gt_free": (1.0, 1.0),
    "mem_leak_per_req_kb": (5.0, 200.0), "gmem_leak_per_req_mb": (0.02, 2.0),
    "kv_capacity_mult": (0.2, 0.8), "recompute_waste": (0.1, 0.6), "conn_limit": (16.0, 256.0),
    "frontend_capacity_rps": (20.0, 200.0), "dep_capacity_rps": (20.0, 1000.0),
    "dep_latency_s": (0.1, 10.0), "dep_err_prob": (0.05, 0.5), "net_delay_s": (0.02, 5.0),
    "net_loss": (0.01, 0.1), "provision_delay_s": (60.0, 600.0), "cap_replicas": (4.0, 12.0),
    "cost_mult": (1.5, 5.0), "config_floor": (1.0, 6.0), "bmax_override": (1.0, 64.0),
    "max_queue_delay_ms": (20.0, 500.0), "config_revert": (15.0, 300.0),
    "external_hpa_gain": (0.5, 3.0), "feature_shift_sd": (0.3, 3.0),
    "feature_shift_periodic": (0.3, 1.5), "affected_features_frac": (0.05, 0.6),
    "concept_rotation": (0.1, 1.0), "label_prior_shift": (0.1, 0.5), "feature_scale": (0.01, 100.0),
    "feature_null_rate": (0.05, 1.0), "feature_age_growth": (0.5, 1.0),
    "staleness_halflife_s": (600.0, 20000.0), "pred_shift": (-1.0, 1.0),
    "score_temperature": (0.4, 3.0), "score_bias": (-1.0, 1.0),
    "variant_accuracy_delta": (-0.3, -0.02), "modelB_accuracy_delta": (-0.3, -0.02),
    "pool_accuracy_delta": (-0.3, -0.05), "slice_accuracy_delta": (-0.6, -0.1),
    "amplify_on_lb_change": (2.0, 20.0), "feedback_gain": (0.05, 1.0), "metric_drop": (0.2, 1.0),
    "metric_delay_s": (60.0, 600.0), "metric_freeze": (1.0, 1.0), "metric_scale": (0.001, 1000.0),
    "metric_bias": (-50.0, 50.0), "metric_reset": (1.0, 20.0), "metric_cumulative": (1.0, 1.0),
    "scrape_fail_when_rho_gt": (0.5, 0.95), "cache_warm_s": (60.0, 1800.0),
    "modelB_capacity": (0.1, 0.7),
}  # fmt: skip


def usable() -> tuple[Primitive, ...]:
    """Return the primitives that a composition may begin with."""
    return tuple(p for p in PRIMITIVES if p.name not in _NOT_ALONE)


def unseen(
    seed: int, *, known: Iterable[Scenario] = (), most: int = MOST, length_s: int | None = None
) -> Scenario:
    """Return a random composition of one to `most` primitives, partners added where needed.

    Args:
        seed: Of the composition; its draws have seeds of their own.
        known: Scenarios whose pairs of primitives are not to be met again, nor all that one of
            them has, what is ambient left aside. One of their primitives, with what it needs,
            may be met among others: there are not so many primitives.
        most: Primitives at most, 1 to 3.
        length_s: Of an episode; None = an hour, or four where quality is touched.

    Raises:
        ValueError: `most` is out of range, or everything there is is known.
    """
    if not 1 <= most <= MOST:
        raise ValueError(f"most={most}; a composition has 1 to {MOST} primitives")
    seen = _pairs(known)
    for attempt in range(1000):
        chance = stream("unseen", seed, f"attempt {attempt}")
        names = _names(chance, most)
        if len(names) <= FAULTS and not _pairs_of(names) & seen and frozenset(names) not in seen:
            return _composed(f"U{seed:05d}", names, chance, length_s)
    raise ValueError("no composition is left that is not known; allow more primitives")


def together(first: Scenario, second: Scenario, *, gap_s: float = 0.0) -> Scenario:
    """Return two scenarios as one: both happen to the first one's deployment.

    Args:
        first: Its onset, load and deployment hold; numbers that only the second one sets are
            taken over.
        second: Its faults come `gap_s` later.
        gap_s: Seconds between the two onsets.

    Raises:
        ValueError: Together they have more faults than an episode holds.
    """
    moved = [_moved(fault, second, gap_s) for fault in second.faults]
    faults = (*first.faults, *(f for f in moved if not _doubles(f, first)))
    if sum(not fault.ambient for fault in faults) > FAULTS:
        raise ValueError(f"{first.id} and {second.id} have more than {FAULTS} faults together")
    params = {_second(name): given for name, given in second.params.items()}
    deployment = {
        key: _renamed(given) or given
        for key, given in second.deployment.items()
        if key not in first.deployment
    }
    merged = replace(
        first,
        id=f"{first.id}+{second.id}",
        name=f"{first.name}+{second.name}",
        summary=f"{first.summary} And: {second.summary}",
        faults=faults,
        length_s=max(first.length_s, second.length_s),
        recoverable=first.recoverable is True and second.recoverable is True,
        benign=first.benign and second.benign,
        self_heals=first.self_heals and second.self_heals,
        deployment=dict(first.deployment) | deployment,
        params=dict(first.params) | params,
        signals={},
        leading_signal="",
        best=first.best + second.best,
        unsafe=first.unsafe + second.unsafe,
        sources=first.sources + second.sources,
        note=f"Both at once, {gap_s:g} s apart.",
    )
    return replace(merged, params=_used(merged))


def pairs(catalogue: Sequence[Scenario], count: int, seed: int) -> Iterator[Scenario]:
    """Yield `count` different pairs of scenarios, as random as the seed.

    Raises:
        ValueError: There are not so many.
    """
    chance = stream("pairs", seed, "order")
    every = [
        (a, b)
        for a, b in combinations(catalogue, 2)
        if sum(not f.ambient for f in (*a.faults, *b.faults)) <= FAULTS
    ]
    if count > len(every):
        raise ValueError(f"{count} pairs of {len(every)}; ask for fewer")
    for index in np.argsort(chance.random(len(every)), kind="stable")[:count]:
        gap_s = math.floor(float(chance.random()) * 600)
        first, second = every[int(index)]
        yield together(first, second, gap_s=float(gap_s))


def families(scenario: Scenario) -> frozenset[str]:
    """Return whose trouble each fault of a scenario is; a composition is named after its first.

    What is ambient is no fault.
    """
    return frozenset(_family(one.primitive) for one in scenario.faults if not one.ambient)


def _family(name: str) -> str:
    primitive = PRIMITIVES[INDEX[name]]
    if primitive.level is Level.VARIANT and primitive.channel == "quality":
        return "model"
    return _FAMILIES[primitive.channel]


def _names(chance: np.random.Generator, most: int) -> tuple[str, ...]:
    begin = usable()
    count = 1 + int(chance.random() * most)
    found: list[str] = []
    for _ in range(count):
        found.append(begin[int(chance.random() * len(begin))].name)
        while missing := _missing(found):
            partners = PRIMITIVES[INDEX[missing]].needs
            found.append(partners[int(chance.random() * len(partners))])
    return tuple(dict.fromkeys(found))


def _missing(names: Sequence[str]) -> str:
    """Return a primitive that would do nothing for want of a partner."""
    for name in names:
        needs = PRIMITIVES[INDEX[name]].needs
        if needs and not set(needs) & set(names):
            return name
    return ""


def _composed(
    identity: str, names: Sequence[str], chance: np.random.Generator, length_s: int | None
) -> Scenario:
    channels = [PRIMITIVES[INDEX[name]].channel for name in names]
    length = length_s or (LONG_S if "quality" in channels else LENGTH_S)
    onset = _onset(chance, length)
    return Scenario(
        id=identity,
        name="unseen_" + "_and_".join(names),
        family=_family(names[0]),
        summary="A random composition: " + "; ".join(
            PRIMITIVES[INDEX[name]].meaning.rstrip(".") for name in names
        ) + ".",
        faults=tuple(_fault(PRIMITIVES[INDEX[name]], index, chance, length)
                     for index, name in enumerate(names)),
        onset=onset,
        length_s=length,
        recoverable=all(_CURES[PRIMITIVES[INDEX[name]].level] is not Cure.NONE for name in names),
        self_heals=not onset.until_fixed,
        note="Composed at random; nobody has seen it before.",
    )  # fmt: skip


def _fault(primitive: Primitive, index: int, chance: np.random.Generator, length_s: int) -> Fault:
    low, high = _MODERATE.get(primitive.name, (primitive.low, primitive.high))
    targets = allowed_targets(primitive)
    wished = (Target.ONE_REPLICA, Target.SOME_REPLICAS, default_target(primitive))
    target = wished[int(chance.random() * len(wished))]
    own = default_target(primitive)
    if target not in targets or own in {Target.NODE_GROUP, Target.HARDWARE_POOL}:
        target = own
    share = fixed(rounded(0.2 + 0.6 * float(chance.random())))
    delay = math.floor(float(chance.random()) * min(900, length_s / 4))
    return Fault(
        primitive=primitive.name,
        magnitude=_part(low, high, primitive, chance),
        target=target,
        of=Basis.ITSELF,
        share=share if target is Target.SOME_REPLICAS else None,
        cure=_CURES[primitive.level],
        onset=Onset(delay_s=fixed(float(delay))) if index else Onset(),
    )


def _part(low: float, high: float, primitive: Primitive, chance: np.random.Generator) -> Range:
    """Return a random half of a range, so that draws of one composition are alike."""
    u = 0.5 * float(chance.random())
    log = low > 0 and (primitive.combine is Combine.MULTIPLY or high >= 10 * low)

    def at(v: float) -> float:
        found = low * (high / low) ** v if log else low + (high - low) * v
        return min(max(rounded(found), low), high)

    return Range(low=at(u), high=at(u + 0.5), log=log)


def _onset(chance: np.random.Generator, length_s: int) -> Onset:
    shape = _SHAPES[int(chance.random() * len(_SHAPES))]
    lasts = math.floor(300 + float(chance.random()) * length_s / 3)
    ends = shape in {OnsetShape.EXP_RISE_DECAY, OnsetShape.PULSE} or float(chance.random()) < _ENDS
    return Onset(
        shape=shape,
        start_s=Range(low=300.0, high=float(min(1500, length_s // 2))),
        ramp_s=Range(low=0.0, high=float(math.floor(60 + float(chance.random()) * 600))),
        duration_s=fixed(float(lasts if ends else 0)),
        until_fixed=not ends,
        period_s=fixed(float(math.floor(120 + float(chance.random()) * 480))),
        width_s=fixed(float(math.floor(20 + float(chance.random()) * 90))),
    )


def _pairs(known: Iterable[Scenario]) -> frozenset[frozenset[str]]:
    found: set[frozenset[str]] = set()
    for scenario in known:
        names = {fault.primitive for fault in scenario.faults}
        faults = {fault.primitive for fault in scenario.faults if not fault.ambient}
        found |= _pairs_of(names) | {frozenset(names), frozenset(faults)}
    return frozenset(found)


def _pairs_of(names: Iterable[str]) -> frozenset[frozenset[str]]:
    """Return the pairs, without those that only belong together because one needs the other."""
    return frozenset(
        frozenset(pair)
        for pair in combinations(sorted(set(names)), 2)
        if pair[0] not in PRIMITIVES[INDEX[pair[1]]].needs
        and pair[1] not in PRIMITIVES[INDEX[pair[0]]].needs
    )


def _doubles(fault: Fault, first: Scenario) -> bool:
    """Return whether a deployment would be set twice."""
    return fault.ambient and (
        AMBIENT[fault.primitive] in first.deployment
        or any(other.ambient and other.primitive == fault.primitive for other in first.faults)
    )


def _moved(fault: Fault, scenario: Scenario, gap_s: float) -> Fault:
    """Return a fault with its scenario's onset made its own, and its parameters renamed."""
    own, whole = fault.onset, scenario.onset
    times = ("ramp_s", "duration_s", "period_s", "width_s", "pulses")
    delay = own.delay_s
    later = fixed(gap_s) if delay is None else _later(delay, gap_s)
    onset = Onset(
        shape=own.shape or whole.shape,
        delay_s=later,
        until_fixed=whole.until_fixed if own.until_fixed is None else own.until_fixed,
        **{key: _renamed(getattr(own, key) or getattr(whole, key)) for key in times},
    )
    return replace(
        fault,
        magnitude=_renamed(fault.magnitude) or fault.magnitude,
        share=_renamed(fault.share),
        spares_b=_renamed(fault.spares_b),
        onset=Onset() if fault.ambient else onset,
    )


def _later(delay: Spec, gap_s: float) -> Spec:
    if isinstance(delay, Range):
        return replace(delay, low=delay.low + gap_s, high=delay.high + gap_s, log=False)
    return delay


def _renamed(given: Spec | None) -> Spec | None:
    return Param(name=_second(given.name)) if isinstance(given, Param) else given


def _second(name: str) -> str:
    return f"second_{name}"


def _used(scenario: Scenario) -> dict[str, Spec]:
    names = uses(scenario)
    return {name: given for name, given in scenario.params.items() if name in names}
