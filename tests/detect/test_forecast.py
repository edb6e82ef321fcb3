import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from patient_by_hand import managed as patient_managed

from homeostat.base import names
from homeostat.base.policy import Managed
from homeostat.base.units import SECOND
from homeostat.detect.forecast import forecasts, time_to_limit


@dataclass
class Past:
    """What is known of one deployment's past, as `verdicts.Judged` has it."""

    history: dict[tuple[str, str], np.ndarray]
    fallen: dict[tuple[str, str], float] = field(default_factory=dict)


def managed(scrape_ns: int, name: str = "credit") -> Managed:
    return replace(patient_managed(), name=name, scrape_ns=scrape_ns)


RNG = np.random.default_rng(1)


def leak(start: float, per_tick: float, ticks: int, noise: float = 0.001) -> np.ndarray:
    return start + per_tick * np.arange(ticks) + noise * RNG.standard_normal(ticks)


def test_a_leak_is_seen_within_a_quarter_minute_and_the_bound_is_on_the_early_side() -> None:
    until = time_to_limit(leak(0.40, 0.01, 14), math.nan, SECOND)
    assert until is not None
    true = (1.0 - (0.40 + 0.13)) / 0.01
    assert 0.75 * true <= until / SECOND <= true


def test_flat_memory_with_noise_has_no_forecast() -> None:
    flat = [time_to_limit(leak(0.5, 0.0, 32, 0.01), math.nan, SECOND) for _ in range(200)]
    assert flat == [None] * 200


def test_a_sawtooth_is_no_leak_once_its_height_is_known() -> None:
    ticks = np.arange(400)
    saw = 0.40 + 0.25 * ((ticks % 25) / 25.0)
    for end in range(60, 400):
        seen = saw[end - 32 : end]
        assert time_to_limit(seen, 0.64, SECOND) is None


def test_a_leak_above_everything_before_it_is_forecast_although_memory_was_given_back() -> None:
    values = np.concatenate([leak(0.5, 0.0, 10), leak(0.3, 0.02, 20)])
    assert time_to_limit(values, 0.5, SECOND) is not None
    assert time_to_limit(values[:-10], 0.5, SECOND) is None


def test_memory_over_the_limit_has_no_time_left() -> None:
    assert time_to_limit(np.array([0.9, 1.01]), math.nan, SECOND) == 0


def test_warming_up_is_not_extrapolated_from_a_few_points() -> None:
    assert time_to_limit(leak(0.2, 0.02, 8), math.nan, SECOND) is None


@given(st.lists(st.floats(0.0, 0.99) | st.just(math.nan), max_size=32))
def test_no_history_makes_a_negative_or_unknown_time(values: list[float]) -> None:
    until = time_to_limit(np.array(values, dtype=float), math.nan, SECOND)
    assert until is None or until >= 0


def test_every_known_memory_gets_a_forecast_and_nothing_else_does() -> None:
    history = {
        ("replica:a-1", names.MEMORY_SHARE): leak(0.4, 0.01, 32),
        ("replica:a-0", names.MEMORY_SHARE): leak(0.4, 0.0, 32),
        ("gateway", names.LATENCY_P95): leak(0.4, 0.01, 32),
    }
    got = forecasts({"credit": Past(history)}, [managed(SECOND)])["credit"]
    assert [one.subject for one in got] == ["replica:a-0", "replica:a-1"]
    assert got[0].time_to_limit_ns is None
    assert got[1].time_to_limit_ns == pytest.approx(29 * SECOND, rel=0.25)


def test_a_climb_that_is_claimed_has_its_quantiles_and_a_cache_is_told_of_without_a_deed() -> None:
    history = {
        ("replica:a-0", names.MEMORY_SHARE): leak(0.4, 0.01, 32, 0.003),
        ("replica:a-0", names.KV_USAGE): leak(0.4, 0.01, 32, 0.003),
        ("replica:a-1", names.KV_USAGE): leak(0.4, 0.0, 32, 0.003),
    }
    cache, memory, calm = forecasts({"credit": Past(history)}, [managed(SECOND)])["credit"]
    assert (cache.signal, memory.signal) == (names.KV_USAGE, names.MEMORY_SHARE)
    for one in (cache, memory):
        first, middle, last = one.left_ns
        assert first is not None
        assert middle == pytest.approx(29 * SECOND, rel=0.3)
        assert middle is not None
        assert first <= middle
        assert last is None or middle <= last
    assert memory.time_to_limit_ns is not None
    assert cache.time_to_limit_ns is None  # what is acted on is memory's alone
    assert (calm.left_ns, calm.time_to_limit_ns) == ((), None)


STEPS = st.lists(
    st.sampled_from((math.nan, 0.5, 0.52, 0.55, 0.6, 0.7, 0.9, 0.99, 1.0, 1.2)),
    min_size=12,
    max_size=12,
)


@given(
    pasts=st.lists(
        st.tuples(STEPS, st.sampled_from((math.nan, 0.55, 0.9)), st.integers(0, 2)), max_size=6
    ),
    how=st.sampled_from((list, sorted)),
)
def test_the_fleet_at_once_is_forecast_as_each_series_by_itself(
    pasts: list[tuple[list[float], float, int]], how: Callable[[list[float]], list[float]]
) -> None:
    fleet = [managed((number + 1) * SECOND, f"d-{number}") for number in range(3)]
    judged: dict[str, Past] = {entry.name: Past({}) for entry in fleet}
    expected: dict[str, list[int | None]] = {entry.name: [] for entry in fleet}
    for number, (past, fell, owner) in enumerate(pasts):
        entry, name = fleet[owner], (f"replica:a-{number}", names.MEMORY_SHARE)
        values = np.array(how(past))
        judged[entry.name].history[name] = values
        if math.isfinite(fell):
            judged[entry.name].fallen[name] = fell
        expected[entry.name].append(time_to_limit(values, fell, entry.scrape_ns))
    got = forecasts(judged, fleet)
    assert {name: [one.time_to_limit_ns for one in said] for name, said in got.items()} == expected
