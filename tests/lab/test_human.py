"""The human model: pre-registered medians, one draw per episode, nobody paged twice at once."""

import math

import numpy as np
import pytest
from traces_by_hand import episode

from homeostat.lab.human import held_for, respond, responses
from homeostat.lab.types import FAMILIES

# The suite's table, in minutes.
MEDIANS = {
    "infrastructure": 20,
    "load": 15,
    "serving": 30,
    "data": 120,
    "model": 60,
    "observability": 45,
    "control": 30,
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_delays_have_the_medians_and_the_spread_that_were_registered(family: str) -> None:
    drawn = [respond(episode(seed=seed, family=family), 0.0) for seed in range(1500)]
    ack = np.log([one.ack_s / 60.0 for one in drawn])
    minutes = np.log([one.minutes for one in drawn])
    # The median of 1,500 lognormals of sigma 0.8 has a standard error of 2.6 %.
    assert math.exp(np.median(ack)) == pytest.approx(5.0, rel=0.1)
    assert math.exp(np.median(minutes)) == pytest.approx(MEDIANS[family], rel=0.1)
    assert minutes.std() == pytest.approx(0.8, rel=0.08)
    assert abs(np.corrcoef(ack, minutes)[0, 1]) < 0.1


def test_a_response_depends_on_the_episode_and_the_time_alone() -> None:
    first, again = respond(episode(seed=3), 900.0), respond(episode(seed=3), 900.0)
    assert first == again
    assert respond(episode(seed=4), 900.0) != first
    assert respond(episode(seed=3, scenario="S06"), 900.0) != first
    later = respond(episode(seed=3), 1000.0)
    assert later.ack_s - first.ack_s == pytest.approx(100.0)
    assert later.minutes == first.minutes


def test_a_person_begins_after_the_alarm_and_is_done_after_the_minutes() -> None:
    one = respond(episode(), 900.0)
    assert one.ack_s > 900.0
    assert one.fixed_s - one.ack_s == pytest.approx(60.0 * one.minutes)


def test_the_scale_multiplies_every_delay() -> None:
    one, twice = respond(episode(), 900.0), respond(episode(), 900.0, scale=2.0)
    assert twice.ack_s - 900.0 == pytest.approx(2.0 * (one.ack_s - 900.0))
    assert twice.minutes == pytest.approx(2.0 * one.minutes)
    with pytest.raises(ValueError, match="positive scale"):
        respond(episode(), 900.0, scale=0.0)


def test_no_alarm_is_nobodys_time() -> None:
    assert respond(episode(), math.inf) == (math.inf, math.inf, 0.0)
    assert respond(episode(), math.nan).minutes == 0.0


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(ValueError, match="'weather' is no family"):
        respond(episode(family="weather"), 900.0)


def test_whoever_is_at_it_is_not_paged_again() -> None:
    one = respond(episode(), 900.0)
    during = [900.0, 915.0, one.fixed_s - 1.0]
    assert responses(episode(), during) == (one,)
    assert len(responses(episode(), [*during, one.fixed_s])) == 2
    assert responses(episode(), []) == ()


def test_a_condition_counts_when_it_has_held_without_a_break() -> None:
    crossed = np.array([[True, True, True, False, True, True, True, True]])
    assert held_for(crossed, 3).tolist() == [[False, False, True, False, False, False, True, True]]
    assert held_for(crossed, 1).tolist() == crossed.tolist()
