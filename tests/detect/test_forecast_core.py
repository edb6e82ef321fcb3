"""Front ends on their way to one core: claimed in time, of a climb alone, unknown in gaps."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from homeostat.base import names
from homeostat.base.evidence import Quality, Reading, Verdict
from homeostat.base.policy import Managed
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Replica, ReplicaState, Snapshot
from homeostat.detect import forecast_core
from homeostat.detect.forecast_fleet import STATE_CLASSES, AheadState
from homeostat.stats.arrays import from_bytes, to_bytes
from homeostat.testing.build import managed as configured


def entry(scrape_s: int = 15) -> Managed:
    return replace(configured(name="m", scrape_ns=scrape_s * SECOND), stable_pool="a")


def share(slot: int, value: float | None) -> Reading:
    return Reading(
        subject=f"replica:a-{slot}", signal=names.CPU_SHARE, value=value, verdict=Verdict.HEALTHY,
        quality=Quality.GOOD if value is not None else Quality.MISSING,
        low=None, high=None, age_ns=0, samples=1.0,
    )  # fmt: skip


def world(count: int) -> Snapshot:
    replicas = tuple(
        Replica(
            name=f"a-{slot}", pool="a", version="v1", state=ReplicaState.READY, incarnation=1,
            address=None,
        )
        for slot in range(1, count + 1)
    )  # fmt: skip
    return Snapshot(
        deployment="m", observed_at=TimeNs(0), replicas=replicas, releases=(), levers=(), stamps=()
    )


def played(
    shares: Sequence[Sequence[float | None]], scrape_s: int = 15
) -> list[float | None]:  # seconds left at each tick
    cores: forecast_core.Cores = {}
    out: list[float | None] = []
    for row in shares:
        seen = {
            (one.subject, one.signal): one
            for one in (share(slot, value) for slot, value in enumerate(row, start=1))
        }
        cores, said = forecast_core.step(
            cores, [entry(scrape_s)], {"m": seen}, {"m": world(len(row))}
        )
        found = said.get("m", ())
        left = found[0].time_to_limit_ns if found else None
        out.append(None if left is None else left / SECOND)
    return out


def ramp(ticks: int, first: float = 0.2, a_tick: float = 0.05) -> list[list[float]]:
    return [[first + a_tick * tick] * 3 for tick in range(ticks)]


def test_a_climb_is_claimed_with_the_time_that_is_left() -> None:
    said = played([[0.2] * 3] * 8 + ramp(10, first=0.25))
    at = next(tick for tick, left in enumerate(said) if left is not None)
    assert at <= 8 + 4
    now = 0.25 + 0.05 * (at - 8)
    assert said[at] == pytest.approx((1.0 - now) / 0.05 * 15.0, rel=0.3)
    assert said[-1] == pytest.approx((1.0 - 0.7) / 0.05 * 15.0, rel=0.01)


def test_a_slow_climb_is_claimed_in_spite_of_jitter() -> None:
    chance = np.random.default_rng(2)
    rows = [[0.2 + 0.01 * tick + chance.normal(0.0, 0.004)] * 3 for tick in range(40)]
    said = played(rows)
    assert said[-1] == pytest.approx((1.0 - 0.6) / 0.01 * 15.0, rel=0.4)


def test_what_stands_at_one_core_has_no_time_left_and_what_fell_none_in_sight() -> None:
    assert played(ramp(20, first=0.1))[-1] == 0.0
    falls = [*ramp(8), *[[0.3] * 3] * 3]
    assert played(falls)[-1] is None


def test_servers_of_several_cores_are_on_their_way_to_none() -> None:
    assert forecast_core.steps_left([2.00, 2.10, 1.95, 2.05, 2.09]) is None
    assert forecast_core.steps_left([2.0, 2.1, 2.2, 2.3, 2.4]) is None
    chance = np.random.default_rng(6)
    shares = chance.normal(2.0, 0.1, 2_000).tolist()
    assert all(forecast_core.steps_left(shares[k : k + 12]) is None for k in range(1_980))


def test_jitter_alone_claims_nothing() -> None:
    """A year of ticks around a fifth of a core, with neighbours that are alike."""
    chance, level, found = np.random.default_rng(5), 0.0, 0
    recent: list[float] = []
    for _ in range(60_000):
        level = 0.6 * level + chance.normal(0.0, 0.008)
        recent = [*recent, 0.2 + level][-12:]
        found += forecast_core.steps_left(recent) is not None
    assert found == 0


def test_a_gap_is_unknown_and_not_calm() -> None:
    rows: list[list[float | None]] = [list(row) for row in ramp(10)]
    rows[7] = [None, None, None]
    assert played(rows)[8:] == [None, None]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0])
def test_most_replicas_must_be_known(bad: float) -> None:
    two_of_three = [[row[0], row[1], None] for row in ramp(10)]
    one_of_three = [[row[0], None, bad] for row in ramp(10)]
    assert played(two_of_three)[-1] is not None
    assert all(left is None for left in played(one_of_three))


def test_one_replica_of_three_that_climbs_is_not_the_pool() -> None:
    assert all(left is None for left in played([[row[0], 0.2, 0.2] for row in ramp(12)]))


def test_ticks_shorter_than_a_step_are_taken_together() -> None:
    """Ramps of the same speed: claimed with the same time left, at ticks of one second too."""
    quick = [[0.2 + 0.05 / 15.0 * tick] * 3 for tick in range(150)]
    left, coarse = played(quick, scrape_s=1)[-1], played(ramp(10))[-1]
    assert left is not None
    assert coarse is not None
    assert abs(left - coarse) <= 15.0  # a step: of a step the mean is known, and not the end


def test_nobody_can_be_read_back_and_nothing_is_said() -> None:
    seen = {("replica:a-1", names.CPU_SHARE): share(1, 0.9)}
    cores: forecast_core.Cores = {}
    for _ in range(12):
        cores, said = forecast_core.step(cores, [entry()], {"m": seen}, {})
        assert said == {}


def test_the_state_comes_back_from_bytes_and_the_gone_are_forgotten() -> None:
    cores: forecast_core.Cores = {}
    for row in ramp(6):
        seen = {("replica:a-1", names.CPU_SHARE): share(1, row[0])}
        cores, _ = forecast_core.step(cores, [entry()], {"m": seen}, {"m": world(1)})
    kept = from_bytes(to_bytes(AheadState(cores=cores)), STATE_CLASSES)
    assert kept.cores == cores
    assert forecast_core.step(cores, [], {}, {})[0] == {}
