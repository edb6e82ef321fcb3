"""SPOT and DSPOT: the risk that was set under heavy tails, drift, sides, and what is learnt."""

from typing import Any

import numpy as np
import pytest

from homeostat.detect.ewma_config import Side
from homeostat.detect.spot import Config, Spot, State
from homeostat.stats.arrays import from_bytes, to_bytes
from homeostat.stats.conformal import Table

DETECTOR = Spot(Config())


def fed(values: Any, detector: Spot = DETECTOR) -> tuple[State, Any]:
    """Return the last state and alarms `[tick, series]`."""
    state, out = detector.init(np, values.shape[1]), []
    for row in values:
        state, said = detector.step(np, state, row, True)
        out.append(said.alarm)
    return state, np.array(out)


@pytest.mark.slow
@pytest.mark.parametrize("law", ["normal", "t4", "lognormal"])
def test_alarms_are_no_more_frequent_than_the_risk(law: str) -> None:
    rng, shape = np.random.default_rng(1), (500, 300)
    values = rng.standard_t(4, shape) if law == "t4" else rng.standard_normal(shape)
    _, found = fed(np.exp(values) if law == "lognormal" else values)
    late, risk = found[300:], DETECTOR.config.risk
    print(f"{law}: {late.mean():.2g} of ticks alarm at a risk of {risk:g}")
    assert late.mean() <= risk + 3.0 * np.sqrt(risk / late.size)
    # The tail of normal noise is lighter than any that is believed: there it stays silent.
    assert late.mean() > 0.0 or law == "normal"


def test_slow_drift_is_no_alarm_and_a_jump_is() -> None:
    values = np.random.default_rng(2).standard_normal((400, 30)) + 0.02 * np.arange(400)[:, None]
    values[350] += 15.0
    _, found = fed(values)
    assert found[350].mean() > 0.9
    assert found[200:350].mean() < 0.005


@pytest.mark.parametrize(
    ("side", "expected"), [(Side.UP, [True, False]), (Side.DOWN, [False, True])]
)
def test_only_the_side_that_counts_alarms(side: Side, expected: list[bool]) -> None:
    detector = Spot(Config(side=side))
    values = np.random.default_rng(3).standard_normal((250, 2))
    state, _ = fed(values, detector)
    _, said = detector.step(np, state, np.array([40.0, -40.0]), True)
    assert said.alarm.tolist() == expected
    assert np.isnan(said.low).all() == (side is Side.UP)
    assert np.isnan(said.high).all() == (side is Side.DOWN)


def test_an_alarm_teaches_nothing() -> None:
    state, _ = fed(np.random.default_rng(4).standard_normal((250, 2)))
    after, said = DETECTOR.step(np, state, np.array([50.0, 0.1]), True)
    assert said.alarm.tolist() == [True, False]
    assert after.mean[0] == state.mean[0]
    assert np.array_equal(after.up.scores[:, 0], state.up.scores[:, 0])
    assert after.count[1] == state.count[1] + 1.0


def test_a_stored_state_goes_on_bit_for_bit_and_a_row_restarts_alone() -> None:
    values = np.random.default_rng(5).standard_normal((200, 3))
    state, _ = fed(values)
    stored = from_bytes(to_bytes(state), [State, Table])
    for row in values[:20]:
        state, ours = DETECTOR.step(np, state, row, True)
        stored, theirs = DETECTOR.step(np, stored, row, True)
        assert ours.neg_log10_p.tobytes() == theirs.neg_log10_p.tobytes()
    assert to_bytes(state) == to_bytes(stored)
    fresh = DETECTOR.restart(np, state, np.array([True, False, False]))
    _, said = DETECTOR.step(np, fresh, values[0], True)
    assert np.isnan(said.neg_log10_p).tolist() == [True, False, False]


@pytest.mark.parametrize("wrong", [{"risk": 0.0}, {"depth": 1.0}, {"floor_relative": -1.0}])
def test_a_setting_that_cannot_work_is_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"spot: {next(iter(wrong))} must"):
        Config(**wrong)  # type: ignore[arg-type]
