"""Counters become counts, and what cannot be told becomes unknown, never zero."""

import math
from typing import Any

import pytest

from homeostat.base.units import SECOND, TimeNs
from homeostat.govern.canary_counters import ArmReading, Reading, bounds_of, counts

Four = tuple[float | None, float | None, float | None, float | None]


def reading(t: float, four: Four, **histograms: Any) -> Reading:
    canary, canary_bad, stable, stable_bad = four
    return Reading(
        at=TimeNs(round(t * SECOND)),
        canary=ArmReading(
            total=canary, bad=canary_bad, histograms=tuple(histograms.get("canary", ()))
        ),
        stable=ArmReading(
            total=stable, bad=stable_bad, histograms=tuple(histograms.get("stable", ()))
        ),
        share=0.1,
    )


def test_counts_are_what_came_between_two_readings() -> None:
    (one,) = counts([
        reading(60, (100.0, 1.0, 900.0, 5.0)),
        reading(120, (150.0, 3.0, 1400.0, 9.0)),
    ])
    assert (one.canary_total, one.canary_bad) == (50.0, 2.0)
    assert (one.stable_total, one.stable_bad) == (500.0, 4.0)
    assert (one.since, one.at) == (60 * SECOND, 120 * SECOND)
    assert one.share == 0.1


@pytest.mark.parametrize(
    "lost",
    [
        (20.0, 1.0, 950.0, 5.0),  # began anew
        (150.0, 0.0, 950.0, 5.0),  # only the bad ones began anew
        (None, 1.0, 950.0, 5.0),
        (math.nan, 1.0, 950.0, 5.0),
        (150.0, -1.0, 950.0, 5.0),
        (math.inf, 1.0, 950.0, 5.0),
    ],
)
def test_an_arm_that_cannot_be_told_is_unknown_and_the_other_is_kept(lost: Four) -> None:
    first = reading(60, (100.0, 1.0, 900.0, 5.0))
    after = reading(180, (160.0, 2.0, 1000.0, 5.0))
    one, _ = counts([first, reading(120, lost), after])
    assert (one.canary_total, one.canary_bad) == (None, None)
    assert (one.stable_total, one.stable_bad) == (50.0, 0.0)


def test_after_a_gap_nothing_is_set_beside_what_the_other_arm_did_in_less_time() -> None:
    gap = reading(120, (None, None, 950.0, 5.0))
    _, two = counts([
        reading(60, (100.0, 1.0, 900.0, 5.0)),
        gap,
        reading(180, (160.0, 2.0, 1000.0, 5.0)),
    ])
    assert two.canary_total is None
    assert two.stable_total == 50.0


def test_after_a_new_beginning_counting_goes_on() -> None:
    rows: list[Four] = [(100.0, 1.0, 900.0, 5.0), (10.0, 0.0, 950.0, 5.0), (30.0, 1.0, 990.0, 6.0)]
    _, two = counts([reading(60.0 * i, row) for i, row in enumerate(rows)])
    assert (two.canary_total, two.canary_bad) == (20.0, 1.0)


@pytest.mark.parametrize("t", [60.0, 59.0])
def test_readings_out_of_order_are_refused_by_number(t: float) -> None:
    same: Four = (1.0, 0.0, 1.0, 0.0)
    with pytest.raises(ValueError, match=r"reading 3: .* is not after 60 s"):
        list(counts([reading(0, same), reading(60, same), reading(t, same)]))


def test_histograms_are_counted_and_a_bucket_that_is_not_read_makes_them_unknown() -> None:
    four: Four = (1.0, 0.0, 1.0, 0.0)
    before = reading(0, four, canary=[("ms", (1.0, 2.0))], stable=[("ms", (5.0, 9.0))])
    after = reading(60, four, canary=[("ms", (4.0, 9.0))], stable=[("ms", (None, 12.0))])
    (one,) = counts([before, after])
    (arms,) = one.histograms
    assert (arms.metric, arms.canary, arms.stable) == ("ms", (3.0, 7.0), ())
    (none,) = counts([reading(0, four), after])
    assert none.histograms[0].canary == ()


@pytest.mark.parametrize("wrong", [[], ["100"], ["100", "nan", "inf"]])
def test_bounds_without_a_total_are_refused(wrong: list[str]) -> None:
    with pytest.raises(ValueError, match="inf"):
        bounds_of(wrong)
