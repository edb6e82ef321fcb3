"""The autoencoder: one week's training, and one tick of judging side by side.

`week` fits 40,320 ticks (a week at 15 s) of 38 columns whose relations are not linear. `tick` is
one step of so many entities of 38 columns, healthy values, NumPy; the print says points per second
of processor time. The first training in a process also compiles, or reads what was compiled. Not
measured: JAX, several cores, reading files, ticks in which a suspect is looked for.
"""

import time
from functools import cache
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from homeostat.detect.vae import State, Vae
from homeostat.detect.vae_config import Config
from homeostat.detect.vae_model import Fitted, fit

WEEK, COLUMNS = 40_320, 38
GATE_S = 60.0
STEPS = 200


@cache
def week() -> Any:
    """Return `[tick, column]`: a daily wave and three slow factors, bent in several ways."""
    rng = np.random.default_rng(1)
    factors = np.zeros((WEEK, 4))
    for tick in range(1, WEEK):
        factors[tick] = 0.98 * factors[tick - 1] + 0.2 * rng.standard_normal(4)
    factors[:, 0] += 2.0 * np.sin(2.0 * np.pi * np.arange(WEEK) / 5760)
    mixed = factors @ rng.standard_normal((4, COLUMNS))
    bent = np.where(np.arange(COLUMNS) % 3 == 0, np.exp(0.5 * np.minimum(mixed, 6.0)), mixed)
    return bent + 0.2 * rng.standard_normal(mixed.shape)


@cache
def trained() -> tuple[Fitted, float]:
    """Return a model of the week and the processor time that it took."""
    values, started = week(), time.process_time()
    return fit(Config(), values, np.ones(WEEK, dtype=bool)), time.process_time() - started


def running(entities: int) -> tuple[Vae, State]:
    vae = Vae(Config(), [trained()[0].model] * entities)
    state = vae.init(np)
    for row in week()[:40]:
        state, _ = vae.step(np, state, np.tile(row, (entities, 1)), learn=True)
    return vae, state


def test_a_week_is_learnt_within_a_minute() -> None:
    fitted, seconds = trained()
    print(f"\nvae, {WEEK} ticks x {COLUMNS}: {seconds:.1f} s in {len(fitted.elbo) - 1} rounds")
    assert seconds <= GATE_S


@pytest.mark.parametrize("entities", [1, 16, 256])
def test_one_tick(benchmark: BenchmarkFixture, entities: int) -> None:
    benchmark.group = f"vae, one tick, {entities} entities x {COLUMNS}"
    vae, state = running(entities)
    values = np.tile(week()[41], (entities, 1))
    benchmark(lambda: vae.step(np, state, values, learn=True))


def test_points_per_second_are_printed() -> None:
    for entities in (1, 16, 256):
        vae, state = running(entities)
        rows = np.repeat(week()[41 : 41 + STEPS, None], entities, axis=1)
        started = time.process_time()
        for row in rows:
            state, _ = vae.step(np, state, row, learn=True)
        spent = time.process_time() - started
        print(f"\nvae, {entities} x {COLUMNS}: {rows.size / spent:,.0f} points/s of one core")
        assert spent > 0.0
