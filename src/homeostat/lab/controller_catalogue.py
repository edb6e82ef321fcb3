"""All that the sources of a batch of episodes may ever say, and where it stands in the catalogue.

A slot keeps its number and changes its pool, and its name with it: there is a replica's page and a
prober for every pool that a slot may come to serve. Most of it is never said.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from homeostat.base import names, raw
from homeostat.base.columns import Catalogue
from homeostat.base.evidence import SeriesKey
from homeostat.lab.controller_counters import BOUNDS, Floats
from homeostat.lab.controller_names import POOLS, slot_name
from homeostat.twin.shapes import VARIANTS

Ints = npt.NDArray[np.int64]
# A signal, the bucket's bound, and whether it counts.
Entry = tuple[str, float | None, bool]

REQUESTED: Final = (
    raw.REQUESTS_ARRIVED,
    raw.REQUESTS_OK,
    raw.REQUESTS_5XX,
    raw.REQUESTS_REFUSED,
)
"""Counters of a gateway or a pool, in the order of `controller_counters.REQUESTS`."""
BUCKETS: Final = len(BOUNDS)
PAGE: Final = {
    "arrived": raw.REQUESTS_ARRIVED,
    "ok": raw.REQUESTS_OK,
    "failed": raw.REQUESTS_5XX,
    "batches": raw.BATCHES,
    "batched": raw.BATCH_SIZE_SUM,
    "full": raw.FULL_BATCHES,
    "device_s": raw.DEVICE_SECONDS,
    "cpu_s": raw.CPU_SECONDS,
    "invalid": raw.PREDICTIONS_INVALID,
    "preempted": raw.PREEMPTIONS,
    "prompts": raw.PROMPT_TOKENS,
    "generated": raw.GENERATED_TOKENS,
}
"""Counters on a replica's page by their column in `controller_counters.SLOT`."""
PROBED: Final = (names.PROBE_HEALTH, names.PROBE_INFERENCE, names.PROBE_LATENCY)

# Predictions and features as two bins: what looks as usual, and what has moved. The share moved is
# the distance that the twin reports, so the controller's own distance and test get the same input.
_SPLIT: Final = 0.5
_ON_PAGE: Final[tuple[Entry, ...]] = (
    *((signal, None, True) for signal in PAGE.values()),
    *(
        (signal, bound, True)
        for signal in (raw.PREDICTION, raw.feature("x"))
        for bound in (_SPLIT, math.inf)
    ),
    (raw.QUEUE, None, False),
    (raw.KV_USAGE, None, False),
    (raw.BATCH_MAX, None, False),
    (raw.DEVICE_USED, None, False),
    (raw.DEVICE_TOTAL, None, False),
    (raw.DEVICE_BUSY, None, False),
)
_BY_PROBER: Final[tuple[Entry, ...]] = (
    *((signal, None, False) for signal in PROBED),
    (raw.PROBES_ANSWERED, None, True),
)
_LABELLED: Final[tuple[Entry, ...]] = (
    (names.ACCURACY, None, False),
    (names.LABEL_COVERAGE, None, False),
    (raw.LABELLED, None, False),
)
REPLICA: Final = len(_ON_PAGE)
PROBE: Final = len(_BY_PROBER)
_OF_REQUESTS: Final = len(REQUESTED) + BUCKETS
_SUBJECTS: Final = (names.GATEWAY, *(names.pool(pool) for pool in POOLS))


class Shelf:
    """The catalogue of a batch, and where in it things are.

    Attributes:
        catalogue: For `Columns`.
        gateway: Places of the gateways' and pools' entries `[N, 1 + V, entry]`.
        gateway_pages: Places of their pages `[N, 1 + V]`.
        labels: Places of the labels' entries `[N, 3]`.
        label_pages: Places of their pages `[N]`.
    """

    def __init__(self, deployments: Sequence[str], slots: int, bounds_ms: Floats) -> None:
        n, ends = len(deployments), len(_SUBJECTS) * _OF_REQUESTS
        pairs = slots * VARIANTS
        each = ends + len(_LABELLED) + pairs * (REPLICA + PROBE)
        pages = len(_SUBJECTS) + 1 + 2 * pairs
        first, first_page = each * np.arange(n), pages * np.arange(n)
        self.gateway: Ints = (first[:, None] + np.arange(ends)).reshape(n, -1, _OF_REQUESTS)
        self.gateway_pages: Ints = first_page[:, None] + np.arange(len(_SUBJECTS))
        self.labels: Ints = first[:, None] + ends + np.arange(len(_LABELLED))
        self.label_pages: Ints = first_page + len(_SUBJECTS)
        self._first: Ints = first + ends + len(_LABELLED)
        self._first_page: Ints = first_page + len(_SUBJECTS) + 1
        self._slots: Ints = np.arange(slots)
        self.catalogue = _catalogue(deployments, slots, bounds_ms)

    def replicas(self, variant: Ints) -> tuple[Ints, Ints]:
        """Return places of each slot's first entry and of its page; its prober's page is next.

        Args:
            variant: Which pool each slot serves `[N, S]`.
        """
        pair = self._slots * VARIANTS + variant
        entries: Ints = self._first[:, None] + pair * (REPLICA + PROBE)
        return entries, self._first_page[:, None] + 2 * pair


def _catalogue(deployments: Sequence[str], slots: int, bounds_ms: Floats) -> Catalogue[Any]:
    series: list[tuple[SeriesKey, float | None]] = []
    counts: list[bool] = []
    page: list[int] = []
    pages: list[tuple[str, str, str]] = []
    for name, bounds in zip(deployments, bounds_ms.tolist(), strict=True):
        for source, subject, entries in _pages(slots, bounds):
            keys = {
                signal: SeriesKey(deployment=name, subject=subject, signal=signal)
                for signal in dict.fromkeys(signal for signal, _, _ in entries)
            }
            series += [(keys[signal], bound) for signal, bound, _ in entries]
            counts += [counted for _, _, counted in entries]
            page += [len(pages)] * len(entries)
            pages.append((f"{source}:{name}", name, subject))
    return Catalogue(
        series=tuple(series),
        counts=np.array(counts, dtype=np.bool_),
        page=np.array(page, dtype=np.int64),
        pages=tuple(pages),
    )


def _pages(slots: int, bounds: Sequence[float]) -> Iterator[tuple[str, str, tuple[Entry, ...]]]:
    """Yield source, subject and entries of each page of a deployment, in the catalogue's order."""
    requests: tuple[Entry, ...] = (
        *((signal, None, True) for signal in REQUESTED),
        *((raw.LATENCY, bound, True) for bound in bounds),
    )
    for subject in _SUBJECTS:
        yield "gateway", subject, requests
    yield "labels", names.MODEL, _LABELLED
    for slot in range(slots):
        for variant in range(VARIANTS):
            name = slot_name(variant, slot)
            yield f"page-{name}", names.replica(name), _ON_PAGE
            yield f"probe-{name}", names.replica(name), _BY_PROBER
