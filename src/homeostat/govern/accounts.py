"""The books of one deployment: promises over weeks and money, brought up to date at each tick.

Burn rates are worked out whenever something was counted. An alert stays on until it is known to be
off: silence puts out no fire. Nothing here does anything; the guards read `burning` and the ledger
and can only forbid for them.
"""

from dataclasses import dataclass, replace

from homeostat.base.budgets import (
    Accounts,
    Ledger,
    MoneyPolicy,
    SloCounts,
    SloSpec,
    projected,
)
from homeostat.base.evidence import LOOKBACK_SCRAPES, Evidence
from homeostat.base.policy import Managed
from homeostat.base.units import TimeNs
from homeostat.govern import burn, money, slo


def account(
    before: Accounts | None, managed: Managed, evidence: Evidence, now: TimeNs
) -> Accounts | None:
    """Return the books after one tick; None where no promise and no price is declared.

    Args:
        before: As the last tick returned them; None before the first.
        managed: The configuration in force.
        evidence: The tick's.
        now: The tick's time.
    """
    if not managed.slos and managed.money is None:
        return None
    known = {} if before is None else {one.name: one for one in before.slos}
    counts = tuple(
        slo.count(known.get(spec.name), spec, evidence, managed.scrape_ns, now)
        for spec in managed.slos
    )
    ledger = None
    if managed.money is not None:
        last = None if before is None else before.ledger
        ledger = money.charge(last, managed.money, evidence.world, managed.scrape_ns, now)
    # As often as something can be known anew of a signal that looks back over some scrapes; silence
    # is news as well.
    often = (LOOKBACK_SCRAPES - 1) * managed.scrape_ns
    if before is not None and before.judged is not None:
        same = [one.name for one in before.slos] == [one.name for one in counts]
        if same and 0 <= now - before.judged < often:
            return replace(before, slos=counts, ledger=ledger)
    judged = _alerts(before, managed.slos, counts, now)
    return replace(judged, slos=counts, ledger=ledger, judged=now)


def _alerts(
    before: Accounts | None, specs: tuple[SloSpec, ...], counts: tuple[SloCounts, ...], now: TimeNs
) -> Accounts:
    """Return the books with the alerts that are on, and nothing else."""
    was = () if before is None else before.firing
    firing: list[str] = []
    paging: list[str] = []
    pages: list[bool | None] = []
    for spec, counted in zip(specs, counts, strict=True):
        for pair in burn.BURNS:
            label = f"{spec.name} {pair.label}"
            found = burn.judge(counted, spec, pair, now).on
            lit = found is True or (found is None and label in was)
            if lit:
                firing.append(label)
            if pair.page:
                pages.append(True if lit else found)
                paging += [label] if lit else []
    burning = True if True in pages else None if None in pages else False
    return Accounts(firing=tuple(firing), paging=tuple(paging), burning=burning)


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What people are shown of the books.

    Attributes:
        slos: One report a promise.
        firing: Alerts that are on.
        burning: Whether one of them calls a person; None = not known.
        currency: Of the money below; empty where no price is declared.
        rate_milli: What runs costs an hour, None if not known.
        day_milli: What the day cost so far, None before anything was charged.
        month_milli: The same of the month.
        day_assumed_milli: Of what the day cost, what nobody counted: before counting began.
        month_assumed_milli: The same of the month.
        day_projected_milli: What the day costs by its end if what runs goes on; None if not known.
        month_projected_milli: The same of the month.
        day_budget_milli: Budget of a day, None for none.
        month_budget_milli: Budget of a month, None for none.
        savings: Against a stated reference, None when there is nothing to compare.
    """

    slos: tuple[burn.Report, ...]
    firing: tuple[str, ...]
    burning: bool | None
    currency: str
    rate_milli: int | None
    day_milli: int | None
    month_milli: int | None
    day_assumed_milli: int | None
    month_assumed_milli: int | None
    day_projected_milli: int | None
    month_projected_milli: int | None
    day_budget_milli: int | None
    month_budget_milli: int | None
    savings: money.Savings | None


def books(accounts: Accounts | None, managed: Managed, now: TimeNs) -> Books | None:
    """Return the books for people; None where none are kept.

    Args:
        accounts: The books.
        managed: The configuration they are kept by.
        now: The time.
    """
    if accounts is None:
        return None
    counted = {one.name: one for one in accounts.slos}
    reports = tuple(
        burn.report(counted[spec.name], spec, now)
        for spec in managed.slos
        if spec.name in counted and counted[spec.name].signature == slo.signature(spec)
    )
    prices, ledger = managed.money or MoneyPolicy(), accounts.ledger
    charged = ledger is not None and bool(ledger.days)
    day_ahead, month_ahead = (_ahead(ledger, now, month=month) for month in (False, True))
    return Books(
        slos=reports,
        firing=accounts.firing,
        burning=accounts.burning if managed.slos else None,
        currency="" if managed.money is None else prices.currency,
        rate_milli=None if ledger is None else ledger.rate_milli,
        day_milli=money.spent(ledger) if ledger is not None and charged else None,
        month_milli=money.spent(ledger, month=True) if ledger is not None and charged else None,
        day_assumed_milli=money.assumed(ledger) if ledger is not None and charged else None,
        month_assumed_milli=money.assumed(ledger, month=True) if ledger and charged else None,
        day_projected_milli=day_ahead,
        month_projected_milli=month_ahead,
        day_budget_milli=prices.day_milli,
        month_budget_milli=prices.month_milli,
        savings=None if ledger is None else money.savings(ledger, prices),
    )


def _ahead(ledger: Ledger | None, now: TimeNs, *, month: bool) -> int | None:
    """Return what a period costs by its end if what runs goes on, None where that is not known."""
    if ledger is None or ledger.rate_milli is None:
        return None
    return projected(ledger, now, ledger.rate_milli, month=month)
