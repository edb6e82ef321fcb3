"""Promises over weeks, OpenSLO documents and money: kept as written, or refused with the fix."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from homeostat.base.budgets import Method, MoneyPolicy, Price, SloSpec
from homeostat.base.errors import ConfigError
from homeostat.base.policy import Managed
from homeostat.base.units import HOUR, MINUTE
from homeostat.server.config.loader import assemble, parse
from homeostat.server.config.openslo import shorthand

MODEL: dict[str, Any] = {
    "apiVersion": "homeostat.dev/v1alpha1",
    "kind": "ManagedModel",
    "metadata": {"name": "m"},
    "spec": {
        "target": {"process": {"host": "http://127.0.0.1:9"}},
        "metrics": {"scrape": [{"fromReplicas": True, "preset": "vllm"}]},
        "slo": [
            {"name": "latency", "latency": {"below": "250ms"}},
            {"name": "errors", "errors": {"atMost": "1%"}},
        ],
    },
}
SLO: dict[str, Any] = {
    "apiVersion": "openslo/v1",
    "kind": "SLO",
    "metadata": {"name": "availability", "displayName": "Answers"},
    "spec": {
        "service": "fraud",
        "indicator": {
            "spec": {
                "ratioMetric": {
                    "counter": True,
                    "bad": {"metricSource": {"type": "Homeostat", "spec": {"signal": "errors"}}},
                    "total": {
                        "metricSource": {"type": "Homeostat", "spec": {"signal": "requests"}}
                    },
                }
            }
        },
        "timeWindow": [{"duration": "28d", "isRolling": True}],
        "budgetingMethod": "Occurrences",
        "objectives": [{"target": 0.995}],
    },
}


def changed(base: dict[str, Any], *changes: tuple[str, Any]) -> dict[str, Any]:
    """Return a document with keys set by their dotted path; None drops one."""
    out = copy.deepcopy(base)
    for path, value in changes:
        *parents, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        place: Any = out
        for step in parents:
            place = place[step]
        if value is None:
            place.pop(last)
        elif isinstance(place, list) and last == len(place):
            place.append(value)
        else:
            place[last] = value
    return out


def read(*documents: dict[str, Any], file: str = "m.yaml") -> Managed:
    text = yaml.safe_dump_all(documents, sort_keys=False)
    return assemble(parse(text.encode(), file)).managed()[0]


def with_slo(document: dict[str, Any], **more: Any) -> dict[str, Any]:
    entry = {"openslo": {"document": document}, **more}
    return changed(MODEL, ("spec.slo.2", entry))


def refused(*documents: dict[str, Any], file: str = "m.yaml") -> str:
    with pytest.raises(ConfigError) as caught:
        read(*documents, file=file)
    return str(caught.value)


def test_nothing_is_counted_that_nobody_asked_for() -> None:
    plain = read(MODEL)
    assert (plain.slos, plain.money, plain.shares) == ((), None, ())


def test_the_errors_promise_has_the_budget_that_it_leaves() -> None:
    found = read(changed(MODEL, ("spec.slo.1.budget", {"window": "7d"}))).slos
    assert found == (
        SloSpec(
            name="errors", signal="errors", subject="gateway", target_ppm=990_000,
            window_ns=7 * 24 * HOUR,
        ),
    )  # fmt: skip


def test_a_compared_promise_must_say_how_often_it_is_kept() -> None:
    budget = changed(MODEL, ("spec.slo.0.budget", {}))
    assert "m.yaml" in refused(budget)
    assert "budget.target is missing" in refused(budget)
    found = read(changed(MODEL, ("spec.slo.0.budget", {"target": "99%"}))).slos[0]
    assert (found.signal, found.op, found.limit) == ("latency_p95_ms", "lte", 250.0)
    assert (found.target_ppm, found.window_ns) == (990_000, 30 * 24 * HOUR)


def test_an_openslo_document_is_kept_wherever_it_stands(tmp_path: Path) -> None:
    wanted = SloSpec(
        name="availability", signal="errors", subject="gateway", target_ppm=995_000,
        window_ns=28 * 24 * HOUR,
    )  # fmt: skip
    by_name = changed(MODEL, ("spec.slo.2", {"openslo": {"name": "availability"}}))
    assert read(by_name, SLO).slos == (wanted,)
    assert read(with_slo(SLO)).slos == (wanted,)
    assert read(with_slo(SLO, name="mine")).slos == (replace(wanted, name="mine"),)
    (tmp_path / "slo.yaml").write_text(yaml.safe_dump(SLO), encoding="utf-8")
    by_file = changed(MODEL, ("spec.slo.2", {"openslo": {"file": "slo.yaml"}}))
    assert read(by_file, file=str(tmp_path / "m.yaml")).slos == (wanted,)


def test_slices_and_thresholds_are_kept() -> None:
    metric = {"metricSource": {"type": "Homeostat", "spec": {"signal": "latency_p95_ms"}}}
    slow = changed(
        SLO,
        ("spec.indicator.spec", {"thresholdMetric": metric}),
        ("spec.budgetingMethod", "Timeslices"),
        ("spec.objectives.0", {
            "targetPercent": 99.9, "op": "lt", "value": 300,
            "timeSliceTarget": 0.95, "timeSliceWindow": "5m",
        }),
    )  # fmt: skip
    found = read(with_slo(slow)).slos[0]
    assert (found.method, found.slice_ns) == (Method.TIMESLICES, 5 * MINUTE)
    assert (found.slice_target_ppm, found.target_ppm) == (950_000, 999_000)
    assert (found.signal, found.op, found.limit) == ("latency_p95_ms", "lt", 300.0)
    short = changed(slow, ("spec.objectives.0.timeSliceWindow", "1m"))
    said = refused(with_slo(short))
    assert "spec.slo[2]" in said
    assert "write 150s or more" in said


def test_requests_within_a_limit_are_counted_if_asked() -> None:
    budget = {"target": "99%", "of": "requests"}
    ours = read(changed(MODEL, ("spec.slo.0.budget", budget))).slos[0]
    assert (ours.signal, ours.limit) == ("within", 250.0)
    good = {"metricSource": {"type": "Homeostat", "spec": {"signal": "served", "within": "300ms"}}}
    fast = changed(SLO, (RATIO + ".bad", None), (RATIO + ".good", good))
    found = read(with_slo(fast)).slos[0]
    assert (found.signal, found.limit, found.target_ppm) == ("within", 300.0, 995_000)
    wrong = changed(SLO, (RATIO + ".bad.metricSource.spec.within", "300ms"))
    assert "within belongs to good" in refused(with_slo(wrong))
    accuracy = {"name": "right", "accuracy": {"atLeast": "80%"}, "budget": budget}
    assert "drop the key" in refused(changed(MODEL, ("spec.slo.2", accuracy)))


RATIO = "spec.indicator.spec.ratioMetric"
SOURCE = "spec.indicator.spec.ratioMetric.bad.metricSource"
TARGET = "spec.objectives.0"
UNSUPPORTED: tuple[tuple[tuple[tuple[str, Any], ...], str], ...] = (
    (((SOURCE + ".type", "Prometheus"),), "write type: Homeostat"),
    (((SOURCE + ".metricSourceRef", "prom"),), "write type: Homeostat"),
    (((SOURCE + ".spec.signal", "requests"),), "write signal: errors"),
    ((("spec.indicator.spec.ratioMetric.bad", None),), "good or bad"),
    ((("spec.indicator.spec.ratioMetric.raw", {"metricSource": {}}),), "write good or bad"),
    ((("spec.timeWindow.0.isRolling", False),), "calendar windows are not kept"),
    ((("spec.timeWindow.0.calendar", {"startTime": "x"}),), "windows roll"),
    ((("spec.timeWindow.0.duration", "1M"),), "months and years differ"),
    ((("spec.timeWindow.0.duration", "1m"),), "between 1h and 92d"),
    ((("spec.budgetingMethod", "RatioTimeslices"),), "write Occurrences or Timeslices"),
    ((("spec.budgetingMethod", "Timeslices"),), "timeSliceTarget and timeSliceWindow"),
    ((("spec.alertPolicies", ["page"]),), "drop the key"),
    ((("spec.indicatorRef", "other"),), "at spec.indicator"),
    (((TARGET + ".op", "lte"),), "belong to a thresholdMetric"),
    (((TARGET + ".compositeWeight", 2),), "stands alone"),
    (((TARGET + ".target", 1.0),), "less than 1"),
    (((TARGET + ".targetPercent", 99.5),), "one of them"),
    (((TARGET + ".tragetPercent", 99.5),), "targetPercent"),
)


@pytest.mark.parametrize(
    ("changes", "fix"), UNSUPPORTED, ids=[f"{one[0][0][0]} {one[1][:12]}" for one in UNSUPPORTED]
)
def test_what_is_not_kept_is_refused_with_its_line_and_the_fix(
    changes: tuple[tuple[str, Any], ...], fix: str
) -> None:
    said = refused(MODEL, changed(SLO, *changes), file="x.yaml")
    assert fix in said
    assert said.startswith("x.yaml:")


def test_a_document_that_is_not_there_is_named() -> None:
    missing = changed(MODEL, ("spec.slo.2", {"openslo": {"name": "avail"}}))
    assert "no OpenSLO document 'avail' in these files; known: availability" in refused(
        missing, SLO
    )
    twice = changed(with_slo(SLO), ("spec.slo.3", {"openslo": {"document": SLO}}))
    assert "promised twice" in refused(twice)


@pytest.mark.parametrize("text", ["", "5", "1.5h", "1Q", "1Y", "-1h", None, 5])
def test_lengths_are_whole_and_not_of_the_calendar(text: object) -> None:
    with pytest.raises(ValueError, match="5m, 28d, 4w"):
        shorthand(text)


def priced(**objective: Any) -> dict[str, Any]:
    return changed(MODEL, ("spec.objective", objective))


def test_prices_are_thousandths_rounded_up_and_budgets_down() -> None:
    found = read(
        priced(
            costPerReplicaHour="2.1034 EUR",
            prices={"b": {"replicaHour": "0.50 EUR", "gpuHour": "2.0002 EUR", "gpus": 4}},
            budget={"perHour": "20.0009 EUR", "perDay": "900 EUR", "perMonth": "20000.9999 EUR"},
            reference={"replicas": 8},
        )
    )
    assert found.money == MoneyPolicy(
        currency="EUR",
        prices=(Price(pool="b", milli=8_501), Price(pool="", milli=2_104)),
        day_milli=900_000,
        month_milli=20_000_999,
        reference_replicas=8,
    )
    assert found.guard.budget_usd_per_hour == 20.0
    assert found.replica_usd_per_hour == 2.104


def test_a_budget_without_a_price_knows_no_price_rather_than_zero() -> None:
    found = read(changed(MODEL, ("spec.guardrails", {"budgetPerHour": "10 USD"})))
    assert found.money is not None
    assert found.money.price("a") is None
    assert found.guard.budget_usd_per_hour == 10.0


def test_amounts_are_not_converted() -> None:
    mixed = priced(costPerReplicaHour="2 EUR", budget={"perDay": "9 USD"})
    assert "EUR and USD" in refused(mixed)
    guarded = changed(
        priced(costPerReplicaHour="2 EUR"), ("spec.guardrails", {"budgetPerHour": "10 USD"})
    )
    assert "objective.budget.perHour in EUR" in refused(guarded)


def test_of_two_budgets_of_an_hour_the_smaller_holds() -> None:
    for own, rails in (("8 USD", "10 USD"), ("10 USD", "8 USD")):
        model = priced(costPerReplicaHour="2 USD", budget={"perHour": own})
        found = read(changed(model, ("spec.guardrails", {"budgetPerHour": rails})))
        assert found.guard.budget_usd_per_hour == 8.0


@pytest.mark.parametrize(
    ("objective", "fix"),
    [
        ({"costPerReplicaHour": "2"}, "'2.10 USD'"),
        ({"costPerReplicaHour": "2.12345 USD"}, "'2.10 USD'"),
        ({"prices": {"a": {}}}, "replicaHour, gpuHour or both"),
        ({"prices": {"a": {"replicaHour": "1 USD", "gpus": 2}}}, "gpus without gpuHour"),
        ({"budget": {}}, "perHour, perDay or perMonth"),
        ({"budget": {"perWeek": "1 USD"}}, "unknown key"),
        ({"reference": {"replicas": 0}}, "greater than or equal to 1"),
    ],
)
def test_money_that_cannot_be_meant_is_refused(objective: dict[str, Any], fix: str) -> None:
    assert fix in refused(priced(**objective))


def test_the_digest_of_a_policy_tells_budgets_apart() -> None:
    free, poor = (
        read(priced(costPerReplicaHour="2 USD", budget={"perDay": day}))
        for day in ("9 USD", "8 USD")
    )
    assert free.policy_digest != poor.policy_digest
    assert read(priced(costPerReplicaHour="2 USD")).policy_digest == read(MODEL).policy_digest


def test_what_is_shared_is_known_by_its_name() -> None:
    assert read(changed(MODEL, ("spec.shares", ["gpu-pool", "a"]))).shares == ("a", "gpu-pool")
