"""Make the queue tables' mean curves from exact chains, and write them as a Python module.

Takes a few minutes; run by `python -m homeostat.lab.tables`, which adds the quantiles from the
event-driven reference. Not used at run time.
"""

import base64
from collections.abc import Iterator
from typing import Final

import numpy as np

from homeostat.twin import closed_forms
from homeostat.twin import table_grid as grid

_LINE: Final = 96  # characters of one line of the written module
# The chain of a noisy service needs many states near full load; there the share is extrapolated.
_BURST_LOADS: Final = (0.08, 0.24, 0.5, 0.71, 0.82, 0.89)
_BURST_CV2: Final = 0.25
_BURST_CV2_LARGE: Final = 0.05  # for the largest batches, whose chains are the longest
_LARGE: Final = 128


def mean_wait() -> np.ndarray:
    """Return `wait` [BATCHES, MIXES, LOADS] as `table_grid` defines it, from exact chains."""
    return np.array([
        [wait_curve(batch, place) for place in np.linspace(0.0, 1.0, grid.MIXES)]
        for batch in grid.BATCHES
    ])


def burst_share() -> np.ndarray:
    """Return `burst` [BATCHES, MIXES, LOADS] as `table_grid` defines it, from exact chains."""
    return np.array([
        [burst_curve(batch, place) for place in np.linspace(0.0, 1.0, grid.MIXES)]
        for batch in grid.BATCHES
    ])


def module(wait: np.ndarray, burst: np.ndarray, spread: np.ndarray) -> str:
    """Return the source text of `table_data.py`."""
    steps = np.rint((wait - grid.WAIT_LEAST) / grid.WAIT_STEP)
    parts = (("WAIT", steps, "<u2"), ("BURST", burst, "<f2"), ("SPREAD", spread, "<f2"))
    lines = [
        '"""The queue tables as text: base85 of little-endian numbers; see `table_grid`.',
        "",
        "Written by `python -m homeostat.lab.tables`; do not edit.",
        '"""',
    ]
    for name, values, kind in parts:
        text = base64.b85encode(values.astype(kind).tobytes()).decode()
        lines += ["", f"{name} = (", *(f'    "{part}"' for part in _cut(text)), ")"]
    return "\n".join(lines) + "\n"


def _cut(text: str) -> Iterator[str]:
    width = _LINE - len('    ""')
    return (text[at : at + width] for at in range(0, len(text), width))


def _jobs(batch: int, place: float, load: float, cv2: float = 0.0) -> float:
    tau0, alpha = grid.law(place)
    rate = load * batch / (tau0 + alpha * batch)
    return closed_forms.batch_queue(rate, tau0, alpha, batch, cv2).jobs


def wait_curve(batch: int, place: float) -> np.ndarray:
    """Return log(W / S(1)) at `LOADS`, each moved so that the chords miss E[N] evenly."""
    tau0, alpha = grid.law(place)
    capacity = batch / (tau0 + alpha * batch)
    loads = np.array(grid.LOADS)
    jobs = np.array([_jobs(batch, place, load) for load in loads])
    # The curve is convex, so every chord lies above it: find by how much at mid-chord, and lower
    # each knot by half of the mean of its two chords'.
    middle = np.array([_jobs(batch, place, load) for load in (loads[:-1] + loads[1:]) / 2])
    excess = (jobs[:-1] + jobs[1:]) / (2 * middle) - 1
    around = np.concatenate([[0.0], excess, excess[-1:]])
    jobs *= 1 - (around[:-1] + around[1:]) / 4
    return np.asarray(np.log(jobs / (loads * capacity * (tau0 + alpha))))


def burst_curve(batch: int, place: float) -> np.ndarray:
    """Return the share at `LOADS`; above the last load computed, a power law to 1 at full load."""
    cv2 = _BURST_CV2 if batch < _LARGE else _BURST_CV2_LARGE
    known = np.array(_BURST_LOADS)
    added = np.array([
        (_jobs(batch, place, at, cv2) - _jobs(batch, place, at)) / cv2 for at in known
    ])
    share = added / (batch * known**2 / (2 * (1 - known)))
    loads = np.array(grid.LOADS)
    missing = np.maximum(1 - share[-2:], 1e-6)
    power = max(float(np.log(missing[0] / missing[1]) / np.log((1 - 0.82) / (1 - 0.89))), 0.0)
    near = 1 - (1 - share[-1]) * ((1 - loads) / (1 - known[-1])) ** power
    return np.asarray(np.where(loads <= known[-1], np.interp(loads, known, share), near))
