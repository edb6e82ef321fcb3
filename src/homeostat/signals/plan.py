"""Where each derived signal finds its raw series: index arrays, made when series change.

Made deployment by deployment, and only for those whose series did change.

An entity is one subject of one deployment. Rows are numbered in sorted order of deployment,
subject and signal, so the order in which series first appeared does not show in any result.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate, chain
from typing import Any, Final

import numpy as np

from homeostat.base import names, raw
from homeostat.base.evidence import SeriesKey
from homeostat.signals.quality import Floats, Ints
from homeostat.signals.rounds import READY_MADE
from homeostat.signals.table import PageId, RawId, RawTable

SCALARS: Final = (
    raw.REQUESTS_ARRIVED,
    raw.REQUESTS_OK,
    raw.REQUESTS_5XX,
    raw.REQUESTS_REFUSED,
    raw.BATCH_SIZE_SUM,
    raw.BATCHES,
    raw.FULL_BATCHES,
    raw.DEVICE_SECONDS,
    raw.QUEUE,
    raw.BATCH_MAX,
    raw.CPU_SECONDS,
    raw.PREDICTIONS_INVALID,
    raw.LABELLED,
    raw.LABELS_TOLD,
    raw.LABELS_RIGHT,
    raw.KV_USAGE,
    raw.PREEMPTIONS,
    raw.PROMPT_TOKENS,
    raw.GENERATED_TOKENS,
    raw.DEVICE_USED,
    raw.DEVICE_TOTAL,
    raw.DEVICE_BUSY,
    *sorted(READY_MADE),
)
COLUMN: Final = {signal: place for place, signal in enumerate(SCALARS)}

# Which raw series a derived signal needs to exist at all.
NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    names.ARRIVAL_RATE: (raw.REQUESTS_ARRIVED,),
    names.ERROR_RATIO: (raw.REQUESTS_OK, raw.REQUESTS_5XX),
    names.REFUSED_RATIO: (raw.REQUESTS_ARRIVED, raw.REQUESTS_REFUSED),
    names.DEVICE_TIME: (raw.DEVICE_SECONDS, raw.BATCHES),
    names.BATCH_SIZE: (raw.BATCH_SIZE_SUM, raw.BATCHES),
    names.BATCH_FULL_SHARE: (raw.FULL_BATCHES, raw.BATCHES),
    names.QUEUE_LENGTH: (raw.QUEUE,),
    names.BATCH_MAX: (raw.BATCH_MAX,),
    names.CPU_SHARE: (raw.CPU_SECONDS,),
    names.KV_USAGE: (raw.KV_USAGE,),
    names.PREEMPTION_RATIO: (raw.PREEMPTIONS, raw.REQUESTS_OK),
    names.PROMPT_TOKENS: (raw.PROMPT_TOKENS, raw.REQUESTS_OK),
    names.GENERATED_TOKENS: (raw.GENERATED_TOKENS, raw.REQUESTS_OK),
    names.DEVICE_MEMORY_SHARE: (raw.DEVICE_USED, raw.DEVICE_TOTAL),
    names.DEVICE_SHARE: (raw.DEVICE_BUSY,),
} | {signal: (signal,) for signal in READY_MADE}
# What it also rests on where the page has it: refusals are no failures, if they can be told apart.
ALSO: Final[Mapping[str, tuple[str, ...]]] = {names.ERROR_RATIO: (raw.REQUESTS_REFUSED,)}
_PROBES: Final = (names.PROBE_HEALTH, names.PROBE_INFERENCE)
# Of a latency histogram.
QUANTILES: Final = {names.LATENCY_P50: 0.50, names.LATENCY_P95: 0.95}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """Index arrays into the raw table.

    Attributes:
        layout: The table layout it was made for.
        entities: (deployment, subject), sorted.
        scalars: Raw row of each scalar, -1 where there is none. `[entity, scalar]`
        histograms: (entity, raw signal), sorted.
        buckets: Raw rows of each histogram by bound; short ones repeat their last. `[h, bucket]`
        bounds: Upper bounds, padded with the last. `[h, bucket]`
        sizes: Buckets of each histogram. `[h]`
        keys: Derived series that exist, in row order.
        row_entity: Entity of each derived series. `[row]`
        row_histogram: Latency histogram of each derived series, -1 for none. `[row]`
        row_parts: Raw rows that each derived series rests on, -1 for one that is not there, -2 for
            none. `[row, part]`
        rows_of: Rows by signal.
        probed: (deployment, subject) that somebody probes, sorted.
        probes: Rows of each one's probes, -1 for none; the first is there. `[probed, 2]`
        probe_raw: Their raw rows, -1 for none. `[probed, 2]`
        failures: The series that counts each one's failed rounds.
        shown: Histograms that leave the room: predictions and features.
        events: Histograms of which each tick's new events leave it: those and activations.
        cuts: Their bounds.
        pages: The pages and their numbers, sorted; not those of pools on their gateway's own page.
        parts: The plan of each deployment by itself, without its pages.
    """

    layout: int
    entities: tuple[tuple[str, str], ...]
    scalars: Ints
    histograms: tuple[tuple[int, str], ...]
    buckets: Ints
    bounds: Floats
    sizes: Ints
    keys: tuple[SeriesKey, ...]
    row_entity: Ints
    row_histogram: Ints
    row_parts: Ints
    rows_of: dict[str, Ints]
    probed: tuple[tuple[str, str], ...]
    probes: Ints
    probe_raw: Ints
    failures: tuple[SeriesKey, ...]
    shown: Ints
    events: Ints
    cuts: dict[int, tuple[float, ...]]
    pages: tuple[tuple[PageId, int], ...]
    parts: "dict[str, Plan]"


@lru_cache(maxsize=1 << 17)
def series(deployment: str, subject: str, signal: str) -> SeriesKey:
    """Return a series' key, the same object each time: looking it up elsewhere is then cheap."""
    return SeriesKey(deployment=deployment, subject=subject, signal=signal)


def plan(table: RawTable, before: Plan | None = None) -> Plan:
    """Return the index arrays for a table's layout.

    Args:
        table: The table.
        before: A plan of an earlier layout of it; what did not change since is taken over.
    """
    known = {} if before is None else before.parts
    since = -1 if before is None else before.layout
    own: dict[str, dict[RawId, int]] = {
        name: {} for name, at in table.touched.items() if at > since or name not in known
    }
    for rid, row in table.index.items():
        if (mine := own.get(rid[0].deployment)) is not None:
            mine[rid] = row
    parts = {
        name: _plan(own[name], table.layout) if name in own else known[name]
        for name in sorted(table.touched)
    }
    merged = _merged(tuple(parts.values()), table.layout)
    return replace(merged, pages=tuple(_pages(table)), parts=parts)


def _merged(parts: Sequence[Plan], layout: int) -> Plan:
    """Return the plan of several deployments from those of each."""
    if not parts:
        return _plan({}, layout)
    entities = _starts([len(part.entities) for part in parts])
    histograms = _starts([len(part.histograms) for part in parts])
    rows = _starts([len(part.keys) for part in parts])
    wide = max(part.buckets.shape[1] for part in parts)
    shifted = list(zip(parts, entities, histograms, strict=True))
    return Plan(
        layout=layout,
        entities=tuple(chain.from_iterable(part.entities for part in parts)),
        scalars=np.concatenate([part.scalars for part in parts]),
        histograms=tuple(
            (e + n, signal) for part, e, _ in shifted for n, signal in part.histograms
        ),
        buckets=np.concatenate([_widened(part.buckets, wide) for part in parts]),
        bounds=np.concatenate([_widened(part.bounds, wide) for part in parts]),
        sizes=np.concatenate([part.sizes for part in parts]),
        keys=tuple(chain.from_iterable(part.keys for part in parts)),
        row_entity=_shifted([part.row_entity for part in parts], entities),
        row_histogram=_shifted([part.row_histogram for part in parts], histograms),
        row_parts=np.concatenate([part.row_parts for part in parts]),
        rows_of=_rows_of(parts, rows),
        probed=tuple(chain.from_iterable(part.probed for part in parts)),
        probes=_shifted([part.probes for part in parts], rows),
        probe_raw=np.concatenate([part.probe_raw for part in parts]),
        failures=tuple(chain.from_iterable(part.failures for part in parts)),
        shown=_shifted([part.shown for part in parts], histograms),
        events=_shifted([part.events for part in parts], histograms),
        cuts={h + n: cut for part, _, h in shifted for n, cut in part.cuts.items()},
        pages=(),
        parts={},
    )


def _rows_of(parts: Sequence[Plan], first: Sequence[int]) -> dict[str, Ints]:
    """Return the rows of each signal, those of each part counted from its first."""
    found: dict[str, tuple[list[Ints], list[int]]] = {}
    for part, row in zip(parts, first, strict=True):
        for signal, own in part.rows_of.items():
            columns, starts = found.setdefault(signal, ([], []))
            columns.append(own)
            starts.append(row)
    return {signal: _shifted(columns, starts) for signal, (columns, starts) in found.items()}


def _shifted(columns: Sequence[Ints], first: Sequence[int]) -> Ints:
    """Return places of several parts one after the other, each counted from its first; -1 stays.

    All in one go: there are as many parts as deployments, and each has a handful.
    """
    out = np.concatenate(columns)
    by = np.repeat(np.array(first, dtype=np.int64), [len(column) for column in columns])
    out += np.where(out < 0, 0, by.reshape(-1, *(1,) * (out.ndim - 1)))
    return out


def _starts(sizes: Sequence[int]) -> list[int]:
    """Return where each of several lists begins when they stand one after the other.

    >>> _starts([2, 0, 3])
    [0, 2, 2]
    """
    return list(accumulate(sizes, initial=0))[:-1]


def _widened(column: Any, wide: int) -> Any:
    """Return rows as wide as asked for, the last entry repeated; a table without rows may grow."""
    missing = wide - column.shape[1]
    return np.concatenate([column, np.repeat(column[:, -1:], missing, axis=1)], axis=1)


def _plan(index: Mapping[RawId, int], layout: int) -> Plan:
    """Return the plan of some series, without their pages."""
    entities = tuple(sorted({(key.deployment, key.subject) for key, _ in index}))
    place = {entity: number for number, entity in enumerate(entities)}
    scalars = [[-1] * len(SCALARS) for _ in entities]
    buckets: dict[tuple[int, str], list[tuple[float, int]]] = {}
    for (key, le), row in index.items():
        entity = place[key.deployment, key.subject]
        if le is not None:
            buckets.setdefault((entity, key.signal), []).append((le, row))
        elif (column := COLUMN.get(key.signal)) is not None:
            scalars[entity][column] = row
    histograms = tuple(sorted(buckets))
    rows, bounds, sizes = _padded([sorted(buckets[h]) for h in histograms])
    latency = {entity: h for h, (entity, signal) in enumerate(histograms) if signal == raw.LATENCY}
    derived = [
        (number, signal)
        for number, has in enumerate(scalars)
        for signal in _signals(tuple(row >= 0 for row in has), timed=number in latency)
    ]
    by_signal: dict[str, list[int]] = {}
    for row, (_, signal) in enumerate(derived):
        by_signal.setdefault(signal, []).append(row)
    owner = np.array([entity for entity, _ in derived], dtype=np.int64)
    where = np.array(scalars, dtype=np.int64).reshape(-1, len(SCALARS))
    rows_of = {signal: np.array(rows, dtype=np.int64) for signal, rows in by_signal.items()}
    probed, probes, probe_raw = _probed(derived, where)
    shown = [
        number
        for number, (_, signal) in enumerate(histograms)
        if signal == raw.PREDICTION or raw.feature_name(signal) is not None
    ]
    inside = [
        number
        for number, (_, signal) in enumerate(histograms)
        if raw.activation_name(signal) is not None
    ]
    events = sorted((*shown, *inside))
    return Plan(
        layout=layout,
        entities=entities,
        scalars=where,
        histograms=histograms,
        buckets=rows,
        bounds=bounds,
        sizes=sizes,
        keys=tuple(series(*entities[entity], signal) for entity, signal in derived),
        row_entity=owner,
        row_histogram=np.array(
            [latency[entity] if signal in QUANTILES else -1 for entity, signal in derived],
            dtype=np.int64,
        ),
        row_parts=_parts(rows_of, owner, where),
        rows_of=rows_of,
        probed=tuple(entities[entity] for entity in probed),
        probes=probes,
        probe_raw=probe_raw,
        failures=tuple(series(*entities[entity], names.PROBE_FAILURES) for entity in probed),
        shown=np.array(shown, dtype=np.int64),
        events=np.array(events, dtype=np.int64),
        cuts={number: tuple(bounds[number, : sizes[number]].tolist()) for number in events},
        pages=(),
        parts={},
    )


def _probed(
    derived: Sequence[tuple[int, str]], scalars: Ints
) -> tuple[tuple[int, ...], Ints, Ints]:
    """Return the entities that are probed, and the derived and raw rows of their probes."""
    found: dict[int, list[tuple[int, int]]] = {}
    for row, (entity, signal) in enumerate(derived):
        if signal in _PROBES:
            found.setdefault(entity, []).append((row, int(scalars[entity, COLUMN[signal]])))
    none = (-1, -1)
    pairs = [[*pair, none][: len(_PROBES)] for pair in found.values()]
    both = np.array(pairs, dtype=np.int64).reshape(-1, len(_PROBES), 2)
    return tuple(found), both[..., 0], both[..., 1]


def _pages(table: RawTable) -> Iterator[tuple[PageId, int]]:
    for page, number in sorted(table.page_index.items()):
        source, deployment, subject = page
        # What a gateway says of its pools is on the gateway's own page.
        shared = subject.startswith("pool:")
        if not (shared and (source, deployment, names.GATEWAY) in table.page_index):
            yield page, number


def _parts(rows_of: Mapping[str, Ints], owner: Ints, scalars: Ints) -> Ints:
    widest = max(len(needs) + len(ALSO.get(signal, ())) for signal, needs in NEEDS.items())
    parts = np.full((len(owner), widest), -2, dtype=np.int64)
    for signal, rows in rows_of.items():
        needs = NEEDS.get(signal, ())
        for place, part in enumerate((*needs, *ALSO.get(signal, ()))):
            found = scalars[owner[rows], COLUMN[part]]
            parts[rows, place] = found if place < len(needs) else np.where(found < 0, -2, found)
    return parts


@lru_cache(maxsize=1 << 12)
def _signals(has: tuple[bool, ...], *, timed: bool) -> tuple[str, ...]:
    """Return which signals can be derived of an entity that has these scalars, sorted.

    Args:
        has: Whether it has each of `SCALARS`.
        timed: Whether it has a histogram of latencies.
    """
    found = [signal for signal, needs in NEEDS.items() if all(has[COLUMN[need]] for need in needs)]
    return tuple(sorted((*found, *(QUANTILES if timed else ()))))


def _padded(lists: list[list[tuple[float, int]]]) -> tuple[Ints, Floats, Ints]:
    widest = max((len(entries) for entries in lists), default=1)
    rows = np.zeros((len(lists), widest), dtype=np.int64)
    bounds = np.zeros((len(lists), widest))
    for number, entries in enumerate(lists):
        padded = entries + [entries[-1]] * (widest - len(entries))
        bounds[number] = [le for le, _ in padded]
        rows[number] = [row for _, row in padded]
    return rows, bounds, np.array([len(entries) for entries in lists], dtype=np.int64)
