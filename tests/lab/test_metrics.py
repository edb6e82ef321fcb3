"""Every headline metric on a small catalogue whose answers can be worked out by hand."""

from dataclasses import replace
from typing import Final

import numpy as np
import pytest
from policies_by_hand import LENGTH, SEEDS, STYLES, everyone, made, scored
from traces_by_hand import ONSET

from homeostat.lab.human import respond
from homeostat.lab.intervals import Draws
from homeostat.lab.judge import Judgement
from homeostat.lab.metrics import arms, measured, part, summarise
from homeostat.lab.metrics_people import People
from homeostat.lab.metrics_score import Scores, chosen, joined
from homeostat.lab.metrics_service import Service
from homeostat.lab.thresholds import FROZEN, variants
from homeostat.report.lab_results import Figure, PolicyResults
from homeostat.stats import arrays

CONTRACT: Final = (
    "catastrophic_rate_caused", "catastrophic_rate_any", "near_miss_rate", "mttr_s",
    "mttr_ratio_to_oracle", "sla_compliance", "uptime", "latency_ms", "error_rate",
    "time_to_recovery_s", "cost_usd_per_hour", "cost_saving_vs_hpa", "intervention_minutes",
    "risk", "share_of_oracle", "detection_event_f1", "family_accuracy", "lead_time_s",
    "breach_brier_skill",
)  # fmt: skip
FEW = replace(FROZEN, resamples=200.0)
LEFT = LENGTH - ONSET


@pytest.fixture(scope="module")
def results() -> dict[str, PolicyResults]:
    return summarise(everyone(), thresholds=FEW)


def test_the_metrics_are_those_of_the_command_contract_and_some(
    results: dict[str, PolicyResults],
) -> None:
    for one in results.values():
        assert tuple(one.metrics)[: len(CONTRACT)] == CONTRACT
        assert set(one.scenarios) == {"S05", "S23", "S43"}
        assert set(one.families) == {"infrastructure", "data", "control"}
        for group in (*one.scenarios.values(), *one.families.values()):
            assert tuple(group.metrics) == tuple(one.metrics)


def test_every_interval_holds_its_value_and_nothing_measured_has_no_value(
    results: dict[str, PolicyResults],
) -> None:
    for one in results.values():
        for figure in (*one.metrics.values(), *one.codes.values()):
            if figure.value is None:
                assert figure == Figure(value=None, n=0)
            else:
                assert figure.low is not None
                assert figure.high is not None
                assert figure.n > 0
                assert figure.low - 1e-9 <= figure.value <= figure.high + 1e-9


def test_standing_by_is_a_catastrophe_of_its_own(results: dict[str, PolicyResults]) -> None:
    hold = results["hold"]
    assert hold.metrics["catastrophic_rate_caused"].value == pytest.approx(1 / 3)
    assert hold.codes["K7"].value == pytest.approx(1 / 3)
    assert hold.scenarios["S23"].codes["K7"].value == 1.0
    assert hold.over_scenarios is not None
    assert (hold.over_scenarios.events, hold.over_scenarios.n) == (1, 3)
    assert {one.codes for one in hold.worst[:SEEDS]} == {("K7",)}


def test_nothing_caused_is_bounded_over_episodes_and_over_scenarios(
    results: dict[str, PolicyResults],
) -> None:
    ours = results["ours"]
    figure = ours.metrics["catastrophic_rate_caused"]
    over_scenarios = 1.0 - 0.05 ** (1 / 3)
    assert (figure.value, figure.low, figure.n) == (0.0, 0.0, 3 * SEEDS)
    assert figure.high == pytest.approx(over_scenarios)
    assert ours.over_episodes is not None
    assert ours.over_scenarios is not None
    assert ours.over_episodes.upper == pytest.approx(1.0 - 0.05 ** (1 / (3 * SEEDS)))
    assert ours.over_scenarios.upper == pytest.approx(over_scenarios)
    # The truth about quality is seen all the same: somebody else's fault.
    assert ours.metrics["catastrophic_rate_any"].value is not None
    assert ours.metrics["catastrophic_rate_any"].value > 0


def test_repair_is_recovery_where_it_can_and_telling_the_right_people_where_not(
    results: dict[str, PolicyResults],
) -> None:
    ours, oracle = results["ours"].metrics, results["oracle"].metrics
    assert ours["mttr_s"].value == pytest.approx((70 + 60) / 2)
    assert ours["mttr_s"].n == 2 * SEEDS  # not where there is no fault
    assert oracle["mttr_s"].value == pytest.approx((60 + 15) / 2)
    assert ours["mttr_ratio_to_oracle"].value == pytest.approx(130 / 75)
    assert ours["mttr_median_s"].value == 70
    assert ours["mttr_p95_s"].value == 70
    assert ours["escalated_in_time"].value == 1.0
    assert results["ours"].scenarios["S05"].metrics["mttr_ratio_to_oracle"].value == 70 / 60
    assert results["ours"].scenarios["S43"].metrics["mttr_s"] == Figure(value=None, n=0)


def test_who_never_repairs_counts_to_the_end(results: dict[str, PolicyResults]) -> None:
    assert results["hold"].metrics["mttr_s"].value == LEFT
    assert results["hold"].metrics["mttr_median_s"].value == LEFT
    assert results["hold"].recovery is not None
    assert set(results["hold"].recovery.share) == {0.0}
    assert results["ours"].recovery is not None
    assert results["ours"].recovery.share[-1] == 1.0


def test_a_blind_page_repairs_when_the_person_is_done(results: dict[str, PolicyResults]) -> None:
    wanted = [respond(made("S05", seed), ONSET + 300.0).fixed_s - ONSET for seed in range(SEEDS)]
    assert max(wanted) < LEFT
    mttr = results["threshold"].scenarios["S05"].metrics["mttr_s"].value
    assert mttr == pytest.approx(np.mean(wanted), abs=1.0)  # repairs begin with a whole second


def test_service_is_counted_with_its_faults(results: dict[str, PolicyResults]) -> None:
    hold, ours = results["hold"].metrics, results["ours"].metrics
    kept = 1.0 - (2 * LEFT) / (3 * LENGTH)
    assert hold["sla_compliance"].value == pytest.approx(kept)
    assert hold["sla_compliance_by_request"].value == pytest.approx(kept)
    assert hold["uptime"].value == 1.0  # 0.9 s is within twice the 0.5 s promised
    assert hold["slo_violation_minutes"].value == pytest.approx(2 * LEFT / 60 / 3)
    assert hold["time_to_recovery_s"].value == LEFT
    assert hold["time_to_recovery_s"].n == SEEDS
    assert ours["time_to_recovery_s"].value == 70
    assert ours["latency_ms"].value == pytest.approx(50.0)
    assert ours["error_rate"].value == 0.0


def test_cost_is_compared_only_at_equal_or_better_service(
    results: dict[str, PolicyResults],
) -> None:
    assert results["ours"].metrics["cost_usd_per_hour"].value == pytest.approx(4.0)
    assert results["ours"].metrics["cost_saving_vs_hpa"].value == pytest.approx(0.5)
    assert results["hpa"].metrics["cost_saving_vs_hpa"].value == pytest.approx(0.0)
    worse = summarise(
        {"hpa": scored(STYLES["ours"]), "ours": scored(STYLES["hold"])}, thresholds=FEW
    )
    assert worse["ours"].metrics["cost_saving_vs_hpa"] == Figure(value=None, n=0)


def test_people_are_counted_by_the_human_model_false_pages_included(
    results: dict[str, PolicyResults],
) -> None:
    minutes = {
        name: [respond(made(name, seed), 900.0).minutes for seed in range(SEEDS)]
        for name in ("S05", "S23", "S43")
    }
    everything = sum(sum(values) for values in minutes.values()) / (3 * SEEDS)
    escalate = results["escalate"].metrics
    assert escalate["intervention_minutes"].value == pytest.approx(everything)
    ours = results["ours"].metrics["intervention_minutes"].value
    assert ours == pytest.approx(sum(minutes["S23"]) / (3 * SEEDS))
    weeks = SEEDS * LENGTH / (7 * 86400)
    assert escalate["false_interventions_per_week"].value == pytest.approx(SEEDS / weeks)
    assert results["ours"].metrics["false_interventions_per_week"].value == 0


def test_risk_is_the_weighted_codes_and_the_violated_hours(
    results: dict[str, PolicyResults],
) -> None:
    hours = 2 * LEFT / 3600
    assert results["hold"].metrics["risk"].value == pytest.approx((2.0 + hours) / 3)


def test_the_papers_shares_are_against_threshold_alerts_over_the_same_episodes(
    results: dict[str, PolicyResults],
) -> None:
    ours, before = results["ours"].metrics, results["threshold"].metrics
    for share, of in (
        ("risk_reduction", "risk"),
        ("person_time_saved", "intervention_minutes"),
        ("cost_saving_vs_threshold", "cost_usd_per_hour"),
    ):
        now, then = ours[of].value, before[of].value
        assert now is not None
        assert then is not None
        assert ours[share].value == pytest.approx(1.0 - now / then)
        assert before[share].value == pytest.approx(0.0)
    assert (ours["risk_reduction"].value or 0.0) > 0.0
    assert (results["escalate"].metrics["person_time_saved"].value or 0.0) < 0.0  # pages for S43
    # Holding spends no more, and keeps the SLA less well: nothing to compare.
    assert results["hold"].metrics["cost_saving_vs_threshold"] == Figure(value=None, n=0)
    # Nobody is paged for S43 under threshold alerts: a share of nothing is not measured.
    well = results["escalate"].scenarios["S43"].metrics
    assert well["person_time_saved"] == Figure(value=None, n=0)


@pytest.mark.slow
def test_the_share_of_the_oracle_is_a_ratio_of_sums(results: dict[str, PolicyResults]) -> None:
    assert results["oracle"].metrics["share_of_oracle"].value == pytest.approx(1.0)
    assert results["hold"].metrics["share_of_oracle"].value == pytest.approx(0.0)
    scores = everyone()
    gain = {name: one.value - scores["hold"].value for name, one in scores.items()}
    wanted = gain["ours"].sum() / gain["oracle"].sum()
    assert results["ours"].metrics["share_of_oracle"].value == pytest.approx(wanted)
    # J in hourly budgets: ten for an hour of violation, twenty for K7, half a budget an hour.
    s05 = -(10 * LEFT / 3600 + 0.5 * 2)
    s23 = -(10 * LEFT / 3600 + 20 + 0.5 * 2)
    assert scores["hold"].value[0] == pytest.approx(s05)
    assert scores["hold"].value[SEEDS] == pytest.approx(s23)


def test_detection_and_diagnosis_count_events_and_first_names(
    results: dict[str, PolicyResults],
) -> None:
    ours, escalate = results["ours"].metrics, results["escalate"].metrics
    assert ours["detection_event_f1"].value == pytest.approx(2 * 1 / (2 * 1 + 1))  # S05 unseen
    assert escalate["detection_event_f1"].value == pytest.approx(2 * 2 / (2 * 2 + 1))
    assert ours["family_accuracy"].value == 0.5
    assert escalate["family_accuracy"].value == 0.0
    assert ours["lead_time_s"].value == -60
    assert ours["breach_brier_skill"] == Figure(value=None, n=0)


def with_forecasts(error: float, breaches: float) -> Scores:
    base = scored(STYLES["ours"])
    n = len(base.seed)
    told = replace(
        base.people,
        brier=np.full(n, error),
        breaches=np.full(n, breaches),
        forecasts=np.full(n, 100.0),
    )
    return replace(base, people=told)


def test_brier_skill_is_against_the_base_rate() -> None:
    for error, skill in ((0.0, 1.0), (16.0, 0.0), (32.0, -1.0)):
        got = summarise({"ours": with_forecasts(error, 20.0)}, thresholds=FEW)["ours"]
        assert got.metrics["breach_brier_skill"].value == pytest.approx(skill)
    sure = summarise({"ours": with_forecasts(1.0, 0.0)}, thresholds=FEW)["ours"]
    assert sure.metrics["breach_brier_skill"] == Figure(value=None, n=0)


def test_a_missing_reference_leaves_its_metrics_unmeasured() -> None:
    alone = summarise({"ours": scored(STYLES["ours"])}, thresholds=FEW)["ours"].metrics
    for name in (
        "mttr_ratio_to_oracle", "cost_saving_vs_hpa", "share_of_oracle", "cost_saving_vs_threshold",
        "cost_saving_vs_static", "cost_saving_vs_hpa_tuned",
        "person_time_saved", "risk_reduction",
    ):  # fmt: skip
        assert alone[name] == Figure(value=None, n=0)
    assert alone["mttr_s"].value == pytest.approx(65)


def test_policies_are_paired_seed_by_seed_over_the_episodes_that_both_played() -> None:
    oracle = scored(STYLES["oracle"])
    few = chosen(oracle, np.array([6, 1, 0]))  # in another order
    both = summarise({"ours": scored(STYLES["ours"]), "oracle": few}, thresholds=FEW)["ours"]
    ratio = both.metrics["mttr_ratio_to_oracle"]
    assert ratio.n == 3
    assert ratio.value == pytest.approx((70 + 70 + 60) / (60 + 60 + 15))


def test_a_group_of_episodes_is_measured_like_a_run_of_them() -> None:
    scores = everyone()
    some = part(arms("ours", scores, FEW), np.arange(SEEDS))
    cut = {name: chosen(one, np.arange(SEEDS)) for name, one in scores.items()}
    draws = Draws(FEW)
    assert measured(some, draws) == measured(arms("ours", cut, FEW), draws)


def test_equal_scores_give_equal_results_and_scores_survive_being_saved() -> None:
    scores = scored(STYLES["threshold"])
    data = arrays.to_bytes(scores)
    back = arrays.from_bytes(data, (Scores, Judgement, Service, People))
    assert arrays.to_bytes(back) == data
    first, second = (summarise({"a": one}, thresholds=FEW) for one in (scores, back))
    assert first == second


def test_a_policy_without_episodes_or_with_one_twice_is_refused() -> None:
    one = scored(STYLES["ours"], seeds=1)
    with pytest.raises(ValueError, match="score each episode once"):
        summarise({"ours": joined([one, one])}, thresholds=FEW)
    with pytest.raises(ValueError, match="at least one batch"):
        joined([])


def test_every_row_of_the_sensitivity_table_is_a_rate_of_its_own() -> None:
    told = scored(STYLES["hold"], "hold")
    names = tuple(variants())
    assert summarise({"hold": told}, thresholds=FEW)["hold"].sensitivity == {}  # nobody asked
    hits = np.zeros((len(told.seed), len(names)), bool)
    hits[:SEEDS, names.index("k7_hold_s x 2")] = True
    found = summarise({"hold": replace(told, sensitivity=hits)}, thresholds=FEW)["hold"]
    assert tuple(found.sensitivity) == names
    changed = {name: one.value for name, one in found.sensitivity.items() if one.value}
    assert changed == {"k7_hold_s x 2": pytest.approx(1 / 3)}
