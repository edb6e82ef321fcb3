"""Ten thousand choices at once are the choices that would be made one by one."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base.learning import Payoff, Pick
from homeostat.base.units import TimeNs
from homeostat.policy import bandit
from homeostat.policy.bandit import Config
from homeostat.policy.bandit_choose import context, weighed
from homeostat.policy.bandit_fleet import decide, prepared

CONFIG = Config(arms=4, features=5, costs=2, sigma_reward=0.1, sigma_cost=0.1, ridge=0.1)


def trained(seed: int, rounds: int) -> bandit.View:
    rng = np.random.default_rng(seed)
    true = rng.uniform(-0.5, 0.5, (CONFIG.arms, CONFIG.outputs, CONFIG.features))
    state = bandit.init(CONFIG)
    seen = bandit.view(CONFIG, state, TimeNs(0))
    for _ in range(rounds):
        x, arm = context(rng.uniform(-0.4, 0.4, CONFIG.features)), int(rng.integers(4))
        reward, *costs = (true[arm] @ x + 0.1 * rng.standard_normal(3)).tolist()
        pick = Pick(
            id="", at=TimeNs(0), features=tuple(x.tolist()), arm=arm, fraction=1.0, propensity=1.0
        )
        payoff = Payoff(
            pick_id="", reward=reward, base_reward=0.0, costs=tuple(costs), base_costs=(0.0, 0.0)
        )
        state = bandit.learnt(CONFIG, state, seen, pick, payoff)
        seen = bandit.view(CONFIG, state, TimeNs(0), seen)
    return seen


VIEWS: dict[int, bandit.View] = {}


@given(seed=st.integers(0, 10_000), rounds=st.sampled_from([0, 60]))
def test_a_fleet_is_given_what_each_deployment_would_be_given(seed: int, rounds: int) -> None:
    seen = VIEWS[rounds] = VIEWS.get(rounds) or trained(1, rounds)
    rng = np.random.default_rng(seed)
    x = np.stack([context(rng.uniform(-0.4, 0.4, CONFIG.features)) for _ in range(6)])
    room = rng.choice([-0.1, 0.05, 0.3, math.nan], (6, 2))
    may = rng.random((6, CONFIG.arms)) < 0.7
    fleet = decide(
        CONFIG, prepared(CONFIG, seen), x.astype(np.float32), room.astype(np.float32), may
    )
    for row in range(6):
        arms = weighed(CONFIG, seen, x[row], tuple(room[row]))
        values = [
            one.value if may[row, i] and one.fraction >= max(one.least, 1e-9) else -math.inf
            for i, one in enumerate(arms)
        ]
        top, arm = max([0.0, *values]), int(fleet.arm[row])
        if arm < 0:
            assert top < 1e-2
        else:
            assert may[row, arm]
            assert values[arm] >= top - 1e-2
            assert 0.0 < fleet.fraction[row] <= arms[arm].fraction
            assert fleet.fraction[row] >= arms[arm].fraction - 2e-2
