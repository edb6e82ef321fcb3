"""The twin's parameters from drawn numbers and a deployment as it stands.

What a fit says nothing of is left without effect (quality, front end, dependency, device memory):
a rehearsal does not speak of it.
"""

import math
from collections.abc import Callable, Mapping

import jax.numpy as jnp
import numpy as np
from jax import Array

from homeostat.twin import params
from homeostat.twin.fit_frame import Floats
from homeostat.twin.rehearse_load import KNOT_S
from homeostat.twin.rehearse_situation import UNBOUNDED, Situation
from homeostat.twin.shapes import VARIANTS
from homeostat.twin.table_grid import BATCHES


def f32(values: Floats) -> Array:
    """Return values as the twin takes them."""
    return jnp.asarray(np.asarray(values, np.float32))


def to_params(
    values: Mapping[str, Floats], knots_rps: Floats, now: Situation, slots: int
) -> params.Params:
    """Return the twin's parameters [D, ...].

    Args:
        values: Draws of every quantity by name [D].
        knots_rps: Unique requests, 1/s, `KNOT_S` apart [D, LOAD_KNOTS].
        now: The deployment.
        slots: Replica slots there are.
    """
    number = len(knots_rps)

    def same(value: float) -> Array:
        return f32(np.full(number, value))

    def each(value: Floats) -> Array:
        return f32(np.broadcast_to(np.asarray(value, float)[:, None], (number, VARIANTS)))

    def pools(value: Floats) -> Array:
        other = value * values["b_service_ratio"]
        return f32(np.stack([value, other, value], axis=1))

    count = [sum(s.variant == v for s in now.slots) for v in range(VARIANTS)]
    prices = np.full(number, now.usd_per_hour)
    memory = now.memory_limit_gib if math.isfinite(now.memory_limit_gib) else UNBOUNDED
    return params.Params(
        service=params.Service(
            tau0_s=pools(values["tau0_s"]),
            alpha_s=pools(values["alpha_s"]),
            cv2=each(values["cv2"]),
            batch_max=each(np.full(number, now.batch_max)),
            batch_limit=same(float(BATCHES[-1])),
            queue_delay_s=same(0.0),
            concurrency=same(now.concurrency if math.isfinite(now.concurrency) else UNBOUNDED),
            kv_capacity=same(UNBOUNDED),
            recompute_waste=same(0.0),
        ),
        demand=params.Demand(
            knots_rps=f32(knots_rps),
            spacing_s=same(KNOT_S),
            ou_sd=f32(values["ou_sd"]),
            ou_tau_s=f32(values["ou_tau_s"]),
            ca2=f32(values["ca2"]),
            heavy_share=same(0.0),
            heavy_cost=same(1.0),
        ),
        client=params.Client(
            timeout_s=f32(values["timeout_s"]),
            retries=f32(values["retries"]),
            retry_share=same(math.inf),  # nobody told the twin of a budget
            retry_burst=same(0.0),
            backoff_s=f32(values["backoff_s"]),
            cancel=f32(values["cancel"]),
            sticky=f32(values["sticky"]),
            least_loaded=f32(values["least_loaded"]),
            in_turn=same(0.0),  # a fit cannot tell, and at random the queues are longer
        ),
        provision=params.Provision(
            delay_s=f32(values["provision_s"]),
            load_s=f32(values["load_s"]),
            sigma=same(0.42),  # log deviation of load times, GenTD26
            probe_deadline_s=same(600.0),
            warm_s=f32(values["warm_s"]),
            cold_speed=f32(values["cold_speed"]),
            cap=same(float(min(slots, max(now.most, len(now.slots))))),
            spares=same(now.spares),
            drain_s=same(30.0),
        ),
        # All that is in use counts as lost: a new process begins without it.
        memory=params.Memory(base_gib=same(0.0), limit_gib=same(memory), per_job_gib=same(0.0)),
        quality=_quality(same, each),
        limits=params.Limits(
            frontend_rps=same(math.inf),
            connections=same(math.inf),
            dependency_rps=same(math.inf),
            network_s=f32(values["network_s"]),
        ),
        money=params.Money(
            usd_per_hour=each(prices),
            budget_usd_per_hour=same(max(now.usd_per_hour * now.most, 1e-6)),
            hard_cap=same(float(min(slots, max(now.most, len(now.slots))))),
        ),
        promise=params.Promise(
            p99_s=same(2.0 * now.latency_ms / 1000.0), availability=same(1.0 - now.error_ratio)
        ),
        actuation=params.Actuation(latency_s=f32(values["write_s"]), fail=same(0.0)),
        replicas=f32(np.broadcast_to(np.asarray(count, float), (number, VARIANTS))),
        weights=f32(np.broadcast_to(np.asarray(now.weights, float), (number, VARIANTS))),
    )


def _quality(same: Callable[[float], Array], each: Callable[[Floats], Array]) -> params.Quality:
    """Return answers that are always right: a fit says nothing of them, nor does a rehearsal."""
    one = np.ones(np.shape(same(1.0)))
    return params.Quality(
        accuracy=each(one),
        covariate_k=each(0.0 * one),
        concept_k=each(0.0 * one),
        importance=each(0.0 * one),
        slice_share=same(0.0),
        prior=same(0.5),
        sharpness=same(6.0),
        label_delay_s=same(3600.0),
        label_share=same(0.0),
        retrain_s=same(3600.0),
        retrain_gain=same(0.0),
        floor=same(0.0),
    )
