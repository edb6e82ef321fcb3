"""What the seat has learnt, as text for the journal; and one outcome more.

Learnt is how far the twin is off in what it foresees: of each arm, and of the runbook's own
proposals, which are played in shadow too. What an arm has over the runbook is the difference of the
two. A part of a ramp is off by a mix of two errors, of which neither can be told from it: it
teaches nothing. The text is the bandit's state (`bandit_file`): whole numbers, exact in any order.
Text that does not fit (of other arms, of another context) is as if nothing had been learnt: it
never means more than it was learnt about.
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
from homeostat.policy.seat_arms import ARMS, arms_of
from homeostat.policy.seat_context import ENCODER
from homeostat.policy.seat_effect import COSTS

MODELS: Final = (INCUMBENT, *ARMS)
"""What may be learnt about, in the order of what is remembered; see `seat_arms.arms_of`."""
# Residuals come from an inverse, whose last bits differ between machines; what is remembered of
# them is on a grid, so that a replay elsewhere remembers the same.
_WATCH_GRID: Final = 2.0**20
_NO_TIME: Final = TimeNs(0)
FORMAT: Final = "homeostat.seat/2 "
"""What the text begins with. Without it, parts were learnt as wholes: that is left behind."""


def config(policy: AdaptivePolicy) -> Config:
    """Return the bandit's settings: noise of shares in 0..1, and the doubt that is declared.

    It forgets nothing, since that is what its limits rest on; the alarm answers for drift.
    """
    return Config(
        arms=1 + len(arms_of(policy)),
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
        known = learnt.startswith(FORMAT)
        fresh = bandit.init(settings)
        state = bandit_file.from_json(settings, learnt.removeprefix(FORMAT)) if known else fresh
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
    if pick.arm >= 0 and pick.fraction < 1.0:
        return learnt
    state, seen = opened(learnt, policy)
    of = replace(pick, arm=pick.arm + 1, fraction=1.0)
    after = bandit.learnt(config(policy), state, seen, of, payoff)
    if after is state:
        return learnt
    grid = np.rint(after.watch * _WATCH_GRID) / _WATCH_GRID
    return written(after._replace(watch=grid))


def written(state: State) -> str:
    """Return what is known as text."""
    return FORMAT + bandit_file.to_json(state)


def renewed(learnt: str, policy: AdaptivePolicy) -> str:
    """Return what is known after a person set the mode: an alarm before that refuses nothing more.

    What it made forgotten stays forgotten, and the next alarm refuses again.

    Args:
        learnt: What was known before.
        policy: Settings.
    """
    state, _ = opened(learnt, policy)
    if not (state.inflated > 1.0).any():
        return learnt
    return written(state._replace(inflated=np.ones_like(state.inflated)))
