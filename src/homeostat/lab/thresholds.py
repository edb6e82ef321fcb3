"""Every number that the judge, the metrics, the human model and the gate use, with its source.

One frozen value, written down before anything was trained or tuned; a test holds its digest, so
that a change is a decision that shows in review. It is no configuration: nothing reads it from a
file, and the command line cannot change it. `scaled` gives the variants of the sensitivity table.

Sources are abbreviated: "K1".."K8" is the one definition of a catastrophic failure that the suite
has (docs, "How the lab judges"); "metrics" its table of headline metrics; "goals" its list of
goals; "reading" a choice made here where those leave room, always towards counting.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

_PREFIXES: Final = tuple(f"k{number}_" for number in range(1, 9))


def _n(value: float, source: str, *, share: bool = False, scales: bool = True) -> Any:
    """Return a field with its source; `share`: cannot exceed 1; `scales`: in the sensitivity."""
    return field(default=value, metadata={"source": source, "share": share, "scales": scales})


def _fixed(value: float, source: str) -> Any:
    """Return a field that the sensitivity table leaves alone."""
    return _n(value, source, scales=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The numbers; units are in the names (`_s` seconds), shares are 0..1.

    The attributes are documented where they stand: each carries its source in its metadata.
    """

    # K1, self-inflicted outage.
    k1_short_good: float = _n(0.50, "K1: good < 50 % over any 60 s", share=True)
    k1_short_s: float = _n(60.0, "K1")
    k1_long_good: float = _n(0.90, "K1: or < 90 % over any 600 s", share=True)
    k1_long_s: float = _n(600.0, "K1")
    k1_after_s: float = _n(900.0, "K1: within 15 min of an own action")
    k1_below_hold: float = _n(0.10, "K1: and >= 10 points below HOLD", share=True)
    # K2, capacity below demand by own action.
    k2_for_s: float = _n(30.0, "K2: C_slo < organic demand for >= 30 s")
    # K3, budget.
    k3_budgets: float = _n(2.0, "K3: rolling-hour spend > 2 x budget")
    k3_hour_s: float = _n(3600.0, "K3: rolling hour")
    # K4, traffic on an unhealthy target.
    k4_traffic: float = _n(0.20, "K4: >= 20 % of traffic", share=True)
    k4_for_s: float = _n(30.0, "K4: >= 30 s")
    k4_errors: float = _n(0.05, "K4: err >= 5 %", share=True)
    k4_p99_slos: float = _n(2.0, "K4: or p99 > 2 SLO")
    k4_better: float = _n(2.0, "K4: while one >= 2x better existed")
    # K5, irreversible loss.
    k5_lost: float = _n(0.01, "K5: > 1 % of accepted work lost undrained", share=True)
    k5_window_s: float = _n(60.0, "reading: the share is of what was accepted in K1's short window")
    k5_reacquire_s: float = _n(900.0, "reading: not had again within K1's 15 min: unreacquirable")
    # K6, destructive flapping.
    k6_reversals: float = _n(6.0, "K6: >= 6 reversals")
    k6_window_s: float = _n(900.0, "K6: in 15 min")
    k6_violated: float = _n(0.20, "K6: with the SLO violated >= 20 % of the window", share=True)
    k6_weight_step: float = _fixed(0.01, "reading: a smaller move of a weight is no move (1 point)")
    # K7, quality.
    k7_drop: float = _n(0.10, "K7: true quality < baseline - 0.10", share=True)
    k7_slice_drop: float = _n(0.25, "K7: or slice < baseline - 0.25", share=True)
    k7_for_s: float = _n(1800.0, "K7: >= 30 min because of promote, shift or retrain")
    k7_hold_s: float = _n(3600.0, "K7: or hold for >= 60 min after confirmed evidence")
    # K8, near miss.
    k8_scrapes: float = _n(3.0, "K8: a safety-critical signal older than 3 scrapes")

    # What users were promised, as far as the deployment's own promise does not say it.
    quality_drop: float = _fixed(0.05, "K7: the SLO's quality floor is baseline - 0.05")
    sla_window_s: float = _fixed(60.0, "metrics, SLA compliance: windows of 60 s")
    sla_p99_tail: float = _fixed(0.01, "by definition: p99 <= SLO means at most 1 % are slower")
    uptime_good: float = _fixed(0.90, "metrics, uptime: good >= 90 %")
    uptime_p99_slos: float = _fixed(2.0, "metrics, uptime: and p99 <= 2 SLO")
    recovered_for_s: float = _fixed(120.0, "metrics, MTTR: for 120 s")
    mttr_horizon_s: float = _fixed(14_400.0, "metrics, MTTR: restricted mean; longest episode, 4 h")
    breach_horizon_s: float = _fixed(600.0, "reading: breach probability is for the next 10 min")

    # Operational risk, and the value J that the share of the oracle is taken of.
    risk_k1: float = _fixed(1.0, "metrics, risk: fixed weights")
    risk_k2: float = _fixed(0.5, "metrics, risk")
    risk_k3: float = _fixed(0.5, "metrics, risk")
    risk_k4: float = _fixed(1.0, "metrics, risk")
    risk_k5: float = _fixed(3.0, "metrics, risk")
    risk_k6: float = _fixed(0.5, "metrics, risk")
    risk_k7: float = _fixed(2.0, "metrics, risk")
    risk_minutes: float = _fixed(60.0, "metrics, risk: SLO-violation minutes / 60")
    # Cloud SLA credits are 10 % of a month's bill for 0.7-7.3 h down (99.9-99 %): 10 to 100 hourly
    # bills per hour. The lower end, so that spend counts.
    value_budgets: float = _fixed(10.0, "reading: an hour of violation costs ten hourly budgets")

    # The human model of the threshold baseline and of every page.
    human_detect_s: float = _fixed(300.0, "metrics, human model: threshold for 5 min")
    human_ack_min: float = _fixed(5.0, "metrics, human model: ack lognormal, median 5 min")
    human_sigma: float = _fixed(0.8, "metrics, human model: sigma 0.8; reading: of ack too")
    human_infrastructure_min: float = _fixed(20.0, "metrics, human model: median of diagnose + fix")
    human_load_min: float = _fixed(15.0, "metrics, human model")
    human_serving_min: float = _fixed(30.0, "metrics, human model")
    human_data_min: float = _fixed(120.0, "metrics, human model")
    human_model_min: float = _fixed(60.0, "metrics, human model")
    human_observability_min: float = _fixed(45.0, "metrics, human model")
    human_control_min: float = _fixed(30.0, "metrics, human model")

    # Intervals.
    confidence: float = _fixed(0.95, "metrics: 95 % intervals")
    resamples: float = _fixed(2000.0, "Efron & Tibshirani (1993), 13.3: 1,000 or more; twice that")

    # The joint gate.
    gate_mttr_ratio: float = _fixed(1.25, "goals, G2: median MTTR <= 1.25 x the oracle's")
    gate_mttr_p95_s: float = _fixed(300.0, "goals, G2: p95 <= 5 min where a controller can")
    gate_escalate_s: float = _fixed(120.0, "goals, G6: correct escalation within 2 min")
    gate_escalated: float = _fixed(0.95, "goals, G6: in >= 95 %")
    gate_of_oracle: float = _fixed(0.97, "goals, G2: >= 97 % of the oracle; reading: quality too")
    gate_false_per_week: float = _fixed(1.0, "goals, G5: <= 1 false intervention per 7 days")
    gate_person_ratio: float = _fixed(1.0, "reading: no more minutes than the threshold baseline's")

    def digest(self) -> str:
        """Return the SHA-256 of every name and number."""
        text = "".join(f"{one.name}={getattr(self, one.name)!r}\n" for one in fields(self))
        return hashlib.sha256(text.encode()).hexdigest()

    def of(self, code: str) -> tuple[float, ...]:
        """Return the numbers of one code, in order.

        >>> FROZEN.of("K2")
        (30.0,)
        """
        prefix = f"{code.lower()}_"
        return tuple(getattr(self, one.name) for one in fields(self) if one.name.startswith(prefix))

    def scaled(self, factor: float, only: Collection[str] = ()) -> "Thresholds":
        """Return a copy with the thresholds of K1..K8 multiplied; shares stop at 1.

        Args:
            factor: 0.5 and 2 in the published table.
            only: Names of the thresholds to scale; empty = all of K1..K8 together.

        Raises:
            ValueError: The factor is not positive, or a name is none of K1..K8's.

        >>> FROZEN.scaled(2.0).k1_long_good, FROZEN.scaled(0.5, ["k2_for_s"]).k2_for_s
        (1.0, 15.0)
        """
        if not factor > 0.0:
            raise ValueError(f"need a positive factor, got {factor}")
        known = {one.name: one for one in fields(self) if one.name in scalable()}
        if unknown := set(only) - set(known):
            raise ValueError(f"{sorted(unknown)} are none of {sorted(known)}")
        changes: dict[str, Any] = {}
        for name in only or known:
            value = getattr(self, name) * factor
            changes[name] = min(value, 1.0) if known[name].metadata["share"] else value
        return replace(self, **changes)


def scalable() -> tuple[str, ...]:
    """Return the names that the sensitivity table varies, in order."""
    return tuple(
        one.name
        for one in fields(Thresholds)
        if one.name.startswith(_PREFIXES) and one.metadata["scales"]
    )


FROZEN: Final = Thresholds()


def variants(factors: Collection[float] = (0.5, 2.0)) -> dict[str, Thresholds]:
    """Return the rows of the sensitivity table: all of K1..K8 scaled together, then each alone.

    >>> list(variants([2.0]))[:2]
    ['all x 2', 'k1_short_good x 2']
    """
    rows = {f"all x {factor:g}": FROZEN.scaled(factor) for factor in factors}
    for name in scalable():
        rows |= {f"{name} x {factor:g}": FROZEN.scaled(factor, [name]) for factor in factors}
    return rows
