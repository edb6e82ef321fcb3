"""Whole pages: restarted, absurd, or frozen although a witness saw traffic.

A frozen page looks like calm: every counter stands still. Calm is believed only if a witness agrees
(the prober counts the answers it got from that replica, the gateway and the replicas count the same
requests), or if nothing has ever witnessed the page; when the witness is silent, nobody knows.
"""

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Final

import numpy as np

from homeostat.base import names, raw
from homeostat.base.evidence import SeriesKey
from homeostat.base.units import SECOND, TimeNs
from homeostat.signals.quality import (
    ABSURD,
    GOOD,
    STALE,
    Bools,
    Codes,
    Floats,
    Ints,
    new_epoch,
    share_of,
)
from homeostat.signals.table import NEVER, PageId, RawId, RawTable
from homeostat.signals.window import columns

# How long a new incarnation may explain counters that went back: pages and the world are read by
# different tasks, and a takeover may take a few rounds to show on both.
REBORN_TICKS: Final = 10
# A page may be stamped this far ahead of the tick: rounds end after the tick began.
AHEAD_NS: Final = 2 * SECOND
# So many requests on the one side cannot have missed the other side of the gateway.
WITNESSES: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Round:
    """What one round said, one entry per observation.

    Attributes:
        row: Row in the table.
        page: The page it came from.
        value: As it was on the page.
        at: When the world had it.
        epoch: Start of its process, NaN for unknown.
    """

    row: Ints
    page: Ints
    value: Floats
    at: Ints
    epoch: Floats


def joined(one: Round, other: Round) -> Round:
    """Return what both said."""
    if not len(one.row):
        return other
    parts = {
        field.name: np.concatenate([getattr(one, field.name), getattr(other, field.name)])
        for field in fields(Round)
    }
    return Round(**parts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judgement:
    """What is thought of each page, one entry per page.

    Attributes:
        came: True where a page was read.
        at: When the world had it.
        code: GOOD, STALE or ABSURD.
        moved: True where a counter moved, or the page is new.
        witnessed: True where a witness exists.
    """

    came: Bools
    at: Ints
    code: Codes
    moved: Bools
    witnessed: Bools


def restarted(table: RawTable, got: Round, tick: int) -> Bools:
    """Return the pages whose process is another one than before, or whose clock went back.

    A start time two seconds away is another process by itself. Where counters went back, any other
    start time, or a new incarnation of the slot, explains it: a warm spare may have been started
    together with the process that it replaces.
    """
    pages = len(table.pages)
    last_epoch = table.epoch[got.row]
    with np.errstate(invalid="ignore"):
        back = table.counter[got.row] & (got.value < table.last[got.row])
        differs = got.epoch != last_epoch
    differs &= ~np.isnan(got.epoch) & ~np.isnan(last_epoch)
    reborn = tick - table.page_reborn <= REBORN_TICKS
    # An all-zero page that names no start is an outage until the slot itself says otherwise.
    explained = back & (differs | reborn[got.page])
    return (
        _any(pages, got.page, new_epoch(got.epoch, last_epoch))
        | _any(pages, got.page, explained)
        | ((np.bincount(got.page, minlength=pages) > 0) & (_latest(pages, got) < table.page_at))
    )


def all_zero(table: RawTable, got: Round, last: Floats) -> Bools:
    """Return the pages on which every counter is zero although one was not before."""
    counts = table.counter[got.row]
    pages = len(table.pages)
    with np.errstate(invalid="ignore"):
        nonzero = counts & (got.value != 0.0)
        before = counts & (last > 0.0)
    return ~_any(pages, got.page, nonzero) & _any(pages, got.page, before)


def judge(
    table: RawTable, got: Round, last: Floats, odd: Bools, back: Bools, now: TimeNs, tick: int
) -> Judgement:
    """Return what is thought of each page that came.

    Args:
        table: The table before this round.
        got: The round.
        last: Last believed values, NaN where there is none or the process is new.
        odd: True where the value cannot be believed by itself.
        back: True where a counter went back without a restart.
        now: The tick's time.
        tick: The tick's number.
    """
    pages = len(table.pages)
    counts = table.counter[got.row]
    came = np.bincount(got.page, minlength=pages) > 0
    at = _latest(pages, got)
    low, all_counters = share_of(pages, got.page, counts & (back | odd), counts)
    absurd = all_zero(table, got, last) | (2 * low > all_counters) | (at > now + AHEAD_NS)
    fresh = counts & np.isnan(last)
    moved = _any(pages, got.page, fresh | (counts & (got.value != last))) | (all_counters == 0)
    moved |= table.page_tick == NEVER
    still = came & ~moved & ~absurd
    witnessed, frozen = _frozen(table, got, last, still, tick)
    stalled = at == table.page_at
    code = np.where(absurd, ABSURD, np.where(frozen | stalled, STALE, GOOD)).astype(np.int8)
    return Judgement(came=came, at=at, code=code, moved=moved, witnessed=witnessed)


def _frozen(
    table: RawTable, got: Round, last: Floats, still: Bools, tick: int
) -> tuple[Bools, Bools]:
    """Return which pages have a witness, and which of the still ones are not believed."""
    witnessed = table.page_witness.astype(bool)
    frozen = np.zeros(len(table.pages), dtype=bool)
    gateways: dict[tuple[str, str], bool] = {}
    # Of a page that moves and has a witness there is nothing to doubt and nothing to learn.
    numbers = np.flatnonzero(still | ~witnessed).tolist()
    looked_at = [(number, page) for number in numbers if (page := table.pages[number]) is not None]
    pools = [(number, page) for number, page in looked_at if page[2].startswith("pool:")]
    for number, page in looked_at:
        source, deployment, subject = page
        if subject.startswith("pool:"):
            continue
        rose = _witness(table, page, number, tick)
        if rose is not None:
            witnessed[number] = True
        if still[number]:
            since = tick - table.page_moved[number]
            frozen[number] = _disbelieved(
                rose=rose, witnessed=bool(witnessed[number]), since=int(since)
            )
            if subject == names.GATEWAY:
                frozen[number] |= _uptime_stuck(table, got, last, page, tick)
                gateways[source, deployment] = bool(frozen[number])
    # After the gateways: the pools on a gateway's page share its fate.
    for number, (source, deployment, _) in pools:
        frozen[number] = still[number] and gateways.get((source, deployment), False)
    return witnessed, frozen


def _disbelieved(*, rose: bool | None, witnessed: bool, since: int) -> bool:
    """Return whether a page that stands still is refused.

    The first still round proves nothing either way: its witness may have answered just before the
    page was written. It is held back until the next one.
    """
    if not witnessed:
        return False
    if since <= 1 or rose is None:
        return True
    return rose


def _witness(table: RawTable, page: PageId, number: int, tick: int) -> bool | None:
    """Return whether a witness moved strictly between the page's last move and now."""
    _, deployment, subject = page
    if subject == names.GATEWAY:
        since = int(tick - table.page_moved[number]) - 1
        rows = _rows(table, deployment, raw.REQUESTS_OK)
        served = _passed(table, rows, since, tick)
        probed = _passed(table, _rows(table, deployment, raw.PROBES_ANSWERED), since, tick)
        if served is None:
            return None
        rose = served - (probed or 0.0) >= WITNESSES
        # A sum that lacks the counter of a page that came is a least value: it cannot say "calm".
        return None if not rose and _partly(table, rows, since, tick) else rose
    if not subject.startswith("replica:"):
        return None
    row = table.index.get(_answers(deployment, subject))
    if row is None or table.page[row] == number:
        return None
    since = int(tick - table.page_moved[number]) - 1
    answered = _passed(table, [row], since, tick)
    return None if answered is None else answered >= 1.0


@lru_cache(maxsize=1 << 14)
def _answers(deployment: str, subject: str) -> RawId:
    """Return the counter of a replica's answered probes; asked for on every tick."""
    return SeriesKey(deployment=deployment, subject=subject, signal=raw.PROBES_ANSWERED), None


def _rows(table: RawTable, deployment: str, signal: str) -> list[int]:
    return [
        row
        for (key, le), row in table.index.items()
        if key.signal == signal
        and le is None
        and key.deployment == deployment
        and key.subject.startswith("replica:")
    ]


def _passed(table: RawTable, rows: list[int], since: int, tick: int) -> float | None:
    """Return what the rows counted on the ticks strictly between; None when nobody counted."""
    if not rows:
        return None
    width = table.inc.shape[1]
    between = columns(tick - 1, max(min(since, width - 1), 1), width)
    part = table.inc[np.ix_(np.array(rows), between)]
    if np.isnan(part).all():
        return None
    return float(np.nansum(part)) if since >= 1 else 0.0


def _partly(table: RawTable, rows: list[int], since: int, tick: int) -> bool:
    """Return whether any of the rows was missing on a page that came on the ticks between."""
    width = table.inc.shape[1]
    between = columns(tick - 1, max(min(since, width - 1), 1), width)
    came = ~np.isnan(table.page_dt[np.ix_(table.page[rows], between)])
    return bool((came & np.isnan(table.inc[np.ix_(np.array(rows), between)])).any())


def _uptime_stuck(table: RawTable, got: Round, last: Floats, page: PageId, tick: int) -> bool:
    """Return whether the gateway's own clock stands still, or runs backwards."""
    _, deployment, subject = page
    key = SeriesKey(deployment=deployment, subject=subject, signal=raw.GATEWAY_UPTIME)
    row = table.index.get((key, None))
    if row is None or tick - table.page_moved[table.page_index[page]] <= 1:
        return False
    place = np.flatnonzero(got.row == row)
    return bool(len(place)) and bool(got.value[place[0]] <= last[place[0]])


def _latest(pages: int, got: Round) -> Ints:
    at = np.full(pages, NEVER)
    np.maximum.at(at, got.page, got.at)
    return at


def _any(pages: int, page: Ints, which: Bools) -> Bools:
    hit: Bools = np.bincount(page[which], minlength=pages) > 0
    return hit
