"""The fault table on readings made by hand: precedence, thresholds and what silence does."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from patient_by_hand import REPLICAS, STABLE, USUAL_OF_REPLICA, Patient, managed

from homeostat.base import names
from homeostat.base.evidence import Family, Forecast, Verdict
from homeostat.base.types import TimeNs
from homeostat.base.units import SECOND
from homeostat.base.world import Release, ReplicaState


def test_a_healthy_deployment_is_suspected_of_nothing() -> None:
    assert Patient().diagnosis() == ()


def test_an_empty_slot_that_nobody_wants_filled_is_no_fault() -> None:
    patient = Patient().with_replica("a-2", state=ReplicaState.GONE)
    patient.set("replica:a-2", names.PROCESS_UP, 0.0)
    assert patient.families() == [(Family.REPLICA, "replica:a-2")]
    assert patient.world is not None
    patient.world = replace(patient.world, levers=(("replicas.a", 2),))
    assert patient.families() == []


def test_a_replica_that_is_starting_or_draining_is_not_blamed_for_its_probes() -> None:
    for state in (ReplicaState.STARTING, ReplicaState.DRAINING):
        patient = Patient().with_replica("a-1", state=state)
        patient.set("replica:a-1", names.PROBE_FAILURES, 9.0)
        assert patient.families() == []


def test_two_failed_probes_are_not_three() -> None:
    assert Patient().set("replica:a-1", names.PROBE_FAILURES, 2.0).families() == []
    assert Patient().set("replica:a-1", names.PROBE_FAILURES, 3.0).families() == [
        (Family.REPLICA, "replica:a-1")
    ]


def test_probes_that_fail_everywhere_are_a_common_cause_and_no_replica() -> None:
    patient = Patient().all(REPLICAS, names.PROBE_FAILURES, 5.0)
    assert patient.families() == [(Family.UNCLEAR, "model")]


def test_probes_that_fail_on_one_version_only_are_that_release() -> None:
    patient = Patient().all(STABLE, names.PROBE_FAILURES, 5.0)
    assert patient.families() == [(Family.RELEASE, "pool:a")]
    patient.set("replica:b-0", names.PROBE_FAILURES, None)
    assert patient.families() == [(Family.UNCLEAR, "model")]


def test_probes_that_wait_in_full_queues_blame_neither_a_replica_nor_a_release() -> None:
    patient = Patient().all(STABLE, names.PROBE_FAILURES, 5.0)
    patient.all(STABLE, names.QUEUE_LENGTH, 60.0).all(STABLE, names.BATCH_FULL_SHARE, 1.0)
    patient.all(STABLE, names.DEVICE_TIME, 58.0).all(STABLE, names.BATCH_SIZE, 8.0)
    patient.gateway(names.LATENCY_P95, 900.0)
    assert patient.families() == [(Family.UNCLEAR, "model")]
    patient.gateway(names.ARRIVAL_RATE, 450.0)
    assert patient.families() == [(Family.LOAD, "gateway")]
    # One of them hangs on top of it: its page is silent, so the crowd does not excuse it.
    patient.blind("replica:a-1").set("replica:a-1", names.DEVICE_TIME, None)
    patient.all(("a-0", "a-2"), names.PROBE_FAILURES, 0.0)
    assert patient.families() == [(Family.REPLICA, "replica:a-1")]


def test_a_bad_release_is_not_told_as_a_bad_replica_when_its_probes_fail_by_chance() -> None:
    patient = Patient().all(STABLE, names.ERROR_RATIO, 0.3).gateway(names.ERROR_RATIO, 0.3)
    patient.set("replica:a-2", names.PROBE_FAILURES, 3.0)
    assert patient.families() == [(Family.RELEASE, "pool:a")]


def test_unknown_probes_prove_nothing() -> None:
    assert Patient().all(REPLICAS, names.PROBE_FAILURES, None).families() == []


def test_a_release_slow_on_every_replica_is_no_load_although_more_arrives() -> None:
    patient = Patient().all(STABLE, names.DEVICE_TIME, 280.0)
    patient.gateway(names.LATENCY_P95, 900.0).gateway(names.ARRIVAL_RATE, 190.0)  # retries
    assert patient.families() == [(Family.RELEASE, "pool:a")]


def test_the_same_slowness_with_the_other_version_slow_too_is_the_work_and_no_release() -> None:
    patient = Patient().all(REPLICAS, names.DEVICE_TIME, 280.0).gateway(names.LATENCY_P95, 900.0)
    assert patient.families() == [(Family.WORK, "gateway")]


def test_peers_whose_device_time_reads_as_nothing_are_no_yardstick() -> None:
    patient = Patient().all(REPLICAS, names.DEVICE_TIME, 0.0)
    patient.set("replica:a-1", names.DEVICE_TIME, 280.0)
    assert (Family.REPLICA, "replica:a-1") not in patient.families()


def test_one_slow_replica_is_no_release() -> None:
    patient = Patient().set("replica:a-1", names.DEVICE_TIME, 280.0)
    assert patient.families() == [(Family.REPLICA, "replica:a-1")]


def test_device_time_that_larger_batches_explain_is_load_and_not_a_slow_release() -> None:
    patient = Patient().all(STABLE, names.DEVICE_TIME, 58.0).all(STABLE, names.BATCH_SIZE, 8.0)
    patient.all(STABLE, names.BATCH_FULL_SHARE, 1.0).all(STABLE, names.QUEUE_LENGTH, 40.0)
    patient.gateway(names.ARRIVAL_RATE, 450.0).gateway(names.LATENCY_P95, 600.0)
    assert patient.families() == [(Family.LOAD, "gateway")]


def test_more_arrivals_without_any_pain_are_good_news() -> None:
    assert Patient().gateway(names.ARRIVAL_RATE, 200.0).families() == []


def test_full_small_batches_under_usual_traffic_are_batching() -> None:
    patient = Patient().all(STABLE, names.BATCH_FULL_SHARE, 1.0).all(STABLE, names.BATCH_SIZE, 1.0)
    patient.all(STABLE, names.BATCH_MAX, 1.0).gateway(names.LATENCY_P95, 500.0)
    patient.all(STABLE, names.DEVICE_TIME, 33.5)
    assert patient.families() == [(Family.BATCHING, "pool:a")]
    # Impatient users ask again: the lowered maximum still explains it.
    assert patient.gateway(names.ARRIVAL_RATE, 220.0).families() == [(Family.BATCHING, "pool:a")]


def test_full_batches_that_hurt_nobody_are_how_a_busy_server_works() -> None:
    assert Patient().all(STABLE, names.BATCH_FULL_SHARE, 1.0).families() == []


def test_broken_outputs_are_no_drift_and_drift_is_no_broken_output() -> None:
    broken = Patient().set("pool:a", names.PREDICTION_SHIFT, 0.6, Verdict.ANOMALOUS)
    assert broken.families() == [(Family.OUTPUT, "pool:a")]
    broken.set(names.MODEL, names.FEATURE_SHIFT, 0.5, Verdict.ANOMALOUS)
    assert broken.families() == [(Family.DRIFT, "model")]
    broken.set("pool:a", names.INVALID_SHARE, 0.9, Verdict.ANOMALOUS)
    assert broken.families() == [(Family.OUTPUT, "pool:a")]


def test_moved_predictions_with_unknown_inputs_are_said_to_rest_on_less() -> None:
    sure = Patient().set("pool:a", names.PREDICTION_SHIFT, 0.6, Verdict.ANOMALOUS)
    unsure = Patient().set("pool:a", names.PREDICTION_SHIFT, 0.6, Verdict.ANOMALOUS)
    unsure.set(names.MODEL, names.FEATURE_SHIFT, None)
    assert unsure.diagnosis()[0].confidence < sure.diagnosis()[0].confidence
    assert "not known" in " ".join(unsure.diagnosis()[0].because)


def test_falling_accuracy_alone_is_drift_too() -> None:
    patient = Patient().set(names.MODEL, names.ACCURACY, 0.7, Verdict.ANOMALOUS)
    assert patient.families() == [(Family.DRIFT, "model")]


@pytest.mark.parametrize(("share", "soon"), [(0.95, None), (0.5, 30), (0.5, 300)])
def test_memory_is_suspected_near_the_limit_or_soon_at_it(share: float, soon: int | None) -> None:
    patient = Patient().set("replica:a-1", names.MEMORY_SHARE, share)
    until = None if soon is None else soon * SECOND
    patient.forecasts.append(
        Forecast(
            subject="replica:a-1", signal=names.MEMORY_SHARE, limit=1.0, time_to_limit_ns=until
        )
    )
    expected = [] if soon == 300 else [(Family.MEMORY, "replica:a-1")]
    assert patient.families() == expected


def test_without_a_second_version_only_a_fresh_release_is_blamed_and_with_less_confidence() -> None:
    patient = Patient().all(STABLE, names.ERROR_RATIO, 0.3).gateway(names.ERROR_RATIO, 0.3)
    assert patient.world is not None
    sure = patient.diagnosis()[0]
    alone = replace(patient.world, replicas=patient.world.replicas[:3])
    patient.world = alone
    assert patient.families() == [(Family.UNCLEAR, "model")]  # v2 has served for more than an hour
    fresh = Release(pool="a", version="v2", since=TimeNs(alone.observed_at - 20 * SECOND))
    patient.world = replace(alone, releases=(alone.releases[0], fresh))
    unsure = patient.diagnosis()[0]
    assert (unsure.family, unsure.subject) == (Family.RELEASE, "pool:a")
    assert unsure.confidence < sure.confidence


def test_a_version_with_hardly_any_traffic_does_not_prove_a_release() -> None:
    patient = Patient().all(STABLE, names.ERROR_RATIO, 0.05).gateway(names.ERROR_RATIO, 0.05)
    patient.set("replica:b-0", names.ERROR_RATIO, 0.0, samples=25.0)
    assert patient.families() == [(Family.UNCLEAR, "model")]
    patient.set("replica:b-0", names.ERROR_RATIO, 0.0, samples=100.0)
    assert patient.families() == [(Family.RELEASE, "pool:a")]


def test_failing_at_once_is_no_load_although_users_ask_again() -> None:
    patient = Patient().gateway(names.ERROR_RATIO, 0.3).gateway(names.ARRIVAL_RATE, 130.0)
    assert patient.families() == [(Family.DEPENDENCY, "model")]


def test_a_release_cannot_be_cleared_by_a_version_that_nobody_can_see() -> None:
    patient = Patient().all(STABLE, names.ERROR_RATIO, 0.3).gateway(names.ERROR_RATIO, 0.3)
    patient.set("replica:b-0", names.ERROR_RATIO, None)
    assert patient.families() == [(Family.UNCLEAR, "model")]


def test_a_release_half_rolled_out_is_known_by_its_first_replica() -> None:
    patient = Patient().with_replica("a-0", version="v3")
    patient.set("replica:a-0", names.ERROR_RATIO, 0.3)
    assert patient.world is not None
    newer = Release(pool="a", version="v3", since=patient.world.observed_at)
    patient.world = replace(patient.world, releases=(*patient.world.releases, newer))
    assert patient.families() == [(Family.RELEASE, "pool:a")]


def test_a_silent_page_with_a_known_reason_does_not_blind_anybody() -> None:
    patient = Patient().blind("replica:a-0", "replica:a-1", "replica:a-2")
    assert patient.families() == [(Family.SENSOR, "model")]
    patient.all(("a-0", "a-1"), names.PROBE_FAILURES, 2.0)
    assert Family.SENSOR not in [family for family, _ in patient.families()]


def test_a_blind_gateway_silences_everything_that_rests_on_pages_but_not_the_probes() -> None:
    patient = Patient().blind(names.GATEWAY).all(STABLE, names.DEVICE_TIME, 280.0)
    patient.set("replica:a-2", names.PROBE_FAILURES, 4.0)
    patient.set("replica:b-0", names.MEMORY_SHARE, 0.95)
    assert patient.families() == [
        (Family.REPLICA, "replica:a-2"),
        (Family.SENSOR, "gateway"),
        (Family.MEMORY, "replica:b-0"),
    ]


def test_with_the_evidence_rules_off_blindness_silences_nobody() -> None:
    patient = Patient(managed=managed(evidence_rules=False)).blind(names.GATEWAY)
    patient.set("pool:a", names.PREDICTION_SHIFT, 1.0, Verdict.ANOMALOUS)
    assert patient.families() == [(Family.OUTPUT, "pool:a")]


def test_without_the_world_a_missed_objective_is_unclear() -> None:
    patient = Patient(world=None).gateway(names.ERROR_RATIO, 0.3)
    patient.all(STABLE, names.ERROR_RATIO, 0.3)
    assert patient.families() == [(Family.UNCLEAR, "model")]


ILL: Mapping[str, tuple[str, str, float, Verdict]] = {
    "slow": ("replica:a-1", names.DEVICE_TIME, 300.0, Verdict.ANOMALOUS),
    "errors": ("replica:a-0", names.ERROR_RATIO, 0.4, Verdict.ANOMALOUS),
    "latency": (names.GATEWAY, names.LATENCY_P95, 900.0, Verdict.ANOMALOUS),
    "arrivals": (names.GATEWAY, names.ARRIVAL_RATE, 400.0, Verdict.ANOMALOUS),
    "shift": ("pool:a", names.PREDICTION_SHIFT, 0.7, Verdict.ANOMALOUS),
    "features": (names.MODEL, names.FEATURE_SHIFT, 0.7, Verdict.ANOMALOUS),
    "full": ("replica:a-2", names.BATCH_FULL_SHARE, 1.0, Verdict.ANOMALOUS),
    "probes": ("replica:a-2", names.PROBE_FAILURES, 7.0, Verdict.ANOMALOUS),
}


@settings(max_examples=150, deadline=None)
@given(st.sets(st.sampled_from(sorted(ILL))), st.sets(st.sampled_from(sorted(USUAL_OF_REPLICA))))
def test_any_mixture_is_ranked_named_once_and_explained(ills: set[str], lost: set[str]) -> None:
    patient = Patient()
    for ill in ills:
        patient.set(*ILL[ill])
    for signal in lost:
        patient.all(REPLICAS, signal, None)
    found = patient.diagnosis()
    assert list(found) == sorted(found, key=lambda one: -one.confidence)
    assert len({(one.family, one.subject) for one in found}) == len(found)
    assert all(one.because and all(one.because) for one in found)
    assert all(0.0 < one.confidence <= 1.0 for one in found)


@settings(max_examples=100, deadline=None)
@given(st.sets(st.sampled_from(sorted(ILL))))
def test_losing_every_reading_leaves_no_suspicion_that_rests_on_one(ills: set[str]) -> None:
    patient = Patient()
    for ill in ills:
        patient.set(*ILL[ill])
    for subject, signal in list(patient.readings):
        patient.set(subject, signal, None)
    assert patient.diagnosis() == ()
