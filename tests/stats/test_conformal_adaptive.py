import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.stats.conformal_adaptive import AdaptiveLevel, Level


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0, 300.0, np.nan]), min_size=1, max_size=80),
    st.sampled_from([0.01, 0.05, 0.5]),
    st.sampled_from([0.01, 0.1, 0.9]),
)
def test_the_share_of_alarms_is_within_the_bound_for_any_p_values(
    scores: list[float], target: float, rate: float
) -> None:
    level = AdaptiveLevel(target=target, rate=rate)
    state, alarms, ticks = level.init(np, 1), 0, 0
    for score in scores:
        state, alarm = level.step(np, state, np.array([score]))
        alarms, ticks = alarms + int(alarm[0]), ticks + int(np.isfinite(score))
        assert -rate <= state.alpha[0] <= 1.0 + rate
        if ticks:
            assert abs(alarms / ticks - target) <= level.bound(ticks) + 1e-12


def test_drift_that_fools_a_fixed_level_does_not_fool_this_one() -> None:
    """p-values that became ten times too small: a fixed level of 5 % would alarm in half."""
    rng, level = np.random.default_rng(1), AdaptiveLevel(target=0.05, rate=0.02)
    state, alarms = level.init(np, 50), []
    for _ in range(1500):
        state, alarm = level.step(np, state, 1.0 - np.log10(rng.random(50)))
        alarms.append(alarm)
    assert np.mean(alarms[500:]) == pytest.approx(0.05, abs=0.01)


def test_unknown_neither_alarms_nor_steers() -> None:
    level = AdaptiveLevel()
    state = level.init(np, 2)
    after, alarm = level.step(np, state, np.array([np.nan, 9.0]))
    assert alarm.tolist() == [False, True]
    assert after.alpha[0] == state.alpha[0] > after.alpha[1]


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 1.0, 2.0, 300.0, np.nan]), st.booleans()), max_size=80
    ),
    st.sampled_from([0.01, 0.05]),
    st.sampled_from([0.01, 0.5]),
)
def test_what_is_chosen_among_enough_evidence_is_bounded_on_one_side(
    ticks: list[tuple[float, bool]], target: float, rate: float
) -> None:
    level = AdaptiveLevel(target=target, rate=rate)
    state, alarms, seen = level.init(np, 1), 0, 0
    for score, willing in ticks:
        known = np.isfinite(np.array([score]))
        alarm = known & willing & (np.array([score]) >= level.evidence(np, state))
        state = level.moved(np, state, alarm, known)
        # Taken down, as by whoever does not want a level above some height, it only alarms less.
        state = Level(np.minimum(state.alpha, 0.2))
        alarms, seen = alarms + int(alarm[0]), seen + int(known[0])
        assert alarms <= level.most(seen) + 1e-9


def test_the_evidence_asked_for_is_that_of_the_level_and_infinite_below_zero() -> None:
    level = AdaptiveLevel()
    asked = level.evidence(np, Level(np.array([0.01, 1.005, 0.0, -0.004])))
    np.testing.assert_allclose(asked, [2.0, 0.0, np.inf, np.inf])


@pytest.mark.parametrize("wrong", [{"target": 0.0}, {"rate": 1.0}, {"start": 1.5}])
def test_a_setting_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AdaptiveLevel(**wrong)
