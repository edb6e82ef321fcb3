"""Forecasts of whole deployments: what is unknown, what is foreseen, and what is remembered."""

import math
from dataclasses import replace

import numpy as np
import pytest

from homeostat.base import names
from homeostat.base.evidence import Forecast, Quality, Reading, Verdict
from homeostat.base.policy import Managed
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Replica, ReplicaState, Snapshot
from homeostat.detect.forecast_fleet import STATE_CLASSES, AheadState, Foresight
from homeostat.detect.usual import Device
from homeostat.stats.arrays import from_bytes, to_bytes
from homeostat.testing.build import managed as configured

PROMISED_MS = 200.0
# Two replicas, batches up to 10 in 50 ms: two of them within 200 ms, so 400 requests a second.
DEVICE = Device(size=2.0, time=10.0, slope=5.0)
CAPACITY = 2 * 1000.0 * 10.0 / 50.0
POOL, P95 = ("pool:a", names.ARRIVAL_RATE), (names.GATEWAY, names.LATENCY_P95)


def deployment(name: str = "m", scrape_s: int = 15) -> Managed:
    entry = configured(name=name, scrape_ns=scrape_s * SECOND)
    promise = replace(entry.objective, latency_p95_ms=PROMISED_MS, error_ratio=0.01, accuracy=None)
    return replace(entry, objective=promise, stable_pool="a")


def reading(subject: str, signal: str, value: float | None) -> Reading:
    return Reading(
        subject=subject, signal=signal, value=value, verdict=Verdict.HEALTHY,
        quality=Quality.GOOD if value is not None else Quality.MISSING,
        low=None, high=None, age_ns=0, samples=100.0,
    )  # fmt: skip


def world(name: str = "m") -> Snapshot:
    replicas = tuple(
        Replica(
            name=f"a-{slot}", pool="a", version="v1", state=ReplicaState.READY, incarnation=1,
            address=None,
        )
        for slot in (1, 2)
    )  # fmt: skip
    return Snapshot(
        deployment=name, observed_at=TimeNs(0), replicas=replicas, releases=(), levers=(),
        stamps=(),
    )  # fmt: skip


class Play:
    """One deployment's readings, tick by tick."""

    def __init__(self, scrape_s: int = 15) -> None:
        self.part, self.entry = Foresight(), deployment(scrape_s=scrape_s)
        self.state: AheadState = self.part.init()
        self.tick = 0

    def feed(
        self, rate: float | None, p95: float | None, errors: float | None = 0.0, *,
        device: Device | None = DEVICE, held: bool = True,
    ) -> dict[tuple[str, str], Forecast]:  # fmt: skip
        seen = [
            reading(*POOL, rate),
            reading(*P95, p95),
            reading(names.GATEWAY, names.ERROR_RATIO, errors),
            *(reading(f"replica:a-{slot}", names.BATCH_MAX, 32.0) for slot in (1, 2)),
        ]
        self.tick += 1
        self.state, out = self.part.step(
            self.state,
            [self.entry],
            {"m": {(one.subject, one.signal): one for one in seen}},
            {"m": world()},
            {} if device is None else {"m": device},
            frozenset({"m"}) if held else frozenset(),
            self.tick,
        )
        return {(one.subject, one.signal): one for one in out["m"]}


def calm(play: Play, ticks: int, rate: float = 200.0) -> dict[tuple[str, str], Forecast]:
    chance = np.random.default_rng(play.tick)
    out = {}
    for _ in range(ticks):
        out = play.feed(rate * chance.normal(1.0, 0.02), 80.0 * chance.normal(1.0, 0.05))
    return out


def test_nothing_is_said_before_enough_was_seen() -> None:
    play = Play()
    for _ in range(7):
        for one in calm(play, 1).values():
            assert one.chances == (None, None, None)
            assert one.quantiles == ()
            assert one.time_to_limit_ns is None
            assert one.likely_ns is None
    assert None not in calm(play, 3)[P95].chances


def test_what_is_not_reported_is_unknown_and_never_nought() -> None:
    play = Play()
    out = [play.feed(200.0, None, None) for _ in range(60)][-1]
    assert out[P95].chances == (None, None, None)
    assert out[names.GATEWAY, names.ERROR_RATIO].quantiles == ()
    assert None not in out[POOL].chances


def test_demand_without_a_known_capacity_is_forecast_without_a_limit() -> None:
    play = Play()
    out = [play.feed(200.0, 80.0, device=DEVICE._replace(slope=None)) for _ in range(120)][-1]
    assert math.isinf(out[POOL].limit)
    assert out[POOL].chances == (None, None, None)


def test_a_promise_that_a_person_tightens_a_little_is_foretold_at_once() -> None:
    play = Play()
    assert calm(play, 20)[P95].limit == pytest.approx(play.entry.objective.latency_p95_ms)
    tighter = 0.95 * (play.entry.objective.latency_p95_ms or 0.0)
    play.entry = replace(
        play.entry, objective=replace(play.entry.objective, latency_p95_ms=tighter)
    )
    assert play.feed(200.0, 80.0)[P95].limit == pytest.approx(tighter)


def test_a_capacity_that_is_seen_a_little_differently_stays_what_it_was() -> None:
    play = Play()
    before = calm(play, 20)[POOL].limit
    slower = DEVICE._replace(time=DEVICE.time * 1.03)
    assert play.feed(200.0, 80.0, device=slower)[POOL].limit == before


def swung(play: Play, *, held: bool = True) -> Forecast:
    """Let demand swing for an hour, and latency with it: the promise ends at 300 of 400."""
    out = {}
    for tick in range(240):
        rate = 200.0 * (1.0 + 0.2 * math.sin(tick / 30.0))
        out = play.feed(rate, 50.0 / (1.0 - rate / 400.0), held=held)
    return out[POOL]


def test_a_promise_that_ends_before_capacity_does_is_the_limit() -> None:
    assert swung(Play()).limit == pytest.approx(300.0, rel=0.03)


def test_a_promise_that_ends_beyond_capacity_is_not() -> None:
    play = Play()
    play.entry = replace(
        play.entry, objective=replace(play.entry.objective, latency_p95_ms=2_000.0)
    )
    assert swung(play).limit <= CAPACITY * 1.6  # batches of 32 then, and not what the line says


def test_what_our_own_actions_did_to_latency_teaches_no_limit() -> None:
    assert swung(Play(), held=False).limit == pytest.approx(CAPACITY)


def test_calm_demand_far_below_capacity_is_no_breach() -> None:
    out = calm(Play(), 40)
    assert out[POOL].limit == pytest.approx(CAPACITY)
    first = out[POOL].chances[0]
    assert first is not None
    assert first < 0.1
    soonest = out[POOL].time_to_limit_ns
    assert soonest is None or soonest > 300 * SECOND


def test_a_ramp_is_seen_coming_before_it_arrives() -> None:
    """Five minutes of calm, then 1 % more every scrape: the limit is 69 scrapes away."""
    play = Play()
    calm(play, 20)
    rate, said = 200.0, []
    while rate < CAPACITY:
        rate *= 1.01
        said.append(play.feed(rate, 80.0)[POOL].chances[1])
    sure = [at for at, one in enumerate(said) if one is not None and one > 0.5]
    assert sure
    # A quarter of an hour is sixty scrapes; half of the way it must be known.
    assert sure[0] < len(said) - 20


def test_a_longer_look_never_sees_less() -> None:
    play = Play()
    calm(play, 30)
    for rate in np.linspace(200.0, 450.0, 40):
        chances = [one for one in play.feed(float(rate), 80.0)[POOL].chances if one is not None]
        assert chances == sorted(chances)


def test_the_state_comes_back_from_bytes_and_goes_on_bit_for_bit() -> None:
    play = Play()
    calm(play, 30)
    data = to_bytes(play.state)
    again = Play()
    again.state, again.tick = from_bytes(data, STATE_CLASSES), play.tick
    assert to_bytes(again.state) == data
    for rate in (210.0, 220.0, 260.0):
        assert play.feed(rate, 90.0) == again.feed(rate, 90.0)
    assert to_bytes(again.state) == to_bytes(play.state)


def test_horizons_are_minutes_whatever_the_scrape_interval() -> None:
    for scrape_s in (1, 15, 60):
        out = calm(Play(scrape_s), 2)
        assert [one // (60 * SECOND) for one in out[P95].horizons_ns] == [5, 15, 60]


def test_an_accuracy_that_falls_towards_its_promise_is_foretold_in_its_own_sense() -> None:
    play = Play()
    play.entry = replace(play.entry, objective=replace(play.entry.objective, accuracy=0.8))
    chance, key = np.random.default_rng(0), (names.MODEL, names.ACCURACY)
    said = []
    for level in (*[0.9] * 30, *np.linspace(0.9, 0.82, 30)):
        play.tick += 1
        seen = {key: reading(*key, float(level + 0.002 * chance.standard_normal()))}
        play.state, out = play.part.step(
            play.state, [play.entry], {"m": seen}, {}, {}, frozenset({"m"}), play.tick
        )
        (one,) = [one for one in out["m"] if (one.subject, one.signal) == key]
        said.append(one)
    last = said[-1]
    assert last.limit == 0.8
    assert all(list(moment) == sorted(moment) for moment in last.quantiles)
    assert last.quantiles[0][1] < 0.82
    assert None not in (said[29].chances[0], last.chances[0])
    assert (last.chances[0] or 0.0) > (said[29].chances[0] or 0.0) + 0.3
    assert last.time_to_limit_ns is not None
    assert last.likely_ns is None or last.time_to_limit_ns <= last.likely_ns


@pytest.mark.slow
def test_a_peak_of_every_hour_is_foreseen_before_demand_rises() -> None:
    """Demand is flat but for ten minutes an hour: only the season tells of the next peak."""
    chance = np.random.default_rng(0)
    before: list[float | None] = []
    after: list[float | None] = []
    play = Play(60)
    for tick in range(60 * 13):
        minute = tick % 60
        level = 500.0 if 40 <= minute < 50 else 200.0
        one = play.feed(level * chance.normal(1.0, 0.02), 80.0)[POOL].chances[1]
        if tick >= 60 * 10 and minute in {37, 52}:
            (before if minute == 37 else after).append(one)
    sure = [one for one in (*before, *after) if one is not None]
    assert len(sure) == 6
    assert min(sure[:3]) > max(sure[3:]) + 0.4
