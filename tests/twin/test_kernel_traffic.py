"""Traffic alone, tick by tick: what comes goes somewhere, queues obey Little, clocks do not matter.

The tick is compiled apart from the rest of the twin, with its length as an argument: the same
program plays seconds, halves and pairs of them.
"""

from collections.abc import Callable
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fleet_by_hand import SLOTS, changed, faults
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.twin import (
    chance,
    clients,
    closed_forms,
    cures,
    flow,
    levers,
    replicas,
    routing,
    service,
    tables,
)
from homeostat.twin.effects import effects
from homeostat.twin.params import Params
from homeostat.twin.shapes import VARIANTS, Phase
from homeostat.twin.state import RETRY_CLASSES, RING, over_slots, put

TICKS: Final = 240
A: Final = np.array([1.0, 1.0, 0.0, 0.0])  # slots of A; then one of B, and an empty one
CAPACITY: Final = 2 * 8 / (0.02 + 0.002 * 8)  # of A, requests per second
Run = Callable[..., tuple[flow.Told, flow.Traffic]]


@pytest.fixture(scope="module")
def run() -> Run:
    """Return a function that plays `TICKS` ticks and returns what each told and left behind."""
    curves = tables.load()
    played = jax.jit(_play)

    def play(
        deployment: Params, rates: Any, dt: float = 1.0, phase: Any = (3, 3, 3, 0), **more: Any
    ) -> Any:
        offered = np.broadcast_to(np.asarray(rates, np.float32), (TICKS,))
        phases = np.asarray(phase, np.int32)
        found = played(deployment, curves, offered, np.float32(dt), phases, _broken(**more))
        return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), found)

    return play


def _broken(
    *, error: Any = 0.0, nan: Any = 0.0, fast: Any = 0.0, reachable: Any = 1.0, stale_s: Any = 0.0
) -> dict[str, Any]:
    """Return what is wrong with the slots (or with the variants' endpoints)."""
    values = {"error": error, "nan": nan, "fast": fast, "stale_s": stale_s}
    found: dict[str, Any] = {
        name: np.broadcast_to(np.asarray(value, np.float32), (SLOTS,))
        for name, value in values.items()
    }
    found["reachable"] = np.broadcast_to(np.asarray(reachable, np.float32), (VARIANTS,))
    return found


def _play(
    deployment: Params,
    curves: tables.Tables,
    offered: jax.Array,
    dt: jax.Array,
    phase: jax.Array,
    broken: dict[str, jax.Array],
) -> Any:
    calm: Any = faults([])
    draws = chance.of_processes(jnp.zeros(2, jnp.uint32), jnp.zeros(SLOTS, jnp.int32))
    slots = put(replicas.begin(deployment, draws, SLOTS), phase=phase, stale_s=broken["stale_s"])
    off = jnp.zeros(calm.primitive.shape)
    fx = effects(calm, cures.hits(calm, cures.begin(calm), slots, off, off > 0.0))
    force = levers.values(levers.begin(deployment, SLOTS))
    law = service.service(
        deployment, fx, service.kinds(deployment, fx, curves, slots, force), slots, jnp.float32(0.0)
    )
    law = service.Service(**(vars(law) | {name: broken[name] for name in ("error", "nan", "fast")}))
    listed = (phase == Phase.READY) | (phase == Phase.HUNG) | (broken["stale_s"] > 0.0)
    count = jnp.maximum(over_slots(listed.astype(jnp.float32), slots.variant), 1.0)
    ways = routing.Routes(
        weights=force.weights,
        reachable=broken["reachable"] * jnp.minimum(over_slots(1.0 * listed, slots.variant), 1.0),
        share=listed / count[slots.variant],
    )
    # A queue's spread where it is well used; what matters here is that it is the same throughout.
    _, *spread = law.row.quantiles(jnp.full(SLOTS, 8.0))
    mean = law.row.latency(jnp.full(SLOTS, 8.0))
    slots = put(slots, p50=spread[0] / mean, p95=spread[1] / mean, p99=spread[2] / mean)
    ground: Any = flow.ground(deployment, fx, force, slots, law, ways, dt)  # type: ignore[arg-type] # a traced length
    ring = clients.unroll(jnp.zeros((2 * RETRY_CLASSES, RING)), TICKS)
    first = flow.Traffic(
        jobs=jnp.zeros(SLOTS),
        front=jnp.zeros(SLOTS),
        waiting=jnp.zeros(VARIANTS),
        failed=ring,
        latency_s=jnp.float32(0.0),
        held_s=jnp.float32(0.0),
        spare=jnp.float32(0.0),
        sums=flow.no_sums(SLOTS, VARIANTS),
    )

    def tick(state: flow.Traffic, news: Any) -> Any:
        after, told = flow.tick(ground, state, news[0], news[1], dt)  # type: ignore[arg-type] # the same
        return after, (told, flow.Traffic(**(vars(after) | {"failed": jnp.zeros(())})))

    _, found = jax.lax.scan(tick, first, (offered, RING + jnp.arange(TICKS)))
    return found


shares = st.floats(0.0, 1.0)


@settings(max_examples=60)
@given(data=st.data())
def test_whatever_breaks_attempts_and_jobs_are_conserved(
    run: Run, plain: Params, data: st.DataObject
) -> None:
    draw = data.draw
    limit = st.one_of(st.just(np.inf), st.floats(1.0, 400.0))
    made = changed(
        plain,
        weights=np.array(
            draw(st.sampled_from([(1.0, 0.0, 0.0), (0.6, 0.4, 0.0), (0.5, 0.3, 0.2)]))
        ),
        service__concurrency=draw(st.floats(1.0, 500.0)),
        service__queue_delay_s=draw(st.floats(0.0, 0.2)),
        client__timeout_s=draw(st.floats(0.1, 8.0)),
        client__backoff_s=draw(st.floats(0.0, 5.0)),
        client__retries=draw(st.floats(0.0, 4.0)),
        limits__frontend_rps=draw(limit),
        limits__connections=draw(limit),
        limits__dependency_rps=draw(limit),
    )
    told, left = run(
        made,
        np.repeat(np.array(draw(st.lists(st.floats(0.0, 1500.0), min_size=8, max_size=8))), 30),
        dt=draw(st.sampled_from([0.25, 0.5, 1.0, 2.0])),
        phase=[draw(st.sampled_from(list(Phase))) for _ in range(SLOTS)],
        error=[draw(shares) for _ in range(SLOTS)],
        nan=[draw(shares) for _ in range(SLOTS)],
        fast=[draw(shares) for _ in range(SLOTS)],
        reachable=[draw(st.sampled_from([0.0, 1.0])) for _ in range(VARIANTS)],
        stale_s=[draw(st.sampled_from([0.0, 60.0])) for _ in range(SLOTS)],
    )
    scale = 1.0 + told.attempts.max()
    np.testing.assert_allclose(told.balance, 0.0, atol=1e-5 * float(scale))
    for values in (told.good, told.errors, told.refused, left.jobs, left.front, left.waiting):
        assert values.min() >= 0.0
    sums = left.sums
    assert np.all(sums.wrong <= sums.tried * (1.0 + 1e-4) + 1e-3)
    assert np.all(sums.good <= sums.tried * (1.0 + 1e-4) + 1e-3)
    # A room that is full stays full: nothing beyond it waits.
    room = float(made.service.concurrency) * (1.0 + 1e-4) + 1e-3
    assert left.jobs.max() <= room
    assert left.front.max() <= room


def test_jobs_are_what_came_less_what_was_served_and_refused(run: Run, plain: Params) -> None:
    small = changed(plain, service__concurrency=60.0, limits__frontend_rps=300.0)
    rates = np.repeat([100.0, 900.0, 20.0], TICKS // 3)
    _, left = run(small, rates)
    sums = left.sums
    inside = (left.jobs + left.front)[:, :2]
    came_less_gone = (sums.tried - sums.served - sums.turned)[:, :2]
    np.testing.assert_allclose(inside, came_less_gone, atol=0.02)
    assert sums.turned[-1].sum() > 1000.0
    assert inside[165:].max() < 1.0  # and in the end all are gone


@pytest.mark.parametrize("load", [0.05, 0.3, 0.6, 0.8, 0.9])
def test_jobs_are_arrivals_times_latency_and_latency_is_the_exact_chain_s(
    run: Run, plain: Params, load: float
) -> None:
    told, _ = run(plain, load * CAPACITY, dt=2.0)
    assert told.queue[-1] == pytest.approx(load * CAPACITY * told.latency_s[-1], rel=0.01)
    exact_s = closed_forms.batch_queue(load * CAPACITY / 2, 0.02, 0.002, 8).latency_s
    assert told.latency_s[-1] == pytest.approx(exact_s, rel=0.02)


@settings(max_examples=40)
@given(
    low=st.floats(0.0, 1.3), more=st.floats(0.01, 0.5), timeout_s=st.floats(0.3, 5.0),
    slower=st.floats(1.05, 3.0),
)  # fmt: skip
def test_more_load_slower_batches_and_fewer_replicas_never_help(
    run: Run, plain: Params, low: float, more: float, timeout_s: float, slower: float
) -> None:
    made = changed(plain, client__timeout_s=timeout_s, service__concurrency=500.0)
    rate = low * CAPACITY
    best = run(made, rate)
    slow = changed(made, service__tau0_s=0.02 * slower, service__alpha_s=0.002 * slower)
    worse = {
        "more load": run(made, (low + more) * CAPACITY),
        "slower batches": run(slow, rate),
        "fewer replicas": run(made, rate, phase=(3, 0, 3, 0)),
    }
    for name, (told, left) in worse.items():
        assert np.all(told.latency_s >= best[0].latency_s * (1.0 - 1e-4) - 1e-6), name
        failing, before = (
            each.errors / np.maximum(each.attempts, 1e-6) for each in (told, best[0])
        )
        assert np.all(failing >= before - 1e-4), name
        assert left.jobs[:, 0].min() >= 0.0


def test_users_without_patience_and_limits_see_no_scale(run: Run, plain: Params) -> None:
    """Half the replicas with half the load are the same to each user."""
    loads = np.repeat([0.4, 1.6, 0.4], TICKS // 3)
    both, _ = run(plain, loads * CAPACITY)
    one, _ = run(plain, loads * CAPACITY / 2, phase=(3, 0, 3, 0))
    np.testing.assert_allclose(one.latency_s, both.latency_s, rtol=1e-4)
    np.testing.assert_allclose(2.0 * one.good, both.good, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(2.0 * one.queue, both.queue, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("factor", [2.0, 5.0])
def test_a_slower_deployment_on_a_slower_clock_looks_the_same(
    run: Run, plain: Params, factor: float
) -> None:
    slow = changed(
        plain,
        service__tau0_s=0.02 * factor,
        service__alpha_s=0.002 * factor,
        client__timeout_s=5.0 * factor,
    )
    loads = np.repeat([0.4, 1.3, 0.4], TICKS // 3)
    fast, _ = run(plain, loads * CAPACITY, dt=0.5)
    told, _ = run(slow, loads * CAPACITY / factor, dt=0.5 * factor)
    np.testing.assert_allclose(told.latency_s, factor * fast.latency_s, rtol=1e-3)
    np.testing.assert_allclose(told.queue, fast.queue, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dt", [0.5, 2.0])
def test_the_length_of_a_tick_hardly_matters(run: Run, plain: Params, dt: float) -> None:
    patient = changed(plain, client__timeout_s=60.0)

    def crowd(step_s: float) -> Any:
        at_s = np.arange(TICKS) * step_s
        return np.where((at_s >= 20.0) & (at_s < 40.0), 1.5, 0.6) * CAPACITY

    seconds, other = run(patient, crowd(1.0))[0], run(patient, crowd(dt), dt=dt)[0]
    at_s = np.arange(2, 120, 2)  # ends of ticks in both
    settled = ((at_s > 6) & (at_s < 20)) | (at_s > 80)
    for name in ("latency_s", "queue"):
        left = getattr(seconds, name)[at_s - 1]
        right = getattr(other, name)[np.round(at_s / dt).astype(int) - 1]
        np.testing.assert_allclose(right[settled], left[settled], rtol=0.03, err_msg=name)
    # Within the crowd: the area under the queue, which is what users feel.
    area = seconds.queue[:120].sum(), other.queue[: round(120 / dt)].sum() * dt
    assert area[1] == pytest.approx(area[0], rel=0.03)


def test_a_crowd_that_nobody_tries_again_after_leaves_no_trace(run: Run, plain: Params) -> None:
    rates = np.repeat([0.6, 3.0, 0.6, 0.6], TICKS // 4) * CAPACITY
    told, _ = run(changed(plain, service__concurrency=400.0), rates)
    assert told.errors[70:120].min() > CAPACITY
    np.testing.assert_allclose(told.good[-30:], 0.6 * CAPACITY, rtol=1e-4)
    np.testing.assert_allclose(told.latency_s[-30:], told.latency_s[50], rtol=1e-3)
