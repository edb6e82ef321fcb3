"""The canary judge: is what is new worse than what is trusted, and is it proven not to be?

Feed it the increments of both arms' counters at any cadence, from the first rung of a ramp to the
last: it is one test, right at every moment (`stats.share_bet`). HARM and NO_EVIDENCE take traffic
back, the latter without blame; CERTIFIED may promote; everything else holds. Evidence that is
missing never promotes: a certificate is only said in a step in which both arms were seen.

Not the test: a canary without one good response in three buckets, while stable has them, is harm
at once. Pods that differ for hours break every comparison of arms: `canary_margin` makes the
margin wide enough, and the verdict says so when nobody did.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np

from homeostat.base.canary import (
    ERRORS,
    ArmCounts,
    CanaryConfig,
    CanaryJudgement,
    CanaryMetric,
    CanaryRow,
    CanaryState,
    CanaryVerdict,
    Counts,
    MetricEvidence,
)
from homeostat.govern import canary_words as words
from homeostat.stats import share_bet

Item = tuple[CanaryState, Counts, CanaryConfig]
Judged = tuple[CanaryState, CanaryJudgement]
Four = tuple[float, float, float, float]

# Three buckets of one response each are no death: at one bad response in two, which stable may
# have too, ten in a row come once in a thousand.
DEAD_LEAST: Final = 10.0
# Stable must serve while the canary does not: where most of both fails, the fault is shared.
_STABLE_WELL: Final = 0.5
PODS_LEAST: Final = 2
"""A version on one pod cannot be told from its node, unless the margin was calibrated for it."""
_LN_MOST: Final = 690.0  # exp of more is no double
_NOTHING: Final[Four] = (0.0, 0.0, 0.0, 0.0)


def init(config: CanaryConfig) -> CanaryState:
    """Return a judge that has seen nothing."""
    rows = []
    for metric in config.metrics:
        safe = (0.0,) * (share_bet.STAKES if metric.promote_ratio else 0)
        row = CanaryRow(harm=(0.0,) * share_bet.STAKES, safe=safe)
        rows += [row] * _height(metric)
    return CanaryState(rows=tuple(rows))


def step(state: CanaryState, counts: Counts, config: CanaryConfig) -> Judged:
    """Add the newest increments and say what is known.

    Args:
        state: From `init` (with the same configuration) or the last step.
        counts: What came since. Counts that are not later than the last are not counted.
        config: What is promised.

    Raises:
        ValueError: The state was begun with other metrics.
    """
    return step_many([(state, counts, config)])[0]


def step_many(items: Sequence[Item]) -> list[Judged]:
    """Step many canaries at once; the same as one by one, to the last bit.

    Args:
        items: State, counts and configuration of each.

    Raises:
        ValueError: A state was begun with other metrics.
    """
    taken = [_take(*item) for item in items]
    full = [i for i, one in enumerate(taken) if one.at is not None and _is_full(one, items[i][2])]
    closed = dict(zip(full, _close([(taken[i], items[i][2]) for i in full]), strict=True))
    known = [closed.get(i, one) for i, one in enumerate(taken)]
    said = _ln_evidence([row for one in known for row in one.rows])
    out = []
    for i, (before, counts, config) in enumerate(items):
        after = known[i]
        evidence = _evidence(after, config, said)
        after = _settle(after, evidence, config) if i in closed else after
        out.append((after, _judge(before, after, counts, config, evidence)))
    return out


def known_pair(total: float | None, bad: float | None) -> tuple[float, float] | None:
    """Return responses and bad ones if they can be counts; None is unknown.

    >>> known_pair(10.0, 1.0), known_pair(10.0, None), known_pair(-3.0, 0.0), known_pair(1.0, 2.0)
    ((10.0, 1.0), None, None, None)
    """
    if total is None or bad is None or not 0.0 <= bad <= total < math.inf:
        return None
    return float(total), float(bad)


def _height(metric: CanaryMetric) -> int:
    return max(1, len(metric.bounds))


def _is_full(state: CanaryState, config: CanaryConfig) -> bool:
    assert state.at is not None  # noqa: S101 - asked only of what has begun
    assert state.opened_at is not None  # noqa: S101 - set with `at`
    return state.at - state.opened_at >= config.bucket_ns


def _take(state: CanaryState, counts: Counts, config: CanaryConfig) -> CanaryState:
    """Return the state with the counts in its open bucket.

    Raises:
        ValueError: The state was begun with other metrics.
    """
    if len(state.rows) != sum(map(_height, config.metrics)):
        raise ValueError(
            f"canary: the state compares {len(state.rows)} things, the configuration "
            f"{sum(map(_height, config.metrics))}; a ramp keeps its metrics, a new one begins anew"
        )
    if state.at is not None and counts.at <= state.at:
        return state
    canary = known_pair(counts.canary_total, counts.canary_bad)
    stable = known_pair(counts.stable_total, counts.stable_bad)
    rows = state.rows
    if canary and stable:
        added = _added(counts, canary, stable, config)
        rows = tuple(
            row if new is None else _opened(row, new) for row, new in zip(rows, added, strict=True)
        )
    first = state.at is None
    start = counts.at if counts.since is None else min(counts.since, counts.at)
    return replace(
        state,
        started_at=start if first else state.started_at,
        opened_at=start if first else state.opened_at,
        at=counts.at,
        rows=rows,
        seen=state.seen or bool(canary and stable),
        canary=_plus(state.canary, canary),
        stable=_plus(state.stable, stable),
        expected=state.expected or counts.share is None or counts.share > 0.0,
    )


def _opened(row: CanaryRow, new: Four) -> CanaryRow:
    return CanaryRow(counts=row.counts, open=_sum(row.open, new), harm=row.harm, safe=row.safe)


def _added(
    counts: Counts, canary: tuple[float, float], stable: tuple[float, float], config: CanaryConfig
) -> Iterator[Four | None]:
    """Yield what each comparison is to count; None is unknown."""
    arms = {one.metric: one for one in counts.histograms}
    for metric in config.metrics:
        if metric.name == ERRORS:
            yield (*canary, *stable)
        else:
            yield from _above(metric, arms.get(metric.name))


def _above(metric: CanaryMetric, arms: ArmCounts | None) -> Iterator[Four | None]:
    if arms is None or not all(
        len(arm) == len(metric.bounds) + 1 and _is_cumulative(arm)
        for arm in (arms.canary, arms.stable)
    ):
        yield from [None] * _height(metric)
        return
    new, old = arms.canary[-1], arms.stable[-1]
    for below, below_old in zip(arms.canary[:-1], arms.stable[:-1], strict=True):
        yield (new, new - below, old, old - below_old)


def _is_cumulative(arm: tuple[float, ...]) -> bool:
    whole = (0.0, *arm)
    return all(low <= high < math.inf for low, high in pairwise(whole))


def _close(full: Sequence[tuple[CanaryState, CanaryConfig]]) -> list[CanaryState]:
    """Return the states with their open buckets judged."""
    rows = [row for state, _ in full for row in state.rows]
    metrics = [m for _, config in full for m in config.metrics for _ in range(_height(m))]
    counts = np.array([row.open for row in rows]).reshape(-1, 4).T
    margin = np.array([m.margin for m in metrics])
    harm = _bet([row.harm for row in rows], counts, margin, safe=False)
    asks = [i for i, m in enumerate(metrics) if m.promote_ratio]
    goal = np.array([metrics[i].promote_ratio or 0.0 for i in asks])
    safe = dict(
        zip(asks, _bet([rows[i].safe for i in asks], counts[:, asks], goal, safe=True), strict=True)
    )
    after = iter(
        CanaryRow(counts=_sum(row.counts, row.open), harm=harm[i], safe=safe.get(i, ()))
        for i, row in enumerate(rows)
    )
    return [_closed(state, tuple(next(after) for _ in state.rows)) for state, _ in full]


def _bet(
    won: Sequence[tuple[float, ...]],
    counts: share_bet.Floats,
    ratio: share_bet.Floats,
    *,
    safe: bool,
) -> list[tuple[float, ...]]:
    if not won:
        return []
    canary, canary_bad, stable, stable_bad = counts
    share = share_bet.null_share(canary, stable, ratio)
    bets = share_bet.ln_bets(canary_bad, stable_bad, share, safe=safe)
    return [tuple(one) for one in (np.array(won).T + bets).T.tolist()]


def _closed(state: CanaryState, rows: tuple[CanaryRow, ...]) -> CanaryState:
    served, bad = state.canary
    good = state.stable[0] - state.stable[1]
    silent = served == 0.0
    missed = silent and state.stable[0] > 0.0 and state.expected
    # Without a response there is nothing new to say about death; both silent says nothing at all.
    died = served > 0.0 and bad == served and good >= max(1.0, _STABLE_WELL * state.stable[0])
    lives = served > 0.0 and not died
    return replace(
        state,
        opened_at=state.at,
        rows=rows,
        seen=False,
        canary=(0.0, 0.0),
        stable=(0.0, 0.0),
        expected=False,
        buckets=state.buckets + state.seen,
        served=state.seen and served > 0.0 and state.stable[0] > 0.0,
        missing=state.missing + 1 if missed else (state.missing if silent else 0),
        dead=0 if lives else state.dead + died,
        dead_bad=0.0 if lives else state.dead_bad + (bad if died else 0.0),
    )


def _ln_evidence(rows: Sequence[CanaryRow]) -> Iterator[tuple[float, float | None]]:
    """Yield ln of each row's evidence of harm, and for the certificate if one is asked for."""
    if not rows:
        return
    harm = share_bet.ln_mean(np.array([row.harm for row in rows]).T).tolist()
    asks = [row.safe for row in rows if row.safe]
    won = np.array(asks).reshape(-1, share_bet.STAKES).T
    safe = iter(share_bet.ln_mean(won, safe=True).tolist())
    yield from (
        (one, next(safe) if row.safe else None) for one, row in zip(harm, rows, strict=True)
    )


def _evidence(
    state: CanaryState, config: CanaryConfig, said: Iterator[tuple[float, float | None]]
) -> tuple[MetricEvidence, ...]:
    """Return what the metrics say; takes as many of what is said as there are rows."""
    mine = [next(said) for _ in state.rows]
    every = [harm for harm, _ in mine]
    out, at = [], 0
    for metric in config.metrics:
        places = range(at, at + _height(metric))
        at = places.stop
        worst = max(places, key=every.__getitem__)
        total, bad, stable, stable_bad = state.rows[worst].counts
        certain = [safe for i in places if (safe := mine[i][1]) is not None]
        out.append(
            MetricEvidence(
                metric=metric.name,
                harm_e=_e(_ln_mean([every[i] for i in places])),
                safe_e=_e(min(certain)) if certain else None,
                margin=metric.margin,
                ratio=(bad / total) / (stable_bad / stable) if bad and stable_bad else None,
                canary_bad=bad,
                canary_total=total,
                stable_bad=stable_bad,
                stable_total=stable,
            )
        )
    return tuple(out)


def _settle(
    state: CanaryState, evidence: tuple[MetricEvidence, ...], config: CanaryConfig
) -> CanaryState:
    """Return the state with what was found now for good."""
    dead = state.dead >= config.dead_buckets and state.dead_bad >= DEAD_LEAST
    harm = dead or harm_e(evidence, config) >= 1.0 / config.alpha
    lowest = safe_e(evidence)
    safe = lowest is not None and lowest >= 1.0 / config.alpha  # for the first time
    return replace(
        state,
        harm_at=state.at if harm and state.harm_at is None else state.harm_at,
        certified_at=state.at if safe and state.certified_at is None else state.certified_at,
    )


def harm_e(evidence: Sequence[MetricEvidence], config: CanaryConfig) -> float:
    """Return the weighted mean of the metrics' e-values: an e-value, however they depend."""
    weights = {metric.name: metric.weight for metric in config.metrics}
    total = sum(weights[one.metric] for one in evidence)
    return sum(one.harm_e * (weights[one.metric] / total) for one in evidence)


def safe_e(evidence: Sequence[MetricEvidence]) -> float | None:
    """Return the smallest certificate: all that ask for one must have it."""
    return min((one.safe_e for one in evidence if one.safe_e is not None), default=None)


def _judge(
    before: CanaryState,
    after: CanaryState,
    counts: Counts,
    config: CanaryConfig,
    evidence: tuple[MetricEvidence, ...],
) -> CanaryJudgement:
    unread = words.unread(before, counts, config)
    verdict = _verdict(after, config, evidence, fresh=not unread)
    return CanaryJudgement(
        verdict=verdict,
        at=counts.at,
        harm_e=harm_e(evidence, config),
        safe_e=safe_e(evidence),
        threshold=1.0 / config.alpha,
        buckets=after.buckets,
        metrics=evidence,
        because=(*words.because(verdict, after, config, evidence), *unread),
        caveats=words.caveats(config),
    )


def _verdict(
    state: CanaryState,
    config: CanaryConfig,
    evidence: tuple[MetricEvidence, ...],
    *,
    fresh: bool,
) -> CanaryVerdict:
    if state.harm_at is not None:
        return CanaryVerdict.HARM
    if state.missing > config.missing_buckets:
        return CanaryVerdict.NO_EVIDENCE
    # One pod whose margin nobody calibrated is not promoted: it is not known what was compared.
    told_apart = config.calibrated or config.pods is None or config.pods >= PODS_LEAST
    # What once was certified and is no more has become worse: it must earn it again.
    lowest = safe_e(evidence)
    proven = told_apart and lowest is not None and lowest >= 1.0 / config.alpha
    if proven and fresh and state.served:
        return CanaryVerdict.CERTIFIED
    if state.started_at is None or state.at is None or proven:
        return CanaryVerdict.UNDECIDED
    late = state.at - state.started_at >= config.deadline_ns
    return CanaryVerdict.DEADLINE if late else CanaryVerdict.UNDECIDED


def _sum(one: Four, other: Four) -> Four:
    return (one[0] + other[0], one[1] + other[1], one[2] + other[2], one[3] + other[3])


def _plus(one: tuple[float, float], other: tuple[float, float] | None) -> tuple[float, float]:
    return one if other is None else (one[0] + other[0], one[1] + other[1])


def _ln_mean(ln: Sequence[float]) -> float:
    most = max(ln)
    return most + math.log(sum(math.exp(one - most) for one in ln) / len(ln))


def _e(ln: float) -> float:
    return math.exp(min(ln, _LN_MOST))
