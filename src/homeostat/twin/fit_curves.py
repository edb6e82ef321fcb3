"""The twin's queue curves as a prediction of recorded rows, differentiable in the service law.

A row's jobs are one implicit Euler step of the fluid flow from the jobs observed before it (or from
the stationary ones, where nobody looked): the twin is asked what it is used for, to say what comes
next, and a backlog that was seen is not forgotten. Latencies are those of the row's jobs.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from homeostat.twin import fit_law, tables
from homeostat.twin.fit_frame import Floats, Frame, Ints

SIGNALS: Final = ("latency_p50_s", "latency_p95_s", "latency_p99_s", "in_flight")
AT_ONCE: Final = 8
_SIZES: Final = (256, 1024, 4096, 16384, 65536)  # compiled once each
_SHARES: Final = (0.5, 0.95, 0.99)
# Batches beyond a quantile: with fewer, a row's own quantile lies below the true one (by 10 to 25 %
# at p99 of 100 requests), because those of a batch are late together.
_BEYOND: Final = 10.0
_FULL: Final = 0.985
_LEAST: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What a prediction is given, and what was seen, for rows of one frame [m].

    Attributes:
        row: Of the frame.
        rate: Requests per second and replica.
        rate_before: In the row before; NaN after a gap.
        jobs_before: Seen at a replica in the row before; NaN if nobody looked.
        step_s: Seconds of the row.
        limit: Largest batch.
        ca2: Squared variation of arrivals at a replica.
        replicas: Ready.
        seen: Logs of `SIGNALS`, in_flight per replica [m, 4]; NaN where not reported.
    """

    row: Ints
    rate: Floats
    rate_before: Floats
    jobs_before: Floats
    step_s: Floats
    limit: Floats
    ca2: Floats
    replicas: Floats
    seen: Floats

    def take(self, chosen: Ints) -> "Rows":
        """Return some of the rows."""
        return Rows(**{name: getattr(self, name)[chosen] for name in Rows.__slots__})


def rows(frame: Frame, limit: float, ca2: float) -> Rows:
    """Return the rows of a frame that have a load; the others cannot be predicted.

    A quantile counts as seen only where a row has enough batches beyond it.

    Args:
        frame: Recorded metrics.
        limit: Largest batch, for rows that do not say.
        ca2: Of the whole stream; a random split over n replicas leaves 1 + (ca2 - 1) / n.
    """
    count = fit_law.replicas(frame)
    asked = frame["attempt_rate"] if frame.has("attempt_rate") else frame["request_rate"]
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = asked / count
        jobs = fit_law.in_flight(frame) / count
        use = (rate > 0) & (count >= 1) & np.isfinite(rate)
        latencies = [frame[name] for name in SIGNALS[:3]]
        seen = np.stack([*latencies, jobs], axis=1)
        seen = np.where(seen > 0, np.log(np.maximum(seen, _LEAST)), np.nan)
        batch = fit_law.batches(frame)
        batch = np.where(batch >= 1.0, batch, limit)
        beyond = (asked * frame.step_s / batch)[:, None] * (1.0 - np.asarray(_SHARES))
        seen[:, :3] = np.where(beyond >= _BEYOND, seen[:, :3], np.nan)
    follows = np.diff(frame.segment, prepend=-1) == 0
    shift = np.concatenate([[0], np.arange(frame.rows - 1)])
    stated = frame["batch_limit"]
    found = Rows(
        row=np.arange(frame.rows),
        rate=rate,
        rate_before=np.where(follows, rate[shift], np.nan),
        jobs_before=np.where(follows & (count[shift] == count), jobs[shift], np.nan),
        step_s=frame.step_s,
        limit=np.where(np.isfinite(stated), stated, limit),
        ca2=1.0 + (ca2 - 1.0) / np.maximum(count, 1.0),
        replicas=count,
        seen=seen,
    )
    return found.take(np.flatnonzero(use))


def predict(given: Rows, theta: Floats) -> tuple[Floats, Floats]:
    """Return the logs of `SIGNALS` for each row, and their slopes in theta.

    Args:
        given: Rows [m].
        theta: Logs of tau0, alpha and cv2 [starts, 3].

    Returns:
        Logs [starts, m, 4] and slopes [starts, m, 4, 3].
    """
    m, wanted = len(given.rate), len(theta)
    # Compiled for so many at once; fewer are filled up.
    theta = np.concatenate([theta, np.repeat(theta[:1], max(AT_ONCE - wanted, 0), axis=0)])
    logs = np.zeros((len(theta), m, len(SIGNALS)))
    slopes = np.zeros((*logs.shape, theta.shape[1]))
    # Curves belong to a largest batch and a number of replicas; few of them occur.
    for limit, ca2 in sorted(set(zip(given.limit.tolist(), given.ca2.tolist(), strict=True))):
        alike = np.flatnonzero((given.limit == limit) & (given.ca2 == ca2))
        part = _padded(given, alike)
        found = _compiled()(_tables(), jnp.asarray(theta, jnp.float32), part, limit, ca2)
        logs[:, alike], slopes[:, alike] = (np.asarray(one)[:, : len(alike)] for one in found)
    return logs[:wanted], slopes[:wanted]


def _padded(given: Rows, chosen: Ints) -> Array:
    """Return what a step needs, filled up to a size that is compiled already [4, size]."""
    size = next((n for n in _SIZES if n >= len(chosen)), len(chosen))
    at = np.concatenate([chosen, np.full(size - len(chosen), chosen[0])])
    names = ("rate", "rate_before", "jobs_before", "step_s")
    return jnp.asarray(np.stack([getattr(given, name)[at] for name in names]), jnp.float32)


@cache
def _tables() -> tables.Tables:
    return tables.load()


@cache
def _compiled() -> Any:
    def one(
        curves: tables.Tables, theta: Array, given: Array, limit: Array, ca2: Array
    ) -> tuple[Array, Array]:
        slopes = jax.jacfwd(_logs, argnums=1)(curves, theta, given, limit, ca2)
        return _logs(curves, theta, given, limit, ca2), slopes

    return jax.jit(jax.vmap(one, in_axes=(None, 0, None, None, None)))


def _logs(curves: tables.Tables, theta: Array, given: Array, limit: Array, ca2: Array) -> Array:
    tau0, alpha, cv2 = jnp.exp(theta)[:, None]
    rate, rate_before, jobs_before, step_s = given
    row = curves.row(tau0, alpha, limit, cv2, ca2)
    earlier = stationary(row, jnp.where(jnp.isfinite(rate_before), rate_before, rate))
    before = jnp.where(jnp.isfinite(jobs_before), jobs_before, earlier)
    # Small steps would need a path, large ones are stationary again: one implicit step is both.
    jobs = jnp.maximum(row.next_jobs(before, rate, step_s), _LEAST)
    _, p50, p95, p99 = row.quantiles(jobs)
    return jnp.log(jnp.stack([p50, p95, p99, jobs], axis=-1))


def stationary(row: tables.Row, rate: Array) -> Array:
    """Return the jobs that a steady rate keeps in the system; the inverse of `Row.throughput`.

    Args:
        row: Curves of one kind of replica, its arrays [K, 1].
        rate: Requests per second [m].
    """
    load = jnp.minimum(rate / row.capacity, _FULL)
    return jnp.maximum(((load - row.intercept) / row.slope).max(axis=0), 0.0)
