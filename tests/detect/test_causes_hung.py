"""A process that takes requests and finishes none is hung, and nothing else is. By hand."""

from dataclasses import replace

import pytest
from patient_by_hand import REPLICAS, STABLE, Patient

from homeostat.base import names
from homeostat.base.evidence import Family, Quality
from homeostat.base.types import TimeNs
from homeostat.base.units import SECOND


def hung(*which: str) -> Patient:
    """Return a deployment in which some replicas have requests and finish none of them."""
    patient = Patient().all(REPLICAS, names.PROBE_HEALTH, 1.0)
    for name in which:
        subject = names.replica(name)
        patient.set(subject, names.PROBE_FAILURES, 3.0)
        patient.set(subject, names.QUEUE_LENGTH, 40.0)
        patient.stop(subject, names.ERROR_RATIO)
    return patient


def told(patient: Patient) -> list[tuple[Family, str]]:
    return [one for one in patient.families() if one[0] is Family.HUNG]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_replica_that_finishes_nothing_is_hung_at_once(count: int) -> None:
    found = hung(*STABLE[:count]).diagnosis()
    assert [(one.family, one.subject) for one in found] == [
        (Family.HUNG, names.replica(name)) for name in STABLE[:count]
    ]
    assert all(one.urgent for one in found)
    assert found[0].because[0] == "a-0 has 40 requests and finishes none of them"


def test_what_fills_up_and_asks_again_because_of_it_is_not_named_beside_it() -> None:
    patient = hung("a-1").set("replica:a-1", names.MEMORY_SHARE, 0.97)
    patient.gateway(names.ARRIVAL_RATE, 160.0).gateway(names.LATENCY_P95, 900.0)
    assert patient.families() == [(Family.HUNG, "replica:a-1")]


@pytest.mark.parametrize(
    ("signal", "value"),
    [
        (names.PROCESS_UP, 0.0),
        (names.PROCESS_UP, None),
        (names.PROBE_HEALTH, 0.0),
        (names.PROBE_FAILURES, 2.0),
        (names.QUEUE_LENGTH, 0.0),
        (names.QUEUE_LENGTH, None),
        (names.ERROR_RATIO, 0.0),
        (names.ERROR_RATIO, 0.97),
    ],
)
def test_one_that_is_gone_unwell_idle_unread_or_answers_is_not_hung(
    signal: str, value: float | None
) -> None:
    assert not told(hung("a-1").set("replica:a-1", signal, value))


def test_where_every_probe_fails_users_may_wait_for_something_else() -> None:
    assert not told(hung(*REPLICAS))


def test_a_page_that_does_not_come_says_nothing() -> None:
    assert not told(hung("a-1").blind("replica:a-1", quality=Quality.UNREACHABLE))


def test_a_process_that_has_just_begun_has_answered_nobody_yet() -> None:
    patient = hung("a-1")
    assert patient.world is not None
    began = TimeNs(patient.world.observed_at - 4 * SECOND)
    assert not told(patient.with_replica("a-1", started_at=began))
    old = TimeNs(patient.world.observed_at - 60 * SECOND)
    assert told(patient.with_replica("a-1", started_at=old))
    patient.world = replace(patient.world, observed_at=TimeNs(began + 6 * SECOND))
    assert told(patient.with_replica("a-1", started_at=began))
