"""What is reported of each replica slot: probes, host, and the server's own figures.

A process that is gone reports nothing, so that averages over replicas are averages over survivors.
"""

from collections.abc import Mapping
from typing import Final

import jax.numpy as jnp
from jax import Array

from homeostat.base import names
from homeostat.twin import noise, params, windows
from homeostat.twin.counts import Counts
from homeostat.twin.shapes import Phase
from homeostat.twin.signals import GPU_SHARE, IN_FLIGHT, SLOT_SIGNALS, TOKEN_SIGNALS
from homeostat.twin.windows import Gauges, Window

# Processor seconds per second: of an idle server, per second of device work it feeds (requests
# are decoded and answers encoded while the device works), and per unit of contention.
_CPU_IDLE: Final = 0.05
_CPU_PER_WORK: Final = 0.3
_CPU_PER_CONTENTION: Final = 0.15
_CPU_LOADING: Final = 0.5
# Share of a device that its fixed work per batch occupies: a server that is bound by launches and
# by its front end shows 38-40 % at any load (vLLM logs in liao4s/BurstGPT_test).
_GPU_FIXED: Final = 0.39
# Relative noise of one reading of a gauge, and of one probe's latency.
_MEMORY_SD: Final = 0.003
_CPU_SD: Final = 0.03
_GPU_SD: Final = 0.03
_PROBE_SD: Final = 0.3
_LEAST_MORE: Final = 1e-6  # requests beside the first of a batch
_LENGTH_CV: Final = 1.0  # of the lengths of what is asked and answered: skewed, like the times
_LEAST_SPREAD: Final = 0.2  # sigma of a replica's latencies, even of a constant service time


def observe(
    deployment: params.Params,
    window: Window,
    gauges: Gauges,
    counted: Counts,
    draw: Mapping[str, Array],
) -> Array:
    """Return the signals of replica slots [S, `SLOT_SIGNALS`].

    Args:
        deployment: Its parameters.
        window: Since the last scrape.
        gauges: Read now.
        counted: Counts of this scrape.
        draw: Of this scrape, by signal.
    """
    phase = gauges.phase
    serves = (phase == Phase.READY) | (phase == Phase.DRAINING) | (phase == Phase.HUNG)
    runs = serves | (phase == Phase.LOADING)
    found = (
        _probes(deployment, gauges, draw)
        | {name: jnp.where(runs, value, jnp.nan) for name, value in
           _host(deployment, window, gauges, draw).items()}
        | {name: jnp.where(serves, value, jnp.nan) for name, value in
           _server(deployment, window, gauges, counted, draw).items()}
    )  # fmt: skip
    return jnp.stack([found[name] for name in SLOT_SIGNALS], axis=-1)


def tokens(window: Window, gauges: Gauges, draw: Mapping[str, Array]) -> Array:
    """Return what a server of tokens exports of each slot [S, `TOKEN_SIGNALS`].

    Args:
        window: Since the last scrape.
        gauges: Read now.
        draw: Of this scrape, by signal.
    """
    phase, sums = gauges.phase, window.sums
    serves = (phase == Phase.READY) | (phase == Phase.DRAINING) | (phase == Phase.HUNG)
    # Of so many requests a mean length is known to within its share of the lengths' own deviation.
    sigma = _LENGTH_CV / jnp.sqrt(jnp.maximum(sums.slot_served, 1.0))
    found = {
        names.KV_USAGE: gauges.kv_usage,
        names.PREEMPTION_RATIO: noise.per(sums.preempted, sums.slot_served),
        names.PROMPT_TOKENS: noise.per(sums.prompts, sums.slot_served)
        * noise.factor(draw[names.PROMPT_TOKENS], sigma),
        names.GENERATED_TOKENS: noise.per(sums.generated, sums.slot_served)
        * noise.factor(draw[names.GENERATED_TOKENS], sigma),
    }
    return jnp.stack([jnp.where(serves, found[name], jnp.nan) for name in TOKEN_SIGNALS], axis=-1)


def _probes(
    deployment: params.Params, gauges: Gauges, draw: Mapping[str, Array]
) -> dict[str, Array]:
    """Return what probes find: a hung replica is healthy and answers nothing.

    Without an answer the latency is the deadline: a quick refusal is not a fast answer.
    """
    phase = gauges.phase
    asked = (phase != Phase.EMPTY) & (phase != Phase.PENDING)
    answers = (phase == Phase.READY) | (phase == Phase.DRAINING)
    healthy = answers | (phase == Phase.HUNG)
    up = asked & (phase != Phase.DEAD)
    deadline_s = deployment.client.timeout_s
    latency_s = gauges.latency_s * noise.factor(draw[names.PROBE_LATENCY], _PROBE_SD)
    right = (1.0 - gauges.slot_error_ratio) * (1.0 - gauges.nan_share)
    passes = answers & (draw[names.PROBE_INFERENCE] < right) & (latency_s < deadline_s)
    took_s = jnp.where(answers, jnp.minimum(latency_s, deadline_s), deadline_s)
    return {
        names.PROCESS_UP: jnp.where(asked, up.astype(jnp.float32), jnp.nan),
        names.PROBE_HEALTH: jnp.where(asked, healthy.astype(jnp.float32), jnp.nan),
        names.PROBE_INFERENCE: jnp.where(asked, passes.astype(jnp.float32), jnp.nan),
        names.PROBE_LATENCY: jnp.where(asked, took_s * 1000.0, jnp.nan),
    }


def _host(
    deployment: params.Params, window: Window, gauges: Gauges, draw: Mapping[str, Array]
) -> dict[str, Array]:
    """Return memory and processor: idle + c1 x rate + c2 x contention, at most the limit."""
    seconds = jnp.maximum(window.seconds, 1e-9)
    rate = window.sums.slot_attempts / seconds
    service = deployment.service
    work = (service.tau0_s / service.batch_max + service.alpha_s)[gauges.slot_variant]
    contention = jnp.maximum(window.sums.contention / seconds, 1.0)
    cpu = (
        _CPU_IDLE
        + _CPU_PER_WORK * jnp.minimum(rate * work, 1.0)
        + rate / gauges.frontend_rps
        + _CPU_PER_CONTENTION * (contention - 1.0)
        + _CPU_LOADING * (gauges.phase == Phase.LOADING)
    )
    cpu = jnp.minimum(cpu, 1.0) * (1.0 + _CPU_SD * draw[names.CPU_SHARE])
    memory = gauges.memory_share * (1.0 + _MEMORY_SD * draw[names.MEMORY_SHARE])
    return {names.MEMORY_SHARE: memory, names.CPU_SHARE: jnp.maximum(cpu, 0.0)}


def _server(
    deployment: params.Params,
    window: Window,
    gauges: Gauges,
    counted: Counts,
    draw: Mapping[str, Array],
) -> dict[str, Array]:
    """Return what the server itself exports."""
    sums, service = window.sums, deployment.service
    batch = noise.per(sums.batch, sums.slot_served)
    per_request = service.alpha_s[gauges.slot_variant] * jnp.nan_to_num(batch)
    fixed = service.tau0_s[gauges.slot_variant]
    lean = per_request / jnp.maximum(per_request + fixed, 1e-9)
    gpu = windows.busy(window) * (_GPU_FIXED + (1.0 - _GPU_FIXED) * lean)
    cv = jnp.sqrt(service.cv2)[gauges.slot_variant]
    p95 = noise.per(sums.slot_p95_s, sums.slot_attempts)
    works = (batch > 0.0) & (windows.busy(window) > 0.0)
    sizes = _sizes(batch, noise.per(sums.batch_full, sums.slot_served), counted, draw)
    # Both are means over the same batches: larger ones took longer.
    device_ms = noise.per(sums.device_s, sums.slot_served) * 1000.0
    device_ms = device_ms * (1.0 + lean * (sizes / jnp.maximum(batch, 1.0) - 1.0))
    device_ms = device_ms * noise.factor(draw[names.DEVICE_TIME], cv / jnp.sqrt(counted.batches))
    return {
        GPU_SHARE: jnp.maximum(gpu * (1.0 + _GPU_SD * draw[GPU_SHARE]), 0.0),
        names.DEVICE_TIME: jnp.where(works, device_ms, jnp.nan),
        names.BATCH_SIZE: jnp.where(works, sizes, jnp.nan),
        names.BATCH_FULL_SHARE: jnp.where(works, counted.full / counted.batches, jnp.nan),
        names.QUEUE_LENGTH: counted.waiting,
        IN_FLIGHT: counted.waiting + counted.served,
        names.ERROR_RATIO: noise.per(counted.slot_failed, counted.tried),
        names.LATENCY_P95: noise.quantile(
            names.LATENCY_P95, p95, jnp.maximum(cv, _LEAST_SPREAD), counted.tried, draw
        ),
    }


def _sizes(batch: Array, full: Array, counted: Counts, draw: Mapping[str, Array]) -> Array:
    """Return the mean size of the batches of a scrape, at least 1 [S].

    What a batch holds beside its first request is a count of arrivals: its variance is its mean,
    and nothing where every batch is full.
    """
    more = jnp.maximum(batch - 1.0, 0.0)
    sigma = jnp.sqrt((1.0 - full) / jnp.maximum(more * counted.batches, _LEAST_MORE))
    sigma = jnp.minimum(jnp.maximum(sigma, 0.0), 1.0)
    return 1.0 + more * noise.factor(draw[names.BATCH_SIZE], sigma)
