"""Two pools of the same version: the margin that they ask for, and the judge's false alarms."""

import math
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base import codec
from homeostat.base.canary import ERRORS, AlikeState, CanaryConfig, CanaryMetric
from homeostat.base.evidence import Increments
from homeostat.base.policy import CanaryPolicy, Managed
from homeostat.base.units import MINUTE, TimeNs
from homeostat.base.world import Snapshot
from homeostat.govern.canary_alike import applied, check, margin, refusal, step
from homeostat.testing import build

POLICY = CanaryPolicy(pool="c", max_wait_ns=20 * MINUTE)
MANAGED = build.managed(canary=POLICY)
CONFIG = CanaryConfig(metrics=(CanaryMetric(name=ERRORS, margin=1.2, promote_ratio=2.0),), pods=2)


def world(now: TimeNs, *, version: str = "v2", weight: float = 50.0, said: str = "v2") -> Snapshot:
    """Return pools a and c; both should serve v2 and do, unless a test says otherwise."""
    slots = (*build.world().replicas, build.replica("c-1", version=said))
    slots = (*slots, build.replica("c-2", version="v2"))
    return build.world(
        now,
        replicas=tuple(one for one in slots if one.pool != "b"),
        levers={"version.c": version, "weight.c": weight, "replicas.c": 2},
    )


def served(pool: str, total: float, bad: float) -> Increments:
    return Increments(pool=pool, answered=total, failed=bad, seconds=60.0)


class Pools:
    """Two pools, a minute at a time."""

    def __init__(
        self, ratio: float = 1.0, *, rate: float = 0.05, managed: Managed = MANAGED
    ) -> None:
        self.rng, self.minute = np.random.default_rng(5), 0
        self.ratio, self.rate, self.managed = ratio, rate, managed
        self.known: AlikeState | None = None

    def minutes(
        self, count: int, *, calm: bool = True, blind: bool = False, **changes: object
    ) -> "Pools":
        for _ in range(count):
            self.minute += 1
            now = TimeNs(build.START + self.minute * MINUTE)
            bad = self.rng.binomial(2000, [min(1.0, self.rate * self.ratio), self.rate])
            pools = (served("c", 2000.0, float(bad[0])), served("a", 2000.0, float(bad[1])))
            seen = build.evidence(now, self.minute, world=world(now, **changes))  # type: ignore[arg-type]
            seen = replace(seen, increments=() if blind else pools)
            self.known = step(self.known, self.managed, seen, now, calm=calm)
        return self


@cache
def learnt(ratio: float, minutes: int = 480) -> AlikeState:
    known = Pools(ratio).minutes(minutes).known
    assert known is not None
    return known


def with_ratios(ratios: list[float], ends: tuple[bool, ...] = ()) -> AlikeState:
    return AlikeState(canary="c", stable="a", config=CONFIG, ratios=tuple(ratios), ends=ends)


def test_pools_that_are_alike_leave_the_margin_and_promote_as_ever() -> None:
    known = learnt(1.0)
    assert len(known.ends) >= 20
    assert not any(known.ends)
    assert len(known.ratios) >= 20
    assert all(0.8 < ratio < 1.25 for ratio in known.ratios)
    after = applied(CONFIG, known)
    assert (after.calibrated, after.metrics[0].margin) == (True, 1.2)
    assert refusal(known, POLICY) == ""


def test_pools_that_differ_widen_the_margin_and_the_certificate_promises_less() -> None:
    known = with_ratios([1.5] * 10 + [0.9] * 10)
    after = applied(CONFIG, known).metrics[0]
    assert after.margin == 1.5
    assert after.promote_ratio == pytest.approx(2.0 * 0.9)
    assert refusal(known, POLICY) == ""


def test_pools_of_which_one_has_all_the_errors_refuse_promotion_by_name() -> None:
    known = with_ratios([1.0] * 10 + [math.inf] * 10)
    assert not applied(CONFIG, known).calibrated
    assert "all of the bad responses" in refusal(known, POLICY)
    assert margin(with_ratios([1.0] * 60 + [math.inf])).certified is None
    assert refusal(with_ratios([1.0] * 60 + [math.inf]), POLICY) == ""


def test_a_stable_pool_without_a_single_error_is_an_infinite_ratio() -> None:
    pools = Pools(1.0, rate=0.0)
    pools.minutes(2)
    bad = {"c": 100.0, "a": 0.0}
    for minute in range(3, 60):
        now = TimeNs(build.START + minute * MINUTE)
        seen = build.evidence(now, minute, world=world(now))
        seen = replace(seen, increments=tuple(served(name, 2000.0, bad[name]) for name in "ca"))
        pools.known = step(pools.known, MANAGED, seen, now, calm=True)
    assert pools.known is not None
    assert math.inf in pools.known.ratios
    assert codec.decode(codec.encode(pools.known)) == pools.known


def test_no_margin_is_wider_than_what_a_certificate_would_promise() -> None:
    known = with_ratios([5.0] * 30)
    assert applied(CONFIG, known).metrics[0].margin == 2.0
    assert "up to 5.00 times the errors" in refusal(known, POLICY)


@pytest.mark.parametrize(("count", "margin_is"), [(58, 1.2), (59, 1.05), (200, 1.05)])
def test_below_the_shipped_margin_goes_only_what_enough_comparisons_certify(
    count: int, margin_is: float
) -> None:
    assert applied(CONFIG, with_ratios([1.02] * count)).metrics[0].margin == margin_is


def test_one_in_sixty_that_differs_keeps_the_shipped_margin() -> None:
    assert applied(CONFIG, with_ratios([1.0] * 59 + [1.3])).metrics[0].margin == 1.2


@pytest.mark.parametrize("chosen", [1.25, 1.5, 1.9])
def test_a_wider_margin_that_somebody_chose_is_never_made_smaller(chosen: float) -> None:
    mine = replace(CONFIG, metrics=(replace(CONFIG.metrics[0], margin=chosen),))
    assert applied(mine, with_ratios([1.0] * 200)).metrics[0].margin == chosen


@given(
    st.lists(st.floats(0.01, 20.0) | st.just(math.inf), max_size=120),
    st.sampled_from([1.0, 1.1, 1.2, 1.4]),
)
def test_what_is_learnt_never_makes_a_promotion_easier(ratios: list[float], chosen: float) -> None:
    mine = replace(CONFIG, metrics=(replace(CONFIG.metrics[0], margin=chosen),))
    known = with_ratios(ratios)
    after = applied(mine, known).metrics[0]
    assert after.promote_ratio is None or after.promote_ratio <= 2.0
    assert 1.0 <= after.margin <= 2.0
    if after.margin < chosen:
        # Certified: so many below it by luck alone, if one in twenty were above, is below 5 %.
        below = sum(ratio <= after.margin for ratio in ratios)
        chance = sum(
            math.comb(len(ratios), k) * 0.95**k * 0.05 ** (len(ratios) - k)
            for k in range(below, len(ratios) + 1)
        )
        assert chance <= 0.05 + 1e-9
        assert chosen <= 1.2


def test_one_pod_stays_uncalibrated_and_so_is_not_certified() -> None:
    alone = replace(CONFIG, pods=1)
    assert not applied(alone, with_ratios([1.0] * 200)).calibrated
    assert not applied(replace(CONFIG, pods=None), with_ratios([1.0] * 200)).calibrated


def test_a_judge_that_cries_harm_of_the_same_version_refuses_promotion_by_name() -> None:
    known = Pools(3.0).minutes(80).known
    assert known is not None
    assert all(known.ends)
    assert len(known.ends) >= 3
    why = refusal(known, POLICY)
    assert why.startswith("self-check failed: the judge called c harmful in ")
    assert "look for what c and a differ by" in why


def test_two_false_alarms_in_two_ramps_are_enough_and_good_ramps_win_it_back() -> None:
    ends = (True, True)
    assert refusal(with_ratios([], ends), POLICY) != ""
    assert refusal(with_ratios([], ends + (False,) * 12), POLICY) == ""
    assert refusal(with_ratios([], (True,)), POLICY) == ""


def test_a_certificate_that_the_pools_alone_could_earn_is_refused() -> None:
    assert "could be luck" in refusal(with_ratios([0.4] * 20), POLICY)


def test_a_ramp_that_is_disturbed_is_not_counted() -> None:
    pools = Pools().minutes(15)
    assert pools.minutes(1, calm=False).minutes(15).known == pools.known
    assert pools.known is not None
    assert (pools.known.ends, pools.known.ratios) == ((), ())
    assert len(pools.minutes(7).known.ends) == 1  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "other", [{"version": "v3"}, {"said": "v1"}, {"weight": 0.0}], ids=lambda one: next(iter(one))
)
def test_pools_of_which_one_serves_something_else_say_nothing(other: dict[str, Any]) -> None:
    assert Pools(3.0).minutes(60, **other).known is None
    pools = Pools().minutes(10).minutes(1, **other)
    assert pools.known is not None
    assert pools.known.judge is None


def test_another_division_of_the_traffic_is_another_ramp() -> None:
    known = Pools().minutes(15).minutes(15, weight=10.0).known
    assert known is not None
    assert (known.ends, known.share) == ((), 10.0)


def test_a_gap_is_neither_a_false_alarm_nor_the_end_of_it() -> None:
    known = Pools().minutes(10).minutes(2, blind=True).minutes(12).known
    assert known is not None
    assert known.ends == (False,)


def test_without_a_canary_or_with_another_pool_all_begins_anew() -> None:
    seen = build.evidence()
    known = learnt(1.0)
    assert step(known, build.managed(), seen, build.START, calm=True) is None
    other = build.managed(canary=replace(POLICY, pool="d"))
    assert step(known, other, seen, build.START, calm=True) is None


def test_another_margin_begins_the_self_check_anew_and_keeps_the_ratios() -> None:
    known = with_ratios([1.1] * 25, ends=(True, True, True))
    pools = Pools(managed=build.managed(canary=replace(POLICY, error_ratio=1.4)))
    pools.known = known
    after = pools.minutes(1).known
    assert after is not None
    assert (after.ends, after.ratios) == ((), known.ratios)


def test_it_is_journaled_bit_for_bit() -> None:
    known = learnt(1.0, 130)
    assert known.judge is not None
    assert codec.decode(codec.encode(known)) == known


def test_the_promise_is_weaker_by_the_unlucky_where_margins_were_learnt() -> None:
    assert check(None, 0.05).promised == 0.05
    assert check(with_ratios([1.0] * 20), 0.05).promised == pytest.approx(0.10)
    assert margin(None).ratio is None


def test_margins_only_grow_with_what_was_seen() -> None:
    wide = [applied(CONFIG, with_ratios([1.0] * 19 + [r] * 5)).metrics[0].margin
            for r in (1.0, 1.21, 1.4, 1.9)]  # fmt: skip
    assert all(low <= high for low, high in pairwise(wide))
    assert wide == [1.2, 1.25, 1.4, 1.9]
