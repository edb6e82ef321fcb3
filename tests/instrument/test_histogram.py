"""Histograms: both back ends count alike, and like Prometheus."""

import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat_instrument import histogram
from homeostat_instrument.histogram import (
    BisectColumns,
    Histogram,
    NumpyColumns,
    as_floats,
    checked_edges,
    learnt_edges,
)

_ODD = st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 1.0, 2.0, 1e300, -1e300, 1e-300])
_VALUE = st.one_of(_ODD, st.floats(-5, 5))
_EDGES = st.lists(st.floats(-4, 4), min_size=1, max_size=6, unique=True).map(sorted)


@given(edges=_EDGES, values=st.lists(_VALUE, max_size=30))
def test_a_bucket_counts_what_is_at_or_below_its_edge_and_odd_values_are_invalid(
    edges: list[float], values: list[float]
) -> None:
    counted = Histogram(edges)
    for value in values:
        counted.add(value)
    finite = [value for value in values if math.isfinite(value)]
    cumulative = np.cumsum(counted.counts).tolist()
    assert cumulative[:-1] == [sum(value <= edge for value in finite) for edge in edges]
    assert cumulative[-1] == len(finite)
    assert counted.invalid == len(values) - len(finite)


@given(data=st.data())
def test_numpy_and_bisect_count_alike_row_by_row_or_in_one_batch(data: st.DataObject) -> None:
    edges = data.draw(st.lists(_EDGES, min_size=1, max_size=5))
    row = st.lists(_VALUE, min_size=len(edges), max_size=len(edges))
    rows = data.draw(st.lists(row, min_size=1, max_size=8))
    batch, single, plain = NumpyColumns(edges, np), NumpyColumns(edges, np), BisectColumns(edges)
    batch.add_rows(rows)
    plain.add_rows(rows)
    for one in rows:
        single.add_rows(one)
    for column in range(len(edges)):
        wanted = plain.read(column)
        for other in (batch, single):
            got = other.read(column)
            assert (got[0], got[1], got[3]) == (wanted[0], wanted[1], wanted[3])
            assert got[2] == pytest.approx(wanted[2], rel=1e-9, abs=1e-6)


def test_a_batch_longer_than_one_chunk_is_counted_whole() -> None:
    counted = NumpyColumns([[0.0], [5.0, 9.0]], np)
    counted.add_rows(np.tile([[1.0, 7.0]], (1_300, 1)))
    assert counted.read(0)[1] == [0, 1_300]
    assert counted.read(1)[1] == [0, 1_300, 0]


@pytest.mark.parametrize("build", [BisectColumns, lambda edges: NumpyColumns(edges, np)])
@pytest.mark.parametrize(
    "rows", [[1.0], [[1.0, 2.0], [1.0]], [[1.0, 2.0, 3.0]], [1.0, "x"], [[[1.0, 2.0]]]]
)
def test_a_row_of_another_shape_is_refused_and_nothing_is_counted(build, rows) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001 - both back ends, on purpose untyped rows
    counted = build([[0.0], [0.0]])
    with pytest.raises((ValueError, TypeError)):
        counted.add_rows(rows)
    assert [counted.read(column)[1] for column in (0, 1)] == [[0, 0], [0, 0]]


def test_a_missing_value_is_invalid_in_both_back_ends() -> None:
    for counted in (NumpyColumns([[0.0]], np), BisectColumns([[0.0]])):
        counted.add_rows([None])
        assert (counted.read(0)[1], counted.read(0)[3]) == ([0, 0], 1)
    assert math.isnan(as_floats([None])[0])


def test_sums_that_overflow_stay_counts_and_raise_no_warning() -> None:
    counted = NumpyColumns([[0.0]], np)
    counted.add_rows([[1.7e308], [1.7e308]])
    assert counted.read(0)[1] == [0, 2]


@pytest.mark.parametrize("edges", [[], [1.0, 1.0], [2.0, 1.0], [math.nan], [0.0, math.inf]])
def test_edges_that_do_not_ascend_are_refused(edges: list[float]) -> None:
    with pytest.raises(ValueError, match="ascending"):
        checked_edges(edges)


@given(values=st.lists(_VALUE, max_size=60))
def test_learnt_edges_can_always_be_used_and_split_what_moved(values: list[float]) -> None:
    edges = learnt_edges(values)
    assert checked_edges(edges) == edges
    finite = [value for value in values if math.isfinite(value)]
    assert all(min(finite) <= edge <= max(finite) or len(edges) == 2 for edge in edges if finite)


def test_a_column_that_never_moved_shows_a_later_move_in_either_direction() -> None:
    counted = Histogram(learnt_edges([3.0] * 50))
    for value in (3.0, 2.9, 3.1):
        counted.add(value)
    assert counted.counts == [1, 1, 1]


def test_without_numpy_the_standard_library_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert histogram.backend() == "numpy"
    monkeypatch.setattr(histogram, "np", None)
    assert histogram.backend() == "bisect"
    assert isinstance(histogram.columns([[0.0]]), BisectColumns)
    assert "numpy" in sys.modules  # it was there: only the choice was taken away
