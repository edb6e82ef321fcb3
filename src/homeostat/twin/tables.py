"""Queue tables: how many jobs a batching replica holds at a load, and what latency that means.

A tick asks one thing of every replica: where do its jobs go in `dt` seconds? In the
pointwise-stationary fluid flow, dx/dt = lambda - g(x), where g is the inverse of the stationary
E[N](lambda) of the batch-service queue. g is concave, so it is kept as the least of `K` lines, and
the implicit Euler step x' = H^-1(x + dt lambda), H(x) = x + dt g(x), is then the greatest of as
many lines: no search, no gather, no iteration; unconditionally stable, exact where stationary,
and exact fluid in overload, where the least line is the capacity.

How to use it in a tick:

    row = tables.row(tau0_s, alpha_s, batch_max, cv2, ca2)  # once per chunk, or per tick for [V]
    jobs_after = row.next_jobs(jobs, rate, dt, speed)  # [S] in, [S] out
    served = rate - (jobs_after - jobs) / dt  # 1/s: flow is conserved by construction
    mean, p50, p95, p99 = row.quantiles(jobs_after, speed)
    late = row.late(jobs_after, deadline, speed)  # P(latency > deadline)

`speed` is the replica's speed over its contention: it stretches time and needs no new row; 0 is a
replica that stands still. A row's arrays have the knots first, [K, ...], then whatever shape its
arguments broadcast to; rows of variants become rows of slots by `row.take(variant_of_slot)`.

This is means and one-dimensional distributions: no per-request noise, no correlated batches. The
event-driven reference in the lab judges it. Sources: Green and Kolesar, "The pointwise stationary
approximation", Management Science 37 (1991); Wang, Tipper and Banerjee, "A simple approximation
for modeling nonstationary queues", INFOCOM 1996 (PSFFA); `closed_forms.batch_queue` for E[N].
"""

import base64
import math
from typing import Final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from homeostat.twin import table_curves, table_data, table_pools, table_varied
from homeostat.twin import table_grid as grid
from homeostat.twin.apart import apart

_TINY: Final = 1e-6  # jobs; below it a latency is that of an empty replica
_STENCIL: Final = 4  # cubic interpolation between table cells: within 0.8 %, linear 4 %
_TOP: Final = grid.BATCHES[-1]


class Row(eqx.Module):
    """The curves of one kind of replica (or of several, side by side), ready for a tick.

    Attributes:
        capacity: Requests per second in full batches [...].
        first_s: Latency in an empty replica, S(1) [...].
        batch: Largest batch [...].
        intercept: Of load against jobs, for each line [K, ...].
        slope: The same, per job [K, ...].
        place: Jobs at the knots of the quantiles [Q, ...], from 0.
        seconds: p50, p95, p99 at these knots [Q, 3, ...].
    """

    capacity: Array
    first_s: Array
    batch: Array
    intercept: Array
    slope: Array
    place: Array
    seconds: Array

    def take(self, index: Array) -> "Row":
        """Return the row of each slot from a row of variants.

        Args:
            index: Of the last axis, for each slot [S], int.
        """
        slots: Row = jax.tree.map(lambda leaf: jnp.take(leaf, index, axis=-1), self)
        return slots

    def next_jobs(self, jobs: Array, rate: Array, dt: float, speed: ArrayLike = 1.0) -> Array:
        """Return the jobs in the system after `dt` seconds of arrivals at `rate`.

        Args:
            jobs: Now, in the queue and in service [...].
            rate: Arrivals per second [...].
            dt: Seconds.
            speed: Of the replica over its contention, 1 = as measured [...].
        """
        target = jobs + dt * rate
        most = dt * self.capacity * speed
        intercept, slope = _over(self.intercept, target), _over(self.slope, target)
        lines = (target - most * intercept) / (1.0 + most * slope)
        # The flat line is full capacity; rounding may not leave fewer than no jobs.
        return jnp.maximum(lines.max(axis=0), jnp.maximum(target - most, 0.0))

    def without_given_up(
        self,
        jobs: Array,
        after: Array,
        rate: Array,
        dt: float,
        timeout_s: ArrayLike,
        cancel: ArrayLike,
        speed: ArrayLike = 1.0,
    ) -> Array:
        """Return `after`, less the jobs that the server drops because their users gave up.

        Only jobs that still wait can be dropped, and nobody knows before the timeout: the queue
        stays as long as the timeout, and what is served from it comes just too late. So dropping
        alone does not end a retry storm (the reference shows it); a longer queue grows by those
        only that are not dropped.

        Args:
            jobs: Before the step [...].
            after: Of `next_jobs` with all that arrive.
            rate: Arrivals per second [...].
            dt: Seconds.
            timeout_s: Of users.
            cancel: Share of given-up jobs that are dropped.
            speed: As in `next_jobs`.
        """
        fastest = self.capacity * speed
        full = fastest * timeout_s + self.batch
        kept = jobs + dt * (rate * (1.0 - jnp.asarray(cancel)) - fastest)
        # Where nothing is dropped, `after` stands, whatever the fluid without a table says.
        return jnp.where(
            jnp.asarray(cancel) > 0.0, jnp.minimum(after, jnp.maximum(full, kept)), after
        )

    def load(self, jobs: Array) -> Array:
        """Return the load that keeps so many jobs in the system, 0..1."""
        lines = _over(self.intercept, jobs) + _over(self.slope, jobs) * jobs
        return jnp.minimum(lines.min(axis=0), 1.0)

    def throughput(self, jobs: Array, speed: ArrayLike = 1.0) -> Array:
        """Return g(jobs): requests per second served."""
        return self.capacity * speed * self.load(jobs)

    def latency(self, jobs: Array, speed: ArrayLike = 1.0) -> Array:
        """Return the mean latency in seconds, jobs / g(jobs) (Little); inf where speed is 0."""
        held = jnp.maximum(jobs, _TINY)
        return held / self.throughput(held, speed)

    def quantiles(self, jobs: Array, speed: ArrayLike = 1.0) -> tuple[Array, Array, Array, Array]:
        """Return (mean, p50, p95, p99) of latency in seconds; inf where speed is 0.

        Up to a load of about 0.95 the jobs are taken as stationary; from 0.986 on they are a
        backlog that everybody waits for, with hardly any spread; between, the two are joined.
        """
        # Written out knot by knot: three sums over one axis would not fuse, and take three times
        # as long (the greatest of lines above is the other way round).
        shares = [
            jnp.clip((jobs - low) / (high - low), 0.0, 1.0)
            for low, high in zip(self.place[:-1], self.place[1:], strict=True)
        ]
        backlog_s = jobs / self.capacity
        found = []
        for q, ratio in enumerate(grid.BACKLOG):
            value = self.seconds[0, q] + jnp.zeros_like(jobs)
            for k, share in enumerate(shares):
                value += share * (self.seconds[k + 1, q] - self.seconds[k, q])
            found.append(jnp.maximum(value, ratio * backlog_s) if q else value)
        beyond = jnp.maximum(jobs - self.place[-1], 0.0) / self.capacity
        p50, p95, p99 = (found[0] + beyond) / speed, found[1] / speed, found[2] / speed
        return self.latency(jobs, speed), p50, p95, p99

    def late(self, jobs: Array, deadline_s: ArrayLike, speed: ArrayLike = 1.0) -> Array:
        """Return the probability that a request takes longer than `deadline_s`."""
        _, p50, p95, p99 = self.quantiles(jobs, speed)
        return survival(jnp.asarray(deadline_s), p50, p95, p99)

    def capacity_within(self, p99_s: ArrayLike, speed: ArrayLike = 1.0) -> Array:
        """Return the highest rate whose stationary p99 is at most `p99_s`; 0 if there is none.

        Args:
            p99_s: Promised latency in seconds; `inf` gives the full capacity.
            speed: As in `next_jobs`.
        """
        wanted = jnp.asarray(p99_s) * speed
        jobs = jnp.zeros_like(self.capacity)  # found on the same lines as `quantiles`
        for k in range(len(self.place) - 1):
            low, high = self.seconds[k, 2], self.seconds[k + 1, 2]
            share = jnp.clip((wanted - low) / jnp.maximum(high - low, 1e-9), 0.0, 1.0)
            jobs += share * (self.place[k + 1] - self.place[k])
        load = jnp.where(wanted >= self.seconds[0, 2], self.load(jobs), 0.0)
        return self.capacity * speed * jnp.minimum(load, grid.LOADS[-1])


class Tables(eqx.Module):
    """The stored curves; see `table_grid` for what each number means.

    Attributes:
        one: `wait` and `varied` [1 + CV2, BATCHES, MIXES, LOADS].
        many: [1 + CV2, BATCHES, RATIO_MIXES, LOADS].
        way: [REPLICAS, LOADS].
        spread: [2, BATCHES, RATIO_MIXES, RATIO_LOADS, QUANTILES].
    """

    one: Array
    many: Array
    way: Array
    spread: Array

    def row(
        self,
        tau0_s: ArrayLike,
        alpha_s: ArrayLike,
        batch_max: ArrayLike,
        cv2: ArrayLike = 0.0,
        ca2: ArrayLike = 1.0,
        looks: ArrayLike = 0.0,
        replicas: ArrayLike = 1.0,
    ) -> Row:
        """Return the curves of replicas; cheap, but meant for once per chunk or per variant.

        Args:
            tau0_s: Fixed time of a batch [...].
            alpha_s: Time per request [...].
            batch_max: Largest batch, 1..256 (clipped) [...]; need not be whole.
            cv2: Squared coefficient of variation of the service time [...].
            ca2: The same of the time between arrivals at the replica [...]; 1 = Poisson. A random
                split of a stream over n replicas leaves 1 + (ca2 - 1) / n.
            looks: Share of requests that go to the shorter of two queues [...]; 0 = random choice.
            replicas: That share the traffic [...].
        """
        args = (tau0_s, alpha_s, batch_max, cv2, ca2, looks, replicas)
        each = [jnp.asarray(value, float) for value in args]
        # Apart, or the compiler works them out anew for every knot.
        tau0, alpha, batch, cv2, ca2, looks, count = apart(lambda: jnp.broadcast_arrays(*each))
        batch = jnp.clip(batch, 1.0, _TOP)
        capacity, first = batch / (tau0 + alpha * batch), tau0 + alpha
        root = jnp.sqrt(alpha + 1e-12)
        place = root / (root + jnp.sqrt(grid.KNEE * tau0 + 1e-12))
        axes = ((jnp.log2(batch), len(grid.BATCHES)), (place * (grid.MIXES - 1), grid.MIXES))
        by_batch, by_mix = apart(lambda: tuple(_weights(at, size) for at, size in axes))
        by_ratio = _weights(place * (grid.RATIO_MIXES - 1), grid.RATIO_MIXES)
        loads = _column(grid.LOADS, batch)
        floor = loads * capacity * first
        pick = "...b,...m,cbmk->ck..."
        one = jnp.exp(jnp.einsum(pick, by_batch, by_mix, self.one))
        many = jnp.exp(jnp.einsum(pick, by_batch, by_ratio, self.many))
        one, many = (table_curves.at_variation(curves, cv2) for curves in (one, many))
        shared = looks * (1.0 - table_curves.way_to_one(self.way, count))
        stationary = floor * (one + shared * (many - one))
        stationary += table_curves.by_bursts(loads, batch, cv2, ca2)
        jobs = apart(lambda: jnp.maximum(stationary, floor))
        spread = jnp.einsum("...b,...m,cbmlq->clq...", by_batch, by_ratio, self.spread)
        knots, seconds = _quantile_knots(jobs, loads, capacity, first, cv2, spread)
        intercept, slope = _lines(jobs, loads)
        return Row(
            capacity=capacity,
            first_s=first,
            batch=batch,
            intercept=intercept,
            slope=slope,
            place=knots,
            seconds=seconds,
        )


def load() -> Tables:
    """Return the tables that come with the package; `lab.tables` makes them anew."""
    batches, loads, varied = len(grid.BATCHES), len(grid.LOADS), len(grid.CV2)
    wait = _unpack(table_data.WAIT, "<u2", (1, batches, grid.MIXES, loads)) * grid.WAIT_STEP
    wide = _unpack(table_varied.VARIED, "<u2", (varied, batches, grid.MIXES, loads))
    many = _unpack(table_pools.MANY, "<u2", (1 + varied, batches, grid.RATIO_MIXES, loads))
    shape = (2, batches, grid.RATIO_MIXES, len(grid.RATIO_LOADS), len(grid.QUANTILES))
    return Tables(
        one=grid.WAIT_LEAST + jnp.concatenate([wait, wide * grid.VARIED_STEP]),
        many=grid.WAIT_LEAST + many * grid.VARIED_STEP,
        way=_unpack(table_pools.WAY, "<f2", (len(grid.REPLICAS), loads)),
        spread=_unpack(table_data.SPREAD, "<f2", shape),
    )


def survival(deadline_s: Array, p50: Array, p95: Array, p99: Array) -> Array:
    """Return P(latency > deadline) for a distribution known by three quantiles.

    Its log is linear between the quantiles and beyond the last one; below the median it is the
    mirror image, which suits both a short queue and a backlog. Shapes broadcast.
    """
    distance = jnp.abs(deadline_s - p50)
    near = jnp.maximum(p95 - p50, 1e-9 * p50 + 1e-12)
    far = jnp.maximum(p99 - p95, 1e-3 * near)
    # From 0.5 at the median to 0.05 at p95, then a factor of 5 for every p99 - p95.
    steep = math.log(10.0) * jnp.minimum(distance / near, 1.0)
    steep += math.log(5.0) * jnp.maximum(distance - near, 0.0) / far
    tail = 0.5 * jnp.exp(-steep)
    # inf - inf of a replica that stands still: everything is late.
    return jnp.where(jnp.isfinite(p50), jnp.where(deadline_s >= p50, tail, 1.0 - tail), 1.0)


def next_jobs(
    tables: Tables,
    jobs: Array,
    rate: Array,
    dt: float,
    tau0_s: ArrayLike,
    alpha_s: ArrayLike,
    batch_max: ArrayLike,
) -> Array:
    """Return `Row.next_jobs` of a row made on the spot."""
    return tables.row(tau0_s, alpha_s, batch_max).next_jobs(jobs, rate, dt)


def capacity_within(
    tables: Tables, tau0_s: ArrayLike, alpha_s: ArrayLike, batch_max: ArrayLike, p99_s: ArrayLike
) -> Array:
    """Return `Row.capacity_within` of a row made on the spot."""
    return tables.row(tau0_s, alpha_s, batch_max).capacity_within(p99_s)


def _unpack(text: str, kind: str, shape: tuple[int, ...]) -> Array:
    values = np.frombuffer(base64.b85decode(text), kind).reshape(shape)
    return jnp.asarray(values, jnp.float32)


def _over(knots: Array, like: Array) -> Array:
    """Return [K, ...] such that it broadcasts over `like`: one row may serve many slots."""
    missing = max(like.ndim + 1 - knots.ndim, 0)
    return knots.reshape(knots.shape[0], *(1,) * missing, *knots.shape[1:])


def _column(values: tuple[float, ...], like: Array) -> Array:
    return jnp.asarray(values, like.dtype).reshape(-1, *(1,) * like.ndim)


def _weights(place: Array, size: int) -> Array:
    """Return cubic Lagrange weights [..., size] for a place on an even axis 0..size-1."""
    start = jnp.clip(jnp.floor(place) - 1.0, 0.0, size - _STENCIL)
    axis = jnp.arange(size, dtype=place.dtype)
    total = jnp.zeros((*place.shape, size), place.dtype)
    for k in range(_STENCIL):
        weight = jnp.ones_like(place)
        for other in (n for n in range(_STENCIL) if n != k):
            weight *= (place - start - other) / (k - other)
        total += jnp.where(axis == (start + k)[..., None], weight[..., None], 0.0)
    return total


def _lines(jobs: Array, loads: Array) -> tuple[Array, Array]:
    """Return the chords of load against jobs, the first one from the origin."""
    rise = jnp.diff(loads, axis=0, prepend=0.0)
    run = jnp.diff(jobs, axis=0, prepend=0.0)
    slope = rise / jnp.maximum(run, 1e-6)
    # Where the curve is not quite concave (alpha near 0) a chord would serve before anybody came.
    slope = jnp.minimum(slope, loads / jnp.maximum(jobs, 1e-6))
    return jnp.maximum(loads - slope * jobs, 0.0), slope


def _quantile_knots(
    jobs: Array, loads: Array, capacity: Array, first: Array, cv2: Array, spread: Array
) -> tuple[Array, Array]:
    """Return the jobs at the quantiles' knots [Q, ...] and the quantiles there [Q, 3, ...].

    The spread for a cv2 between the stored 0 and 1 (or beyond) is interpolated on the scale on
    which it is exact for an empty replica, whose latency is one lognormal service time.
    """
    sigma2 = jnp.log1p(cv2)
    sigma = jnp.sqrt(sigma2 + 1e-12)
    empty = jnp.stack([z * sigma - sigma2 / 2 for z in _NORMAL])
    full = math.log(2.0)
    unit = [z * math.sqrt(full) - full / 2 for z in _NORMAL]
    share = jnp.stack([empty[q] / unit[q] for q in range(len(_NORMAL))])
    ratios = jnp.exp(spread[0] + share * (spread[1] - spread[0]))
    places = np.asarray(grid.RATIO_PLACES)
    held, last = jobs[places], jobs[-1]
    mean = held / (loads[places] * capacity)
    stationary = ratios * mean[:, None]
    end = jnp.stack([ratio * last / (loads[-1] * capacity) for ratio in grid.BACKLOG])
    seconds = jnp.concatenate([(first * jnp.exp(empty))[None], stationary, end[None]])
    knots = jnp.concatenate([jnp.zeros_like(held[:1]), held, last[None]])
    return knots, jax.lax.cummax(seconds, axis=0)


_NORMAL: Final = (0.0, 1.6448536, 2.3263479)  # quantiles of the standard normal distribution
