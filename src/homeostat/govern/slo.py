"""Error budgets: counts of good and bad, kept from tick to tick, with what was not seen.

Requests are counted by what the gateway's counters gained, exactly. Where those are not known, and
for every other signal, what is said over the last few scrapes is taken once per such stretch, so
that no request is counted twice. A stretch of which nothing is known adds nothing, not even time:
who asks for a window learns how much of it was seen. What follows from the counts is in `burn`.
Source: OpenSLO v1, `budgetingMethod` and `ratioMetric`.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Final

from homeostat.base import codec, names
from homeostat.base.budgets import MILLION, Method, SloCounts, SloSpec, Stretch
from homeostat.base.evidence import LOOKBACK_SCRAPES, Evidence, Quality, Reading
from homeostat.base.units import HOUR, MINUTE, SECOND, TimeNs

ERRORS: Final = "errors"
WITHIN: Final = "within"
# Grain and reach of the three rings: the short and long windows of the burn rates need no more.
FINE: Final = (MINUTE, 2 * HOUR)
MIDDLE: Final = (15 * MINUTE, 72 * HOUR)
COARSE_GRAIN: Final = 6 * HOUR
# Ticks come late by a little; beyond half a stretch more than one was missed.
_LATE: Final = 3 / 2

Counted = tuple[int, int]


def sampled(spec: SloSpec, evidence: Evidence) -> Counted | None:
    """Return what was good and bad over the last scrapes, None when nobody knows.

    Args:
        spec: The promise.
        evidence: The tick's.
    """
    wanted = names.ERROR_RATIO if spec.signal == ERRORS else spec.signal
    found = next(
        (one for one in evidence.readings if (one.subject, one.signal) == (spec.subject, wanted)),
        None,
    )
    if found is None or found.quality is not Quality.GOOD or found.value is None:
        return None
    if spec.signal != ERRORS:
        return (1, 0) if kept(spec, found.value) else (0, 1)
    return _requests(found, found.value)


def kept(spec: SloSpec, value: float) -> bool:
    """Return whether a value keeps a promise; NaN keeps none."""
    match spec.op:
        case "lte":
            return value <= spec.limit
        case "lt":
            return value < spec.limit
        case "gte":
            return value >= spec.limit
        case _:
            return value > spec.limit


def _requests(reading: Reading, ratio: float) -> Counted | None:
    if not (0.0 <= ratio <= 1.0 and 0.0 <= reading.samples < float(2**53)):
        return None
    total = round(reading.samples)
    bad = min(total, round(ratio * reading.samples))
    return total - bad, bad


@lru_cache(maxsize=1024)
def signature(spec: SloSpec) -> str:
    """Return what is counted, as text: a promise that says something else is counted anew."""
    return codec.encode(replace(spec, window_ns=0, target_ppm=0)).decode()


def count(
    before: SloCounts | None, spec: SloSpec, evidence: Evidence, scrape_ns: int, now: TimeNs
) -> SloCounts:
    """Return the counts after one tick.

    Args:
        before: As the last tick returned them; None before the first.
        spec: The promise.
        evidence: The tick's.
        scrape_ns: The scrape interval.
        now: The tick's time.
    """
    signed = signature(spec)
    if before is None or before.signature != signed:
        return SloCounts(name=spec.name, signature=signed, since=now, until=now)
    sample = _gained(before, spec, evidence, scrape_ns, now)
    if sample is None:
        stride = LOOKBACK_SCRAPES * scrape_ns
        gone = now - before.until
        if gone < stride - scrape_ns // 2:
            return before  # what the gateway says now was counted for the greater part
        found = sampled(spec, evidence)
        seen = 0 if found is None else gone if gone <= _LATE * stride else stride
        good, bad = found or (0, 0)
        sample = (TimeNs(now - (seen or gone)), now, good, bad, seen)
    counts = replace(before, until=now, told=now if sample[4] else before.told)
    if spec.method is Method.TIMESLICES:
        return _sliced(counts, spec, sample)
    return _put(counts, spec, sample)


def _gained(
    before: SloCounts, spec: SloSpec, evidence: Evidence, scrape_ns: int, now: TimeNs
) -> Stretch | None:
    """Return what the gateway's counters gained since the last count, None where that is unknown.

    After a gap they tell the whole of it; what was counted otherwise meanwhile is not counted
    again, so such a gain is left out.
    """
    gone = now - (before.until if before.told is None else before.told)
    if spec.signal not in {ERRORS, WITHIN} or gone <= 0:
        return None
    one = next((one for one in evidence.increments if one.pool == ""), None)
    if one is None or one.answered is None or one.failed is None or one.seconds is None:
        return None
    covered = round(one.seconds * SECOND)
    if not 0 < covered <= gone + scrape_ns // 2 or not 0 <= one.failed <= one.answered:
        return None
    failed: float | None = one.failed
    if spec.signal == WITHIN:
        # Known only where the limit is a bound of the gateway's histogram.
        within = dict(one.latency).get(spec.limit)
        failed = None if within is None else max(0.0, one.answered - within)
    if failed is None:
        return None
    bad = round(failed)
    good = round(one.answered) - bad
    return TimeNs(now - min(covered, gone)), now, good, bad, min(covered, gone)


def _sliced(counts: SloCounts, spec: SloSpec, sample: Stretch) -> SloCounts:
    """Add a sample to its slice; a slice that is over becomes one good, one bad or one unseen."""
    begin = TimeNs((sample[0] + sample[1]) // 2 // spec.slice_ns * spec.slice_ns)
    part = counts.part
    if part is not None and part[0] != begin:
        done, part = _judged(part, spec), None
        counts = _put(counts, spec, done)
    end = TimeNs(begin + spec.slice_ns)
    _, _, good, bad, seen = part or (begin, end, 0, 0, 0)
    whole = (begin, end, good + sample[2], bad + sample[3], min(spec.slice_ns, seen + sample[4]))
    return replace(counts, part=whole)


def _judged(part: Stretch, spec: SloSpec) -> Stretch:
    begin, end, good, bad, seen = part
    total = good + bad
    if 2 * seen < spec.slice_ns:
        return begin, end, 0, 0, 0  # not half of it was seen: nobody knows how it was
    if total == 0:
        return begin, end, 0, 0, spec.slice_ns  # nobody asked, so nobody was let down
    well = good * MILLION >= spec.slice_target_ppm * total
    return begin, end, int(well), int(not well), spec.slice_ns


def _put(counts: SloCounts, spec: SloSpec, sample: Stretch) -> SloCounts:
    return replace(
        counts,
        fine=_ring(counts.fine, sample, *FINE),
        middle=_ring(counts.middle, sample, *MIDDLE),
        coarse=_ring(counts.coarse, sample, COARSE_GRAIN, spec.window_ns),
    )


def _ring(
    ring: tuple[Stretch, ...], sample: Stretch, grain: int, reach: int
) -> tuple[Stretch, ...]:
    """Return a ring with a sample added to its last stretch, or as a new one."""
    begin, end, good, bad, seen = sample
    kept_ = [one for one in ring if one[1] > end - reach - grain]
    if seen == 0 and good + bad == 0:
        return tuple(kept_)
    last = kept_[-1] if kept_ else None
    if last is not None and end - last[0] <= grain:
        kept_[-1] = (last[0], end, last[2] + good, last[3] + bad, last[4] + seen)
    else:
        kept_.append((begin, end, good, bad, seen))
    return tuple(kept_)
