"""Robust regression of the service time on batch and concurrency: S = tau0 + alpha b (+ gamma q).

Two kinds of rows can say it: the time of a batch beside its size, or the throughput beside the
number that is running, n / (tau0 + alpha n). Gross errors are limited as Huber does, on a scale
taken from the 5 to 95 % range of the errors and not from their median: where one sample in eight
is slow because other work comes in between, that is part of the mean that capacity is made of, and
an estimate for the typical row would promise a tenth more than there is.
Sources: Huber, "Robust Statistics" (1981), 7.3; the law is linear in batch as measured for
Clockwork (Gujarati et al., OSDI 2020).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from homeostat.twin import fit_bootstrap as bootstrap
from homeostat.twin.fit_frame import Floats, Frame, Ints, NotIdentifiedError

FEWEST_ROWS: Final = 8
ENOUGH: Final = 4.0  # a batch must vary so much for tau0 and alpha to be told apart
_LIMIT: Final = 3.0  # sigmas at which Huber's weight begins to fall
_IMPOSSIBLE: Final = 8.0  # sigmas at which it is nothing
_WIDE: Final = 3.29  # sigmas between the 5 % and the 95 % quantile of a normal error
_KNOWN: Final = 0.8  # share of rows, or correlation, from which demand explains batches
_ROUNDS: Final = 60
_TINY: Final = 1e-9
_RANGE: Final = (0.02, 0.98)  # quantiles between which batches count as observed


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """The rows that say something of the service law.

    Attributes:
        row: Of the frame [m].
        batch: Requests per batch and replica [m].
        waiting: Requests of one replica beyond the batch; NaN if unknown [m].
        seen: Observed seconds of a batch, or throughput of a replica [m].
        weight: Of each row [m].
        by_throughput: What `seen` is.
        driven: The batch as the demand alone explains it; the batch itself if unknown [m].
    """

    row: Ints
    batch: Floats
    waiting: Floats
    seen: Floats
    weight: Floats
    by_throughput: bool
    driven: Floats

    @property
    def variation(self) -> float:
        """How many times the smallest observed batch the largest one is."""
        low, high = np.quantile(self.batch, _RANGE)
        return float(high / max(low, _TINY))

    @property
    def service_s(self) -> Floats:
        """Observed or implied seconds of a batch [m]."""
        return self.batch / self.seen if self.by_throughput else self.seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """A fitted service law.

    Attributes:
        theta: tau0, alpha and, if asked for, gamma, in seconds [2 or 3].
        draws: The same of each bootstrap draw [draws, 2 or 3].
        error: Relative error of each point, seen / expected - 1 [m].
        r2: Share of the variance that the law explains.
        block: Rows of a bootstrap block.
        limited: Share of points whose weight was cut as a gross error.
    """

    theta: Floats
    draws: Floats
    error: Floats
    r2: float
    block: int
    limited: float


def batches(frame: Frame) -> Floats:
    """Return the requests per batch and replica of each row; NaN where not known [n]."""
    if frame.has("batch_size"):
        return frame["batch_size"]
    return np.asarray(frame["running"] / np.maximum(replicas(frame), 1.0))


def replicas(frame: Frame) -> Floats:
    """Return the ready replicas of each row; 1 if the recording never says [n]."""
    return frame["replicas"] if frame.has("replicas") else np.ones(frame.rows)


def in_flight(frame: Frame) -> Floats:
    """Return the requests in the system; from queue and running if that is what there is [n]."""
    return frame["in_flight"] if frame.has("in_flight") else frame["queue"] + frame["running"]


def points(frame: Frame) -> Points:
    """Return what the frame says of the service law.

    Raises:
        NotIdentifiedError: The columns are missing, too few rows are busy, or batches never vary.
    """
    batch, count = batches(frame), replicas(frame)
    direct = frame.has("service_s")
    if not np.isfinite(batch).any() or not (direct or frame.has("throughput")):
        raise NotIdentifiedError(
            f"{frame.source}: the service law needs batch_size or running, and service_s or "
            "throughput; add these columns"
        )
    seen = frame["service_s"] if direct else frame["throughput"] / np.maximum(count, 1.0)
    with np.errstate(invalid="ignore"):
        use = (batch > 0) & (seen > 0) & (count > 0)
    row = np.flatnonzero(use)
    if len(row) < FEWEST_ROWS:
        raise NotIdentifiedError(
            f"{frame.source}: {len(row)} rows show a busy replica, {FEWEST_ROWS} are needed; "
            "record for longer"
        )
    if float(np.ptp(batch[row])) <= 1e-6 * float(batch[row].max()):
        raise NotIdentifiedError(
            f"{frame.source}: the batch is {batch[row][0]:g} in every row, so the fixed time and "
            "the time per request cannot be told apart; record while the load changes"
        )
    waiting = np.maximum(in_flight(frame) / np.maximum(count, 1.0) - batch, 0.0)
    return Points(
        row=row,
        batch=batch[row],
        waiting=waiting[row],
        seen=seen[row],
        weight=_weights(frame, row) if direct else np.ones(len(row)),
        by_throughput=not direct,
        driven=_driven(frame, row, batch) if direct else batch[row],
    )


def batches_served(frame: Frame) -> Floats:
    """Return the batches that each row's means are over; NaN if not known [n]."""
    return np.asarray(frame["throughput"] * frame.step_s / np.maximum(batches(frame), 1.0))


def fit(found: Points, *, concurrency: bool = False, seed: int = 0) -> Law:
    """Return the law of the points.

    Args:
        found: At least `FEWEST_ROWS` of them.
        concurrency: Fit gamma too: seconds that each waiting request adds to a batch.
        seed: Of the bootstrap.
    """
    columns = [np.ones_like(found.batch), found.batch]
    if concurrency:
        columns.append(found.waiting)
    x = np.stack(columns, axis=1)
    theta, weight = _solve(found, x)
    expected, slope = _model(found, x, theta)
    errors = found.seen - expected
    length = bootstrap.block_length(errors / expected)
    block = bootstrap.blocks(len(errors), length)
    left = _left(found, slope)
    push = bootstrap.sums(left * (weight * errors)[:, None], block)
    bend = bootstrap.sums(left[:, :, None] * (slope * weight[:, None])[:, None, :], block)
    chosen = bootstrap.counts(len(push), bootstrap.DRAWS, seed)
    steps = _newton(np.einsum("db,bij->dij", chosen, bend), chosen @ push)
    draws = bootstrap.wider(theta + steps, theta, len(push))
    spread = found.seen - np.average(found.seen, weights=found.weight)
    limited = weight < 0.999 * found.weight * _shape(found, expected)
    return Law(
        theta=theta,
        draws=np.maximum(draws, 0.0) if not concurrency else draws,
        error=errors / expected,
        r2=1.0 - float((found.weight * errors**2).sum() / (found.weight * spread**2).sum()),
        block=length,
        limited=float(limited.mean()),
    )


def expected(by_throughput: bool, batch: Floats, tau0_s: float, alpha_s: float) -> Floats:  # noqa: FBT001 - a kind of row, not a switch
    """Return the seconds of a batch, or the throughput, that the law says."""
    service = tau0_s + alpha_s * batch
    return np.asarray(batch / service if by_throughput else service)


def _weights(frame: Frame, row: Ints) -> Floats:
    """Return weights by how many batches a row's mean is over, where that is known."""
    served = batches_served(frame)[row]
    if not np.isfinite(served).all():
        return np.ones(len(row))
    return np.clip(served / max(float(np.median(served)), _TINY), 0.1, 10.0)


def _shape(found: Points, expected: Floats) -> Floats:
    """Return the weight that makes errors alike: those of a time grow with the time."""
    return np.ones_like(expected) if found.by_throughput else 1.0 / expected**2


def _model(found: Points, x: Floats, theta: Floats) -> tuple[Floats, Floats]:
    """Return what is expected [m], and its slope in theta [m, k]."""
    service = np.maximum(x @ theta, _TINY)
    if not found.by_throughput:
        return service, x
    rate = found.batch / service
    return rate, -(rate / service)[:, None] * x


def _left(found: Points, slope: Floats) -> Floats:
    """Return what errors must be free of [m, k]: the slopes, with batches as demand drives them.

    A batch that happens to be slow lets the next one grow, so a row's batch is not free of its
    errors; what demand explains of it is (instrumental variables; Wooldridge, 2010, chapter 5).
    """
    if found.by_throughput:
        return slope
    left = slope.copy()
    left[:, 1] = found.driven
    return left


def _driven(frame: Frame, row: Ints, batch: Floats) -> Floats:
    """Return the batch that the demand of each row makes, by a cubic in its log [m]."""
    seen = batch[row]
    rate = frame["request_rate"][row] / np.maximum(replicas(frame)[row], 1.0)
    with np.errstate(invalid="ignore"):
        use = rate > 0
    if use.sum() < _KNOWN * len(row) or np.ptp(rate[use]) <= 0:
        return seen
    low, high = np.quantile(rate[use], [0.01, 0.99])
    x = np.log(np.clip(np.where(use, rate, np.median(rate[use])), low, high))
    x = (x - x.mean()) / max(float(x.std()), _TINY)
    basis = np.stack([np.ones_like(x), x, x**2, x**3], axis=1)
    weight = use.astype(float)
    made = seen
    for _ in range(8):
        shape, *_ = np.linalg.lstsq(basis * weight[:, None], np.log(seen) * weight, rcond=None)
        made = basis @ shape
        far = np.abs(np.log(seen) - made)
        weight = use / np.maximum(far / max(float(np.median(far[use])), _TINY), 1.0)
    # Too weak an instrument would be worse than none.
    if np.corrcoef(made, np.log(seen))[0, 1] < _KNOWN:
        return seen
    return np.asarray(np.where(use, np.exp(made), seen))


def _solve(found: Points, x: Floats) -> tuple[Floats, Floats]:
    """Return theta and each point's weight at it, by Gauss-Newton with Huber's weights."""
    theta = _start(found, x)
    weight = found.weight
    for _ in range(_ROUNDS):
        expected, slope = _model(found, x, theta)
        shape = _shape(found, expected)
        errors = (found.seen - expected) * np.sqrt(shape * found.weight)
        low, high = np.quantile(errors, [0.05, 0.95])
        scale = max(float(high - low) / _WIDE, _TINY * float(np.abs(found.seen).max()))
        far = np.abs(errors) / scale
        # A batch recorded ten times too large has leverage: what is impossible counts nothing.
        huber = np.where(far < _IMPOSSIBLE, np.minimum(1.0, _LIMIT / np.maximum(far, _TINY)), 0.0)
        weight = found.weight * shape * huber
        left = _left(found, slope)
        push = left.T @ (weight * (found.seen - expected))
        bend = left.T @ (slope * weight[:, None])
        step = _newton(bend[None], push[None])[0]
        new = np.maximum(theta + step, [1e-12, 1e-12, -np.inf][: len(theta)])
        done = float(np.abs(new - theta).max()) < 1e-10 * float(np.abs(theta).max())
        theta = new
        if done:
            break
    return theta, weight


def _start(found: Points, x: Floats) -> Floats:
    """Return a first guess that gross errors cannot spoil: medians of low and high batches."""
    service = found.service_s
    order = np.argsort(found.batch)
    third = max(len(order) // 3, 1)
    small, large = order[:third], order[-third:]
    low, high = np.median(found.batch[small]), np.median(found.batch[large])
    rise = float(np.median(service[large]) - np.median(service[small]))
    alpha = max(
        rise / max(float(high - low), _TINY), 1e-3 * float(np.median(service)) / max(high, 1.0)
    )
    tau0 = max(float(np.median(service - alpha * found.batch)), 1e-3 * float(np.median(service)))
    return np.asarray([tau0, alpha, 0.0][: x.shape[1]])


def _newton(bend: Floats, push: Floats) -> Floats:
    """Return bend^-1 push for many small systems [draws, k]; singular ones are damped."""
    size = np.sqrt(np.maximum(np.abs(np.einsum("dii->di", bend)), 1e-300))
    scaled = bend / (size[:, :, None] * size[:, None, :])
    scaled = scaled + 1e-10 * np.eye(bend.shape[-1])
    return np.asarray(np.linalg.solve(scaled, (push / size)[..., None])[..., 0] / size)
