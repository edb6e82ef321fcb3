"""Causes that all replicas share, values that cannot be, and answers that changed, made by hand."""

from dataclasses import replace

import numpy as np
import pytest
from patient_by_hand import REPLICAS, STABLE, Patient

from homeostat.base import names
from homeostat.base.evidence import Family, Verdict
from homeostat.base.types import TimeNs
from homeostat.base.units import SECOND
from homeostat.base.world import ReplicaState


def slow_answers(patient: Patient) -> Patient:
    return patient.gateway(names.LATENCY_P95, 900.0)


def test_slow_answers_with_slow_probes_everywhere_are_the_network() -> None:
    patient = slow_answers(Patient()).all(REPLICAS, names.PROBE_LATENCY, 400.0)
    assert patient.families() == [(Family.NETWORK, "model")]


def test_slow_answers_with_quick_probes_and_idle_queues_are_what_is_behind() -> None:
    assert slow_answers(Patient()).families() == [(Family.DEPENDENCY, "model")]


def test_what_all_replicas_call_fails_three_probes_of_one_of_them_by_chance() -> None:
    patient = Patient().gateway(names.ERROR_RATIO, 0.95).all(STABLE, names.ARRIVAL_RATE, 33.0)
    patient.set("replica:a-1", names.PROBE_FAILURES, 3.0)
    assert patient.families() == [(Family.DEPENDENCY, "model")]
    patient.gateway(names.ERROR_RATIO, 0.33)  # those that meet it
    assert patient.families() == [(Family.REPLICA, "replica:a-1")]
    patient.gateway(names.ERROR_RATIO, 0.95).set("replica:a-1", names.ARRIVAL_RATE, 90.0)
    assert patient.families() == [(Family.REPLICA, "replica:a-1")]  # it attracts them


def test_probes_slow_on_half_of_the_replicas_name_neither() -> None:
    patient = slow_answers(Patient()).all(STABLE[:2], names.PROBE_LATENCY, 100.0)
    assert patient.families() == [(Family.UNCLEAR, "model")]


@pytest.mark.parametrize(("signal", "value"), [(names.QUEUE_LENGTH, 40.0), (names.BATCH_SIZE, 2.5)])
def test_requests_that_wait_in_the_replicas_wait_neither_before_nor_behind(
    signal: str, value: float
) -> None:
    patient = slow_answers(Patient()).all(STABLE, signal, value)
    families = {family for family, _ in patient.families()}
    assert not families & {Family.NETWORK, Family.DEPENDENCY}


def test_nothing_is_named_by_exclusion_while_windows_reach_back_before_a_start() -> None:
    patient = slow_answers(Patient())
    assert patient.world is not None
    begun = TimeNs(patient.world.observed_at - 15 * SECOND)
    assert patient.with_replica("a-1", started_at=begun).families() == [(Family.UNCLEAR, "model")]


def test_fuller_batches_under_usual_arrivals_are_more_work_and_no_load() -> None:
    patient = slow_answers(Patient()).all(STABLE, names.BATCH_SIZE, 2.5)
    assert patient.families() == [(Family.WORK, "gateway")]
    assert patient.gateway(names.ARRIVAL_RATE, 140.0).families() == [(Family.LOAD, "gateway")]


def test_arrivals_that_fail_while_nothing_waits_in_any_server_are_no_load() -> None:
    patient = slow_answers(Patient()).gateway(names.ARRIVAL_RATE, 200.0)
    patient.gateway(names.ERROR_RATIO, 0.9).all(STABLE, names.QUEUE_LENGTH, 0.0)
    patient.all(STABLE, names.PROBE_LATENCY, None)  # its probes fail as well
    assert patient.families() == [(Family.UNCLEAR, "model")]
    patient.all(STABLE, names.PROBE_LATENCY, 45.0)
    assert patient.families() == [(Family.DEPENDENCY, "model")]
    patient.all(STABLE, names.QUEUE_LENGTH, 12.0)  # what is overwhelmed has a queue
    assert patient.families() == [(Family.LOAD, "gateway")]


def test_fuller_batches_with_a_replica_less_are_no_more_work() -> None:
    patient = slow_answers(Patient()).all(STABLE, names.BATCH_SIZE, 2.5)
    patient.with_replica("a-2", state=ReplicaState.STARTING)
    assert patient.families() == [(Family.UNCLEAR, "model")]


def test_queues_beside_idle_devices_are_the_front_end_and_no_load() -> None:
    patient = slow_answers(Patient()).all(STABLE, names.QUEUE_LENGTH, 300.0)
    patient.usual |= {(names.replica(name), names.CPU_SHARE): 0.2 for name in STABLE}
    patient.all(STABLE, names.CPU_SHARE, 0.98).gateway(names.ARRIVAL_RATE, 300.0)
    assert patient.families() == [(Family.FRONTEND, "pool:a")]
    patient.all(STABLE, names.BATCH_SIZE, 8.0).all(STABLE, names.BATCH_FULL_SHARE, 1.0)
    assert patient.families() == [(Family.LOAD, "gateway")]


@pytest.mark.parametrize(
    ("signal", "value"),
    [(names.MEMORY_SHARE, 40.0), (names.MEMORY_SHARE, 0.0), (names.BATCH_FULL_SHARE, 7.0)],
)
def test_what_a_signal_cannot_be_speaks_against_the_sensor_and_not_the_replica(
    signal: str, value: float
) -> None:
    assert Patient().all(REPLICAS, signal, value).families() == [(Family.SENSOR, "model")]


def test_latencies_in_another_unit_are_a_sensor_and_slower_ones_are_not() -> None:
    patient = Patient()
    patient.usual[names.GATEWAY, names.LATENCY_P50] = 50.0
    patient.gateway(names.LATENCY_P50, 50_000.0).gateway(names.LATENCY_P95, 75_000.0)
    assert patient.families() == [(Family.SENSOR, "gateway")]
    patient.gateway(names.LATENCY_P95, 60_000.0)
    assert patient.families() == [(Family.DEPENDENCY, "model")]


def test_answers_before_they_are_computed_are_a_sensor_unless_they_are_refusals() -> None:
    patient = Patient()
    patient.usual[names.GATEWAY, names.LATENCY_P50] = 50.0
    patient.gateway(names.LATENCY_P50, 0.05)
    assert patient.families() == [(Family.SENSOR, "gateway")]
    assert patient.gateway(names.REFUSED_RATIO, 0.5).families() == []


def test_a_signal_that_most_replicas_stop_to_say_is_a_sensor_and_one_silence_is_not() -> None:
    patient = Patient()
    for name in REPLICAS[:1]:
        patient.stop(names.replica(name), names.MEMORY_SHARE)
    assert patient.families() == []
    for name in REPLICAS:
        patient.stop(names.replica(name), names.MEMORY_SHARE)
    assert patient.families() == [(Family.SENSOR, "model")]


def moved(patient: Patient, predictions: float, features: float, events: float) -> Patient:
    patient.set("pool:a", names.PREDICTION_SHIFT, predictions, samples=events)
    return patient.set(names.MODEL, names.FEATURE_SHIFT, features, samples=events)


def test_predictions_that_moved_a_little_over_still_inputs_are_told_and_chance_is_not() -> None:
    assert moved(Patient(), 0.09, 0.01, 20_000.0).families() == [(Family.QUALITY, "pool:a")]
    assert moved(Patient(), 0.09, 0.01, 500.0).families() == []
    assert moved(Patient(), 0.09, 0.06, 20_000.0).families() == []
    assert moved(Patient(), 0.04, 0.01, 1e6).families() == []


def slowly(patient: Patient, predictions: float, features: float) -> Patient:
    patient.set("pool:a", names.PREDICTION_SHIFT_LONG, predictions, samples=20_000.0)
    return patient.set(names.MODEL, names.FEATURE_SHIFT_LONG, features, samples=20_000.0)


def test_predictions_that_moved_over_hours_without_their_inputs_are_told() -> None:
    assert slowly(Patient(), 0.12, 0.02).families() == [(Family.QUALITY, "pool:a")]
    assert slowly(Patient(), 0.12, 0.07).families() == []  # a season
    assert slowly(Patient(), 0.05, 0.0).families() == []


def test_worse_answers_are_the_models_where_they_moved_without_their_inputs() -> None:
    worse = Patient().set(names.MODEL, names.ACCURACY, 0.8, samples=20_000.0)
    assert worse.families() == [(Family.DRIFT, "model")]
    (told,) = slowly(worse, 0.12, 0.02).diagnosis()
    assert told.family is Family.QUALITY
    assert "accuracy is down to 80.0%" in told.because
    assert slowly(worse, 0.12, 0.07).families() == [(Family.DRIFT, "model")]


def test_predictions_that_follow_their_inputs_are_broken_in_no_scrape_of_it() -> None:
    patient = moved(Patient(), 0.3, 0.01, 20_000.0)
    patient.set("pool:a", names.PREDICTION_SHIFT, 0.3, Verdict.ANOMALOUS, samples=20_000.0)
    assert patient.families() == [(Family.OUTPUT, "pool:a")]
    patient.set(names.MODEL, names.FEATURE_SHIFT_LATELY, 0.1)
    assert patient.families() == [(Family.OUTPUT, "pool:a")]  # they do not move them so far
    patient.set(names.MODEL, names.FEATURE_SHIFT_LATELY, 0.2)
    assert patient.families() == []
    assert moved(patient, 0.09, 0.01, 20_000.0).families() == []


def test_fewer_right_answers_than_labels_explain_are_drift_before_the_promise_is_broken() -> None:
    patient = Patient().set(names.MODEL, names.ACCURACY, 0.85, samples=20_000.0)
    assert patient.families() == [(Family.DRIFT, "model")]
    patient.set(names.MODEL, names.ACCURACY, 0.85, samples=300.0)
    assert patient.families() == []
    patient.set(names.MODEL, names.ACCURACY, 0.86, samples=1e6)
    assert patient.families() == []


def test_a_usual_accuracy_of_a_few_labels_makes_no_drift_of_what_follows() -> None:
    """The first labels of a start are easily all right, and then some are not."""
    patient = Patient().set(names.MODEL, names.ACCURACY, 0.973, samples=400.0)
    patient.usual[names.MODEL, names.ACCURACY] = 1.0
    patient.learnt = 3.0
    assert patient.families() == []
    patient.learnt = 300.0
    assert patient.families() == []  # four hundred labels do not say so either
    patient.set(names.MODEL, names.ACCURACY, 0.973, samples=4_000.0)
    assert patient.families() == [(Family.DRIFT, "model")]
    patient.set(names.MODEL, names.ACCURACY, 0.973, samples=1.0)  # nobody counts them
    assert patient.families() == []


def test_how_long_a_usual_accuracy_is_learnt_is_a_time_and_a_window() -> None:
    patient = Patient().set(names.MODEL, names.ACCURACY, 0.8, samples=20_000.0)
    for scrape_s, learnt, told in ((1, 119.0, False), (1, 120.0, True), (15, 19.0, False)):
        patient.managed = replace(patient.managed, scrape_ns=scrape_s * SECOND)
        patient.learnt = learnt
        assert bool(patient.families()) is told
    patient.learnt = 20.0
    assert patient.families() == [(Family.DRIFT, "model")]


def test_no_start_of_a_deployment_is_taken_for_drift_by_chance() -> None:
    rng, key = np.random.default_rng(0), (names.MODEL, names.ACCURACY)
    alarms = 0
    for _ in range(200):
        right = np.cumsum(rng.random((240, 40)) < 0.97, axis=None)[39::40]
        labels = 40.0 * np.arange(1, 241)
        before = np.maximum(np.arange(240) - 60, -1)  # the window is a minute
        counted = labels - np.where(before < 0, 0.0, labels[before])
        share = (right - np.where(before < 0, 0, right[before])) / counted
        for tick in (6, 12, 30, 125, 180, 239):
            patient = Patient().set(*key, float(share[tick]), samples=float(counted[tick]))
            patient.usual[key] = float(share[: tick - 4].mean())
            patient.learnt = float(tick - 4)
            alarms += patient.families() != []
    assert alarms == 0


def test_accuracy_of_other_versions_is_nothing_to_compare_with() -> None:
    worse = Patient().set(names.MODEL, names.ACCURACY, 0.8, samples=20_000.0)
    assert worse.families() == [(Family.DRIFT, "model")]
    worse.set("pool:a", names.ARRIVAL_RATE, 60.0).set("pool:b", names.ARRIVAL_RATE, 40.0)
    assert worse.families() == []  # more of them come from the other version
    worse.set("pool:b", names.ARRIVAL_RATE, None)
    assert worse.families() == []  # nobody knows how many
    fresh = Patient().set(names.MODEL, names.ACCURACY, 0.8, samples=20_000.0)
    assert fresh.world is not None
    fresh.world = replace(fresh.world, observed_at=TimeNs(1_300 * SECOND))
    assert fresh.families() == []  # a release of five minutes ago
    fresh.world = None
    assert Family.DRIFT not in [family for family, _ in fresh.families()]


def test_pain_while_half_of_the_replicas_start_is_theirs_and_no_work() -> None:
    patient = slow_answers(Patient())
    for name in ("a-1", "a-2"):
        patient.with_replica(name, state=ReplicaState.STARTING)
    assert patient.families() == [(Family.STARTING, "pool:a")]
    assert patient.gateway(names.LATENCY_P95, 75.0).families() == []


def drifted(patient: Patient, by: float) -> Patient:
    return patient.set(names.MODEL, names.FEATURE_SHIFT, by, Verdict.ANOMALOUS, samples=20_000.0)


def test_inputs_that_moved_while_labels_say_that_answers_are_right_are_a_weekend() -> None:
    assert drifted(Patient(), 0.3).families() == []
    assert drifted(Patient(), 0.6).families() == [(Family.DRIFT, "model")]
    blind = drifted(Patient(), 0.3).set(names.MODEL, names.ACCURACY, None)
    assert blind.families() == [(Family.DRIFT, "model")]
    hurt = drifted(Patient(), 0.3).set(names.MODEL, names.ACCURACY, 0.85, samples=20_000.0)
    assert hurt.families() == [(Family.DRIFT, "model")]
    hurt.learnt = 30.0  # too young a usual to be called worse by, and no word for harmlessness
    assert hurt.families() == [(Family.DRIFT, "model")]
    well = drifted(Patient(), 0.3).set(names.MODEL, names.ACCURACY, 0.96, samples=400.0)
    well.learnt = 30.0
    assert well.families() == []


def test_predictions_that_broke_with_inputs_that_moved_a_little_are_no_broken_output() -> None:
    patient = Patient().set(names.MODEL, names.FEATURE_SHIFT, 0.12, samples=20_000.0)
    patient.set("pool:a", names.PREDICTION_SHIFT, 0.4, Verdict.ANOMALOUS, samples=20_000.0)
    assert patient.families() == []  # labels say that they are right
    patient.set(names.MODEL, names.ACCURACY, None)
    assert patient.families() == [(Family.DRIFT, "model")]
