"""Both arms' counts from the counters of many targets: what was not read is not known."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base.units import SECOND, TimeNs
from homeostat.govern.canary_series import ArmSeries, Sampled, counts

STEP = 15 * SECOND


def series(values: list[float | None], *, target: str = "p-1", offset_s: float = 0.0,
           **labels: str) -> Sampled:  # fmt: skip
    """Return a counter scraped every 15 s; None is a scrape that failed."""
    samples = [
        (TimeNs(k * STEP + round(offset_s * SECOND)), value)
        for k, value in enumerate(values)
        if value is not None
    ]
    return {"job": "m", "instance": target, **labels}, samples


STABLE = ArmSeries(total=(series([0, 100, 200, 300, 400], target="s-1"),),
                   part=(series([0, 1, 2, 3, 4], target="s-1"),))  # fmt: skip


def gained(arm: ArmSeries) -> list[tuple[float | None, float | None]]:
    made, _ = counts(arm, STABLE)
    assert [one.stable_total for one in made] == [100.0] * len(made)
    return [(one.canary_total, one.canary_bad) for one in made]


def arm(*total: Sampled, bad: tuple[Sampled, ...] = ()) -> ArmSeries:
    return ArmSeries(total=total, part=bad)


def test_pods_add_up_though_each_is_scraped_at_its_own_moment() -> None:
    one = series([0, 10, 20, 30, 40], target="c-1", offset_s=3.2)
    two = series([5, 6, 8, 11, 15], target="c-2", offset_s=11.9)
    bad = (series([0, 1, 1, 1, 3], target="c-2", offset_s=11.9, code="500"),)
    assert gained(arm(one, two, bad=bad)) == [(11.0, 1.0), (12.0, 0.0), (13.0, 0.0), (14.0, 2.0)]


def test_a_scrape_that_failed_makes_both_stretches_unknown_and_repeats_nothing() -> None:
    one = series([0, 10, None, 30, 40], target="c-1")
    assert gained(arm(one)) == [(10.0, 0.0), (None, None), (None, None), (10.0, 0.0)]


def test_one_pod_that_was_not_read_makes_the_arm_unknown() -> None:
    one, two = series([0, 10, 20, 30, 40]), series([0, 1, None, 3, 4], target="c-2")
    assert gained(arm(one, two))[1:3] == [(None, None), (None, None)]


def test_a_counter_that_began_anew_is_unknown_though_the_sum_rose() -> None:
    one, two = series([0, 10, 20, 2, 4]), series([0, 50, 100, 150, 200], target="c-2")
    assert gained(arm(one, two)) == [(60.0, 0.0), (60.0, 0.0), (None, None), (52.0, 0.0)]


def test_a_pod_that_comes_or_goes_for_good_is_unknown_once() -> None:
    one, new = series([0, 10, 20, 30, 40]), series([None, None, 7, 8, 9], target="c-2")
    assert gained(arm(one, new)) == [(10.0, 0.0), (None, None), (11.0, 0.0), (11.0, 0.0)]
    old = series([5, 6, None, None, None], target="c-2")
    assert gained(arm(one, old)) == [(11.0, 0.0), (None, None), (10.0, 0.0), (10.0, 0.0)]


def test_a_counter_that_its_page_does_not_have_yet_has_counted_nothing() -> None:
    one, bad = series([0, 10, 20, 30, 40]), series([None, None, 2, 2, 3], code="500")
    assert [b for _, b in gained(arm(one, bad=(bad,)))] == [0.0, 2.0, 0.0, 1.0]
    assert [b for _, b in gained(arm(one))] == [0.0] * 4, "not one failure, on pages that were read"


def test_a_counter_that_its_page_has_no_more_began_anew() -> None:
    one, bad = series([0, 10, 20, 30, 40]), series([1, 2, None, None, None], code="500")
    assert gained(arm(one, bad=(bad,))) == [(10.0, 1.0), (None, None), (10.0, 0.0), (10.0, 0.0)]


def test_a_counter_that_is_away_and_comes_back_is_unknown_all_the_while() -> None:
    one = series([0, 10, 20, 30, 40])
    for bad in ([7, 1000, None, 1001, 1001], [7, 1000, None, None, 1001]):
        whole = series([0, 2000, 4000, 6000, 8000])
        found = gained(arm(whole, bad=(series(bad, code="503"),)))  # type: ignore[arg-type]
        away = [k for k in range(1, 5) if None in bad[k - 1 : k + 1]]
        assert [k for k, pair in enumerate(found, start=1) if pair == (None, None)] == away
        assert sum(pair[1] or 0.0 for pair in found) == 993.0, "never a thousand from nothing"
    by_code = gained(arm(one, series([5, 9, None, 12, 13], code="201")))
    assert by_code == [(14.0, 0.0), (None, None), (None, None), (11.0, 0.0)]


def test_a_counter_that_is_gone_for_good_is_unknown_once() -> None:
    bad = (series([0, 3, None, None, None], code="503"),)
    found = gained(arm(series([0, 10, 20, 30, 40]), bad=bad))
    assert found == [(10.0, 3.0), (None, None), (10.0, 0.0), (10.0, 0.0)]


def test_after_its_process_began_anew_a_counter_has_counted_nothing_until_it_is_there() -> None:
    one, bad = series([0, 10, 2, 8, 9]), series([0, 3, None, None, 1], code="500")
    assert gained(arm(one, bad=(bad,))) == [(10.0, 3.0), (None, None), (6.0, 0.0), (1.0, 1.0)]
    late = series([0, 3, None, None, 1], code="500")
    found = gained(arm(series([0, 10, 20, 8, 9]), bad=(late,)))
    assert found == [(10.0, 3.0), (None, None), (None, None), (1.0, 1.0)]


def test_good_ones_serve_as_well_as_bad_ones() -> None:
    good = ArmSeries(total=(series([0, 10, 20, 30, 40]),), part=(series([0, 9, 19, 28, 38]),),
                     part_is_good=True)  # fmt: skip
    assert [b for _, b in gained(good)] == [1.0, 0.0, 1.0, 0.0]


def test_more_bad_than_all_is_unknown() -> None:
    assert gained(arm(series([0, 1, 2, 3, 4]), bad=(series([0, 9, 9, 9, 9]),)))[0] == (None, None)


def buckets(*rows: tuple[str, list[float | None]], target: str = "p-1") -> tuple[Sampled, ...]:
    return tuple(series(list(values), target=target, le=bound) for bound, values in rows)


def test_histograms_are_compared_by_bounds_that_both_arms_have() -> None:
    rows: tuple[tuple[str, list[float | None]], ...] = (
        ("0.1", [0, 5, 9, 9, 9]), ("0.5", [0, 9, 18, 18, 18]), ("+Inf", [0, 10, 20, 20, 20]),
    )  # fmt: skip
    arms = [
        ArmSeries(total=(series([0, 10, 20, 20, 20], target=who),), part=(),
                  histograms={"latency": buckets(*rows, target=who)})
        for who in ("c-1", "s-1")
    ]  # fmt: skip
    made, bounds = counts(*arms)
    assert bounds == {"latency": (0.1, 0.5)}
    assert made[1].histograms[0].canary == (4.0, 9.0, 10.0)
    other = ArmSeries(total=arms[1].total, part=(), histograms={"latency": buckets(*rows[1:])})
    with pytest.raises(ValueError, match="same bounds"):
        counts(arms[0], other)
    nothing = ArmSeries(total=arms[1].total, part=(), histograms={"latency": (series([1]),)})
    with pytest.raises(ValueError, match="le"):
        counts(nothing, nothing)


def test_what_was_scraped_once_compares_nothing() -> None:
    once = arm(series([3]))
    with pytest.raises(ValueError, match="scraped twice"):
        counts(once, once)


@given(
    st.lists(st.one_of(st.none(), st.floats(0, 1e6)), min_size=2, max_size=12),
    st.lists(st.one_of(st.none(), st.floats(0, 1e6)), min_size=2, max_size=12),
)
def test_whatever_was_scraped_no_count_is_negative_or_invented(
    one: list[float | None], two: list[float | None]
) -> None:
    canary = arm(series(one, target="c-1"), series(two, target="c-2"))
    made, _ = counts(canary, ArmSeries(total=(series([0.0] * 12, target="s-1"),), part=()))
    most = sum(max((v for v in values if v is not None), default=0.0) for values in (one, two))
    known = [count.canary_total for count in made if count.canary_total is not None]
    assert all(0.0 <= total < math.inf for total in known)
    rises = all(
        a is not None and b is not None and a <= b
        for values in (one, two) for a, b in pairwise(values)
    )  # fmt: skip
    if rises and len(one) == len(two):
        assert sum(known) <= most + 1e-6
