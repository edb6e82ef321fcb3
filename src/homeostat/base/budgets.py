"""Promises over weeks, and money: what was agreed on, and what is counted of it.

Counts are integers, money is thousandths of the currency, so that what the guards read is exact
and replays bit for bit. Absence is never zero: time that was not seen is kept apart from time in
which nothing happened, and a price that nobody named is None.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from homeostat.base.units import HOUR, MILLISECOND, TimeNs

DAY_NS: Final = 24 * HOUR
HOUR_MS: Final = HOUR // MILLISECOND
MILLION: Final = 1_000_000

Stretch = tuple[TimeNs, TimeNs, int, int, int]
"""Begin, end, good, bad, and how much of the time between was seen (ns)."""


class Method(StrEnum):
    """How an error budget is counted (OpenSLO `budgetingMethod`)."""

    OCCURRENCES = "occurrences"  # good events / events
    TIMESLICES = "timeslices"  # good slices of time / slices


@dataclass(frozen=True, slots=True, kw_only=True)
class SloSpec:
    """One promise over a rolling window.

    Attributes:
        name: Unique within the deployment.
        signal: `errors` counts requests, `within` those answered within `limit` ms; every other
            name of `base.names` is compared with `limit`, one occurrence for each time it is read.
        subject: Whose signal, for example `gateway`.
        target_ppm: Share that must be good, in millionths; below one million.
        window_ns: Length of the rolling window.
        method: How it is counted.
        slice_ns: Length of a slice; 0 for occurrences.
        slice_target_ppm: Share of a slice that must be good for the slice to be good.
        op: `lte`, `lt`, `gte` or `gt` for a signal that is compared.
        limit: What it is compared with.
    """

    name: str
    signal: str
    subject: str
    target_ppm: int
    window_ns: int
    method: Method = Method.OCCURRENCES
    slice_ns: int = 0
    slice_target_ppm: int = 0
    op: str = "lte"
    limit: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SloCounts:
    """What was counted of one promise, at three grains.

    Attributes:
        name: The promise's.
        signature: What exactly was counted; a promise that changed is counted anew.
        since: When counting began.
        until: Counted up to here.
        fine: Stretches of about a minute, for two hours.
        middle: Of a quarter of an hour, for three days.
        coarse: Of six hours, for the promise's window.
        part: The slice that is not over yet; None where slices are not counted.
        told: End of the last stretch of which something was known; None before the first.
    """

    name: str
    signature: str
    since: TimeNs
    until: TimeNs
    fine: tuple[Stretch, ...] = ()
    middle: tuple[Stretch, ...] = ()
    coarse: tuple[Stretch, ...] = ()
    part: Stretch | None = None
    told: TimeNs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What one replica of a pool costs an hour.

    Attributes:
        pool: The pool; empty for every pool without a price of its own.
        milli: Thousandths of the currency, rounded up; None = nobody named a price.
    """

    pool: str
    milli: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyPolicy:
    """Prices and budgets.

    Attributes:
        currency: ISO 4217 code.
        prices: By pool.
        day_milli: Budget of a day (UTC); None for none.
        month_milli: Budget of a calendar month (UTC); None for none.
        reference_replicas: What savings are measured against: so many replicas running all the
            time; None = as many as the most that ran.
    """

    currency: str = "USD"
    prices: tuple[Price, ...] = ()
    day_milli: int | None = None
    month_milli: int | None = None
    reference_replicas: int | None = None

    def price(self, pool: str) -> int | None:
        """Return the price of one replica of a pool, None if nobody named it."""
        usual = None
        for price in self.prices:
            if price.pool == pool:
                return price.milli
            if price.pool == "":
                usual = price.milli
        return usual


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySpend:
    """The bill of one day.

    Attributes:
        day: Days since 1970-01-01, UTC.
        milli_ms: Thousandths of the currency per hour, times milliseconds.
        seen_ms: Time in which the replicas were seen.
        assumed_ms: Time in which they were not, and counted as before.
        most_milli: The most that what ran cost an hour.
    """

    day: int
    milli_ms: int = 0
    seen_ms: int = 0
    assumed_ms: int = 0
    most_milli: int = 0

    @property
    def milli(self) -> int:
        """The bill in thousandths of the currency, rounded up."""
        return -(-self.milli_ms // HOUR_MS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What was spent, by day.

    Attributes:
        since: When counting began.
        at: Counted up to here.
        rate_milli: What ran when it was last seen costs so much an hour; None before it was seen,
            or while a price is missing.
        days: Oldest first.
        currency: Of all amounts; in another one everything is counted anew.
        earlier: The days of the month before counting began, taken to have cost what was first
            seen to run: nobody counted, and that is not zero. None before anything was seen.
    """

    since: TimeNs
    at: TimeNs
    rate_milli: int | None
    days: tuple[DaySpend, ...] = ()
    currency: str = "USD"
    earlier: tuple[DaySpend, ...] | None = None

    @property
    def billed(self) -> tuple[DaySpend, ...]:
        """What was counted, and what is assumed of the time before it."""
        return (*(self.earlier or ()), *self.days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """What is counted of a deployment's promises and money; journaled with its state.

    Attributes:
        slos: By promise.
        ledger: None where no price is declared.
        firing: Alerts on burn rates that are known to be on: `NAME FACTOR`.
        burning: Whether an alert that calls a person is on; None = not known.
        paging: Of those that are on, the ones that call a person.
        judged: When the alerts were last worked out; None before the first time.
    """

    slos: tuple[SloCounts, ...] = ()
    ledger: Ledger | None = None
    firing: tuple[str, ...] = ()
    burning: bool | None = False
    paging: tuple[str, ...] = ()
    judged: TimeNs | None = None


def day_of(at: TimeNs) -> int:
    """Return a time's day, as days since 1970-01-01 (UTC)."""
    return at // DAY_NS


def month_of(day: int) -> tuple[int, int]:
    """Return a day's year and month.

    Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.

    >>> month_of(0), month_of(19_782), month_of(-1)
    ((1970, 1), (2024, 2), (1969, 12))
    """
    shifted = day + 719_468
    era, of_era = divmod(shifted, 146_097)
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    civil = month + 3 if month < 10 else month - 9  # noqa: PLR2004 - March is month 0
    return year + era * 400 + (civil <= 2), civil  # noqa: PLR2004 - January and February


def month_end(day: int) -> int:
    """Return the first day after a day's month.

    >>> month_end(19_782) - 19_782, month_of(month_end(19_782))
    (1, (2024, 3))
    """
    month, end = month_of(day), day + 1
    while month_of(end) == month:
        end += 1
    return end


def projected(ledger: Ledger, now: TimeNs, rate_milli: int, *, month: bool = False) -> int:
    """Return what a day, or a month, costs by its end if a rate stayed, in thousandths.

    Args:
        ledger: What was spent so far, with what is assumed of the time before counting began.
        now: A time within the period.
        rate_milli: The rate, thousandths an hour.
        month: The calendar month instead of the day; both of UTC.
    """
    today = day_of(now)
    end = month_end(today) if month else today + 1
    begin = end - 31 if month else today
    spent = sum(
        one.milli_ms
        for one in ledger.billed
        if begin <= one.day < end and (not month or month_of(one.day) == month_of(today))
    )
    ahead_ms = max(0, end * DAY_NS - ledger.at) // MILLISECOND
    return -(-(spent + rate_milli * ahead_ms) // HOUR_MS)
