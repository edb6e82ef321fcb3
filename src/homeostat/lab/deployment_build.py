"""From a deployment's drawn numbers to the twin's parameters: what they come to together.

Kept consistent here, so that no draw contradicts itself: offered load follows from utilisation and
the capacity of the service law S(b) = tau0 + alpha b; the objective from an unloaded replica's p99;
memory from its limit; the budget from what one replica more than at the start costs, which stands
in for the oracle's cost that nobody knows before the episode was played. Everything is rounded to
six significant digits, so that it is the same on every machine.
"""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

import jax
import numpy as np
from jax import Array

from homeostat.lab.deployments import B_RHO
from homeostat.lab.scenario_errors import DrawError
from homeostat.twin import tables
from homeostat.twin.closed_forms import inoue_bound
from homeostat.twin.params import (
    Actuation,
    Client,
    Demand,
    Limits,
    Memory,
    Money,
    Params,
    Promise,
    Provision,
    Quality,
    Service,
)
from homeostat.twin.shapes import VARIANTS

DIGITS: Final = 6
# Load's usual swing that a deployment keeps room for, in deviations of its modulation: of four
# hours of it, 120 correlation times and more, one episode in a hundred swings further.
_SWING: Final = 4.0
_Z99: Final = 2.3263478740408408  # 99 % quantile of the standard normal distribution
_MB_PER_GIB: Final = 1024.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What a deployment's numbers come to.

    Attributes:
        numbers: As drawn, whole ones rounded.
        a: Replicas of pool A.
        b: Of pool B.
        capacity_rps: Of one replica of A, at its largest batch.
        demand_rps: Organic load at the start.
        room_rps: The most load that leaves room for its usual swings within the promise.
        in_flight: Requests in the system at that load.
    """

    numbers: Mapping[str, float]
    a: int
    b: int
    capacity_rps: float
    demand_rps: float
    room_rps: float
    in_flight: float

    @property
    def replicas(self) -> int:
        """Replicas that cost money at the start."""
        return self.a + self.b


def rounded(value: float) -> float:
    """Return a number to six significant digits.

    >>> rounded(0.123456789)
    0.123457
    """
    return float(f"{value:.{DIGITS}g}")


def capacity_rps(tau0_s: float, alpha_s: float, batch: float) -> float:
    """Return what one replica serves with full batches, 1/s (b / S(b)).

    >>> round(capacity_rps(0.02, 0.002, 8), 6)
    222.222222
    """
    return batch / (tau0_s + alpha_s * batch)


def unloaded_p99_s(tau0_s: float, alpha_s: float, cv2: float) -> float:
    """Return the p99 of a lone request's service time: lognormal with mean S(1).

    >>> round(unloaded_p99_s(0.02, 0.002, 0.0), 6)
    0.022
    """
    variance = math.log1p(cv2)
    return (tau0_s + alpha_s) * math.exp(_Z99 * math.sqrt(variance) - variance / 2)


def promised_p99_s(numbers: Mapping[str, float]) -> float:
    """Return the p99 that is promised: a multiple of an unloaded replica's."""
    n = numbers
    alone = unloaded_p99_s(n["tau0_s"], n["tau0_s"] * n["alpha_ratio"], n["cv2"])
    return n["p99_ratio"] * (alone + n["queue_delay_s"] + n["network_s"])


def within_promise_rps(numbers: Mapping[str, float]) -> float:
    """Return what one replica of A serves within the p99 promised, 1/s."""
    n = numbers
    ca2 = 1 + (n["ca2"] - 1) / n["replicas"]  # a random split of the arrivals
    left_s = promised_p99_s(n) - n["queue_delay_s"] - n["network_s"]
    alpha = n["tau0_s"] * n["alpha_ratio"]
    return capacity_within_rps(
        n["tau0_s"], alpha, n["batch_max"], cv2=n["cv2"], ca2=ca2, within_s=left_s
    )


def capacity_within_rps(
    tau0_s: float, alpha_s: float, batch: float, *, cv2: float, ca2: float, within_s: float
) -> float:
    """Return what one replica serves within a p99, 1/s, by the twin's own curves.

    To three digits, which are the same on every machine.

    Args:
        tau0_s: Of the service law S(b) = tau0 + alpha b.
        alpha_s: Likewise.
        batch: Largest batch.
        cv2: Squared coefficient of variation of the service time.
        ca2: Of the interarrival times that one replica sees.
        within_s: p99 of waiting and service.
    """
    law = (tau0_s, alpha_s, batch, cv2, ca2, within_s)
    return float(f"{float(_within(_curves(), *law)):.3g}")


@functools.cache
def _curves() -> tables.Tables:
    return tables.load()


@jax.jit
def _within(curves: tables.Tables, *law: float) -> Array:
    *service, left_s = law
    return curves.row(*service).capacity_within(left_s)


def build(numbers: Mapping[str, float]) -> Built:
    """Return what the numbers come to; see `deployments.DEFAULTS` for their names."""
    tau0, alpha = numbers["tau0_s"], numbers["tau0_s"] * numbers["alpha_ratio"]
    a = int(numbers["replicas"])
    capacity = capacity_rps(tau0, alpha, numbers["batch_max"])
    # A deployment that breaks its promise before the fault would test nothing.
    healthy = _room(numbers["headroom"], numbers["ou_sd"]) * a * within_promise_rps(numbers)
    demand = min(numbers["base_rho"] * a * capacity, healthy)
    numbers = dict(numbers) | {"base_rho": rounded(demand / (a * capacity))}
    each_b = capacity / numbers["b_service_ratio"]
    b = round(numbers["b_share"] * demand / (B_RHO * each_b))
    if numbers["b_share"] > 0:
        b = max(1, b)
    # All-waiting batches: the least latency a batch server can have, tight above half load.
    rate = min(demand / a, 0.98 * capacity)
    in_flight = a * rate * inoue_bound(rate, tau0, alpha)
    return Built(
        numbers=numbers,
        a=a,
        b=b,
        capacity_rps=rounded(capacity),
        demand_rps=rounded(demand),
        room_rps=rounded(healthy),
        in_flight=rounded(in_flight),
    )


def _room(headroom: float, ou_sd: float) -> float:
    """Return the most load at the start against what is served within the promise.

    Whoever asks for more than fits wants the promise broken, and gets it.
    """
    return headroom if headroom > 1.0 else min(headroom, room_for_swings(ou_sd))


def room_for_swings(ou_sd: float) -> float:
    """Return the share of what is served within the promise that leaves room for usual swings.

    Args:
        ou_sd: Standard deviation of the log of load's modulation.

    >>> round(room_for_swings(0.05), 6)
    0.818731
    """
    return math.exp(-_SWING * ou_sd)


def leak_kb(built: Built, seconds: float) -> float:
    """Return the leak per request, in KB, that fills host memory in a time at the usual load."""
    n = built.numbers
    free_kb = n["memory_gib"] * (1 - n["memory_share"]) * _MB_PER_GIB * 1024
    return free_kb * built.a / (built.demand_rps * seconds)


def to_params(built: Built, knots_rps: np.ndarray, spacing_s: float, slots: int) -> Params:
    """Return the twin's parameters.

    Args:
        built: The deployment.
        knots_rps: Organic load [LOAD_KNOTS].
        spacing_s: Between two knots.
        slots: Replica slots there are.

    Raises:
        DrawError: The deployment needs more slots.
    """
    if built.replicas + 1 > slots:
        raise DrawError(
            f"{built.replicas} replicas at the start and one to act with need more than {slots} "
            "slots; raise slots or lower deployment.replicas"
        )
    n = built.numbers
    return Params(
        service=_service(built),
        demand=Demand(
            knots_rps=array(knots_rps),
            spacing_s=array(spacing_s),
            ou_sd=_f(n["ou_sd"]),
            ou_tau_s=_f(n["ou_tau_s"]),
            ca2=_f(n["ca2"]),
            heavy_share=_f(n["heavy_share"]),
            heavy_cost=_f(n["heavy_cost"]),
        ),
        client=Client(
            timeout_s=_f(n["timeout_s"]),
            retries=_f(n["retries"]),
            retry_share=_f(math.inf),
            retry_burst=_f(0.0),
            backoff_s=_f(n["backoff_s"]),
            cancel=_f(n["cancel"]),
            sticky=_f(n["sticky"]),
            least_loaded=_f(n["least_loaded"]),
            in_turn=_f(n["in_turn"]),
        ),
        provision=_provision(built, slots),
        memory=Memory(
            base_gib=_f(n["memory_gib"] * n["memory_share"]),
            limit_gib=_f(n["memory_gib"]),
            per_job_gib=_f(n["memory_per_job_mb"] / _MB_PER_GIB),
        ),
        quality=_quality(n),
        limits=_limits(built),
        money=_money(built, slots),
        promise=_promise(n),
        actuation=Actuation(latency_s=_f(n["write_s"]), fail=_f(n["write_fail"])),
        replicas=_v(built.a, built.b, 0),
        weights=_v(1, 0, 0),
    )


def array(values: object, kind: type = np.float32) -> Array:
    """Return a NumPy array as what the twin's containers declare; `jit` takes both."""
    return cast("Array", np.asarray(values, kind))


def _f(value: float) -> Array:
    return array(rounded(value) if math.isfinite(value) else value)


def _v(*values: float) -> Array:
    if len(values) != VARIANTS:
        raise AssertionError("one number per variant")
    return array([rounded(value) for value in values])


def _service(built: Built) -> Service:
    n = built.numbers
    tau0, alpha, ratio = n["tau0_s"], n["tau0_s"] * n["alpha_ratio"], n["b_service_ratio"]
    batch, busy = n["batch_max"], max(1.0, built.in_flight / built.a)
    # A replica may hold no less than two batches, one served and one waiting.
    held = max(2 * batch, n["queue_ratio"] * n["timeout_s"] * built.capacity_rps)
    return Service(
        tau0_s=_v(tau0, tau0 * ratio, tau0),
        alpha_s=_v(alpha, alpha * ratio, alpha),
        cv2=_v(n["cv2"], n["cv2"], n["cv2"]),
        batch_max=_v(batch, batch, batch),
        batch_limit=_f(max(n["batch_limit"], batch)),
        queue_delay_s=_f(n["queue_delay_s"]),
        concurrency=_f(math.ceil(held)),
        kv_capacity=_f(math.ceil(n["kv_headroom"] * busy)),
        recompute_waste=_f(n["recompute_waste"]),
    )


def _provision(built: Built, slots: int) -> Provision:
    n = built.numbers
    return Provision(
        delay_s=_f(n["provision_s"]),
        load_s=_f(n["load_s"]),
        sigma=_f(n["start_sigma"]),
        probe_deadline_s=_f(n["probe_deadline_s"]),
        warm_s=_f(n["warm_s"]),
        cold_speed=_f(n["cold_speed"]),
        cap=_f(_most(built, n["cap_ratio"], slots)),
        spares=_f(n["spares"]),
        drain_s=_f(n["drain_s"]),
    )


def _most(built: Built, ratio: float, slots: int) -> int:
    """Return a greatest number of replicas: none below the start, none without a slot."""
    return min(slots, max(built.replicas, math.ceil(ratio * built.replicas)))


def _quality(n: Mapping[str, float]) -> Quality:
    a, b = n["accuracy"], min(1.0, n["accuracy"] + n["b_accuracy_delta"])
    share = n["importance"]
    return Quality(
        accuracy=_v(a, b, a),
        covariate_k=_v(n["covariate_k"], n["covariate_k"], n["covariate_k"]),
        concept_k=_v(n["concept_k"], n["concept_k"], n["concept_k"]),
        importance=_v(share, share * n["b_importance_ratio"], share),
        slice_share=_f(n["slice_share"]),
        prior=_f(n["prior"]),
        sharpness=_f(n["sharpness"]),
        label_delay_s=_f(n["label_delay_s"]),
        label_share=_f(n["label_share"]),
        retrain_s=_f(n["retrain_s"]),
        retrain_gain=_f(n["retrain_gain"]),
        floor=_f(a - n["quality_margin"]),
    )


def _limits(built: Built) -> Limits:
    n = built.numbers

    def limit(ratio: float, whole: float) -> float:
        return ratio * whole if ratio > 0 else math.inf

    return Limits(
        frontend_rps=_f(limit(n["frontend_ratio"], built.demand_rps / built.a)),
        connections=_f(limit(n["connection_ratio"], built.in_flight)),
        dependency_rps=_f(limit(n["dependency_ratio"], built.demand_rps)),
        network_s=_f(n["network_s"]),
    )


def _money(built: Built, slots: int) -> Money:
    n = built.numbers
    price, b_price = n["usd_per_hour"], n["usd_per_hour"] * n["b_price_ratio"]
    spare = (built.a + 1) * price + built.b * b_price  # N + 1
    return Money(
        usd_per_hour=_v(price, b_price, price),
        budget_usd_per_hour=_f(n["budget_ratio"] * spare),
        hard_cap=_f(_most(built, n["hard_cap_ratio"], slots)),
    )


def _promise(n: Mapping[str, float]) -> Promise:
    return Promise(
        p99_s=_f(promised_p99_s(n)),
        availability=_f(n["availability"]),
    )
