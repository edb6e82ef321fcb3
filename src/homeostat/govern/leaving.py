"""Traffic on its way to the fallback pool: is that pool worse than the one it leaves?

The canary's judge (`govern.canary`), asked of both pools' answers through all rungs of a shift that
the runbook wants. What is different from a canary: nothing new is tried, and whoever is waiting is
served by a pool that misses its objectives. So a bad answer is one that was not served *as
promised*, failed or slower than the objective: a pool that fails fast is not quicker. Harm takes
the traffic back at once. That the fallback is no worse than the margin, once proven, goes on at any
rung. Until then a rung before the last may be followed by the next as a canary's is, after enough
stretches without harm, but only while the pool that is left is known to miss its objectives. Where
nothing is compared nothing follows: before and after decide (`govern.verify`), as they did.

Pages do not say which of the slow answers failed. Harm is asked with the fewest bad answers of the
fallback and the most of the pool that is left, the certificate the other way round: what is not
known speaks against either answer.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from homeostat.base import names
from homeostat.base.canary import (
    ERRORS,
    CanaryConfig,
    CanaryJudgement,
    CanaryMetric,
    CanaryVerdict,
    Counts,
)
from homeostat.base.decisions import LeaveCall
from homeostat.base.evidence import Evidence, Increments, Quality
from homeostat.base.intent import ActionRecord, ActionState
from homeostat.base.policy import CanaryPolicy, Managed, Objective
from homeostat.base.state import Leaving
from homeostat.base.units import TimeNs
from homeostat.govern import arms, canary

# Two readings each. A canary's stretch is longer than a burst of errors lasts; here people are
# served badly meanwhile. What a short one costs is on the safe side: a burst of the fallback alone
# may be called harm, which leads to where the traffic was.
BUCKET_SCRAPES: Final = 2.0
# As a canary's shipped rung, in stretches.
RUNG_BUCKETS: Final = 3
# "No worse than stable" cannot be certified at exactly one: that takes for ever.
_LEAST_PROMISE: Final = 1.01
_FOR_EVER: Final = 10**18  # how long a rung may last is the protocol's business

Few = tuple[float, float, float]  # answered; bad at least; bad at most


def compare(
    before: Leaving | None,
    record: ActionRecord,
    left: str,
    evidence: Evidence,
    managed: Managed,
    now: TimeNs,
) -> tuple[Leaving | None, LeaveCall]:
    """Return the comparison after one tick, and what it calls for.

    Args:
        before: After the last tick; another shift's, or none, begins anew.
        record: The shift in flight; its subject is the fallback pool.
        left: The pool that the traffic leaves; of a comparison that goes on its own is taken.
        evidence: This tick's, with what each pool served.
        managed: The deployment.
        now: The tick's time.
    """
    known = before if before is not None and before.action_id == record.id else None
    if known is None:
        known = _begun(record, left, evidence, managed)
        if known is None:
            return before, LeaveCall.NONE
    new, old = (_few(evidence.increments, pool, known) for pool in (known.to, known.left))
    same = _seconds(evidence, known.to) == _seconds(evidence, known.left) is not None
    world = evidence.world
    share = None if world is None else world.lever(record.action.change[0][0])
    if share is None or share != known.share:
        # A stretch holds one division of the traffic only; and what was not read is not compared.
        harm, proof = arms.dropped(known.harm), arms.dropped(known.proof)
        known = replace(known, harm=harm, proof=proof, share=share, rung_from=harm.buckets)
        same = False
    seen = same and new is not None and old is not None
    known = _judged(known, new if seen else None, old if seen else None, now)
    known = _told(known)
    missed = _misses(evidence, known.left, managed.objective)
    known = replace(known, missed=known.missed if missed is None else missed)
    return known, _call(known, record, on=seen and missed is True)


def _told(known: Leaving) -> Leaving:
    """Return the comparison whose judgement says what was compared, and what it comes to."""
    if known.harmed is None or known.proven is None:
        return known
    what = "failed" if known.limit_ms is None else f"failed or slower than {known.limit_ms:g} ms"
    at_least, at_most = (one.metrics[0] for one in (known.harmed, known.proven))
    safe, promise = at_most.safe_e or 0.0, known.config.metrics[0].promote_ratio or 0.0
    why = (
        f"pool {known.to} beside pool {known.left}, which it leaves: "
        f"{_between(at_least.canary_bad, at_most.canary_bad)} of {at_least.canary_total:.0f} "
        f"answers {what}, against {_between(at_most.stable_bad, at_least.stable_bad)} of "
        f"{at_least.stable_total:.0f}; harm e-value {at_least.harm_e:.3g}, certificate of no worse "
        f"than {promise:.2f} times {safe:.3g} (of {known.harmed.threshold:g})"
    )
    return replace(known, harmed=replace(known.harmed, because=(why,)))


def _between(least: float, most: float) -> str:
    return f"{least:.0f}" if least == most else f"{least:.0f} to {most:.0f}"


def _begun(record: ActionRecord, left: str, evidence: Evidence, managed: Managed) -> Leaving | None:
    """Return a comparison that has counted nothing, None while it cannot begin."""
    to = names.bare(record.action.subject)
    new, old = (arms.served(evidence.increments, pool) for pool in (to, left))
    if record.intent is None or new is None or old is None:
        return None
    limit_ms = None
    if new.timed and old.timed:
        bounds = _bounds(new)
        if not bounds or _bounds(old) != bounds:
            return None  # not read on this tick: not known, and not left out
        # Where no bound is as slow as what was promised, no answer is known to be too slow.
        promised_ms = managed.objective.latency_p95_ms
        limit_ms = next((bound for bound in bounds if bound >= promised_ms), None)
    policy = managed.canary or CanaryPolicy(pool=to)
    metric = CanaryMetric(
        name=ERRORS,
        margin=policy.error_ratio,
        promote_ratio=max(policy.error_ratio, _LEAST_PROMISE),
    )
    config = CanaryConfig(
        alpha=policy.alpha,
        metrics=(metric,),
        bucket_ns=max(1, round(BUCKET_SCRAPES * managed.scrape_ns)),
        deadline_ns=_FOR_EVER,
    )
    judge = canary.init(config)
    return Leaving(
        action_id=record.id,
        to=to,
        left=left,
        config=config,
        harm=judge,
        proof=judge,
        limit_ms=limit_ms,
    )


def _bounds(one: Increments) -> tuple[float, ...]:
    return tuple(bound for bound, _ in one.latency[:-1])


def _few(increments: Sequence[Increments], pool: str, known: Leaving) -> Few | None:
    """Return what a pool served, None where not all that is compared is known."""
    one = arms.served(increments, pool)
    if one is None or one.answered is None or one.failed is None:
        return None
    if known.limit_ms is None:
        return one.answered, one.failed, one.failed
    within = dict(one.latency)
    if known.limit_ms not in within:
        return None
    # The page counts latency and failures in turn: a request may be in the one and not yet in the
    # other, so that neither says more than the answers there are.
    slow = one.latency[-1][1] - within[known.limit_ms]
    if not 0.0 <= slow < math.inf:
        return None
    slow = min(slow, one.answered)
    return one.answered, max(slow, one.failed), min(slow + one.failed, one.answered)


def _seconds(evidence: Evidence, pool: str) -> float | None:
    one = arms.served(evidence.increments, pool)
    return None if one is None else one.seconds


def _judged(known: Leaving, new: Few | None, old: Few | None, now: TimeNs) -> Leaving:
    """Return the comparison with one more tick; None is not known, and counts for neither."""

    def counted(canary_bad: int, stable_bad: int) -> Counts:
        return Counts(
            at=now,
            canary_total=None if new is None else new[0],
            canary_bad=None if new is None else new[canary_bad],
            stable_total=None if old is None else old[0],
            stable_bad=None if old is None else old[stable_bad],
        )

    (harm, harmed), (proof, proven) = canary.step_many([
        (known.harm, counted(1, 2), known.config),
        (known.proof, counted(2, 1), known.config),
    ])
    return replace(known, harm=harm, proof=proof, harmed=harmed, proven=proven)


def _misses(evidence: Evidence, pool: str, objective: Objective) -> bool | None:
    """Return whether a pool serves worse than was promised; None where neither is known."""
    promised = {
        names.ERROR_RATIO: objective.error_ratio,
        names.LATENCY_P95: objective.latency_p95_ms,
    }
    found = [
        entry.value > promised[entry.signal]
        for entry in evidence.readings
        if entry.subject == names.pool(pool)
        and entry.signal in promised
        and entry.quality is Quality.GOOD
        and entry.value is not None
        and math.isfinite(entry.value)
    ]
    if any(found):
        return True
    return False if len(found) == len(promised) else None


def _call(known: Leaving, record: ActionRecord, *, on: bool) -> LeaveCall:
    """Return what follows.

    Args:
        known: This tick's.
        record: The shift.
        on: Both pools were seen on this tick, and the one that is left misses its objectives.
    """
    harmed, proven = known.harmed, known.proven
    if harmed is None or proven is None:
        return LeaveCall.NONE
    if harmed.verdict is CanaryVerdict.HARM:
        return LeaveCall.HARM
    if record.state is not ActionState.VERIFYING:
        return LeaveCall.NONE
    if _is_doubtful(harmed):
        return LeaveCall.DOUBT
    judge = known.harm
    if judge.buckets - known.rung_from < RUNG_BUCKETS or not judge.served:
        return LeaveCall.NONE  # what was earned on an earlier rung is not enough for this one
    if proven.verdict is CanaryVerdict.CERTIFIED:
        return LeaveCall.BETTER
    if not known.missed:
        return LeaveCall.NONE
    before_last = record.stage + 2 < len(record.action.ramp)
    return LeaveCall.GO_ON if on and before_last else LeaveCall.STAY


def _is_doubtful(judgement: CanaryJudgement) -> bool:
    """Return whether it is half way to harm, as a canary's rung asks (`govern.ramp`)."""
    return judgement.harm_e >= math.sqrt(judgement.threshold)
