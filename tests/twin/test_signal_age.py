"""How old what is shown truly is, whatever its time stamp says: for the judge alone."""

import numpy as np
from fleet_by_hand import Case, Fault, play

from homeostat.twin.params import Params

SCRAPES = 24
ONSET = 8  # scrapes; faults below begin with the ninth


def ages(plain: Params, *listed: Fault) -> list[float]:
    """True ages at the end of each scrape."""
    played = play([Case(deployment=plain, faults=listed)], SCRAPES)
    age = played.truth.signal_age_s[0].reshape(SCRAPES, -1)
    assert (age == age[:, :1]).all()
    return age[:, 0].tolist()


def fault(name: str, magnitude: float, *signals: str) -> Fault:
    return Fault(name=name, magnitude=magnitude, start_s=15.0 * ONSET - 1.0, signals=signals)


def test_what_is_shown_of_a_healthy_pipeline_is_of_now(plain: Params) -> None:
    assert ages(plain) == [0.0] * SCRAPES


def test_a_frozen_series_grows_old_although_its_time_stamp_is_new(plain: Params) -> None:
    frozen = fault("metric_freeze", 1.0, "errors")
    assert ages(plain, frozen)[-1] == 15.0 * (SCRAPES - ONSET)
    told = play([Case(deployment=plain, faults=[frozen])], SCRAPES).scrape.age_s
    assert (np.asarray(told)[0, -1] == 0.0).all(), "a controller is told that it is new"


def test_a_loss_and_a_loss_shown_as_zero_grow_old_and_a_delay_is_as_old_as_it_is(
    plain: Params,
) -> None:
    lost = fault("metric_drop", 1.0, "throughput")
    zero = fault("missing_as_zero", 1.0, "throughput")
    grown = [15.0 * k for k in range(1, SCRAPES - ONSET + 1)]
    assert ages(plain, lost)[ONSET:] == grown
    assert ages(plain, lost, zero)[ONSET:] == grown
    assert ages(plain, fault("metric_delay_s", 60.0, "latency"))[-1] == 60.0


def test_signals_that_are_not_critical_do_not_count(plain: Params) -> None:
    assert ages(plain, fault("metric_freeze", 1.0, "cost", "cpu")) == [0.0] * SCRAPES


def test_what_was_never_seen_is_as_old_as_the_episode(plain: Params) -> None:
    never = Fault(name="metric_drop", start_s=0.0, signals=["latency"])
    assert ages(plain, never) == [15.0 * k for k in range(1, SCRAPES + 1)]
