"""Verification says helped only when the objectives are met and the suspicion is gone."""

from dataclasses import replace

import pytest

from homeostat.base.decisions import Effect
from homeostat.base.evidence import Evidence, Family, Incident
from homeostat.govern.verify import judge, measure
from homeostat.testing import build

INCIDENT = Incident(
    id="i-0001", deployment="m", family=Family.REPLICA, subject="replica:a-1",
    opened_at=build.START,
    confirmed_at=build.START, tries=0, escalated=False, because=(),
)  # fmt: skip
BEFORE = (("error_ratio", 0.10), ("latency_p95_ms", 400.0), ("accuracy", 0.95))


def told(evidence: Evidence) -> Effect:
    return judge(INCIDENT, BEFORE, evidence, build.managed())


def test_met_objectives_without_the_suspicion_have_helped() -> None:
    assert told(build.evidence()) is Effect.HELPED


def test_met_objectives_with_the_suspicion_still_there_have_not_helped() -> None:
    still = build.suspicion(Family.REPLICA, "replica:a-1")
    assert told(build.evidence(suspicions=(still,), slo_met=True)) is Effect.NO_CHANGE


def test_another_suspicion_does_not_hide_that_this_one_is_gone() -> None:
    other = build.suspicion(Family.REPLICA, "replica:a-2")
    assert told(build.evidence(suspicions=(other,), slo_met=True)) is Effect.HELPED


def test_objectives_that_cannot_be_seen_are_unknown_never_good() -> None:
    assert told(build.evidence(slo_met=None)) is Effect.UNKNOWN


def test_more_errors_than_before_are_harm_only_beyond_the_margin() -> None:
    worse = build.evidence(values={("gateway", "error_ratio"): 0.16}, slo_met=False)
    same = build.evidence(values={("gateway", "error_ratio"): 0.14}, slo_met=False)
    assert told(worse) is Effect.HARMED
    assert told(same) is Effect.NO_CHANGE


def test_a_signal_that_was_not_known_before_the_action_is_no_harm_after_it() -> None:
    seen = build.evidence(values={("gateway", "error_ratio"): 0.5}, slo_met=False)
    known_before = tuple(pair for pair in BEFORE if pair[0] != "error_ratio")
    assert judge(INCIDENT, known_before, seen, build.managed()) is Effect.NO_CHANGE


def test_lost_accuracy_is_harm() -> None:
    worse = build.evidence(values={("model", "accuracy"): 0.80}, slo_met=False)
    assert told(worse) is Effect.HARMED


def test_unknown_signals_are_left_out_of_the_measurement_not_put_in_as_zero() -> None:
    blind = build.evidence(values={("gateway", "error_ratio"): None})
    assert "error_ratio" not in dict(measure(blind))


def test_fewer_failures_are_not_slower_answers() -> None:
    """A release that fails fast makes percentiles small; the cure brings the real ones back."""
    failing = (("error_ratio", 0.87), ("latency_p95_ms", 44.0))
    cured = build.evidence(
        values={("gateway", "error_ratio"): 0.045, ("gateway", "latency_p95_ms"): 526.0},
        slo_met=False,
    )
    assert judge(INCIDENT, failing, cured, build.managed()) is Effect.NO_CHANGE


@pytest.mark.parametrize("errors", [(("error_ratio", 0.02),), ()])
def test_much_slower_answers_are_harm_where_few_or_unknown_failed_before(
    errors: tuple[tuple[str, float], ...],
) -> None:
    before = (*errors, ("latency_p95_ms", 44.0))
    slower = build.evidence(
        values={("gateway", "error_ratio"): 0.02, ("gateway", "latency_p95_ms"): 526.0},
        slo_met=False,
    )
    assert judge(INCIDENT, before, slower, build.managed()) is Effect.HARMED


def test_more_failures_are_harm_however_many_failed_before() -> None:
    failing = (("error_ratio", 0.5), ("latency_p95_ms", 44.0))
    worse = build.evidence(values={("gateway", "error_ratio"): 0.6}, slo_met=False)
    assert judge(INCIDENT, failing, worse, build.managed()) is Effect.HARMED


@pytest.mark.parametrize("family", [Family.LOAD, Family.BATCHING])
def test_a_queue_that_stood_is_not_blamed_on_the_cure_but_wrong_answers_are(
    family: Family,
) -> None:
    incident = replace(INCIDENT, family=family, subject="gateway")
    slow = {("gateway", "error_ratio"): 0.9, ("gateway", "latency_p95_ms"): 9e3}
    queue = build.evidence(values=slow, slo_met=False)
    assert judge(incident, BEFORE, queue, build.managed()) is Effect.NO_CHANGE
    wrong = build.evidence(values={("model", "accuracy"): 0.5}, slo_met=False)
    assert judge(incident, BEFORE, wrong, build.managed()) is Effect.HARMED
