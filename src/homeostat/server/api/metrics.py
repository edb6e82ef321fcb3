"""`/metrics`: the view's counters in the Prometheus text format, on a registry of our own."""

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from typing_extensions import override

from homeostat.base.types import KillLevel, Mode
from homeostat.base.units import SECOND
from homeostat.server.api import metrics_budgets, metrics_canary, metrics_learning
from homeostat.server.api.deps import Deps
from homeostat.server.view_deployment import DeploymentState

_MODES: Final = {Mode.SHADOW: 0, Mode.APPROVE: 1, Mode.AUTO: 2}
_KILL: Final = {KillLevel.OFF: 0, KillLevel.NO_NEW: 1, KillLevel.NOTHING: 2}


class ViewCollector(Collector):
    """Reads the view when asked; holds nothing."""

    def __init__(self, deps: Deps, streams: Callable[[], int]) -> None:
        self._deps, self._streams = deps, streams

    @override
    def collect(self) -> Iterator[Metric]:
        """Yield every metric; a deployment without data has no sample rather than a zero."""
        yield from self._counters()
        yield from self._histograms()
        yield from self._gauges()
        yield from metrics_budgets.families(self._deps.view.deployments(), self._deps.clock())
        yield from metrics_canary.families(self._deps.view.deployments())
        yield from metrics_learning.families(self._deps.view.deployments())

    def _counters(self) -> Iterator[Metric]:
        counts = self._deps.view.counts
        decisions = CounterMetricFamily(
            "homeostat_decisions",
            "Decisions taken.",
            labels=("deployment", "action", "decision", "mode"),
        )
        for labels, number in counts.decisions.items():
            decisions.add_metric(labels, number)
        blocked = CounterMetricFamily(
            "homeostat_blocked_actions",
            "Actions refused, once per guard that said no.",
            labels=("deployment", "rule"),
        )
        for rule, number in counts.blocked.items():
            blocked.add_metric(rule, number)
        outcomes = CounterMetricFamily(
            "homeostat_outcomes",
            "Actions whose effect was measured.",
            labels=("deployment", "effect"),
        )
        for effect, number in counts.outcomes.items():
            outcomes.add_metric(effect, number)
        jumps = CounterMetricFamily(
            "homeostat_clock_jumps",
            "Times that the wall clock was set, or was behind the journal at a start.",
            labels=("deployment",),
        )
        for deployment, number in counts.jumps.items():
            jumps.add_metric((deployment,), number)
        yield from (decisions, blocked, outcomes, jumps)

    def _histograms(self) -> Iterator[Metric]:
        counts = self._deps.view.counts
        recovery = HistogramMetricFamily(
            "homeostat_incident_recovery_seconds",
            "From an incident's onset to its end.",
            labels=("deployment",),
        )
        for deployment, histogram in counts.recovery.items():
            recovery.add_metric((deployment,), histogram.cumulative(), histogram.total)
        loop = HistogramMetricFamily("homeostat_loop_seconds", "One turn of the control loop.")
        loop.add_metric((), counts.loop.cumulative(), counts.loop.total)
        yield from (recovery, loop)

    def _gauges(self) -> Iterator[Metric]:
        yield from (
            self._gauge("data_age_seconds", "Age of the newest believed value.", self._age),
            self._gauge("autonomy_level", "0 shadow, 1 approve, 2 auto.", _autonomy),
            self._gauge("safe_set_size", "Actions permitted at the last decision.", _safe),
            self._gauge("open_incidents", "Incidents that are open.", _open),
            self._gauge("approvals_pending", "Open questions.", self._pending),
            self._harm(),
        )
        level = _KILL[self._deps.kill.level()]
        for name, text, value in (
            ("kill_switch_level", "0 off, 1 no new actions, 2 nothing at all.", level),
            ("event_streams", "Clients that follow the event stream.", self._streams()),
        ):
            gauge = GaugeMetricFamily(f"homeostat_{name}", text)
            gauge.add_metric((), value)
            yield gauge

    def _gauge(
        self, name: str, text: str, read: Callable[[DeploymentState], float | None]
    ) -> Metric:
        gauge = GaugeMetricFamily(f"homeostat_{name}", text, labels=("deployment",))
        for state in self._deps.view.deployments():
            value = read(state)
            if value is not None:
                gauge.add_metric((state.name,), value)
        return gauge

    def _pending(self, state: DeploymentState) -> float:
        return len(state.pending(self._deps.clock()))

    def _harm(self) -> Metric:
        """Return the bound of harm by kind: the fleet's, so the same on every deployment."""
        bounds = {row["kind"]: row["harm_bound"] for row in self._deps.autonomy()}
        gauge = GaugeMetricFamily(
            "homeostat_harm_upper_bound",
            "Upper bound (95 %) of the probability of harm since the last one, by kind of action.",
            labels=("action",),
        )
        for kind, bound in sorted(bounds.items()):
            gauge.add_metric((kind,), bound)
        return gauge

    def _age(self, state: DeploymentState) -> float | None:
        if state.believed_at is None:
            return None
        return max(0, self._deps.clock() - state.believed_at) / SECOND


def registry(deps: Deps, streams: Callable[[], int]) -> CollectorRegistry:
    """Return a registry with nothing but the view in it."""
    made = CollectorRegistry(auto_describe=False)
    made.register(ViewCollector(deps, streams))
    return made


def _autonomy(state: DeploymentState) -> float | None:
    return None if state.managed is None else _MODES[state.managed.mode]


def _safe(state: DeploymentState) -> float | None:
    last = state.decisions.newest(1)
    return len(last[0].allowed) if last else None


def _open(state: DeploymentState) -> float:
    return len(state.open_incidents())
