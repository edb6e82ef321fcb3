"""Is traffic on its way to the canary's pool, up the policy's own ramp?

Such a pool cannot have been seen to serve well: it has no traffic before. It gets it by the rungs
that people wrote down, each compared with the stable pool before the next; nothing else may raise
its share.
"""

from homeostat.base import names
from homeostat.base.intent import ActionRecord, Proof
from homeostat.base.policy import Managed
from homeostat.base.world import Scalar
from homeostat.safety.sight import milli


def is_canary(lever: str, managed: Managed) -> bool:
    """Return whether a lever is the weight of the pool that is tried, and of no other use."""
    policy = managed.canary
    if policy is None or policy.pool in {managed.stable_pool, managed.fallback_pool}:
        return False
    return lever == names.lever_weight(policy.pool)


def on_its_ramp(lever: str, ramp: tuple[float, ...], beside: str, managed: Managed) -> bool:
    """Return whether a ramp is the rest of the policy's, for the pool that is tried.

    Args:
        lever: What is written.
        ramp: The rungs.
        beside: The pool that each rung is compared with; it must be the stable one.
        managed: The deployment.
    """
    policy = managed.canary
    if policy is None or not ramp or lever != names.lever_weight(policy.pool):
        return False
    return beside == managed.stable_pool != policy.pool and ramp == policy.ramp[-len(ramp) :]


def beyond(
    value: Scalar, live: Scalar | None, ramp: tuple[float, ...], flying: ActionRecord | None
) -> int | None:
    """Return how far a rung lies beyond the next one in thousandths, None if that is unknown.

    Args:
        value: The weight that is wanted: the ramp's end when it is proposed, its next rung when
            it is written.
        live: The weight as read.
        ramp: The rungs.
        flying: The action in flight, None when the ramp is only proposed.
    """
    wanted, now = milli(value), None if live is None else milli(live)
    rungs = [rung for rung in map(milli, ramp) if rung is not None]
    if wanted is None or now is None or len(rungs) < len(ramp):
        return None
    above = [rung for rung in rungs if rung > now]
    if wanted <= now or not above or (flying is None and wanted == rungs[-1]):
        return 0
    promoted = flying is not None and flying.proof in {Proof.UNPROVEN, Proof.CERTIFIED}
    if wanted == rungs[-1] and not promoted:
        return wanted - now
    return max(0, wanted - above[0])
