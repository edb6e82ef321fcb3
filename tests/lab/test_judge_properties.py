"""What must hold of any judgement: caused implies seen, worse is never better, order is nothing."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from traces_by_hand import SLOTS, VARIANTS, episode, faults, orders, trace, truth

from homeostat.lab.judge import CODES, Judgement, judge, merged
from homeostat.lab.thresholds import FROZEN
from homeostat.lab.types import Trace
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Truth
from homeostat.twin.primitives import INDEX

LENGTH, ROWS = 2400, 3
# Shorter windows, so that short traces meet every code.
FAST = replace(
    FROZEN,
    k1_long_s=200.0,
    k3_hour_s=600.0,
    k5_reacquire_s=120.0,
    k6_window_s=300.0,
    k7_for_s=200.0,
    k7_hold_s=300.0,
)


def steps(rng: np.random.Generator, values: list[float], *, per: int = 60) -> np.ndarray:
    """Random piecewise constant series [ROWS, LENGTH]; each row now calm, now wild."""
    chosen = rng.choice(values, size=(ROWS, LENGTH // per))
    calm = rng.random(chosen.shape) < rng.choice([0.2, 0.9, 0.98], size=(ROWS, 1))
    chosen[calm] = values[0]
    return np.repeat(chosen, per, axis=1)


def wild(rng: np.random.Generator) -> Truth:
    """Truth in which everything happens now and then, NaN included."""
    each = {
        "weights": steps(rng, [0.0, 0.1, 0.3, 0.9])[..., None] * np.array([0.0, 1.0, 0.0]),
        "held": np.stack([steps(rng, [3.0, 4.0, 5.0, 9.0], per=30)] * VARIANTS, axis=2) / 1.5,
        "ready": np.stack([steps(rng, [0.0, 1.0])] * VARIANTS, axis=2),
        "variant_errors": np.stack([steps(rng, [0.0, 0.04, 0.2, np.nan])] * VARIANTS, axis=2)
        * np.array([0.1, 1.0, 0.5]),
        "variant_p99_s": np.stack([steps(rng, [0.2, 0.6, 1.4])] * VARIANTS, axis=2)
        * np.array([0.2, 1.0, 1.0]),
    }
    return truth(
        LENGTH,
        ROWS,
        good=steps(rng, [100.0, 100.0, 85.0, 30.0]),
        offered=steps(rng, [100.0, 100.0, 100.0, 0.0]).clip(1e-3),
        capacity=steps(rng, [150.0, 150.0, 90.0], per=20),
        usd_per_hour=steps(rng, [4.0, 40.0]),
        p99_s=steps(rng, [0.2, 0.2, 0.7]),
        quality=steps(rng, [0.9, 0.84, 0.7, np.nan], per=300),
        evidence_low=steps(rng, [0.0, 1.0], per=400) > 0,
        undrained=steps(rng, [0.0] * 20 + [5.0]),
        destroyed=rng.random((ROWS, LENGTH)) < 2e-4,
        ungated=rng.random((ROWS, LENGTH)) < 2e-4,
        acted=rng.random((ROWS, LENGTH)) < rng.choice([5e-3, 3e-4], size=(ROWS, 1)),
        **each,
    )


def told(rng: np.random.Generator, made: Truth | None = None) -> Trace:
    scarce = faults(INDEX["cap_replicas"], start_s=300.0)
    episodes = tuple(
        episode(LENGTH - 300 * row, seed=row, family="data", faults=scarce) for row in range(ROWS)
    )
    some = rng.random((ROWS, LENGTH // 15))
    moves: dict[str, Any] = {
        "paged": some < 2e-3,
        "family": np.where(some < 0.3, 3, -1),
        "destructive": some > 0.95,
        "signal_age_s": 100.0 * some[:, ::-1],
    }
    return trace(made or wild(rng), episodes, **moves)


def ordered(rng: np.random.Generator) -> Orders:
    shape = (ROWS, LENGTH // 15)
    return orders(
        LENGTH,
        ROWS,
        restart=rng.random((*shape, SLOTS)) < 0.02,
        retrain=rng.random(shape) < 0.01,
    )


def rows(judgement: Judgement, order: list[int]) -> dict[str, list[Any]]:
    return {one.name: getattr(judgement, one.name)[order].tolist() for one in fields(Judgement)}


def cut(whole: Any, order: list[int]) -> Any:
    """Truth or orders of some episodes."""
    values = {name: getattr(whole, name)[order] for name in whole.__dataclass_fields__}
    return type(whole)(**values)


def some(whole: Trace, order: list[int]) -> Trace:
    return replace(
        whole,
        episodes=tuple(whole.episodes[row] for row in order),
        truth=cut(whole.truth, order),
        moves={name: values[order] for name, values in whole.moves.items()},
        signal_age_s=whole.signal_age_s[order],
    )


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40)
def test_caused_implies_seen_and_not_before_any_own_action(seed: int) -> None:
    rng = np.random.default_rng(seed)
    judgement = judge(told(rng), told(rng), orders=ordered(rng), thresholds=FAST)
    assert (judgement.any | ~judgement.caused).all()
    first = np.where(judgement.caused, judgement.any_tick, 0)
    assert (judgement.caused_tick[judgement.caused] >= first[judgement.caused]).all()
    by_action = judgement.caused.copy()
    by_action[:, CODES.index("K7")] &= ~judgement.by_holding
    assert (judgement.first_action_tick[by_action] >= 0).all()
    assert (judgement.last_action_tick >= judgement.first_action_tick).all()


def test_random_traces_meet_every_code_both_ways() -> None:
    """Otherwise the properties would hold of nothing."""
    seen = np.zeros(len(CODES), bool)
    caused, excused = seen.copy(), seen.copy()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        judgement = judge(told(rng), told(rng), orders=ordered(rng), thresholds=FAST)
        caused |= judgement.caused.any(axis=0)
        excused |= (judgement.any & ~judgement.caused).any(axis=0)
    assert caused.all(), dict(zip(CODES, caused.tolist(), strict=True))
    assert excused.all(), dict(zip(CODES, excused.tolist(), strict=True))


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20)
def test_an_episode_is_judged_alike_in_any_batch(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ours, hold, given_orders = told(rng), told(rng), ordered(rng)
    whole = judge(ours, hold, orders=given_orders, thresholds=FAST)
    order = rng.permutation(ROWS).tolist()
    shuffled = judge(
        some(ours, order), some(hold, order), orders=cut(given_orders, order), thresholds=FAST
    )
    assert rows(shuffled, list(range(ROWS))) == rows(whole, order)
    single = merged(
        [
            judge(
                some(ours, [row]), some(hold, [row]), orders=cut(given_orders, [row]),
                thresholds=FAST,
            )
            for row in range(ROWS)
        ]
    )  # fmt: skip
    assert rows(single, list(range(ROWS))) == rows(whole, list(range(ROWS)))


@given(seed=st.integers(0, 10_000), factor=st.floats(0.0, 1.0))
@settings(max_examples=30)
def test_worse_answers_never_take_an_outage_away(seed: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    ours, hold = told(rng), told(rng)
    before = judge(ours, hold, thresholds=FAST)
    worse = np.where(rng.random((ROWS, LENGTH)) < 0.3, factor, 1.0) * np.asarray(ours.truth.good)
    changed = {name: getattr(ours.truth, name) for name in ours.truth.__dataclass_fields__}
    after = judge(replace(ours, truth=Truth(**(changed | {"good": worse}))), hold, thresholds=FAST)
    assert (after.any[:, 0] | ~before.any[:, 0]).all()
    assert (after.caused[:, 0] | ~before.caused[:, 0]).all()


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20)
def test_hold_against_itself_causes_nothing_but_standing_by(seed: int) -> None:
    rng = np.random.default_rng(seed)
    hold = told(rng)
    quiet = {name: getattr(hold.truth, name) for name in hold.truth.__dataclass_fields__}
    quiet["acted"] = np.zeros((ROWS, LENGTH), bool)
    hold = replace(hold, truth=Truth(**quiet))
    judgement = judge(hold, hold, thresholds=FAST)
    by_code = judgement.caused
    assert not by_code[:, :-1].any()
    assert (by_code[:, -1] == judgement.by_holding).all()
