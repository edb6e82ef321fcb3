"""What was spent, by day, from the replicas as they were read back; and what that saved.

Every slot is paid for, whatever state it is in, at its pool's price. Between two looks the dearer
of the two is charged; while nothing can be seen, what ran last goes on being charged and the time
is marked as assumed: a bill that nobody saw is not zero. Neither is that of the month before
counting began: it is taken to have cost what is first seen to run, kept apart and marked. Days and
months are those of UTC, as on most bills. Projections are the guard's: see `safety.bill`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from homeostat.base.budgets import (
    DAY_NS,
    HOUR_MS,
    DaySpend,
    Ledger,
    MoneyPolicy,
    day_of,
    month_of,
)
from homeostat.base.units import MILLISECOND, TimeNs
from homeostat.base.world import Snapshot

KEPT_DAYS: Final = 62
"""Days kept: this month whole, and the one before it."""

# Longer than this between two looks, and nobody knows what ran meanwhile.
_SEEN_SCRAPES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Savings:
    """What was saved against something that is named.

    Attributes:
        days: Days that are compared, the present one as far as it has gone.
        spent_milli: What was paid.
        reference_milli: What the reference would have cost in the same time.
        assumed_ms: Of that time, what was not seen.
        assumption: What it is compared with, in words.
    """

    days: int
    spent_milli: int
    reference_milli: int
    assumed_ms: int
    assumption: str

    @property
    def saved_milli(self) -> int:
        """What was saved; below zero it cost more than the reference."""
        return self.reference_milli - self.spent_milli


def rate(world: Snapshot | None, money: MoneyPolicy) -> int | None:
    """Return what runs costs an hour, in thousandths; None if a price or the world is unknown."""
    if world is None:
        return None
    prices = [money.price(slot.pool) for slot in world.replicas]
    known = [price for price in prices if price is not None]
    return sum(known) if len(known) == len(prices) else None


def charge(
    before: Ledger | None, money: MoneyPolicy, world: Snapshot | None, scrape_ns: int, now: TimeNs
) -> Ledger:
    """Return the ledger after one tick.

    Args:
        before: As the last tick returned it; None before the first.
        money: The prices.
        world: The deployment as read back, None if it could not be read.
        scrape_ns: The scrape interval.
        now: The tick's time.
    """
    live = rate(world, money)
    if before is None or before.currency != money.currency:
        return Ledger(
            since=now,
            at=now,
            rate_milli=live,
            currency=money.currency,
            earlier=None if live is None else _earlier(now, live),
        )
    if now <= before.at:
        return before  # a clock that went back charges nothing twice
    known = [one for one in (before.rate_milli, live) if one is not None]
    seen = live is not None and now - before.at <= _SEEN_SCRAPES * scrape_ns
    days, earlier = before.days, before.earlier
    if known:
        # Blind from the beginning: what is seen at last is taken to have run since then.
        unseen = () if before.rate_milli is not None else _by_day(before.since, before.at)
        for at, until in unseen:
            days = _charged(days, at, until, max(known), seen=False)
        for at, until in _by_day(before.at, now):
            days = _charged(days, at, until, max(known), seen=seen)
        earlier = _earlier(before.since, max(known)) if earlier is None else earlier
    last = before.rate_milli if live is None else live
    return replace(before, at=now, rate_milli=last, days=days[-KEPT_DAYS:], earlier=earlier)


def _earlier(since: TimeNs, milli: int) -> tuple[DaySpend, ...]:
    """Return what the month had cost before counting began, had it cost as much all the time."""
    first = day_of(since)
    while month_of(first - 1) == month_of(day_of(since)):
        first -= 1
    days: tuple[DaySpend, ...] = ()
    for at, until in _by_day(TimeNs(first * DAY_NS), since):
        days = _charged(days, at, until, milli, seen=False)
    return days


def _by_day(at: TimeNs, until: TimeNs) -> Iterable[tuple[TimeNs, TimeNs]]:
    """Cut a stretch at midnights; what is older than the days that are kept is left out."""
    begin = max(at, TimeNs((day_of(until) - KEPT_DAYS) * DAY_NS))
    while begin < until:
        end = min(until, TimeNs((day_of(begin) + 1) * DAY_NS))
        yield begin, end
        begin = end


def _charged(
    days: tuple[DaySpend, ...], at: TimeNs, until: TimeNs, milli: int, *, seen: bool
) -> tuple[DaySpend, ...]:
    day, ms = day_of(at), until // MILLISECOND - at // MILLISECOND
    last = days[-1] if days and days[-1].day == day else DaySpend(day=day)
    charged = replace(
        last,
        milli_ms=last.milli_ms + milli * ms,
        seen_ms=last.seen_ms + (ms if seen else 0),
        assumed_ms=last.assumed_ms + (0 if seen else ms),
        most_milli=max(last.most_milli, milli),
    )
    return (*(one for one in days if one.day != day), charged)


def spent(ledger: Ledger, *, month: bool = False) -> int:
    """Return what the present day, or month, has cost so far, in thousandths.

    What is assumed of the time before counting began is part of it: see `assumed`.
    """
    return _sum(ledger, ledger.billed, month=month)


def assumed(ledger: Ledger, *, month: bool = False) -> int:
    """Return how much of that is of the time before counting began, which nobody counted."""
    return _sum(ledger, ledger.earlier or (), month=month)


def _sum(ledger: Ledger, days: tuple[DaySpend, ...], *, month: bool) -> int:
    today = day_of(ledger.at)
    inside = [
        one for one in days if (month_of(one.day) == month_of(today) if month else one.day == today)
    ]
    return -(-sum(one.milli_ms for one in inside) // HOUR_MS)


def savings(ledger: Ledger, money: MoneyPolicy) -> Savings | None:
    """Return what was saved over the days that are kept; None when there is nothing to compare.

    With `reference_replicas` the reference is so many replicas at the price of the dearest pool,
    else the most that ran in any of these days, running all the time.
    """
    if not ledger.days:
        return None
    stated = money.reference_replicas
    prices = [price.milli for price in money.prices if price.milli is not None]
    if stated is not None and not prices:
        return None
    most = max(one.most_milli for one in ledger.days)
    reference = most if stated is None else stated * max(prices)
    amount = f"{reference / 1000:.2f} {money.currency}/h"
    if stated is None:
        words = f"against the most that ran in these days ({amount}), running all the time"
    else:
        words = f"against {stated} replicas ({amount}), running all the time"
    elapsed = sum(one.seen_ms + one.assumed_ms for one in ledger.days)
    return Savings(
        days=len(ledger.days),
        spent_milli=-(-sum(one.milli_ms for one in ledger.days) // HOUR_MS),
        reference_milli=reference * elapsed // HOUR_MS,
        assumed_ms=sum(one.assumed_ms for one in ledger.days),
        assumption=f"{words}, as if that had served no worse and no better",
    )
