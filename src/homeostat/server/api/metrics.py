"""`/metrics`: the view's counters in the Prometheus text format, on a registry of our own.

What there is, is in `server.telemetry.table`; here it is said where each number comes from.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

import homeostat
from homeostat.base.types import KillLevel, Mode, TimeNs
from homeostat.base.units import SECOND
from homeostat.server.api import (
    metrics_actions,
    metrics_budgets,
    metrics_canary,
    metrics_learning,
    metrics_own,
)
from homeostat.server.api.deps import Deps
from homeostat.server.telemetry.families import Family
from homeostat.server.telemetry.own import Own
from homeostat.server.telemetry.table import CAUSES
from homeostat.server.view_deployment import DeploymentState

_MODES: Final = {Mode.SHADOW: 0, Mode.APPROVE: 1, Mode.AUTO: 2}
_KILL: Final = {KillLevel.OFF: 0, KillLevel.NO_NEW: 1, KillLevel.NOTHING: 2}


class ViewCollector(Collector):
    """Reads the view when asked; holds nothing."""

    def __init__(self, deps: Deps, streams: Callable[[], int], own: Own) -> None:
        self._deps, self._streams, self._own = deps, streams, own

    @override
    def collect(self) -> Iterator[Metric]:
        """Yield every metric; a deployment without data has no sample rather than a zero."""
        now, states = self._deps.clock(), self._deps.view.deployments()
        yield from self._alive(states, now)
        yield from self._deployments(states, now)
        yield from metrics_actions.families(self._deps, states, now)
        yield from metrics_budgets.families(states, now)
        yield from metrics_canary.families(states, self._deps.states)
        yield from metrics_learning.families(states)

    def _alive(self, states: tuple[DeploymentState, ...], now: TimeNs) -> Iterator[Metric]:
        yield from metrics_own.families(self._own, states, now)
        loop = Family("loop_seconds")
        counts = self._deps.view.counts
        loop.observed(counts.loop.cumulative(), counts.loop.total)
        yield loop.metric
        for name, value in (
            ("managed_deployments", len(states)),
            ("kill_switch_level", _KILL[self._deps.kill.level()]),
            ("event_streams", self._streams()),
        ):
            gauge = Family(name)
            gauge.add(value)
            yield gauge.metric
        build = Family("build_info")
        build.add(1, homeostat.__version__)
        yield build.metric

    def _deployments(self, states: tuple[DeploymentState, ...], now: TimeNs) -> Iterator[Metric]:
        read: dict[str, Callable[[DeploymentState], float | None]] = {
            "objectives_met": _met,
            "verdict_age_seconds": lambda state: _since(state.known_at, now),
            "data_age_seconds": lambda state: _since(state.believed_at, now),
            "health_score": _health,
            "autonomy_level": _autonomy,
            "open_incidents": lambda state: len(state.open_incidents()),
        }
        for name, look in read.items():
            gauge = Family(name)
            for state in states:
                gauge.add(look(state), state.name)
            yield gauge.metric
        counts = self._deps.view.counts
        missing, recovery = Family("evidence_missing"), Family("incident_recovery_seconds")
        jumps = Family("clock_jumps")
        for state in states:
            for cause in CAUSES:
                missing.add(counts.missing[state.name, cause], state.name, cause)
        for deployment, histogram in counts.recovery.items():
            recovery.observed(histogram.cumulative(), histogram.total, deployment)
        for deployment, number in counts.jumps.items():
            jumps.add(number, deployment)
        yield from (missing.metric, recovery.metric, jumps.metric)


def registry(deps: Deps, streams: Callable[[], int], own: Own | None = None) -> CollectorRegistry:
    """Return a registry with nothing but the view and this process in it.

    Args:
        deps: What the routes may use.
        streams: How many event streams are open.
        own: How the controller itself is doing.
    """
    made = CollectorRegistry(auto_describe=False)
    made.register(ViewCollector(deps, streams, own or Own()))
    ProcessCollector(registry=made)
    return made


def text(families: Sequence[Metric]) -> bytes:
    """Return a page; for a thread of its own: of a large fleet it takes tenths of a second.

    Args:
        families: Collected before, in the thread that owns the view.
    """
    given = CollectorRegistry(auto_describe=False)
    given.register(_Given(families))
    return generate_latest(given)


class _Given(Collector):
    """Families that were collected before."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    @override
    def collect(self) -> Sequence[Metric]:
        return self._families


def _since(at: TimeNs | None, now: TimeNs) -> float | None:
    return None if at is None else max(0, now - at) / SECOND


def _met(state: DeploymentState) -> float | None:
    met = None if state.evidence is None else state.evidence.slo_met
    return None if met is None else float(met)


def _health(state: DeploymentState) -> float | None:
    health = None if state.evidence is None else state.evidence.health
    return None if health is None or not math.isfinite(health.score) else health.score


def _autonomy(state: DeploymentState) -> float | None:
    return None if state.managed is None else _MODES[state.managed.mode]
