"""Choosing says what `where` says, and copies nothing where all of one is chosen."""

import numpy as np

from homeostat.stats import chosen


def test_what_is_chosen_is_what_where_says() -> None:
    yes, no = np.arange(4.0), -np.arange(4.0)
    for mask in (np.array([True, False, True, True]), np.zeros(4, bool), np.ones(4, bool)):
        np.testing.assert_array_equal(chosen.where(np, mask, yes, no), np.where(mask, yes, no))
        np.testing.assert_array_equal(chosen.where(np, mask, yes, 7.0), np.where(mask, yes, 7.0))
    assert chosen.where(np, np.ones(4, bool), yes, no) is yes


def test_alike_is_one_number_for_all_or_none() -> None:
    assert chosen.alike(np, np.full(3, 5)) == 5
    assert chosen.alike(np, np.array([5, 5, 6])) is None
    assert chosen.alike(np, np.zeros(0)) is None
    assert chosen.alike(object(), np.full(3, 5)) is None  # type: ignore[arg-type]
