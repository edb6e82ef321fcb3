"""Refinement of (tau0, alpha, cv2) through the twin's queue curves, from several starts.

What regression and moments found is the prior, so firm that only what they left open moves;
latencies and jobs in the system are the evidence, with Student-t errors on their logs (a recording
has wild rows) and an unknown common factor for each signal, because the curves themselves are a few
per cent wrong and no number of rows cures that. Gradients come from the twin; Gauss-Newton with
damping finds the best of all starts. Draws: each has its own blocks of rows, its own draw of the
prior and of the factors.
Sources: Lange, Little & Taylor, "Robust statistical modeling using the t distribution", JASA 84
(1989), for weights and scales; Kennedy & O'Hagan, "Bayesian calibration of computer models", J. R.
Stat. Soc. B 63 (2001), for the discrepancy; Raue et al., Bioinformatics 25 (2009), for profiles.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from homeostat.twin import fit_bootstrap as bootstrap
from homeostat.twin import fit_curves as curves
from homeostat.twin.fit_frame import Floats, Ints

STARTS: Final = curves.AT_ONCE
NAMES: Final = ("tau0_s", "alpha_s", "cv2")
_LAW: Final = len(NAMES)
_FREEDOM: Final = 4.0  # of Student's t
# The tables' own error against the event-driven reference: means within 2 %, p99 within 5 %.
DISCREPANCY: Final = (0.03, 0.04, 0.05, 0.03)
_ROUNDS: Final = 40
_MOST_ROWS: Final = 4096
_TOO_FULL: Final = 0.9  # above it the row's jobs wander for longer than a row
_FEWEST: Final = 12
_LEAST_SCALE: Final = 0.01
_RANGE: Final = (math.log(1e-7), math.log(1e4))
_PROFILE: Final = math.log(2.0)
# Half of chi-square's 90 % point with one degree of freedom.
_RISE: Final = 1.353


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What is known before: a normal law on the logs of (tau0, alpha, cv2).

    Attributes:
        mean: [3].
        precision: Inverse covariance [3, 3].
        draws: Of the mean's uncertainty [draws, 3].
    """

    mean: Floats
    precision: Floats
    draws: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Refined:
    """What the evidence made of the prior.

    Attributes:
        theta: Logs of tau0, alpha, cv2 [3].
        draws: The same [draws, 3].
        factors: Logs of what each signal is over what the curves say [4].
        scales: Spread of each signal's log about that [4].
        rows: Rows used.
        agreeing: Starts that ended at the best value.
        flat: For each parameter, whether twice or half of it is about as likely [3].
    """

    theta: Floats
    draws: Floats
    factors: Floats
    scales: Floats
    rows: int
    agreeing: int
    flat: tuple[bool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """All starts: theta with factors [starts, 7], scales [starts, 4], cost [starts]."""

    theta: Floats
    scales: Floats
    cost: Floats


def refine(given: curves.Rows, prior: Prior, seed: int) -> Refined | None:
    """Return the refined law; None where fewer than a dozen rows show latencies or jobs.

    Args:
        given: Rows of the recording.
        prior: From regression and moments.
        seed: Of starts and draws.
    """
    chosen = _usable(given, prior)
    if len(chosen) < _FEWEST:
        return None
    given = given.take(chosen)
    problem = _Problem(given, prior)
    state = problem.solve(problem.starts(seed))
    best = int(np.argmin(state.cost))
    theta, scales = state.theta[best], state.scales[best]
    error = problem.errors(theta[None])[0][0]
    typical = np.nanmean(error / scales, axis=1)
    length = bootstrap.block_length(typical)
    return Refined(
        theta=theta[:_LAW],
        draws=problem.draws(theta, scales, length, seed),
        factors=theta[_LAW:],
        scales=scales,
        rows=len(chosen),
        agreeing=int((state.cost < state.cost[best] + 0.1).sum()),
        flat=problem.flat(theta, state.cost[best], length),
    )


def _usable(given: curves.Rows, prior: Prior) -> Ints:
    """Return the rows with evidence, below the load at which one row is no sample any more."""
    tau0, alpha, _ = np.exp(prior.mean)
    load = given.rate * (tau0 / given.limit + alpha)
    shown = np.isfinite(given.seen).any(axis=1)
    # Where nothing is known of the law, no row can be too full.
    sure = bool(np.linalg.inv(prior.precision)[0, 0] < 0.25)  # noqa: PLR2004 - half of a log
    chosen = np.flatnonzero(shown & ((load < _TOO_FULL) | (not sure)))
    thin = max(1, math.ceil(len(chosen) / _MOST_ROWS))
    return np.asarray(chosen[::thin], np.int64)


class _Problem:
    """Errors, slopes and costs of one recording."""

    def __init__(self, given: curves.Rows, prior: Prior) -> None:
        self.given, self.prior = given, prior
        self.seen = np.isfinite(given.seen)
        self.known = np.nan_to_num(given.seen)
        size = _LAW + len(DISCREPANCY)
        self.mean = np.concatenate([prior.mean, np.zeros(len(DISCREPANCY))])
        self.precision = np.zeros((size, size))
        self.precision[:_LAW, :_LAW] = prior.precision
        self.precision[_LAW:, _LAW:] = np.diag(1.0 / np.square(DISCREPANCY))

    def starts(self, seed: int) -> Floats:
        """Return starts about the prior [starts, 7]: its mean, and others up to three times off."""
        generator = np.random.default_rng(seed)
        away = generator.uniform(-1.1, 1.1, (STARTS, len(self.mean)))
        away[0] = 0.0
        away[:, _LAW:] = 0.0
        return np.asarray(self.mean + away)

    def errors(self, theta: Floats) -> tuple[Floats, Floats]:
        """Return seen - expected [starts, m, 4], NaN where not seen, and slopes [.., 7]."""
        logs, slopes = curves.predict(self.given, theta[:, :_LAW])
        error = self.known - logs - theta[:, None, _LAW:]
        factors = np.broadcast_to(np.eye(len(DISCREPANCY)), (*logs.shape, len(DISCREPANCY)))
        full = np.concatenate([np.nan_to_num(slopes), factors], axis=-1)
        return np.where(self.seen & np.isfinite(logs), error, np.nan), full

    def solve(self, theta: Floats, held: Sequence[int] = ()) -> _State:
        """Return where damped Gauss-Newton ends from each start; of each one parameter may be held.

        Args:
            theta: Starts [starts, 7].
            held: The parameter that stays as it is, one for each start; empty = none is held.
        """
        scales = np.full((len(theta), len(DISCREPANCY)), 0.3)
        damping = np.full(len(theta), 1e-2)
        error, slope = self.errors(theta)
        scales = self._scales(error, scales)
        cost = self._cost(theta, error, scales)
        for _ in range(_ROUNDS):
            push, bend = self._normal(theta, error, slope, scales)
            bend = bend + damping[:, None, None] * np.einsum(
                "sii,ij->sij", bend, np.eye(theta.shape[1])
            )
            for start, at in enumerate(held):
                bend[start, at, :] = bend[start, :, at] = push[start, at] = 0.0
                bend[start, at, at] = 1.0
            step = np.linalg.solve(bend, push[..., None])[..., 0]
            tried = theta + np.clip(step, -1.0, 1.0)
            tried[:, :_LAW] = np.clip(tried[:, :_LAW], *_RANGE)
            new_error, new_slope = self.errors(tried)
            new_scales = self._scales(new_error, scales)
            new_cost = self._cost(tried, new_error, new_scales)
            better = new_cost < cost
            gain = float(np.where(better, cost - new_cost, 0.0).max())
            pick = better[:, None]
            theta, scales = np.where(pick, tried, theta), np.where(pick, new_scales, scales)
            error = np.where(pick[..., None], new_error, error)
            slope = np.where(pick[..., None, None], new_slope, slope)
            cost = np.where(better, new_cost, cost)
            damping = np.clip(np.where(better, damping / 3.0, damping * 8.0), 1e-6, 1e6)
            if gain < 1e-4 and float(damping.min()) > 1.0:  # noqa: PLR2004 - nothing improves
                break
        return _State(theta=theta, scales=scales, cost=cost)

    def draws(self, theta: Floats, scales: Floats, length: int, seed: int) -> Floats:
        """Return draws of the law [draws, 3]: new blocks, a new prior, new factors."""
        error, slope = self.errors(theta[None])
        weight = self._weights(error, scales[None])[0] / scales**2
        known, slope = np.nan_to_num(error[0]), slope[0]
        block = bootstrap.blocks(len(known), length)
        push = bootstrap.sums(np.einsum("mqp,mq->mp", slope, weight * known), block)
        bend = bootstrap.sums(np.einsum("mqp,mq,mqr->mpr", slope, weight, slope), block)
        chosen = bootstrap.counts(len(push), bootstrap.DRAWS, seed + 1)
        generator = np.random.default_rng(seed + 2)
        center = generator.normal(0.0, DISCREPANCY, (bootstrap.DRAWS, len(DISCREPANCY)))
        prior = np.concatenate([self.prior.draws[: bootstrap.DRAWS], center], axis=1)
        pushed = chosen @ push + (prior - theta) @ self.precision
        bent = np.einsum("db,bij->dij", chosen, bend) + self.precision
        steps = np.linalg.solve(bent, pushed[..., None])[..., 0]
        return np.asarray((theta + steps)[:, :_LAW])

    def flat(self, theta: Floats, cost: float, length: int) -> tuple[bool, ...]:
        """Return for each parameter whether its profile stays low at twice or half its value."""
        held = [at for at in range(_LAW) for _ in range(2)]
        tried = np.stack([theta] * len(held))
        for start, at in enumerate(held):
            tried[start, at] += _PROFILE if start % 2 else -_PROFILE
        rise = (self.solve(tried, held).cost - cost) / length
        return tuple(bool(low < _RISE) for low in rise.reshape(_LAW, 2).min(axis=1))

    def _weights(self, error: Floats, scales: Floats) -> Floats:
        ratio = (error / scales[:, None, :]) ** 2
        return np.asarray(np.nan_to_num((_FREEDOM + 1.0) / (_FREEDOM + ratio)))

    def _scales(self, error: Floats, scales: Floats) -> Floats:
        for _ in range(4):
            weight = self._weights(error, scales)
            number = np.maximum(np.isfinite(error).sum(axis=1), 1)
            scales = np.sqrt((weight * np.nan_to_num(error) ** 2).sum(axis=1) / number)
            scales = np.maximum(scales, _LEAST_SCALE)
        return np.asarray(scales)

    def _normal(
        self, theta: Floats, error: Floats, slope: Floats, scales: Floats
    ) -> tuple[Floats, Floats]:
        weight = self._weights(error, scales) / scales[:, None, :] ** 2
        weighted = slope * weight[..., None]
        push = np.einsum("smqp,smq->sp", weighted, np.nan_to_num(error))
        bend = np.einsum("smqp,smqr->spr", weighted, slope, optimize=True)
        return push + (self.mean - theta) @ self.precision, bend + self.precision

    def _cost(self, theta: Floats, error: Floats, scales: Floats) -> Floats:
        ratio = np.nan_to_num(error / scales[:, None, :]) ** 2
        each = 0.5 * (_FREEDOM + 1.0) * np.log1p(ratio / _FREEDOM)
        each = each + np.where(np.isfinite(error), np.log(scales)[:, None, :], 0.0)
        away = theta - self.mean
        return np.asarray(
            each.sum(axis=(1, 2)) + 0.5 * np.einsum("sp,pq,sq->s", away, self.precision, away)
        )
