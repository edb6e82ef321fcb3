"""A load is foreseen when it is likely, in time, and the capacity can be believed."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base import names
from homeostat.base.evidence import Family, Forecast, Quality, Reading, Verdict
from homeostat.base.policy import Managed
from homeostat.base.units import MINUTE
from homeostat.detect.case import Case
from homeostat.detect.forecast_load import LIKELY, chance_within, foreseen
from homeostat.testing import build

HORIZONS = (5 * MINUTE, 15 * MINUTE, 60 * MINUTE)
KEY = ("pool:a", names.ARRIVAL_RATE)


def ahead(
    *chances: float | None, limit: float = 400.0, likely: int | None = 4 * MINUTE
) -> Forecast:
    return Forecast(
        subject=KEY[0], signal=KEY[1], limit=limit, time_to_limit_ns=None,
        likely_ns=likely, horizons_ns=HORIZONS, chances=chances,
    )  # fmt: skip


def case(
    forecast: Forecast | None, *, met: bool | None = True, usual: float | None = 200.0,
    rate: float | None = 300.0, managed: Managed | None = None,
) -> Case:  # fmt: skip
    reading = Reading(
        subject=KEY[0], signal=KEY[1], value=rate, verdict=Verdict.HEALTHY,
        quality=Quality.MISSING if rate is None else Quality.GOOD, low=None, high=None, age_ns=0,
        samples=100.0,
    )  # fmt: skip
    return Case(
        managed=managed or build.managed(), world=build.world(), readings={KEY: reading},
        usual={} if usual is None else {KEY: usual}, learnt={}, device=None, pages=(),
        forecasts=() if forecast is None else (forecast,), slo_met=met, broken=(),
    )  # fmt: skip


def test_a_probable_overload_is_a_load_of_the_pool_and_says_that_it_is_a_forecast() -> None:
    (found,) = foreseen(case(ahead(LIKELY, 0.8, 0.9)))
    assert (found.family, found.subject, found.urgent) == (Family.LOAD, "pool:a", False)
    assert found.because[0].startswith("forecast: demand passes 400 requests per second")


@pytest.mark.parametrize(
    "seen",
    [
        case(ahead(LIKELY - 0.01, 0.99, 0.99)),
        case(ahead(None, None, None)),
        case(None),
        case(ahead(0.9, 0.9, 0.9), met=False),
        case(ahead(0.9, 0.9, 0.9), met=None),
        case(ahead(0.9, 0.9, 0.9), rate=None),
        case(ahead(0.9, 0.9, 0.9), usual=None),
        case(ahead(0.9, 0.9, 0.9), usual=390.0),
        case(ahead(0.9, 0.9, 0.9, likely=None)),
        case(ahead(0.9, 0.9, 0.9, likely=6 * MINUTE)),
    ],
    ids=[
        "improbable", "unknown", "no forecast", "felt already", "promise unseen", "demand unseen",
        "nothing usual yet", "capacity that is not believed", "not on the likeliest path",
        "later than a replica needs",
    ],
)  # fmt: skip
def test_nothing_is_foreseen_otherwise(seen: Case) -> None:
    assert foreseen(seen) == ()


def test_who_needs_longer_for_a_replica_looks_further() -> None:
    slow = build.managed()
    slow = replace(slow, guard=replace(slow.guard, readiness_deadline_ns=15 * MINUTE))
    assert foreseen(case(ahead(0.1, 0.8, 0.9))) == ()
    assert foreseen(case(ahead(0.1, 0.8, 0.9), managed=slow))


@given(
    chances=st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3).map(sorted),
    first=st.integers(1, 90 * MINUTE),
    second=st.integers(1, 90 * MINUTE),
)
def test_a_longer_time_is_never_less_probable(
    chances: list[float], first: int, second: int
) -> None:
    near, far = (chance_within(ahead(*chances), at) for at in sorted((first, second)))
    assert near is not None
    assert far is not None
    assert 0.0 <= near <= far + 1e-12 <= 1.0 + 1e-9


def test_at_a_horizon_it_is_what_was_said_of_it() -> None:
    for horizon, chance in zip(HORIZONS, (0.2, 0.5, 0.7), strict=True):
        assert chance_within(ahead(0.2, 0.5, 0.7), horizon) == pytest.approx(chance)
