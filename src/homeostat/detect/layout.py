"""Which row of a frame is whose, and what can be said of it before any value is known.

Worked out when the series change, which is rarely, and used on every tick.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.base import names
from homeostat.base.evidence import SeriesKey
from homeostat.detect.matters import matter_of, rule_of

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

# Signals that have a level to leave. The others are judged by rules: a share that climbs or a
# process that is gone needs no chart.
CHARTED: Final = frozenset({
    names.ARRIVAL_RATE,
    names.ERROR_RATIO,
    names.REFUSED_RATIO,
    names.LATENCY_P50,
    names.LATENCY_P95,
    names.PROBE_LATENCY,
    names.CPU_SHARE,
    names.DEVICE_TIME,
    names.BATCH_SIZE,
    names.BATCH_FULL_SHARE,
    names.QUEUE_LENGTH,
    names.ACCURACY,
})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layout:
    """The rows of a frame.

    Attributes:
        keys: The series, one per row.
        subjects: Their subjects.
        signals: Their signals.
        deployments: The deployments, sorted.
        owner: Each row's deployment, as a place in `deployments`. `[row]`
        rows: Rows by deployment, in their order.
        places: Row of each (subject, signal), by deployment.
        charted: Where the signal is charted. `[row]`
        rule: The rule that it is judged by, `matters.Rule`. `[row]`
        up: Where a rise matters. `[row]`
        down: Where a fall matters. `[row]`
        least: Smallest departure that matters. `[row]`
        share: The same as a share of the usual value. `[row]`
        remembered: Rows of memory shares, of which the past is asked for. `[remembered]`
        pairs: Rows of batch sizes and of device times of the same replicas, by deployment.
    """

    keys: tuple[SeriesKey, ...]
    subjects: tuple[str, ...]
    signals: tuple[str, ...]
    deployments: tuple[str, ...]
    owner: Ints
    rows: dict[str, list[int]]
    places: dict[str, dict[tuple[str, str], int]]
    charted: Bools
    rule: Ints
    up: Bools
    down: Bools
    least: Floats
    share: Floats
    remembered: Ints
    pairs: dict[str, tuple[list[int], list[int]]]


def layout(keys: Sequence[SeriesKey]) -> Layout:
    """Return the layout of a frame's rows."""
    deployments = tuple(sorted({key.deployment for key in keys}))
    number = {name: place for place, name in enumerate(deployments)}
    rows: dict[str, list[int]] = {name: [] for name in deployments}
    places: dict[str, dict[tuple[str, str], int]] = {name: {} for name in deployments}
    for row, key in enumerate(keys):
        rows[key.deployment].append(row)
        places[key.deployment][key.subject, key.signal] = row
    matters = [matter_of(key.signal) for key in keys]
    memory = [row for row, key in enumerate(keys) if key.signal == names.MEMORY_SHARE]
    return Layout(
        keys=tuple(keys),
        subjects=tuple(key.subject for key in keys),
        signals=tuple(key.signal for key in keys),
        deployments=deployments,
        owner=np.array([number[key.deployment] for key in keys], dtype=np.int64),
        rows=rows,
        places=places,
        charted=np.array([key.signal in CHARTED for key in keys], dtype=np.bool_),
        rule=np.array([rule_of(key) for key in keys], dtype=np.int64),
        up=np.array([one.up for one in matters], dtype=np.bool_),
        down=np.array([one.down for one in matters], dtype=np.bool_),
        least=np.array([one.least for one in matters], dtype=np.float64),
        share=np.array([one.share for one in matters], dtype=np.float64),
        remembered=np.array(memory, dtype=np.int64),
        pairs=_pairs(places),
    )


def _pairs(
    places: Mapping[str, Mapping[tuple[str, str], int]],
) -> dict[str, tuple[list[int], list[int]]]:
    """Return the rows of batch size and device time of the same replica, by deployment."""
    out: dict[str, tuple[list[int], list[int]]] = {}
    for name, by_series in places.items():
        both = [
            (row, time)
            for (subject, signal), row in by_series.items()
            if signal == names.BATCH_SIZE
            and (time := by_series.get((subject, names.DEVICE_TIME))) is not None
        ]
        if both:
            out[name] = [row for row, _ in both], [row for _, row in both]
    return out
