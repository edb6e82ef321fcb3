"""A ramp's verdict, tick by tick: may the next rung be taken, and may what is new be promoted?

One test through the whole ramp (`govern.canary`): what both pools served since the last tick goes
in, and out comes what the comparison calls for. Harm decides rollback at any rung. A rung goes on
after enough compared stretches without harm; the last one, the promotion, needs a certificate, or
the policy's explicit word that it may go on unproven. What is not seen promotes nothing: a stretch
without both pools is no stretch. While a person is asked, and past the deadline without anybody's
word, no rung goes on.

A setting that some replicas of a pool have first is such a ramp of one rung; where its arms are
found is `govern.one_first`.

Stretches that a change of weights falls into are dropped: within one, both pools must have had
their shares of the same moments. Source: research on comparable controllers, 2.4 and 2.5.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from homeostat.base import names
from homeostat.base.canary import (
    ERRORS,
    AlikeState,
    ArmCounts,
    CanaryConfig,
    CanaryJudgement,
    CanaryVerdict,
    Counts,
)
from homeostat.base.decisions import RampCall
from homeostat.base.evidence import Evidence, Increments
from homeostat.base.intent import ActionRecord, ActionState, Proof
from homeostat.base.policy import CanaryPolicy, Managed, OnUnproven
from homeostat.base.state import Comparison
from homeostat.base.units import TimeNs, ns
from homeostat.base.world import Scalar
from homeostat.govern import arms, canary, canary_alike, one_first
from homeostat.govern.arms import ANSWERS, LATENCY
from homeostat.govern.one_first import Sides

_UNPROVEN: Final = {
    OnUnproven.ASK: RampCall.ASK,
    OnUnproven.KEEP: RampCall.UNPROVEN,
    OnUnproven.RETURN: RampCall.RETURN,
}
# What promotes without anybody's yes.
_PROMOTES: Final = frozenset({RampCall.CERTIFIED, RampCall.UNPROVEN})


def compare(
    before: Comparison | None,
    record: ActionRecord,
    evidence: Evidence,
    managed: Managed,
    now: TimeNs,
    alike: AlikeState | None = None,
) -> tuple[Comparison | None, RampCall]:
    """Return the comparison after one tick, and what it calls for.

    Args:
        before: After the last tick; another ramp's, or none, begins anew.
        record: The ramp in flight.
        evidence: This tick's, with what each pool served.
        managed: The deployment.
        now: The tick's time.
        alike: What both pools said while they served the same version; None = nothing.
    """
    policy = managed.canary
    if policy is None or record.state is ActionState.ROLLING_BACK:
        return before, RampCall.BLIND
    first = record.action.first != ()
    alike = None if first else alike  # it is of two pools
    seen_now = one_first.sides(record, evidence, managed) if first else _pools(record, evidence)
    new, old, share = seen_now.new, seen_now.old, seen_now.share
    known = before if before is not None and before.action_id == record.id else None
    if known is None:
        config = _config(policy, managed, record, evidence, seen_now)
        if config is None:
            return before, RampCall.BLIND
        config = canary_alike.applied(config, alike)
        known = Comparison(
            action_id=record.id,
            canary=seen_now.canary,
            stable=seen_now.stable,
            config=config,
            judge=canary.init(config),
        )
    if not first:
        config = arms.fewest(known.config, evidence.world, seen_now.canary)
        known = known if config is known.config else replace(known, config=config)
    if share is None or share != known.share:
        # A stretch holds one division of the traffic only; and what was not read is not compared.
        judge = arms.dropped(known.judge)
        known = replace(known, judge=judge, share=share, rung_from=judge.buckets)
        new = old = None
    counts = arms.counts(known.config, new, old, share, now)
    judge, judgement = canary.step(known.judge, counts, known.config)
    caveats = (*judgement.caveats, *(() if first else _worth(known, policy, alike)))
    after = replace(known, judge=judge, judgement=replace(judgement, caveats=caveats))
    seen = arms.is_whole(known.config, new, old)
    if not seen and (new is not None and old is not None and new.seconds == old.seconds):
        # Errors alone were read: what is open is no whole stretch, and the rung is counted anew.
        after = replace(after, rung_from=judge.buckets + judge.seen)
    call = _call(after, record, managed, policy, seen=seen, now=now)
    after, call = _without_a_person(after, call, record, policy, alike)
    asked = now if call is RampCall.ASK else after.asked_at
    return replace(after, asked_at=asked), call


def _pools(record: ActionRecord, evidence: Evidence) -> Sides:
    """Return the two pools of a ramp as the two arms of a tick."""
    pools = names.bare(record.action.subject), record.action.beside
    new, old = (arms.served(evidence.increments, pool) for pool in pools)
    share = _share(record, evidence)
    return Sides(canary=pools[0], stable=pools[1], new=new, old=old, share=share)


def _config(
    policy: CanaryPolicy, managed: Managed, record: ActionRecord, evidence: Evidence, seen: Sides
) -> CanaryConfig | None:
    """Return what the arms are compared by, None while that cannot be said."""
    if seen.new is None or seen.old is None or record.intent is None:
        return None
    if record.action.first:
        return one_first.config(policy, managed, record, seen)
    return arms.config(policy, evidence.world, seen.new, seen.old)


def _worth(known: Comparison, policy: CanaryPolicy, alike: AlikeState | None) -> tuple[str, ...]:
    """Return what the comparison is worth here; each rung's reason says it."""
    compared = {one.name for one in known.config.metrics}
    said = []
    if LATENCY not in compared:
        said.append("latency is not compared: no page of the pools has a histogram")
    if ANSWERS not in compared and policy.certify_answers:
        said.append(
            "answers are not compared, and their certificate is asked for: no labels of both pools"
        )
    return (*said,) if alike is None else (*said, canary_alike.words(alike, policy))


def _share(record: ActionRecord, evidence: Evidence) -> Scalar | None:
    """Return the weight of the pool that is tried as it was read on this tick."""
    world = evidence.world
    return None if world is None else world.lever(record.action.change[0][0])


def _call(
    known: Comparison,
    record: ActionRecord,
    managed: Managed,
    policy: CanaryPolicy,
    *,
    seen: bool,
    now: TimeNs,
) -> RampCall:
    judgement = known.judgement
    verdict = CanaryVerdict.UNDECIDED if judgement is None else judgement.verdict
    if verdict is CanaryVerdict.HARM:
        return RampCall.HARM
    if verdict is CanaryVerdict.NO_EVIDENCE or _unanswered(known, record, managed, now):
        return RampCall.RETURN
    late = verdict is CanaryVerdict.DEADLINE and record.proof is Proof.NONE
    if late and policy.on_unproven is not OnUnproven.KEEP and _may_yet_land(record):
        return RampCall.RETURN  # the rung would come after the deadline, and nobody said it may
    if record.state is not ActionState.VERIFYING or not seen:
        return RampCall.WAIT if seen else RampCall.BLIND
    if late:
        return _UNPROVEN[policy.on_unproven]
    return _onward(known, record, policy, verdict)


def _onward(
    known: Comparison, record: ActionRecord, policy: CanaryPolicy, verdict: CanaryVerdict
) -> RampCall:
    """Return what follows a rung that is seen: the next one after long enough without harm."""
    judge, judgement = known.judge, known.judgement
    if judge.buckets - known.rung_from < policy.rung_buckets or judge.missing or not judge.served:
        return RampCall.WAIT  # nobody answered in a pool: nothing was compared
    if judgement is None or judgement.harm_e >= math.sqrt(judgement.threshold):
        return RampCall.WAIT  # half way to harm nobody gives it more traffic
    if record.action.first and any(one.harm_e > 1.0 for one in judgement.metrics):
        return RampCall.WAIT  # certified is that fewer are late: none may lean towards harm
    promotes = record.stage + 2 >= len(record.action.ramp)
    if verdict is CanaryVerdict.CERTIFIED and promotes:
        return RampCall.CERTIFIED
    if record.proof is Proof.ASKED:
        return RampCall.WAIT  # whoever is asked decides about what they see
    may = not promotes or record.proof is Proof.UNPROVEN
    return RampCall.GO_ON if may else RampCall.WAIT


def _may_yet_land(record: ActionRecord) -> bool:
    """Return whether the present rung is not written yet, or not known to be."""
    waits = record.state is ActionState.INTENT and not record.in_flight
    return record.stage > 0 and (waits or record.state is ActionState.READBACK)


def _without_a_person(
    known: Comparison,
    call: RampCall,
    record: ActionRecord,
    policy: CanaryPolicy,
    alike: AlikeState | None,
) -> tuple[Comparison, RampCall]:
    """Return what follows instead of a promotion where the comparison is known to be no good."""
    why = canary_alike.refusal(alike, policy) if call in _PROMOTES else ""
    judgement = known.judgement
    if why == "" or judgement is None:
        return known, call
    known = replace(known, judgement=replace(judgement, because=(why, *judgement.because)))
    match record.proof:
        case Proof.NONE if policy.on_unproven is OnUnproven.RETURN:
            return known, RampCall.RETURN
        case Proof.NONE:
            return known, RampCall.ASK
        case Proof.UNPROVEN:
            return known, RampCall.GO_ON  # a person said so, knowing this
        case _:
            return known, RampCall.WAIT


def _unanswered(known: Comparison, record: ActionRecord, managed: Managed, now: TimeNs) -> bool:
    """Return whether a person was asked and did not answer in time."""
    ttl_ns = round(managed.guard.approval_ttl_scrapes * managed.scrape_ns)
    asked = known.asked_at
    return record.proof is Proof.ASKED and asked is not None and now - asked >= ttl_ns


def watch(
    known: Comparison, evidence: Evidence, now: TimeNs
) -> tuple[Comparison, CanaryJudgement | None]:
    """Compare what was promoted with what it replaced as that was while both served.

    The old pool serves no more, so a past of it stands beside each tick: as many requests, of which
    as large a share is bad. What happens to all alike is not taken off any more, as it is while two
    pools serve: whoever acts on it needs another sign of harm as well.

    Args:
        known: The ramp's comparison, as it ended or as this returned it.
        evidence: This tick's.
        now: The tick's time.

    Returns:
        The comparison, with the time that was seen, and the judgement where something was compared
        on this tick.
    """
    served = arms.served(evidence.increments, known.canary)
    begun = known.watch is not None
    judge = canary.init(known.config) if known.watch is None else known.watch
    if served is None or served.answered is None or not begun:
        return replace(known, watch=judge), None  # the first tick began before the promotion
    rows = known.judge.rows
    shares = [row.counts[3] / row.counts[2] if row.counts[2] > 0.0 else None for row in rows]
    errors = shares[0]
    if errors is None:
        return known, None
    histograms = tuple(_beside_past(known, served, shares[1:]))
    counts = Counts(
        at=now,
        canary_total=served.answered,
        canary_bad=served.failed,
        stable_total=served.answered,
        stable_bad=served.answered * errors,
        histograms=histograms,
    )
    judge, judgement = canary.step(judge, counts, known.config)
    # As much as before, of answers that somebody had: errors alone do not say that it is not slow.
    # Labels come late and to some: what they say counts when they come, and is not waited for.
    seen = {ERRORS, ANSWERS, *(one.metric for one in histograms)}
    whole = all(one.name in seen for one in known.config.metrics) and served.answered > 0.0
    lasted = served.seconds if whole and served.seconds is not None else 0.0
    seen_ns = ns(lasted) if math.isfinite(lasted) else 0
    return replace(known, watch=judge, watched_ns=known.watched_ns + seen_ns), judgement


def _beside_past(
    known: Comparison, served: Increments, shares: Sequence[float | None]
) -> Iterator[ArmCounts]:
    """Yield what was promoted beside as much of what it replaced, as that was in the ramp.

    Args:
        known: The ramp's comparison.
        served: What the promoted pool served on this tick.
        shares: Of each bound of each metric that has some, the part of the old pool's that was
            above it; None = it served none.
    """
    place = 0
    for metric in known.config.metrics:
        height = len(metric.bounds)
        above, place = shares[place : place + height], place + height
        within = arms.buckets(metric, served) if height else ()
        past = [within[-1] * (1.0 - share) for share in above if within and share is not None]
        if within and len(past) == height == len(within) - 1:
            yield ArmCounts(metric=metric.name, canary=within, stable=(*past, within[-1]))
