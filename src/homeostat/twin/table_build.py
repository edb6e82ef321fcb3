"""Make the queue tables' mean curves from exact chains, and write them as a Python module.

Takes a few minutes; run by `python -m homeostat.lab.tables`, which adds the quantiles from the
event-driven reference, and what `table_many` makes. Not used at run time.
"""

import base64
from collections.abc import Iterator
from typing import Final

import numpy as np

from homeostat.twin import closed_forms
from homeostat.twin import table_grid as grid

_LINE: Final = 96  # characters of one line of the written module
_WHERE: Final = "`table_grid` says what each number means."


def mean_wait() -> np.ndarray:
    """Return `wait` [BATCHES, MIXES, LOADS] as `table_grid` defines it, from exact chains."""
    return np.array([
        [wait_curve(batch, place) for place in np.linspace(0.0, 1.0, grid.MIXES)]
        for batch in grid.BATCHES
    ])


def modules(
    wait: np.ndarray, varied: np.ndarray, many: np.ndarray, way: np.ndarray, spread: np.ndarray
) -> Iterator[tuple[str, str]]:
    """Yield the files that hold the tables, name and source; `table_grid` says what each is."""
    yield (
        "table_data.py",
        _module(
            "one replica, and quantiles",
            ("WAIT", _steps(wait, grid.WAIT_STEP), "<u2"),
            ("SPREAD", spread, "<f2"),
        ),
    )
    yield (
        "table_varied.py",
        _module(
            "one replica, times that vary", ("VARIED", _steps(varied, grid.VARIED_STEP), "<u2")
        ),
    )
    yield (
        "table_pools.py",
        _module(
            "pools under two choices",
            ("MANY", _steps(many, grid.VARIED_STEP), "<u2"),
            ("WAY", way, "<f2"),
        ),
    )


def _module(what: str, *parts: tuple[str, np.ndarray, str]) -> str:
    lines = [
        f'"""Queue tables as text, {what}: base85 of little-endian numbers.',
        "",
        "Written by `python -m homeostat.lab.tables`; do not edit. " + _WHERE,
        '"""',
    ]
    for name, values, kind in parts:
        text = base64.b85encode(values.astype(kind).tobytes()).decode()
        lines += ["", f"{name} = (", *(f'    "{part}"' for part in _cut(text)), ")"]
    return "\n".join(lines) + "\n"


def _steps(logs: np.ndarray, step: float) -> np.ndarray:
    return np.asarray(np.rint((logs - grid.WAIT_LEAST) / step))


def _cut(text: str) -> Iterator[str]:
    width = _LINE - len('    ""')
    return (text[at : at + width] for at in range(0, len(text), width))


def _jobs(batch: int, place: float, load: float) -> float:
    tau0, alpha = grid.law(place)
    rate = load * batch / (tau0 + alpha * batch)
    return closed_forms.batch_queue(rate, tau0, alpha, batch).jobs


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
