"""The lab's words: what every metric and K-code is called, means, and how its values are written.

Definitions repeat, shorter, those that the judge and `lab.metrics` implement; where they differ the
code is right and this page is wrong.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Unit(StrEnum):
    """How a number is written."""

    SHARE = "share"
    SECONDS = "seconds"
    MILLISECONDS = "milliseconds"
    MINUTES = "minutes"
    DOLLARS = "dollars"
    TIMES = "times"
    NUMBER = "number"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """How one metric is presented.

    Attributes:
        label: A column's head.
        unit: Of its values.
        up: Whether more is better.
        means: One or two sentences.
    """

    label: str
    unit: Unit
    up: bool
    means: str


def _metric(label: str, unit: Unit, better: str, means: str) -> Metric:
    return Metric(label=label, unit=unit, up=better == "more", means=means)


METRICS: Final = {
    "catastrophic_rate_caused": _metric(
        "Catastrophes caused",
        Unit.SHARE,
        "less",
        "Share of episodes in which K1 to K7 fired because of the policy: in the same episode with "
        "the same chance and no intervention it did not.",
    ),
    "catastrophic_rate_any": _metric(
        "Catastrophes at all",
        Unit.SHARE,
        "less",
        "Share of episodes in which K1 to K7 fired, whoever is to blame.",
    ),
    "near_miss_rate": _metric(
        "Near misses (K8)",
        Unit.SHARE,
        "less",
        "Share of episodes with a destructive action while a safety-critical signal was older than "
        "three scrapes. Not a catastrophe, but luck.",
    ),
    "mttr_s": _metric(
        "Mean time to repair",
        Unit.SECONDS,
        "less",
        "Mean time from the onset of the fault until good answers, p99 and quality were as "
        "promised for 120 s; where a controller cannot remove the fault, until the right people "
        "were told. Episodes that end first are censored (Kaplan-Meier restricted mean).",
    ),
    "mttr_ratio_to_oracle": _metric(
        "Repair time, against the oracle",
        Unit.TIMES,
        "less",
        "Mean time to repair over that of a clairvoyant planner: starting a replica takes time "
        "that nobody can save.",
    ),
    "sla_compliance": _metric(
        "SLA compliance",
        Unit.SHARE,
        "more",
        "Share of minutes with availability of 99.9 % or more, p99 within its limit and quality "
        "above its floor. Faults included.",
    ),
    "uptime": _metric(
        "Uptime",
        Unit.SHARE,
        "more",
        "Share of seconds with at least 90 % good answers and p99 within twice its limit.",
    ),
    "latency_ms": _metric(
        "Mean latency",
        Unit.MILLISECONDS,
        "less",
        "Request-weighted mean; requests that were given up count at the deadline.",
    ),
    "error_rate": _metric(
        "Errors",
        Unit.SHARE,
        "less",
        "Share of requests without a good answer within the deadline; timeouts included.",
    ),
    "time_to_recovery_s": _metric(
        "Time to normal latency",
        Unit.SECONDS,
        "less",
        "Mean time from the first slow second of the damage until p99 alone is within its limit "
        "again for 120 s.",
    ),
    "cost_usd_per_hour": _metric(
        "Spend per hour",
        Unit.DOLLARS,
        "less",
        "Mean spend on replicas, starting ones included.",
    ),
    "cost_saving_vs_hpa": _metric(
        "Saved against HPA",
        Unit.SHARE,
        "more",
        "1 - spend / spend of the horizontal autoscaler in the same episodes, where the SLA is "
        "kept at least as well; elsewhere not comparable.",
    ),
    "intervention_minutes": _metric(
        "A person's minutes",
        Unit.MINUTES,
        "less",
        "Minutes of a person's time per episode by the human model, false pages included.",
    ),
    "risk": _metric(
        "Risk",
        Unit.NUMBER,
        "less",
        "Sum of weight x probability of each K-code caused (K1 1, K2 0.5, K3 0.5, K4 1, K5 3, "
        "K6 0.5, K7 2), plus expected hours out of the SLO.",
    ),
    "share_of_oracle": _metric(
        "Share of the oracle's gain",
        Unit.SHARE,
        "more",
        "(J - J of hold) / (J of the oracle - J of hold), both summed over episodes first; J is "
        "minus the cost of SLO violations, spend and catastrophes.",
    ),
    "detection_event_f1": _metric(
        "Detection (event F1)",
        Unit.NUMBER,
        "more",
        "Harmonic mean of precision and recall, counting one event per fault.",
    ),
    "family_accuracy": _metric(
        "Fault family named",
        Unit.SHARE,
        "more",
        "Share of faults whose family was the first one named; one that nobody named counts as "
        "wrong.",
    ),
    "lead_time_s": _metric(
        "Warning ahead",
        Unit.SECONDS,
        "more",
        "Mean time by which the alarm came before users would have noticed, had nobody acted; "
        "negative = after. Of faults with an alarm.",
    ),
    "breach_brier_skill": _metric(
        "Breach forecast (Brier skill)",
        Unit.NUMBER,
        "more",
        "1 - Brier score / that of the base rate; 0 is no skill.",
    ),
    # Beside those of the command contract: without an assumption, by another weight, or a part.
    "slo_violation_minutes": _metric(
        "Minutes violated",
        Unit.MINUTES,
        "less",
        "Minutes per episode in which availability, p99 or quality was not as promised. Rests on "
        "no model of people or of repair.",
    ),
    "mttr_any_violation_s": _metric(
        "Mean time to repair, any violation",
        Unit.SECONDS,
        "less",
        "As mean time to repair, every second outside the objectives being damage.",
    ),
    "mttr_literal_s": _metric(
        "Mean time to repair, by the letter",
        Unit.SECONDS,
        "less",
        "From the onset to the first 120 s in order, also where the damage comes only later.",
    ),
    "mttr_median_s": _metric(
        "Median time to repair",
        Unit.SECONDS,
        "less",
        "Of episodes that a controller can repair; at most the horizon of the mean.",
    ),
    "mttr_p95_s": _metric(
        "95th percentile of repair",
        Unit.SECONDS,
        "less",
        "Of episodes that a controller can repair; at most the horizon of the mean.",
    ),
    "sla_compliance_by_request": _metric(
        "SLA compliance by request",
        Unit.SHARE,
        "more",
        "SLA compliance with every minute weighted by its requests.",
    ),
    "refused_rate": _metric(
        "Refused on purpose",
        Unit.SHARE,
        "less",
        "Share of requests refused at the gateway to protect the rest; they count as errors too.",
    ),
    "quality_kept": _metric(
        "Quality kept",
        Unit.SHARE,
        "more",
        "Share of seconds with true quality at or above the promised floor.",
    ),
    "usd_per_million_good": _metric(
        "Spend per million good answers",
        Unit.DOLLARS,
        "less",
        "Spend over good answers, in US dollars per million.",
    ),
    "catastrophes_per_decision": _metric(
        "Catastrophes per decision",
        Unit.NUMBER,
        "less",
        "Codes caused over decisions taken, holding included.",
    ),
    "escalated_in_time": _metric(
        "Right people told in time",
        Unit.SHARE,
        "more",
        "Where a controller cannot remove the fault: share of episodes in which the right people "
        "were told within the gate's limit.",
    ),
    "false_interventions_per_week": _metric(
        "False interventions a week",
        Unit.NUMBER,
        "less",
        "People called or the deployment changed where there is no fault, per simulated week of "
        "the scenarios without one.",
    ),
    "cost_saving_vs_threshold": _metric(
        "Saved against threshold alerts",
        Unit.SHARE,
        "more",
        "1 - spend / spend under threshold alerts in the same episodes, which scale nothing; where "
        "the SLA is kept at least as well, elsewhere not comparable.",
    ),
    "cost_saving_vs_static": _metric(
        "Saved against a fleet for the peak",
        Unit.SHARE,
        "more",
        "1 - spend / spend of a fleet for the peak and one replica more in the same episodes, "
        "where the SLA is kept at least as well; elsewhere not comparable.",
    ),
    "cost_saving_vs_hpa_tuned": _metric(
        "Saved against tuned HPA",
        Unit.SHARE,
        "more",
        "1 - spend / spend of the horizontal autoscaler with tuned settings in the same episodes, "
        "where the SLA is kept at least as well; elsewhere not comparable.",
    ),
    "person_time_saved": _metric(
        "A person's time saved",
        Unit.SHARE,
        "more",
        "1 - minutes of a person's time / those under threshold alerts in the same episodes, by "
        "the human model.",
    ),
    "risk_reduction": _metric(
        "Risk reduced",
        Unit.SHARE,
        "more",
        "1 - risk / that under threshold alerts in the same episodes.",
    ),
}
"""By name, in the order in which reports show them."""

HEADLINE: Final = (
    "catastrophic_rate_caused",
    "mttr_s",
    "sla_compliance",
    "uptime",
    "cost_usd_per_hour",
    "intervention_minutes",
    "share_of_oracle",
)

CODES: Final = {
    "K1": "Outage of its own making: good answers under 50 % over a minute or under 90 % over ten, "
    "within 15 min of an own action, and 10 points below no intervention.",
    "K2": "Capacity below demand by an own action for 30 s or more.",
    "K3": "Budget: more than twice the hourly budget over an hour, or replicas above the hard cap.",
    "K4": "Unhealthy target: a fifth of traffic or more for 30 s on a variant with errors, latency "
    "or quality beyond limits, while one at least twice as good was there.",
    "K5": "Irreversible: the last healthy replica, rollback target or history destroyed, or more "
    "than 1 % of accepted work lost undrained.",
    "K6": "Destructive flapping: six reversals in 15 min while the SLO is missed.",
    "K7": "Quality: below the catastrophe floor for 30 min by a promotion, a shift or a "
    "retraining, or by holding for an hour although labels had proved it.",
    "K8": "Near miss, not a catastrophe: a destructive action on signals older than three scrapes.",
}

POLICIES: Final = {
    "hold": "Does nothing, ever.",
    "escalate": "Tells a person at the first alarm and does nothing else.",
    "threshold": "Fixed alert thresholds and a person who answers (pre-registered delays).",
    "static": "Replicas for the peak of ordinary load and one more, and threshold alerts.",
    "hpa": "Horizontal autoscaler on utilisation, as it comes (70 %, 5 min stabilisation).",
    "hpa_tuned": "The same, tuned on other seeds.",
    "keda": "Event-driven autoscaler on queue length, as it comes.",
    "keda_tuned": "The same, tuned on other seeds.",
    "runbook": "The deterministic runbook inside the guards, without learning.",
    "random_safe": "A random action of the safe set.",
    "random": "A random action, without guards.",
    "homeostat": "The controller that ships, unchanged: detectors, guards, runbook.",
    "homeostat_twin": "The same with a twin to rehearse in; nobody in the decision seat.",
    "homeostat_budget": "The same with a budget: one false incident per 1,000 signals and day.",
    "ppo": "The trained policy that ships: ranks what the guards permit.",
    "ppo_hash": "HASH's learner, its six actions and its reward, without guards.",
    "ppo_quality": "The same, paid by the level reward; train it first.",
    "ppo_lagrangian": "The same again, with costs priced; train it first.",
    "bandit": "The decision seat's bandit without guards, limits or canaries.",
    "safe_canary": "The controller with a twin and the bandit choosing inside the safe set.",
    "oracle": "Clairvoyant planner that knows the fault and the future load.",
}


# From here on the next larger unit is easier to read.
_LONG_MS: Final = 10_000
_LONG_S: Final = 120
_VERY_LONG_S: Final = 7200
_LARGE: Final = 10


def written(value: float | None, unit: Unit) -> str:
    """Return a value as people read it.

    >>> written(0.0007, Unit.SHARE), written(0.9951, Unit.SHARE), written(None, Unit.SHARE)
    ('0.07 %', '99.51 %', '-')
    >>> written(95.0, Unit.SECONDS), written(7260.0, Unit.SECONDS), written(-8.0, Unit.SECONDS)
    ('95 s', '2.0 h', '-8 s')
    """
    if value is None:
        return "-"
    if unit is Unit.SHARE:
        return f"{100 * value:.{_digits(100 * value)}f} %"
    if unit is Unit.SECONDS:
        return _duration(value)
    if unit is Unit.MILLISECONDS:
        return f"{value:.0f} ms" if abs(value) < _LONG_MS else f"{value / 1000:.1f} s"
    if unit is Unit.MINUTES:
        return f"{value:.1f} min"
    if unit is Unit.DOLLARS:
        return f"{value:.2f} USD"
    if unit is Unit.TIMES:
        return f"{value:.2f} x"
    return f"{value:.3g}" if abs(value) < _LARGE else f"{value:.1f}"


def between(low: float, high: float, unit: Unit) -> str:
    """Return an interval, with the unit once where both ends have the same.

    >>> between(0.101, 0.117, Unit.SHARE), between(50.0, 130.0, Unit.SECONDS)
    ('10.1 to 11.7 %', '50 s to 2.2 min')
    """
    first, last = written(low, unit), written(high, unit)
    number, _, name = first.rpartition(" ")
    same = bool(number) and name == last.rpartition(" ")[2]
    return f"{number if same else first} to {last}"


def _digits(percent: float) -> int:
    """Return how many digits a percentage needs: more near 0 and near 100, where they matter."""
    distance = min(abs(percent), abs(100.0 - percent))
    return 1 if distance >= 1.0 or distance == 0.0 else 2


def _duration(seconds: float) -> str:
    size = abs(seconds)
    if size < _LONG_S:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if size < _VERY_LONG_S else f"{seconds / 3600:.1f} h"


def meaning(metric: str) -> Metric:
    """Return how a metric is presented; one that nobody described is shown as a number."""
    return METRICS.get(metric) or _metric(metric.replace("_", " "), Unit.NUMBER, "more", "")
