"""What is kept to find a round's rows sooner, while series come and go, changes nothing else."""

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.base import raw
from homeostat.base.columns import Catalogue, Columns
from homeostat.base.evidence import Kind, Observation, Quality, SourceReport
from homeostat.base.units import SECOND, TimeNs
from homeostat.signals import rounds, table
from homeostat.signals.plan import plan, series
from homeostat.signals.quality import Floats
from homeostat.signals.table import RawTable
from homeostat.signals.window import columns, sums

DEPLOYMENTS, SUBJECTS = ("m1", "m2", "m3"), ("gateway", "replica:a-1", "replica:a-2")
SIGNALS = (raw.REQUESTS_OK, raw.REQUESTS_5XX, raw.QUEUE)
PAGES = tuple((f"{s}@{d}", d, s) for d in DEPLOYMENTS for s in SUBJECTS)
SERIES = tuple((series(d, s, name), None) for _, d, s in PAGES for name in SIGNALS)
CATALOGUE = Catalogue(
    series=SERIES,
    counts=np.array([key.signal != raw.QUEUE for key, _ in SERIES]),
    page=np.repeat(np.arange(len(PAGES)), len(SIGNALS)),
    pages=PAGES,
)
FORGET, ROOM = 3, 20


def heard(said: set[int], asked: set[int], tick: int) -> Columns[np.ndarray]:
    """A round that says some series, of pages that are asked for."""
    pages = sorted(asked | {int(CATALOGUE.page[place]) for place in said})
    places = np.array(sorted(said), dtype=np.int64)
    return Columns(
        source="lab",
        catalogue=CATALOGUE,
        said=places,
        value=10.0 * tick + places,
        at=np.full(len(places), (1_800_000_000 + tick) * SECOND),
        epoch=np.full(len(places), np.nan),
        asked=np.array(pages, dtype=np.int64),
        answered=np.isin(pages, CATALOGUE.page[places]),
    )


def one_by_one(columns: Columns[np.ndarray], tick: int) -> list[SourceReport]:
    """The same round as a report of each page."""
    at, out = TimeNs((1_800_000_000 + tick) * SECOND), []
    for place, answered in zip(columns.asked.tolist(), columns.answered.tolist(), strict=True):
        source, _, subject = PAGES[place]
        seen = tuple(
            Observation(
                source=source,
                key=SERIES[one][0],
                kind=Kind.COUNTER if CATALOGUE.counts[one] else Kind.GAUGE,
                value=value,
                observed_at=at,
            )
            for one, value in zip(columns.said.tolist(), columns.value.tolist(), strict=True)
            if CATALOGUE.page[one] == place
        )
        why = Quality.GOOD if answered else Quality.UNREACHABLE
        out.append(
            SourceReport(source=source, at=at, observations=seen, subjects=(subject,), quality=why)
        )
    return out


def taken(
    so_far: RawTable, tick: int, said: Sequence[SourceReport | Columns[np.ndarray]]
) -> RawTable:
    now = TimeNs((1_800_000_000 + tick) * SECOND)
    return rounds.take(so_far, said, (), now, tick, forget_ticks=FORGET, most_series=ROOM)


def held(found: RawTable) -> dict[str, object]:
    """All that a table holds beside what it only keeps to find its way sooner."""
    ways = {"memos", "places", "touched", "layout", "refused"}
    every = {f.name: getattr(found, f.name) for f in fields(RawTable) if f.name not in ways}
    # As text NaN is itself, and so is minus zero.
    return {
        name: repr(value.tolist()) if isinstance(value, np.ndarray) else value
        for name, value in every.items()
    }


steps = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.sets(st.integers(0, len(SERIES) - 1), max_size=24),
        st.sets(st.integers(0, len(PAGES) - 1), max_size=4),
    ),
    min_size=3,
    max_size=12,
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(steps)
def test_rows_are_found_as_when_every_page_is_looked_up_anew(
    ticks: list[tuple[int, set[int], set[int]]],
) -> None:
    found = anew = table.empty(4)
    tick, known = 0, plan(found)
    for passed, said, asked in ticks:
        tick += passed
        columns = heard(said, asked, tick)
        found = taken(found, tick, [columns])
        anew = taken(replace(anew, memos={}), tick, one_by_one(columns, tick))
        assert held(found) == held(anew)
        known, whole = plan(found, known), plan(found)
        assert (known.keys, known.pages) == (whole.keys, whole.pages)
        assert known.scalars.tolist() == whole.scalars.tolist()
        assert sorted(found.touched) == sorted({key.deployment for key, _ in found.index})


def test_who_is_forgotten_takes_no_other_deployment_along() -> None:
    said = {place for place, (key, _) in enumerate(SERIES) if key.deployment != "m3"}
    found = taken(table.empty(4), 1, [heard(said, set(), 1)])
    for tick in range(2, 3 + FORGET):
        found = taken(found, tick, [heard({0, 1, 2}, set(), tick)])
    before = plan(found)
    found = taken(found, 3 + FORGET, [heard({0, 1, 2}, set(), 3 + FORGET)])
    assert {key.deployment for key, _ in found.index} == {"m1"}
    assert plan(found, before).keys == plan(found).keys


def each_by_itself(ring: Floats, tick: int, lengths: tuple[int, ...]) -> Floats:
    """Window sums of each row, one value after the other."""
    out = np.full((len(lengths), len(ring)), np.nan)
    for place, row in np.ndindex(out.shape):
        own = ring[row, columns(tick, lengths[place], ring.shape[1])]
        known = own[~np.isnan(own)]
        out[place, row] = sum(known.tolist(), 0.0) if len(known) else np.nan
    return out


values = st.one_of(st.just(np.nan), st.sampled_from([0.0, -0.0, 1e300, 0.1, -3.7, 5e-324, 1e-9]))


@given(st.lists(st.lists(values, min_size=6, max_size=6), max_size=5), st.integers(0, 50))
def test_window_sums_are_those_of_each_row_by_itself(rows: list[list[float]], tick: int) -> None:
    ring: Floats = np.array(rows, dtype=np.float64).reshape(-1, 6)
    lengths = (1, 2, 5, 6)
    with np.errstate(over="ignore", invalid="ignore"):
        got = sums(ring, tick, lengths)
    np.testing.assert_array_equal(
        got.view(np.int64), each_by_itself(ring, tick, lengths).view(np.int64)
    )
