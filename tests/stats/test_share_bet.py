"""Share betting: fair while the canary is no worse (by enumeration), alone as in a crowd."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.stats.share_bet import STAKES, ln_bets, ln_mean, null_share, stakes


def column(*values: float) -> Any:
    return np.array(values, dtype=float)


def won(canary_bad: Any, stable_bad: Any, share: Any, *, safe: bool = False) -> Any:
    return np.exp(ln_bets(canary_bad, stable_bad, share, safe=safe))


def binomial(events: int, share: float) -> Any:
    """Return the chance of 0..events of them falling on the canary."""
    return np.array([
        math.comb(events, k) * share**k * (1 - share) ** (events - k) for k in range(events + 1)
    ])


@given(
    events=st.integers(1, 12),
    share=st.floats(0.005, 0.95),
    lower=st.floats(0.0, 1.0),
    safe=st.booleans(),
)
def test_every_stake_is_fair_at_the_null_share_and_loses_within_the_null(
    events: int, share: float, lower: float, *, safe: bool
) -> None:
    k = np.arange(events + 1.0)
    became = won(k, events - k, np.full(events + 1, share), safe=safe)
    assert (became > 0.0).all()  # one bet never loses all
    assert became @ binomial(events, share) == pytest.approx(np.ones(STAKES), rel=1e-9)
    within = share * lower if not safe else share + (1 - share) * lower
    assert (became @ binomial(events, within) <= 1.0 + 1e-9).all()


@given(events=st.integers(1, 50), share=st.floats(0.01, 0.9))
def test_a_burst_that_falls_on_one_arm_is_one_fair_bet(events: int, share: float) -> None:
    became = won(column(events, 0), column(0, events), np.full(2, share))
    assert became @ [share, 1 - share] == pytest.approx(np.ones(STAKES), rel=1e-9)


def test_a_ramp_of_three_buckets_is_fair_to_the_end_whatever_its_weights() -> None:
    ramp = [(3, 0.01), (2, 0.25), (4, 0.5)]  # events of both arms, the canary's null share
    money = np.ones((STAKES, 1))  # of one unit each
    chance = np.ones(1)
    for events, share in ramp:
        k = np.arange(events + 1.0)
        bets = won(k, events - k, np.full(events + 1, share))
        money = (money[:, :, None] * bets[:, None, :]).reshape(STAKES, -1)
        chance = np.outer(chance, binomial(events, share)).ravel()
    assert len(chance) == 60
    assert np.exp(ln_mean(np.log(money))) @ chance == pytest.approx(1.0, rel=1e-9)


def test_the_null_share_is_what_the_ratio_makes_of_the_traffic() -> None:
    share = null_share(column(100, 100, 0, 50), column(900, 100, 10, 0), 1.5)
    assert share[:2] == pytest.approx([150 / 1050, 0.6])
    assert np.isnan(share[2:]).all()  # one arm alone is no comparison


@pytest.mark.parametrize("safe", [False, True])
def test_nothing_to_compare_is_no_bet(*, safe: bool) -> None:
    nothing = ln_bets(
        column(0, 1, math.nan), column(0, 1, 1), column(0.1, math.nan, 0.1), safe=safe
    )
    assert (nothing == 0.0).all()


def test_money_neither_overflows_nor_vanishes_in_a_million_buckets() -> None:
    bet = ln_bets(column(40, 0), column(0, 40), column(0.01, 0.01))
    after = ln_mean(1e6 * bet)
    assert np.isfinite(after).all()
    assert after[0] > 1e6
    assert after[1] < 0.0


@pytest.mark.parametrize("safe", [False, True])
def test_the_mean_is_over_all_stakes_and_starts_at_one(*, safe: bool) -> None:
    assert ln_mean(np.zeros((STAKES, 2)), safe=safe) == pytest.approx([0.0, 0.0], abs=1e-12)
    shares = np.exp(ln_mean(np.log(np.eye(STAKES) + 1e-300), safe=safe))
    assert (shares > 0.02).all()  # every stake has some of the money
    assert shares.sum() == pytest.approx(1.0)


def test_stakes_of_many_events_stay_below_everything() -> None:
    most = stakes(column(1, 1e12)).max(axis=0)
    assert most[0] < most[1] < 1.0


@settings(deadline=None, max_examples=30)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 500), st.integers(0, 500), st.floats(0.001, 0.999)),
        min_size=1,
        max_size=20,
    ),
    safe=st.booleans(),
)
def test_a_row_is_judged_the_same_alone_and_in_a_crowd_to_the_last_bit(
    rows: list[tuple[int, int, float]], *, safe: bool
) -> None:
    canary, stable, share = np.array(rows, dtype=float).T.copy()
    crowd = ln_bets(canary, stable, share, safe=safe)
    means = ln_mean(crowd)
    for i in range(len(rows)):
        alone = ln_bets(canary[i : i + 1], stable[i : i + 1], share[i : i + 1], safe=safe)
        assert alone[:, 0].tobytes() == crowd[:, i].tobytes()
        assert ln_mean(alone)[0] == means[i]
