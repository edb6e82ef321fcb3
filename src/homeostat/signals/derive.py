"""From the raw table to derived series: rates, ratios, means and quantiles over a window.

Each entity uses the shortest window that holds enough requests (a little-used pool is judged over
more time, not over fewer requests). A series is as fresh as its oldest part and as believable as
its worst; what is not both comes out as NaN with its reason.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from homeostat.base import names, raw
from homeostat.base.evidence import LOOKBACK_SCRAPES
from homeostat.signals import counters
from homeostat.signals.counters import ratio
from homeostat.signals.pages import AHEAD_NS
from homeostat.signals.plan import COLUMN, QUANTILES, SCALARS, Plan
from homeostat.signals.quality import ABSURD, FEW, GOOD, MISSING, STALE, Bools, Codes, Floats, Ints
from homeostat.signals.rounds import READY_MADE
from homeostat.signals.table import NEVER, RawTable
from homeostat.signals.window import sums

# A mean device time varies by a few percent, not by factors: so few batches already show it.
_LEAST_BATCHES: Final = 3.0
# A Poisson count of 64 is good to 12 %: enough to tell half as much again.
_LEAST_ARRIVALS: Final = 64.0
# Ratios and quantiles follow a fault within seconds and still hold 20 requests at 4 a second.
_RATIO_TICKS: Final = LOOKBACK_SCRAPES
# Accuracy and its coverage arrive with the labels, which are late by nature: in multiples of the
# freshness limit of everything else.
_LABELS_FRESH: Final = 30.0
_LABELS: Final = frozenset({names.ACCURACY, names.LABEL_COVERAGE})
_OLDEST_NS: Final = 10**18  # stands for "never": thirty years
# Signals whose samples are requests, and which therefore need `min_samples` of them.
_OF_REQUESTS: Final = frozenset({
    names.ERROR_RATIO,
    names.REFUSED_RATIO,
    names.PREEMPTION_RATIO,
    names.PROMPT_TOKENS,
    names.GENERATED_TOKENS,
    *QUANTILES,
})
# What is counted of sequences, over the requests that were answered well.
_OF_SEQUENCES: Final = {
    names.PREEMPTION_RATIO: raw.PREEMPTIONS,
    names.PROMPT_TOKENS: raw.PROMPT_TOKENS,
    names.GENERATED_TOKENS: raw.GENERATED_TOKENS,
}
# Shares of a device, which know no number beyond 0..1: what is beyond is absurd, not few.
_OF_DEVICES: Final = (names.DEVICE_MEMORY_SHARE, names.DEVICE_SHARE)
_ROUNDED: Final = 1e-3  # an exporter's own arithmetic may end this far beyond
_OF_BATCHES: Final = frozenset({names.DEVICE_TIME, names.BATCH_SIZE, names.BATCH_FULL_SHARE})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Derived:
    """Derived series, one entry per row of the plan.

    Attributes:
        value: In the signal's unit, NaN where it is not believed. `[row]`
        age_ns: Age of the oldest part. `[row]`
        samples: Events in the window. `[row]`
        code: Quality. `[row]`
        resolution: Error of the value at most, by the page's buckets; 0 where exact. `[row]`
        counts: Window counts per bucket, NaN where unknown. `[histogram, bucket]`
        histogram_code: Quality of each histogram. `[histogram]`
        invalid: Invalid predictions in the window, NaN where not believed. `[entity]`
    """

    value: Floats
    age_ns: Ints
    samples: Floats
    code: Codes
    resolution: Floats
    counts: Floats
    histogram_code: Codes
    invalid: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Limits:
    """What each entity's values must meet, one entry per entity.

    Attributes:
        fresh_ns: Oldest believed age.
        least: Fewest requests that a ratio or a quantile needs.
    """

    fresh_ns: Ints
    least: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Windows:
    """Window sums, and the window that each entity uses for each kind of signal.

    Attributes:
        total: Sums by length, entity and scalar. `[length, entity, scalar]`
        seconds: Time that each of them covers. `[length, entity, scalar]`
        requests: Window of ratios and quantiles: long enough for a share of a percent. `[entity]`
        arrivals: Window of the rate: as short as its noise allows, so that what has ended is seen
            to have ended. `[entity]`
        batches: Window of means over batches. `[entity]`
    """

    total: Floats
    seconds: Floats
    requests: Ints
    arrivals: Ints
    batches: Ints

    def of(self, signal: str, window: Ints) -> Floats:
        """Return one scalar's sum per entity."""
        return counters.pick(self.total[:, :, COLUMN[signal]], window)

    def rate(self, signal: str, window: Ints) -> Floats:
        """Return one scalar's events per second, over the time that this scalar covers."""
        return ratio(self.of(signal, window), self._over(signal, window))

    def beside(self, signal: str, other: str, window: Ints) -> Floats:
        """Return one scalar's sum, as of the time that another one covers.

        Two counters of one page cover the same time, unless one of them was missing for a while:
        then the one is told of fewer seconds than the other, and later of more.
        """
        return counters.stretched(
            self.of(signal, window), self._over(signal, window), self._over(other, window)
        )

    def _over(self, signal: str, window: Ints) -> Floats:
        return counters.pick(self.seconds[:, :, COLUMN[signal]], window)


def derive(
    table: RawTable, plan: Plan, limits: Limits, now: int, tick: int, lengths: tuple[int, ...]
) -> Derived:
    """Return the derived series of one tick.

    Args:
        table: The raw table after this tick's round.
        plan: Index arrays of the table's layout.
        limits: Freshness and sample limits, per entity.
        now: The tick's time.
        tick: The tick's number.
        lengths: Windows to choose from, in ticks, shortest first.
    """
    age, code = _raw_state(table, now)
    per_row = sums(table.inc, tick, lengths)
    seconds = _seconds(table, tick, lengths)
    windows = _windows(per_row, seconds, plan, limits, lengths)
    cumulative = _cumulative(per_row, seconds, plan, windows)
    owner = np.array([entity for entity, _ in plan.histograms], dtype=np.int64)
    whole = age[plan.buckets].max(axis=1), code[plan.buckets].max(axis=1)
    old = _too_old(whole[0], limits.fresh_ns[owner])
    value, samples, resolution = _numbers(table, plan, windows, cumulative)
    row_age, row_code = _ages(plan, age, code, whole)
    return _judged(
        plan,
        limits,
        Derived(
            value=value,
            age_ns=row_age,
            samples=samples,
            code=row_code,
            resolution=resolution,
            counts=counters.bins(cumulative),
            histogram_code=np.where(old, _reason(whole[1]), GOOD).astype(np.int8),
            invalid=_invalid(plan, windows, age, limits),
        ),
    )


def _invalid(plan: Plan, windows: _Windows, age: Ints, limits: Limits) -> Floats:
    places = plan.scalars[:, COLUMN[raw.PREDICTIONS_INVALID]]
    old = _too_old(np.append(age, -NEVER)[places], limits.fresh_ns)
    out: Floats = np.where(old, np.nan, windows.of(raw.PREDICTIONS_INVALID, windows.requests))
    return out


def _ages(plan: Plan, age: Ints, code: Codes, histogram: tuple[Ints, Codes]) -> tuple[Ints, Codes]:
    """Return the age of the oldest part and the worst reason, per derived row."""
    # Two more rows: -1 is "needed and not there", -2 "not needed": the one infinitely old, the
    # other brand new.
    ages = np.append(age, [0, -NEVER])[plan.row_parts].max(axis=1)
    codes = np.append(code, np.array([GOOD, MISSING], dtype=np.int8))[plan.row_parts].max(axis=1)
    for signal in QUANTILES:
        rows = plan.rows_of.get(signal)
        if rows is not None:
            ages[rows] = histogram[0][plan.row_histogram[rows]]
            codes[rows] = histogram[1][plan.row_histogram[rows]]
    return ages, codes


def _judged(plan: Plan, limits: Limits, found: Derived) -> Derived:
    """Blank out what is too old, has too few samples or is no number, and say why."""
    fresh, least = limits.fresh_ns[plan.row_entity].copy(), np.zeros(len(plan.keys))
    for signal, rows in plan.rows_of.items():
        if signal in _LABELS:
            fresh[rows] = (fresh[rows] * _LABELS_FRESH).astype(np.int64)
        if signal in _OF_REQUESTS:
            least[rows] = limits.least[plan.row_entity[rows]]
        elif signal in _OF_BATCHES:
            least[rows] = _LEAST_BATCHES
    old = _too_old(found.age_ns, fresh)
    few = (found.samples < least) | np.isnan(found.value)
    why = np.full(len(plan.keys), FEW)
    for rows in (plan.rows_of[signal] for signal in _OF_DEVICES if signal in plan.rows_of):
        why[rows] = ABSURD
    code = np.where(old, _reason(found.code), np.where(few, why, GOOD)).astype(np.int8)
    believed = code == GOOD
    return replace(
        found,
        value=np.where(believed, found.value, np.nan),
        resolution=np.where(believed, found.resolution, np.nan),
        age_ns=np.clip(found.age_ns, 0, _OLDEST_NS),
        code=code,
    )


def _too_old(age: Ints, fresh: Ints) -> Bools:
    """Return what is not fresh: too old, or from so far ahead that a clock went back."""
    old: Bools = (age > fresh) | (age < -AHEAD_NS)
    return old


def _reason(code: Codes) -> Codes:
    """Return why something is old: its own reason, or simply that it is."""
    reason: Codes = np.where(code == GOOD, STALE, code).astype(np.int8)
    return reason


def _raw_state(table: RawTable, now: int) -> tuple[Ints, Codes]:
    """Return each raw series' age and why it may be old."""
    at = table.at
    age = np.where(at == NEVER, -NEVER, now - np.where(at == NEVER, 0, at))
    page_code = table.page_code[table.page]
    missing = (table.seen < table.tick) & (page_code == GOOD)
    code = np.where(missing, MISSING, np.where(table.seen < table.tick, page_code, table.code))
    return age, code.astype(np.int8)


def _windows(
    per_row: Floats, seconds: Floats, plan: Plan, limits: Limits, lengths: tuple[int, ...]
) -> _Windows:
    rows = plan.scalars
    nothing = np.full((len(lengths), 1), np.nan)  # row -1: there is no such series
    total = np.append(per_row, nothing, axis=1)[:, rows]
    seconds = np.append(seconds, nothing, axis=1)[:, rows]
    known = np.nan_to_num(total)
    answered = known[:, :, COLUMN[raw.REQUESTS_OK]] + known[:, :, COLUMN[raw.REQUESTS_5XX]]
    first = next((n for n, length in enumerate(lengths) if length >= _RATIO_TICKS), 0)
    requests = first + counters.shortest(answered[first:], limits.least)
    # An entity that counts no requests (a prober's page) uses the shortest window.
    requests = np.where(rows[:, COLUMN[raw.REQUESTS_OK]] < 0, 0, requests)
    arrived, batches = known[:, :, COLUMN[raw.REQUESTS_ARRIVED]], known[:, :, COLUMN[raw.BATCHES]]
    size = len(plan.entities)
    return _Windows(
        total=total,
        seconds=seconds,
        requests=requests,
        arrivals=counters.shortest(arrived, np.full(size, _LEAST_ARRIVALS)),
        batches=counters.shortest(batches, np.full(size, _LEAST_BATCHES)),
    )


def _seconds(table: RawTable, tick: int, lengths: tuple[int, ...]) -> Floats:
    """Return the time that each row's increments cover, `[length, row]`: its page's, or its own."""
    out: Floats = sums(table.page_dt, tick, lengths)[:, table.page]
    own = np.flatnonzero(table.slipped > tick - max(lengths))
    if len(own):
        out[:, own] = sums(table.cover[own], tick, lengths)
    return out


def _numbers(
    table: RawTable, plan: Plan, windows: _Windows, cumulative: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return value, samples and resolution of each derived row, believed or not."""
    value, samples = np.full(len(plan.keys), np.nan), np.ones(len(plan.keys))
    resolution = np.zeros(len(plan.keys))
    values, counted = _values(windows, table, plan)
    for signal, rows in plan.rows_of.items():
        entity, histogram = plan.row_entity[rows], plan.row_histogram[rows]
        if signal in QUANTILES:
            found = counters.quantile(
                cumulative[histogram], plan.bounds[histogram], QUANTILES[signal]
            )
            value[rows], resolution[rows] = found
            samples[rows] = np.nan_to_num(cumulative[histogram, -1])
        else:
            value[rows] = values[signal][entity]
            if signal in counted:
                samples[rows] = counted[signal][entity]
    return value, samples, resolution


def _values(
    windows: _Windows, table: RawTable, plan: Plan
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Return values and samples by signal, one per entity."""
    last = np.append(table.last, np.nan)
    gauge = {signal: last[plan.scalars[:, COLUMN[signal]]] for signal in SCALARS}
    of, beside, requests = windows.of, windows.beside, windows.requests
    arrived = of(raw.REQUESTS_ARRIVED, requests)
    refused = beside(raw.REQUESTS_REFUSED, raw.REQUESTS_ARRIVED, requests)
    # A page that does not count refusals has none to take off its failures.
    unserved = np.nan_to_num(beside(raw.REQUESTS_REFUSED, raw.REQUESTS_OK, requests))
    failed = np.maximum(beside(raw.REQUESTS_5XX, raw.REQUESTS_OK, requests) - unserved, 0.0)
    well = of(raw.REQUESTS_OK, requests)
    answered = well + failed
    batches = of(raw.BATCHES, windows.batches)
    busy, batched, full = (
        beside(part, raw.BATCHES, windows.batches)
        for part in (raw.DEVICE_SECONDS, raw.BATCH_SIZE_SUM, raw.FULL_BATCHES)
    )
    values = {
        names.ARRIVAL_RATE: windows.rate(raw.REQUESTS_ARRIVED, windows.arrivals),
        names.ERROR_RATIO: ratio(failed, answered),
        names.REFUSED_RATIO: ratio(np.minimum(refused, arrived), arrived),
        names.DEVICE_TIME: ratio(1000.0 * busy, batches),
        names.BATCH_SIZE: ratio(batched, batches),
        names.BATCH_FULL_SHARE: ratio(full, batches),
        names.CPU_SHARE: windows.rate(raw.CPU_SECONDS, requests),
        names.QUEUE_LENGTH: gauge[raw.QUEUE],
        names.BATCH_MAX: gauge[raw.BATCH_MAX],
        names.KV_USAGE: gauge[raw.KV_USAGE],
        names.DEVICE_MEMORY_SHARE: _share(ratio(gauge[raw.DEVICE_USED], gauge[raw.DEVICE_TOTAL])),
        names.DEVICE_SHARE: _share(gauge[raw.DEVICE_BUSY]),
    }
    values |= {
        signal: ratio(beside(part, raw.REQUESTS_OK, requests), well)
        for signal, part in _OF_SEQUENCES.items()
    }
    values |= {signal: gauge[signal] for signal in READY_MADE}
    samples = {
        names.ARRIVAL_RATE: of(raw.REQUESTS_ARRIVED, windows.arrivals),
        names.ERROR_RATIO: answered,
        names.REFUSED_RATIO: arrived,
        names.DEVICE_TIME: batches,
        names.BATCH_SIZE: batches,
        names.BATCH_FULL_SHARE: batches,
        # A page that says how accurate, not over how many, is one sample of it.
        names.ACCURACY: np.fmax(gauge[raw.LABELLED], 1.0),
    } | dict.fromkeys(_OF_SEQUENCES, well)
    return values, {signal: np.nan_to_num(count) for signal, count in samples.items()}


def _share(value: Floats) -> Floats:
    """Return shares of a device, NaN for what can be none.

    A negative or a larger one is in another unit, or of two devices: it is never cut to a limit.
    """
    with np.errstate(invalid="ignore"):
        possible = (value >= 0.0) & (value <= 1.0 + _ROUNDED)
    out: Floats = np.where(possible, np.minimum(value, 1.0), np.nan)
    return out


def _cumulative(per_row: Floats, seconds: Floats, plan: Plan, windows: _Windows) -> Floats:
    """Return the increments of each histogram's buckets over its entity's window.

    All as of the time that the last bucket covers: it counts everything.
    """
    if not plan.histograms:
        return np.zeros((0, plan.buckets.shape[1]))
    owner = np.array([entity for entity, _ in plan.histograms])
    at = windows.requests[owner][:, None], plan.buckets
    covered = seconds[at]
    return counters.stretched(per_row[at], covered, covered[:, -1:])
