"""The safe-canary contextual bandit: which arm, and how much of the deployment it may have.

An arm (the runbook, a snapshot of PPO, the twin's best, hold) is given a fraction rho of the
deployment, the incumbent keeps the rest. That is a convex mix with what is known to be safe: cost
(1 - rho) c0 + rho c <= tau holds for rho <= (tau - c0) / (c - c0), whatever c is, so that every arm
can be learnt about without ever spending more than there is. All-or-nothing never learns: with no
data an arm's cost may be anything, and stays so.

Learnt are differences to the incumbent: gain in reward, extra cost of every constraint, linear in
the context (`ellipsoid`). With UCB and LCB of them and room s = tau - c0:

    choose  the arm with the largest  rho(LCB of extra cost) x UCB of gain  (directional optimism)
    play    it at                     rho(UCB of extra cost)                (pessimism)
    or the incumbent, when no gain is above 0.

It answers for additive costs only: a canary of something irreversible is irreversible. Such actions
stay with the rules, which are asked last and always (`bandit_propose`).

Source: Hutchinson, Turan & Alizadeh, arXiv 2308.15006 (star-convex safe sets, directional
optimism); the statement for this form, with its proof's sketch, is in docs/explanation.
"""

import math
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from homeostat.base.learning import Payoff, Pick
from homeostat.base.units import HOUR, TimeNs
from homeostat.policy import bandit_alarm as alarm
from homeostat.policy import ellipsoid
from homeostat.policy.ellipsoid import Prior, Sums

Floats = npt.NDArray[np.float64]

_MOST_INFLATED: Final = 8.0  # three alarms in a row; wider than that nothing is learnt anyway


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings; what they promise rests on `sigma_*` and `size_*` being true.

    Attributes:
        arms: How many.
        features: Places of the context.
        costs: How many constraints.
        sigma_reward: Deviation of one outcome's reward around its mean.
        sigma_cost: Of one outcome's cost; 1/2 covers every cost in 0..1.
        size_reward: Bound on the length of the parameter of the gain.
        size_cost: Of the parameter of each extra cost.
        span: Outcomes whose size is beyond it are absurd and teach nothing.
        ridge: lam.
        delta: Chance that a limit is ever exceeded in expectation, over all arms and constraints.
        optimism: Share of the reward's radius; 1 is what the regret statement is about. The radius
            of costs has no such share.
        explore: Probability of choosing evenly among what may be played, declared in advance.
        blocks: Blocks of time that are remembered.
        block_ns: How long one is.
        discount: What a block is worth when it is one older; 1 forgets nothing.
        alarm: Outcomes between false alarms of an arm, on average at least; inf = never asked.
    """

    arms: int
    features: int
    costs: int
    sigma_reward: float = 0.5
    sigma_cost: float = 0.5
    size_reward: float = 1.0
    size_cost: float = 1.0
    span: float = 1e3
    ridge: float = 1.0
    delta: float = 0.05
    optimism: float = 1.0
    explore: float = 0.0
    blocks: int = 1
    block_ns: int = 24 * HOUR
    discount: float = 1.0
    alarm: float = 1e5

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            ValueError: A setting is out of its range.
        """
        if min(self.arms, self.features, self.blocks, self.block_ns) < 1 or self.costs < 0:
            raise ValueError("bandit: arms, features, blocks and block_ns are at least 1")
        positive = (self.sigma_reward, self.sigma_cost, self.ridge, self.span)
        if not (all(0.0 < value < math.inf for value in positive) and self.alarm > 1.0):
            raise ValueError("bandit: sigmas, ridge and span are above 0, alarm above 1")
        if not (
            0.0 < self.delta < 1.0 and 0.0 <= self.explore < 1.0 and 0.0 < self.discount <= 1.0
        ):
            raise ValueError(
                f"bandit: need delta in (0, 1), explore in [0, 1), discount in (0, 1]; got "
                f"{self.delta}, {self.explore}, {self.discount}"
            )

    @property
    def outputs(self) -> int:
        """The gain, then the extra cost of each constraint."""
        return 1 + self.costs

    def prior(self) -> Prior:
        """Return what is assumed of each arm; the chance is shared by arms and outputs."""
        each = [self.costs * (value,) for value in (self.size_cost, self.sigma_cost)]
        return Prior(
            ridge=self.ridge,
            size=np.array((self.size_reward, *each[0])),
            sigma=np.array((self.sigma_reward, *each[1])),
            # A union bound over two sides, every arm and every output.
            delta=self.delta / (2.0 * self.arms * self.outputs),
            discount=self.discount,
        )


class State(NamedTuple):
    """All that is remembered. Sums merge exactly; see `merged` for the rest.

    Attributes:
        sums: Of each arm.
        watch: Of each arm, whether its model holds, `[output, KINDS]`.
        inflated: How many times wider each arm's ellipsoid is than it should have to be, `[arm]`.
        alarms: Of each arm, ever `[arm]`.
        unknown: Outcomes that taught nothing, of each arm `[arm]`.
    """

    sums: tuple[Sums, ...]
    watch: Any
    inflated: Any
    alarms: Any
    unknown: Any


class View(NamedTuple):
    """What is decided by: the ellipsoids of all arms, drawn from a state.

    Attributes:
        sums: What each arm was drawn from.
        inflated: As in the state.
        block: The block of time they are drawn for.
        theta: `[arm x output, d]`.
        spread: `[arm x d, d]`.
        beta: `[arm, output]`, the reward's with its share of optimism.
        radius: `[arm, output]`, all in full.
        cap: `[arm, output]`, beyond which nothing is believed: no parameter is longer than `size`,
            and no context longer than 1.
        both: theta below spread, for one product with a context.
        bounds: beta and cap of each arm and output, as plain numbers.
    """

    sums: tuple[Sums, ...]
    inflated: Any
    block: int
    theta: Floats
    spread: Floats
    beta: Floats
    radius: Floats
    cap: Floats
    both: Floats
    bounds: tuple[tuple[tuple[float, float], ...], ...]


def init(config: Config) -> State:
    """Return the state in which nothing was tried."""
    none = ellipsoid.nothing(config.features, config.outputs, config.blocks)
    return State(
        sums=(none,) * config.arms,
        watch=np.stack([alarm.calm(config.outputs)] * config.arms),
        inflated=np.ones(config.arms),
        alarms=np.zeros(config.arms),
        unknown=np.zeros(config.arms),
    )


def block_of(config: Config, at: TimeNs) -> int:
    """Return the index of the block of time; always 0 for a bandit that forgets nothing."""
    return 0 if config.discount >= 1.0 and config.blocks == 1 else max(at // config.block_ns, 0)


def view(config: Config, state: State, now: TimeNs, last: View | None = None) -> View:
    """Return the ellipsoids; of arms that did not change they are taken from the last view."""
    index, prior = block_of(config, now), config.prior()
    same = last is not None and last.block == index
    theta = np.zeros((config.arms, config.outputs, config.features))
    spread = np.zeros((config.arms, config.features, config.features))
    radius = np.zeros((config.arms, config.outputs))
    for arm, sums in enumerate(state.sums):
        if same and last is not None and last.sums[arm] is sums:
            theta[arm] = last.theta.reshape(theta.shape)[arm]
            spread[arm] = last.spread.reshape(spread.shape)[arm]
            radius[arm] = last.radius[arm] * (state.inflated[arm] / last.inflated[arm])
        else:
            theta[arm], spread[arm], radius[arm] = ellipsoid.drawn(prior, sums, index)
            radius[arm] *= state.inflated[arm]
    beta = radius.copy()
    beta[:, 0] *= config.optimism
    cap = prior.size * state.inflated[:, None]
    flat, wide = (part.reshape(-1, config.features) for part in (theta, spread))
    rows = zip(beta.tolist(), cap.tolist(), strict=True)
    return View(
        sums=state.sums,
        inflated=state.inflated,
        block=index,
        theta=flat,
        spread=wide,
        beta=beta,
        radius=radius,
        cap=cap,
        both=np.concatenate([wide, flat]),
        bounds=tuple(tuple(zip(*row, strict=True)) for row in rows),
    )


def learnt(config: Config, state: State, seen: View, pick: Pick, payoff: Payoff) -> State:
    """Return the state after the outcome of a pick, which may come late and in any order.

    Args:
        config: Settings.
        state: Before; not changed.
        seen: A view of the state, for judging whether the model holds.
        pick: What was chosen; of the incumbent nothing is learnt, whose difference to itself is 0.
        payoff: What came of it. Where it is not known, or absurd, it is counted and left out.

    Raises:
        ValueError: The payoff is of another pick, or of another number of constraints.
    """
    if payoff.pick_id != pick.id:
        raise ValueError(f"bandit: payoff of {payoff.pick_id} for pick {pick.id}")
    if pick.arm < 0:
        return state
    gains = payoff.gains()
    if gains is None or max(map(abs, gains)) > config.span:
        return state._replace(unknown=_at(state.unknown, pick.arm, 1.0))
    if len(gains) != config.outputs:
        raise ValueError(f"bandit: {len(gains) - 1} costs, expected {config.costs}")
    z, y = pick.fraction * np.array(pick.features), np.array(gains)
    if pick.foreseen:
        y = y - np.array(pick.foreseen)  # learnt is what others were off by
        if not np.isfinite(y).all():
            return state._replace(unknown=_at(state.unknown, pick.arm, 1.0))
    after = ellipsoid.added(state.sums[pick.arm], block_of(config, pick.at), z, y)
    if after is None:
        return state._replace(unknown=_at(state.unknown, pick.arm, 1.0))
    sums = (*state.sums[: pick.arm], after, *state.sums[pick.arm + 1 :])
    return _watched(config, state._replace(sums=sums), seen, pick.arm, (z, y))


def _watched(
    config: Config, state: State, seen: View, arm: int, outcome: tuple[Floats, Floats]
) -> State:
    """Return the state after asking whether the model still holds.

    An arm whose model does not hold is forgotten, and its ellipsoid doubled: were it drift, what
    comes now will do; were it a world that is not linear, it will alarm again and be trusted less.
    """
    z, y = outcome
    own = slice(arm * config.features, (arm + 1) * config.features)
    theta = seen.theta[arm * config.outputs : (arm + 1) * config.outputs]
    width = seen.radius[arm] * math.sqrt(max(float(z @ seen.spread[own] @ z), 0.0))
    watch = state.watch.copy()
    watch[arm] = alarm.stepped(watch[arm], y - theta @ z, width, config.prior().sigma)
    if alarm.evidence(watch[arm]) < math.log(config.alarm):
        return state._replace(watch=watch)
    watch[arm] = alarm.calm(config.outputs)
    none = ellipsoid.nothing(config.features, config.outputs, config.blocks)
    inflated = state.inflated.copy()
    inflated[arm] = min(2.0 * inflated[arm], _MOST_INFLATED)
    return state._replace(
        sums=(*state.sums[:arm], none, *state.sums[arm + 1 :]),
        watch=watch,
        inflated=inflated,
        alarms=_at(state.alarms, arm, 1.0),
    )


def merged(one: State, other: State) -> State:
    """Return what two sites know together: sums exactly, of doubts the larger, counts added up."""
    return State(
        sums=tuple(ellipsoid.merged(a, b) for a, b in zip(one.sums, other.sums, strict=True)),
        watch=np.maximum(one.watch, other.watch),
        inflated=np.maximum(one.inflated, other.inflated),
        alarms=one.alarms + other.alarms,
        unknown=one.unknown + other.unknown,
    )


def _at(counts: Floats, arm: int, more: float) -> Floats:
    out = counts.copy()
    out[arm] += more
    return out
