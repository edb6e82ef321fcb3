"""A pool that ends at once, a crowd beyond asking again, batches that wait to be full. By hand."""

import pytest
from patient_by_hand import REPLICAS, STABLE, Patient

from homeostat.base import names
from homeostat.base.evidence import Family
from homeostat.base.world import ReplicaState


def ended(*which: str, rounds: float = 1.0) -> Patient:
    patient = Patient()
    for name in which:
        patient.with_replica(name, state=ReplicaState.GONE)
        patient.set(names.replica(name), names.PROCESS_UP, 0.0)
        patient.set(names.replica(name), names.PROBE_FAILURES, rounds)
    return patient


def test_most_of_a_pool_that_ends_at_once_is_no_replicas_own_fault() -> None:
    found = ended("a-0", "a-2").diagnosis()
    assert [(one.family, one.subject) for one in found] == [(Family.OUTAGE, "pool:a")]
    assert found[0].urgent
    assert found[0].because == ("2 of 3 processes of pool a ended at once",)


def test_what_is_still_gone_on_the_next_round_is_named_one_by_one() -> None:
    assert ended("a-0", "a-2", rounds=2.0).families() == [
        (Family.REPLICA, "replica:a-0"),
        (Family.REPLICA, "replica:a-2"),
    ]
    unread = ended("a-0", "a-2").set("replica:a-0", names.PROBE_FAILURES, None)
    assert Family.OUTAGE not in {family for family, _ in unread.families()}


@pytest.mark.parametrize("which", [("a-1",), ("b-0",), ("a-1", "b-0")])
def test_fewer_are_replicas(which: tuple[str, ...]) -> None:
    found = [(Family.REPLICA, names.replica(name)) for name in which]
    assert ended(*which).families() == found


def crowd(times: float) -> Patient:
    return Patient().gateway(names.ARRIVAL_RATE, 100.0 * times)


def test_more_than_asking_again_makes_is_a_load_that_must_last_whatever_is_broken() -> None:
    patient = crowd(5.0).gateway(names.LATENCY_P95, 900.0)
    patient.set("replica:a-1", names.PROBE_FAILURES, 4.0)
    found = {one.family: one for one in patient.diagnosis()}
    # A burst of two seconds looks the same: nothing may be done at once because of it.
    assert not found[Family.LOAD].urgent
    assert found[Family.LOAD].because[0] == (
        "500 requests arrive per second, usually 100: more than asking again"
    )


def test_a_counter_that_jumps_and_a_crowd_that_is_served_are_none() -> None:
    assert crowd(50.0).families() == []
    assert crowd(50.0).gateway(names.LATENCY_P95, None).families() == []


def test_asking_again_is_waited_out() -> None:
    patient = crowd(3.5).gateway(names.LATENCY_P95, 900.0)
    assert not any(one.urgent for one in patient.diagnosis())


def held(size: float, time: float, rate: float = 100.0) -> Patient:
    """Return replicas whose batches hold and take so much, as users wait; usually 1.4 and 35 ms."""
    patient = Patient().all(REPLICAS, names.ARRIVAL_RATE, 25.0 * rate / 100.0)
    for name in REPLICAS:
        patient.usual[names.replica(name), names.ARRIVAL_RATE] = 25.0
    patient.gateway(names.ARRIVAL_RATE, rate).gateway(names.LATENCY_P95, 300.0)
    return patient.all(STABLE, names.BATCH_SIZE, size).all(STABLE, names.DEVICE_TIME, time)


def test_fuller_batches_on_devices_that_do_less_are_held_back_to_fill() -> None:
    found = held(2.8, 40.0).diagnosis()
    assert (found[0].family, found[0].subject) == (Family.FILLING, "pool:a")
    assert found[0].because[:2] == (
        "batches hold 2.8, usually 1.4",
        "devices are busy for 36%, usually 62%".replace("%,", "% of the time,"),
    )


@pytest.mark.parametrize(
    ("size", "time"),
    [(2.8, 75.0), (1.6, 36.0)],
    ids=["devices as busy: more work", "hardly fuller"],
)
def test_heavier_requests_keep_devices_busy(size: float, time: float) -> None:
    assert Family.FILLING not in {family for family, _ in held(size, time).families()}


def test_it_is_not_said_of_a_load_of_queues_or_of_what_is_not_known() -> None:
    others = [
        held(2.8, 40.0, rate=150.0),
        held(2.8, 40.0).all(STABLE, names.QUEUE_LENGTH, 20.0),
        held(2.8, 40.0).all(STABLE, names.ARRIVAL_RATE, None),
        held(2.8, 40.0).gateway(names.LATENCY_P95, 75.0),
    ]
    unlearnt = held(2.8, 40.0)
    unlearnt.device = None
    for patient in (*others, unlearnt):
        assert Family.FILLING not in {family for family, _ in patient.families()}
