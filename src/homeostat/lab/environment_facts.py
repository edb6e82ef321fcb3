"""What a scrape says of a deployment in training, and what is remembered from scrape to scrape.

Only what a controller can see: a scrape, its own orders, its configuration. Unknown is NaN in a
number, and false in a fact that something would be allowed by.
"""

from typing import Any, Final, NamedTuple

import jax.numpy as jnp
from jax import Array

from homeostat.base import names
from homeostat.base.policy import GuardPolicy
from homeostat.lab.controller_parts import P95_OF_P99
from homeostat.twin import signals
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Scrape
from homeostat.twin.params import Params
from homeostat.twin.shapes import SCRAPE_S, VARIANTS, Phase, Variant

RATE: Final = GuardPolicy().actions_per_hour
FAR: Final = 1000.0  # scrapes: longer ago than any rule asks for
_HALF: Final = 0.5  # of the replicas, and of their batches: G0 full batches
_LEAST_ERRORS: Final = 0.005  # as `controller_parts` has it of an objective per month


def gateway(scrape: Scrape, name: str) -> Array:
    """Return a signal of the gateway, NaN = not reported."""
    return scrape.gateway[signals.GATEWAY_SIGNALS.index(name)]


def of_variant(scrape: Scrape, name: str) -> Array:
    """Return a signal of every variant [V]."""
    return scrape.variant[:, signals.VARIANT_SIGNALS.index(name)]


def of_slot(scrape: Scrape, name: str) -> Array:
    """Return a signal of every slot [S]."""
    return scrape.slot[:, signals.SLOT_SIGNALS.index(name)]


class Past(NamedTuple):
    """What is remembered.

    Attributes:
        since: Scrapes since the last action that changed something.
        last: Which that was, int32; 0 = none yet.
        at: Scrape of each of the last actions that count against the hourly rate [RATE].
        step: Scrapes so far.
        learnt: With the objectives known and met: what baselines are learnt from.
        calm: In a row with the objectives known and met.
        watched: In a row with the pool's load known.
        peak: Most work pool by pool in that time, in ready replicas [V].
        failing: Probe rounds in a row that each slot failed [S].
        pages: Persons told so far.
    """

    since: Array
    last: Array
    at: Array
    step: Array
    learnt: Array
    calm: Array
    watched: Array
    peak: Array
    failing: Array
    pages: Array


class Facts(NamedTuple):
    """What holds now.

    Attributes:
        sight: Arrivals, errors and latency are known and fresh, and most replicas say something.
        met: The objectives are known to be met.
        missed: They are known not to be.
        still: The platform has nothing under way, and what was ordered is in force.
        ready: Replicas that are ready and pass their probes [V].
        well: Of each pool, errors and latency are known and as promised [V].
        silent: A replica that should answer its probes says nothing.
        failing: Proven to fail [S].
        load: Work of each pool, in ready replicas [V]; NaN = not known.
        full: Half of pool A's replicas have every second batch full.
        batch_ms: Time of the slowest replica's batches; NaN = not known.
        usd: Spend rate; what is wanted costs its price where nothing is reported.
    """

    sight: Array
    met: Array
    missed: Array
    still: Array
    ready: Array
    well: Array
    silent: Array
    failing: Array
    load: Array
    full: Array
    batch_ms: Array
    usd: Array


def blank(slots: int) -> Scrape:
    """Return a scrape that says nothing: before the first one."""
    nan = jnp.nan

    def none(*shape: int) -> Array:
        return jnp.full(shape, nan, jnp.float32)

    return Scrape(
        gateway=none(len(signals.GATEWAY_SIGNALS)),
        variant=none(VARIANTS, len(signals.VARIANT_SIGNALS)),
        slot=none(slots, len(signals.SLOT_SIGNALS)),
        age_s=none(len(signals.GATEWAY_SIGNALS)),
        phase=jnp.full(slots, Phase.EMPTY, jnp.int32),
        slot_variant=jnp.zeros(slots, jnp.int32),
        version=none(VARIANTS),
        levers_ok=jnp.asarray(a=False),
        changing=jnp.asarray(a=True),
        batch_max=none(VARIANTS),
        weights=none(VARIANTS),
        replicas=none(VARIANTS),
        admit_rps=none(),
        tokens=none(slots, len(signals.TOKEN_SIGNALS)),
    )


def no_past(slots: int) -> Past:
    """Return the memory of a deployment that has just been met."""
    zero = jnp.float32(0.0)
    return Past(
        since=jnp.float32(FAR),
        last=jnp.int32(0),
        at=jnp.full(RATE, -FAR, jnp.float32),
        step=zero,
        learnt=zero,
        calm=zero,
        watched=zero,
        peak=jnp.zeros(VARIANTS),
        failing=jnp.zeros(slots),
        pages=zero,
    )


def facts(deployment: Params, scrape: Scrape, orders: Orders, past: Past, rules: Any) -> Facts:
    """Return what holds now.

    Args:
        deployment: What its operator configured: promises, prices, bounds.
        scrape: The latest.
        orders: In force.
        past: With this scrape taken in.
        rules: The guard policy whose freshness and probe rounds count.
    """
    serves = (scrape.phase == Phase.READY) | (scrape.phase == Phase.HUNG)
    probe = of_slot(scrape, names.PROBE_INFERENCE)
    passes = serves & (probe > 0.0)  # NaN is not above
    mute = serves & jnp.isnan(probe)
    is_of = scrape.slot_variant[:, None] == jnp.arange(VARIANTS)
    met, missed = _objectives(deployment, scrape)
    took = of_slot(scrape, names.DEVICE_TIME)
    full = of_slot(scrape, names.BATCH_FULL_SHARE)
    in_a = serves & (scrape.slot_variant == Variant.A)
    slowest = jnp.max(jnp.where(in_a & (took > 0.0), took, 0.0))
    reported = gateway(scrape, signals.USD_PER_HOUR)
    wanted = (orders.replicas * deployment.money.usd_per_hour).sum()
    return Facts(
        sight=_sight(scrape, rules.fresh_scrapes) & (2 * mute.sum() < serves.sum()),
        met=met,
        missed=missed,
        still=~scrape.changing & scrape.levers_ok,
        ready=(passes[:, None] & is_of).sum(axis=0).astype(jnp.float32),
        well=_well(
            deployment, of_variant(scrape, names.LATENCY_P95), of_variant(scrape, names.ERROR_RATIO)
        )[0],
        silent=mute.any(),
        failing=past.failing >= rules.failed_probes,
        load=work(scrape),
        full=(in_a & (full >= _HALF)).sum() >= _HALF * jnp.maximum(in_a.sum(), 1),
        batch_ms=jnp.where((in_a & (took > 0.0)).any(), slowest, jnp.nan),
        usd=jnp.where(jnp.isnan(reported), wanted, jnp.maximum(reported, wanted)),
    )


def _sight(scrape: Scrape, fresh_scrapes: float) -> Array:
    wanted = (names.ARRIVAL_RATE, names.ERROR_RATIO, names.LATENCY_P95)
    places = jnp.array([signals.GATEWAY_SIGNALS.index(name) for name in wanted])
    young = scrape.age_s[places] <= fresh_scrapes * SCRAPE_S
    return (young & jnp.isfinite(scrape.gateway[places])).all()


def _objectives(deployment: Params, scrape: Scrape) -> tuple[Array, Array]:
    """Return whether the objectives are known to be met, and known to be missed."""
    p95, errors = gateway(scrape, names.LATENCY_P95), gateway(scrape, names.ERROR_RATIO)
    return _well(deployment, p95, errors)


def _well(deployment: Params, p95_ms: Array, errors: Array) -> tuple[Array, Array]:
    """Return whether latency and errors are known to be as promised, and known not to be."""
    late_ms = 1000.0 * P95_OF_P99 * deployment.promise.p99_s
    most = jnp.maximum(1.0 - deployment.promise.availability, _LEAST_ERRORS)
    return (p95_ms <= late_ms) & (errors <= most), (p95_ms > late_ms) | (errors > most)


def remembered(deployment: Params, past: Past, scrape: Scrape, acted: Array, last: Array) -> Past:
    """Return the memory with an action and the scrape after it taken in.

    Args:
        deployment: What its operator configured.
        past: Before.
        scrape: After the action.
        acted: Bool: it changed something.
        last: Which it was.
    """
    probe = of_slot(scrape, names.PROBE_INFERENCE)
    gone = of_slot(scrape, names.PROCESS_UP) <= 0.0
    fails = (probe <= 0.0) | gone
    failing = jnp.where(fails, past.failing + 1.0, jnp.where(probe > 0.0, 0.0, past.failing))
    # Of a slot without a process there is nothing to prove.
    failing = jnp.where(scrape.phase == Phase.EMPTY, 0.0, failing)
    met, _ = _objectives(deployment, scrape)
    loads = work(scrape)
    known = jnp.isfinite(loads[Variant.A])
    at = jnp.where(acted, jnp.roll(past.at, 1).at[0].set(past.step), past.at)
    return Past(
        since=jnp.where(acted, 1.0, jnp.minimum(past.since + 1.0, FAR)),
        last=jnp.where(acted, last, past.last),
        at=at,
        step=past.step + 1.0,
        learnt=past.learnt + met,
        calm=jnp.where(met, past.calm + 1.0, 0.0),
        watched=jnp.where(known, past.watched + 1.0, 0.0),
        peak=jnp.fmax(past.peak, loads),
        failing=failing,
        pages=past.pages,
    )


def work(scrape: Scrape) -> Array:
    """Return the work of each pool, in ready replicas [V]; NaN = not known.

    As `detect.utilisation` has it while the slope of the service law is not learnt: the rate at
    the batches seen, so that what is used is never taken for less. A pool of which one replica
    that should serve says nothing is not known.
    """
    serves = (scrape.phase == Phase.READY) | (scrape.phase == Phase.HUNG)
    took = of_slot(scrape, names.DEVICE_TIME)
    unit = jnp.where(took > 0.0, 1000.0 * of_slot(scrape, names.BATCH_SIZE) / took, jnp.nan)
    is_of = (scrape.slot_variant[:, None] == jnp.arange(VARIANTS)) & serves[:, None]
    total = jnp.where(is_of, unit[:, None], 0.0).sum(axis=0)  # NaN where one of them is
    mean = total / jnp.maximum(is_of.sum(axis=0), 1)
    rate = of_variant(scrape, names.ARRIVAL_RATE)
    return jnp.where(mean > 0.0, rate / mean, jnp.nan)
