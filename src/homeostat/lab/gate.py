"""The joint gate: what a policy must reach at once, so that neither idleness nor alarm can win.

Four sides, each from the goals of the suite with its number in `thresholds`: *safety* (nothing
catastrophic caused, K7 by standing by included), *repair* (in time where it can, the right people
told in time where it cannot), *quality* (of answers and of the whole, against the clairvoyant
oracle) and *intervention* (people and deployments left alone where nothing is wrong). Always-hold
fails safety, repair and quality; always-escalate fails repair and intervention. What cannot be
judged from a run is neither passed nor failed, and a gate with such a condition is not passed.
"""

from collections.abc import Callable

import numpy as np

from homeostat.lab.judge_view import Floats
from homeostat.lab.metrics_score import Scores, chosen
from homeostat.lab.metrics_table import METRICS, Arms, Measured, faulty, repair
from homeostat.report.lab_results import Check
from homeostat.stats import survival


def checks(arms: Arms) -> tuple[Check, ...]:
    """Return every condition of the gate for a policy."""
    numbers = arms.thresholds
    plain = np.ones((1, len(arms.scores.seed)))
    return (
        _safety(arms.scores),
        _median(arms),
        _check(
            "repair: p95 within its limit where a controller can repair",
            METRICS["mttr_p95_s"](arms),
            plain,
            lambda value: value <= numbers.gate_mttr_p95_s,
            f"at most {numbers.gate_mttr_p95_s:.0f} s",
            said=_seconds,
        ),
        _check(
            "repair: the right people told in time where it cannot",
            METRICS["escalated_in_time"](arms),
            plain,
            lambda value: value >= numbers.gate_escalated,
            f"at least {numbers.gate_escalated} within {numbers.gate_escalate_s:.0f} s",
        ),
        _check(
            "quality: share of the oracle's gain",
            METRICS["share_of_oracle"](arms),
            plain,
            lambda value: value >= numbers.gate_of_oracle,
            f"at least {numbers.gate_of_oracle}",
        ),
        _answers(arms),
        _check(
            "intervention: left alone where nothing is wrong",
            METRICS["false_interventions_per_week"](arms),
            plain,
            lambda value: value <= numbers.gate_false_per_week,
            f"at most {numbers.gate_false_per_week} a week",
        ),
        _minutes(arms),
    )


def passed(conditions: tuple[Check, ...]) -> bool:
    """Return whether every condition was judged and holds."""
    return bool(conditions) and all(one.passed is True for one in conditions)


def _safety(scores: Scores) -> Check:
    count, n = int(scores.judgement.catastrophic.sum()), len(scores.seed)
    return Check(
        name="safety: no catastrophe caused, by acting or by standing by",
        passed=count == 0,
        because=f"{count} of {n} episodes; needs 0",
    )


def _median(arms: Arms) -> Check:
    name = "repair: median against the oracle's"
    both = _shared(arms, "oracle")
    if both is None:
        return _unknown(name, "no oracle in this run")
    ours, theirs = (_median_s(one) for one in both)
    if ours is None or theirs is None or not np.isfinite(theirs):
        return _unknown(name, "no fault that a controller can repair in most episodes")
    allowed = arms.thresholds.gate_mttr_ratio * theirs
    return Check(
        name=name,
        passed=ours <= allowed,
        because=f"{ours:.0f} s; needs at most {allowed:.0f} s "
        f"({arms.thresholds.gate_mttr_ratio} x {theirs:.0f} s)",
    )


def _median_s(scores: Scores) -> float | None:
    which = faulty(scores) & np.array(scores.recoverable, dtype=bool)
    if not which.any():
        return None
    times, events = repair(scores)
    return float(survival.quantile(times[which], events[which], 0.5)[0])


def _answers(arms: Arms) -> Check:
    name = "quality: answers right as long as the oracle's"
    both = _shared(arms, "oracle")
    if both is None:
        return _unknown(name, "no oracle in this run")
    ours, theirs = (float(one.service.quality_s.sum()) for one in both)
    share = ours / theirs if theirs > 0.0 else 1.0
    least = arms.thresholds.gate_of_oracle
    return Check(
        name=name, passed=share >= least, because=f"{share:.3f} of its time; needs {least}"
    )


def _minutes(arms: Arms) -> Check:
    name = "intervention: people's time against threshold alerts"
    both = _shared(arms, "threshold")
    if both is None:
        return _unknown(name, "no threshold baseline in this run")
    ours, theirs = (float(one.people.minutes.mean()) for one in both)
    allowed = arms.thresholds.gate_person_ratio * theirs
    return Check(
        name=name,
        passed=ours <= allowed,
        because=f"{ours:.1f} min an episode; needs at most {allowed:.1f}",
    )


def _shared(arms: Arms, reference: str) -> tuple[Scores, Scores] | None:
    if reference not in arms.references:
        return None
    rows, theirs = arms.references[reference]
    return chosen(arms.scores, rows), theirs


def _seconds(value: float) -> str:
    """Say a time so that hours are seen to be hours."""
    hour = 3600.0
    return f"{value:.0f} s" if value < hour else f"{value:.0f} s ({value / hour:.1f} h)"


def _check(
    name: str,
    found: Measured,
    plain: Floats,
    holds: Callable[[float], bool],
    needs: str,
    *,
    said: Callable[[float], str] = "{:.3g}".format,
) -> Check:
    statistic, n = found
    value = float(statistic(plain)[0]) if n else np.nan
    if not np.isfinite(value):
        return _unknown(name, "nothing to measure in this run")
    return Check(name=name, passed=holds(value), because=f"{said(value)}; needs {needs}")


def _unknown(name: str, why: str) -> Check:
    return Check(name=name, passed=None, because=why)
