"""Metrics of error budgets and money: what is not known has no sample."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from homeostat.base.types import TimeNs
from homeostat.base.units import SECOND
from homeostat.govern.accounts import Books, books
from homeostat.govern.burn import Rate, Report
from homeostat.server.view_deployment import DeploymentState


def families(states: Iterable[DeploymentState], now: TimeNs) -> Iterator[Metric]:
    """Yield the metrics of every deployment's books."""
    left = _gauge("error_budget_left", "Error budget left, 1 to 0; below 0 overspent.", "slo")
    seen = _gauge("error_budget_seen", "Share of the window that was seen.", "slo")
    rates = _gauge("error_budget_burn_rate", "Burn rate over a window.", "slo", "window")
    alerts = _gauge("error_budget_alert", "1 on, 0 off; none while unknown.", "slo", "factor")
    spend = _gauge("spend", "Cost of the day and month so far (UTC), and of an hour.", "period",
                   "currency")  # fmt: skip
    for state in states:
        managed = state.managed
        found = None if managed is None else books(state.accounts, managed, now)
        if found is None:
            continue
        for report in found.slos:
            _add(left, (state.name, report.spec.name), report.left)
            _add(seen, (state.name, report.spec.name), report.window.seen)
            for rate in report.rates:
                _rated(rates, alerts, state.name, report, rate)
        _spent(spend, state.name, found)
    yield from (left, seen, rates, alerts, spend)


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"homeostat_{name}", text, labels=("deployment", *labels))


def _add(family: GaugeMetricFamily, labels: tuple[str, ...], value: float | None) -> None:
    if value is not None:
        family.add_metric(labels, value)


def _rated(
    rates: GaugeMetricFamily, alerts: GaugeMetricFamily, name: str, report: Report, rate: Rate
) -> None:
    promise = report.spec.name
    for length, value in ((rate.burn.long_ns, rate.long), (rate.burn.short_ns, rate.short)):
        _add(rates, (name, promise, f"{length // (60 * SECOND)}m"), value)
    on = None if rate.on is None else float(rate.on)
    _add(alerts, (name, promise, rate.burn.label), on)


def _spent(spend: GaugeMetricFamily, name: str, found: Books) -> None:
    periods = (("hour", found.rate_milli), ("day", found.day_milli), ("month", found.month_milli))
    for period, milli in periods:
        _add(spend, (name, period, found.currency), None if milli is None else milli / 1000)
