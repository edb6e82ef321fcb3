"""Some replicas of a pool have a new setting, the rest the old one: both arms for the judge.

The same judge, margins and certificate as a ramp's (`govern.ramp`); other is only where the counts
come from, and what is late. A setting trades one latency for another below what was promised, on
purpose: an answer is bad where it failed, or came later than was promised. The certificate is about
late answers, as errors of a setting are rare; errors are compared as well, and are harm.

What one replica serves is told by its own page. Those that have no setting of their own count
together as the other arm; where one of them is not heard, or was given a value of its own by
somebody else, nothing is compared on that tick: what is not seen of the old setting may be what is
bad about it, or about the new one.

Replicas that share a queue or a database are not independent of each other: what the new setting
does to both arms is not seen here. It is by before and after, once all have it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from homeostat.base import names
from homeostat.base.canary import ERRORS, CanaryConfig, CanaryMetric
from homeostat.base.evidence import Evidence, Increments
from homeostat.base.intent import ActionRecord
from homeostat.base.policy import CanaryPolicy, Managed
from homeostat.base.world import ReplicaState, Snapshot
from homeostat.govern import arms
from homeostat.govern.arms import LATENCY

# Somebody waits for the cure while it is tried: stretches as on the way to the fallback
# (`govern.leaving`), or the canary's where shorter, and an end to it.
BUCKET_SCRAPES: Final = 2.0
# Times the window in which an effect must show. Where half of the replicas answer late three times
# as often as the other half, harm is plain after some fourteen stretches; these are twenty-four.
PATIENCE: Final = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Both arms of one tick.

    Attributes:
        canary: Who has what is new, for people.
        stable: Who has not.
        new: What the former served, None = not known.
        old: What the latter served.
        share: Percent of the traffic or of the replicas that have it; None = not read.
    """

    canary: str
    stable: str
    new: Increments | None
    old: Increments | None
    share: float | int | str | None


def sides(record: ActionRecord, evidence: Evidence, managed: Managed) -> Sides:
    """Return both arms of a setting that some replicas have first.

    Args:
        record: The change in flight; its `first` names the replicas.
        evidence: This tick's, with what each replica served.
        managed: The deployment: its promised latency is what late is.
    """
    first, world, pool = record.action.first, evidence.world, record.action.beside
    tried = [of[1] for lever, _ in first if (of := names.own(lever)) is not None]
    rest = [slot for slot in _ready(pool, world) if slot not in tried]
    applied = world is not None and all(world.lever(lever) == value for lever, value in first)
    alike = world is not None and all(
        world.lever(names.lever_own(of[0], slot)) == 0
        for lever, _ in first
        if (of := names.own(lever)) is not None
        for slot in rest
    )
    new, old = (_together(slots, evidence, managed) for slots in (tried, rest))
    return Sides(
        canary=" and ".join(tried),
        stable=f"the rest of pool {pool}",
        new=new,
        old=old,
        share=100.0 * len(tried) / (len(tried) + len(rest)) if applied and alike and rest else None,
    )


def config(policy: CanaryPolicy, managed: Managed, record: ActionRecord, seen: Sides) -> (
    CanaryConfig | None
):  # fmt: skip
    """Return what both arms are compared by, None until both were seen whole.

    Args:
        policy: The deployment's.
        managed: The deployment.
        record: The change.
        seen: Both arms of some tick.
    """
    new, old = seen.new, seen.old
    if new is None or old is None or bool(new.latency) != bool(old.latency):
        return None
    if not new.latency and (new.timed or old.timed):
        return None  # a histogram that was not read on this tick: not known, and not left out
    late = new.latency[:-1]
    metrics = [
        CanaryMetric(
            name=ERRORS,
            margin=policy.error_ratio,
            promote_ratio=None if late else policy.promote_ratio,
        )
    ]
    if late:
        bounds = tuple(bound for bound, _ in late)
        metrics.append(
            CanaryMetric(
                name=LATENCY,
                margin=policy.slow_ratio,
                promote_ratio=policy.promote_ratio,
                bounds=bounds,
            )
        )
    scrape_ns = managed.scrape_ns
    patience_ns = round(PATIENCE * managed.guard.verify_scrapes * scrape_ns)
    waited_for = record.incident_id != ""
    return CanaryConfig(
        alpha=policy.alpha,
        metrics=tuple(metrics),
        bucket_ns=max(1, min(policy.bucket_ns, round(BUCKET_SCRAPES * scrape_ns)))
        if waited_for
        else policy.bucket_ns,
        missing_buckets=policy.missing_buckets,
        deadline_ns=min(policy.max_wait_ns, patience_ns) if waited_for else policy.max_wait_ns,
        pods=len(record.action.first),
    )


def _together(slots: Sequence[str], evidence: Evidence, managed: Managed) -> Increments | None:
    """Return what some replicas served together, None where one of them is not known.

    Of a histogram only what was not later than promised is kept; where none of its bounds is as
    slow as what was promised, none is known to be late, and it is as if there were no histogram.
    """
    found = [arms.served(evidence.increments, names.replica(slot)) for slot in slots]
    known = [one for one in found if one is not None]
    if not known or len(known) < len(slots) or len({one.seconds for one in known}) > 1:
        return None
    timed, limit = any(one.timed for one in known), _limit(known[0], managed)
    within = [dict(one.latency) for one in known]
    latency: tuple[tuple[float, float], ...] = ()
    if limit is None:
        timed = timed and not all(within)
    elif all(limit in each and math.inf in each for each in within):
        latency = tuple((bound, sum(each[bound] for each in within)) for bound in (limit, math.inf))
    return Increments(
        pool=" and ".join(slots),
        answered=sum(one.answered or 0.0 for one in known),
        failed=sum(one.failed or 0.0 for one in known),
        seconds=known[0].seconds,
        latency=latency,
        timed=timed,
    )


def _limit(one: Increments, managed: Managed) -> float | None:
    """Return the first bound of a histogram that is as slow as what was promised."""
    promised_ms = managed.objective.latency_p95_ms
    bounds = (bound for bound, _ in one.latency)
    return next((bound for bound in bounds if promised_ms <= bound < math.inf), None)


def _ready(pool: str, world: Snapshot | None) -> list[str]:
    serves = ReplicaState.READY
    slots = () if world is None else world.replicas
    return sorted(one.name for one in slots if one.pool == pool and one.state is serves)
