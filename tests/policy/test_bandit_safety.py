"""Played for real: no round costs more than its limit, and what is learnt is worth having."""

import numpy as np
import pytest

from homeostat.base.learning import Payoff, Pick
from homeostat.base.units import TimeNs
from homeostat.policy import bandit
from homeostat.policy.bandit import Config
from homeostat.policy.bandit_choose import context, weighed

CONFIG = Config(arms=3, features=3, costs=1, sigma_reward=0.05, sigma_cost=0.05, ridge=0.1)
ROOM = 0.3


def played(seed: int, rounds: int, *, whole: bool) -> tuple[float, float, int]:
    """Gains of the first and the last third, and rounds whose expected cost was over the limit."""
    rng = np.random.default_rng(seed)
    true = rng.standard_normal((3, 2, 3))
    true /= np.linalg.norm(true, axis=2, keepdims=True)
    true[0] = [[0.6, 0.5, 0.0], [0.4, 0.0, 0.0]]  # one is worth having, and costs too much in full
    state, gains, over = bandit.init(CONFIG), np.zeros(rounds), 0
    seen = bandit.view(CONFIG, state, TimeNs(0))
    for t in range(rounds):
        u = rng.uniform(-0.5, 0.5, 2)
        x = context(np.array([0.7, *u]))
        arms = weighed(CONFIG, seen, x, (ROOM,))
        arm = max(range(3), key=lambda i: arms[i].value)
        rho = arms[arm].fraction
        if arms[arm].value <= 0.0 or (whole and rho < 1.0):
            continue
        gain, extra = rho * (true[arm] @ x)
        gains[t], over = gain, over + (extra > ROOM)
        noise = 0.05 * rng.standard_normal(2)
        pick = Pick(
            id="", at=TimeNs(0), features=tuple(x.tolist()), arm=arm, fraction=rho, propensity=1.0
        )
        payoff = Payoff(
            pick_id="", reward=gain + noise[0], base_reward=0.0,
            costs=(extra + noise[1],), base_costs=(0.0,),
        )  # fmt: skip
        state = bandit.learnt(CONFIG, state, seen, pick, payoff)
        seen = bandit.view(CONFIG, state, TimeNs(0), seen)
    third = rounds // 3
    return float(gains[:third].mean()), float(gains[-third:].mean()), over


@pytest.mark.parametrize("seed", [1, 2])
def test_a_canary_learns_within_the_limit_what_all_or_nothing_never_does(seed: int) -> None:
    early, late, over = played(seed, 450, whole=False)
    assert over == 0
    assert late > 1.2 * early > 0.0
    assert played(seed, 450, whole=True) == (0.0, 0.0, 0)
