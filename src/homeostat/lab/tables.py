"""Rebuild the twin's queue tables: exact chains for the means, the reference for the quantiles.

    python -m homeostat.lab.tables > new.txt && cd src/homeostat/twin &&
    awk '/^# file: /{file = $3; next} {print > file}' ../../../new.txt

Takes about twenty minutes on one core; the same seed gives the same text on the same machine.
Needed only when an axis in `twin/table_grid.py` changes or a test of the tables' accuracy fails.
"""

import sys
from typing import Final

import numpy as np

from homeostat.lab import reference_station as station
from homeostat.twin import table_build, table_many
from homeostat.twin import table_grid as grid

SEED: Final = 20260
RUNS: Final = 256  # side by side; every run starts empty and forgets its first quarter
_FORGET: Final = 4
_RELAX: Final = 30.0  # times 1 / (1 - load)^2 requests: the relaxation of an M/G/1 queue, with room
_FEWEST, _MOST = 1500, 16000  # requests of one run


def spread(runs: int = RUNS, most: int = _MOST) -> np.ndarray:
    """Return `spread` as `table_grid` defines it, measured with the event-driven reference.

    Args:
        runs: Independent runs of a cell.
        most: Requests in a run at most; fewer is faster and rougher.
    """
    axes = (2, len(grid.BATCHES), grid.RATIO_MIXES, len(grid.RATIO_LOADS), len(grid.QUANTILES))
    found = np.zeros(axes)
    for cv2, i, j, k in np.ndindex(axes[:-1]):
        if grid.BATCHES[i] == 1 and j:
            found[cv2, i, j, k] = found[cv2, i, 0, k]  # only S(1) matters, and it is 1
        else:
            found[cv2, i, j, k] = cell((cv2, i, j, k), runs, most)
    return found


def cell(place: tuple[int, int, int, int], runs: int = RUNS, most: int = _MOST) -> np.ndarray:
    """Return one cell of `spread`: log of (quantile / mean) [QUANTILES].

    Args:
        place: Indices of the cell.
        runs: See `spread`.
        most: See `spread`.
    """
    cv2, i, j, k = place
    tau0, alpha = grid.law(j / (grid.RATIO_MIXES - 1))
    replica = station.Station(tau0_s=tau0, alpha_s=alpha, batch_max=grid.BATCHES[i], cv2=float(cv2))
    load, chance = grid.RATIO_LOADS[k], np.random.default_rng((SEED, *place))
    requests = int(np.clip(_RELAX / (1 - load) ** 2, _FEWEST, _MOST))
    shape = runs, max(min(requests, most), 8 * replica.batch_max)
    arrivals = station.renewal(chance, load * replica.capacity, 1.0, shape)
    latency = station.latencies(replica, arrivals, chance)[:, shape[1] // _FORGET :]
    return np.asarray(np.log(np.quantile(latency, grid.QUANTILES) / latency.mean()))


if __name__ == "__main__":
    wait, varied = table_build.mean_wait(), table_many.varied()
    many = table_many.many(np.concatenate([wait[None], varied]))
    for name, text in table_build.modules(wait, varied, many, table_many.way(), spread()):
        sys.stdout.write(f"# file: {name}\n{text}")
