"""Evidence as strengths: the shipped line is 1, unknown is NaN, and the worst replica speaks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base import names
from homeostat.base.evidence import Evidence, Family, Quality, Reading, Suspicion, Verdict
from homeostat.base.units import TimeNs
from homeostat.detect.layout import CHARTED
from homeostat.detect.matters import MATTERS
from homeostat.learn.feedback_channels import (
    BINS,
    CHANNELS,
    CHARTS,
    OBJECTIVES,
    SILENCE,
    UNKNOWN,
    binned,
    strengths,
)


def reading(
    signal: str,
    value: float | None,
    *,
    subject: str = "replica:a",
    verdict: Verdict = Verdict.ANOMALOUS,
    quality: Quality = Quality.GOOD,
) -> Reading:
    return Reading(
        subject=subject,
        signal=signal,
        value=value,
        verdict=verdict,
        quality=quality,
        low=8.0,
        high=12.0,
        age_ns=0,
        samples=10.0,
    )


def evidence(
    *readings: Reading, slo_met: bool | None = True, suspicions: tuple[Suspicion, ...] = ()
) -> Evidence:
    return Evidence(
        deployment="d",
        at=TimeNs(0),
        tick=1,
        readings=readings,
        anomalies=(),
        forecasts=(),
        suspicions=suspicions,
        slo_met=slo_met,
        ready=True,
        world=None,
    )


def strength(name: str, found: Evidence) -> float:
    return float(strengths(found)[CHANNELS.index(name)])


def test_charts_and_directions_are_those_of_the_panel() -> None:
    assert set(CHARTS) == CHARTED
    assert {name: (MATTERS[name].up, MATTERS[name].down) for name in CHARTED} == dict(CHARTS)


def test_the_edge_of_a_band_is_one_and_the_worst_replica_speaks() -> None:
    found = evidence(
        reading(names.DEVICE_TIME, 12.0), reading(names.DEVICE_TIME, 16.0, subject="replica:b")
    )
    assert strength("chart device_time_ms", found) == pytest.approx(3.0)


def test_a_departure_that_does_not_matter_stays_below_the_line() -> None:
    found = evidence(reading(names.DEVICE_TIME, 30.0, verdict=Verdict.HEALTHY))
    assert 0.99 < strength("chart device_time_ms", found) < 1.0


def test_a_fall_counts_only_where_a_fall_matters() -> None:
    assert strength("chart device_time_ms", evidence(reading(names.DEVICE_TIME, 2.0))) == 0.0
    assert strength("chart arrival_rate", evidence(reading(names.ARRIVAL_RATE, 2.0))) == 4.0


def test_what_was_not_reported_is_unknown_and_counts_as_silence() -> None:
    found = evidence(
        reading(names.DEVICE_TIME, None, quality=Quality.STALE),
        reading(names.BATCH_SIZE, None, quality=Quality.FEW),
        slo_met=None,
    )
    assert np.isnan(strength("chart device_time_ms", found))
    assert np.isnan(strength(OBJECTIVES, found))
    assert strength(SILENCE, found) == pytest.approx(1.0)  # half of the readings, where 1 is half
    assert np.isnan(strength(SILENCE, evidence()))


def test_urgent_evidence_is_stronger_than_the_surest_rule() -> None:
    slow = Suspicion(family=Family.LOAD, subject="gateway", confidence=1.0, because=())
    dead = Suspicion(
        family=Family.REPLICA, subject="replica:a", confidence=0.6, because=(), urgent=True
    )
    found = evidence(suspicions=(dead, slow))
    assert strength("rule replica", found) > strength("rule load", found) > 0.0
    assert strength("rule drift", found) == 0.0


@given(st.lists(st.floats(min_value=0.0, max_value=2000.0), min_size=2, max_size=20))
def test_bins_rise_with_strength_and_none_of_them_is_unknown(values: list[float]) -> None:
    found = binned(np.array(sorted(values)))
    assert (np.diff(found) >= 0).all()
    assert found.min() > UNKNOWN
    assert found.max() < BINS
    assert binned(np.array([np.nan]))[0] == UNKNOWN
