"""What instrumenting costs one request at 64 features: goal under 50 microseconds.

Compares with the same counting done with prometheus-client's own labelled histograms, which is
what a server would otherwise write. Not measured: the wait for the lock under many threads.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from pytest_benchmark.fixture import BenchmarkFixture

from homeostat_instrument import Middleware, Monitor, histogram, monitor

FEATURES = [f"x{k}" for k in range(64)]
CHANCE = random.Random(7)
ROWS = [[CHANCE.gauss(0.0, 1.0) for _ in FEATURES] for _ in range(512)]
EDGES = [[-1.2, -0.8, -0.5, -0.2, 0.0, 0.2, 0.5, 0.8, 1.2]] * len(FEATURES)
Observe = Callable[[list[float]], None]


def _monitor() -> Monitor:
    return monitor("m", "v1", features=FEATURES, feature_edges=EDGES, recent=4_096)


def ours_numpy(_: pytest.MonkeyPatch) -> Observe:
    watched = _monitor()
    return lambda row: watched.observe("a-1-1", 0.5, row)


def ours_bisect(patch: pytest.MonkeyPatch) -> Observe:
    patch.setattr(histogram, "np", None)
    watched = _monitor()
    return lambda row: watched.observe("a-1-1", 0.5, row)


def prometheus_labels(_: pytest.MonkeyPatch) -> Observe:
    registry = CollectorRegistry()
    inputs = Histogram("f", "f", ["feature"], buckets=EDGES[0], registry=registry)
    predictions = Histogram("p", "p", registry=registry)
    requests = Counter("r", "r", ["code"], registry=registry)

    def observe(row: list[float]) -> None:
        requests.labels("200").inc()
        predictions.observe(0.5)
        for name, value in zip(FEATURES, row, strict=True):
            inputs.labels(name).observe(value)

    return observe


@pytest.mark.parametrize("build", [ours_numpy, ours_bisect, prometheus_labels])
def test_one_observation(
    benchmark: BenchmarkFixture, monkeypatch: pytest.MonkeyPatch, build: Callable[..., Observe]
) -> None:
    observe = build(monkeypatch)
    rows = iter(lambda: CHANCE.choice(ROWS), None)
    benchmark.group = "one prediction with 64 features"

    def setup() -> tuple[tuple[list[float]], dict[str, object]]:
        return (next(rows),), {}

    benchmark.pedantic(observe, setup=setup, rounds=20_000)  # type: ignore[no-untyped-call]


def test_a_batch_of_eight(benchmark: BenchmarkFixture) -> None:
    watched = _monitor()
    ids, predictions, rows = [f"a-1-{k}" for k in range(8)], [0.5] * 8, np.array(ROWS[:8])
    benchmark.group = "a batch of 8 with 64 features"
    benchmark(watched.observe_batch, ids, predictions, rows)


@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "middleware"])
def test_a_whole_request(benchmark: BenchmarkFixture, wrapped: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Run middleware and observation around an application that does nothing else."""
    watched = _monitor()

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        if wrapped:
            watched.observe("a-1-1", 0.5, ROWS[0])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def nowhere(_: Any) -> None:
        return

    scope = {"type": "http", "path": "/infer", "headers": [(b"accept", b"*/*")] * 10}
    target: Any = Middleware(app, watched) if wrapped else app
    with asyncio.Runner() as runner:

        async def hundred() -> None:
            for _ in range(100):
                await target(scope, nowhere, nowhere)

        benchmark.group = "100 requests through ASGI, 64 features"
        benchmark(lambda: runner.run(hundred()))


def test_one_scrape(benchmark: BenchmarkFixture) -> None:
    watched = _monitor()
    watched.observe_batch(["a"] * 512, [0.5] * 512, ROWS)
    benchmark.group = "one scrape, 64 features"
    assert len(benchmark(generate_latest, watched.registry)) > 10_000
