"""How many seconds of a deployment the twin plays a second, beside NumPy and plain Python.

The goal: 0.4 million full ticks per second on two cores at 32 slots (and 1 million one day), a full
tick being all that the twin does, its blocks and scrapes included. What no deployment of a fleet
needs is skipped, so it is measured twice: where nothing is broken, and with a fault of the replicas
and one of the telemetry in force in all of them (a factor of 1, and a scrape's delay: neither
changes the traffic). Beside it, in the same run and
on the same fleet, the heart of the tick alone in NumPy and in plain Python (`twin_loops`, which
says what they leave out); first it is checked that all three tell the same story of a crowd that
comes, waits, gives up and tries again. Rates are per second of processor time of one core: the
machine may be doing other work, which slows all of them by its share of caches, so the ratios are
what to trust. Not measured: compilation, and what a policy and the judge add (`test_lab_speed`).
"""

import sys
import time
from collections.abc import Callable
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Any, Final

import equinox as eqx
import jax
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

sys.path.insert(0, str(Path(__file__).parent))

from homeostat.lab.baselines.levers import standing
from homeostat.lab.draw import draw
from homeostat.lab.run import world_of
from homeostat.lab.scenario_schema import load
from homeostat.lab.types import Episode
from homeostat.lab.world import Batch
from homeostat.twin import tables
from homeostat.twin.primitives import INDEX
from homeostat.twin.shapes import SCRAPE_S, Phase
from twin_loops import Fleet, Seen, in_numpy, in_python

CORES: Final = 2
GATE: Final = 400_000  # full ticks per second on `CORES` cores at 32 slots
SCRAPES: Final = 20
WIDTHS: Final = {16: (32,), 32: (32, 64, 128)}
CHECKED: Final = 4  # deployments that plain Python plays


@cache
def calm(slots: int, width: int, *, broken: bool = False) -> tuple[Episode, ...]:
    """Return episodes without noise, whose load doubles for a minute.

    Args:
        slots: Of each deployment.
        width: How many.
        broken: Whether faults are in force all the time, none of which changes the traffic.
    """
    text = (resources.files("homeostat.lab") / "catalogue" / "load.yaml").read_text()
    case = next(one for one in load(text, "load.yaml") if one.id == "S07")
    return tuple(
        _calmed(draw(case, seed, slots=slots), 1.0 + seed % 8 / 8, broken=broken)
        for seed in range(width)
    )


def _calmed(episode: Episode, crowd: float, *, broken: bool) -> Episode:
    p = episode.params
    count = np.zeros(3, np.float32)
    count[0] = episode.slots // 2
    # Half of what its replicas can serve, then `crowd` times as much for a minute.
    work_s = np.asarray(p.service.tau0_s)[0] + np.asarray(p.service.alpha_s)[0] * 8
    knots = np.full(np.shape(p.demand.knots_rps), 0.55 * count[0] * 8 / work_s, np.float32)
    knots[4:8] *= 2.0 * crowd
    none, no = np.float32(np.inf), np.float32(0.0)
    changed = {
        "demand.knots_rps": knots, "demand.spacing_s": np.float32(15.0), "demand.ou_sd": no,
        "demand.ca2": np.float32(1.0), "demand.heavy_share": no,
        "client.timeout_s": np.float32(4.0), "client.retries": np.float32(2.0),
        "client.backoff_s": np.float32(1.5), "client.cancel": no, "client.least_loaded": no,
        "client.in_turn": no,
        "service.batch_max": np.full(3, 8.0, np.float32), "service.batch_limit": np.float32(64.0),
        "service.queue_delay_s": no, "service.concurrency": np.float32(1e6),
        "service.kv_capacity": none, "limits.frontend_rps": none, "limits.connections": none,
        "limits.dependency_rps": none, "memory.per_job_gib": no, "memory.limit_gib": none,
        "replicas": count, "weights": np.array([1.0, 0.0, 0.0], np.float32),
    }  # fmt: skip
    for path, value in changed.items():
        p = eqx.tree_at(lambda tree, at=path: _at(tree, at), p, value)  # type: ignore[misc]
    start_s = np.full_like(episode.faults.start_s, np.inf)
    primitive = np.array(episode.faults.primitive)
    magnitude = np.array(episode.faults.magnitude)
    primitive[:2] = INDEX["contention"], INDEX["metric_delay_s"]
    magnitude[:2] = 1.0, float(SCRAPE_S)
    if broken:
        start_s[:2] = 0.0
    faults = eqx.tree_at(
        lambda f: (f.primitive, f.magnitude, f.start_s),
        episode.faults,
        (primitive, magnitude, start_s),
    )
    return Episode(**{name: getattr(episode, name) for name in episode.__slots__}
                   | {"params": p, "faults": faults})  # fmt: skip


def _at(tree: Any, path: str) -> Any:
    for name in path.split("."):
        tree = getattr(tree, name)
    return tree


def compiled(episodes: tuple[Episode, ...]) -> tuple[Batch, Callable[[], Any]]:
    """Return a batch at its beginning, and what plays it: full ticks."""
    batch = Batch(world_of(episodes[0].slots, len(episodes)).steps, episodes, len(episodes))
    orders = standing(episodes)

    def play() -> Any:
        told = [batch.advance(orders)[0] for _ in range(SCRAPES)]
        jax.block_until_ready(batch.state)  # type: ignore[no-untyped-call]
        return told

    return batch, play


def as_fleet(batch: Batch) -> Fleet:
    """Return the same fleet as the loops take it."""
    p, slots = jax.tree.map(np.asarray, (batch.params, batch.state.live.slots))
    row = tables.load().row(
        p.service.tau0_s[:, 0], p.service.alpha_s[:, 0], p.service.batch_max[:, 0],
        p.service.cv2[:, 0],
    )  # fmt: skip
    capacity, first_s, intercept, slope, place, seconds = (
        np.moveaxis(np.asarray(leaf), -1, 0)
        for leaf in (row.capacity, row.first_s, row.intercept, row.slope, row.place, row.seconds)
    )
    times = np.arange(SCRAPES * SCRAPE_S)
    offered = [np.interp(times / 15.0, np.arange(len(k)), k) for k in p.demand.knots_rps]
    return Fleet(
        offered=np.asarray(offered, np.float32),
        ready=(slots.phase == Phase.READY).astype(np.float32),
        jobs=slots.jobs,
        capacity=capacity,
        first_s=first_s,
        intercept=intercept,
        slope=slope,
        place=place,
        seconds=seconds,
        timeout_s=p.client.timeout_s,
        retries=p.client.retries,
        backoff_s=p.client.backoff_s,
        network_s=p.limits.network_s,
    )


def some(fleet: Fleet, count: int) -> Fleet:
    """Return the first deployments of a fleet."""
    return Fleet(**{name: getattr(fleet, name)[:count] for name in Fleet.__slots__})


def same(found: Seen, told: Any, count: int) -> None:
    """Check that two versions of the tick tell the same story of the first deployments."""
    for name in Seen.__slots__:
        ours = getattr(told, name)[:count]
        theirs = getattr(found, name)[:count]
        scale = np.abs(ours).max(axis=1, keepdims=True)
        np.testing.assert_allclose(theirs / scale, ours / scale, atol=2e-3, err_msg=name)


def rate(play: Callable[[], Any], ticks: int, rounds: int) -> float:
    """Return ticks per second of processor time, the best of some rounds."""
    took = []
    for _ in range(rounds):
        begun = time.process_time()
        play()
        took.append(time.process_time() - begun)
    return ticks / min(took)


def beside(slots: int, width: int, rounds: int) -> tuple[float, float, float, float]:
    """Return ticks per second of the compiled twin, calm and broken, of NumPy and plain Python.

    Raises:
        AssertionError: They do not tell the same story.
    """
    batch, play = compiled(calm(slots, width))
    fleet = as_fleet(batch)
    told = jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *play())
    seen = in_numpy(fleet)
    assert (seen.errors.max(axis=1) > 0.0).any(), "nobody gave up: nothing hard was compared"
    same(seen, told, width)
    few = some(fleet, CHECKED)
    same(in_python(few), told, CHECKED)
    _, play_broken = compiled(calm(slots, width, broken=True))
    told = jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *play_broken())
    assert told.faulty.all(), "nothing was broken: nothing else was measured"
    same(seen, told, width)
    seconds = SCRAPES * SCRAPE_S
    return (
        rate(play, width * seconds, rounds),
        rate(play_broken, width * seconds, rounds),
        rate(partial(in_numpy, fleet), width * seconds, 1),
        rate(partial(in_python, few), CHECKED * seconds, 1),
    )


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("slots", WIDTHS)
def test_full_ticks_beside_numpy_and_plain_python(benchmark: BenchmarkFixture, slots: int) -> None:
    if benchmark.disabled and slots != min(WIDTHS):
        pytest.skip("measured with --benchmark-enable; the smallest size shows that it runs")
    rounds = 1 if benchmark.disabled else 5
    found = {width: beside(slots, width, rounds) for width in WIDTHS[slots]}
    for width, (ours, broken, numpy, plain) in found.items():
        print(
            f"\n{slots} slots, {width} side by side: {ours / 1e3:.0f} k full ticks/s of one core, "
            f"{broken / 1e3:.0f} k with faults in force; "
            f"{ours / numpy:.1f} x the heart alone in NumPy ({numpy / 1e3:.1f} k), "
            f"{ours / plain:.0f} x in plain Python ({plain / 1e3:.2f} k)"
        )
    width = max(found, key=lambda one: found[one][0])
    best = CORES * found[width][0]
    print(f"{CORES} cores, {width} side by side: {best / 1e6:.2f} M full ticks/s")
    _, play = compiled(calm(slots, width))
    once: Any = benchmark.pedantic  # which has no types
    once(play, rounds=1)
    benchmark.extra_info["ticks_per_s"] = round(best)
    if benchmark.enabled and slots == max(WIDTHS):
        assert best >= GATE
