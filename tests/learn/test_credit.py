"""Credit is what came less what would have come; a twin that is too sure is found out."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.learn.credit import (
    LAST,
    Calibration,
    Effect,
    calibrated,
    credit,
    held,
    reading,
    with_control,
)


def effect(after: float = 80.0, hold: float = 100.0, low: float = -30.0) -> Effect:
    return Effect(
        before=90.0, after=after, foreseen_hold=hold, foreseen_low=low, foreseen_high=-10.0
    )


def seen(hits: int, misses: int) -> Calibration:
    state = Calibration()
    for hit in [False] * misses + [True] * hits:
        state = calibrated(state, effect(80.0 if hit else 200.0))
    return state


def test_what_would_have_come_anyway_is_no_effect() -> None:
    assert credit(effect(after=100.0, hold=100.0)) == 0.0
    assert credit(effect(after=80.0, hold=100.0)) == -20.0


def test_the_ends_of_an_interval_belong_to_it() -> None:
    assert held(effect(after=70.0)) is True
    assert held(effect(after=90.0)) is True
    assert held(effect(after=90.1)) is False


@pytest.mark.parametrize("wrong", [{"after": math.nan}, {"hold": math.nan}, {"low": -math.inf}])
def test_an_effect_that_is_not_known_is_neither_held_nor_missed(wrong: dict[str, float]) -> None:
    assert held(effect(**wrong)) is None
    state = calibrated(seen(3, 1), effect(**wrong))
    assert (state.hits, state.unknown) == (seen(3, 1).hits, 1)


def test_fewer_than_forty_of_fifty_drop_to_approve() -> None:
    assert not reading(seen(40, 10)).drop
    said = reading(seen(39, 11))
    assert said.drop
    assert said.because == "90 % intervals held 39 of the last 50 effects; drop to approve"
    assert said.low < said.share < said.high


def test_only_the_last_fifty_count() -> None:
    old = seen(0, 30)
    for _ in range(LAST):
        old = calibrated(old, effect())
    assert (reading(old).share, reading(old).drop) == (1.0, False)


def test_too_many_misses_are_enough_before_fifty_are_seen() -> None:
    assert not reading(seen(0, 10)).drop
    assert reading(seen(0, 11)).drop


def test_without_effects_nothing_is_said() -> None:
    said = reading(Calibration())
    assert math.isnan(said.share)
    assert not said.drop


def test_the_chance_of_a_false_drop_is_as_documented() -> None:
    chance = sum(math.comb(50, k) * 0.9**k * 0.1 ** (50 - k) for k in range(40))
    assert 1.0 / chance == pytest.approx(106.9, abs=0.1)


@given(seed=st.integers(0, 1000), slope=st.floats(-3.0, 3.0))
def test_a_control_variate_leaves_the_mean_and_takes_what_it_explains(
    seed: int, slope: float
) -> None:
    rng = np.random.default_rng(seed)
    control = rng.standard_normal(2000)
    outcome = 5.0 + slope * control + rng.standard_normal(2000)
    corrected, left = with_control(outcome, control, 0.0)
    assert corrected.mean() == pytest.approx(5.0, abs=0.12)
    assert left == pytest.approx(1.0 / (1.0 + slope**2), abs=0.12)


def test_a_control_that_never_moves_changes_nothing() -> None:
    outcome = np.array([1.0, 2.0, 3.0, 4.0])
    assert with_control(outcome, np.ones(4), 1.0)[0].tolist() == outcome.tolist()
    with pytest.raises(ValueError, match="four rounds"):
        with_control(outcome[:3], np.ones(3), 1.0)
