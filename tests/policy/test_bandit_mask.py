"""Whatever a bandit believes, it proposes members of the safe set, and nothing over a limit."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.base.actions import HOLD, ActionKind, SafeSet
from homeostat.base.learning import Payoff, Pick
from homeostat.base.units import TimeNs
from homeostat.policy import bandit
from homeostat.policy.bandit import Config
from homeostat.policy.bandit_choose import Option, chosen, share, weighed
from homeostat.policy.bandit_propose import Candidate, Question, propose
from homeostat.safety.permit import permit
from homeostat.testing import guard_scene as g

CONFIG = Config(arms=3, features=4, costs=2, explore=0.3)
SCENE = g.bad_release(g.scene())
ACTIONS = (
    g.rollback(),
    g.restart("a-1"),
    g.drain("a-1"),
    g.scale(4),
    g.scale(90),
    g.act(ActionKind.BATCH_UP, "pool:a", batch_max=16),
    g.act(ActionKind.RESTART_ALL, "pool:a"),
    HOLD,
)
PERMITTED = permit(ACTIONS, SCENE, g.NOW)
ANY = st.floats(allow_nan=True, allow_infinity=True, width=64)
X = np.array([0.5, 0.25, -0.25, 0.5])

candidates = st.lists(
    st.builds(
        Candidate,
        arm=st.integers(0, CONFIG.arms - 1),
        action=st.sampled_from(ACTIONS),
        fraction=st.sampled_from([0.05, 0.25, 1.0]),
        divisible=st.booleans(),
    ),
    max_size=6,
).map(tuple)


def wild(draw: Any) -> bandit.View:
    """A view of any numbers: as if memory had been overwritten."""
    fresh = bandit.view(CONFIG, bandit.init(CONFIG), TimeNs(0))

    def any_of(array: Any) -> Any:
        return np.array(draw(st.lists(ANY, min_size=array.size, max_size=array.size))).reshape(
            array.shape
        )

    return fresh._replace(
        both=any_of(fresh.both),
        bounds=tuple(
            tuple((draw(ANY), draw(ANY)) for _ in range(CONFIG.outputs)) for _ in range(CONFIG.arms)
        ),
    )


def with_means(fresh: bandit.View, theta: Any, share: float = 1.0) -> bandit.View:
    """A view with other estimates, and radii of this share."""
    return fresh._replace(
        both=np.concatenate([fresh.spread, theta]),
        bounds=tuple(tuple((beta * share, cap) for beta, cap in row) for row in fresh.bounds),
    )


def question(**changes: Any) -> Question:
    settings: dict[str, Any] = {
        "id": "d-0001", "now": TimeNs(0), "features": X, "room": (0.3, 0.3),
        "incumbent": ACTIONS[0], "candidates": (), "roll": 0.5,
    }  # fmt: skip
    return Question(**{**settings, **changes})


def test_the_scene_permits_some_and_refuses_some() -> None:
    """Or the properties below would say nothing."""
    assert 2 < len(PERMITTED.allowed) < len(ACTIONS)
    assert PERMITTED.refused


@settings(max_examples=50)
@given(st.data(), candidates, st.sampled_from(ACTIONS), st.floats(0.0, 1.0, exclude_max=True))
def test_no_state_of_the_bandit_proposes_outside_the_safe_set(
    data: Any, offered: tuple[Candidate, ...], incumbent: Any, roll: float
) -> None:
    room = (data.draw(ANY), data.draw(ANY))
    ask = question(candidates=offered, incumbent=incumbent, roll=roll, room=room)
    with np.errstate(all="ignore"):
        proposal, pick = propose(CONFIG, wild(data.draw), ask, PERMITTED)
    assert PERMITTED.holds(proposal.action)
    assert 0.0 < pick.propensity <= 1.0
    assert sum(pick.propensities) == pytest.approx(1.0)


@settings(max_examples=50)
@given(
    rewards=st.lists(st.tuples(ANY, ANY, ANY), min_size=1, max_size=12),
    offered=candidates,
    roll=st.floats(0.0, 1.0, exclude_max=True),
)
def test_no_outcome_leads_outside_the_safe_set(
    rewards: list[tuple[float, float, float]], offered: tuple[Candidate, ...], roll: float
) -> None:
    state = bandit.init(CONFIG)
    seen = bandit.view(CONFIG, state, TimeNs(0))
    for number, (reward, *costs) in enumerate(rewards):
        arm = number % CONFIG.arms
        pick = Pick(id="d", at=TimeNs(0), features=tuple(X), arm=arm, fraction=0.5, propensity=1.0)
        payoff = Payoff(
            pick_id="d", reward=reward, base_reward=0.0, costs=tuple(costs), base_costs=(0.0, 0.0)
        )
        state = bandit.learnt(CONFIG, state, seen, pick, payoff)
        seen = bandit.view(CONFIG, state, TimeNs(0), seen)
    proposal, _ = propose(CONFIG, seen, question(candidates=offered, roll=roll), PERMITTED)
    assert PERMITTED.holds(proposal.action)
    assert np.isfinite(seen.theta).all()


def hold_only() -> SafeSet:
    return permit((), SCENE, g.NOW)


def test_where_only_hold_is_permitted_it_holds_with_certainty() -> None:
    seen = bandit.view(CONFIG, bandit.init(CONFIG), TimeNs(0))
    offered = tuple(
        Candidate(arm=0, action=action, divisible=True) for action in ACTIONS if action != HOLD
    )
    proposal, pick = propose(CONFIG, seen, question(candidates=offered), hold_only())
    assert (proposal.action, proposal.propensity, pick.arm) == (HOLD, 1.0, -1)


@given(
    room=st.floats(-1.0, 1.0), low=st.floats(-2.0, 2.0), roll=st.floats(0.0, 1.0, exclude_max=True),
    fraction=st.sampled_from([0.05, 0.25, 1.0]), divisible=st.booleans(),
)  # fmt: skip
def test_what_is_played_fits_into_the_room_by_its_upper_bound(
    room: float, low: float, roll: float, fraction: float, divisible: object
) -> None:
    """The mix (1 - rho) c0 + rho c stays at most the limit for every c below the upper bound."""
    config = Config(arms=1, features=4, costs=1, explore=0.5)
    fresh = bandit.view(config, bandit.init(config), TimeNs(0))
    theta = np.stack([X, low * X / float(X @ X)])
    seen = with_means(fresh, theta)
    offered = (Candidate(arm=0, action=ACTIONS[3], fraction=fraction, divisible=bool(divisible)),)
    ask = question(candidates=offered, room=(room,), roll=roll)
    _, pick = propose(config, seen, ask, PERMITTED)
    (extra,) = weighed(config, seen, X, (room,))[0].extra
    if pick.arm == 0:
        assert pick.fraction * extra <= room + 1e-12
        assert pick.fraction <= fraction


def test_room_that_is_not_known_is_no_room() -> None:
    seen = bandit.view(CONFIG, bandit.init(CONFIG), TimeNs(0))
    offered = (Candidate(arm=0, action=ACTIONS[3], divisible=True),)
    for room in ((math.nan, 0.3), (0.3, math.nan)):
        _, pick = propose(CONFIG, seen, question(candidates=offered, room=room), PERMITTED)
        assert pick.propensities == (0.0, 0.0, 0.0, 1.0)


def test_over_the_limit_only_a_whole_arm_that_surely_helps_may_be_played() -> None:
    assert share(-0.1, -0.2) == 1.0
    assert share(-0.1, -0.05) == 0.0
    config = Config(arms=1, features=4, costs=1)
    fresh = bandit.view(config, bandit.init(config), TimeNs(0))
    theta = np.stack([X, -X * 4.0])
    seen = with_means(fresh, theta, 0.0)
    whole = Candidate(arm=0, action=ACTIONS[3])
    part = Candidate(arm=0, action=ACTIONS[3], fraction=0.25)
    for candidate, arm in ((whole, 0), (part, -1)):
        ask = question(candidates=(candidate,), room=(-0.1,))
        assert propose(config, seen, ask, PERMITTED)[1].arm == arm


@settings(max_examples=15)
@given(
    values=st.lists(st.floats(-2.0, 2.0), min_size=1, max_size=7),
    explore=st.sampled_from([0.0, 0.1, 0.5]),
    aim=st.sampled_from([None, 0, 3, 9]),
)
def test_propensities_are_the_shares_of_rolls_that_choose_each(
    values: list[float], explore: float, aim: int | None
) -> None:
    options = [Option(arm, 1.0, value) for arm, value in enumerate(values)]
    rolls = (np.arange(800) + 0.5) / 800
    counts = np.zeros(len(options))
    said = chosen(options, explore, 0.0, aim).propensities
    for roll in rolls[:: 1 if explore else 800]:
        counts[chosen(options, explore, float(roll), aim).number] += 1.0
    assert counts / counts.sum() == pytest.approx(np.array(said), abs=1e-2)


def test_exploration_is_spent_on_the_arm_that_it_is_aimed_at() -> None:
    options = [Option(-1, 0.0, 0.0), Option(0, 1.0, 0.5), Option(2, 1.0, 0.1)]
    assert chosen(options, 0.2, 0.0, aim=2).propensities == pytest.approx((0.0, 0.8, 0.2))
    assert chosen(options, 0.2, 0.0, aim=2).number == 2
    # One that may not be played cannot be explored: then all are.
    assert min(chosen(options, 0.3, 0.0, aim=1).propensities) == pytest.approx(0.1)


@pytest.mark.parametrize("roll", [-0.1, 1.0, math.nan])
def test_a_roll_that_is_no_chance_is_refused(roll: float) -> None:
    with pytest.raises(ValueError, match="roll in"):
        chosen([Option(0, 1.0, 0.0)], 0.1, roll)


def test_a_feature_that_is_not_a_number_is_refused() -> None:
    seen = bandit.view(CONFIG, bandit.init(CONFIG), TimeNs(0))
    with pytest.raises(ValueError, match="not finite"):
        propose(CONFIG, seen, question(features=np.array([1.0, math.nan, 0.0, 0.0])), PERMITTED)
