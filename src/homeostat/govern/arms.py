"""Two pools' increments as the canary judge takes them: what is compared, and with what.

Shared by a ramp (`govern.ramp`) and by the pretended one that two pools of the same version play
(`govern.canary_alike`), so that the self-check sees what a ramp would have seen.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from homeostat.base.canary import (
    ERRORS,
    ArmCounts,
    CanaryConfig,
    CanaryMetric,
    CanaryState,
    Counts,
)
from homeostat.base.evidence import Increments
from homeostat.base.policy import CanaryPolicy
from homeostat.base.units import TimeNs
from homeostat.base.world import ReplicaState, Scalar, Snapshot
from homeostat.govern import canary

LATENCY: Final = "latency"
ANSWERS: Final = "wrong answers"
"""Predictions whose label came and that were wrong, of all whose label came."""
# A prediction is wrong (1) or not (0): a histogram with one bound.
_RIGHT: Final = (0.0,)


def served(increments: Sequence[Increments], pool: str) -> Increments | None:
    """Return what a pool served on this tick, None where that is not known."""
    found = next((one for one in increments if one.pool == pool), None)
    if found is None or found.seconds is None:
        return None
    return found if canary.known_pair(found.answered, found.failed) is not None else None


def config(
    policy: CanaryPolicy, world: Snapshot | None, new: Increments, old: Increments
) -> CanaryConfig | None:
    """Return what two pools are compared by, as the policy says and their pages allow.

    Where a page has a histogram of latency it is compared: not read on this tick is not known, and
    not left out. None until it is read of one of them; the other's must then have the same bounds.
    So are answers, where labels of both pools are counted.

    Args:
        policy: The deployment's; its pool is the canary.
        world: Where the canary's pods are counted; None = their number is not known.
        new: What the canary served on some tick.
        old: What the stable pool served on it.
    """
    below = policy.promote_ratio if policy.certify_failures else None
    metrics = [CanaryMetric(name=ERRORS, margin=policy.error_ratio, promote_ratio=below)]
    bounds = _bounds(old) or _bounds(new)
    if bounds:
        metrics.append(CanaryMetric(name=LATENCY, margin=policy.slow_ratio, bounds=bounds))
    elif new.timed or old.timed:
        return None
    if new.labelled is not None and old.labelled is not None:
        below = policy.wrong_promote_ratio if policy.certify_answers else None
        answers = CanaryMetric(
            name=ANSWERS, margin=policy.wrong_ratio, promote_ratio=below, bounds=_RIGHT
        )
        metrics.append(answers)
    elif new.judged and old.judged:
        return None
    return CanaryConfig(
        alpha=policy.alpha,
        metrics=tuple(metrics),
        bucket_ns=policy.bucket_ns,
        missing_buckets=policy.missing_buckets,
        deadline_ns=policy.max_wait_ns,
        pods=_pods(world, policy.pool),
    )


def _bounds(one: Increments) -> tuple[float, ...]:
    return tuple(bound for bound, _ in one.latency[:-1])


def _pods(world: Snapshot | None, pool: str) -> int | None:
    """Return how many pods are ready, one at least: none tell a version from its node no better."""
    if world is None:
        return None
    ready = sum(slot.pool == pool and slot.state is ReplicaState.READY for slot in world.replicas)
    return max(1, ready)


def fewest(known: CanaryConfig, world: Snapshot | None, pool: str) -> CanaryConfig:
    """Return the configuration with the fewest pods that the canary has had in its ramp.

    What was served while there was one is no less a part of the evidence than the rest.

    Args:
        known: As the ramp began, or as this returned it.
        world: This tick's; None = their number is not known, and what is known stays.
        pool: The canary.
    """
    now = _pods(world, pool)
    if now is None or (known.pods is not None and known.pods <= now):
        return known
    return replace(known, pods=now, calibrated=known.calibrated and now >= canary.PODS_LEAST)


def is_whole(known: CanaryConfig, new: Increments | None, old: Increments | None) -> bool:
    """Return whether everything that is compared was read of both pools, of the same seconds."""
    if new is None or old is None or new.seconds != old.seconds:
        return False
    return all(
        len(within) == len(metric.bounds) + 1
        for metric in known.metrics
        if metric.bounds
        for within in (buckets(metric, new), buckets(metric, old))
    )


def buckets(metric: CanaryMetric, one: Increments) -> tuple[float, ...]:
    """Return what one arm counted of a metric up to each of its bounds, the total last.

    Args:
        metric: With bounds.
        one: What was served on one tick.

    Returns:
        Empty where it was not read, or counted by other bounds.
    """
    if metric.name == ANSWERS:
        told, right = one.labelled, one.right
        return () if told is None or right is None else (right, told)
    return tuple(count for _, count in one.latency) if _bounds(one) == metric.bounds else ()


def dropped(judge: CanaryState) -> CanaryState:
    """Return the judge without its open stretch; how long nothing was seen is not forgotten."""
    rows = tuple(replace(row, open=(0.0, 0.0, 0.0, 0.0)) for row in judge.rows)
    return replace(
        judge,
        rows=rows,
        opened_at=judge.at,
        seen=False,
        canary=(0.0, 0.0),
        stable=(0.0, 0.0),
        expected=False,
    )


def counts(
    known: CanaryConfig,
    new: Increments | None,
    old: Increments | None,
    share: Scalar | None,
    now: TimeNs,
) -> Counts:
    """Return one tick's increments of both pools, unknown where they are not of the same seconds.

    Args:
        known: What is compared.
        new: What the canary served, None = not known.
        old: What the stable pool served, None = not known.
        share: The canary's weight in percent, None = not read.
        now: The tick's time.
    """
    # Of different seconds nothing can be compared: one of them was missed for a while.
    same = new is not None and old is not None and new.seconds == old.seconds
    histograms: tuple[ArmCounts, ...] = ()
    if same and new is not None and old is not None:
        histograms = tuple(
            ArmCounts(metric=one.name, canary=buckets(one, new), stable=buckets(one, old))
            for one in known.metrics
            if one.bounds
        )
    return Counts(
        at=now,
        canary_total=new.answered if new is not None and (same or old is None) else None,
        canary_bad=new.failed if new is not None and (same or old is None) else None,
        stable_total=old.answered if old is not None and (same or new is None) else None,
        stable_bad=old.failed if old is not None and (same or new is None) else None,
        share=share / 100.0 if isinstance(share, int | float) else None,
        histograms=histograms,
    )
