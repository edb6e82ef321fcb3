"""Times one decision, mask and proposal included, and one outcome, in processor time."""

import time
from collections.abc import Callable

import numpy as np

from homeostat.base.actions import ActionKind
from homeostat.base.learning import Payoff, Pick
from homeostat.base.units import TimeNs
from homeostat.policy import bandit
from homeostat.policy.bandit import Config, View
from homeostat.policy.bandit_choose import weighed
from homeostat.policy.bandit_propose import Candidate, Question, propose
from homeostat.safety.permit import permit
from homeostat.testing import guard_scene as g


def median_us(call: Callable[[], object], samples: int = 200, batch: int = 20) -> float:
    """Return the median of batches: reading the processor's clock takes microseconds itself."""
    taken = np.empty(samples)
    for i in range(samples):
        begin = time.process_time_ns()
        for _ in range(batch):
            call()
        taken[i] = (time.process_time_ns() - begin) / batch
    return float(np.median(taken)) / 1e3


def asked(config: Config) -> Question:
    actions = (
        g.rollback(),
        g.restart("a-1"),
        g.scale(4),
        g.act(ActionKind.BATCH_UP, "pool:a", batch_max=16),
    )
    return Question(
        id="d-0001", now=TimeNs(0), features=np.full(config.features, 0.125),
        room=(0.3,) * config.costs, incumbent=actions[0], roll=0.5,
        candidates=tuple(
            Candidate(arm=arm, action=actions[arm % 4], divisible=True)
            for arm in range(config.arms)
        ),
    )  # fmt: skip


def one_decision(config: Config, seen: View) -> float:
    ask = asked(config)
    offered = tuple(candidate.action for candidate in ask.candidates)
    safe = permit(offered, g.bad_release(g.scene()), g.NOW)
    return median_us(lambda: propose(config, seen, ask, safe))


def one_weighing(config: Config, seen: View) -> float:
    x = np.full(config.features, 0.125)
    return median_us(lambda: weighed(config, seen, x, (0.3,) * config.costs))


def one_outcome(config: Config, seen: View) -> float:
    state = bandit.init(config)
    features = (0.125,) * config.features
    pick = Pick(id="", at=TimeNs(0), features=features, arm=0, fraction=0.5, propensity=1.0)
    none = (0.0,) * config.costs
    payoff = Payoff(pick_id="", reward=0.1, base_reward=0.0, costs=none, base_costs=none)

    def call() -> None:
        after = bandit.learnt(config, state, seen, pick, payoff)
        bandit.view(config, after, TimeNs(0), seen)

    return median_us(call, 50)
