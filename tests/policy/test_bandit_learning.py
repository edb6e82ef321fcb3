"""What a bandit learns is exact, in any order and at any site; it forgets, and knows when to."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.base import codec
from homeostat.base.learning import Payoff, Pick
from homeostat.base.units import TimeNs
from homeostat.policy import bandit, bandit_file, ellipsoid
from homeostat.policy.bandit import Config, State
from homeostat.policy.bandit_choose import context, weighed
from homeostat.policy.features import GRID, Encoder, Scale

CONFIG = Config(arms=2, features=3, costs=1, blocks=3, block_ns=10, discount=0.5)
WHOLE = st.integers(-256, 256).map(lambda n: n * GRID)

outcomes = st.lists(
    st.tuples(
        st.integers(0, 45),
        st.integers(0, 1),
        st.tuples(WHOLE, WHOLE, WHOLE),
        st.integers(1, 256).map(lambda n: n * ellipsoid.FRACTION_GRID),
        st.floats(-1.0, 1.0),
        st.floats(0.0, 1.0),
    ),
    max_size=12,
)


def pair(number: int, row: tuple[Any, ...]) -> tuple[Pick, Payoff]:
    at, arm, x, fraction, reward, cost = row
    pick = Pick(
        id=f"d-{number}", at=TimeNs(at), features=x, arm=arm, fraction=fraction, propensity=1.0
    )
    return pick, Payoff(
        pick_id=pick.id, reward=reward, base_reward=0.25, costs=(cost,), base_costs=(0.125,)
    )


def learnt(
    config: Config, rows: list[tuple[Any, ...]], state: State | None = None, *, renew: bool = False
) -> State:
    state = bandit.init(config) if state is None else state
    seen = bandit.view(config, state, TimeNs(0))
    for number, row in enumerate(rows):
        state = bandit.learnt(config, state, seen, *pair(number, row))
        seen = bandit.view(config, state, TimeNs(0), seen) if renew else seen
    return state


def sums_of(state: State) -> list[bytes]:
    return [part.tobytes() for sums in state.sums for part in sums]


@settings(max_examples=20)
@given(rows=outcomes, data=st.data())
def test_outcomes_in_any_order_leave_the_same_sums_bit_for_bit(rows: Any, data: Any) -> None:
    late = data.draw(st.permutations(rows))
    assert sums_of(learnt(CONFIG, rows)) == sums_of(learnt(CONFIG, late))


@settings(max_examples=20)
@given(rows=outcomes, cut=st.integers(0, 12))
def test_two_sites_merge_to_what_one_would_have_learnt_bit_for_bit(rows: Any, cut: int) -> None:
    here, there = learnt(CONFIG, rows[:cut]), learnt(CONFIG, rows[cut:])
    together = sums_of(learnt(CONFIG, rows))
    assert sums_of(bandit.merged(here, there)) == together
    assert sums_of(bandit.merged(there, here)) == together


@settings(max_examples=20)
@given(rows=outcomes)
def test_a_state_comes_back_from_text_and_bytes_bit_for_bit(rows: Any) -> None:
    state = learnt(CONFIG, rows)
    text, data = bandit_file.to_json(state), bandit_file.to_bytes(state)
    assert bandit_file.to_bytes(bandit_file.from_json(CONFIG, text)) == data
    assert bandit_file.to_json(bandit_file.from_bytes(CONFIG, data)) == text


@settings(max_examples=20)
@given(rows=outcomes)
def test_the_journal_of_picks_and_payoffs_gives_the_same_state(rows: Any) -> None:
    state = bandit.init(CONFIG)
    seen = bandit.view(CONFIG, state, TimeNs(0))
    for number, row in enumerate(rows):
        written = [codec.decode(codec.encode(noun)) for noun in pair(number, row)]
        state = bandit.learnt(CONFIG, state, seen, *written)
    assert bandit_file.to_bytes(state) == bandit_file.to_bytes(learnt(CONFIG, rows))


@pytest.mark.parametrize(
    "other",
    [
        Config(arms=3, features=3, costs=1, blocks=3),
        Config(arms=2, features=4, costs=1, blocks=3),
        Config(arms=2, features=3, costs=1, blocks=1),
    ],
    ids=["arms", "features", "blocks"],
)
def test_a_state_of_other_settings_is_refused(other: Config) -> None:
    state = bandit.init(CONFIG)
    with pytest.raises(ValueError, match=r"bandit|argument|reshape"):
        bandit_file.from_json(other, bandit_file.to_json(state))
    with pytest.raises(ValueError, match="bandit"):
        bandit_file.from_bytes(other, bandit_file.to_bytes(state))


@pytest.mark.parametrize("text", ["{}", "[]", '{"format": "homeostat.bandit/2"}', "nonsense"])
def test_what_is_no_state_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"bandit|Expecting"):
        bandit_file.from_json(CONFIG, text)


PLAIN = Config(arms=2, features=3, costs=1, sigma_reward=0.1, sigma_cost=0.1, ridge=0.1)
X = np.array([0.5, 0.5, 0.5])


def played(
    config: Config, gains: list[float], costs: list[float], at: int = 0, state: State | None = None
) -> State:
    rows = [
        (at, 0, tuple(X), 1.0, gain + 0.25, cost + 0.125)
        for gain, cost in zip(gains, costs, strict=True)
    ]
    return learnt(config, rows, state, renew=True)


def test_estimates_are_those_of_weighted_ridge_regression() -> None:
    rng = np.random.default_rng(3)
    rows = [
        (int(at), 0, tuple(np.trunc(rng.uniform(-0.5, 0.5, 3) / GRID) * GRID), 0.5, reward, 0.5)
        for at, reward in zip(rng.integers(0, 30, 20), rng.uniform(-1, 1, 20), strict=True)
    ]
    state = learnt(CONFIG, rows)
    seen = bandit.view(CONFIG, state, TimeNs(29))
    z = np.array([0.5 * np.array(row[2]) for row in rows])
    y = np.array([row[4] - 0.25 for row in rows])
    w = np.array([0.5 ** (2 - row[0] // 10) for row in rows])
    precise = np.eye(3) + z.T @ (w[:, None] * z)
    noise = np.eye(3) + z.T @ (w[:, None] ** 2 * z)
    inverse = np.linalg.inv(precise)
    assert seen.theta[0] == pytest.approx(inverse @ (z.T @ (w * y)), abs=1e-4)
    assert seen.spread[:3] == pytest.approx(inverse @ noise @ inverse, abs=1e-9)
    grown = np.log(np.linalg.det(noise))
    beta = 0.5 * np.sqrt(2.0 * np.log(8 / 0.05) + grown) + 1.0
    assert seen.radius[0] == pytest.approx(beta, rel=1e-6)


def test_the_truth_lies_within_the_bounds_while_it_is_learnt() -> None:
    """20 runs of 60 outcomes at a promise of 5 %: four misses would come by chance in 1 of 60."""
    missed = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        true = rng.uniform(-0.4, 0.4, 3)
        state, out = bandit.init(PLAIN), False
        seen = bandit.view(PLAIN, state, TimeNs(0))
        for number in range(60):
            x = context(rng.uniform(-0.5, 0.5, 3))
            low, high = weighed(PLAIN, seen, x, (0.3,))[0].gain
            out |= not low <= float(x @ true) <= high
            reward = float(x @ true) + 0.1 * rng.standard_normal()
            row = (0, 0, tuple(x.tolist()), 1.0, reward + 0.25, 0.5)
            state = bandit.learnt(PLAIN, state, seen, *pair(number, row))
            seen = bandit.view(PLAIN, state, TimeNs(0), seen)
        missed += out
    assert missed < 4


def test_an_outcome_that_is_not_known_teaches_nothing_and_is_counted() -> None:
    state = bandit.init(PLAIN)
    seen = bandit.view(PLAIN, state, TimeNs(0))
    pick, payoff = pair(0, (0, 1, tuple(X), 1.0, float("nan"), 0.5))
    after = bandit.learnt(PLAIN, state, seen, pick, payoff)
    assert sums_of(after) == sums_of(state)
    assert after.unknown.tolist() == [0.0, 1.0]
    pick, payoff = pair(0, (0, 1, tuple(X), 1.0, 1e9, 0.5))
    assert bandit.learnt(PLAIN, state, seen, pick, payoff).unknown.tolist() == [0.0, 1.0]


def test_more_is_given_as_the_cost_is_seen_to_be_small() -> None:
    fractions = []
    state = bandit.init(PLAIN)
    for _ in range(3):
        seen = bandit.view(PLAIN, state, TimeNs(0))
        fractions.append(weighed(PLAIN, seen, X, (0.3,))[0].fraction)
        state = played(PLAIN, [0.1] * 40, [0.05] * 40, state=state)
    assert fractions[0] < 0.5 < fractions[1] <= fractions[2] == 1.0


def test_a_view_taken_from_the_last_one_is_the_view_drawn_anew_bit_for_bit() -> None:
    state = played(CONFIG, [0.5] * 5, [0.1] * 5, at=5)
    last = bandit.view(CONFIG, state, TimeNs(5))
    after = learnt(CONFIG, [(6, 1, tuple(X), 0.5, 0.75, 0.5)], state)
    for at in (7, 17):  # in the same block of time, and in the next
        kept, anew = (
            bandit.view(CONFIG, after, TimeNs(at), last),
            bandit.view(CONFIG, after, TimeNs(at)),
        )
        assert kept.both.tobytes() == anew.both.tobytes()
        assert kept.bounds == anew.bounds


def test_an_old_block_counts_less_and_then_nothing() -> None:
    state = played(CONFIG, [0.5] * 20, [0.0] * 20, at=5)
    seen = [bandit.view(CONFIG, state, TimeNs(at)).theta[0] @ X for at in (5, 15, 25, 35)]
    assert seen[0] > seen[1] > seen[2] > 0.0
    assert seen[3] == 0.0


def test_an_outcome_of_a_forgotten_block_does_not_come_back() -> None:
    now = played(CONFIG, [0.5], [0.0], at=45)
    late = played(CONFIG, [0.5], [0.0], at=15, state=now)  # its row holds block 4 by now
    assert sums_of(late) == sums_of(now)
    assert late.unknown.tolist() == [1.0, 0.0]


def test_a_model_that_stopped_holding_is_forgotten_and_trusted_less() -> None:
    before = played(PLAIN, [0.3] * 200, [0.05] * 200)
    assert before.alarms.tolist() == [0.0, 0.0]
    after = played(PLAIN, [-0.5] * 20, [0.6] * 20, state=before)
    assert after.alarms.tolist() == [1.0, 0.0]
    assert after.inflated.tolist() == [2.0, 1.0]
    fraction = weighed(PLAIN, bandit.view(PLAIN, after, TimeNs(0)), X, (0.3,))[0].fraction
    assert fraction < 0.5
    assert after.sums[0].count.sum() < 20


def test_an_alarm_is_rare_while_the_model_holds() -> None:
    rng = np.random.default_rng(7)
    gains = (0.2 + 0.1 * rng.standard_normal(400)).tolist()
    costs = (0.1 + 0.1 * rng.standard_normal(400)).tolist()
    assert played(PLAIN, gains, costs).alarms.tolist() == [0.0, 0.0]


def test_what_is_not_known_is_not_the_middle_of_its_range() -> None:
    encoder = Encoder((Scale(name="load", low=0.0, high=2.0),))
    middle, unknown = encoder.encode({"load": 1.0}), encoder.encode({"load": float("nan")})
    assert unknown.tolist() == encoder.encode({}).tolist()
    assert middle.tolist() != unknown.tolist()


@given(values=st.lists(st.floats(allow_nan=True), min_size=4, max_size=4))
def test_a_context_is_on_the_grid_and_at_most_one_long(values: list[float]) -> None:
    encoder = Encoder(tuple(Scale(name=str(i), low=-1.0, high=3.0) for i in range(4)))
    x = encoder.encode({str(i): value for i, value in enumerate(values)})
    assert len(x) == encoder.size
    assert np.linalg.norm(x) <= 1.0
    assert context(x).tolist() == x.tolist()


def test_a_range_without_a_length_is_refused() -> None:
    with pytest.raises(ValueError, match="low < high"):
        Scale(name="load", low=1.0, high=1.0)


def test_sums_that_could_no_longer_be_exact_take_nothing_more() -> None:
    sums = ellipsoid.nothing(3, 2, 1)
    sums.block[0] = 0
    assert ellipsoid.added(sums, 0, X, np.zeros(2)) is not None
    sums.outer[0] = np.eye(3) * (ellipsoid.MOST / 3.0)
    assert ellipsoid.added(sums, 0, X, np.zeros(2)) is None
