"""What one arm has shown: sums that add up exactly, and the confidence ellipsoid drawn from them.

A ridge regression of outputs y (reward gain, extra cost of each constraint) on regressors z keeps
sums of z z', z y and y y, apart for each block of time. All are multiples of `UNIT`, so that they
are exact: outcomes may arrive in any order, and two sites' sums merge to what one site would have
(tests hold both bit for bit). Forgetting happens when the ellipsoid is drawn, not in the sums: a
block of age a counts `discount ** a`, and one older than the ring is gone.

With weights w_s:  V = lam I + sum w z z',  W = lam I + sum w^2 z z',  theta = V^-1 sum w z y, and
with probability 1 - delta' at all times, for noise that is sub-Gaussian with deviation sigma and a
true parameter no longer than S, for all x

    |x (theta - true)| <= beta sqrt(x' V^-1 W V^-1 x),
    beta = sigma sqrt(2 log(1 / delta') + log det(W / lam)) + sqrt(lam) S.

Source: Abbasi-Yadkori, Pal & Szepesvari, NeurIPS 2011, Theorem 2 (discount 1, where W = V); Russac,
Vernade & Cappe, NeurIPS 2019, for weights; that one adds a bias while the truth drifts, which no
sum can know: a drift that is not bounded by somebody leaves no guarantee.
"""

import math
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

FRACTION_GRID: Final = 2.0**-8
"""Fractions of a deployment are multiples of it."""
REGRESSOR_GRID: Final = 2.0**-17
"""Feature grid times fraction grid: regressors and outputs are multiples of it."""
UNIT: Final = REGRESSOR_GRID**2
"""Every sum is a whole number of these."""
MOST: Final = UNIT * 2.0**53
"""Sums beyond it are no longer exact: half a million outcomes of one arm in one block."""
EMPTY: Final = -1
"""The index of a block that holds nothing."""


class Sums(NamedTuple):
    """What one arm has shown, by block of time.

    Attributes:
        block: Index of the block in each row of the ring, `EMPTY` for none, int64 `[block]`.
        outer: Sum of z z', `[block, d, d]`.
        cross: Sum of z y, `[block, output, d]`.
        square: Sum of y y, `[block, output]`.
        count: Outcomes, `[block]`.
    """

    block: Any
    outer: Any
    cross: Any
    square: Any
    count: Any


class Prior(NamedTuple):
    """What is assumed of one arm; see the module.

    Attributes:
        ridge: lam.
        size: S, a bound on the length of the true parameter of each output, `[output]`.
        sigma: Deviation of the noise of each output, `[output]`.
        delta: Chance that one ellipsoid is ever wrong.
        discount: What a block is worth when it is one block older, in (0, 1].
    """

    ridge: float
    size: Floats
    sigma: Floats
    delta: float
    discount: float


class Drawn(NamedTuple):
    """The ellipsoids of one arm.

    Attributes:
        theta: Estimates `[output, d]`.
        spread: V^-1 W V^-1 `[d, d]`.
        beta: Radii `[output]`.
    """

    theta: Floats
    spread: Floats
    beta: Floats


def nothing(d: int, outputs: int, blocks: int) -> Sums:
    """Return the sums of an arm that was never played."""
    return Sums(
        block=np.full(blocks, EMPTY, dtype=np.int64),
        outer=np.zeros((blocks, d, d)),
        cross=np.zeros((blocks, outputs, d)),
        square=np.zeros((blocks, outputs)),
        count=np.zeros(blocks),
    )


def added(sums: Sums, index: int, z: Floats, y: Floats) -> Sums | None:
    """Return the sums with one outcome more; None when its block is gone, or full.

    Args:
        sums: Before; not changed.
        index: The block of time in which it was decided, 0 or more.
        z: Regressor `[d]`, a multiple of `REGRESSOR_GRID`.
        y: Outputs `[output]`, finite; rounded to `REGRESSOR_GRID`.

    Raises:
        ValueError: A number is not finite, or the regressor is off the grid.
    """
    if not (np.isfinite(z).all() and np.isfinite(y).all()):
        raise ValueError("ellipsoid: outcomes that are not known teach nothing; leave them out")
    if (z % REGRESSOR_GRID).any():
        raise ValueError("ellipsoid: the regressor is off the grid; take it from the pick")
    row = index % len(sums.block)
    if sums.block[row] > index:
        return None
    y = np.rint(y / REGRESSOR_GRID) * REGRESSOR_GRID
    fresh = Sums(*(part.copy() for part in sums))
    if sums.block[row] < index:
        fresh.block[row] = index
        for part in fresh[1:]:
            part[row] = 0.0
    fresh.outer[row] += np.outer(z, z)
    fresh.cross[row] += np.outer(y, z)
    fresh.square[row] += y * y
    fresh.count[row] += 1.0
    full = max(float(np.trace(fresh.outer[row])), float(fresh.square[row].max())) >= MOST
    return None if full else fresh


def merged(one: Sums, other: Sums) -> Sums:
    """Return what both have shown together, exactly: no rounding, whatever the order.

    Raises:
        ValueError: They are not of the same shape.
    """
    if one.cross.shape != other.cross.shape:
        raise ValueError(f"ellipsoid: shapes {one.cross.shape} and {other.cross.shape} differ")
    block = np.maximum(one.block, other.block)
    # Of two blocks that share a row the older one is gone, as if it had been overwritten.
    left, right = (side.block == block for side in (one, other))

    def sum_of(mine: Floats, theirs: Floats) -> Floats:
        shape = (-1,) + (1,) * (mine.ndim - 1)
        return np.asarray(mine * left.reshape(shape) + theirs * right.reshape(shape))

    return Sums(block, *(sum_of(a, b) for a, b in zip(one[1:], other[1:], strict=True)))


def drawn(prior: Prior, sums: Sums, index: int) -> Drawn:
    """Return the ellipsoids as of a block of time.

    Args:
        prior: What is assumed.
        sums: What was shown.
        index: The present block; what seems to come from later counts in full.
    """
    age = np.maximum(index - sums.block, 0)
    held = (sums.block != EMPTY) & (age < len(sums.block))
    worth = np.where(held, prior.discount ** np.minimum(age, len(age)), 0.0)
    floor = prior.ridge * np.eye(sums.outer.shape[1])
    precise = floor + np.tensordot(worth, sums.outer, 1)
    inverse = np.linalg.inv(precise)
    inverse = (inverse + inverse.T) / 2.0
    theta = np.tensordot(worth, sums.cross, 1) @ inverse
    noise, spread = precise, inverse
    if prior.discount < 1.0:
        noise = floor + np.tensordot(worth * worth, sums.outer, 1)
        spread = inverse @ noise @ inverse
    grown = float(np.linalg.slogdet(noise / prior.ridge)[1])
    radius = math.sqrt(2.0 * math.log(1.0 / prior.delta) + max(grown, 0.0))
    return Drawn(theta, spread, prior.sigma * radius + math.sqrt(prior.ridge) * prior.size)
