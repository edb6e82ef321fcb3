"""A course is thinned as it goes by, and nothing extreme is lost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.report.detect_course import Course, Rows


def rows(first: int, values: np.ndarray) -> Rows:
    """Return rows of two columns, the second of them falling as the first rises."""
    both = np.stack([values, -values], axis=1)
    flags = values > 0.9
    return Rows(
        texts=[str(first + k) for k in range(len(values))],
        values=both,
        low=both - 1.0,
        high=both + 1.0,
        evidence=np.abs(values),
        shares=np.full_like(both, 0.5),
        alarm=flags,
        active=flags,
    )


def course(values: np.ndarray, pieces: list[int], cells: int = 8) -> Course:
    made, at = Course(["up", "down"], cells), 0
    for size in pieces:
        made.add(rows(at, values[at : at + size]))
        at += size
    made.add(rows(at, values[at:]))
    return made


@given(
    count=st.integers(1, 100),
    pieces=st.lists(st.integers(0, 30), max_size=5),
    seed=st.integers(0, 5),
)
def test_a_course_does_not_depend_on_how_many_rows_came_at_a_time(
    count: int, pieces: list[int], seed: int
) -> None:
    values = np.random.default_rng(seed).uniform(-1.0, 1.0, count)
    values[::7] = np.nan
    one, many = course(values, []).cells(), course(values, pieces).cells()
    assert one is not None
    assert many is not None
    assert one.texts == many.texts
    for first, second in zip(one[1:], many[1:], strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-12)


@given(count=st.integers(1, 300), odd=st.integers(0, 299))
def test_one_odd_row_shows_in_few_cells_and_in_its_own_place(count: int, odd: int) -> None:
    values = np.zeros(count)
    values[odd % count] = 5.0
    found = course(values, [3, 50]).cells()
    assert found is not None
    assert len(found.texts) <= 9
    (place,) = np.flatnonzero(found.most[:, 0] == 5.0)
    assert found.least[place, 1] == -5.0
    assert np.flatnonzero(found.alarm).tolist() == [place]
    starts = [*map(int, found.texts), count]
    assert starts[place] <= odd % count < starts[place + 1]
    assert found.weight.sum() == pytest.approx(5.0)


def test_what_is_not_known_is_not_drawn_as_zero() -> None:
    found = course(np.array([np.nan] * 20 + [1.0]), []).cells()
    assert found is not None
    assert np.isnan(found.most[0]).all()
    assert np.isnan(found.low[0]).all()
    assert np.isnan(found.evidence[0])


def test_a_course_without_rows_is_none_and_an_odd_number_of_cells_is_refused() -> None:
    assert Course(["up"]).cells() is None
    with pytest.raises(ValueError, match="even number of cells, got 7"):
        Course(["up"], 7)
