"""What the seat has learnt, as text for the journal; and one outcome more.

Learnt is how far the twin is off in what it foresees: of each arm, and of the runbook's own
proposals, which are played in shadow too. What an arm has over the runbook is the difference of the
two. The text is the bandit's state (`bandit_file`): whole numbers, exact in any order. Text that
does not fit (of other arms, of another context) is as if nothing had been learnt: it never means
more than it was learnt about.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Final

import numpy as np

from homeostat.base.learning import INCUMBENT, Payoff, Pick
from homeostat.base.policy import AdaptivePolicy
from homeostat.base.units import TimeNs
from homeostat.policy import bandit, bandit_file
from homeostat.policy.bandit import Config, State, View
from homeostat.policy.seat_arms import ARMS
from homeostat.policy.seat_context import ENCODER
from homeostat.policy.seat_effect import COSTS

MODELS: Final = (INCUMBENT, *ARMS)
"""What is learnt about, in the order of what is remembered."""
# Residuals come from an inverse, whose last bits differ between machines; what is remembered of
# them is on a grid, so that a replay elsewhere remembers the same.
_WATCH_GRID: Final = 2.0**20
_NO_TIME: Final = TimeNs(0)


def config(policy: AdaptivePolicy) -> Config:
    """Return the bandit's settings: noise of shares in 0..1, and the doubt that is declared.

    It forgets nothing, since that is what its limits rest on; the alarm answers for drift.
    """
    return Config(
        arms=len(MODELS),
        features=ENCODER.size,
        costs=len(COSTS),
        size_reward=policy.doubt,
        size_cost=policy.doubt,
        delta=policy.delta,
        explore=policy.explore,
        span=2.0,
    )


@lru_cache(maxsize=64)
def opened(learnt: str, policy: AdaptivePolicy) -> tuple[State, View]:
    """Return what was learnt and the ellipsoids drawn from it; nothing where it does not fit."""
    settings = config(policy)
    try:
        state = bandit_file.from_json(settings, learnt) if learnt else bandit.init(settings)
    except ValueError:
        state = bandit.init(settings)
    # It forgets nothing, so that there is one block of time and no clock to ask.
    return state, bandit.view(settings, state, now=_NO_TIME)


def learn(learnt: str, policy: AdaptivePolicy, pick: Pick, payoff: Payoff) -> str:
    """Return what is known after one outcome; as it was after one that teaches nothing.

    Args:
        learnt: What was known before, empty for nothing.
        policy: Settings.
        pick: What was played.
        payoff: What came of it.
    """
    state, seen = opened(learnt, policy)
    # A part of a ramp is foreseen as a part; how far that is off is no smaller for it.
    of = replace(pick, arm=pick.arm + 1, fraction=1.0)
    after = bandit.learnt(config(policy), state, seen, of, payoff)
    if after is state:
        return learnt
    grid = np.rint(after.watch * _WATCH_GRID) / _WATCH_GRID
    return bandit_file.to_json(after._replace(watch=grid))
