"""What a controller saw becomes a recording: whole windows of a well deployment, no guesses."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base import names
from homeostat.base.evidence import Evidence, Family, Reading, Suspicion
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import ReplicaState
from homeostat.testing import build
from homeostat.twin import fit_record
from homeostat.twin.fit_frame import Frame, from_csv

SLOTS = ("a-1", "a-2", "a-3")


def ticked(
    tick: int, *, batch: float | None = 4.0, rate: float | None = 90.0, batch_max: int = 8
) -> Evidence:
    """One tick of three replicas, each of which ran ten batches."""
    values: dict[tuple[str, str], float | None] = {
        ("pool:a", names.ARRIVAL_RATE): rate,
        ("pool:a", names.LATENCY_P95): 80.0 + tick,
    }
    for slot in SLOTS:
        values |= {
            (f"replica:{slot}", names.BATCH_SIZE): batch,
            (f"replica:{slot}", names.DEVICE_TIME): 45.0,
        }
    evidence = build.evidence(values=values, world=build.world(levers={"batch_max": batch_max}))
    readings = tuple(
        replace(one, samples=10.0) if one.subject.startswith("replica") else one
        for one in evidence.readings
    )
    at = TimeNs(build.START + tick * SECOND)
    return replace(evidence, tick=tick, at=at, readings=readings, ready=True, suspicions=())


def recorded(ticks: list[Evidence]) -> list[str]:
    return list(fit_record.lines(ticks, "a"))


def framed(ticks: list[Evidence]) -> Frame:
    text = "\n".join([fit_record.header(), *recorded(ticks)])
    return from_csv(text.encode(), "r.csv")


def test_a_window_is_one_row_of_what_was_read() -> None:
    found = framed([ticked(k) for k in range(10)])
    assert found.rows == 2
    assert found.usual_step_s == pytest.approx(5.0)
    assert found.window.ends_s == pytest.approx(build.START / SECOND + 9.0, abs=1e-3)
    row = {name: float(found[name][0]) for name in fit_record.COLUMNS[1:]}
    # Ten batches of four at each of three replicas in a second.
    assert row["throughput"] == pytest.approx(120.0)
    assert (row["batch_size"], row["service_s"], row["batch_limit"]) == (4.0, 0.045, 8.0)
    assert row["request_rate"] == 90.0
    assert row["latency_p95_s"] == pytest.approx(0.084)  # of the window: as its last tick saw it
    assert (row["replicas"], row["replicas_starting"], row["replicas_wanted"]) == (3.0, 0.0, 3.0)


def test_batches_are_weighed_by_how_many_there_were() -> None:
    def one(tick: int) -> Evidence:
        evidence = ticked(tick)
        few = tuple(
            replace(r, value=1.0, samples=1.0)
            if (r.subject, r.signal) == ("replica:a-1", names.BATCH_SIZE)
            else r
            for r in evidence.readings
        )
        return replace(evidence, readings=few)

    found = framed([one(k) for k in range(10)])
    assert float(found["batch_size"][0]) == pytest.approx((20 * 4 + 1) / 21)


def test_what_was_not_known_stays_empty_and_is_never_zero() -> None:
    ticks = [
        ticked(k, batch=None if k == 2 else 4.0, rate=None if k == 7 else 90.0) for k in range(10)
    ]
    found = framed(ticks)
    assert math.isnan(found["throughput"][0])  # a tick of it was not seen
    assert found["batch_size"][0] == 4.0
    assert math.isnan(found["request_rate"][1])
    assert found["throughput"][1] == pytest.approx(120.0)
    assert not found.has("latency_p99_s", "queue")


@pytest.mark.parametrize(
    ("family", "kept"),
    [(Family.LOAD, 2), (Family.BATCHING, 2), (Family.REPLICA, 1), (Family.SENSOR, 1)],
)
def test_a_window_in_which_something_else_than_load_was_suspected_is_left_out(
    family: Family, kept: int
) -> None:
    ticks = [ticked(k) for k in range(10)]
    doubt = Suspicion(family=family, subject="replica:a-1", confidence=0.9, because=())
    ticks[3] = replace(ticks[3], suspicions=(doubt,))
    assert len(recorded(ticks)) == kept


def test_a_gap_or_a_changed_batch_ends_a_window() -> None:
    ticks = [ticked(k) for k in range(12)]
    assert len(recorded([*ticks[:3], *ticks[5:]])) == 1
    assert len(recorded([ticked(k, batch_max=8 if k < 7 else 16) for k in range(10)])) == 1


def test_what_was_not_judged_or_not_read_is_no_row() -> None:
    ticks = [ticked(k) for k in range(5)]
    assert recorded([*ticks[:4], replace(ticks[4], ready=False)]) == []
    assert recorded([*ticks[:4], replace(ticks[4], world=None)]) == []


@given(
    rate=st.none() | st.floats(0, 1e6),
    batch=st.none() | st.floats(1, 32),
    state=st.sampled_from(list(ReplicaState)),
)
def test_any_ticks_make_a_recording_that_can_be_read(
    rate: float | None, batch: float | None, state: ReplicaState
) -> None:
    world = build.world(replicas=(build.replica("a-1", state=state), build.replica("a-2")))
    ticks = [replace(ticked(k, rate=rate, batch=batch), world=world) for k in range(10)]
    found = framed(ticks)
    assert found["replicas"][0] == (2.0 if state is ReplicaState.READY else 1.0)
    assert math.isnan(found["request_rate"][0]) == (rate is None)
    assert math.isnan(found["batch_size"][0]) == (batch is None)


def test_readings_of_another_pool_do_not_count() -> None:
    def other(reading: Reading) -> Reading:
        return replace(reading, value=1.0) if reading.subject == "replica:b-1" else reading

    ticks = [ticked(k) for k in range(10)]
    assert recorded(ticks) == recorded([
        replace(one, readings=tuple(map(other, one.readings))) for one in ticks
    ])
