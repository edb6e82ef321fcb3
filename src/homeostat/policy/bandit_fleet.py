"""The same choice for thousands of deployments at once: one matrix product, in single precision.

Ellipsoids are widened by more than single precision can lose, so that a fraction is never above
the one that `bandit_choose` gives; of arms that are as good up to that, either may be chosen.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from homeostat.policy.bandit import Config, View
from homeostat.policy.ellipsoid import FRACTION_GRID

Singles = npt.NDArray[np.float32]

_SLACK: Final = 2e-4
"""Widths are wider by this share and this much. Sums of at most 256 products of numbers up to the
caps lose below 256 x 2^-24 = 1.6e-5 of their size; tests compare with double precision."""


class Prepared(NamedTuple):
    """A view, ready for products with many contexts.

    Attributes:
        root: Factors F of each arm's spread F F', `[d, arm x d]`.
        theta: `[d, output x arm]`.
        beta: `[output, arm]`, widened.
        cap: `[output, arm]`.
    """

    root: Singles
    theta: Singles
    beta: Singles
    cap: Singles


class Fleet(NamedTuple):
    """The choice for each deployment.

    Attributes:
        arm: Index, -1 = the incumbent, int `[deployment]`.
        fraction: What it is given, on the grid `[deployment]`.
    """

    arm: Any
    fraction: Any


def prepared(config: Config, seen: View) -> Prepared:
    """Return a view as factors.

    Raises:
        numpy.linalg.LinAlgError: A spread is not positive definite; it cannot have been drawn.
    """
    k, d = config.arms, config.features
    root = np.linalg.cholesky(seen.spread.reshape(k, d, d))
    theta = seen.theta.reshape(k, config.outputs, d).transpose(1, 0, 2).reshape(-1, d)
    return Prepared(
        np.ascontiguousarray(root.transpose(1, 0, 2).reshape(d, k * d), dtype=np.float32),
        np.ascontiguousarray(theta.T, dtype=np.float32),
        (seen.beta.T * (1.0 + _SLACK)).astype(np.float32),
        seen.cap.T.astype(np.float32),
    )


def decide(config: Config, ready: Prepared, x: Singles, room: Singles, may: Any) -> Fleet:
    """Return the greedy choice of each deployment, divisible arms taken for granted.

    Args:
        config: Settings.
        ready: From `prepared`.
        x: Contexts `[deployment, d]`, on the grid (exact in single precision).
        room: Of each constraint `[deployment, cost]`; NaN = not known.
        may: Whether the arm's action is in the deployment's safe set, bool `[deployment, arm]`.
    """
    k = config.arms
    inner = (x @ ready.root).reshape(len(x), k, -1)
    width = np.sqrt(np.einsum("nkd,nkd->nk", inner, inner)) + np.float32(_SLACK)
    means = (x @ ready.theta).reshape(len(x), config.outputs, k)
    gain = np.minimum(means[:, 0] + width * ready.beta[0], ready.cap[0])
    sure, hoped = np.ones_like(gain), np.ones_like(gain)
    for cost in range(config.costs):
        mean, wide = means[:, 1 + cost], width * ready.beta[1 + cost]
        cap, left = ready.cap[1 + cost], room[:, cost, None]
        np.minimum(sure, _share(left, np.minimum(mean + wide, cap)), out=sure)
        np.minimum(hoped, _share(left, np.maximum(mean - wide, -cap)), out=hoped)
    fraction = np.floor(sure / FRACTION_GRID) * FRACTION_GRID
    over = np.any(room < 0.0, axis=1, keepdims=True)
    playable = may & (fraction > 0.0) & (~over | (fraction >= 1.0))
    value = np.where(playable, hoped * gain, -np.inf)
    best = value.argmax(axis=1)
    rows = np.arange(len(x))
    won = value[rows, best] > 0.0
    return Fleet(np.where(won, best, -1), np.where(won, fraction[rows, best], 0.0))


def _share(room: Any, extra: Any) -> Any:
    """Return `bandit_choose.share`, elementwise; NaN is no room."""
    known = np.where(extra > 0.0, extra, np.float32(1.0))
    part = np.where((room > 0.0) & (extra > 0.0), room / known, np.float32(0.0))
    return np.where(extra <= room, np.float32(1.0), part)
