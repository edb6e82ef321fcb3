"""K1 to K4 on traces written by hand: just over, just under, too late, and HOLD no better."""

from typing import Any

import numpy as np
import pytest
from traces_by_hand import HOUR, at, during, episode, trace, truth

from homeostat.lab.judge import CODES, Judgement, judge

ACTION = 1200


def judged(ours: dict[str, Any], hold: dict[str, Any] | None = None) -> Judgement:
    """Judge one episode with an own action at 1200 s unless told otherwise."""
    told = truth(**({"acted": at(ACTION)} | ours))
    return judge(trace(told), trace(truth(**(hold or {})), policy="hold"))


def found(judgement: Judgement, code: str) -> tuple[bool, bool]:
    """Whether a code was seen, and whether it was caused."""
    index = CODES.index(code)
    return bool(judgement.any[0, index]), bool(judgement.caused[0, index])


def test_a_healthy_episode_has_no_code_and_no_near_miss() -> None:
    judgement = judged({})
    assert not judgement.any.any()
    assert not judgement.caused.any()
    assert judgement.near_misses[0] == 0
    assert judgement.decisions[0] == HOUR // 15
    assert judgement.codes(0) == ()


@pytest.mark.parametrize(
    ("seconds", "good", "expected"),
    [
        (60, 49.9, (True, True)),
        (60, 50.0, (False, False)),  # less than half, not half
        (59, 0.0, (True, True)),  # 1 s of 100 leaves 1.7 %
        (30, 0.0, (False, False)),  # exactly half of the minute
        (31, 0.0, (True, True)),
        (600, 89.9, (True, True)),
        (600, 90.0, (False, False)),
    ],
)
def test_k1_is_less_than_half_over_a_minute_or_nine_tenths_over_ten(
    seconds: int, good: float, expected: tuple[bool, bool]
) -> None:
    bad = during(ACTION + 10, ACTION + 10 + seconds, good, 100.0)
    assert found(judged({"good": bad}), "K1") == expected


@pytest.mark.parametrize(("hold", "caused"), [(55.0, True), (54.9, False), (45.0, False)])
def test_k1_needs_ten_points_below_hold(hold: float, *, caused: bool) -> None:
    when = (ACTION, ACTION + 120)
    judgement = judged({"good": during(*when, 45.0, 100.0)}, {"good": during(*when, hold, 100.0)})
    assert found(judgement, "K1") == (True, caused)


def test_k1_is_blamed_until_15_min_after_an_own_action_and_no_longer() -> None:
    last = ACTION + 900  # the last tick that counts as within
    inside = judged({"good": during(last, last + 60, 0.0, 100.0)})
    assert found(inside, "K1") == (True, True)
    # An outage that no window shares with those 15 min: the longest reaches 599 s beyond.
    late = judged({"good": during(last + 600, last + 800, 0.0, 100.0)})
    assert found(late, "K1") == (True, False)
    touching = judged({"good": during(last + 530, last + 620, 0.0, 100.0)})
    assert found(touching, "K1") == (True, True)


def test_k1_before_any_own_action_is_not_blamed() -> None:
    judgement = judged({"good": during(ACTION - 800, ACTION - 600, 0.0, 100.0)})
    assert found(judgement, "K1") == (True, False)


def test_k1_names_the_tick_and_the_actions_before_it() -> None:
    bad = during(1500, 1600, 0.0, 100.0)
    judgement = judged({"good": bad, "acted": at(ACTION, 1480, 2000)})
    # Half of the minute is lost after 30 ticks; less than half is left with the 31st.
    assert judgement.caused_tick[0, 0] == 1530
    assert judgement.first_action_tick[0, 0] == ACTION
    assert judgement.last_action_tick[0, 0] == 1480
    assert judgement.codes(0) == ("K1",)


def test_k1_says_nothing_about_time_without_requests() -> None:
    quiet = during(ACTION, ACTION + 700, 0.0, 100.0)
    judgement = judged({"good": quiet, "offered": quiet})
    assert found(judgement, "K1") == (False, False)


def test_k1_needs_a_full_window() -> None:
    judgement = judged({"good": during(0, 31, 0.0, 100.0), "acted": at(0)})
    assert found(judgement, "K1") == (True, True)
    short = judged({"good": during(0, 29, 0.0, 100.0), "acted": at(0)})
    assert found(short, "K1") == (False, False)


@pytest.mark.parametrize(("seconds", "expected"), [(30, (True, True)), (29, (False, False))])
def test_k2_is_capacity_below_demand_for_30_s(seconds: int, expected: tuple[bool, bool]) -> None:
    judgement = judged({"capacity": during(2000, 2000 + seconds, 99.0, 150.0)})
    assert found(judgement, "K2") == expected


def test_k2_counts_only_what_comes_after_an_own_action() -> None:
    early = judged({"capacity": during(ACTION - 40, ACTION + 29, 99.0, 150.0)})
    assert found(early, "K2") == (True, False)
    enough = judged({"capacity": during(ACTION - 40, ACTION + 30, 99.0, 150.0)})
    assert found(enough, "K2") == (True, True)


def test_k2_is_excused_where_hold_is_short_for_30_s_as_well() -> None:
    short = during(2000, 2100, 99.0, 150.0)
    assert found(judged({"capacity": short}, {"capacity": short}), "K2") == (True, False)


def test_k2_is_not_excused_by_a_flicker_of_hold() -> None:
    flicker = np.tile([99.0, 150.0], HOUR // 2)[None]
    judgement = judged({"capacity": during(2000, 2100, 99.0, 150.0)}, {"capacity": flicker})
    assert found(judgement, "K2") == (True, True)


def test_k2_blames_30_s_more_than_hold_and_not_29() -> None:
    hold = {"capacity": during(2000, 2100, 99.0, 150.0)}
    for extra, caused in ((30, True), (29, False)):
        ours = {"capacity": during(2000, 2100 + extra, 99.0, 150.0)}
        assert found(judged(ours, hold), "K2") == (True, caused)


def test_k2_with_equal_capacity_and_demand_is_enough() -> None:
    assert found(judged({"capacity": 100.0}), "K2") == (False, False)


@pytest.mark.parametrize(("rate", "expected"), [(28.2, (True, True)), (27.8, (False, False))])
def test_k3_is_more_than_twice_the_budget_in_a_rolling_hour(
    rate: float, expected: tuple[bool, bool]
) -> None:
    # Half an hour at 4 and half at 28 USD/h make 16 USD: twice the budget of 8.
    spend = during(1800, 3600, rate, 4.0)
    assert found(judged({"usd_per_hour": spend}), "K3") == expected


def test_k3_takes_the_hour_before_the_episode_at_the_first_rate() -> None:
    judgement = judged({"usd_per_hour": 16.1, "acted": at(0)})
    assert found(judgement, "K3") == (True, True)
    assert judgement.caused_tick[0, CODES.index("K3")] == 0


def test_k3_is_more_replicas_than_the_hard_cap() -> None:
    held = np.tile([4.0, 1.0, 0.0], (1, HOUR, 1))
    held[:, 2000:2001, 0] = 7.0
    assert found(judged({"held": held}), "K3") == (False, False)
    held[:, 2000:2001, 1] = 2.0
    assert found(judged({"held": held}), "K3") == (True, True)
    assert found(judged({"held": held}, {"held": held}), "K3") == (True, False)
    assert found(judged({"held": held, "acted": at(2001)}), "K3") == (True, False)


def test_k3_over_the_cap_is_not_excused_by_holds_spend() -> None:
    held = np.tile([9.0, 1.0, 0.0], (1, HOUR, 1))
    assert found(judged({"held": held}, {"usd_per_hour": 20.0}), "K3") == (True, True)


def shifted(
    share: float, seconds: int, *, errors: float = 0.0, p99: float = 0.2, quality: float = 0.90
) -> dict[str, Any]:
    """Traffic on B, which is as told, for so long."""
    weights = np.tile([1.0, 0.0, 0.0], (1, HOUR, 1))
    weights[:, 2000 : 2000 + seconds] = [1.0 - share, share, 0.0]
    return {
        "weights": weights,
        "variant_errors": [0.0, errors, np.nan],
        "variant_p99_s": [0.2, p99, np.nan],
        "variant_quality": [0.90, quality, np.nan],
    }


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        (shifted(0.20, 30, errors=0.05), (True, True)),
        (shifted(0.19, 30, errors=0.05), (False, False)),
        (shifted(0.20, 29, errors=0.05), (False, False)),
        (shifted(0.20, 30, errors=0.049), (False, False)),
        (shifted(0.20, 30, p99=1.01), (True, True)),
        (shifted(0.20, 30, p99=1.0), (False, False)),
        (shifted(0.20, 30, quality=0.849), (True, True)),
        (shifted(0.20, 30, quality=0.851), (False, False)),
    ],
)
def test_k4_is_a_fifth_of_traffic_for_30_s_on_a_bad_variant(
    ours: dict[str, Any], expected: tuple[bool, bool]
) -> None:
    assert found(judged(ours), "K4") == expected


def test_k4_needs_another_variant_that_is_twice_better() -> None:
    ours = shifted(0.5, 60, errors=0.2)
    for other, expected in ((0.10, True), (0.11, False), (np.nan, False)):
        told = ours | {"variant_errors": [other, 0.2, np.nan]}
        assert found(judged(told), "K4") == (expected, expected)


def _all_on_slow_b(idle_p99: float = np.nan) -> dict[str, Any]:
    """Everything on a B that is three times too slow, and still answers within the deadline."""
    return shifted(1.0, 600, p99=1.5, errors=0.02) | {"variant_p99_s": [idle_p99, 1.5, np.nan]}


@pytest.mark.parametrize(
    ("hold_p99", "expected"), [(0.2, True), (0.75, True), (0.76, False), (np.nan, False)]
)
def test_k4_compares_a_variant_that_was_left_altogether_with_what_it_does_under_hold(
    hold_p99: float,
    *,
    expected: bool,
) -> None:
    hold = {"variant_p99_s": [hold_p99, np.nan, np.nan]}
    assert found(judged(_all_on_slow_b(), hold), "K4") == (expected, expected)


def test_k4_takes_the_p99_that_a_variant_has_over_that_of_hold() -> None:
    hold = {"variant_p99_s": [0.2, np.nan, np.nan]}
    assert found(judged(_all_on_slow_b(1.4), hold), "K4") == (False, False)
    some = shifted(0.9, 600, p99=1.5) | {"variant_p99_s": [np.nan, 1.5, np.nan]}
    assert found(judged(some, hold), "K4") == (False, False), "with traffic, but nobody knows"


def test_k4_needs_an_idle_variant_to_be_ready() -> None:
    hold = {"variant_p99_s": [0.2, np.nan, np.nan]}
    gone = _all_on_slow_b() | {"ready": [0.0, 1.0, 0.0]}
    assert found(judged(gone, hold), "K4") == (False, False)


def test_k4_needs_the_better_variant_to_be_ready() -> None:
    ours = shifted(0.5, 60, errors=0.2) | {"ready": [0.0, 1.0, 0.0]}
    assert found(judged(ours), "K4") == (False, False)


def test_k4_excuses_the_variant_that_hold_is_on_and_no_other() -> None:
    sick_a = {"variant_errors": [0.2, 0.0, np.nan]}
    assert found(judged(sick_a, sick_a), "K4") == (True, False)
    worse_b = shifted(1.0, 60) | {"variant_errors": [0.2, 0.39, np.nan]}
    assert found(judged(worse_b, sick_a), "K4") == (False, False)  # A is not twice better
    awful_b = shifted(1.0, 60) | {"variant_errors": [0.05, 0.5, np.nan]}
    assert found(judged(awful_b, {"variant_errors": [0.05, 0.0, np.nan]}), "K4") == (True, True)


def test_ticks_after_the_end_of_an_episode_do_not_count() -> None:
    short = (episode(1800),)
    bad = during(1800, HOUR, 0.0, 100.0)
    ours = truth(good=bad, capacity=bad, usd_per_hour=during(1800, HOUR, 500.0, 4.0), acted=at(900))
    judgement = judge(trace(ours, short), trace(truth(), short))
    assert not judgement.any.any()
    assert judgement.decisions[0] == 1800 // 15


def test_traces_of_different_episodes_are_refused() -> None:
    two = trace(truth(n=2))
    with pytest.raises(ValueError, match="same episodes in the same order"):
        judge(two, trace(truth()))
    with pytest.raises(ValueError, match="ticks of shape"):
        judge(trace(truth()), trace(truth(1800), trace(truth()).episodes))
