"""Metrics of decisions and of what came of them."""

from collections.abc import Callable, Iterator

from prometheus_client.core import Metric

from homeostat.base.types import ReceiptStatus, TimeNs
from homeostat.base.units import SECOND
from homeostat.server.api.deps import Deps
from homeostat.server.telemetry.families import Family
from homeostat.server.telemetry.table import ENDS, TRIGGERS
from homeostat.server.view_deployment import DeploymentState

States = tuple[DeploymentState, ...]


def families(deps: Deps, states: States, now: TimeNs) -> Iterator[Metric]:
    """Yield the metrics of every deployment's decisions and actions.

    Args:
        deps: What the routes may use.
        states: The deployments.
        now: The controller's time.
    """
    yield from _counted(deps)
    yield from _ended(deps, states)
    read: dict[str, Callable[[DeploymentState], float | None]] = {
        "safe_set_size": _safe,
        "approvals_pending": lambda state: len(state.pending(now)),
        "actions_inflight": lambda state: float(state.in_flight() is not None),
        "action_overdue_seconds": lambda state: _overdue(state, now),
        "hands_off_seconds": lambda state: _hands_off(deps, state, now),
    }
    for name, look in read.items():
        gauge = Family(name)
        for state in states:
            gauge.add(look(state), state.name)
        yield gauge.metric
    # The fleet's, so the same on every deployment.
    harm, bounds = Family("harm_upper_bound"), deps.autonomy()
    for kind, bound in sorted({row["kind"]: row["harm_bound"] for row in bounds}.items()):
        harm.add(bound, kind)
    yield harm.metric


def _counted(deps: Deps) -> Iterator[Metric]:
    """Yield what has so many labels that only what happened has a sample."""
    counts = deps.view.counts
    for name, counted in (
        ("decisions", counts.decisions),
        ("blocked_actions", counts.blocked),
        ("outcomes", counts.outcomes),
    ):
        family, labels = Family(name), dict(counted)
        for key, number in labels.items():
            family.add(number, *key)
        yield family.metric


def _ended(deps: Deps, states: States) -> Iterator[Metric]:
    """Yield counters that begin at zero, so that the first one is seen to be one more."""
    counts = deps.view.counts
    ends, receipts, back = Family("actions"), Family("receipts"), Family("rollbacks")
    for state in states:
        for end in ENDS:
            ends.add(counts.ended[state.name, end], state.name, end)
        for status in ReceiptStatus:
            receipts.add(counts.receipts[state.name, status.value], state.name, status.value)
        for trigger in TRIGGERS:
            back.add(counts.rollbacks[state.name, trigger], state.name, trigger)
    took = Family("action_duration_seconds")
    for end, histogram in counts.took.items():
        took.observed(histogram.cumulative(), histogram.total, end)
    yield from (ends.metric, receipts.metric, back.metric, took.metric)


def _safe(state: DeploymentState) -> float | None:
    last = state.decisions.newest(1)
    return len(last[0].allowed) if last else None


def _overdue(state: DeploymentState, now: TimeNs) -> float:
    entry = state.in_flight()
    return 0.0 if entry is None else max(0, now - entry.record.deadline) / SECOND


def _hands_off(deps: Deps, state: DeploymentState, now: TimeNs) -> float | None:
    known = deps.states(state.name)
    if known is None:
        return None
    return 0.0 if known.foreign_until is None else max(0, known.foreign_until - now) / SECOND
