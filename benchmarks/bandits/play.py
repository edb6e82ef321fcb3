"""Plays the shipped bandit, and simple peers, on a task; what is true is known here only."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bandits.tasks import ROOM, Task
from homeostat.base.learning import Payoff, Pick
from homeostat.base.units import TimeNs
from homeostat.policy import bandit
from homeostat.policy.bandit import Config
from homeostat.policy.bandit_choose import Option, chosen, weighed

Floats = npt.NDArray[np.float64]


class Played(NamedTuple):
    """What came of one run.

    Attributes:
        regret: After each round `[T]`, against the best arm and fraction within the room.
        over: Rounds whose expected cost was above the limit.
        alarms: Times an arm was forgotten.
    """

    regret: Floats
    over: int
    alarms: int


def best(task: Task, *, limited: bool) -> Floats:
    """Return the most that can be gained in expectation within the room `[T]`."""
    share = np.ones_like(task.gain)
    if limited:
        share = np.where(task.extra > ROOM, ROOM / np.maximum(task.extra, ROOM), 1.0)
    return np.asarray(np.maximum((share * task.gain).max(axis=1), 0.0))


def shipped(
    config: Config, task: Task, *, limited: bool, whole: bool = False, believing: bool = False
) -> Played:
    """Play the shipped bandit.

    Args:
        config: Its settings.
        task: The task; a round is a nanosecond.
        limited: Whether there is a limit; else it may spend what it likes.
        whole: An arm is played in full or not at all.
        believing: The estimate of a cost is taken for the cost.
    """
    state = bandit.init(config)
    seen = bandit.view(config, state, TimeNs(0))
    room = (ROOM if limited else math.inf,) * config.costs
    gained, over = np.zeros(len(task.x)), 0
    for t, x in enumerate(task.x):
        seen = bandit.view(config, state, TimeNs(t), seen)
        arms = weighed(config, _sure(seen) if believing else seen, x, room)
        options = [Option(-1, 0.0, 0.0)]
        for arm, one in enumerate(arms):
            if one.fraction >= 1.0 or (one.fraction > 0.0 and not whole):
                options.append(Option(arm, one.fraction, one.value))
        option = options[chosen(options, config.explore, float(task.rolls[t])).number]
        rho = option.fraction
        if option.arm < 0:
            continue
        gain, extra = task.gain[t, option.arm], task.extra[t, option.arm]
        gained[t] = rho * gain
        over += bool(rho * extra > ROOM + 1e-12)
        pick = Pick(
            id="", at=TimeNs(t), features=tuple(x.tolist()), arm=option.arm, fraction=rho,
            propensity=1.0,
        )  # fmt: skip
        costs = (float(rho * extra + task.noise[t, 1]),) * config.costs
        payoff = Payoff(
            pick_id="", reward=float(rho * gain + task.noise[t, 0]), base_reward=0.0,
            costs=costs, base_costs=(0.0,) * config.costs,
        )  # fmt: skip
        state = bandit.learnt(config, state, seen, pick, payoff)
    regret = np.cumsum(best(task, limited=limited or config.costs > 0) - gained)
    return Played(regret, over, int(state.alarms.sum()))


def _sure(seen: bandit.View) -> bandit.View:
    bounds = tuple((row[0], *((0.0, cap) for _, cap in row[1:])) for row in seen.bounds)
    return seen._replace(bounds=bounds)


def ridge(task: Task, width: float, greedy: float, *, thompson: bool = False) -> Played:
    """Play textbook LinUCB, e-greedy or Thompson sampling with ridge regressions, lam = 1.

    Args:
        task: Without costs.
        width: alpha of LinUCB, or the scale of the samples.
        greedy: Probability of an arm at random.
        thompson: Sample parameters instead of adding widths.
    """
    rounds, d = task.x.shape
    k = task.gain.shape[1]
    rng = np.random.default_rng(1)
    inverse, cross = np.stack([np.eye(d)] * k), np.zeros((k, d))
    theta, gained = np.zeros((k, d)), np.zeros(rounds)
    for t, x in enumerate(task.x):
        spread = inverse @ x
        if thompson:
            root = np.linalg.cholesky(inverse)
            draws = theta + width * (root @ rng.standard_normal((k, d, 1)))[:, :, 0]
            scores = draws @ x
        else:
            scores = theta @ x + width * np.sqrt(np.maximum(spread @ x, 0.0))
        arm = int(rng.integers(k)) if task.rolls[t] < greedy else int(scores.argmax())
        if scores[arm] <= 0.0 and task.rolls[t] >= greedy:
            continue
        gained[t] = task.gain[t, arm]
        v = spread[arm]
        inverse[arm] -= np.outer(v, v) / (1.0 + v @ x)
        cross[arm] += (gained[t] + task.noise[t, 0]) * x
        theta[arm] = inverse[arm] @ cross[arm]
    return Played(np.cumsum(best(task, limited=False) - gained), 0, 0)


def slope(regret: Floats, begin: int, end: int) -> float:
    """Return the exponent of the mean regret's growth between two rounds."""
    return math.log(regret[end - 1] / regret[begin - 1]) / math.log(end / begin)
