"""What was asked of people, noticed, named and foretold, on moves written by hand."""

from typing import Any

import numpy as np
import pytest
from traces_by_hand import HOUR, ONSET, at, during, episode, trace, truth

from homeostat.lab.human import respond
from homeostat.lab.judge_view import view
from homeostat.lab.metrics_people import People, people
from homeostat.lab.thresholds import FROZEN
from homeostat.lab.types import FAMILIES, Episode

FAULT = during(ONSET, 1800, 1.0, 0.0).astype(bool)
INFRA = FAMILIES.index("infrastructure")


def moved(second: int, value: float = 1, other: float = 0) -> np.ndarray:
    """A move at the end of the scrape that ends then."""
    out = np.full((1, HOUR // 15), other)
    out[0, second // 15 - 1] = value
    return out


def asked(
    one: Episode | None = None,
    ours: dict[str, Any] | None = None,
    hold: dict[str, Any] | None = None,
    scale: float = 1.0,
    **moves: Any,
) -> People:
    episodes = (one or episode(),)
    told = trace(truth(**({"faulty": FAULT} | (ours or {}))), episodes, **moves)
    other = trace(truth(**({"faulty": FAULT} | (hold or {}))), episodes)
    return people(told, view(told), view(other), FROZEN, scale=scale)


def test_a_page_costs_the_human_models_minutes_and_whoever_is_at_it_is_not_paged() -> None:
    wanted = respond(episode(), 900.0)
    assert wanted.fixed_s > 1000.0
    got = asked(paged=moved(900) + moved(915) + moved(990), person_minutes=99.0 * moved(900))
    assert (got.pages[0], got.minutes[0]) == (1, pytest.approx(wanted.minutes))
    assert asked(paged=moved(900), scale=2.0).minutes[0] == pytest.approx(2 * wanted.minutes)


def test_approvals_count_as_the_policy_tells() -> None:
    assert asked(person_minutes=3.0 * moved(900)).minutes[0] == pytest.approx(3.0)
    assert asked().minutes[0] == 0


def test_whatever_is_done_where_there_is_no_fault_is_a_false_intervention() -> None:
    benign = episode(benign=True, onset_s=float("inf"), family="data")
    got = asked(benign, intervened=moved(900) + moved(1200), paged=moved(1500))
    assert got.false_interventions[0] == 3
    assert got.minutes[0] > 0
    assert asked(intervened=moved(900), paged=moved(1500)).false_interventions[0] == 0


def test_an_escalation_is_correct_with_the_right_family() -> None:
    right = asked(paged=moved(720), family=moved(720, INFRA, -1))
    assert right.escalation_s[0] == 720 - ONSET


def test_a_blind_or_wrong_escalation_is_correct_when_the_person_has_found_out() -> None:
    quick = next(
        one
        for one in (episode(seed=seed) for seed in range(100))
        if respond(one, 720.0).fixed_s < HOUR
    )
    done = respond(quick, 720.0).fixed_s - ONSET
    assert asked(quick, paged=moved(720)).escalation_s[0] == pytest.approx(done)
    wrong = asked(quick, paged=moved(720), family=moved(720, INFRA + 1, -1))
    assert wrong.escalation_s[0] == pytest.approx(done)
    later = asked(quick, paged=moved(720) + moved(735), family=moved(735, INFRA, -1))
    assert later.escalation_s[0] == min(735 - ONSET, done)


def test_an_escalation_before_the_onset_or_found_out_after_the_end_is_none() -> None:
    early = asked(paged=moved(ONSET - 15), family=moved(ONSET - 15, INFRA, -1))
    assert np.isnan(early.escalation_s[0])
    slow = next(
        one
        for one in (episode(seed=seed, family="data") for seed in range(100))
        if respond(one, 720.0).fixed_s > HOUR
    )
    assert np.isnan(asked(slow, paged=moved(720)).escalation_s[0])


@pytest.mark.parametrize(
    ("alarms", "expected"),
    [
        ((), (0, 1, 0)),
        ((720,), (1, 0, 0)),
        ((720, 900), (1, 0, 0)),  # twice the same event
        ((300,), (0, 1, 1)),
        ((300, 720), (1, 0, 1)),
        ((1800,), (1, 0, 0)),
        ((1815,), (0, 1, 1)),  # the fault is over and the service in order
        ((ONSET,), (1, 0, 0)),
    ],
)
def test_a_fault_is_one_event(alarms: tuple[int, ...], expected: tuple[int, int, int]) -> None:
    flags = sum((moved(second) for second in alarms), np.zeros((1, HOUR // 15)))
    # A fault that ends with second 1800, so that an alarm there still counts.
    got = asked(ours={"faulty": during(ONSET, 1801, 1, 0).astype(bool)}, alarm=flags)
    assert (got.found[0], got.missed[0], got.false_alarms[0]) == expected


def test_an_alarm_that_never_stops_is_a_false_one_and_finds_nothing() -> None:
    got = asked(alarm=True)
    assert (got.found[0], got.missed[0], got.false_alarms[0]) == (0, 1, 1)


def test_an_event_lasts_while_the_service_is_still_violated() -> None:
    hurt = {"p99_s": during(1000, 2500, 0.9, 0.2)}
    got = asked(ours=hurt, alarm=moved(2400))
    assert (got.found[0], got.false_alarms[0]) == (1, 0)


def test_where_there_is_no_fault_every_alarm_is_false() -> None:
    benign = episode(benign=True, onset_s=float("inf"))
    got = asked(benign, alarm=moved(900) + moved(1200))
    assert (got.found[0], got.missed[0], got.false_alarms[0]) == (0, 0, 2)


def test_the_first_family_after_the_onset_is_the_diagnosis() -> None:
    right, wrong = moved(720, INFRA + 1, 0), moved(720, INFRA + 2, 0)
    none = np.full((1, HOUR // 15), -1)

    def named(*told: np.ndarray) -> float:
        return float(asked(family=none + sum(told)).named[0])

    assert named(right) == 1
    assert named(wrong) == 0
    assert named() == 0
    assert named(moved(690, INFRA + 2, 0), right) == 0
    assert named(moved(300, INFRA + 2, 0), right) == 1  # before the onset: about something else


def test_lead_time_is_to_the_breach_that_holding_would_have_brought() -> None:
    hurt = {"p99_s": during(1200, 1500, 0.9, 0.2)}
    assert asked(hold=hurt, alarm=moved(900)).lead_s[0] == 300
    assert asked(hold=hurt, alarm=moved(1350)).lead_s[0] == -150
    assert np.isnan(asked(alarm=moved(900)).lead_s[0])  # nothing would have happened
    assert np.isnan(asked(hold=hurt).lead_s[0])  # nothing was said
    before = {"p99_s": during(300, 400, 0.9, 0.2)}
    assert np.isnan(asked(hold=before, alarm=moved(900)).lead_s[0])


def test_forecasts_are_judged_by_what_hold_does_in_the_next_ten_minutes() -> None:
    hurt = {"good": during(2000, 2001, 0.0, 100.0)}  # 1.7 % of that minute
    got = asked(hold=hurt, breach_probability=0.25)
    counted = (HOUR - 600) // 15  # the last ten minutes cannot be judged
    before = len(range(1410, 2001, 15))  # decisions from 1410 s to 1995 s see second 2000 ahead
    assert got.forecasts[0] == counted
    assert got.breaches[0] == before
    wanted = before * 0.75**2 + (counted - before) * 0.25**2
    assert got.brier[0] == pytest.approx(wanted)


def test_forecasts_after_an_own_action_or_unknown_are_not_judged() -> None:
    got = asked(ours={"acted": at(1500)}, breach_probability=0.25)
    assert got.forecasts[0] == len(range(15, 1501, 15))
    assert asked(breach_probability=np.nan).forecasts[0] == 0
    assert asked().forecasts[0] == 0
