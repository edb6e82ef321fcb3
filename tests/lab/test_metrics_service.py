"""What users and the bill saw, on traces whose numbers can be worked out by hand."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from traces_by_hand import HOUR, ONSET, during, episode, trace, truth

from homeostat.lab.judge_view import view
from homeostat.lab.metrics_service import Service, service
from homeostat.lab.metrics_windows import damaged, share_above
from homeostat.lab.thresholds import FROZEN


def served(length_s: int = HOUR, one: Any = None, **changes: Any) -> Service:
    episodes = (one or episode(length_s),)
    return service(view(trace(truth(length_s, **changes), episodes)), FROZEN)


def test_a_healthy_hour_meets_everything() -> None:
    got = served()
    assert got.windows[0] == got.windows_met[0] == 60
    assert got.up_s[0] == got.counted_s[0] == HOUR
    assert got.quality_s[0] == got.watched_s[0] == HOUR
    assert (got.offered[0], got.failed[0], got.refused[0]) == (360_000, 0, 0)
    assert got.latency_s[0] / got.offered[0] == pytest.approx(0.05)
    assert got.usd[0] == pytest.approx(4.0)
    assert got.violation_s[0] == 0
    assert (got.repair_s[0], got.repaired[0]) == (0, True)
    assert np.isnan(got.recovery_s[0])
    assert got.follow_up_s[0] == HOUR - ONSET


@pytest.mark.parametrize(
    ("good", "met"),
    [(99.95, 60), (99.9, 60), (99.89, 59), (94.0, 59)],
)
def test_a_window_is_met_with_999_of_1000_answered(good: float, met: int) -> None:
    assert served(good=during(1200, 1260, good, 100.0)).windows_met[0] == met


def test_a_windows_availability_is_of_the_window_not_of_its_seconds() -> None:
    one_second = served(good=during(1200, 1201, 95.0, 100.0))  # 5 of 6,000 lost
    assert one_second.windows_met[0] == 60
    assert one_second.violation_s[0] == 1
    assert served(good=during(1200, 1201, 93.0, 100.0)).windows_met[0] == 59


def test_a_window_is_slow_when_more_than_a_hundredth_of_its_requests_are() -> None:
    slow: dict[str, Any] = {"p50_s": 0.05, "p95_s": 0.3, "p99_s": 0.5}
    assert served(**slow).windows_met[0] == 60  # exactly 1 % above 0.5 s
    assert served(**(slow | {"p99_s": 0.51})).windows_met[0] == 0
    # One second in which all are slow is 1.7 % of the window.
    for seconds, met in ((1, 59), (0, 60)):
        when = (1200, 1200 + seconds)
        got = served(
            p50_s=during(*when, 9.0, 0.05),
            p95_s=during(*when, 9.5, 0.1),
            p99_s=during(*when, 9.9, 0.2),
        )
        assert got.windows_met[0] == met


def test_a_window_needs_quality() -> None:
    assert served(quality=during(1200, 1260, 0.84, 0.90)).windows_met[0] == 59
    assert served(quality=0.85).windows_met[0] == 60


def test_time_without_requests_is_left_out_and_requests_weigh() -> None:
    offered = during(1200, 1800, 0.0, 100.0)
    got = served(offered=offered, good=offered)
    assert (got.windows[0], got.windows_met[0], got.counted_s[0]) == (50, 50, 3000)
    heavy = during(1200, 1260, 300.0, 100.0)
    bad = served(offered=heavy, good=during(1200, 1260, 150.0, 100.0))
    assert bad.windows_requests[0] == 59 * 6000 + 18_000
    assert bad.windows_met_requests[0] == 59 * 6000


@given(st.floats(0.01, 5.0), st.floats(1.0, 5.0), st.floats(1.0, 5.0), st.floats(0.001, 50.0))
def test_the_share_above_a_limit_goes_through_the_three_quantiles_and_falls(
    p50: float, first: float, second: float, limit: float
) -> None:
    p95, p99 = p50 * first, p50 * first * second
    quantiles = [np.array([value]) for value in (p50, p95, p99)]

    def above(at: float) -> float:
        return float(share_above(np.array([at]), *quantiles)[0])

    assert above(p99) == pytest.approx(0.01)
    if first > 1.01 and second > 1.01:
        assert above(p95) == pytest.approx(0.05)
        assert above(p50) == pytest.approx(0.5)
    assert 0.0 <= above(limit) <= 1.0
    assert above(limit * 1.1) <= above(limit) + 1e-12
    assert (above(limit) <= 0.01 + 1e-9) == (limit >= p99 * (1.0 - 1e-9))


def test_up_is_nine_tenths_good_and_p99_within_twice_the_promise() -> None:
    assert served(good=during(0, 600, 90.0, 100.0)).up_s[0] == HOUR
    assert served(good=during(0, 600, 89.0, 100.0)).up_s[0] == HOUR - 600
    assert served(p99_s=during(0, 600, 1.0, 0.2)).up_s[0] == HOUR
    assert served(p99_s=during(0, 600, 1.01, 0.2)).up_s[0] == HOUR - 600


def test_latency_and_errors_weigh_by_request() -> None:
    offered = during(0, 1800, 300.0, 100.0)
    got = served(offered=offered, good=offered * 0.99, latency_s=during(0, 1800, 0.4, 0.1))
    assert got.latency_s[0] / got.offered[0] == pytest.approx((3 * 0.4 + 0.1) / 4)
    assert got.failed[0] / got.offered[0] == pytest.approx(0.01)


def test_repair_is_from_the_onset_to_the_first_two_minutes_in_order() -> None:
    broken = during(ONSET + 100, ONSET + 400, 0.9, 0.2)
    got = served(p99_s=broken)
    assert (got.repair_s[0], got.repaired[0]) == (400, True)
    assert (got.recovery_s[0], got.recovered[0]) == (300, True)


def test_less_than_two_minutes_in_order_is_no_repair() -> None:
    for calm, repair in ((119, 619), (120, 400)):
        slow = during(ONSET + 100, ONSET + 400, 0.9, 0.2)
        slow[0, ONSET + 400 + calm : ONSET + 500 + calm] = 0.9
        got = served(p99_s=slow)
        assert got.repair_s[0] == (repair if calm == 120 else 500 + calm), calm


def test_what_is_violated_before_the_onset_is_no_damage_of_the_fault() -> None:
    got = served(p99_s=during(ONSET - 300, ONSET, 0.9, 0.2))
    assert (got.repair_s[0], got.repaired[0]) == (0, True)
    across = served(p99_s=during(ONSET - 300, ONSET + 40, 0.9, 0.2))
    assert across.repair_s[0] == 40


def test_a_tremble_is_no_damage_but_its_seconds_are_counted() -> None:
    tremble = served(p99_s=during(3000, 3010, 0.9, 0.2))
    assert (tremble.repair_s[0], tremble.repaired[0]) == (0, True)
    assert np.isnan(tremble.recovery_s[0])
    assert (tremble.windows_met[0], tremble.violation_s[0]) == (60, 10)


def test_damage_is_the_whole_stretch_that_makes_a_window_miss() -> None:
    # 19 s of one window, which it survives, and 20 s of the next, together with a loss of answers.
    slow = during(1241, 1280, 0.9, 0.2)
    good = during(1270, 1280, 50.0, 100.0)
    told = truth(p99_s=slow, good=good)
    seen = view(trace(told))
    assert np.flatnonzero(damaged(seen, FROZEN)[0]).tolist() == list(range(1241, 1280))
    assert not damaged(seen, FROZEN, latency_alone=True).any()
    slow = during(1241, 1259, 0.9, 0.2)
    apart = view(trace(truth(p99_s=slow, good=during(1300, 1310, 50.0, 100.0))))
    hurt = np.flatnonzero(damaged(apart, FROZEN)[0]).tolist()
    assert hurt == list(range(1300, 1310))


@pytest.mark.parametrize(
    "changes", [{"good": 99.8}, {"p99_s": 0.6}, {"quality": 0.84}], ids=lambda c: next(iter(c))
)
def test_repair_needs_availability_latency_and_quality(changes: dict[str, Any]) -> None:
    got = served(**changes)
    assert (got.repair_s[0], got.repaired[0]) == (HOUR - ONSET, False)
    assert got.violation_s[0] == HOUR


def test_order_that_the_end_cuts_short_is_censored_at_the_end() -> None:
    got = served(p99_s=during(ONSET, HOUR - 119, 0.9, 0.2))
    assert (got.repair_s[0], got.repaired[0]) == (HOUR - ONSET, False)
    whole = served(p99_s=during(ONSET, HOUR - 120, 0.9, 0.2))
    assert (whole.repair_s[0], whole.repaired[0]) == (HOUR - 120 - ONSET, True)


def test_latency_recovers_whatever_quality_does() -> None:
    got = served(p99_s=during(ONSET, ONSET + 60, 0.9, 0.2), quality=0.7)
    assert (got.recovery_s[0], got.recovered[0]) == (60, True)
    assert not got.repaired[0]


def test_an_episode_without_a_fault_has_no_repair() -> None:
    got = served(one=episode(onset_s=float("inf"), benign=True), p99_s=0.9)
    assert np.isnan([got.repair_s[0], got.recovery_s[0], got.follow_up_s[0]]).all()
    assert not got.repaired[0]


def test_what_lies_after_the_end_of_an_episode_counts_nowhere() -> None:
    late = during(1800, HOUR, 0.0, 100.0)
    got = served(one=episode(1800), good=late, p99_s=during(1800, HOUR, 9.0, 0.2))
    assert (got.windows[0], got.windows_met[0], got.up_s[0]) == (30, 30, 1800)
    assert (got.failed[0], got.violation_s[0], got.watched_s[0]) == (0, 0, 1800)
    assert got.usd[0] == pytest.approx(2.0)


def test_what_never_is_in_order_for_two_minutes_is_repaired_by_damage_alone() -> None:
    """A p99 above its limit for 20 s of every minute makes no minute miss: no damage, no order."""
    second = np.arange(HOUR)
    slow = ((second >= ONSET) & (second % 60 < 20))[None]
    got = served(p50_s=0.05, p95_s=0.3, p99_s=np.where(slow, 0.51, 0.2))
    assert got.windows_met[0] == 60
    assert (got.repair_s[0], got.repaired[0]) == (0, True)
    assert (got.repair_any_s[0], got.repaired_any[0]) == (HOUR - ONSET, False)
    assert (got.repair_literal_s[0], got.repaired_literal[0]) == (HOUR - ONSET, False)


def test_by_the_letter_a_damage_that_comes_late_finds_everything_repaired() -> None:
    late = served(good=during(1000, 1400, 50.0, 100.0))
    assert late.repair_s[0] == late.repair_any_s[0] == 1400 - ONSET
    assert (late.repair_literal_s[0], late.repaired_literal[0]) == (0, True)
    soon = served(good=during(ONSET + 60, 1400, 50.0, 100.0))
    assert soon.repair_literal_s[0] == 1400 - ONSET


def test_no_reading_of_repair_says_anything_without_a_fault() -> None:
    none = served(one=episode(onset_s=np.inf), good=50.0)
    assert np.isnan([none.repair_any_s[0], none.repair_literal_s[0]]).all()
    assert not (none.repaired_any[0])
    assert not (none.repaired_literal[0])
