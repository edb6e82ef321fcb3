"""What another policy would have brought: right on average whatever was foreseen, or refused."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.learn.off_policy import Logged, half_width, scored

ARMS = 3
TRUE = np.array([0.2, 0.5, 0.6])
COST = np.array([0.1, 0.3, 0.2])


def policy(*shares: float, rounds: int) -> Any:
    return np.tile(np.array(shares), (rounds, 1))


def logged(seed: int, rounds: int, off: float, logging: Any) -> Logged:
    """Arms drawn by `logging` `[arm]`, binary rewards, foreseen with an error of `off`."""
    rng = np.random.default_rng(seed)
    arm = rng.choice(ARMS, rounds, p=logging)
    return Logged(
        arm=arm,
        logging=np.tile(logging, (rounds, 1)),
        reward=(rng.random(rounds) < TRUE[arm]).astype(float),
        costs=(rng.random((rounds, 1)) < COST[arm][:, None]).astype(float),
        foreseen=np.tile(TRUE + off, (rounds, 1)),
        foreseen_costs=np.tile(COST + off, (rounds, 1, 1)),
    )


@settings(max_examples=20)
@given(
    weights=st.tuples(*[st.floats(0.05, 1.0)] * 3), shares=st.tuples(*[st.floats(0.0, 1.0)] * 3),
    q=st.lists(st.floats(-5.0, 5.0), min_size=3, max_size=3),
)  # fmt: skip
def test_the_expected_score_is_the_true_difference_whatever_was_foreseen(
    weights: Any, shares: Any, q: list[float]
) -> None:
    """Over all arms that could have been drawn, by their exact probabilities: no chance at all."""
    if sum(shares) == 0.0:
        shares = (1.0, 0.0, 0.0)
    chance, wanted = np.array(weights) / sum(weights), np.array(shares) / sum(shares)
    each = Logged(
        arm=np.arange(ARMS), logging=np.tile(chance, (ARMS, 1)), reward=TRUE, costs=COST[:, None],
        foreseen=np.tile(np.array(q), (ARMS, 1)), foreseen_costs=np.tile(np.array(q), (ARMS, 1, 1)),
    )  # fmt: skip
    out = scored(each, np.tile(wanted, (ARMS, 1)), policy(1.0, 0.0, 0.0, rounds=ARMS))
    assert chance @ out.difference == pytest.approx(wanted @ TRUE - TRUE[0], abs=1e-9)
    assert chance @ out.costs[:, 0] == pytest.approx(wanted @ COST - COST[0], abs=1e-9)


def test_a_good_forecast_takes_noise_away_and_a_bad_one_only_adds_some() -> None:
    chance = np.array([0.8, 0.1, 0.1])
    candidate, incumbent = policy(0, 1, 0, rounds=4000), policy(1, 0, 0, rounds=4000)

    def spread(off: float) -> float:
        return float(scored(logged(1, 4000, off, chance), candidate, incumbent).difference.std())

    none = spread(float(-TRUE.mean()))  # about what weighing alone would give
    assert spread(0.0) < 0.9 * none
    assert spread(0.5) > spread(0.0)


def test_rounds_that_are_not_known_are_left_out_and_counted() -> None:
    log = logged(2, 50, 0.0, np.array([0.4, 0.3, 0.3]))
    reward, costs = log.reward.copy(), log.costs.copy()
    reward[3], costs[7, 0] = np.nan, np.nan
    out = scored(
        dataclasses.replace(log, reward=reward, costs=costs),
        policy(0, 1, 0, rounds=50), policy(1, 0, 0, rounds=50),
    )  # fmt: skip
    assert (len(out.difference), len(out.costs), out.unknown) == (48, 48, 2)


def test_who_plays_what_could_not_be_logged_is_refused() -> None:
    log = logged(3, 20, 0.0, np.array([0.5, 0.5, 0.0]))
    with pytest.raises(ValueError, match="Log with a floor"):
        scored(log, policy(0, 0, 1, rounds=20), policy(1, 0, 0, rounds=20))


def test_probabilities_that_do_not_add_up_are_refused() -> None:
    log = logged(3, 20, 0.0, np.array([0.5, 0.25, 0.25]))
    with pytest.raises(ValueError, match="candidate's probabilities"):
        scored(log, policy(0, 0.9, 0, rounds=20), policy(1, 0, 0, rounds=20))


def test_the_sequence_is_the_printed_one() -> None:
    """Worked by hand: n = 100, s = 2, alpha = 0.05, tuned for 100 rounds."""
    rho2 = (2 * np.log(10.0) + np.log(1 + 2 * np.log(10.0))) / 100
    inside = 100 * rho2 + 1
    hand = 2.0 * np.sqrt(2 * inside / (1e4 * rho2) * np.log(1 + np.sqrt(inside) / 0.1))
    got = half_width(100.0, np.array(2.0), 100.0, 0.05)
    assert got == pytest.approx(hand)
    around = [half_width(100.0, np.array(2.0), tuned, 0.05) for tuned in (30.0, 100.0, 300.0)]
    assert min(around) == around[1]  # tightest about where it is tuned to be
