"""One round of reports into the raw table: what came, what is believed, what moved.

Order does not matter: rows are found by key, and two sources that claim one series in one round
contradict each other, whichever came first. The same goes for a page that repeats a series.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from homeostat.base import names, raw
from homeostat.base.columns import Columns
from homeostat.base.evidence import Kind, Observation, Quality, SourceReport
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Snapshot
from homeostat.signals import pages, places, quality
from homeostat.signals.pages import Round
from homeostat.signals.quality import ABSURD, GOOD, MISSING, Bools, Floats
from homeostat.signals.table import (
    NEVER,
    Memo,
    RawTable,
    forgotten,
    with_pages,
    with_series,
)
from homeostat.signals.window import opened

# Signals that sources report ready-made; they pass through as gauges.
READY_MADE: Final = frozenset({
    names.PROBE_HEALTH,
    names.PROBE_INFERENCE,
    names.PROBE_LATENCY,
    names.ACCURACY,
    names.LABEL_COVERAGE,
})
_RAW: Final = frozenset({
    raw.REQUESTS_ARRIVED,
    raw.REQUESTS_OK,
    raw.REQUESTS_5XX,
    raw.REQUESTS_REFUSED,
    raw.LATENCY,
    raw.BATCH_SIZE,
    raw.BATCH_SIZE_SUM,
    raw.BATCHES,
    raw.FULL_BATCHES,
    raw.DEVICE_SECONDS,
    raw.QUEUE,
    raw.BATCH_MAX,
    raw.CPU_SECONDS,
    raw.KV_USAGE,
    raw.PREEMPTIONS,
    raw.PROMPT_TOKENS,
    raw.GENERATED_TOKENS,
    raw.DEVICE_USED,
    raw.DEVICE_TOTAL,
    raw.DEVICE_BUSY,
    raw.PREDICTION,
    raw.PREDICTIONS_INVALID,
    raw.LABELLED,
    raw.LABELS_TOLD,
    raw.LABELS_RIGHT,
    raw.GATEWAY_UPTIME,
    raw.PROBES_ANSWERED,
})


def take(
    table: RawTable,
    reports: Sequence[SourceReport | Columns[Any]],
    world: Sequence[Snapshot],
    now: TimeNs,
    tick: int,
    *,
    forget_ticks: int,
    most_series: int,
) -> RawTable:
    """Return the table after one round.

    Args:
        table: The table after the round before.
        reports: At most one per source, in any order.
        world: The deployments as last read back; a new incarnation explains a counter's reset.
        now: The tick's time.
        tick: The tick's number, higher than at the round before.
        forget_ticks: Series unseen for longer than this are dropped.
        most_series: Most raw series remembered.
    """
    table = forgotten(table, tick, forget_ticks)
    plain = [report for report in reports if isinstance(report, SourceReport)]
    columns = [report for report in reports if isinstance(report, Columns)]
    table, got = _gather(table, plain, most_series)
    for one in columns:
        table, more = places.heard(table, one, most_series)
        got = pages.joined(got, more)
    table = replace(
        table,
        inc=opened(table.inc, tick, table.tick),
        cover=opened(table.cover, tick, table.tick),
        page_dt=opened(table.page_dt, tick, table.tick),
    )
    table = _attempts(table, plain, columns, tick)
    table, changed = _identities(table, world, tick)
    table = _believe(table, got, now, tick)
    missing = (table.seen < tick) & (table.page_tick[table.page] == tick)
    table = _rebased(table, changed[table.page] & missing)
    return replace(_emptied(table, changed), tick=tick)


def _gather(table: RawTable, reports: Sequence[SourceReport], most: int) -> tuple[RawTable, Round]:
    good = [report for report in reports if report.quality is Quality.GOOD and report.observations]
    if not good:
        none, nothing = np.zeros(0, dtype=np.int64), np.zeros(0)
        return table, Round(row=none, page=none, value=nothing, at=none, epoch=nothing)
    known = [_recall(table, report) for report in good]
    strange = [report for report, memo in zip(good, known, strict=True) if memo is None]
    if strange:
        table = _room(table, strange, most)
        kept = dict(table.memos)
        kept.update((report.source, _memo(table, report)) for report in strange)
        table = replace(table, memos=kept)
    memos = [
        table.memos[report.source] if memo is None else memo
        for report, memo in zip(good, known, strict=True)
    ]
    return table, _round(good, memos)


def _round(reports: Sequence[SourceReport], memos: Sequence[Memo]) -> Round:
    """Return all that was said of series that have a row, source after source."""
    seen = [one for report in reports for one in report.observations]
    count, first, places = len(seen), 0, []
    for report, memo in zip(reports, memos, strict=True):
        places.append(memo.kept + first)
        first += len(report.observations)
    kept = np.concatenate(places)
    return Round(
        row=np.concatenate([memo.row for memo in memos]),
        page=np.concatenate([memo.page for memo in memos]),
        value=np.fromiter([one.value for one in seen], np.float64, count)[kept],
        at=np.fromiter([one.observed_at for one in seen], np.int64, count)[kept],
        epoch=_epochs([one.epoch for one in seen])[kept],
    )


def _epochs(said: Sequence[float | None]) -> Floats:
    """Return when each counting process began, NaN where that is not known."""
    found = np.array(said, dtype=np.float64)  # None becomes NaN
    with np.errstate(invalid="ignore"):
        out: Floats = np.where(found > 0.0, found, np.nan)
    return out


def _recall(table: RawTable, report: SourceReport) -> Memo | None:
    """Return where the source's series are, if it says the same ones as last time.

    Rows and pages that others were given since then change nothing: only what is forgotten takes
    rows away, and all memos with them. Keys compare by identity first, so for sources that reuse
    theirs this costs next to nothing.
    """
    memo = table.memos.get(report.source)
    if memo is None:
        return None
    seen = report.observations
    if [one.key for one in seen] != memo.keys or [one.le for one in seen] != memo.bounds:
        return None
    return memo


def _room(table: RawTable, reports: Sequence[SourceReport], most: int) -> RawTable:
    """Return a table with rows and pages for everything that the reports speak of."""
    seen = [
        (report.source, one) for report in reports for one in report.observations if _usable(one)
    ]
    wanted = {(source, one.key.deployment, one.key.subject) for source, one in seen}
    table = with_pages(table, sorted(wanted))
    fresh = [
        ((one.key, one.le), one.kind is not Kind.GAUGE, table.page_index[page])
        for source, one in seen
        if (one.key, one.le) not in table.index
        and (page := (source, one.key.deployment, one.key.subject))
    ]
    return with_series(table, fresh, most) if fresh else table


def _memo(table: RawTable, report: SourceReport) -> Memo:
    seen = report.observations
    row = np.array(
        [table.index.get((one.key, one.le), -1) if _usable(one) else -1 for one in seen],
        dtype=np.int64,
    )
    page = np.array(
        [
            table.page_index.get((report.source, one.key.deployment, one.key.subject), -1)
            for one in seen
        ],
        dtype=np.int64,
    )
    kept = np.flatnonzero((row >= 0) & (page >= 0))
    return Memo(
        keys=[one.key for one in seen],
        bounds=[one.le for one in seen],
        kept=kept,
        row=row[kept],
        page=page[kept],
    )


def _usable(seen: Observation) -> bool:
    return _wanted(seen.key.signal) and (seen.kind is not Kind.BUCKET or _bound(seen.le))


def _wanted(signal: str) -> bool:
    return (
        signal in _RAW
        or signal in READY_MADE
        or raw.feature_name(signal) is not None
        or raw.activation_name(signal) is not None
        or raw.version_name(signal) is not None
    )


def _bound(le: float | None) -> bool:
    return le is not None and le == le  # noqa: PLR0124 - a NaN bound is no bound, and NaN != NaN


def _attempts(
    table: RawTable, reports: Sequence[SourceReport], columns: Sequence[Columns[Any]], tick: int
) -> RawTable:
    """Note how each page's attempt went; a silent source is silent for all of its subjects."""
    seen, code = table.page_seen.copy(), table.page_code.copy()
    failed: dict[str, dict[str, int]] = {}
    for report in reports:
        bad = MISSING if report.quality is Quality.GOOD else quality.code_of(report.quality)
        for subject in report.subjects:
            worst = failed.setdefault(report.source, {})
            worst[subject] = max(bad, worst.get(subject, GOOD))
    for (source, _, subject), number in table.page_index.items() if failed else ():
        went = failed.get(source)
        if went is not None and subject in went:
            seen[number], code[number] = tick, went[subject]
    for one in columns:
        asked, why = places.attempted(table, one)
        seen[asked], code[asked] = tick, why
    return replace(table, page_seen=seen, page_code=code)


def _identities(table: RawTable, world: Sequence[Snapshot], tick: int) -> tuple[RawTable, Bools]:
    """Note who is behind each replica's page, and where that has just changed."""
    live = {
        (snapshot.deployment, names.replica(replica.name)): (replica.incarnation, replica.version)
        for snapshot in world
        for replica in snapshot.replicas
    }
    incarnation, reborn = table.page_incarnation.copy(), table.page_reborn.copy()
    versions, changed = dict(table.page_version), np.zeros(len(incarnation), dtype=bool)
    before = incarnation.tolist()
    for page, number in table.page_index.items():
        process, version = live.get(page[1:], (None, None))
        if process is not None and process != before[number]:
            if before[number] >= 0:
                reborn[number], changed[number] = tick, True
            incarnation[number] = process
        if version is not None and versions.get(page) != version:
            changed[number] |= page in versions
            versions[page] = version
    return replace(
        table, page_incarnation=incarnation, page_reborn=reborn, page_version=versions
    ), changed


def _emptied(table: RawTable, which: Bools) -> RawTable:
    """Return a table whose windows start afresh on these pages.

    A window never mixes two processes or two versions: the errors of a release that was taken
    back must not be told of the version that replaced it.
    """
    if not which.any():
        return table
    inc, cover, dt = table.inc.copy(), table.cover.copy(), table.page_dt.copy()
    inc[which[table.page]] = np.nan
    cover[which[table.page]] = np.nan
    dt[which] = np.nan
    return replace(table, inc=inc, cover=cover, page_dt=dt)


def _rebased(table: RawTable, rows: Bools) -> RawTable:
    """Return a table in which these rows start from a new baseline.

    What a series said of the process before is no baseline for the next: one that was missing
    while its process was replaced may come back higher than it was, and no step back would tell.
    """
    if not rows.any():
        return table
    return replace(table, last=np.where(rows, np.nan, table.last))


def _believe(table: RawTable, got: Round, now: TimeNs, tick: int) -> RawTable:
    """Decide page by page and row by row what is believed, and write it down."""
    if not len(got.row):
        return table
    counts = table.counter[got.row]
    restarted = pages.restarted(table, got, tick)
    table = _rebased(_emptied(table, restarted), restarted[table.page])
    other = (table.page[got.row] != got.page) | restarted[got.page]
    last = np.where(other, np.nan, table.last[got.row])
    claims = np.bincount(got.row, minlength=len(table.ids))[got.row]
    odd = quality.absurd_values(got.value, counts) | (claims > 1)
    back = quality.went_back(got.value, last, counts) & ~odd
    table, low = _low(table, got, back, pages.all_zero(table, got, last))
    last, back = np.where(low, np.nan, last), back & ~low
    verdict = pages.judge(table, got, last, odd, back, now, tick)
    believed = verdict.came & (verdict.code == GOOD)
    known = believed & ~restarted & (table.page_tick > NEVER)
    ring = table.page_dt.copy()
    ring[:, tick % ring.shape[1]] = np.where(
        known, (verdict.at - np.where(known, table.page_at, 0)) / SECOND, np.nan
    )
    table = replace(
        _write(table, got, last, odd | back, verdict, tick),
        page_code=np.where(verdict.came, verdict.code, table.page_code).astype(np.int8),
        page_at=np.where(believed, verdict.at, table.page_at),
        page_tick=np.where(believed, tick, table.page_tick),
        page_moved=np.where(believed & verdict.moved, tick, table.page_moved),
        page_witness=np.where(verdict.witnessed, 1, table.page_witness),
        page_dt=ring,
    )
    return _slips(table, tick)


def _slips(table: RawTable, tick: int) -> RawTable:
    """Note which counters cover another time than the page they are on: they came without it.

    Nearly always there are none, and then the pages' times serve for all of their counters.
    """
    column = tick % table.cover.shape[1]
    own, page = table.cover[:, column], table.page_dt[table.page, column]
    slips = table.counter & (own != page) & ~(np.isnan(own) & np.isnan(page))
    return replace(table, slipped=np.where(slips, tick, table.slipped)) if slips.any() else table


def _low(table: RawTable, got: Round, back: Bools, zero_page: Bools) -> tuple[RawTable, Bools]:
    """Count how long a counter has been too low; after long enough it is its new baseline."""
    odd, rounds = table.odd.copy(), table.odd_rounds.copy()
    with np.errstate(invalid="ignore"):
        steady = back & (got.value >= odd[got.row])
    rounds[got.row] = np.where(back, np.where(steady, rounds[got.row] + 1, 1), 0)
    odd[got.row] = np.where(back, got.value, np.nan)
    rebased = back & (rounds[got.row] >= quality.REBASE_ROUNDS) & ~zero_page[got.page]
    rounds[got.row[rebased]], odd[got.row[rebased]] = 0, np.nan
    return replace(table, odd=odd, odd_rounds=rounds), rebased


def _write(
    table: RawTable, got: Round, last: Floats, odd: Bools, verdict: pages.Judgement, tick: int
) -> RawTable:
    """Write believed rows of believed pages; the others keep their last value and grow older.

    The two large rings are written in place: `take` has opened them, so they are this round's own.
    """
    code, seen = table.code.copy(), table.seen.copy()
    seen[got.row] = tick
    page_code = verdict.code[got.page]
    code[got.row] = np.where(odd, ABSURD, page_code)
    ok = ~odd & (page_code == GOOD)
    row = got.row[ok]
    new_last, epoch, inc = table.last.copy(), table.epoch.copy(), table.inc
    at, page, cover = table.at.copy(), table.page.copy(), table.cover
    # A gauge's column holds its value, a counter's the increment since its last believed value,
    # and the time since then: a counter that was missing on its page tells of the whole gap.
    counts, column = table.counter[row], tick % inc.shape[1]
    rose = got.value[ok] - last[ok]
    known = counts & ~np.isnan(rose)
    span = np.where(known, got.at[ok] - np.where(known, at[row], 0), 0) / SECOND
    # What is older than the value before it says nothing of a rate.
    rose = np.where(span < 0.0, np.nan, rose)
    inc[row, column] = np.where(counts, rose, got.value[ok])
    cover[row, column] = np.where(known & (span >= 0.0), span, np.nan)
    new_last[row], at[row] = got.value[ok], got.at[ok]
    page[row], epoch[row] = got.page[ok], got.epoch[ok]
    return replace(
        table,
        code=code,
        seen=seen,
        last=new_last,
        at=at,
        page=page,
        epoch=epoch,
    )
