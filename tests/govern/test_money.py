"""The bill: every slot at its pool's price, what was not seen as before, days and months of UTC."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from homeostat.base.budgets import (
    DAY_NS,
    HOUR_MS,
    Ledger,
    MoneyPolicy,
    Price,
    day_of,
    month_end,
    month_of,
    projected,
)
from homeostat.base.units import HOUR, MILLISECOND, MINUTE, SECOND, TimeNs
from homeostat.base.world import Snapshot
from homeostat.govern.money import assumed, charge, rate, savings, spent
from homeostat.testing import guard_scene as g

SCRAPE = 15 * SECOND
MIDNIGHT = TimeNs(20_000 * DAY_NS)
ONE_PRICE = MoneyPolicy(prices=(Price(pool="", milli=2_100),))
TWO_PRICES = MoneyPolicy(prices=(Price(pool="a", milli=2_100), Price(pool="b", milli=11_000)))


def lived(
    worlds: Sequence[Snapshot | None],
    money: MoneyPolicy = ONE_PRICE,
    *,
    at: TimeNs = MIDNIGHT,
    every: int = SCRAPE,
) -> Ledger:
    ledger = charge(None, money, worlds[0], SCRAPE, at)
    for number, world in enumerate(worlds[1:], 1):
        ledger = charge(ledger, money, world, SCRAPE, TimeNs(at + number * every))
    return ledger


def test_every_slot_costs_its_pools_price() -> None:
    assert rate(g.world(3, fallback=1), TWO_PRICES) == 3 * 2_100 + 11_000
    assert rate(g.world(3, fallback=1), ONE_PRICE) == 4 * 2_100


def test_a_price_that_nobody_named_is_no_price_of_zero() -> None:
    only_a = replace(TWO_PRICES, prices=TWO_PRICES.prices[:1])
    assert rate(g.world(3, fallback=1), only_a) is None
    assert rate(g.world(3, fallback=0), only_a) == 3 * 2_100
    assert rate(None, ONE_PRICE) is None
    named = MoneyPolicy(prices=(Price(pool="", milli=1), Price(pool="a", milli=None)))
    assert rate(g.world(3, fallback=0), named) is None


def test_an_hour_of_four_replicas_costs_four_prices() -> None:
    ledger = lived([g.world(3, fallback=1)] * 241)
    assert spent(ledger) == 4 * 2_100
    assert spent(ledger, month=True) - assumed(ledger, month=True) == 4 * 2_100
    assert ledger.days[-1].seen_ms == HOUR_MS
    assert ledger.days[-1].assumed_ms == 0


def test_the_dearer_of_two_looks_is_charged() -> None:
    small, big = g.world(2, fallback=0), g.world(4, fallback=0)
    up, down = lived([small, big], every=SCRAPE), lived([big, small], every=SCRAPE)
    assert up.days[-1].milli_ms == down.days[-1].milli_ms == 4 * 2_100 * 15_000


def test_a_bill_that_nobody_saw_is_not_zero_and_is_marked() -> None:
    world = g.world(3, fallback=1)
    blind = lived([world, *[None] * 240])
    assert spent(blind) == 4 * 2_100
    assert blind.days[-1].assumed_ms == HOUR_MS
    away = lived([world, world], every=HOUR)  # the controller was not running
    assert spent(away) == 4 * 2_100
    assert away.days[-1].assumed_ms == HOUR_MS


def test_before_anything_was_seen_nothing_is_made_up() -> None:
    assert lived([None] * 10).days == ()
    assert lived([None] * 10).rate_milli is None


def test_midnight_cuts_the_bill() -> None:
    ledger = lived([g.world(2, fallback=0)] * 3, at=TimeNs(MIDNIGHT - 10 * SECOND))
    assert [one.day for one in ledger.days] == [19_999, 20_000]
    assert [one.milli_ms for one in ledger.days] == [4_200 * 10_000, 4_200 * 20_000]


def test_a_month_is_a_calendar_month() -> None:
    begin = TimeNs((month_end(20_000) - 2) * DAY_NS)
    ledger = lived([g.world(1, fallback=0)] * 5, at=begin, every=DAY_NS)
    assert [month_of(one.day) for one in ledger.days] == [(2024, 10)] * 2 + [(2024, 11)] * 2
    assert spent(ledger, month=True) == 2 * 24 * 2_100


def test_a_clock_that_went_back_charges_nothing_twice() -> None:
    world = g.world(2, fallback=0)
    ledger = lived([world] * 5)
    assert charge(ledger, ONE_PRICE, world, SCRAPE, TimeNs(ledger.at - MINUTE)) == ledger


def test_what_is_kept_has_an_end_whatever_the_gap() -> None:
    ledger = lived([g.world(1, fallback=0)] * 2, every=4000 * DAY_NS)
    assert len(ledger.days) <= 62
    assert ledger.days[-1].day == day_of(ledger.at) - 1


def test_savings_say_what_they_are_compared_with() -> None:
    worlds = [g.world(4, fallback=0)] * 2 + [g.world(2, fallback=0)] * 239
    found = savings(lived(worlds), ONE_PRICE)
    assert found is not None
    assert found.reference_milli == 4 * 2_100
    assert 0 < found.saved_milli < 2 * 2_100
    assert "the most that ran" in found.assumption
    stated = savings(lived(worlds), replace(ONE_PRICE, reference_replicas=1))
    assert stated is not None
    assert stated.saved_milli < 0
    assert "1 replicas" in stated.assumption
    assert savings(lived([None]), ONE_PRICE) is None


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 6), st.integers(1, 3 * 24 * 3600)), min_size=1, max_size=30
    ),
    start=st.integers(0, 30_000 * 24 * 3600),
)
def test_the_days_add_up_to_what_was_charged(steps: list[tuple[int, int]], start: int) -> None:
    at = TimeNs(start * SECOND)
    ledger = charge(None, ONE_PRICE, g.world(3, fallback=0), SCRAPE, at)
    total, before = 0, 3
    for size, seconds in steps:
        at = TimeNs(at + seconds * SECOND)
        ledger = charge(ledger, ONE_PRICE, g.world(size, fallback=0), SCRAPE, at)
        total += max(before, size) * 2_100 * seconds * 1000
        before = size
    if (at - ledger.since) < 60 * DAY_NS:
        assert sum(one.milli_ms for one in ledger.days) == total
        elapsed = sum(one.seen_ms + one.assumed_ms for one in ledger.days)
        assert elapsed == (at - ledger.since) // MILLISECOND


@given(st.integers(-800_000, 800_000))
def test_a_months_end_is_in_the_next_month_and_no_day_before_it_is(day: int) -> None:
    end = month_end(day)
    assert 0 < end - day <= 31
    assert month_of(end - 1) == month_of(day) != month_of(end)


def test_hours_are_hours() -> None:
    assert HOUR // MILLISECOND == HOUR_MS


def test_another_currency_is_counted_anew() -> None:
    world = g.world(2, fallback=0)
    ledger = lived([world] * 5)
    euros = replace(ONE_PRICE, currency="EUR")
    again = charge(ledger, euros, world, SCRAPE, TimeNs(ledger.at + SCRAPE))
    assert (again.currency, again.days) == ("EUR", ())
    assert charge(again, euros, world, SCRAPE, TimeNs(again.at + SCRAPE)).days != ()


def test_a_month_is_projected_to_its_last_day_and_no_further() -> None:
    begin = TimeNs((month_end(20_000) - 2) * DAY_NS)
    ledger = lived([g.world(1, fallback=0)] * 2, at=begin, every=DAY_NS)
    one_day = 24 * 2_100
    assert projected(ledger, ledger.at, 2_100) == one_day  # the last day of the month is to come
    before = 29 * one_day  # nobody counted the first days of the month
    assert assumed(ledger, month=True) == before
    assert projected(ledger, ledger.at, 2_100, month=True) == before + 2 * one_day
    assert projected(ledger, ledger.at, 0, month=True) == before + one_day
    later = TimeNs(ledger.at + DAY_NS)
    assert projected(ledger, later, 0, month=True) == 0  # a new month


def test_the_month_before_counting_began_is_not_free_and_is_marked() -> None:
    begin = TimeNs((month_end(20_000) - 7) * DAY_NS + 6 * HOUR)  # late in a month of 31 days
    ledger = lived([g.world(3, fallback=0)], at=begin)
    rate_milli = 3 * 2_100
    assert assumed(ledger) == spent(ledger) == 6 * rate_milli
    assert assumed(ledger, month=True) == spent(ledger, month=True) == (24 * 24 + 6) * rate_milli
    whole = 31 * 24 * rate_milli
    assert projected(ledger, ledger.at, rate_milli, month=True) == whole
    assert ledger.days == (), "nothing is said to be counted, or saved, that was not"
    assert savings(ledger, ONE_PRICE) is None


def test_blind_from_the_beginning_is_charged_once_something_is_seen() -> None:
    begin = TimeNs((month_end(20_000) - 7) * DAY_NS)
    worlds = [None] * 240 + [g.world(2, fallback=0)] * 2
    ledger = lived(worlds, at=begin)
    assert spent(ledger) == -(-241 * 15 * 4_200 // 3_600)
    assert ledger.days[-1].assumed_ms == 239 * 15_000
    assert assumed(ledger, month=True) == 24 * 24 * 4_200


def test_the_bill_goes_on_in_another_currency_as_if_it_had_always_been_so() -> None:
    world = g.world(2, fallback=0)
    ledger = lived([world] * 5, at=TimeNs(MIDNIGHT + 12 * HOUR))
    euros = replace(ONE_PRICE, currency="EUR")
    again = charge(ledger, euros, world, SCRAPE, TimeNs(ledger.at + SCRAPE))
    assert assumed(again) >= 12 * 4_200


def test_a_ledger_of_before_this_was_counted_is_completed() -> None:
    world = g.world(2, fallback=0)
    old = replace(lived([world] * 5, at=TimeNs(MIDNIGHT + HOUR)), earlier=None)
    assert assumed(charge(old, ONE_PRICE, world, SCRAPE, TimeNs(old.at + SCRAPE))) == 4_200


@given(at=st.integers(0, 400 * DAY_NS), replicas=st.integers(1, 9))
def test_the_first_projection_is_that_of_a_whole_period(at: int, replicas: int) -> None:
    ledger = lived([g.world(replicas, fallback=0)], at=TimeNs(20_000 * DAY_NS + at))
    milli, today = 2_100 * replicas, day_of(ledger.at)
    length = sum(month_of(today + off) == month_of(today) for off in range(-31, 32))
    for month, days in ((False, 1), (True, length)):
        assert abs(projected(ledger, ledger.at, milli, month=month) - days * 24 * milli) <= 1
