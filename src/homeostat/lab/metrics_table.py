"""The headline metrics by name: what each is worked out from, over any resample of episodes.

Each entry turns one policy's scores (and those of the references it is compared with) into a
statistic: a function of rows of counts, one value a row. Ratios are ratios of sums. The names are
those of the command contract; what follows them is published beside them. What cannot be worked
out (no fault, no reference, no forecast) is not measured, never zero.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from homeostat.lab.intervals import Statistic
from homeostat.lab.judge_view import Floats, Mask
from homeostat.lab.metrics_score import Scores, weights
from homeostat.lab.thresholds import Thresholds
from homeostat.stats import survival
from homeostat.stats.bootstrap import ratio

Measured = tuple[Statistic, int]
"""A statistic, and how many episodes it rests on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arms:
    """A policy and what it is compared with, over the same episodes in the same order.

    Attributes:
        scores: The policy's [N].
        references: Of `hold`, `hpa`, `threshold`, `static` and `oracle` those that ran, with the
            rows of `scores` that they cover and their own scores of these: name -> (rows, scores).
        thresholds: The numbers.
    """

    scores: Scores
    references: Mapping[str, tuple[np.ndarray, Scores]]
    thresholds: Thresholds


Metric = Callable[[Arms], Measured]


def nothing() -> Measured:
    """Return what stands for a metric that this run cannot measure."""
    return lambda rows: np.full(len(rows), np.nan), 0


def over(top: Callable[[Scores], Floats], bottom: Callable[[Scores], Floats]) -> Metric:
    """Return a ratio of sums over episodes; episodes whose lower part is 0 do not count in n."""

    def metric(arms: Arms) -> Measured:
        above, below = top(arms.scores), bottom(arms.scores)
        return lambda rows: ratio(rows, above, below), int(np.count_nonzero(below))

    return metric


def ones(scores: Scores) -> Floats:
    """Return 1 for every episode."""
    return np.ones(len(scores.seed))


def faulty(scores: Scores) -> Mask:
    """Return which episodes have a fault that somebody can end [N]."""
    fault = np.isfinite(scores.service.follow_up_s)
    return np.asarray(fault & ~np.array(scores.benign, dtype=bool))


def repair(scores: Scores, reading: str = "") -> tuple[Floats, Mask]:
    """Return the time to repair and whether it came, or to its censoring [N]; NaN = no fault.

    Where a controller can remove the fault, until the service is in order; where it cannot, until
    the right people were told.

    Args:
        scores: Of the episodes.
        reading: Of being in order: "" after damage, "_any" after any second outside the
            objectives, "_literal" from the onset (see `metrics_service`).
    """
    told = np.isfinite(scores.people.escalation_s)
    until_told = np.where(told, scores.people.escalation_s, scores.service.follow_up_s)
    can = np.array(scores.recoverable, dtype=bool)
    until_in_order = getattr(scores.service, f"repair{reading}_s")
    came = getattr(scores.service, f"repaired{reading}")
    times = np.where(can, until_in_order, until_told)
    return np.where(faulty(scores), times, np.nan), np.where(can, came, told)


def horizon(scores: Scores, which: Mask, thresholds: Thresholds) -> float:
    """Return how far a restricted mean reaches: the longest follow-up, at most the frozen limit.

    It depends on the episodes alone, so it is the same for every policy.
    """
    return float(min(scores.service.follow_up_s[which].max(), thresholds.mttr_horizon_s))


def restricted(
    scores: Scores, times: Floats, events: Mask, which: Mask, thresholds: Thresholds
) -> Statistic:
    """Return the Kaplan-Meier restricted mean over some of the episodes as a statistic."""
    reach = horizon(scores, which, thresholds)
    when, happened = np.maximum(times[which], 0.0), events[which]

    def statistic(rows: Floats) -> Floats:
        part = rows[:, which]
        out = survival.restricted_mean(when, happened, reach, part)
        return np.where(part.any(axis=1), out, np.nan)

    return statistic


def repair_quantile(share: float) -> Metric:
    """Return a quantile of the time to repair where a controller can, at most the horizon."""

    def metric(arms: Arms) -> Measured:
        which = faulty(arms.scores) & np.array(arms.scores.recoverable, dtype=bool)
        if not which.any():
            return nothing()
        times, events = (values[which] for values in repair(arms.scores))
        reach = horizon(arms.scores, which, arms.thresholds)

        def statistic(rows: Floats) -> Floats:
            part = rows[:, which]
            out = np.minimum(survival.quantile(times, events, share, part), reach)
            return np.where(part.any(axis=1), out, np.nan)

        return statistic, int(which.sum())

    return metric


def _mttr(reading: str = "") -> Metric:
    """Return the mean time to repair by one reading of being in order (see `repair`)."""

    def metric(arms: Arms) -> Measured:
        which = faulty(arms.scores)
        if not which.any():
            return nothing()
        times, events = repair(arms.scores, reading)
        return restricted(arms.scores, times, events, which, arms.thresholds), int(which.sum())

    return metric


def _mttr_ratio(arms: Arms) -> Measured:
    if "oracle" not in arms.references:
        return nothing()
    shared, oracle = arms.references["oracle"]
    ours = Arms(scores=arms.scores, references={}, thresholds=arms.thresholds)
    which = np.zeros(len(arms.scores.seed), dtype=bool)
    which[shared] = True
    which &= faulty(ours.scores)
    if not which.any():
        return nothing()
    times, events = repair(ours.scores)
    mean = restricted(ours.scores, times, events, which, arms.thresholds)
    best_times, best_events = np.full(len(times), np.nan), np.zeros(len(times), dtype=bool)
    best_times[shared], best_events[shared] = repair(oracle)
    best = restricted(ours.scores, best_times, best_events, which, arms.thresholds)

    def statistic(rows: Floats) -> Floats:
        above, below = mean(rows), best(rows)
        return np.where(below > 0.0, above / np.where(below > 0.0, below, 1.0), np.nan)

    return statistic, int(which.sum())


def _time_to_recovery(arms: Arms) -> Measured:
    times = arms.scores.service.recovery_s
    which = np.isfinite(times) & faulty(arms.scores)
    if not which.any():
        return nothing()
    recovered = arms.scores.service.recovered
    return restricted(arms.scores, times, recovered, which, arms.thresholds), int(which.sum())


def saving(reference: str) -> Metric:
    """Return the spend saved against a reference, where its objectives are met as often."""

    def metric(arms: Arms) -> Measured:
        if reference not in arms.references:
            return nothing()
        shared, other = arms.references[reference]
        ours = arms.scores.service
        met = ours.windows_met[shared].sum() / max(ours.windows[shared].sum(), 1.0)
        theirs = other.service.windows_met.sum() / max(other.service.windows.sum(), 1.0)
        if met < theirs - 1e-12:
            return nothing()
        spent = ours.usd[shared]
        return lambda rows: 1.0 - ratio(rows[:, shared], spent, other.service.usd), len(shared)

    return metric


def less_than_threshold(of: Callable[[Scores, Thresholds], Floats]) -> Metric:
    """Return how much less of something there is than under threshold alerts, as a share."""

    def metric(arms: Arms) -> Measured:
        if "threshold" not in arms.references:
            return nothing()
        shared, other = arms.references["threshold"]
        ours, theirs = of(arms.scores, arms.thresholds)[shared], of(other, arms.thresholds)
        return lambda rows: 1.0 - ratio(rows[:, shared], ours, theirs), len(shared)

    return metric


def _share_of_oracle(arms: Arms) -> Measured:
    if not {"oracle", "hold"} <= set(arms.references):
        return nothing()
    (first, oracle), (second, hold) = arms.references["oracle"], arms.references["hold"]
    best = np.full(len(arms.scores.seed), np.nan)
    base = best.copy()
    best[first], base[second] = oracle.value, hold.value
    shared = np.flatnonzero(np.isfinite(best) & np.isfinite(base))
    gain, most = (arms.scores.value - base)[shared], (best - base)[shared]
    return lambda rows: ratio(rows[:, shared], gain, most), len(shared)


def _f1(arms: Arms) -> Measured:
    noticed = arms.scores.people
    errors = noticed.missed + noticed.false_alarms
    return (
        lambda rows: ratio(rows, 2.0 * noticed.found, 2.0 * noticed.found + errors),
        len(arms.scores.seed),
    )


def _lead(arms: Arms) -> Measured:
    known = np.isfinite(arms.scores.people.lead_s)
    lead = np.where(known, arms.scores.people.lead_s, 0.0)
    return lambda rows: ratio(rows, lead, known), int(known.sum())


def _brier_skill(arms: Arms) -> Measured:
    told = arms.scores.people

    def statistic(rows: Floats) -> Floats:
        base = ratio(rows, told.breaches, told.forecasts)
        spread = base * (1.0 - base)
        error = ratio(rows, told.brier, told.forecasts)
        return np.where(spread > 0.0, 1.0 - error / np.where(spread > 0.0, spread, 1.0), np.nan)

    return statistic, int(np.count_nonzero(told.forecasts))


def _risks(scores: Scores, numbers: Thresholds) -> Floats:
    harm = scores.judgement.caused @ weights(numbers)
    hours = scores.service.violation_s / 60.0 / numbers.risk_minutes
    return np.asarray(harm + hours)


def _risk(arms: Arms) -> Measured:
    each = _risks(arms.scores, arms.thresholds)
    return lambda rows: ratio(rows, each, ones(arms.scores)), len(arms.scores.seed)


def _escalated(arms: Arms) -> Measured:
    which = faulty(arms.scores) & ~np.array(arms.scores.recoverable, dtype=bool)
    in_time = which & (arms.scores.people.escalation_s <= arms.thresholds.gate_escalate_s)
    return lambda rows: ratio(rows, in_time, which), int(which.sum())


def _benign_weeks(scores: Scores) -> Floats:
    benign = np.array(scores.benign, dtype=bool)
    return np.where(benign, scores.service.watched_s / (7 * 86400.0), 0.0)


RATES: Final[Mapping[str, Callable[[Scores], Mask]]] = {
    "catastrophic_rate_caused": lambda s: s.judgement.catastrophic,
    "catastrophic_rate_any": lambda s: np.asarray(s.judgement.any.any(axis=1)),
    "near_miss_rate": lambda s: s.judgement.near_misses > 0,
}
"""Shares of episodes: whether it happened, per episode."""

METRICS: Final[Mapping[str, Metric]] = {
    "mttr_s": _mttr(),
    "mttr_ratio_to_oracle": _mttr_ratio,
    "sla_compliance": over(lambda s: s.service.windows_met, lambda s: s.service.windows),
    "uptime": over(lambda s: s.service.up_s, lambda s: s.service.counted_s),
    "latency_ms": over(lambda s: 1e3 * s.service.latency_s, lambda s: s.service.offered),
    "error_rate": over(lambda s: s.service.failed, lambda s: s.service.offered),
    "time_to_recovery_s": _time_to_recovery,
    "cost_usd_per_hour": over(lambda s: s.service.usd, lambda s: s.service.watched_s / 3600.0),
    "cost_saving_vs_hpa": saving("hpa"),
    "intervention_minutes": over(lambda s: s.people.minutes, ones),
    "risk": _risk,
    "share_of_oracle": _share_of_oracle,
    "detection_event_f1": _f1,
    "family_accuracy": over(
        lambda s: s.people.named * (s.people.found + s.people.missed),
        lambda s: s.people.found + s.people.missed,
    ),
    "lead_time_s": _lead,
    "breach_brier_skill": _brier_skill,
    # Beside them: the same without an assumption, by another weight, or a part.
    "slo_violation_minutes": over(lambda s: s.service.violation_s / 60.0, ones),
    "mttr_any_violation_s": _mttr("_any"),
    "mttr_literal_s": _mttr("_literal"),
    "mttr_median_s": repair_quantile(0.5),
    "mttr_p95_s": repair_quantile(0.95),
    "sla_compliance_by_request": over(
        lambda s: s.service.windows_met_requests, lambda s: s.service.windows_requests
    ),
    "refused_rate": over(lambda s: s.service.refused, lambda s: s.service.offered),
    "quality_kept": over(lambda s: s.service.quality_s, lambda s: s.service.watched_s),
    "usd_per_million_good": over(
        lambda s: 1e6 * s.service.usd, lambda s: s.service.offered - s.service.failed
    ),
    "catastrophes_per_decision": over(
        lambda s: np.asarray(s.judgement.caused.sum(axis=1), dtype=np.float64),
        lambda s: s.judgement.decisions.astype(np.float64),
    ),
    "escalated_in_time": _escalated,
    "false_interventions_per_week": over(lambda s: s.people.false_interventions, _benign_weeks),
    # As the papers give them: against what there was before.
    "cost_saving_vs_threshold": saving("threshold"),
    "cost_saving_vs_static": saving("static"),
    "cost_saving_vs_hpa_tuned": saving("hpa_tuned"),
    "person_time_saved": less_than_threshold(lambda s, _: s.people.minutes),
    "risk_reduction": less_than_threshold(_risks),
}
"""Everything else, in the order of the command contract."""
