"""Rows that come after later ones: late, not missing; and a clock that was set back is neither."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from homeostat.cli import detect_ticks as ticks
from homeostat.cli.detect_late import Late

MINUTE = 60 * 10**9


def seen(minutes: list[int], pieces: list[int]) -> Late:
    """Return what was found of rows that came in pieces."""
    late, grid, begun = Late(), ticks.new_grid(), 0
    for size in [*pieces, len(minutes)]:
        part = np.array(minutes[begun : begun + size], dtype=np.int64) * MINUTE
        if len(part):
            grid, said = ticks.timing(grid, part)
            late.add(part, said)
        begun += size
    return late


def told(minutes: list[int]) -> tuple[int, int, int, int]:
    found = seen(minutes, [])
    return found.missing, found.gaps, found.rows, found.set_back


def test_two_swapped_rows_are_one_late_row_and_none_is_missing() -> None:
    assert told([*range(30), 31, 30, *range(32, 50)]) == (0, 0, 1, 0)


def test_rows_that_come_together_later_are_late_and_what_never_comes_is_missing() -> None:
    assert told([*range(30), 36, 37, 31, 32, 33, *range(38, 60)]) == (3, 1, 3, 0)
    assert told([*range(30), *range(35, 60)]) == (5, 1, 0, 0)


def test_a_clock_that_was_set_back_is_not_late_and_nothing_is_missing() -> None:
    assert told([*range(50), *range(20, 80)]) == (0, 0, 0, 1)


@given(
    moved=st.lists(st.tuples(st.integers(20, 90), st.integers(1, 6)), max_size=4),
    gone=st.sets(st.integers(20, 90), max_size=6),
    pieces=st.lists(st.integers(1, 30), max_size=8),
)
def test_what_is_found_does_not_depend_on_how_many_rows_come_at_a_time(
    moved: list[tuple[int, int]], gone: set[int], pieces: list[int]
) -> None:
    minutes = [k for k in range(100) if k not in gone]
    for place, by in moved:
        if place + by < len(minutes):
            minutes.insert(place + by, minutes.pop(place))
    whole, parts = seen(minutes, []), seen(minutes, pieces)
    for one in ("missing", "gaps", "rows", "set_back"):
        assert getattr(parts, one) == getattr(whole, one)
    assert whole.missing >= 0
    assert whole.gaps <= whole.missing
