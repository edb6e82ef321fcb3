"""Make the queue tables' curves of varied service times and of pools of replicas.

The means of `table_build` for service times that vary, and for replicas that share their requests
by two choices; from exact chains alone, see `bulk_forms` and `pool_forms`. Not used at run time.
"""

from typing import Final

import numpy as np

from homeostat.twin import bulk_forms, pool_forms
from homeostat.twin import table_grid as grid

# A lognormal's transform has the wrong branch with more arrivals in a batch; beyond, gamma's, whose
# means are within 0.5 % of it for cv2 up to 1 and 2.6 % for 4 at the last.
_LOGNORMAL: Final = 32
# A pool of larger batches would take hours; its share of one replica's jobs hardly depends on the
# batch any more (from 4 to 16 by at most 0.02).
_SOLVED: Final = 32
_SOLVED_WIDE: Final = 8  # for the last of CV2
_POOL_LOADS: Final = (0.03, 0.2, 0.4, 0.6, 0.75, 0.85, 0.92, 0.965)
_NEARLY_NONE: Final = (1 / 16, 1 / 8)  # service without variation is the limit of these
_MOST: Final = 4000  # states


def varied() -> np.ndarray:
    """Return `varied` [CV2, BATCHES, MIXES, LOADS] as `table_grid` defines it."""
    places = np.linspace(0.0, 1.0, grid.MIXES)
    return np.array([
        [[varied_curve(batch, place, cv2) for place in places] for batch in grid.BATCHES]
        for cv2 in grid.CV2
    ])


def many(curves: np.ndarray) -> np.ndarray:
    """Return `many` [1 + CV2, BATCHES, RATIO_MIXES, LOADS] as `table_grid` defines it.

    Args:
        curves: Of one replica, without variation and with each of CV2 [1 + CV2, BATCHES, MIXES,
            LOADS]; pools of larger batches are the same share of them as those of the last solved.
    """
    each = (grid.MIXES - 1) // (grid.RATIO_MIXES - 1)
    found = np.zeros((1 + len(grid.CV2), len(grid.BATCHES), grid.RATIO_MIXES, len(grid.LOADS)))
    for c, i, j in np.ndindex(found.shape[:-1]):
        most = _SOLVED_WIDE if c == len(grid.CV2) else _SOLVED
        batch, place = grid.BATCHES[i], j / (grid.RATIO_MIXES - 1)
        if batch == 1 and j:
            found[c, i, j] = found[c, i, 0]  # only S(1) matters, and it is 1
        elif batch <= most:
            found[c, i, j] = many_curve(batch, place, (0.0, *grid.CV2)[c])
        else:
            share = found[c, i - 1, j] - curves[c, i - 1, each * j]
            found[c, i, j] = curves[c, i, each * j] + share
    return found


def way() -> np.ndarray:
    """Return `way` [REPLICAS, LOADS] as `table_grid` defines it."""
    loads = np.array(grid.LOADS)
    solved = loads[(loads >= _POOL_LOADS[1]) & (loads <= _POOL_LOADS[-2])]
    found = np.array([pool_forms.way(float(load)) for load in solved]).T
    # At full load all queues act as one, and nothing is left of infinitely many's; to none, where
    # n R is a sum over pairs of replicas, the curves are straight.
    ends = np.array([1.0, 1.0, 1.0, 1.0, 0.5])
    known = np.concatenate([solved, [1.0]])
    each = [np.interp(loads, known, [*row, end]) for row, end in zip(found, ends, strict=True)]
    steep = (found[:, 1] - found[:, 0]) / (solved[1] - solved[0])
    low = found[:, :1] + steep[:, None] * (loads - solved[0])
    return np.where(loads < solved[0], np.clip(low, 0.0, 1.0), np.array(each))


def varied_curve(batch: int, place: float, cv2: float) -> np.ndarray:
    """Return log(W / S(1)) at `LOADS` of one replica, each moved as in `table_build.wait_curve`."""
    law = (bulk_forms.lognormal if batch <= _LOGNORMAL else bulk_forms.gamma)(cv2)
    tau0, alpha = grid.law(place)
    jobs = np.array([bulk_forms.jobs(load, tau0, alpha, batch, law) for load in grid.LOADS])
    return _evened(np.array(grid.LOADS), np.log(jobs / _least(batch, place)))


def many_curve(batch: int, place: float, cv2: float) -> np.ndarray:
    """Return the same of one of infinitely many replicas under two choices."""
    solved = np.array([_many_jobs(batch, place, load, cv2) for load in _POOL_LOADS])
    return _evened(np.array(_POOL_LOADS), np.log(solved / _least(batch, place, _POOL_LOADS)))


def _many_jobs(batch: int, place: float, load: float, cv2: float) -> float:
    if not cv2:
        more, less = (_many_jobs(batch, place, load, near) for near in reversed(_NEARLY_NONE))
        return 2 * less - more
    tau0, alpha = grid.law(place)
    states = int((2.0 + cv2) * load * batch / (1 - load) ** 0.35) + 24
    while states <= _MOST:
        try:
            law = bulk_forms.lognormal(cv2)
            return pool_forms.mean_field(load, tau0, alpha, batch, law, states)
        except pool_forms.TooFewStatesError:
            states += states // 2
    raise pool_forms.TooFewStatesError(states, load)


def _least(batch: int, place: float, loads: tuple[float, ...] = grid.LOADS) -> np.ndarray:
    """Return the jobs if each were served at once and alone; S(1) is 1."""
    tau0, alpha = grid.law(place)
    return np.array(loads) * batch / (tau0 + alpha * batch)


def _evened(loads: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """Return a curve of log(W / S(1)) at `LOADS`, each moved so that chords of jobs miss evenly.

    The curve between and below what is known is a spline over -log(1 - load), on which jobs of a
    pool grow evenly in the end; beyond it they are taken to.
    """
    from scipy.interpolate import CubicSpline  # noqa: PLC0415 - only to build tables

    at = np.concatenate([[0.0], -np.log1p(-loads)])
    spline = CubicSpline(at, np.concatenate([[0.0], logs]))
    wanted = np.array(grid.LOADS)

    def jobs(load: np.ndarray) -> np.ndarray:
        place = -np.log1p(-load)
        inside = np.minimum(place, at[-1])
        last = 1 - np.exp(-inside)
        grows = last * np.exp(spline(inside)) * (spline(inside, 1) + np.exp(-inside) / last)
        return np.asarray(last * np.exp(spline(inside)) + grows * (place - inside))

    middle = jobs((wanted[:-1] + wanted[1:]) / 2)
    found = jobs(wanted)
    excess = (found[:-1] + found[1:]) / (2 * middle) - 1
    around = np.concatenate([[0.0], excess, excess[-1:]])
    return np.asarray(np.log(found * (1 - (around[:-1] + around[1:]) / 4) / wanted))
