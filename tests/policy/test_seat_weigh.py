"""The learner in the seat: bounds from what is foreseen and was learnt, and a choice by them."""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from homeostat.base import names
from homeostat.base.actions import HOLD, Action, ActionKind
from homeostat.base.guard import GuardState
from homeostat.base.learning import Advice, Payoff, Pick
from homeostat.base.policy import AdaptiveMode, AdaptivePolicy
from homeostat.base.rehearsal import Foreseen, Means, Prospect, Quantiles, Rehearsal, Trust
from homeostat.base.units import SECOND, TimeNs
from homeostat.policy import seat_effect
from homeostat.policy.seat import weigh
from homeostat.policy.seat_arms import offers
from homeostat.policy.seat_context import ENCODER, context
from homeostat.policy.seat_learn import learn, opened, renewed, written
from homeostat.safety.permit import permit
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_rehearsals import TWIN

POLICY = AdaptivePolicy(mode=AdaptiveMode.ON, explore=0.0)
BATCH = g.act(ActionKind.BATCH_UP, names.pool("a"), batch_max=16)
SHIFT = replace(
    g.act(ActionKind.SHIFT_TRAFFIC, names.pool("b"), weight__b=100.0), ramp=(25.0, 50.0, 100.0)
)
UP = g.scale(4)


def ends(middle: float) -> Quantiles:
    return Quantiles(p5=middle, p50=middle, p95=middle)


def seen(
    holds: Mapping[Action, float], *, why: str = "", policy: AdaptivePolicy = POLICY
) -> GuardState:
    """A scene with a twin that foresees how often each of these ends well."""
    prospects = tuple(
        Prospect(
            action=action,
            foreseen=Foreseen(
                latency_ms=ends(80.0), error_ratio=ends(0.0), availability=ends(1.0),
                usd_per_hour=ends(4.0), breach=ends(1.0 - share),
            ),
            against_hold=Foreseen(
                latency_ms=ends(0.0), error_ratio=ends(0.0), availability=ends(0.0),
                usd_per_hour=ends(0.0), breach=ends(0.0),
            ),
            holds=share,
            means=Means(missed=1.0 - share, failed=0.0, usd_per_hour=4.0),
        )
        for action, share in holds.items()
    )  # fmt: skip
    answer = Rehearsal(
        id="r-0001", at=TimeNs(g.NOW - SECOND), horizon_ns=300 * SECOND, draws=64,
        prospects=prospects, trust=Trust(reasons=(why,) if why else ()),
    )  # fmt: skip
    state = g.bad_release(g.scene())
    managed = replace(state.managed, twin=TWIN, adaptive=policy)
    return replace(state, managed=managed, rehearsal=answer)


def advice(
    state: GuardState, incumbent: Action = BATCH, learnt: str = "", roll: float = 0.5
) -> Advice:
    answer = state.rehearsal
    assert answer is not None
    named = permit([one.action for one in answer.prospects], state, g.NOW)
    found = offers(incumbent, state, named)
    safe_set = permit((BATCH, *(one.action for one in found)), state, g.NOW)
    found = tuple(one for one in found if safe_set.holds(one.action))
    return weigh(found, incumbent, safe_set, state, learnt, pick_id="d-0001", now=g.NOW, roll=roll)


def outcome(
    state: GuardState, off_by: tuple[float, float, float], arm: int = 1
) -> tuple[Pick, Payoff]:
    """What an arm came to, so far off what was foreseen of it."""
    pick = Pick(
        id="d-0001", at=g.NOW, features=tuple(context(state, g.NOW).tolist()), arm=arm,
        fraction=1.0, propensity=1.0, foreseen=(0.5, -0.5, 0.0),
    )  # fmt: skip
    reward, missed, failed = (a + b for a, b in zip(pick.foreseen, off_by, strict=True))
    return pick, Payoff(
        pick_id="d-0001", reward=reward, base_reward=0.0, costs=(missed, failed),
        base_costs=(0.0, 0.0),
    )  # fmt: skip


def test_what_is_foreseen_to_end_better_is_chosen_and_says_by_how_much() -> None:
    state = seen({HOLD: 0.1, BATCH: 0.2, UP: 0.9})
    said = advice(state)
    assert said.number >= 0
    (arm,) = [one for one in said.arms if one.name == "twin"]
    # Ten elevenths of the reward is violation, and the budget is spent alike.
    assert arm.gain.mid == pytest.approx(0.7 * 10 / 11, abs=1e-6)
    # The twin may be off for both of the two that are compared.
    assert arm.gain.high - arm.gain.low == pytest.approx(4 * POLICY.doubt)
    assert arm.extra[0].high == pytest.approx(-0.7 + 2 * POLICY.doubt)
    assert (arm.chance, said.pick.propensity) == (1.0, 1.0)
    assert said.because[0].startswith("twin at 100%: the most to gain")


def test_a_part_of_a_ramp_is_foreseen_between_holding_and_all_of_it() -> None:
    state = seen({HOLD: 0.2, BATCH: 0.2, SHIFT: 1.0})
    said = advice(state)
    parts = {arm.fraction: arm for arm in said.arms if arm.name == "twin"}
    assert len(parts) > 1
    for fraction, arm in parts.items():
        assert arm.extra[0].mid == pytest.approx(-0.8 * fraction, abs=1e-6)
        assert arm.gain.high - arm.gain.low == pytest.approx(4 * POLICY.doubt, abs=1e-5)
    assert said.pick.fraction == 1.0


def test_where_the_whole_might_cost_too_much_a_part_may_be_played() -> None:
    alone = replace(POLICY, arms=("twin",))
    said = advice(seen({HOLD: 0.9, BATCH: 0.4, SHIFT: 0.5}, policy=alone))
    refused = {arm.fraction: arm.refused for arm in said.arms if arm.name == "twin"}
    assert refused[1.0]
    smallest = min(refused)
    assert not refused[smallest]
    # From 5 % of the traffic to 25, of 95 that are to go: rounded down, never up.
    assert smallest == math.floor(256 * 20 / 95) / 256
    assert said.pick.fraction == smallest
    assert said.arms[said.number + 1].fraction == smallest


def of_runbook(state: GuardState, off_by: tuple[float, float, float]) -> tuple[Pick, Payoff]:
    """What the runbook's own came to, so far off what was foreseen of it."""
    pick, payoff = outcome(state, off_by, arm=-1)
    came = replace(payoff, reward=off_by[0], costs=off_by[1:])
    return replace(pick, foreseen=()), came


def often(learnt: str, times: int) -> str:
    """What is known after each outcome so far came so many times: sums of sums."""
    state, _ = opened(learnt, POLICY)
    sums = tuple(
        one._replace(
            outer=times * one.outer, cross=times * one.cross, square=times * one.square,
            count=times * one.count,
        )
        for one in state.sums
    )  # fmt: skip
    return written(state._replace(sums=sums))


def test_a_part_of_a_ramp_is_off_by_what_the_whole_and_holding_are_off_by() -> None:
    """The whole and the runbook's come as foreseen; holding is off by all of the doubt."""
    state = seen({HOLD: 0.6, BATCH: 0.6, SHIFT: 0.7})
    learnt = learn("", POLICY, *outcome(state, (0.0, 0.0, 0.0)))
    learnt = learn(learnt, POLICY, *of_runbook(state, (0.0, 0.0, 0.0)))
    said = advice(state, learnt=often(learnt, 200_000))
    parts = {arm.fraction: arm for arm in said.arms if arm.name == "twin"}
    assert len(parts) > 1
    for fraction, arm in parts.items():
        truth = -0.1 * fraction + (1.0 - fraction) * POLICY.doubt
        assert arm.extra[0].high >= truth - 1e-6, fraction
        assert arm.extra[0].high <= truth + 0.05, "what is known well is bounded closely"


def test_what_holding_is_off_by_moves_the_bounds_of_a_part() -> None:
    state = seen({HOLD: 0.2, BATCH: 0.2, SHIFT: 1.0})
    learnt = often(learn("", POLICY, *outcome(state, (-0.1, 0.1, 0.0), arm=0)), 20_000)
    before, after = (
        {arm.fraction: arm for arm in advice(state, learnt=known).arms if arm.name == "twin"}
        for known in ("", learnt)
    )
    assert after[1.0] == before[1.0]
    for fraction in sorted(before)[:-1]:
        assert after[fraction].extra[0].low > before[fraction].extra[0].low
        assert after[fraction].extra[0].mid > before[fraction].extra[0].mid + 0.05 * (1 - fraction)


def test_a_part_of_a_ramp_teaches_nothing_of_the_whole() -> None:
    state = seen({HOLD: 0.1, BATCH: 0.2, SHIFT: 0.9})
    pick, payoff = outcome(state, (-0.03, 0.03, 0.0))
    assert learn("", POLICY, replace(pick, fraction=53 / 256), payoff) == ""
    assert learn("", POLICY, pick, payoff) != ""


def test_exploring_is_even_over_what_may_be_played_and_nothing_else() -> None:
    wide = replace(POLICY, missed=1.0, failed=1.0, explore=0.5)
    state = seen({HOLD: 0.8, BATCH: 0.85, UP: 0.9}, policy=wide)
    numbers = [advice(state, roll=roll).number for roll in (0.0, 0.2, 0.4, 0.6, 0.99)]
    assert numbers == [-1, 0, 1, 1, 1]
    tried = advice(state, roll=0.2)
    assert tried.because[0].startswith("hold at 100%: to learn")
    assert tried.pick.propensities == pytest.approx((0.5 / 3, 0.5 + 0.5 / 3, 0.5 / 3))
    assert tried.pick.propensity == tried.pick.propensities[0]


@pytest.mark.parametrize("why", ["", "it was never checked"])
def test_what_is_not_foreseen_is_not_played(why: str) -> None:
    state = seen({HOLD: 0.1, UP: 0.9} if not why else {HOLD: 0.1, BATCH: 0.2, UP: 0.9}, why=why)
    said = advice(state)
    assert said.number == -1
    assert all(arm.refused for arm in said.arms if arm.name != "runbook")
    assert any(math.isnan(value) for value in said.base)


def test_what_was_learnt_moves_the_bounds_by_what_the_twin_was_off() -> None:
    state = seen({HOLD: 0.1, BATCH: 0.2, UP: 0.9})
    learnt = ""
    for _ in range(300):
        learnt = learn(learnt, POLICY, *outcome(state, (-0.1, 0.1, 0.0)))
    (before,) = [arm for arm in advice(state).arms if arm.name == "twin"]
    (after,) = [arm for arm in advice(state, learnt=learnt).arms if arm.name == "twin"]
    assert after.gain.high < before.gain.high - 0.1
    assert after.extra[0].low > before.extra[0].low + 0.1
    (hold,) = [arm for arm in advice(state, learnt=learnt).arms if arm.name == "hold"]
    (same,) = [arm for arm in advice(state).arms if arm.name == "hold"]
    assert hold == same, "arms learn apart"


def test_what_the_runbook_came_to_narrows_the_bounds_of_all() -> None:
    """It is what shadow plays."""
    state, learnt = seen({HOLD: 0.1, BATCH: 0.2, UP: 0.9}), ""
    pick, payoff = outcome(state, (0.1, -0.1, 0.0), arm=-1)
    own = replace(pick, foreseen=())
    came = replace(payoff, reward=-0.6, base_reward=-0.7, costs=(0.7, 0.0), base_costs=(0.8, 0.0))
    for _ in range(300):
        learnt = learn(learnt, POLICY, own, came)
    before, after = advice(state), advice(state, learnt=learnt)
    for old, new in zip(before.arms[1:], after.arms[1:], strict=True):
        # The runbook ends better than foreseen, so that all others have less over it.
        assert new.gain.high < old.gain.high - 0.1
        assert new.extra[0].low > old.extra[0].low + 0.1


def test_outcomes_beyond_the_declared_doubt_are_no_licence() -> None:
    state, learnt = seen({HOLD: 0.1, BATCH: 0.2, UP: 0.9}), ""
    for _ in range(60):
        learnt = learn(learnt, POLICY, *outcome(state, (-1.0, 1.0, 0.0)))
    said = advice(state, learnt=learnt)
    alarms = opened(learnt, POLICY)[0].alarms
    (arm,) = [one for one in said.arms if one.name == "twin"]
    # Either the alarm began the arm anew with wider bounds, or they cross: it is not played.
    assert said.number == -1, (arm, alarms)


@pytest.mark.parametrize("arm", [-1, 1])
def test_an_alarm_takes_the_licence_until_a_person_sets_the_mode(arm: int) -> None:
    """Of the runbook's too, on whose error every other bound rests."""
    state, came = seen({HOLD: 0.85, BATCH: 0.85, UP: 0.9}), of_runbook if arm < 0 else outcome
    # For long it was as foreseen, and then it is not any more.
    learnt = often(learn("", POLICY, *came(state, (0.0, 0.0, 0.0))), 5000)
    for _ in range(100):
        learnt = learn(learnt, POLICY, *came(state, (-1.0, 1.0, 0.0)))
        if opened(learnt, POLICY)[0].alarms.any():
            break
    assert opened(learnt, POLICY)[0].alarms.any()
    wide = replace(POLICY, missed=1.0, failed=1.0)  # nothing but the alarm refuses
    state = replace(state, managed=replace(state.managed, adaptive=wide))
    said = advice(state, learnt=learnt)
    refused = {one.name for one in said.arms if one.refused}
    assert refused == ({"hold", "twin"} if arm < 0 else {"twin"})
    (twin,) = [one for one in said.arms if one.name == "twin"]
    assert twin.refused[0].endswith("not before a person sets the mode")
    after = renewed(learnt, POLICY)
    assert not any(one.refused for one in advice(state, learnt=after).arms)
    assert renewed(after, POLICY) == after
    assert opened(after, POLICY)[0].alarms.any(), "that there was one is not forgotten"


def test_an_outcome_that_is_not_known_is_no_zero() -> None:
    state = seen({HOLD: 0.1, BATCH: 0.2, UP: 0.9})
    pick, payoff = outcome(state, (0.0, 0.0, 0.0))
    known = learn("", POLICY, pick, payoff)
    for blank in (replace(payoff, reward=math.nan), replace(payoff, costs=(math.nan, 0.0))):
        after = learn(known, POLICY, pick, blank)
        before, now = opened(known, POLICY)[0], opened(after, POLICY)[0]
        assert all(
            np.array_equal(a, b)
            for one, other in zip(before.sums, now.sums, strict=True)
            for a, b in zip(one, other, strict=True)
        )
        assert now.unknown[2] == before.unknown[2] + 1


def test_what_was_learnt_comes_back_from_its_text_and_other_text_means_nothing() -> None:
    state = seen({HOLD: 0.1, BATCH: 0.2, UP: 0.9})
    learnt = learn("", POLICY, *outcome(state, (0.1, 0.0, 0.0)))
    assert learn(learnt, POLICY, *outcome(state, (0.1, 0.0, 0.0))) != learnt
    bare = learnt.partition(" ")[2]  # as it was while parts were learnt as wholes
    for other in ("", "{}", learnt[:-9], learnt.replace("/1", "/2"), bare):
        assert opened(other, POLICY)[0].sums[2].count.sum() == 0.0
    assert opened(learnt, POLICY)[0].sums[2].count.sum() == 1.0


def test_where_nothing_can_gain_on_it_the_runbooks_stays() -> None:
    wide = replace(POLICY, missed=1.0, failed=1.0, doubt=0.01)
    said = advice(seen({HOLD: 0.8, BATCH: 0.9, UP: 0.5}, policy=wide))
    assert [arm.refused for arm in said.arms] == [()] * len(said.arms)
    assert (said.number, said.pick.propensity) == (-1, 1.0)
    assert said.because == ("the runbook's: nothing else can gain on it",)


def test_a_context_says_what_is_not_known() -> None:
    state = seen({HOLD: 0.1, BATCH: 0.2})
    x = context(state, g.NOW)
    assert x.shape == (ENCODER.size,)
    assert np.linalg.norm(x) <= 1.0
    blind = context(replace(state, evidence=None), g.NOW)
    assert (blind[1:] == 0.0).all()


def test_unknown_parts_of_what_came_stay_unknown() -> None:
    answer = seen({HOLD: 0.9}).rehearsal
    assert answer is not None
    silent = replace(answer.prospects[0], means=None)
    for prospect in (None, silent):
        assert all(math.isnan(value) for value in seat_effect.foreseen(prospect, g.managed()))


def test_what_is_foreseen_is_what_is_to_be_expected_and_not_the_middle_of_the_draws() -> None:
    """Two draws in five lose every request, and are bad from the first scrape to the last."""
    answer = seen({HOLD: 0.6}).rehearsal
    assert answer is not None
    (one,) = answer.prospects
    assert one.foreseen.error_ratio.p50 == 0.0
    bad = replace(one, means=Means(missed=0.4, failed=0.4, usd_per_hour=4.0))
    good = replace(one, means=Means(missed=0.1, failed=0.0, usd_per_hour=4.0))
    worse, better = (seat_effect.foreseen(it, seen({HOLD: 0.6}).managed) for it in (bad, good))
    assert worse[1:] == pytest.approx((0.4, 0.4))
    assert better[1:] == pytest.approx((0.4, 0.0))
    assert better[0] - worse[0] == pytest.approx(0.3 * 10 / 11)
