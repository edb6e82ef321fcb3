"""Rounds that come as columns: where their series are in the raw table.

What `rounds` finds out per source and observation, for all of them at once. A place is looked up
when a series is said for the first time and kept until rows are taken away.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from homeostat.base.columns import Columns
from homeostat.signals.pages import Round
from homeostat.signals.quality import MISSING, UNREACHABLE, Codes, Ints
from homeostat.signals.table import Places, RawTable, with_pages, with_series


def heard(table: RawTable, columns: Columns[Any], most: int) -> tuple[RawTable, Round]:
    """Return the table with room for all that was said, and what was said of series with a row.

    Args:
        table: The table so far.
        columns: The round.
        most: Most rows of the table; what does not fit is refused.
    """
    places = _places(table, columns)
    strange = columns.said[places.row[columns.said] < 0]
    if len(strange):
        table, places = _room(table, columns, places, strange, most)
    row = places.row[columns.said]
    page = places.page[columns.catalogue.page[columns.said]]
    kept = (row >= 0) & (page >= 0)
    epoch = columns.epoch[kept]
    with np.errstate(invalid="ignore"):
        epoch = np.where(epoch > 0.0, epoch, np.nan)
    return table, Round(
        row=row[kept], page=page[kept], value=columns.value[kept], at=columns.at[kept], epoch=epoch
    )


def attempted(table: RawTable, columns: Columns[Any]) -> tuple[Ints, Codes]:
    """Return the pages that were asked for and known, and why they say nothing if they do not."""
    number = _places(table, columns).page[columns.asked]
    known = number >= 0
    code = np.where(columns.answered, MISSING, UNREACHABLE).astype(np.int8)
    return number[known], code[known]


def _places(table: RawTable, columns: Columns[Any]) -> Places:
    found, catalogue = table.places.get(columns.source), columns.catalogue
    if found is not None and found.catalogue is catalogue:
        return found
    return Places(
        catalogue=catalogue,
        row=np.full(len(catalogue.series), -1, dtype=np.int64),
        page=np.full(len(catalogue.pages), -1, dtype=np.int64),
    )


def _room(
    table: RawTable, columns: Columns[Any], places: Places, strange: Ints, most: int
) -> tuple[RawTable, Places]:
    """Return the table with rows and pages for what is said for the first time."""
    catalogue = columns.catalogue
    page_of = catalogue.page[strange].tolist()
    wanted = {catalogue.pages[page] for page in page_of}
    table = with_pages(table, sorted(wanted))
    counts = catalogue.counts[strange].tolist()
    series = [catalogue.series[place] for place in strange.tolist()]
    fresh = [
        (one, counted, table.page_index[catalogue.pages[page]])
        for one, counted, page in zip(series, counts, page_of, strict=True)
        if one not in table.index
    ]
    table = with_series(table, fresh, most) if fresh else table
    row, page = places.row.copy(), places.page.copy()
    row[strange] = [table.index.get(one, -1) for one in series]
    page[page_of] = [table.page_index[catalogue.pages[one]] for one in page_of]
    places = replace(places, row=row, page=page)
    return replace(table, places={**table.places, columns.source: places}), places
