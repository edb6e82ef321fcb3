"""One plain deployment for the tests of the twin: two replicas of A, one of B, 100 requests/s.

Programs are compiled in nearly all of these tests, which takes a second or more each time: all of
them are slow.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from homeostat.twin import params
from homeostat.twin.shapes import LOAD_KNOTS, VARIANTS

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # what several tests share lies beside them


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)


def _number(value: float) -> Array:
    return jnp.asarray(value, jnp.float32)


def _each(value: float) -> Array:
    return jnp.full(VARIANTS, value, jnp.float32)


def _service() -> params.Service:
    return params.Service(
        tau0_s=_each(0.02),
        alpha_s=_each(0.002),
        cv2=_each(0.25),
        batch_max=_each(8.0),
        batch_limit=_number(32.0),
        queue_delay_s=_number(0.0),
        concurrency=_number(64.0),
        kv_capacity=_number(64.0),
        recompute_waste=_number(0.3),
    )


def _quality() -> params.Quality:
    return params.Quality(
        accuracy=jnp.array([0.92, 0.90, 0.92]),
        covariate_k=_each(0.04),
        concept_k=_each(0.4),
        importance=_each(0.5),
        slice_share=_number(0.05),
        prior=_number(0.3),
        sharpness=_number(6.0),
        label_delay_s=_number(600.0),
        label_share=_number(0.2),
        retrain_s=_number(600.0),
        retrain_gain=_number(0.8),
        floor=_number(0.87),
    )


@pytest.fixture(scope="session")
def deployment() -> params.Params:
    return params.Params(
        service=_service(),
        demand=params.Demand(
            knots_rps=jnp.full(LOAD_KNOTS, 100.0),
            spacing_s=_number(60.0),
            ou_sd=_number(0.05),
            ou_tau_s=_number(60.0),
            ca2=_number(1.0),
            heavy_share=_number(0.1),
            heavy_cost=_number(3.0),
        ),
        client=params.Client(
            timeout_s=_number(2.0),
            retries=_number(1.0),
            retry_share=_number(jnp.inf),
            retry_burst=_number(0.0),
            backoff_s=_number(1.0),
            cancel=_number(0.0),
            sticky=_number(0.0),
            least_loaded=_number(0.0),
            in_turn=_number(0.0),
        ),
        provision=params.Provision(
            delay_s=_number(60.0),
            load_s=_number(22.0),
            sigma=_number(0.4),
            probe_deadline_s=_number(300.0),
            warm_s=_number(60.0),
            cold_speed=_number(0.5),
            cap=_number(16.0),
            spares=_number(0.0),
            drain_s=_number(30.0),
        ),
        memory=params.Memory(
            base_gib=_number(4.0), limit_gib=_number(16.0), per_job_gib=_number(0.01)
        ),
        quality=_quality(),
        limits=params.Limits(
            frontend_rps=_number(jnp.inf),
            connections=_number(jnp.inf),
            dependency_rps=_number(jnp.inf),
            network_s=_number(0.001),
        ),
        money=params.Money(
            usd_per_hour=_each(2.0), budget_usd_per_hour=_number(50.0), hard_cap=_number(16.0)
        ),
        promise=params.Promise(p99_s=_number(0.3), availability=_number(0.999)),
        actuation=params.Actuation(latency_s=_number(1.0), fail=_number(0.0)),
        replicas=jnp.array([2.0, 1.0, 0.0]),
        weights=jnp.array([0.9, 0.1, 0.0]),
    )


@pytest.fixture(scope="session")
def plain(deployment: params.Params) -> params.Params:
    """Two replicas of A at 0.56 of their capacity, one of B, and nothing left to chance.

    Batches of 8 in 36 ms; room for every queue, patience for every wait that is not a backlog, no
    noise in the load, no memory that fills.
    """
    from fleet_by_hand import changed  # noqa: PLC0415 - loads JAX, which collection must not start

    return changed(
        deployment,
        demand__ou_sd=0.0,
        demand__heavy_share=0.0,
        demand__knots_rps=250.0,
        service__cv2=0.0,
        service__concurrency=1e5,
        service__kv_capacity=1e6,
        client__timeout_s=5.0,
        client__retries=0.0,
        limits__network_s=0.0,
        memory__limit_gib=1e4,
        weights=np.array([1.0, 0.0, 0.0]),
    )
