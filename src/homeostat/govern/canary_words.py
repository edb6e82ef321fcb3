"""What the canary judge says of itself: why, what was not read, what it cannot know."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from homeostat.base.canary import (
    ERRORS,
    CanaryConfig,
    CanaryJudgement,
    CanaryState,
    CanaryVerdict,
    Counts,
    MetricEvidence,
)

GIVES_BACK: Final = (CanaryVerdict.HARM, CanaryVerdict.NO_EVIDENCE, CanaryVerdict.DEADLINE)
"""Verdicts after which the canary's traffic goes back to stable."""
UNCALIBRATED: Final = "uncalibrated: nobody measured how much pods of one version differ"
CONFOUNDED: Final = "confounded: one pod, the version cannot be told from its node"
UNCOUNTED: Final = "pods unknown: if it is one, the version cannot be told from its node"


def caveats(config: CanaryConfig) -> tuple[str, ...]:
    """Return what no verdict under this configuration can know."""
    out = [] if config.calibrated else [UNCALIBRATED]
    if config.pods is None:
        out.append(UNCOUNTED)
    elif config.pods == 1:
        out.append(CONFOUNDED)
    return tuple(out)


def unread(before: CanaryState, counts: Counts, config: CanaryConfig) -> tuple[str, ...]:
    """Return what of the newest counts could not be read, in words; empty when all was."""
    if before.at is not None and counts.at <= before.at:
        late = f"counts of {counts.at} are not later than {before.at}: not counted"
        return (f"{late}; send each moment once, in order",)
    out = []
    for arm, total, bad in (
        ("canary", counts.canary_total, counts.canary_bad),
        ("stable", counts.stable_total, counts.stable_bad),
    ):
        why = _odd(total, bad)
        if why:
            out.append(f"{arm}: {why}: unknown, not counted")
    arms = {one.metric: one for one in counts.histograms}
    for metric in config.metrics:
        if metric.name == ERRORS:
            continue
        if metric.name not in arms:
            out.append(f"{metric.name}: not reported: unknown, not counted")
            continue
        one = arms[metric.name]
        for arm, values in (("canary", one.canary), ("stable", one.stable)):
            wanted = len(metric.bounds) + 1
            rising = all(a <= b < float("inf") for a, b in pairwise((0.0, *values)))
            if len(values) != wanted or not rising:
                out.append(
                    f"{metric.name}, {arm}: {list(values)} are no {wanted} increments of "
                    "cumulative buckets: unknown, not counted"
                )
    return tuple(out)


def _odd(total: float | None, bad: float | None) -> str:
    if total is None or bad is None:
        return "not reported"
    if 0.0 <= bad <= total < float("inf"):
        return ""
    return f"{bad} bad of {total} responses cannot be counts"


def because(
    verdict: CanaryVerdict,
    state: CanaryState,
    config: CanaryConfig,
    evidence: Sequence[MetricEvidence],
) -> tuple[str, ...]:
    """Return why, the verdict's own reason first."""
    return (_first(verdict, state, config), *(_metric(one, config) for one in evidence))


def _first(verdict: CanaryVerdict, state: CanaryState, config: CanaryConfig) -> str:
    match verdict:
        case CanaryVerdict.HARM:
            return _harm(state, config)
        case CanaryVerdict.CERTIFIED:
            return _certified(config)
        case CanaryVerdict.NO_EVIDENCE:
            return (
                f"the canary was not seen for {state.missing} buckets in a row while stable "
                "served: return its traffic, it is not blamed"
            )
        case CanaryVerdict.DEADLINE:
            return f"no certificate after {minutes(config.deadline_ns)}"
        case CanaryVerdict.UNDECIDED:
            return _undecided(state)


def minutes(duration_ns: int) -> str:
    """Return a duration in words.

    >>> minutes(90_000_000_000), minutes(14_400_000_000_000)
    ('1.5 minutes', '240 minutes')
    """
    return f"{duration_ns / 60e9:g} minutes"


def _harm(state: CanaryState, config: CanaryConfig) -> str:
    if state.dead >= config.dead_buckets:
        return (
            f"not one good response of the canary in {state.dead} buckets "
            f"({state.dead_bad:.0f} bad), while stable serves"
        )
    return f"worse than the margin: the e-value reached {1 / config.alpha:g}"


def _certified(config: CanaryConfig) -> str:
    said = [f"{m.name} below {m.promote_ratio:g}" for m in config.metrics if m.promote_ratio]
    return f"certified at {config.alpha:g}: ratio of {', '.join(said)} times stable's"


def _undecided(state: CanaryState) -> str:
    if state.missing:
        return f"the canary is not seen ({state.missing} buckets so far): hold"
    if state.certified_at is not None:
        return "certified, and not said again until both arms are seen and told apart: hold"
    return f"neither harm nor certificate after {state.buckets} buckets: hold"


def _metric(one: MetricEvidence, config: CanaryConfig) -> str:
    safe = "" if one.safe_e is None else f", certificate {one.safe_e:.3g}"
    rates = (
        f"{one.canary_bad:.0f} of {one.canary_total:.0f} against {one.stable_bad:.0f} of "
        f"{one.stable_total:.0f}"
    )
    ratio = "" if one.ratio is None else f", ratio {one.ratio:.2f}"
    return (
        f"{one.metric}: harm e-value {one.harm_e:.3g}{safe} (of {1 / config.alpha:g}); "
        f"{rates}{ratio}, margin {one.margin:.2f}"
    )


def plain(judgement: CanaryJudgement) -> dict[str, Any]:
    """Return a judgement as scripts read it: the verdict, and each question as yes or no.

    `harm`, `certified` and `return_traffic` are for rules that take a condition
    (`result.certified == true`); nothing in here is NaN or infinite.
    """
    verdict = judgement.verdict
    return {
        "verdict": verdict.value,
        "harm": verdict is CanaryVerdict.HARM,
        "certified": verdict is CanaryVerdict.CERTIFIED,
        "return_traffic": verdict in GIVES_BACK,
        "harm_e": judgement.harm_e,
        "certificate_e": judgement.safe_e,
        "threshold": judgement.threshold,
        "buckets": judgement.buckets,
        "metrics": [
            {
                "metric": one.metric,
                "harm_e": one.harm_e,
                "certificate_e": one.safe_e,
                "margin": one.margin,
                "ratio": one.ratio,
                "canary": {"total": one.canary_total, "bad": one.canary_bad},
                "stable": {"total": one.stable_total, "bad": one.stable_bad},
            }
            for one in judgement.metrics
        ],
        "because": list(judgement.because),
        "caveats": list(judgement.caveats),
    }
