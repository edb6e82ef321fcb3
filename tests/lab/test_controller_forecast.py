"""What is said of the next ten minutes: broken now, a limit in reach, so probable, not known."""

import math
from dataclasses import replace

import numpy as np
import pytest
from controller_made import Made, episode, play

from homeostat.base.evidence import Evidence, Forecast
from homeostat.base.types import TimeNs
from homeostat.base.units import MINUTE, SECOND
from homeostat.lab.baselines.levers import move, standing
from homeostat.lab.controller_forecast import breach_probability
from homeostat.lab.runbook_policy import runbook_policy

CALM = Evidence(
    deployment="d",
    at=TimeNs(0),
    tick=1,
    readings=(),
    anomalies=(),
    forecasts=(),
    suspicions=(),
    slo_met=True,
    ready=True,
    world=None,
)


def ahead(seconds: float | None) -> Forecast:
    time = None if seconds is None else round(seconds * SECOND)
    return Forecast(subject="replica:a-1", signal="memory_share", limit=1.0, time_to_limit_ns=time)


@pytest.mark.parametrize(
    ("met", "seconds", "expected"),
    [(True, None, 0.0), (True, 601.0, 0.0), (True, 600.0, 1.0), (False, None, 1.0)],
)
def test_a_breach_is_foretold_when_it_is_there_or_within_ten_minutes(
    *, met: bool, seconds: float | None, expected: float
) -> None:
    forecasts = (ahead(None), ahead(seconds))
    assert breach_probability(replace(CALM, slo_met=met, forecasts=forecasts)) == expected


def within(*chances: float | None, signal: str = "latency_p95_ms") -> Forecast:
    return Forecast(
        subject="gateway", signal=signal, limit=250.0, time_to_limit_ns=0,
        horizons_ns=(5 * MINUTE, 15 * MINUTE, 60 * MINUTE), chances=chances,
    )  # fmt: skip


def test_the_most_probable_breach_counts_and_an_unknown_one_is_left_out() -> None:
    forecasts = (
        within(0.0, 0.0, 0.5),
        within(0.19, 0.19, 0.2, signal="error_ratio"),
        within(None, None, None, signal="arrival_rate"),
    )
    assert breach_probability(replace(CALM, forecasts=forecasts)) == pytest.approx(0.19)
    # Half of the way from 5 to 15 minutes, at an even rate.
    rising = (within(0.0, 0.75, 0.9),)
    assert breach_probability(replace(CALM, forecasts=rising)) == pytest.approx(0.5)


def test_what_cannot_be_seen_is_no_forecast_and_not_a_calm_one() -> None:
    assert math.isnan(breach_probability(None))
    assert math.isnan(breach_probability(replace(CALM, slo_met=None, forecasts=(ahead(1.0),))))


def test_the_controller_says_it_at_every_scrape() -> None:
    policy, made = runbook_policy(), Made(rate=300.0)
    policy.start([episode()])
    calm = play(policy, made, 20)
    assert 0.0 < calm[-1].breach_probability[0] < 0.5
    made.rate, made.p95_ms = 500.0, 900.0  # an overload
    assert play(policy, made, 4, calm[-1].orders)[-1].breach_probability.tolist() == [1.0]


def test_who_foretells_nothing_says_nothing_rather_than_never() -> None:
    said = move(standing([episode(), episode()])).breach_probability
    assert said.shape == (2,)
    assert np.isnan(said).all()
