"""Error budgets, money and freezes as JSON-ready dicts; the contract is `server.api.budgets`."""

from typing import Any

from homeostat.base.budgets import Accounts
from homeostat.base.types import Managed, TimeNs
from homeostat.base.units import SECOND
from homeostat.govern import accounts as books
from homeostat.govern.burn import Rate, Report
from homeostat.govern.money import Savings
from homeostat.server.view_series import plain_number

Plain = dict[str, Any]


def budgets(accounts: Accounts | None, managed: Managed | None, now: TimeNs) -> Plain | None:
    """Return a deployment's books, None where none are kept."""
    found = None if managed is None else books.books(accounts, managed, now)
    if found is None:
        return None
    return {
        "promises": [_promise(report) for report in found.slos],
        "firing": list(found.firing),
        "burning": found.burning,
        "money": None if not found.currency else _money(found),
    }


def _promise(report: Report) -> Plain:
    spec = report.spec
    return {
        "name": spec.name,
        "signal": spec.signal,
        "target": spec.target_ppm / 1_000_000,
        "method": spec.method.value,
        "window_s": spec.window_ns / SECOND,
        "watched_s": report.window.of_ns / SECOND,
        "seen": plain_number(report.window.seen),
        "good": report.window.good,
        "bad": report.window.bad,
        "left": plain_number(report.left),
        "left_low": plain_number(report.left_low),
        "left_high": plain_number(report.left_high),
        "rates": [_rate(rate) for rate in report.rates],
    }


def _rate(rate: Rate) -> Plain:
    return {
        "factor": rate.burn.tenths / 10,
        "long_s": rate.burn.long_ns / SECOND,
        "short_s": rate.burn.short_ns / SECOND,
        "page": rate.burn.page,
        "long": plain_number(rate.long),
        "short": plain_number(rate.short),
        "on": rate.on,
    }


def _money(found: books.Books) -> Plain:
    return {
        "currency": found.currency,
        "per_hour": _amount(found.rate_milli),
        "day": _amount(found.day_milli),
        "month": _amount(found.month_milli),
        "day_assumed": _amount(found.day_assumed_milli),
        "month_assumed": _amount(found.month_assumed_milli),
        "day_projected": _amount(found.day_projected_milli),
        "month_projected": _amount(found.month_projected_milli),
        "day_budget": _amount(found.day_budget_milli),
        "month_budget": _amount(found.month_budget_milli),
        "savings": None if found.savings is None else _savings(found.savings),
    }


def _savings(value: Savings) -> Plain:
    return {
        "days": value.days,
        "spent": _amount(value.spent_milli),
        "reference": _amount(value.reference_milli),
        "saved": _amount(value.saved_milli),
        "assumed_s": value.assumed_ms / 1000,
        "assumption": value.assumption,
    }


def _amount(milli: int | None) -> float | None:
    return None if milli is None else milli / 1000


def freeze(window: tuple[TimeNs, TimeNs | None, str] | None) -> Plain | None:
    """Return a freeze, its end None where none is in sight."""
    if window is None:
        return None
    start, end, reason = window
    return {
        "start": start / SECOND,
        "end": None if end is None else end / SECOND,
        "reason": reason,
    }
