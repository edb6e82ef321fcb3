"""Which row of a frame is whose, and what can be said of it before any value is known.

Worked out when the series change, for the deployments whose series do, and used on every tick.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from homeostat.base import names
from homeostat.base.evidence import SeriesKey
from homeostat.detect.matters import matter_of, rule_of

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

# Signals that have a level to leave. The others are judged by rules: a share that climbs or a
# process that is gone needs no chart. Nor does a device's memory: many servers take most of it when
# they start, so that a level of it, and one that moved, say nothing (decision 67).
CHARTED: Final = frozenset({
    names.ARRIVAL_RATE,
    names.ERROR_RATIO,
    names.REFUSED_RATIO,
    names.LATENCY_P50,
    names.LATENCY_P95,
    names.PROBE_LATENCY,
    names.CPU_SHARE,
    names.DEVICE_SHARE,
    names.DEVICE_TIME,
    names.BATCH_SIZE,
    names.BATCH_FULL_SHARE,
    names.QUEUE_LENGTH,
    names.ACCURACY,
})

FILLING: Final = frozenset({names.MEMORY_SHARE, names.DEVICE_MEMORY_SHARE, names.KV_USAGE})
"""Shares of something that is full at 1: when is a question for a forecast."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """The rows of one deployment, counted from its first.

    Attributes:
        keys: The series, one per row.
        subjects: Their subjects.
        signals: Their signals.
        places: Row of each (subject, signal).
        charted: Where the signal is charted. `[row]`
        rule: The rule that it is judged by, `matters.Rule`. `[row]`
        up: Where a rise matters. `[row]`
        down: Where a fall matters. `[row]`
        least: Smallest departure that matters. `[row]`
        share: The same as a share of the usual value. `[row]`
        remembered: Rows of shares that fill up, whose past is asked for. `[remembered]`
        sizes: Rows of batch sizes of replicas whose device time is there too.
        times: Rows of device times of the same replicas.
    """

    keys: tuple[SeriesKey, ...]
    subjects: tuple[str, ...]
    signals: tuple[str, ...]
    places: dict[tuple[str, str], int]
    charted: Bools
    rule: Ints
    up: Bools
    down: Bools
    least: Floats
    share: Floats
    remembered: Ints
    sizes: Ints
    times: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layout:
    """The rows of a frame, deployment after deployment.

    Attributes:
        keys: The series, one per row.
        parts: What is known of each deployment's rows, in their order.
        first: Its first row.
        deployments: The deployments, in the same order.
        owner: Each row's deployment, as a place in `deployments`. `[row]`
        subjects: As in `Part`, of all rows.
        signals: As in `Part`.
        charted: As in `Part`.
        rule: As in `Part`.
        up: As in `Part`.
        down: As in `Part`.
        least: As in `Part`.
        share: As in `Part`.
        remembered: As in `Part`.
    """

    keys: tuple[SeriesKey, ...]
    parts: dict[str, Part]
    first: dict[str, int]
    deployments: tuple[str, ...]
    owner: Ints
    subjects: tuple[str, ...]
    signals: tuple[str, ...]
    charted: Bools
    rule: Ints
    up: Bools
    down: Bools
    least: Floats
    share: Floats
    remembered: Ints

    def taken_over(self, before: "Layout", column: Ints) -> Ints:
        """Return an earlier frame's column for deployments that are as they were, else -1."""
        out: Ints = np.full(len(self.keys), -1, dtype=np.int64)
        for name, part in self.parts.items():
            if before.parts.get(name) is part:
                now, then, size = self.first[name], before.first[name], len(part.keys)
                out[now : now + size] = column[then : then + size]
        return out


def layout(keys: Sequence[SeriesKey], before: Layout | None = None) -> Layout:
    """Return the layout of a frame's rows.

    Args:
        keys: The series; those of one deployment stand together.
        before: An earlier layout, of which deployments with the same series are taken over.

    Raises:
        ValueError: A deployment's series do not stand together.
    """
    known = {} if before is None else before.parts
    parts: dict[str, Part] = {}
    rows, at = tuple(keys), 0
    while at < len(rows):
        name = rows[at].deployment
        if name in parts:
            raise ValueError(f"series of {name} stand apart; sort them by deployment")
        parts[name] = part = _part_at(rows, at, known.get(name))
        at += len(part.keys)
    every = tuple(parts.values())
    sizes = [len(part.keys) for part in every]
    starts = np.cumsum([0, *sizes])
    remembered = [part.remembered + start for part, start in zip(every, starts, strict=False)]
    return Layout(
        keys=rows,
        parts=parts,
        first=dict(zip(parts, starts.tolist(), strict=False)),
        deployments=tuple(parts),
        owner=np.repeat(np.arange(len(sizes), dtype=np.int64), sizes),
        subjects=tuple(chain.from_iterable(part.subjects for part in every)),
        signals=tuple(chain.from_iterable(part.signals for part in every)),
        charted=_joined([part.charted for part in every], np.bool_),
        rule=_joined([part.rule for part in every], np.int64),
        up=_joined([part.up for part in every], np.bool_),
        down=_joined([part.down for part in every], np.bool_),
        least=_joined([part.least for part in every], np.float64),
        share=_joined([part.share for part in every], np.float64),
        remembered=_joined(remembered, np.int64),
    )


def _part_at(rows: tuple[SeriesKey, ...], at: int, before: Part | None) -> Part:
    """Return the part that begins at a row; the one before, if its series stand there as they did.

    Keys are nearly always the same objects, so comparing a whole part costs less than looking at
    each of its keys.
    """
    name = rows[at].deployment
    if before is not None:
        end = at + len(before.keys)
        ends = end >= len(rows) or rows[end].deployment != name
        if ends and rows[at:end] == before.keys:
            return before
    end = at + 1
    while end < len(rows) and rows[end].deployment == name:
        end += 1
    return part_of(rows[at:end])


def _joined(columns: Sequence[npt.NDArray[Any]], kind: Any) -> Any:
    return np.concatenate(columns) if columns else np.zeros(0, dtype=kind)


def part_of(keys: tuple[SeriesKey, ...]) -> Part:
    """Return what is known of one deployment's rows."""
    places = {(key.subject, key.signal): row for row, key in enumerate(keys)}
    matters = [matter_of(key.signal) for key in keys]
    filling = [row for row, key in enumerate(keys) if key.signal in FILLING]
    pairs = _pairs(places)
    return Part(
        keys=keys,
        subjects=tuple(key.subject for key in keys),
        signals=tuple(key.signal for key in keys),
        places=places,
        charted=np.array([key.signal in CHARTED for key in keys], dtype=np.bool_),
        rule=np.array([rule_of(key) for key in keys], dtype=np.int64),
        up=np.array([one.up for one in matters], dtype=np.bool_),
        down=np.array([one.down for one in matters], dtype=np.bool_),
        least=np.array([one.least for one in matters], dtype=np.float64),
        share=np.array([one.share for one in matters], dtype=np.float64),
        remembered=np.array(filling, dtype=np.int64),
        sizes=np.array([size for size, _ in pairs], dtype=np.int64),
        times=np.array([time for _, time in pairs], dtype=np.int64),
    )


def _pairs(places: Mapping[tuple[str, str], int]) -> list[tuple[int, int]]:
    """Return the rows of batch size and device time of each replica that has both."""
    return [
        (row, time)
        for (subject, signal), row in places.items()
        if signal == names.BATCH_SIZE
        and (time := places.get((subject, names.DEVICE_TIME))) is not None
    ]
