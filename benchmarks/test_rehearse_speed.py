"""What a rehearsal takes once compiled: 12 candidates x 64 draws x 600 one-second ticks, 8 slots.

The goal is a median of 0.7 s on one thread. The time of the processor is reported too: other work
on the machine hardly changes it. `at_once` draws are played side by side; too few waste vector
lanes, too many leave the cache. Not measured: the first call's compilation (about 30 s of processor
time; kept between processes), and reading and sending the question (below a millisecond).
"""

import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from homeostat.twin.rehearse import AT_A_TIME
from homeostat.twin.rehearse_draw import draw
from homeostat.twin.rehearse_orders import standing_orders
from homeostat.twin.rehearse_play import Stage
from homeostat.twin.shapes import SCRAPE_S

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "twin"))

CANDIDATES, DRAWS, HORIZON_S, SLOTS = 12, 64, 600, 8
GOAL_S = 0.7  # of the processor, once compiled


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("at_once", [4, 8, 16, 64])
def test_a_full_rehearsal(benchmark: BenchmarkFixture, at_once: int) -> None:
    if benchmark.disabled and at_once != 8:
        pytest.skip("measured with --benchmark-enable")
    from rehearsed_by_hand import fitted, fixed, standing  # noqa: PLC0415 - beside the twin's tests

    now = standing()
    draws = draw(fitted(), now, number=DRAWS, slots=SLOTS, seed=1, assume=fixed())
    hold = standing_orders(now, SLOTS)
    orders = jax.tree.map(lambda leaf: jnp.stack([leaf] * AT_A_TIME), hold)
    stage = Stage(SLOTS, at_once)

    def rehearse() -> None:
        for _ in range(CANDIDATES // AT_A_TIME):
            jax.tree.map(np.asarray, stage.play(draws.lanes, orders, HORIZON_S // SCRAPE_S))

    rehearse()  # compiles
    begun, rounds = time.process_time(), 1 if benchmark.disabled else 5
    benchmark.group = f"{CANDIDATES} x {DRAWS} x {HORIZON_S} s at {SLOTS} slots"
    benchmark.pedantic(rehearse, rounds=rounds, warmup_rounds=0)  # type: ignore[no-untyped-call]
    took = (time.process_time() - begun) / rounds
    benchmark.extra_info["processor_s"] = round(took, 3)
    benchmark.extra_info["ticks_per_processor_s"] = round(CANDIDATES * DRAWS * HORIZON_S / took)
    if benchmark.enabled and at_once == 8:  # as it ships
        assert took <= GOAL_S
