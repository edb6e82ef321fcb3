"""Zeros that another page contradicts speak against the metrics; true ones do not. By hand."""

import pytest
from patient_by_hand import REPLICAS, STABLE, Patient

from homeostat.base import names
from homeostat.base.evidence import Family, Quality


def busy() -> Patient:
    """Return a deployment whose replicas say what arrives and how much processor that takes."""
    patient = Patient()
    for name in REPLICAS:
        for signal, value in ((names.ARRIVAL_RATE, 25.0), (names.CPU_SHARE, 0.3)):
            patient.set(names.replica(name), signal, value)
            patient.usual[names.replica(name), signal] = value
    return patient


def test_a_deployment_that_says_the_same_at_both_ends_is_well() -> None:
    assert busy().families() == []


def test_a_gateway_that_reads_zero_while_its_replicas_work_is_a_sensor() -> None:
    patient = busy().gateway(names.ARRIVAL_RATE, 0.0)
    assert patient.families() == [(Family.SENSOR, "gateway")]


@pytest.mark.parametrize("rate", [0.0, 0.2, 10.0])
def test_traffic_that_stops_or_fades_at_both_ends_is_no_sensor(rate: float) -> None:
    patient = busy().gateway(names.ARRIVAL_RATE, 0.0).all(REPLICAS, names.ARRIVAL_RATE, rate)
    assert (Family.SENSOR, "gateway") not in patient.families()


def test_a_gateway_whose_replicas_say_nothing_may_be_right() -> None:
    patient = busy().gateway(names.ARRIVAL_RATE, 0.0).all(REPLICAS, names.ARRIVAL_RATE, None)
    assert Family.SENSOR not in {family for family, _ in patient.families()}


def test_replicas_that_read_zero_while_requests_are_answered_are_a_sensor() -> None:
    patient = busy().all(REPLICAS, names.ARRIVAL_RATE, 0.0)
    assert patient.families() == [(Family.SENSOR, "model")]


def test_one_replica_without_requests_is_drained_or_unlucky() -> None:
    assert busy().all(STABLE[:1], names.ARRIVAL_RATE, 0.0).families() == []


@pytest.mark.parametrize(
    ("signal", "value"), [(names.ERROR_RATIO, 0.9), (names.REFUSED_RATIO, 0.9)]
)
def test_requests_that_fail_or_are_refused_before_the_replicas_get_nowhere(
    signal: str, value: float
) -> None:
    patient = busy().all(REPLICAS, names.ARRIVAL_RATE, 0.0).gateway(signal, value)
    assert Family.SENSOR not in {family for family, _ in patient.families()}


def test_work_without_a_processor_is_a_sensor_and_idleness_is_not() -> None:
    assert busy().all(REPLICAS, names.CPU_SHARE, 0.0).families() == [(Family.SENSOR, "model")]
    assert busy().all(STABLE[:1], names.CPU_SHARE, 0.0).families() == []
    idle = busy().all(REPLICAS, names.CPU_SHARE, 0.0).all(REPLICAS, names.ARRIVAL_RATE, 0.5)
    assert idle.gateway(names.ARRIVAL_RATE, 2.0).families() == []


def test_a_processor_that_was_always_too_little_to_see_proves_nothing() -> None:
    patient = busy().all(REPLICAS, names.CPU_SHARE, 0.0)
    patient.usual |= {(names.replica(name), names.CPU_SHARE): 0.001 for name in REPLICAS}
    assert patient.families() == []


@pytest.mark.parametrize(
    ("up", "page", "word"),
    [
        (1.0, Quality.GOOD, "hung: its process is there, its page comes"),
        (1.0, Quality.UNREACHABLE, "hung: its process is there, its page does not come either"),
        (None, Quality.UNREACHABLE, "lost: neither its process nor its page can be seen"),
    ],
)
def test_a_replica_that_fails_its_probes_is_said_to_be_hung_or_lost(
    up: float | None, page: Quality, word: str
) -> None:
    patient = busy().set("replica:a-1", names.PROBE_FAILURES, 4.0)
    patient.set("replica:a-1", names.PROCESS_UP, up)
    patient.pages["replica:a-1"] = page
    first = patient.diagnosis()[0]
    assert (first.family, first.subject) == (Family.REPLICA, "replica:a-1")
    assert first.because[-1] == word


def test_a_replica_of_which_only_the_process_is_not_read_is_neither() -> None:
    patient = busy().set("replica:a-1", names.PROBE_FAILURES, 4.0)
    patient.set("replica:a-1", names.PROCESS_UP, None)
    assert patient.diagnosis()[0].because[-1].startswith("probes pass on")
