"""PCA across columns: ticks of so many entities of 38 columns, side by side in processor time.

`healthy` plays ticks through blocks and refits, so what those cost is in the figure; in `faulty` a
quarter of the columns is far off, as in an incident. `plain` is the least that any PCA must do at a
tick: two projections of standardised columns with a frozen model. The prints say points per second
of one core. Not measured: several cores, reading files, per-column detectors.
"""

import statistics
import time
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from homeostat.detect.pca import Pca, PcaState

COLUMNS, WARM = 38, 160
TICKS = 64
GATE = 100_000.0


def rows(ticks: int, entities: int) -> Any:
    """Return `[tick, entity, column]`: four factors with memory, and noise."""
    rng = np.random.default_rng(1)
    factors = np.zeros((ticks, entities, 4))
    for tick in range(1, ticks):
        factors[tick] = 0.9 * factors[tick - 1] + 0.44 * rng.standard_normal((entities, 4))
    mixed = factors @ rng.standard_normal((4, COLUMNS))
    return (mixed + 0.3 * rng.standard_normal(mixed.shape)).astype(float)


def learnt(pca: Pca, values: Any) -> PcaState:
    state = pca.init(COLUMNS, entities=values.shape[1])
    for row in values:
        state, _ = pca.step(state, row, True)
    return state


def played(pca: Pca, state: PcaState, values: Any) -> float:
    """Return points per second of processor time."""
    started = time.process_time()
    for row in values:
        state, _ = pca.step(state, row, True)
    return float(values.size / (time.process_time() - started))


def plain(values: Any) -> float:
    """Return points per second of a projection with a frozen model."""
    vectors = np.broadcast_to(np.eye(COLUMNS), (values.shape[1], COLUMNS, COLUMNS)).copy()
    level, spread = values.mean(axis=0), values.std(axis=0)
    started = time.process_time()
    for row in values:
        unit = (row - level) / spread
        shares = (unit[:, None] @ vectors)[:, :, :4]
        error = unit - (shares @ np.swapaxes(vectors[:, :, :4], 1, 2))[:, 0]
        (error * error).sum(axis=1)
    return float(values.size / (time.process_time() - started))


@pytest.mark.parametrize("entities", [1, 16])
def test_one_tick(benchmark: BenchmarkFixture, entities: int) -> None:
    benchmark.group = f"pca, one tick, {entities} x {COLUMNS}"
    pca, values = Pca(), rows(WARM, entities)
    state = learnt(pca, values)
    benchmark(lambda: pca.step(state, values[-1], True))


@pytest.mark.parametrize("entities", [1, 16, 256])
def test_an_entity_is_judged_faster_than_was_promised(entities: int) -> None:
    """The gate is on the quickest of three, as others share the processor."""
    pca, values = Pca(), rows(WARM + 3 * TICKS, entities)
    state = learnt(pca, values[:WARM])
    parts = [values[WARM + k * TICKS : WARM + (k + 1) * TICKS] for k in range(3)]
    faulty = [part + 20.0 * (np.arange(COLUMNS) % 4 == 0) for part in parts]
    rates = {
        "healthy": [played(pca, state, part) for part in parts],
        "faulty": [played(pca, state, part) for part in faulty],
        "plain": [plain(part) for part in parts],
    }
    print(f"\npca, {entities} x {COLUMNS}, numpy {np.__version__}, points per second:")
    for name, found in rates.items():
        print(f"  {name:<8} {statistics.median(found):.3g} ({min(found):.3g}..{max(found):.3g})")
    held = sum(part.nbytes for part in _arrays(state)) / (entities * COLUMNS)
    print(f"  {held / 1024.0:.2f} KiB a column")
    assert max(rates["healthy"]) >= GATE


def test_refits_are_a_small_part_of_what_a_tick_costs() -> None:
    """All 16 entities are refitted in one tick of 256, which is the slowest."""
    pca, values = Pca(), rows(800, 16)
    times = []
    state = pca.init(COLUMNS, entities=16)
    for row in values:
        started = time.process_time()
        state, _ = pca.step(state, row, True)
        times.append(time.process_time() - started)
    late = np.array(times[-256:])
    print(f"\npca, 16 x {COLUMNS}: median tick {np.median(late) * 1e3:.2f} ms, ", end="")
    print(f"mean {late.mean() * 1e3:.2f} ms, slowest {late.max() * 1e3:.0f} ms")
    assert late.mean() < 4.0 * np.median(late)


def _arrays(value: Any) -> list[Any]:
    """Return all arrays of a state."""
    if isinstance(value, tuple):
        return [array for part in value for array in _arrays(part)]
    return [np.asarray(value)]
