"""The event-driven reference against closed forms, and the tick model's physics against it."""

import csv
from pathlib import Path

import numpy as np
import pytest
from fluid_by_hand import run
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.lab import reference_arrivals as arrivals
from homeostat.lab import tables as builder
from homeostat.lab.reference import Outcome, Routing, Users, simulate
from homeostat.lab.reference_station import Station, latencies, renewal
from homeostat.twin import closed_forms, tables
from homeostat.twin import table_grid as grid

QUANTILES = Path(__file__).parents[1] / "oracles" / "queue_quantiles.csv"
EIGHT = Station(tau0_s=0.02, alpha_s=0.002, batch_max=8)


def chance(seed: int = 7) -> np.random.Generator:
    return np.random.default_rng(seed)


def settled(
    station: Station, load: float, *, size: tuple[int, int], ca2: float = 1.0
) -> np.ndarray:
    """Return latencies of a station at a load, the first quarter of every run forgotten."""
    source = chance()
    times = renewal(source, load * station.capacity, ca2, size)
    return latencies(station, times, source)[:, size[1] // 4 :]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("batch", [1, 8, 32])
@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_the_reference_and_the_tables_agree_with_the_exact_chain(batch: int, load: float) -> None:
    station = Station(tau0_s=0.02, alpha_s=0.002, batch_max=batch)
    measured = settled(station, load, size=(256, 5000)).mean()
    rate = load * station.capacity
    exact = closed_forms.batch_queue(rate, 0.02, 0.002, batch).latency_s
    assert measured == pytest.approx(exact, rel=0.01)
    told = run(station, np.full(60, rate), tick_s=1.0)
    assert told.latency_s[-1] == pytest.approx(measured, rel=0.02)


@pytest.mark.long
@pytest.mark.parametrize("batch", [1, 8, 32])
@pytest.mark.parametrize("load", [0.9, 0.95])
def test_near_full_load_the_tick_model_stays_within_five_percent(batch: int, load: float) -> None:
    station = Station(tau0_s=0.02, alpha_s=0.002, batch_max=batch)
    measured = settled(station, load, size=(512, 20000)).mean()
    told = run(station, np.full(600, load * station.capacity), tick_s=1.0)
    assert told.latency_s[-1] == pytest.approx(measured, rel=0.05)


@pytest.mark.parametrize(("cv2", "ca2"), [(1.0, 1.0), (0.25, 1.0), (0.0, 0.0)])
def test_a_station_that_takes_one_waits_as_theory_says(cv2: float, ca2: float) -> None:
    station = Station(tau0_s=0.02, alpha_s=0.0, batch_max=1, cv2=cv2)
    measured = settled(station, 0.6, size=(256, 5000), ca2=ca2).mean()
    # Exact: Pollaczek-Khinchine for Poisson arrivals; a clock and a fixed service never queue.
    wait = 0.02 * 0.6 * (1 + cv2) / (2 * 0.4) * ca2
    assert measured == pytest.approx(0.02 + wait, rel=0.02)


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("ca2", "cv2"), [(4.0, 0.0), (1.0, 0.5)])
@pytest.mark.slow
def test_chance_moves_the_tables_as_it_moves_the_reference(ca2: float, cv2: float) -> None:
    station = Station(tau0_s=0.02, alpha_s=0.002, batch_max=8, cv2=cv2)
    measured = settled(station, 0.8, size=(256, 5000), ca2=ca2).mean()
    row = tables.load().row(0.02, 0.002, 8.0, cv2, ca2)
    lines = (0.8 - np.asarray(row.intercept)) / np.asarray(row.slope)
    assert lines.max() / (0.8 * station.capacity) == pytest.approx(measured, rel=0.08)


def test_the_reference_repeats_the_published_quantiles() -> None:
    for cell in csv.DictReader(QUANTILES.read_text().splitlines()):
        if cell["rho"] not in {"0.3", "0.6"}:
            continue
        station = Station(tau0_s=0.02, alpha_s=0.002, batch_max=int(cell["bmax"]))
        found = settled(station, float(cell["rho"]), size=(128, 3000))
        assert found.mean() == pytest.approx(float(cell["mean"]), rel=0.02)
        for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            assert np.quantile(found, q) == pytest.approx(float(cell[name]), rel=0.04), cell


@settings(max_examples=20)
@given(
    batch=st.integers(1, 12),
    delay=st.sampled_from([0.0, 0.01, 0.2]),
    load=st.floats(0.1, 1.5),
    seed=st.integers(0, 99),
)
def test_the_heap_and_the_lockstep_simulate_the_same_replica(
    batch: int, delay: float, load: float, seed: int
) -> None:
    station = Station(tau0_s=0.02, alpha_s=0.002, batch_max=batch, queue_delay_s=delay)
    times = renewal(chance(seed), load * station.capacity, 1.0, (1, 400))
    one = simulate(station, times[0], source=chance(seed)).latency_s
    # The lockstep knows that nobody comes after the last request, and waits for nobody then.
    np.testing.assert_allclose(
        one[: -2 * batch], latencies(station, times, chance())[0, : -2 * batch], rtol=1e-9
    )


@settings(max_examples=20)
@given(
    replicas=st.integers(1, 5),
    routing=st.sampled_from(Routing),
    retries=st.integers(0, 3),
    cancel=st.sampled_from([0.0, 0.4, 1.0]),
    load=st.floats(0.2, 2.0),
    seed=st.integers(0, 99),
)
def test_every_attempt_is_served_or_dropped_and_no_answer_is_late(
    replicas: int, routing: Routing, retries: int, cancel: float, load: float, seed: int
) -> None:
    users = Users(timeout_s=0.3, retries=retries, backoff_s=0.1, cancel=cancel)
    times = renewal(chance(seed), load * EIGHT.capacity * replicas, 1.0, (1, 800))[0]
    found = simulate(
        EIGHT, times, source=chance(seed), replicas=replicas, routing=routing, users=users,
        sample_s=np.array([0.0, 1.0, 1e6]),
    )  # fmt: skip
    assert found.attempts.sum() == found.completed + found.dropped
    assert found.dropped == 0 or cancel > 0
    assert found.attempts.min() >= 1
    assert found.attempts.max() <= retries + 1
    answered = np.isfinite(found.latency_s)
    assert np.all(found.attempts[~answered] == retries + 1)  # nobody gives up early
    first = answered & (found.attempts == 1)
    assert np.all(found.latency_s[first] <= 0.3 + 1e-9)
    assert np.all(found.latency_s[answered] >= 0.022 - 1e-9)
    assert found.jobs[0] == found.jobs[-1] == 0
    again = simulate(
        EIGHT, times, source=chance(seed), replicas=replicas, routing=routing, users=users
    )
    np.testing.assert_array_equal(again.latency_s, found.latency_s)


def test_a_server_that_notices_does_less_for_nobody() -> None:
    times = renewal(chance(), 2 * EIGHT.capacity, 1.0, (1, 3000))[0]
    blind = simulate(EIGHT, times, source=chance(), users=Users(timeout_s=0.5))
    alert = simulate(EIGHT, times, source=chance(), users=Users(timeout_s=0.5, cancel=1.0))
    assert blind.completed == 3000
    assert alert.dropped > 1000
    assert alert.goodput(0, 1e9) >= blind.goodput(0, 1e9)


def test_littles_law_holds_in_the_reference() -> None:
    times = renewal(chance(), 0.7 * EIGHT.capacity * 3, 1.0, (1, 30_000))[0]
    looks = np.linspace(2.0, times[-1] - 2.0, 20_000)
    found = simulate(EIGHT, times, source=chance(), replicas=3, sample_s=looks)
    rate = 30_000 / times[-1]
    assert found.jobs.mean() == pytest.approx(rate * found.latency_s.mean(), rel=0.02)


def test_looking_at_the_load_beats_chance_when_a_replica_takes_one() -> None:
    station = Station(tau0_s=0.02, alpha_s=0.002, batch_max=1)
    times = renewal(chance(), 0.8 * station.capacity * 4, 1.0, (1, 30_000))[0]
    mean = {
        routing: simulate(
            station, times, source=chance(), replicas=4, routing=routing
        ).latency_s.mean()
        for routing in Routing
    }
    assert mean[Routing.RANDOM] == pytest.approx(0.066, rel=0.05)
    assert mean[Routing.TWO_CHOICES] < 0.65 * mean[Routing.RANDOM]
    assert mean[Routing.SHORTEST] < mean[Routing.TWO_CHOICES]


@pytest.mark.parametrize("ca2", [0.3, 1.0, 6.0])
def test_arrivals_have_the_rate_and_the_burstiness_asked_for(ca2: float) -> None:
    gaps = np.diff(renewal(chance(), 50.0, ca2, (40, 20_000)), axis=1)
    assert gaps.mean() == pytest.approx(0.02, rel=0.02)
    assert gaps.var() / gaps.mean() ** 2 == pytest.approx(ca2, rel=0.05)


def test_a_changing_rate_gives_as_many_arrivals_as_its_integral() -> None:
    times = arrivals.varying(chance(), (0.0, 100.0, 100.0, 200.0), (50.0, 150.0, 10.0, 10.0))
    assert np.all(np.diff(times) >= 0)
    for begin, end, expected in ((0, 50, 3750), (50, 100, 6250), (100, 200, 1000)):
        count = ((times >= begin) & (times < end)).sum()
        assert count == pytest.approx(expected, abs=4 * expected**0.5)
    crowd = arrivals.flash_crowd(chance(), 40, times=3, start_s=10, stop_s=20, end_s=30)
    inside = ((crowd >= 10) & (crowd < 20)).sum()
    assert inside == pytest.approx(1200, abs=4 * 1200**0.5)
    with pytest.raises(ValueError, match="ascending knots"):
        arrivals.varying(chance(), (0.0, 2.0, 1.0), (1.0, 1.0, 1.0))


def test_a_recorded_trace_is_replayed_from_zero_and_faster_if_asked() -> None:
    np.testing.assert_allclose(arrivals.replay(np.array([30.0, 10.0, 70.0]), 10.0), [0, 2, 6])


def test_a_cluster_without_replicas_and_unsorted_arrivals_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one replica"):
        simulate(EIGHT, np.array([0.0]), source=chance(), replicas=0)
    with pytest.raises(ValueError, match="ascending"):
        simulate(EIGHT, np.array([1.0, 0.0]), source=chance())


def test_the_stored_quantiles_are_those_that_the_builder_measures() -> None:
    place = 0, 6, 2, 0
    stored = np.asarray(tables.load().spread)[place]
    np.testing.assert_allclose(builder.cell(place), stored, atol=1e-3)
    # Another seed's runs agree to within their noise.
    station = Station(tau0_s=grid.law(2 / 6)[0], alpha_s=grid.law(2 / 6)[1], batch_max=64)
    other = settled(station, grid.RATIO_LOADS[0], size=(128, 2000))
    found = np.log(np.quantile(other, grid.QUANTILES) / other.mean())
    np.testing.assert_allclose(found, stored, atol=0.02)


@pytest.mark.long
def test_a_flash_crowd_passes_as_in_the_reference() -> None:
    load, end, runs = 0.6, 300, 8
    rate = load * EIGHT.capacity
    bins: list[list[float]] = [[] for _ in range(end // 10)]
    for seed in range(runs):
        times = arrivals.flash_crowd(
            chance(seed), rate, times=3.0, start_s=60.0, stop_s=120.0, end_s=float(end)
        )
        found = simulate(EIGHT, times, source=chance(seed)).latency_s
        place = (times // 10).astype(int)
        for at in range(len(bins)):
            bins[at].append(float(found[place == at].mean()))
    reference = np.array(bins).mean(axis=1)
    rates = np.full(end, rate)
    rates[60:120] *= 3
    told = run(EIGHT, rates, tick_s=1.0).latency_s.reshape(-1, 10).mean(axis=1)
    assert reference.max() > 40.0
    assert told[6] == pytest.approx(reference[6], rel=0.2)
    high = np.flatnonzero(reference > 2.0)
    high = high[high > 6]
    np.testing.assert_allclose(told[high[:-1]], reference[high[:-1]], rtol=0.05)
    back = [int(np.flatnonzero(curve[12:] < 1.0)[0]) for curve in (told, reference)]
    assert abs(back[0] - back[1]) <= 1
    np.testing.assert_allclose(told[1:6], reference[1:6], rtol=0.03)


def storm(load: float, users: Users, *, end_s: int = 330) -> tuple[Outcome, np.ndarray]:
    """Quadruple the load for 20 s; return the reference's outcome and the tick model's goodput."""
    rate = load * EIGHT.capacity
    times = arrivals.flash_crowd(
        chance(5), rate, times=4.0, start_s=30.0, stop_s=50.0, end_s=float(end_s)
    )
    found = simulate(EIGHT, times, source=chance(5), users=users)
    tick = 0.25 if users.timeout_s < 2 else 1.0
    rates = np.full(round(end_s / tick), rate)
    rates[round(30 / tick) : round(50 / tick)] *= 4
    good = run(EIGHT, rates, tick_s=tick, users=users).good
    return found, good.reshape(end_s, -1).mean(axis=1)


def agree(load: float, users: Users, end_s: int = 330) -> None:
    found, good = storm(load, users, end_s=end_s)
    reference, told = found.goodput(end_s - 60, end_s), float(good[-60:].mean())
    assert reference < 0.2 or reference > 0.9, "the reference itself is undecided"
    assert (reference > 0.5) == (told > 0.5), (load, users, reference, told)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("load", "retries"), [(0.2, 3), pytest.param(0.4, 0, marks=pytest.mark.slow), (0.55, 2)]
)
def test_a_storm_ends_or_not_as_in_the_reference(load: float, retries: int) -> None:
    agree(load, Users(timeout_s=1.0, retries=retries, backoff_s=0.5), end_s=130)


def cells(*loads: float) -> list[tuple[float, int]]:
    return [(load, retries) for load in loads for retries in (0, 1, 3)]


@pytest.mark.long
@pytest.mark.parametrize("timeout", [1.0, 3.0])
@pytest.mark.parametrize(("load", "retries"), cells(0.2, 0.4, 0.55, 0.7, 0.85))
def test_the_whole_grid_of_loads_and_retries_ends_as_in_the_reference(
    load: float, retries: int, timeout: float
) -> None:
    agree(load, Users(timeout_s=timeout, retries=retries, backoff_s=timeout / 2))


@pytest.mark.long
@pytest.mark.parametrize("cancel", [0.5, 1.0])
@pytest.mark.parametrize(("load", "retries"), cells(0.2, 0.4, 0.7, 0.85))
def test_servers_that_drop_the_work_of_users_gone_end_as_in_the_reference(
    load: float, retries: int, cancel: float
) -> None:
    # Loads within a tenth of load x (1 + retries) = 1 are left out: there chance decides.
    agree(load, Users(timeout_s=1.0, retries=retries, backoff_s=0.5, cancel=cancel))
