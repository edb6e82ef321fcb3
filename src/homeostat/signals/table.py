"""The raw table: one row per counter, gauge and bucket, with what was last believed of it.

Rows are recycled when a series is not seen for a while, and the table refuses to grow past its
limit, so label churn costs neither memory nor time. `RawTable` is a value: a round makes a new one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from homeostat.base.columns import Catalogue
from homeostat.base.evidence import SeriesKey
from homeostat.signals.quality import GOOD, Bools, Codes, Floats, Ints
from homeostat.signals.window import capacity_for, grown

RawId = tuple[SeriesKey, float | None]
"""A raw series: its key, and the bucket's upper bound if it is a bucket."""

PageId = tuple[str, str, str]
"""A page: source, deployment, subject."""

NEVER: Final = -(1 << 62)
"""A time or tick before everything."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Memo:
    """Where the series of one source's last round are; worked out again when it says others.

    Attributes:
        keys: Keys of its observations, in the order in which they came.
        bounds: Their buckets' bounds.
        kept: Places of the observations that have a row.
        row: Their rows.
        page: Their pages.
    """

    keys: list[SeriesKey]
    bounds: list[float | None]
    kept: Ints
    row: Ints
    page: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Places:
    """Where the series of sources that report in columns are.

    Attributes:
        catalogue: What they may say.
        row: Row of each series, -1 for none yet. `[series]`
        page: Number of each page, -1 for none yet. `[page]`
    """

    catalogue: Catalogue[Any]
    row: Ints
    page: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawTable:
    """Everything remembered of the raw series.

    Attributes:
        ids: The series by row, None for a free row.
        index: The row of each series.
        pages: The pages by number.
        page_index: The number of each page.
        layout: Rises whenever rows or pages change their meaning; keys the derived index.
        touched: The layout since which each deployment's rows are what they are.
        tick: The last round's tick.
        refused: Series that did not fit, in all.
        memos: Where each source's series are.
        places: The same for those that report in columns.
        counter: True for counters and buckets. `[row]`
        page: The page each row was last read from. `[row]`
        last: Last believed value, NaN for none. `[row]`
        epoch: Start of the counting process, NaN for unknown. `[row]`
        odd: A counter's value while it is too low to be believed, NaN otherwise. `[row]`
        odd_rounds: For how many rounds in a row it has been so. `[row]`
        at: When the world had `last`, by our clock. `[row]`
        seen: Tick of the last observation, believed or not. `[row]`
        code: Quality of the last observation. `[row]`
        inc: Increments by tick, NaN where unknown. `[row, column]`
        cover: Seconds that a counter's increments cover, by tick. `[row, column]`
        slipped: Last tick on which they covered another time than their page's. `[row]`
        page_at: When the world had the last believed page. `[page]`
        page_tick: Tick of the last believed page. `[page]`
        page_moved: Tick at which a counter of the page last moved. `[page]`
        page_seen: Tick of the last attempt. `[page]`
        page_code: Quality of the last attempt. `[page]`
        page_witness: 1 when something has ever witnessed this page. `[page]`
        page_incarnation: Incarnation of the replica behind it, -1 for unknown. `[page]`
        page_reborn: Tick at which that incarnation last changed. `[page]`
        page_version: Version of the replica behind each page, where it is known.
        page_dt: Seconds that the page's increments cover, by tick. `[page, column]`
    """

    ids: tuple[RawId | None, ...]
    index: dict[RawId, int]
    pages: tuple[PageId | None, ...]
    page_index: dict[PageId, int]
    layout: int
    touched: dict[str, int]
    tick: int
    refused: int
    memos: dict[str, Memo]
    places: dict[str, Places]
    page_version: dict[PageId, str]
    counter: Bools
    page: Ints
    last: Floats
    epoch: Floats
    odd: Floats
    odd_rounds: Ints
    at: Ints
    seen: Ints
    code: Codes
    inc: Floats
    cover: Floats
    slipped: Ints
    page_at: Ints
    page_tick: Ints
    page_moved: Ints
    page_seen: Ints
    page_code: Codes
    page_witness: Ints
    page_incarnation: Ints
    page_reborn: Ints
    page_dt: Floats


# What a free row or page holds, by field.
_ROW: Final[dict[str, float]] = {
    "counter": False,
    "page": 0,
    "last": np.nan,
    "epoch": np.nan,
    "odd": np.nan,
    "odd_rounds": 0,
    "at": NEVER,
    "seen": NEVER,
    "code": GOOD,
    "inc": np.nan,
    "cover": np.nan,
    "slipped": NEVER,
}
_PAGE: Final[dict[str, float]] = {
    "page_at": NEVER,
    "page_tick": NEVER,
    "page_moved": NEVER,
    "page_seen": NEVER,
    "page_code": GOOD,
    "page_witness": 0,
    "page_incarnation": -1,
    "page_reborn": NEVER,
    "page_dt": np.nan,
}
_RINGS: Final = frozenset({"inc", "cover", "page_dt"})
_TYPES: Final[dict[str, Any]] = dict.fromkeys((*_ROW, *_PAGE), np.int64) | {
    "counter": np.bool_,
    "code": np.int8,
    "page_code": np.int8,
    "last": np.float64,
    "epoch": np.float64,
    "odd": np.float64,
    "inc": np.float64,
    "cover": np.float64,
    "page_dt": np.float64,
}


def empty(width: int, rows: int = 16) -> RawTable:
    """Return a table without series.

    Args:
        width: Ring columns: the longest window in ticks.
        rows: Rows and pages to start with, a power of two.
    """
    arrays: dict[str, Any] = {}
    for name, fill in (_ROW | _PAGE).items():
        shape = (rows, width) if name in _RINGS else (rows,)
        arrays[name] = np.full(shape, fill, dtype=_TYPES[name])
    return RawTable(
        ids=(None,) * rows,
        index={},
        pages=(None,) * rows,
        page_index={},
        layout=0,
        touched={},
        tick=NEVER,
        refused=0,
        memos={},
        places={},
        page_version={},
        **arrays,
    )


def with_pages(table: RawTable, wanted: Sequence[PageId]) -> RawTable:
    """Return a table that knows these pages; numbers are given in sorted order."""
    fresh = sorted(set(wanted) - table.page_index.keys())
    if not fresh:
        return table
    missing = len(fresh) + len(table.page_index) - len(table.pages)
    table = _room(table, _PAGE, "pages", len(table.pages), missing)
    free = _free(table.page_index, len(table.pages))
    pages, index = list(table.pages), dict(table.page_index)
    for number, page in zip(free, fresh, strict=False):
        pages[number], index[page] = page, number
    return replace(table, pages=tuple(pages), page_index=index, layout=table.layout + 1)


def with_series(table: RawTable, wanted: Sequence[tuple[RawId, bool, int]], limit: int) -> RawTable:
    """Return a table with rows for these series.

    Args:
        table: The table so far.
        wanted: New series: id, whether it counts, its page.
        limit: Most rows; series beyond it are refused and counted.
    """
    fresh = {rid: (counts, page) for rid, counts, page in wanted if rid not in table.index}
    room = max(limit - len(table.index), 0)
    ordered = sorted(fresh, key=_order)[:room]
    table = replace(table, refused=table.refused + len(fresh) - len(ordered))
    if not ordered:
        return table
    missing = len(ordered) + len(table.index) - len(table.ids)
    table = _room(table, _ROW, "ids", len(table.ids), missing)
    free = _free(table.index, len(table.ids))
    ids, index = list(table.ids), dict(table.index)
    counter, page = table.counter.copy(), table.page.copy()
    for row, rid in zip(free, ordered, strict=False):
        ids[row], index[rid] = rid, row
        counter[row], page[row] = fresh[rid]
    layout = table.layout + 1
    return replace(
        table,
        ids=tuple(ids),
        index=index,
        counter=counter,
        page=page,
        layout=layout,
        touched=table.touched | {key.deployment: layout for key, _ in ordered},
    )


def forgotten(table: RawTable, tick: int, after: int) -> RawTable:
    """Return a table without the series and pages not seen for more than `after` ticks."""
    oldest = tick - after
    # A free row or page was never seen.
    if np.count_nonzero(table.seen >= oldest) == len(table.index) and np.count_nonzero(
        table.page_seen >= oldest
    ) == len(table.page_index):
        return table
    used_pages = np.array([page is not None for page in table.pages])
    old_pages = used_pages & (table.page_seen < oldest)
    # A series is gone when its page came without it, or nobody asks for the page any more. While a
    # page is only silent its series are unknown, which is not the same as gone.
    spoken = old_pages | (table.page_tick >= oldest)
    used = np.array([rid is not None for rid in table.ids])
    old = used & (table.seen < oldest) & spoken[table.page]
    if not old.any() and not old_pages.any():
        return table
    cleared = _cleared(table, _ROW, old) | _cleared(table, _PAGE, old_pages)
    ids = tuple(None if gone else rid for rid, gone in zip(table.ids, old, strict=True))
    pages = tuple(None if gone else page for page, gone in zip(table.pages, old_pages, strict=True))
    layout = table.layout + 1
    return replace(
        table,
        ids=ids,
        index={rid: row for row, rid in enumerate(ids) if rid is not None},
        pages=pages,
        page_index={page: number for number, page in enumerate(pages) if page is not None},
        page_version={page: v for page, v in table.page_version.items() if page in pages},
        layout=layout,
        touched=_touched(table, ids, old),
        memos={
            source: memo for source, memo in table.memos.items() if _holds(memo, old, old_pages)
        },
        places={source: _left(one, old, old_pages) for source, one in table.places.items()},
        **cleared,
    )


def _touched(table: RawTable, ids: Sequence[RawId | None], old: Bools) -> dict[str, int]:
    """Return the layout since which the rows are what they are, of deployments that have some."""
    gone = (table.ids[row] for row in np.flatnonzero(old).tolist())
    changed = {rid[0].deployment for rid in gone if rid is not None}
    left = {rid[0].deployment for rid in ids if rid is not None and rid[0].deployment in changed}
    return {
        name: table.layout + 1 if name in changed else at
        for name, at in table.touched.items()
        if name not in changed or name in left
    }


def _holds(memo: Memo, old: Bools, old_pages: Bools) -> bool:
    """Return whether a source's series are where they were, and all of them had room."""
    whole = len(memo.kept) == len(memo.keys)
    return whole and not old[memo.row].any() and not old_pages[memo.page].any()


def _left(places: Places, old: Bools, old_pages: Bools) -> Places:
    """Return the places without what was taken away; a series goes with its page."""
    page = np.where((places.page >= 0) & old_pages[places.page], -1, places.page)
    lost = (old[places.row] & (places.row >= 0)) | (page[places.catalogue.page] < 0)
    return replace(places, row=np.where(lost, -1, places.row), page=page)


def _free(index: Mapping[Any, int], size: int) -> list[int]:
    """Return the places that nobody has, ascending."""
    taken = np.zeros(size, dtype=bool)
    taken[np.fromiter(index.values(), np.int64, len(index))] = True
    return np.flatnonzero(~taken).tolist()


def _order(rid: RawId) -> tuple[str, str, str, float]:
    key, le = rid
    return (key.deployment, key.subject, key.signal, -np.inf if le is None else le)


def _room(
    table: RawTable, fills: dict[str, float], names: str, have: int, missing: int
) -> RawTable:
    if missing <= 0:
        return table
    size = capacity_for(have + missing)
    bigger: dict[str, Any] = {}
    for name, fill in fills.items():
        array = getattr(table, name)
        bigger[name] = grown(array, size, fill)
    bigger[names] = getattr(table, names) + (None,) * (size - have)
    return replace(table, **bigger)


def _cleared(table: RawTable, fills: dict[str, float], gone: Bools) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, fill in fills.items():
        array = getattr(table, name).copy()
        array[gone] = fill
        out[name] = array
    return out
