"""The region that was seen: outside it the twin may advise, but must not act on its own.

The convex hull of the observed (load, batch, replicas). Replicas are whole, so the hull is kept as
one polygon of (load, batch) for each count that was seen; a count in between is judged by mixing
two of them, which is exactly the hull's section there.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.twin.fit_frame import Floats

_ROUNDING: Final = 1e-9
_MOST_POLYGONS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Where the deployment was seen.

    Attributes:
        rho: Lowest and highest load, served rate over capacity.
        batch: Smallest and largest batch.
        replicas: Fewest and most ready replicas.
        layers: For each number of replicas seen, the corners (rho, batch) of what was seen there.
    """

    rho: tuple[float, float]
    batch: tuple[float, float]
    replicas: tuple[int, int]
    layers: dict[int, tuple[tuple[float, float], ...]]

    def trusts(self, rho: float, batch: float, replicas: int) -> bool:
        """Return whether such a state lies inside what was seen; NaN never does.

        Args:
            rho: Load.
            batch: Requests per batch.
            replicas: Ready replicas.
        """
        points = self._section(replicas)
        return bool(len(points)) and _inside(hull(points), np.asarray([rho, batch]))

    def holds(self, rho: Floats, batch: Floats, replicas: Floats) -> npt.NDArray[np.bool_]:
        """Return which of many states lie inside what was seen; NaN never does.

        Args:
            rho: Load [n].
            batch: Requests per batch [n].
            replicas: Ready replicas [n].
        """
        known = np.isfinite(rho) & np.isfinite(batch) & np.isfinite(replicas)
        count = np.where(known, np.rint(replicas), -1.0).astype(int)
        found = np.zeros(len(rho), bool)
        for number in np.unique(count[known]):
            points = self._section(int(number))
            if not len(points):
                continue
            corners, rows = hull(points), np.flatnonzero(known & (count == number))
            found[rows] = [_inside(corners, np.asarray([rho[k], batch[k]])) for k in rows]
        return found

    def highest(self, replicas: int) -> float:
        """Return the highest load that was seen at a number of replicas, NaN where there is none.

        Args:
            replicas: Ready replicas; between two counts that were seen, what lies between them.
        """
        points = self._section(replicas)
        return float(points[:, 0].max()) if len(points) else math.nan

    def _section(self, replicas: int) -> Floats:
        """Return points whose hull is the section of the region at a number of replicas."""
        below = [n for n in self.layers if n <= replicas]
        above = [n for n in self.layers if n >= replicas]
        points = []
        for low in below:
            for high in above:
                share = (replicas - low) / (high - low) if high > low else 0.0
                one = np.asarray(self.layers[low], float)[:, None, :]
                other = np.asarray(self.layers[high], float)[None, :, :]
                points.append(((1.0 - share) * one + share * other).reshape(-1, 2))
        return np.concatenate(points) if points else np.zeros((0, 2))


def region(rho: Floats, batch: Floats, replicas: Floats) -> Region | None:
    """Return the region of some states, None when there is none.

    Args:
        rho: Load of each row; NaN where unknown [n].
        batch: Requests per batch [n].
        replicas: Ready replicas [n].
    """
    use = np.isfinite(rho) & np.isfinite(batch) & np.isfinite(replicas) & (replicas >= 1)
    if not use.any():
        return None
    rho, batch, count = rho[use], batch[use], np.rint(replicas[use]).astype(int)
    layers = {
        int(n): tuple(
            (float(x), float(y))
            for x, y in hull(np.stack([rho[count == n], batch[count == n]], axis=1))
        )
        for n in np.unique(count)[:_MOST_POLYGONS]
    }
    return Region(
        rho=(float(rho.min()), float(rho.max())),
        batch=(float(batch.min()), float(batch.max())),
        replicas=(int(count.min()), int(count.max())),
        layers=layers,
    )


def hull(points: Floats) -> Floats:
    """Return the corners of the convex hull of points [n, 2], anticlockwise (Andrew, 1979)."""
    ordered = np.unique(points, axis=0)
    if len(ordered) <= 2:  # noqa: PLR2004 - a point or a line is its own hull
        return ordered
    lower, upper = _chain(ordered), _chain(ordered[::-1])
    return np.asarray(lower[:-1] + upper[:-1])


def _chain(ordered: Floats) -> list[Floats]:
    kept: list[Floats] = []
    for point in ordered:
        while len(kept) > 1 and _turn(kept[-2], kept[-1], point) <= 0:
            kept.pop()
        kept.append(point)
    return kept


def _turn(a: Floats, b: Floats, c: Floats) -> float:
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))


def _inside(corners: Floats, point: Floats) -> bool:
    if not np.isfinite(point).all():
        return False
    size = np.maximum(np.abs(corners).max(axis=0), 1e-12)
    corners, point = corners / size, point / size
    following = np.roll(corners, -1, axis=0)
    turns = [_turn(a, b, point) for a, b in zip(corners, following, strict=True)]
    if min(turns) < -_ROUNDING:
        return False
    low, high = corners.min(axis=0), corners.max(axis=0)
    return bool((point >= low - _ROUNDING).all() and (point <= high + _ROUNDING).all())
