"""Front ends that will run out of their core: of dearer requests alone, and only while well."""

from dataclasses import replace
from typing import Any

import pytest

from homeostat.base import names
from homeostat.base.evidence import Family, Forecast, Quality, Reading, Verdict
from homeostat.base.family import only_foreseen
from homeostat.base.units import MINUTE, SECOND
from homeostat.detect.case import Case
from homeostat.detect.causes_core import running_out
from homeostat.detect.usual import Device
from homeostat.testing import build

POOL = "pool:a"
DEVICE = Device(size=4.0, time=20.0, slope=2.0)


def reading(subject: str, signal: str, value: float | None) -> Reading:
    return Reading(
        subject=subject, signal=signal, value=value, verdict=Verdict.HEALTHY,
        quality=Quality.MISSING if value is None else Quality.GOOD, low=None, high=None, age_ns=0,
        samples=100.0,
    )  # fmt: skip


def case(
    left_s: float | None = 120.0, *, cpu: tuple[float, ...] = (0.4, 0.42, 0.38),
    usual: float | None = 0.2, rate: float | None = 200.0, was: float = 200.0,
    full: float = 0.1, pace: float = 1.0, met: bool | None = True,
) -> Case:  # fmt: skip
    world = build.world()
    mine = [one for one in world.replicas if one.pool == "a"]
    assert len(mine) >= 2
    seen = [reading(POOL, names.ARRIVAL_RATE, rate)]
    usually: dict[tuple[str, str], float] = {(POOL, names.ARRIVAL_RATE): was}
    for number, replica in enumerate(mine):
        subject = names.replica(replica.name)
        seen += [
            reading(subject, names.CPU_SHARE, cpu[number % len(cpu)]),
            reading(subject, names.BATCH_FULL_SHARE, full),
            reading(subject, names.BATCH_SIZE, 4.0),
            reading(subject, names.DEVICE_TIME, 20.0 * pace),
        ]
        if usual is not None:
            usually[subject, names.CPU_SHARE] = usual
    climbs = Forecast(
        subject=POOL, signal=names.CPU_SHARE, limit=1.0,
        time_to_limit_ns=None if left_s is None else round(left_s * SECOND),
    )  # fmt: skip
    return Case(
        managed=build.managed(), world=world, readings={(o.subject, o.signal): o for o in seen},
        usual=usually, learnt={}, device=DEVICE, pages=(),
        forecasts=() if left_s is None else (climbs,), slo_met=met, broken=(),
    )  # fmt: skip


def test_requests_that_cost_ever_more_are_front_ends_of_the_model_and_a_forecast() -> None:
    (found,) = running_out(case())
    assert (found.family, found.subject, found.urgent) == (Family.FRONTEND, names.MODEL, False)
    assert found.because[0].startswith("forecast: servers take 0.4")
    assert only_foreseen(found.family, found.subject)


@pytest.mark.parametrize(
    "changes",
    [
        {"left_s": None},
        {"left_s": 16.0 * 60.0},
        {"cpu": (0.22, 0.22, 0.22)},
        {"cpu": (0.6, 0.05, 0.6)},
        {"usual": None},
        {"usual": 0.95, "cpu": (3.0, 3.0, 3.0)},
        {"rate": None},
        {"rate": 400.0},
        {"full": 0.9},
        {"pace": 1.6},
        {"met": False},
        {"met": None},
    ],
    ids=[
        "no climb", "later than a replica needs", "hardly more than usual",
        "one replica does not climb", "nothing usual yet", "servers of several cores",
        "demand unseen", "demand explains it", "the device is behind", "the device is slow",
        "felt already", "promise unseen",
    ],
)  # fmt: skip
def test_nothing_is_said_otherwise(changes: dict[str, Any]) -> None:
    assert running_out(case(**changes)) == ()


def test_who_needs_longer_for_a_replica_looks_further() -> None:
    seen = case(8.0 * 60.0)
    slow = replace(seen.managed.guard, readiness_deadline_ns=15 * MINUTE)
    assert running_out(seen) == ()
    assert running_out(replace(seen, managed=replace(seen.managed, guard=slow)))


def test_front_ends_whose_requests_wait_are_no_forecast() -> None:
    assert not only_foreseen(Family.FRONTEND, POOL)
    assert only_foreseen(Family.LOAD, POOL)
    assert not only_foreseen(Family.LOAD, names.GATEWAY)
    for family in Family:
        for subject in (POOL, names.GATEWAY, names.MODEL, "replica:a-1"):
            if family not in {Family.LOAD, Family.FRONTEND}:
                assert not only_foreseen(family, subject)
