"""The lab's pages read one by one, an observation at a time: what the columns are held against."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from homeostat.base import names, raw
from homeostat.base.evidence import Kind, Observation, Quality, SeriesKey, SourceReport
from homeostat.base.units import SECOND, TimeNs
from homeostat.lab.controller_counters import COLUMN, Counters, Floats, Requests
from homeostat.lab.controller_names import POOLS, SERVING, START_S, time_ns
from homeostat.lab.controller_pages import READ_NS
from homeostat.twin import signals
from homeostat.twin.outputs import Scrape
from homeostat.twin.shapes import Phase

_S: Final = {name: place for place, name in enumerate(signals.SLOT_SIGNALS)}
_QUEUE: Final = _S[names.QUEUE_LENGTH]
_KV: Final = signals.TOKEN_SIGNALS.index(names.KV_USAGE)
_V: Final = {name: place for place, name in enumerate(signals.VARIANT_SIGNALS)}

_REQUESTS: Final = (
    raw.REQUESTS_ARRIVED,
    raw.REQUESTS_OK,
    raw.REQUESTS_5XX,
    raw.REQUESTS_REFUSED,
)
# Of the three samples of `Requests.known`, the one that each counter of a page comes with.
_SAMPLE_OF: Final = (0, 1, 1, 1)
_OF_LATENCY: Final = 2

# Predictions and features as two bins: what looks as usual, and what has moved. The share moved is
# the distance that the twin reports, so the controller's own distance and test get the same input.
_SPLIT: Final = 0.5
_COUNTERS: Final = tuple(
    (COLUMN[column], signal)
    for column, signal in (
        ("arrived", raw.REQUESTS_ARRIVED),
        ("ok", raw.REQUESTS_OK),
        ("failed", raw.REQUESTS_5XX),
        ("batches", raw.BATCHES),
        ("batched", raw.BATCH_SIZE_SUM),
        ("full", raw.FULL_BATCHES),
        ("device_s", raw.DEVICE_SECONDS),
        ("cpu_s", raw.CPU_SECONDS),
        ("invalid", raw.PREDICTIONS_INVALID),
        ("preempted", raw.PREEMPTIONS),
        ("prompts", raw.PROMPT_TOKENS),
        ("generated", raw.GENERATED_TOKENS),
    )
)
_BINS: Final = (
    (raw.PREDICTION, COLUMN["usual_predictions"], COLUMN["moved_predictions"]),
    (raw.feature("x"), COLUMN["usual_features"], COLUMN["moved_features"]),
)
_PROBED: Final = tuple(
    (_S[signal], signal)
    for signal in (names.PROBE_HEALTH, names.PROBE_INFERENCE, names.PROBE_LATENCY)
)


@dataclass(slots=True)
class _Page:
    """Collects one page's observations; keys are made once and reused, which makes reading fast."""

    source: str
    deployment: str
    keys: dict[tuple[str, str], SeriesKey] = field(default_factory=dict)
    found: list[Observation] = field(default_factory=list)
    epoch: float | None = None

    def say(
        self,
        subject: str,
        signal: str,
        value: float,
        at: TimeNs,
        kind: Kind = Kind.COUNTER,
        le: float | None = None,
    ) -> None:
        key = self.keys.get((subject, signal))
        if key is None:
            key = SeriesKey(deployment=self.deployment, subject=subject, signal=signal)
            self.keys[subject, signal] = key
        self.found.append(
            Observation(
                source=self.source,
                key=key,
                kind=kind,
                value=value,
                observed_at=at,
                le=le,
                epoch=self.epoch,
            )
        )

    def report(
        self, at: TimeNs, subjects: tuple[str, ...], quality: Quality = Quality.GOOD
    ) -> SourceReport:
        """Return what was collected, and forget it."""
        found, self.found = tuple(self.found), []
        return SourceReport(
            source=self.source, at=at, observations=found, subjects=subjects, quality=quality
        )


class Pages:
    """The sources of one episode.

    Args:
        deployment: The deployment's name.
        number: The episode's place in the batch.
    """

    def __init__(self, deployment: str, number: int) -> None:
        self._deployment, self._number = deployment, number
        self._pages: dict[str, _Page] = {}

    def reports(
        self,
        now_s: float,
        scrape: Scrape,
        counters: Counters,
        slots: Iterable[tuple[int, str, TimeNs]],
    ) -> tuple[SourceReport, ...]:
        """Return this scrape's reports.

        Args:
            now_s: When the scrape was taken.
            scrape: Batched, NumPy.
            counters: After this scrape.
            slots: Index, name and start of the process of each slot that is not empty.
        """
        at, n = TimeNs(time_ns(now_s) - READ_NS), self._number
        phases = scrape.phase[n].tolist()
        variants = scrape.slot_variant[n].tolist()
        there = {v for v, phase in zip(variants, phases, strict=True) if phase != Phase.EMPTY}
        caps, told = scrape.batch_max[n].tolist(), scrape.slot[n].tolist()
        usage = [math.nan] * len(told) if scrape.tokens is None else scrape.tokens[n, :, _KV]
        known, total = counters.slot_known[n].tolist(), counters.slots[n].tolist()
        out = [
            self._gateway(at, counters, there),
            self._labels(at, np.asarray(scrape.variant[n], np.float64)),
        ]
        for slot, name, started in slots:
            if phases[slot] in _ANSWERED:
                page = self._page(f"page-{name}")
                page.epoch = started / SECOND
                cap = caps[variants[slot]]
                gauges = {raw.QUEUE: told[slot][_QUEUE], raw.KV_USAGE: float(usage[slot])}
                out.append(_replica(page, name, at, known[slot], total[slot], gauges, cap))
            answered = total[slot][COLUMN["answered_probes"]]
            out.append(_probe(self._page(f"probe-{name}"), name, at, told[slot], answered))
        return tuple(out)

    def _page(self, source: str) -> _Page:
        name = f"{source}:{self._deployment}"
        page = self._pages.get(name)
        if page is None:
            page = self._pages[name] = _Page(name, self._deployment)
        return page

    def _gateway(self, at: TimeNs, counters: Counters, there: set[int]) -> SourceReport:
        page, n = self._page("gateway"), self._number
        page.epoch = float(START_S - 3600)  # it has been running for an hour
        bounds = counters.bounds_ms[n].tolist()
        _requests(page, names.GATEWAY, counters.gateway, (n,), bounds)
        subjects = [names.GATEWAY]
        for variant in sorted(there):
            subjects.append(names.pool(POOLS[variant]))
            _requests(page, subjects[-1], counters.pools, (n, variant), bounds)
        quality = Quality.GOOD if page.found else Quality.UNREACHABLE
        return page.report(at, tuple(subjects), quality)

    def _labels(self, at: TimeNs, variant: Floats) -> SourceReport:
        page = self._page("labels")
        accuracy, coverage, labels = _labelled(variant)
        if math.isfinite(accuracy):
            page.say(names.MODEL, names.ACCURACY, accuracy, at, Kind.GAUGE)
        if math.isfinite(coverage):
            page.say(names.MODEL, names.LABEL_COVERAGE, coverage, at, Kind.GAUGE)
        if math.isfinite(labels):
            page.say(names.MODEL, raw.LABELLED, labels, at, Kind.GAUGE)
        return page.report(at, (names.MODEL,))


def _replica(
    page: _Page,
    name: str,
    at: TimeNs,
    known: Sequence[bool],
    total: Sequence[float],
    gauges: Mapping[str, float],
    cap: float,
) -> SourceReport:
    """Return one replica's page: its counters, predictions, features, gauges and batch limit."""
    subject = names.replica(name)
    for place, signal in _COUNTERS:
        if known[place]:
            page.say(subject, signal, total[place], at)
    for signal, usual, moved in _BINS:
        if known[usual] and known[moved]:
            page.say(subject, signal, total[usual], at, Kind.BUCKET, _SPLIT)
            page.say(subject, signal, total[usual] + total[moved], at, Kind.BUCKET, math.inf)
    for signal, value in gauges.items():
        if math.isfinite(value):
            page.say(subject, signal, value, at, Kind.GAUGE)
    quality = Quality.GOOD if page.found else Quality.UNREACHABLE
    if page.found and math.isfinite(cap):
        page.say(subject, raw.BATCH_MAX, cap, at, Kind.GAUGE)
    return page.report(at, (subject,), quality)


def _probe(
    page: _Page, name: str, at: TimeNs, told: Sequence[float], answered: float
) -> SourceReport:
    """Return what a prober found; one that was not even able to try reports nothing."""
    page.epoch = float(START_S)  # the prober's own start, not the replica's
    subject = names.replica(name)
    for place, signal in _PROBED:
        value = told[place]
        if math.isfinite(value):
            page.say(subject, signal, value, at, Kind.GAUGE)
    if page.found:
        page.say(subject, raw.PROBES_ANSWERED, answered, at)
    return page.report(at, (subject,), Quality.GOOD if page.found else Quality.UNREACHABLE)


_ANSWERED: Final = frozenset({*SERVING, Phase.DEAD})
"""Phases in which somebody reads a replica's page; a process that starts has no page yet."""


def _requests(
    page: _Page,
    subject: str,
    counted: Requests,
    where: tuple[int, ...],
    bounds_ms: Sequence[float],
) -> None:
    """Say the counters and the latency histogram of a gateway or a pool."""
    known = counted.known[where].tolist()
    at = [TimeNs(time_ns(s) - READ_NS) for s in counted.sampled[where].tolist()]
    for signal, value, sample in zip(
        _REQUESTS, counted.total[where].tolist(), _SAMPLE_OF, strict=True
    ):
        if known[sample]:
            page.say(subject, signal, value, at[sample])
    if known[_OF_LATENCY]:
        for le, value in zip(bounds_ms, counted.buckets[where].tolist(), strict=True):
            page.say(subject, raw.LATENCY, value, at[_OF_LATENCY], Kind.BUCKET, le)


def _labelled(variant: Floats) -> tuple[float, float, float]:
    """Return accuracy, label coverage and labels over all variants, weighted by their labels."""
    rate = variant[:, _V[names.ARRIVAL_RATE]]
    accuracy, coverage = variant[:, _V[names.ACCURACY]], variant[:, _V[names.LABEL_COVERAGE]]
    served = np.where(rate > 0.0, rate, 0.0)
    covered = served * np.nan_to_num(coverage)
    labelled = np.isfinite(accuracy) & (covered > 0.0)
    seen = np.isfinite(coverage) & (served > 0.0)
    right = float((covered * np.nan_to_num(accuracy))[labelled].sum())
    labels = float(covered[labelled].sum())
    return (
        right / labels if labelled.any() else float("nan"),
        float(covered[seen].sum() / served[seen].sum()) if seen.any() else float("nan"),
        300.0 * labels if labelled.any() else float("nan"),
    )
