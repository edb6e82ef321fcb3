"""Metrics of the controller itself: what is not known, or not asked for, has no sample."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import Metric

from homeostat.base.types import TimeNs
from homeostat.server.telemetry.families import Family
from homeostat.server.telemetry.own import Own
from homeostat.server.telemetry.table import NOTICE_ENDS, SPAN_ENDS
from homeostat.server.view_deployment import DeploymentState


def families(own: Own, states: Sequence[DeploymentState], now: TimeNs) -> Iterator[Metric]:
    """Yield whether it leads, turns, writes and tells.

    Args:
        own: How it is doing.
        states: The deployments: the shortest of their intervals is the loop's.
        now: The controller's time.
    """
    pulse = own.pulse
    leads = pulse.turned_at is not None
    periods = [state.managed.scrape_ns for state in states if state.managed is not None]
    ok = None if pulse.journal_ok is None else float(pulse.journal_ok)
    problem = own.problem()
    for name, value in (
        ("leader", float(leads)),
        ("loop_lag_seconds", pulse.lag_s(now, min(periods, default=0))),
        ("journal_ok", ok),
        ("journal_failures", pulse.journal_failures),
        ("journal_epoch", own.epoch() or None if leads else None),
        ("configuration_ok", None if problem is None else float(problem == "")),
    ):
        family = Family(name)
        family.add(value)
        yield family.metric
    notices = Family("notices")
    for notifier in own.notifiers:
        for end in NOTICE_ENDS:
            notices.add(pulse.notices[notifier, end], notifier, end)
    spans = Family("spans")
    if own.spans is not None:
        for end, number in zip(SPAN_ENDS, own.spans(), strict=True):
            spans.add(number, end)
    yield from (notices.metric, spans.metric)
