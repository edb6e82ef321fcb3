"""Metrics of error budgets and money: what is not known has no sample."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import Metric

from homeostat.base.types import TimeNs
from homeostat.base.units import SECOND
from homeostat.govern.accounts import Books, books
from homeostat.govern.burn import Rate, Report
from homeostat.server.telemetry.families import Family
from homeostat.server.view_deployment import DeploymentState


def families(states: Iterable[DeploymentState], now: TimeNs) -> Iterator[Metric]:
    """Yield the metrics of every deployment's books."""
    left, seen = Family("error_budget_left"), Family("error_budget_seen")
    rates, alerts = Family("error_budget_burn_rate"), Family("error_budget_alert")
    spend = Family("spend")
    for state in states:
        managed = state.managed
        found = None if managed is None else books(state.accounts, managed, now)
        if found is None:
            continue
        for report in found.slos:
            left.add(report.left, state.name, report.spec.name)
            seen.add(report.window.seen, state.name, report.spec.name)
            for rate in report.rates:
                _rated(rates, alerts, state.name, report, rate)
        _spent(spend, state.name, found)
    for family in (left, seen, rates, alerts, spend):
        yield family.metric


def _rated(rates: Family, alerts: Family, name: str, report: Report, rate: Rate) -> None:
    promise = report.spec.name
    for length, value in ((rate.burn.long_ns, rate.long), (rate.burn.short_ns, rate.short)):
        rates.add(value, name, promise, f"{length // (60 * SECOND)}m")
    on = None if rate.on is None else float(rate.on)
    alerts.add(on, name, promise, rate.burn.label)


def _spent(spend: Family, name: str, found: Books) -> None:
    periods = (("hour", found.rate_milli), ("day", found.day_milli), ("month", found.month_milli))
    for period, milli in periods:
        spend.add(None if milli is None else milli / 1000, name, period, found.currency)
