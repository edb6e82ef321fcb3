"""Play recordings through the stack, or another method: arrays over time in and out.

Recordings of different length go side by side as entities, padded with NaN after their end: what
is said of one does not depend on the others. For files and benchmarks; a live loop takes
`Stack.step`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from homeostat.detect.method import Method
from homeostat.detect.stack import Said


class Played(NamedTuple):
    """What was said, and the state after the last tick.

    Attributes:
        said: As `Said`, every field with time as its first axis.
        state: To go on with.
    """

    said: Said
    state: Any


def play(
    stack: Method,
    values: Any,
    *,
    learn: Any = True,
    state: Any = None,
    start: Any = None,
    progress: Callable[[int], None] | None = None,
) -> Played:
    """Return what the stack says of every tick.

    Args:
        stack: The stack, or another method.
        values: Float `[time, entity, column]`; NaN is unknown.
        learn: One bool, or bools that broadcast to `[time, entity, column]`.
        state: To go on from; None to start anew.
        start: Evidence that starts an incident, `[time, entity]`; None: as the settings say.
        progress: Called now and then with the number of ticks played.

    Raises:
        ValueError: The values have not three axes.
    """
    table = np.asarray(values, dtype=float)
    if table.ndim != 3:  # noqa: PLR2004 - time, entity, column
        raise ValueError(f"play: values must be [time, entity, column], got shape {table.shape}")
    ticks, entities, columns = table.shape
    allowed = np.broadcast_to(np.asarray(learn, dtype=bool), table.shape)
    state = stack.init(columns, entities=entities) if state is None else state
    out = _empty(ticks, entities, columns, len(stack.names))
    for tick in range(ticks):
        level = None if start is None else start[tick]
        state, said = stack.step(state, table[tick], allowed[tick], level)
        for whole, part in zip(out, said, strict=True):
            whole[tick] = part
        if progress is not None and (tick + 1) % 1000 == 0:
            progress(tick + 1)
    if progress is not None:
        progress(ticks)
    return Played(out, state)


def _empty(ticks: int, entities: int, columns: int, parts: int) -> Said:
    row, cell = (ticks, entities), (ticks, entities, columns)
    return Said(
        neg_log10_p=np.empty(row), anomaly_score=np.empty(row), alarm=np.empty(row, dtype=bool),
        active=np.empty(row, dtype=bool), unknown=np.empty(row, dtype=bool),
        contributions=np.empty(cell), low=np.empty(cell), high=np.empty(cell),
        each=np.empty((*row, parts, 4)), spoke=np.empty(row, dtype=bool),
    )  # fmt: skip
