"""The rules answer as they did before they were made lean, and no shortcut hides anything.

A thousand deployments, each made ill by chance in a few ways at once. The digest was taken from the
rules before they had shortcuts; it changes when a rule changes on purpose: then take a new one.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import TypeVar

import pytest
from patient_by_hand import REPLICAS, STABLE, Patient, managed

from homeostat.base import names
from homeostat.base.evidence import Forecast, Quality, Verdict
from homeostat.base.types import TimeNs
from homeostat.base.units import SECOND
from homeostat.base.world import ReplicaState, Snapshot
from homeostat.detect import causes_model, causes_replica, causes_values, causes_zeros
from homeostat.detect.case import Case
from homeostat.detect.slo import broken, slo_met

T = TypeVar("T")
PATIENTS = 1_000
DIGEST = "2dbeba399ad6d5e5"
MORE_OF_REPLICA = {
    names.CPU_SHARE: 0.4,
    names.ARRIVAL_RATE: 25.0,
    names.REFUSED_RATIO: 0.0,
    names.PREEMPTION_RATIO: 0.0,
    names.KV_USAGE: 0.5,
    names.PROMPT_TOKENS: 300.0,
}
MORE_OF_GATEWAY = {names.LATENCY_P50: 60.0}
FACTORS = (0.0, 1.0, 0.001, 0.1, 0.6, 0.9, 1.2, 1.5, 2.5, 5.0, 20.0, 60.0, 100.0, 1000.0, -1.0)
LEVELS = (0.0, 0.005, 0.02, 0.06, 0.2, 0.5, 0.92, 1.2, 3.0, 9.0, 80.0, float("nan"))
TOGETHER: tuple[tuple[tuple[str, float], ...], ...] = (
    ((names.QUEUE_LENGTH, 40.0), (names.BATCH_FULL_SHARE, 0.9)),
    ((names.QUEUE_LENGTH, 40.0), (names.CPU_SHARE, 3.0)),
    ((names.DEVICE_TIME, 2.0),),
    ((names.DEVICE_TIME, 4.0), (names.ERROR_RATIO, 0.2)),
    ((names.BATCH_FULL_SHARE, 0.7), (names.BATCH_MAX, 0.5)),
    ((names.PROBE_LATENCY, 6.0),),
    ((names.PROBE_FAILURES, 5.0),),
    ((names.PREEMPTION_RATIO, 0.2), (names.KV_USAGE, 1.9), (names.PROMPT_TOKENS, 4.0)),
    ((names.BATCH_SIZE, 1.6),),
)
STATES = (ReplicaState.GONE, ReplicaState.STARTING, ReplicaState.DRAINING)
QUALITIES = (Quality.STALE, Quality.UNREACHABLE, Quality.ABSURD)


class Chance(Random):
    """Draws by `random` alone, which is the same in every version of Python."""

    def one(self, among: Sequence[T]) -> T:
        return among[int(self.random() * len(among))]


def group(chance: Chance) -> tuple[str, ...]:
    return chance.one((REPLICAS, STABLE, STABLE[:2], ("a-1",), ("b-0",)))


def harm(patient: Patient, chance: Chance) -> None:
    """Make a patient ill in one way."""
    what = int(chance.random() * 14)
    if what >= 10:
        together(patient, chance)
    elif what < 4:
        one_signal(patient, chance)
    elif what < 7:
        unseen(patient, chance, what)
    elif what < 9 and patient.world is not None:
        elsewhere(patient, patient.world, chance, what)
    else:
        left = chance.one((None, 20 * SECOND, 90 * SECOND, 900 * SECOND))
        patient.forecasts.append(
            Forecast(
                subject=names.replica(chance.one(REPLICAS)), signal=names.MEMORY_SHARE, limit=1.0,
                time_to_limit_ns=left,
            )
        )  # fmt: skip


def together(patient: Patient, chance: Chance) -> None:
    """Change what goes wrong together."""
    for signal, factor in chance.one(TOGETHER):
        for name in chance.one((REPLICAS, STABLE, ("a-1",))):
            key = (names.replica(name), signal)
            patient.set(*key, patient.usual[key] * factor if patient.usual[key] else factor)
    patient.gateway(names.LATENCY_P95, chance.one((75.0, 140.0, 600.0)))
    patient.gateway(names.ARRIVAL_RATE, chance.one((100.0, 100.0, 180.0)))
    patient.gateway(names.ERROR_RATIO, chance.one((0.0, 0.0, 0.1)))


def one_signal(patient: Patient, chance: Chance) -> None:
    """Change one signal of some replicas, or of whatever else has it."""
    subject, signal = chance.one(sorted(patient.usual))
    subjects = {subject}
    if subject.startswith("replica:"):
        subjects = {names.replica(name) for name in group(chance)}
    factor, level = chance.one(FACTORS), chance.one(LEVELS)
    for one in sorted(subjects):
        usual = patient.usual[one, signal]
        value = usual * factor if usual else level
        patient.set(one, signal, value, chance.one(tuple(Verdict)), chance.one((0.0, 40.0, 4e3)))


def unseen(patient: Patient, chance: Chance, what: int) -> None:
    """Take a series of some replicas, one of the gateway, or a page."""
    keys = sorted(patient.usual)
    if what == 4:
        _, signal = chance.one([key for key in keys if key[0].startswith("replica:")])
        for name in group(chance):
            patient.stop(names.replica(name), signal)
    elif what == 5:
        patient.stop(*chance.one([key for key in keys if key[0] == names.GATEWAY]))
    else:
        patient.blind(chance.one(sorted(patient.pages)), quality=chance.one(QUALITIES))


def elsewhere(patient: Patient, world: Snapshot, chance: Chance, what: int) -> None:
    """Change a slot, or let a release have just happened."""
    if what == 7:
        name, state = chance.one(REPLICAS), chance.one(STATES)
        patient.with_replica(name, state=state, started_at=world.observed_at)
        patient.set(names.replica(name), names.PROCESS_UP, chance.one((0.0, 1.0)))
        return
    last = replace(world.releases[-1], since=TimeNs(world.observed_at - 30 * SECOND))
    patient.world = replace(world, releases=(*world.releases[:-1], last))


def patient_of(seed: int) -> Patient:
    chance, patient = Chance(seed), Patient()
    for name in REPLICAS:
        for signal, value in MORE_OF_REPLICA.items():
            patient.set(names.replica(name), signal, value)
    for signal, value in MORE_OF_GATEWAY.items():
        patient.gateway(signal, value)
    patient.usual = {key: reading.value or 0.0 for key, reading in patient.readings.items()}
    for _ in range(int(chance.random() * 6)):
        harm(patient, chance)
    for key in sorted(patient.usual):
        if chance.random() < 0.02:
            del patient.usual[key]
    if chance.random() < 0.8:  # else what cannot be believed silences most rules
        patient.managed = managed(evidence_rules=False)
    if chance.random() < 0.05:
        patient.device = None
    if chance.random() < 0.03:
        patient.world = None
    return patient


def case_of(patient: Patient) -> Case:
    objective = patient.managed.objective
    return Case(
        managed=patient.managed, world=patient.world, readings=patient.readings,
        usual=patient.usual, learnt=dict.fromkeys(patient.usual, patient.learnt),
        device=patient.device, pages=list(patient.pages.items()),
        forecasts=patient.forecasts, slo_met=slo_met(patient.readings, objective),
        broken=broken(patient.readings, objective),
    )  # fmt: skip


def cases() -> Iterator[Case]:
    return (case_of(patient_of(seed)) for seed in range(PATIENTS))


@pytest.mark.slow
def test_what_is_suspected_of_a_thousand_patients_is_what_it_was() -> None:
    told, families = hashlib.sha256(), set()
    for seed in range(PATIENTS):
        found = patient_of(seed).diagnosis()
        families |= {one.family for one in found}
        told.update(
            repr([(s.family.value, s.subject, s.confidence, s.because) for s in found]).encode()
        )
    assert len(families) >= 13  # they are ill in nearly every way
    assert told.hexdigest()[:16] == DIGEST


@pytest.mark.slow
def test_no_shortcut_hides_what_the_long_way_finds() -> None:
    taken = dict.fromkeys(("slow", "release", "values", "zeros"), 0)
    for case in cases():
        if causes_replica.none_is_slow(case):
            taken["slow"] += 1
            assert causes_replica.each_alone(case) == ()
        if causes_model.none_is_bad(case):
            taken["release"] += 1
            assert causes_model.compared(case) == ()
        if causes_values.all_well(case):
            taken["values"] += 1
            assert list(causes_values.one_by_one(case)) == []
        heard = [one for one in case.serving if case.heard.get(f"replica:{one.name}") == "good"]
        if causes_zeros.few_are_zero(case, heard):
            taken["zeros"] += 1
            assert list(causes_zeros.one_by_one(case, heard)) == []
    assert all(PATIENTS / 10 < times < PATIENTS for times in taken.values()), taken


@pytest.mark.slow
def test_what_is_believed_is_sorted_by_signal_and_nothing_else_is() -> None:
    for case in cases():
        believed = {
            key: reading.value
            for key, reading in case.readings.items()
            if reading.quality is Quality.GOOD
        }
        sorted_so = {
            (subject, signal): value
            for signal, values in case.believed.items()
            for subject, value in values.items()
        }
        assert repr(sorted(sorted_so.items())) == repr(sorted(believed.items()))
        assert repr(case.value("gateway", "latency_p95_ms")) == repr(
            believed.get(("gateway", "latency_p95_ms"))
        )
        assert case.value("gateway", "never heard of") is None
        gone = {key for key, one in case.readings.items() if one.quality is Quality.MISSING}
        assert case.missing == gone
