"""One tick of traffic: users, gateway, balancer, front end, dependency, batch queues, answers.

Everything here is a rate or an expectation; flow is conserved to rounding. What holds for a whole
block of ticks (service law, routes, limits) is worked out before, in `Ground`.
"""

from typing import Final

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from homeostat.twin import clients, params, tables
from homeostat.twin.apart import apart
from homeostat.twin.effects import Effects
from homeostat.twin.routing import Routes
from homeostat.twin.service import Service
from homeostat.twin.shapes import ATTEMPTS, Phase
from homeostat.twin.state import RETRY_CLASSES, Levers, Slots, by_variant, over_slots

_TINY: Final = 1e-9
# A lost packet is sent again after the least timeout of a new connection (RFC 6298: 1 s).
RESEND_S: Final = 1.0
# Nothing in the twin is slower; keeps latencies of standing queues finite.
LONGEST_S: Final = 3600.0


class Ground(eqx.Module):
    """What holds during a block.

    Attributes:
        service: Service law of each slot.
        routes: Where traffic goes.
        habits: What users do.
        steep: Of the implicit Euler step: the jobs left are the greatest of these lines [K, S].
        less: The same, taken off.
        most: Requests that a full tick can serve [S].
        variant: Which each slot serves [S].
        spread: p50, p95 and p99 of latency over its mean [3, S].
        replicas: Endpoints of each variant that answer [V].
        hung: 1 where a process takes requests and answers none [S].
        dead: 1 where an endpoint is still listed and nothing is there [S].
        concurrency: Requests one replica holds at once.
        admit_rps: Let in at the gateway.
        connections: Requests in flight through the proxy.
        frontend_rps: What one replica's front end passes on.
        dep_rps: What the dependency serves [V].
        dep_s: Time it adds [V].
        delay_s: Network and the filling of batches [S].
        loss: Share of what a replica is sent that is lost at first [S].
    """

    service: Service
    routes: Routes
    habits: clients.Habits
    steep: Array
    less: Array
    most: Array
    variant: Array
    spread: Array
    replicas: Array
    hung: Array
    dead: Array
    concurrency: Array
    admit_rps: Array
    connections: Array
    frontend_rps: Array
    dep_rps: Array
    dep_s: Array
    delay_s: Array
    loss: Array


class Traffic(eqx.Module):
    """What ticks hand on to the next.

    Attributes:
        jobs: In the batch queue and in service [S].
        front: Waiting for the front end [S].
        waiting: For the dependency [V].
        failed: Unrolled ring of failed attempts.
        latency_s: Mean latency, failures at the deadline.
        held_s: Mean time for which an attempt held a connection.
        spare: Attempts after the first that the users' budget holds.
        sums: Of the block so far.
    """

    jobs: Array
    front: Array
    waiting: Array
    failed: Array
    latency_s: Array
    held_s: Array
    spare: Array
    sums: "Sums"


class Sums(eqx.Module):
    """Sums over ticks of rates x dt, each [S] unless said otherwise.

    Attributes:
        tried: Attempts sent to the slot.
        wrong: Of them failed, for whatever reason.
        served: Completed by the device.
        good: Answered right and in time.
        turned: Refused by the slot because it is full.
        adrift: Attempts that reached no slot of their variant [V].
        refused: Refused at the gateway, scalar.
    """

    tried: Array
    wrong: Array
    served: Array
    good: Array
    turned: Array
    adrift: Array
    refused: Array


class Told(eqx.Module):
    """What the judge is told of a tick; rates in 1/s.

    Attributes:
        good: Unique requests answered right and in time.
        refused: At the gateway, on purpose.
        attempts: Let in, retries included.
        errors: Attempts that fail.
        latency_s: Mean, those that fail counted at the deadline.
        queue: Requests in the system.
        balance: Attempts let in without an outcome, for tests: 0 up to rounding.
    """

    good: Array
    refused: Array
    attempts: Array
    errors: Array
    latency_s: Array
    queue: Array
    balance: Array


def no_sums(slots: int, variants: int) -> Sums:
    """Return sums over no tick."""
    zeros = jnp.zeros(slots)
    return Sums(
        tried=zeros,
        wrong=zeros,
        served=zeros,
        good=zeros,
        turned=zeros,
        adrift=jnp.zeros(variants),
        refused=jnp.float32(0.0),
    )


def ground(
    deployment: params.Params,
    fx: Effects,
    levers: Levers,
    slots: Slots,
    service: Service,
    routes: Routes,
    dt: float,
) -> Ground:
    """Return what holds during a block.

    Args:
        deployment: Its parameters.
        fx: Faults in force.
        levers: In force.
        slots: As of now.
        service: How they serve.
        routes: Where traffic goes.
        dt: Length of a tick, seconds.
    """
    limits, variant = deployment.limits, slots.variant
    most = dt * service.row.capacity * service.speed
    steep = 1.0 / (1.0 + most * service.row.slope)
    alive = (slots.phase == Phase.READY) | (slots.phase == Phase.HUNG)
    dead = (slots.stale_s > 0.0) & ~alive
    return Ground(
        service=service,
        routes=routes,
        habits=clients.habits(deployment.client, fx, dt),
        steep=steep,
        less=most * service.row.intercept * steep,
        most=most,
        variant=variant,
        spread=jnp.stack([slots.p50, slots.p95, slots.p99]),
        replicas=over_slots(alive.astype(jnp.float32), variant),
        hung=(slots.phase == Phase.HUNG).astype(jnp.float32),
        dead=dead.astype(jnp.float32),
        concurrency=levers.concurrency,
        admit_rps=levers.admit_rps,
        connections=fx.limit("conn_limit", limits.connections),
        frontend_rps=fx.limit("frontend_capacity_rps", limits.frontend_rps),
        dep_rps=fx.limit("dep_capacity_rps", limits.dependency_rps),
        dep_s=jnp.maximum(fx.of("dep_latency_s"), 0.0),
        delay_s=limits.network_s + jnp.maximum(fx.of("net_delay_s"), 0.0),
        loss=fx.share("net_loss"),
    )


def tick(
    ground: Ground, traffic: Traffic, offered: Array, at: Array, dt: float
) -> tuple[Traffic, Told]:
    """Return what one tick leaves behind, and what became of its requests.

    Args:
        ground: What holds during the block.
        traffic: As of the last tick.
        offered: Unique requests, 1/s.
        at: Position of this tick in the unrolled ring.
        dt: Length of a tick, seconds.
    """
    habits = ground.habits
    again = clients.returning(traffic.failed, habits, at)[: ATTEMPTS - 1]
    part, spare = clients.granted(habits, traffic.spare, offered, again.sum(), dt)
    tries = jnp.concatenate([offered[None], again * part])
    total = tries.sum()
    let_in = jnp.minimum(total, ground.admit_rps)
    refused = total - let_in
    fits = _fits(ground, traffic, let_in)
    through = let_in * fits
    to_variant = through * ground.routes.weights
    sent, waiting, dep_s, spilled = _dependency(ground, traffic, to_variant, dt)
    # Who waited for the dependency may find that nobody is left to serve it.
    adrift = (to_variant + sent) * (1.0 - ground.routes.reachable) + spilled
    adrift = adrift + (let_in - through) * ground.routes.weights
    rate = apart(lambda: ground.routes.share * by_variant(sent, ground.variant))
    jobs, front, served, turned, wait_s = apart(lambda: _replicas(ground, traffic, rate, dt))
    extra_s = ground.delay_s + by_variant(dep_s, ground.variant) + wait_s + _fill_s(ground, rate)
    mean_s = _mean_s(ground, jobs, served)
    late = apart(lambda: _late(ground, mean_s, extra_s))
    # From here on: what becomes of the requests sent to each slot in this tick.
    fast = ground.service.fast * rate
    taken = jnp.maximum(rate - fast - turned, 0.0)  # rounding must not owe anybody an answer
    given_up = taken * late
    answered = taken - given_up
    failing = answered * ground.service.error
    said = answered - failing
    right = said * (1.0 - ground.service.nan)
    wrong = fast.sum() + turned.sum() + failing.sum() + adrift.sum()
    given_up_all = given_up.sum()
    latency_s = _users_s(ground, traffic, mean_s + extra_s, said, let_in)
    split = tries[:RETRY_CLASSES] / jnp.maximum(total, _TINY)
    failed = clients.note(traffic.failed, habits, at, split * given_up_all, split * wrong)
    sums = traffic.sums
    after = Traffic(
        jobs=jobs,
        front=front,
        waiting=waiting,
        failed=failed,
        latency_s=latency_s,
        held_s=_held_s(ground, traffic, mean_s + extra_s, (rate, taken, fast)),
        spare=spare,
        sums=Sums(
            tried=sums.tried + rate * dt,
            wrong=sums.wrong + (fast + turned + given_up + failing) * dt,
            served=sums.served + served * dt,
            good=sums.good + right * dt,
            turned=sums.turned + turned * dt,
            adrift=sums.adrift + adrift * dt,
            refused=sums.refused + refused * dt,
        ),
    )
    invalid = said.sum() - right.sum()
    held = (waiting - traffic.waiting).sum() / dt
    told = Told(
        good=right.sum(),
        refused=refused,
        attempts=let_in,
        errors=given_up_all + wrong,
        latency_s=latency_s,
        queue=jobs.sum() + front.sum() + waiting.sum(),
        balance=let_in - right.sum() - invalid - given_up_all - wrong - held,
    )
    return after, told


def _fits(ground: Ground, traffic: Traffic, rate: Array) -> Array:
    """Return the share of attempts that find a connection.

    By Little's law they need rate x time held of them.
    """
    needed = jnp.maximum(rate * traffic.held_s, _TINY)
    return jnp.minimum(ground.connections / needed, 1.0)


def _dependency(
    ground: Ground, traffic: Traffic, rate: Array, dt: float
) -> tuple[Array, Array, Array, Array]:
    """Return what passes the dependency [V], waits for it, its time, and what finds no worker."""
    reached = rate * ground.routes.reachable
    sent = jnp.minimum(reached + traffic.waiting / dt, ground.dep_rps)
    waiting = jnp.maximum(traffic.waiting + dt * (reached - sent), 0.0)
    # Who waits for the dependency holds a worker; there are no more than the replicas have.
    room = ground.concurrency * jnp.maximum(ground.replicas, 1.0)
    room = jnp.maximum(room - over_slots(traffic.jobs, ground.variant) - sent * ground.dep_s, 1.0)
    spilled = jnp.maximum(waiting - room, 0.0)
    waiting = waiting - spilled
    took_s = ground.dep_s + waiting / ground.dep_rps
    return sent, waiting, jnp.minimum(took_s, LONGEST_S), spilled / dt


def _replicas(
    ground: Ground, traffic: Traffic, rate: Array, dt: float
) -> tuple[Array, Array, Array, Array, Array]:
    """Return jobs, front-end queue, completions, refusals (1/s) and front-end time, each [S]."""
    service = ground.service
    taken = rate * (1.0 - service.fast)
    kept = taken * (1.0 - ground.dead)
    waits = kept * (service.answers)
    passed = jnp.minimum(waits + traffic.front / dt, ground.frontend_rps)
    front = jnp.maximum(traffic.front + dt * (waits - passed), 0.0)
    # Only what comes now can be refused; who is in stays in, also under a lowered limit.
    over = jnp.minimum(jnp.maximum(front - ground.concurrency, 0.0), waits * dt)
    front = front - over
    crowd = jnp.minimum(passed / ground.frontend_rps, 0.98)
    # Deterministic work at the front end: rho / (2 (1 - rho)) of its own service time (M/D/1).
    wait_s = (front + 0.5 * crowd / (1.0 - crowd)) / ground.frontend_rps
    entering = passed + kept * ground.hung
    target = traffic.jobs + dt * entering
    # `tables.Row.next_jobs`, its lines made ready once per block.
    lines = (target * ground.steep - ground.less).max(axis=0)
    after = jnp.maximum(jnp.maximum(lines, target - ground.most), 0.0)
    served = jnp.maximum((target - after) / dt, 0.0)
    after = service.row.without_given_up(
        traffic.jobs, after, entering, dt, ground.habits.timeout_s, ground.habits.cancel,
        service.speed,
    )  # fmt: skip
    after = jnp.maximum(after, 0.0)
    excess = jnp.minimum(jnp.maximum(after - ground.concurrency, 0.0), kept * dt - over)
    return after - excess, front, served, (over + excess) / dt, jnp.minimum(wait_s, LONGEST_S)


def _fill_s(ground: Ground, rate: Array) -> Array:
    """Return the time that a request waits for its batch to fill: half, at most half the limit."""
    others = (ground.service.kinds.batch_max - 1.0) / jnp.maximum(rate, _TINY)
    return 0.5 * jnp.minimum(ground.service.fill_s, others)


def _mean_s(ground: Ground, jobs: Array, served: Array) -> Array:
    """Return the mean latency of a request that comes now, by Little's law [S]."""
    alone_s = ground.service.row.first_s / jnp.maximum(ground.service.speed, _TINY)
    found = jnp.where(served > _TINY, jobs / jnp.maximum(served, _TINY), alone_s)
    return jnp.minimum(found, LONGEST_S)


def _late(ground: Ground, mean_s: Array, extra_s: Array) -> Array:
    """Return the share of each slot's requests that will be given up [S]."""
    timeout_s = ground.habits.timeout_s
    p50, p95, p99 = ground.spread * mean_s
    first = tables.survival(timeout_s - extra_s, p50, p95, p99)
    resent = tables.survival(timeout_s - extra_s - RESEND_S, p50, p95, p99)
    mixed = first + ground.loss * (resent - first)
    never = (ground.hung + ground.dead) > 0.0
    return jnp.where(never | (extra_s >= timeout_s), 1.0, jnp.clip(mixed, 0.0, 1.0))


def _held_s(
    ground: Ground, traffic: Traffic, took_s: Array, rates: tuple[Array, Array, Array]
) -> Array:
    """Return the mean time for which an attempt held a connection; users hang up at the timeout.

    Of all that reach a slot, those taken in and those that fail at once; who is refused by a full
    slot holds nothing.
    """
    rate, taken, fast = rates
    took_s = jnp.minimum(took_s, ground.habits.timeout_s)
    never = (ground.hung + ground.dead) > 0.0
    took_s = jnp.where(never, ground.habits.timeout_s, took_s)
    total = (taken * took_s + fast * ground.service.fast_s).sum()
    reached = rate.sum()
    return jnp.where(reached > _TINY, total / jnp.maximum(reached, _TINY), traffic.held_s)


def _users_s(ground: Ground, traffic: Traffic, took_s: Array, said: Array, let_in: Array) -> Array:
    """Return the mean latency, everything that is not an answer counted at the deadline.

    An invalid answer comes as fast as a valid one: that it is worth nothing is for quality to say.
    """
    timeout_s = ground.habits.timeout_s
    took_s = jnp.minimum(took_s + ground.loss * RESEND_S, timeout_s)
    total = (said * (took_s - timeout_s)).sum() + let_in * timeout_s
    return jnp.where(let_in > _TINY, total / jnp.maximum(let_in, _TINY), traffic.latency_s)
