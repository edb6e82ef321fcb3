"""The demand at which a promise ends: found from latency alone, and unknown where it is a guess."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from homeostat.detect import demand_promise as curve

TICK_S = 15.0
ENDS = 100.0  # requests a second of one replica at which its line reaches nought
EMPTY_MS = 50.0  # latency without any


def latency(demand: Any) -> Any:
    """Return what a server that works in batches takes: t / (1 - a x)."""
    return EMPTY_MS / (1.0 - np.asarray(demand) / ENDS)


def learnt(demand: Any, latency_ms: Any, tick_s: float = TICK_S, xp: Any = np) -> curve.Curve:
    state = curve.init(xp, 1)
    for x, y in zip(np.asarray(demand), np.asarray(latency_ms), strict=True):
        state = curve.step(xp, state, xp.asarray([x]), xp.asarray([y]), tick_s)
    return state


def ends(state: curve.Curve, promised_ms: float = 200.0) -> float:
    return float(curve.limit(np, state, np.asarray([promised_ms]))[0])


def test_the_line_of_a_batching_server_is_found_to_the_digit() -> None:
    demand = np.linspace(20.0, 50.0, 120)
    state = learnt(demand, latency(demand))
    for promised_ms in (120.0, 200.0, 400.0):
        assert ends(state, promised_ms) == pytest.approx(ENDS * (1.0 - EMPTY_MS / promised_ms))


def test_the_end_is_near_where_latencies_scatter() -> None:
    chance = np.random.default_rng(3)
    demand = np.linspace(20.0, 50.0, 120) * chance.normal(1.0, 0.03, 120)
    state = learnt(demand, latency(demand) * chance.normal(1.0, 0.05, 120))
    assert 70.0 < ends(state) < 90.0  # 75, and as late as it may be


@pytest.mark.parametrize(
    ("demand", "latency_ms"),
    [
        (np.full(120, 40.0), latency(np.full(120, 40.0))),  # it never moved
        (np.linspace(40.0, 41.0, 120), latency(np.linspace(40.0, 41.0, 120))),  # hardly
        (np.linspace(20.0, 50.0, 120), np.full(120, 70.0)),  # latency does not care
        (np.linspace(20.0, 50.0, 120), np.linspace(90.0, 70.0, 120)),  # or falls
        (np.linspace(20.0, 50.0, 39), latency(np.linspace(20.0, 50.0, 39))),  # too little
        (np.full(120, math.nan), np.full(120, 70.0)),
        (np.linspace(20.0, 50.0, 120), np.full(120, math.nan)),
        (np.zeros(120), np.full(120, 70.0)),
        (np.linspace(20.0, 50.0, 120), np.zeros(120)),
        (np.full(120, math.inf), np.full(120, -5.0)),
    ],
)
def test_what_tells_no_line_is_unknown(demand: Any, latency_ms: Any) -> None:
    assert math.isnan(ends(learnt(demand, latency_ms)))


def test_chance_alone_makes_no_line() -> None:
    """Demand and latency that wander by themselves: one in a hundred may look like a line."""
    chance, found = np.random.default_rng(11), 0
    for _ in range(200):
        demand = 40.0 * np.exp(np.cumsum(chance.normal(0.0, 0.01, 160)))
        found += math.isfinite(ends(learnt(demand, 70.0 * chance.normal(1.0, 0.05, 160))))
    assert found <= 2


def test_a_promise_that_the_line_says_was_missed_is_unknown() -> None:
    demand = np.linspace(20.0, 50.0, 120)
    assert math.isnan(ends(learnt(demand, latency(demand)), promised_ms=60.0))
    assert math.isnan(ends(learnt(demand, latency(demand)), promised_ms=math.nan))


def test_absurd_values_stay_finite_and_teach_no_end() -> None:
    demand = np.geomspace(1e-300, 1e300, 120)
    for latency_ms in (demand, demand[::-1]):
        state = learnt(demand, latency_ms)
        assert all(np.isfinite(part).all() for part in state)
        assert not ends(state) < 0.0


def test_after_a_change_it_is_unknown_until_what_was_before_is_forgotten() -> None:
    """A release that takes half of the time: no line lies through what was and what is."""
    demand = np.tile(np.linspace(20.0, 50.0, 40), 20)
    state = learnt(demand, latency(demand))
    before, after = ends(state), 2.0 * ENDS * (1.0 - 0.5 * EMPTY_MS / 200.0)
    for x in demand:
        now = np.asarray([EMPTY_MS / 2.0 / (1.0 - x / (2.0 * ENDS))])
        state = curve.step(np, state, np.asarray([x]), now, TICK_S)
        said = ends(state)
        assert math.isnan(said) or said == pytest.approx(before, rel=0.1) or said > 0.9 * after
    assert after <= ends(state) <= 1.15 * after  # as late as it may be


def test_numpy_and_jax_agree() -> None:
    demand = np.linspace(20.0, 50.0, 120)
    one, other = learnt(demand, latency(demand)), learnt(demand, latency(demand), xp=jnp)
    promised = jnp.asarray([200.0])
    assert float(curve.limit(jnp, other, promised)[0]) == pytest.approx(ends(one), rel=1e-3)
