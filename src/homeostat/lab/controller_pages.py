"""What the controller's sources would say after one scrape, for all episodes of a batch at once.

Same subjects, names and kinds as the shipped sources give: the gateway's page with its pools, a
page and a prober per replica, and labels. A page whose process is not there does not answer. What
the twin did not report is not on the page; nothing is filled in. All of it comes as columns; a test
holds them against the same pages read one by one.

Left out on purpose: histograms of latency on the replicas' own pages. They would double the number
of series, and no rule of the diagnosis reads them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from homeostat.base import names
from homeostat.base.columns import Columns
from homeostat.base.units import MILLISECOND, SECOND
from homeostat.lab.controller_catalogue import (
    BUCKETS,
    PAGE,
    PROBE,
    PROBED,
    REPLICA,
    Shelf,
)
from homeostat.lab.controller_counters import COLUMN, Bools, Counters, Floats, tokens_of
from homeostat.lab.controller_names import SERVING, START_S, time_ns
from homeostat.lab.devices import gauges
from homeostat.twin import signals
from homeostat.twin.outputs import Scrape
from homeostat.twin.shapes import SCRAPE_S, VARIANTS, Phase

Ints = npt.NDArray[np.int64]

READ_NS: Final = 100 * MILLISECOND
"""Age of what was read just now: the server stamps a page when it begins to read, and judges it
after the slowest one. Without it, evidence that is just as old as may be would count as fresh."""
_S: Final = {name: place for place, name in enumerate(signals.SLOT_SIGNALS)}
_V: Final = {name: place for place, name in enumerate(signals.VARIANT_SIGNALS)}
# Of the three samples of `Requests.known`, the one that each entry of a page comes with.
_SAMPLE: Final = np.array([0, 1, 1, 1] + [2] * BUCKETS)
_QUEUE: Final = _S[names.QUEUE_LENGTH]
_KV: Final = signals.TOKEN_SIGNALS.index(names.KV_USAGE)
_PROBE_SIGNALS: Final = [_S[name] for name in PROBED]
_COUNTED: Final = [COLUMN[name] for name in PAGE]
_BINS: Final = [
    [COLUMN[name] for name in ("usual_predictions", "usual_features")],
    [COLUMN[name] for name in ("moved_predictions", "moved_features")],
]
# Accuracy is told over labels that fade by a twentieth a scrape (`twin.labels`): as many as arrive
# in five minutes.
TOLD_OVER_S: Final = SCRAPE_S / 0.05
_ANSWERED: Final = (*sorted(SERVING), Phase.DEAD)
"""Phases in which somebody reads a replica's page; a process that starts has no page yet."""
_GATEWAY_BEGAN: Final = float(START_S - 3600)  # it has been running for an hour
_PROBER_BEGAN: Final = float(START_S)  # the prober's own start, not the replica's


class Sources:
    """The sources of a batch of episodes.

    Args:
        deployments: Their names.
        slots: Slots of each.
        bounds_ms: Bounds of the latencies' buckets `[N, bucket]`, ms.
    """

    def __init__(self, deployments: Sequence[str], slots: int, bounds_ms: Floats) -> None:
        self._shelf = Shelf(deployments, slots, bounds_ms)
        self._began: Floats = np.full((len(deployments), slots), np.nan)

    def restart(self, number: int, began: Mapping[int, int]) -> None:
        """Note when other processes began, by slot, in nanoseconds."""
        for slot, at in began.items():
            self._began[number, slot] = at / SECOND

    def round(self, now_s: float, scrape: Scrape, counters: Counters) -> Columns[Any]:
        """Return what is said after one scrape.

        Args:
            now_s: When the scrape was taken.
            scrape: Batched, NumPy.
            counters: After this scrape.
        """
        at = time_ns(now_s) - READ_NS
        phase = np.asarray(scrape.phase)
        there = phase != Phase.EMPTY
        variant = np.asarray(scrape.slot_variant, np.int64)
        parts = (
            self._gateways(counters, there, variant),
            self._labels(at, np.asarray(scrape.variant, np.float64)),
            *self._slots(at, scrape, counters, there, variant),
        )
        said, value, stamped, epoch, asked, answered = (
            np.concatenate(column) for column in zip(*parts, strict=True)
        )
        return Columns(
            source="lab",
            catalogue=self._shelf.catalogue,
            said=said,
            value=value,
            at=stamped,
            epoch=epoch,
            asked=asked,
            answered=answered,
        )

    def _gateways(self, counters: Counters, there: Bools, variant: Ints) -> "_Part":
        """Return the gateways' pages: their own counters and latencies, and those of each pool."""
        shelf, every = self._shelf, (counters.gateway, counters.pools)
        known = _side_by_side(*(one.known for one in every))
        shown = np.ones(known.shape[:2], bool)
        for pool in range(VARIANTS):
            shown[:, 1 + pool] = (there & (variant == pool)).any(axis=1)
        said = known[..., _SAMPLE] & shown[..., None]
        value = np.concatenate(
            [
                _side_by_side(*(one.total for one in every)),
                _side_by_side(*(one.buckets for one in every)),
            ],
            axis=-1,
        )
        sampled = _side_by_side(*(one.sampled for one in every))
        at = START_S * SECOND + np.rint(sampled * SECOND).astype(np.int64) - READ_NS
        heard = np.broadcast_to(said.any(axis=(1, 2))[:, None], shown.shape)
        return _part(
            said,
            shelf.gateway,
            value,
            at[..., _SAMPLE],
            _GATEWAY_BEGAN,
            shelf.gateway_pages[shown],
            heard[shown],
        )

    def _labels(self, at: int, variant: Floats) -> "_Part":
        """Return what labels say of each episode; whoever labels always answers."""
        value = np.stack(_labelled(variant), axis=-1)
        pages = self._shelf.label_pages
        return _part(
            np.isfinite(value),
            self._shelf.labels,
            value,
            at,
            np.nan,
            pages,
            np.ones(len(pages), bool),
        )

    def _slots(
        self, at: int, scrape: Scrape, counters: Counters, there: Bools, variant: Ints
    ) -> "tuple[_Part, _Part]":
        """Return the replicas' pages and what their probers found."""
        shelf, told = self._shelf, np.asarray(scrape.slot, np.float64)
        first, pages = shelf.replicas(variant)
        cap = np.take_along_axis(np.asarray(scrape.batch_max, np.float64), variant, axis=1)
        said, value = _replica(counters, told, tokens_of(scrape)[..., _KV], cap, gauges(scrape))
        reads = there & np.isin(np.asarray(scrape.phase), _ANSWERED)
        said &= reads[..., None]
        page = _part(
            said,
            first[..., None] + np.arange(REPLICA),
            value,
            at,
            self._began[..., None],
            pages[reads],
            _any(said)[reads],
        )
        said, value = _probe(counters, told)
        said &= there[..., None]
        probe = _part(
            said,
            first[..., None] + REPLICA + np.arange(PROBE),
            value,
            at,
            _PROBER_BEGAN,
            pages[there] + 1,
            _any(said)[there],
        )
        return page, probe


_Part = tuple[Ints, Floats, Ints, Floats, Ints, Bools]
"""Of some sources: what was said, values, times, epochs; what was asked, and what answered."""


def _part(
    said: Bools, place: Ints, value: Floats, at: Any, epoch: Any, asked: Ints, answered: Bools
) -> _Part:
    """Return what was said of each series, with one time and epoch for all or one for each."""
    times = np.broadcast_to(np.asarray(at, dtype=np.int64), said.shape)[said]
    began = np.broadcast_to(np.asarray(epoch, dtype=np.float64), said.shape)[said]
    return place[said], value[said], times, began, asked, answered


def _any(said: Bools) -> Bools:
    out: Bools = np.logical_or.reduce(said, axis=-1)
    return out


def _side_by_side(gateway: Any, pools: Any) -> Any:
    """Return gateways' arrays `[N, ...]` and pools' `[N, V, ...]` as one `[N, 1 + V, ...]`."""
    return np.concatenate([gateway[:, None], pools], axis=1)


def _replica(
    counters: Counters, told: Floats, kv: Floats, cap: Floats, device: Floats
) -> tuple[Bools, Floats]:
    """Return what a replica's page says: counters, two histograms, queue, batch limit, device."""
    known, total = counters.slot_known, counters.slots
    usual, moved = total[..., _BINS[0]], total[..., _BINS[1]]
    both = known[..., _BINS[0]] & known[..., _BINS[1]]
    own = np.stack([told[..., _QUEUE], kv], axis=-1)
    said = np.concatenate(
        [known[..., _COUNTED], np.repeat(both, 2, axis=-1), np.isfinite(own)], axis=-1
    )
    bins = np.stack([usual, usual + moved], axis=-1).reshape(*usual.shape[:-1], -1)
    value = np.concatenate([total[..., _COUNTED], bins, own, cap[..., None], device], axis=-1)
    there = said.any(axis=-1, keepdims=True)  # a page that says nothing else is not there
    limit, known_device = there & np.isfinite(cap)[..., None], there & np.isfinite(device)
    return np.concatenate([said, limit, known_device], axis=-1), value


def _probe(counters: Counters, told: Floats) -> tuple[Bools, Floats]:
    """Return what a prober found; one that was not even able to try reports nothing."""
    found = told[..., _PROBE_SIGNALS]
    said = np.isfinite(found)
    answered = counters.slots[..., COLUMN["answered_probes"], None]
    return (
        np.concatenate([said, said.any(axis=-1, keepdims=True)], axis=-1),
        np.concatenate([found, answered], axis=-1),
    )


def _labelled(variant: Floats) -> tuple[Floats, Floats, Floats]:
    """Return accuracy, label coverage and the number of labels that accuracy is of, each `[N]`.

    Over all variants, weighted by their labels, which are as many as arrive while they are told.
    """
    rate = variant[..., _V[names.ARRIVAL_RATE]]
    accuracy, coverage = variant[..., _V[names.ACCURACY]], variant[..., _V[names.LABEL_COVERAGE]]
    served = np.where(rate > 0.0, rate, 0.0)
    covered = served * np.nan_to_num(coverage)
    labelled = np.isfinite(accuracy) & (covered > 0.0)
    seen = np.isfinite(coverage) & (served > 0.0)
    right = _total(covered * np.nan_to_num(accuracy), labelled)
    known, labels = labelled.any(axis=-1), _total(covered, labelled)
    with np.errstate(invalid="ignore"):
        return (
            np.where(known, right / labels, np.nan),
            np.where(seen.any(axis=-1), _total(covered, seen) / _total(served, seen), np.nan),
            np.where(known, labels * TOLD_OVER_S, np.nan),
        )


def _total(values: Floats, which: Bools) -> Floats:
    out: Floats = np.where(which, values, 0.0).sum(axis=-1)
    return out
