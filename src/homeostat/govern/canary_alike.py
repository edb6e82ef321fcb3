"""Two pools that serve the same: how much they differ, and whether the judge keeps its word.

While a deployment is well and nothing is in flight, its canary's pool plays a canary that is no
worse: the judge of ramps looks on, for as long as a ramp takes, again and again. Two things come
of it. *Ratios*: how much the two pools differ though they serve the same; nineteen in twenty of
them are the margin (`canary_margin`). *Ends*: how often the judge cried harm (`canary_selfcheck`).

The margin is wider than the policy's where the pools differ more, and the certificate then promises
less. It is narrower than the shipped one only where the ratios show that it may be, with 95 %
confidence for 95 % of them: that takes 59 at least. Where the self-check fails nothing is promoted
without a person. A ramp during which something was suspected is not counted, so what is bad enough
to be an incident is not learnt as usual.

Source: Wilks, "Determination of Sample Sizes for Setting Tolerance Limits", Annals of Mathematical
Statistics 12 (1941): the order statistic that so large a part of a population lies below.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Final

from homeostat.base import names
from homeostat.base.canary import (
    AlikeState,
    CanaryConfig,
    CanaryState,
    CanaryVerdict,
    Counts,
)
from homeostat.base.evidence import Evidence
from homeostat.base.policy import CanaryPolicy, Managed
from homeostat.base.units import TimeNs
from homeostat.base.world import ReplicaState, Scalar, Snapshot
from homeostat.govern import arms, canary
from homeostat.govern.canary_margin import Margin, apply, of_ratios
from homeostat.govern.canary_selfcheck import RAMP_NS, SelfCheck

# Bad responses that are expected in the smaller pool before a ratio is taken: its own chance is
# then 7 % (1 / sqrt(400) + the same of the other), so that nineteen in twenty of two pools that are
# alike stay below the shipped margin of 1.2.
LEAST_BAD: Final = 400.0
# As many of the newest are kept: pools move to other nodes, and a tolerance limit gains little.
KEPT: Final = 200
# One choice in twenty is beyond a calibrated margin: what the promise is then weaker by.
UNLUCKY: Final = 0.05
_SURE: Final = 0.95
_STEP: Final = 0.05  # margins are rounded up to it: each new one begins the self-check anew


def step(
    before: AlikeState | None, managed: Managed, evidence: Evidence, now: TimeNs, *, calm: bool
) -> AlikeState | None:
    """Return what is known of two pools that serve the same, after one tick.

    Args:
        before: After the last tick; None before the first.
        managed: The deployment.
        evidence: This tick's, with what each pool served.
        now: The tick's time.
        calm: Nothing is in flight, nothing is suspected and the objectives are met.
    """
    policy = managed.canary
    if policy is None:
        return None
    pools = (policy.pool, managed.stable_pool)
    if before is not None and (before.canary, before.stable) != pools:
        before = None
    world = evidence.world
    if before is not None and before.judge is not None and calm and world is None:
        # Not read: nothing is compared, and what was before goes on as after any gap.
        return replace(before, judge=arms.dropped(before.judge))
    version = _same_version(world, pools)
    share = None if world is None else world.lever(names.lever_weight(pools[0]))
    served = isinstance(share, int | float) and share > 0.0
    if not calm or not served or version == "":
        return _closed(before)  # what comes after it is another ramp
    new, old = (arms.served(evidence.increments, pool) for pool in pools)
    known = before if before is None or _is(before, version, share) else _closed(before)
    if known is not None and known.judge is not None:
        counts = arms.counts(known.config, new, old, share, now)
        return _played(known, known.judge, counts, min(RAMP_NS, policy.max_wait_ns))
    if new is None or old is None:
        return known
    config = arms.config(policy, world, new, old)
    if config is None:
        return known
    known = _opened(known, pools, applied(config, known))
    return replace(known, version=version, share=share)  # this tick may have begun before it


def _is(known: AlikeState, version: str, share: Scalar | None) -> bool:
    return known.judge is None or (known.version, known.share) == (version, share)


def _played(known: AlikeState, before: CanaryState, counts: Counts, lasts_ns: int) -> AlikeState:
    """Return the state with one more tick of the ramp that is open."""
    judge, judgement = canary.step(before, counts, known.config)
    if judgement.verdict is CanaryVerdict.NO_EVIDENCE:
        return replace(known, judge=None)
    began = counts.at if judge.started_at is None else judge.started_at
    harm = judgement.verdict is CanaryVerdict.HARM
    if harm or counts.at - began >= lasts_ns:
        return replace(_counted(known, judge, alarm=harm), judge=None)
    return replace(known, judge=judge)


def _same_version(world: Snapshot | None, pools: tuple[str, str]) -> str:
    """Return the version that every replica of both pools reports and should; else nothing."""
    if world is None:
        return ""
    slots = [slot for slot in world.replicas if slot.pool in pools]
    wanted = {str(world.lever(names.lever_version(pool)) or "") for pool in pools}
    said = {slot.version or "" for slot in slots if slot.state is ReplicaState.READY}
    both = {slot.pool for slot in slots if slot.state is ReplicaState.READY} == set(pools)
    return wanted.pop() if both and len(wanted) == 1 and said == wanted else ""


def _opened(known: AlikeState | None, pools: tuple[str, str], config: CanaryConfig) -> AlikeState:
    judge = canary.init(config)
    if known is None:
        return AlikeState(canary=pools[0], stable=pools[1], config=config, judge=judge)
    # Of ramps that were judged otherwise nothing can be said about how this one is judged.
    ends = known.ends if _judged_by(known.config) == _judged_by(config) else ()
    return replace(known, config=config, judge=judge, ends=ends)


def _judged_by(config: CanaryConfig) -> CanaryConfig:
    """Return what harm depends on: not what a certificate would promise."""
    metrics = tuple(replace(metric, promote_ratio=None) for metric in config.metrics)
    return replace(config, metrics=metrics, pods=None, calibrated=False)


def _closed(known: AlikeState | None) -> AlikeState | None:
    return None if known is None else replace(known, judge=None)


def _counted(known: AlikeState, judge: CanaryState, *, alarm: bool) -> AlikeState:
    """Return the state with one more whole ramp, and one more ratio if there is enough for it."""
    row = judge.rows[0]  # the errors: `arms.config` puts them first
    if min(row.counts[0], row.counts[2]) == 0.0:
        return known  # nobody asked one of the pools: there was nothing to cry harm of
    new, new_bad, old, old_bad = (
        sum(parts) for parts in zip(known.window, row.counts, row.open, strict=True)
    )
    ends = (*known.ends, alarm)[-KEPT:]
    share = (new_bad + old_bad) / (new + old) if new + old > 0.0 else 0.0
    if share * min(new, old) < LEAST_BAD:
        return replace(known, ends=ends, window=(new, new_bad, old, old_bad))
    ratio = (new_bad / new) / (old_bad / old) if old_bad > 0.0 else math.inf
    return replace(
        known, ends=ends, ratios=(*known.ratios, ratio)[-KEPT:], window=(0.0, 0.0, 0.0, 0.0)
    )


def margin(known: AlikeState | None) -> Margin:
    """Return what the ratios of two pools of the same version say about the margin."""
    found = of_ratios(() if known is None else known.ratios, "comparisons of pools of one version")
    if found.ratio is None or known is None:
        return found
    place = _surely_below(len(known.ratios))
    limit = math.inf if place is None else max(1.0, sorted(known.ratios)[place])
    return replace(
        found, ratio=_up(found.ratio), certified=_up(limit) if math.isfinite(limit) else None
    )


def _up(ratio: float) -> float:
    """Return a ratio rounded up to the next margin.

    >>> _up(1.0), _up(1.101), _up(1.15)
    (1.0, 1.15, 1.15)
    """
    return round(math.ceil(round(ratio / _STEP, 6)) * _STEP, 2)


@cache
def _surely_below(count: int) -> int | None:
    """Return which of so many ordered values 95 % lie below with 95 % confidence; None for none.

    >>> _surely_below(58), _surely_below(59), _surely_below(93)
    (None, 58, 91)
    """
    for place in range(count):
        above = sum(
            math.comb(count, k) * _SURE**k * (1.0 - _SURE) ** (count - k) for k in range(place + 1)
        )
        if above >= _SURE:
            return place
    return None


def applied(config: CanaryConfig, known: AlikeState | None) -> CanaryConfig:
    """Return a ramp's configuration with the margin that was learnt.

    What a certificate would promise is the widest margin there is: beyond it nothing is promoted
    without a person (`refusal`), and what differs so much shall not hide harm. Where none is asked
    for, the policy's own margin is the widest. A canary of one pod
    stays uncalibrated: the ratios are of its node of today, and the next version may come to
    another.

    Args:
        config: As the policy says (`arms.config`).
        known: What two pools of the same version said.
    """
    after = apply(config, margin(known))
    if not after.calibrated:
        return config  # the policy's own margin, as ever
    metrics = tuple(
        replace(new, margin=max(old.margin, min(new.margin, old.promote_ratio or old.margin)))
        if new.margin > old.margin
        else new
        for old, new in zip(config.metrics, after.metrics, strict=True)
    )
    told_apart = config.pods is not None and config.pods >= canary.PODS_LEAST
    return replace(after, metrics=metrics, calibrated=told_apart)


def check(known: AlikeState | None, alpha: float) -> SelfCheck:
    """Return how often the judge cried harm of what is no worse."""
    ends: Sequence[bool] = () if known is None else known.ends
    calibrated = margin(known).ratio is not None
    return SelfCheck(
        promised=alpha + (UNLUCKY if calibrated else 0.0), runs=len(ends), alarms=sum(ends)
    )


def refusal(known: AlikeState | None, policy: CanaryPolicy) -> str:
    """Return why nothing may be promoted without a person, in words; empty where it may.

    Args:
        known: What two pools of the same version said of the comparison.
        policy: The deployment's.
    """
    if known is None:
        return ""
    seen, found = check(known, policy.alpha), margin(known)
    if seen.is_broken:
        return (
            f"self-check failed: the judge called {known.canary} harmful in {seen.alarms} of "
            f"{seen.runs} ramps in which both pools served the same version, promised are "
            f"{seen.promised:.0%}: look for what {known.canary} and {known.stable} differ by"
        )
    if found.is_endless:
        return f"self-check failed: {found.why}"
    errors = policy.promote_ratio
    if found.ratio is not None and found.ratio >= errors:
        return (
            f"self-check failed: serving the same version, {known.canary} has up to "
            f"{found.ratio:.2f} times the errors of {known.stable}, and a certificate would "
            f"promise less than {errors:g}"
        )
    if found.lucky is not None and errors * found.lucky <= 1.0:
        return (
            f"self-check failed: serving the same version, {known.canary} has as little as "
            f"{found.lucky:.2f} times the errors of {known.stable}: a certificate could be luck"
        )
    return ""


def words(known: AlikeState | None, policy: CanaryPolicy) -> str:
    """Return in one sentence what is known of the two pools, for people."""
    if known is None:
        return "both pools were not yet seen to serve the same version"
    seen = check(known, policy.alpha)
    return (
        f"{margin(known).why}; {seen.alarms} false alarms in {seen.runs} ramps, "
        f"promised are {seen.promised:.0%}"
    )
