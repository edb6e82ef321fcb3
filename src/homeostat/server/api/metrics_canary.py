"""Metrics of the canary's self-check: what was not measured has no sample."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from homeostat.govern import canary_alike
from homeostat.server.view_deployment import DeploymentState


def families(states: Iterable[DeploymentState]) -> Iterator[Metric]:
    """Yield how often the judge cried harm of the same version, and the margin that was learnt."""
    ramps = _gauge("ramps", "Ramps that two pools of one version were judged over; the newest 200.")
    alarms = _gauge("false_alarms", "Of those, how many ended in harm.")
    promised = _gauge("promised_rate", "Share of them that may.")
    failed = _gauge("failed", "1 where nothing is promoted without a person for it, else 0.")
    ratio = _gauge("pools_ratio", "What 19 of 20 ratios of the pools' errors stay below.")
    for state in states:
        policy = None if state.managed is None else state.managed.canary
        if policy is None or state.alike is None:
            continue
        seen = canary_alike.check(state.alike, policy.alpha)
        ramps.add_metric((state.name,), seen.runs)
        alarms.add_metric((state.name,), seen.alarms)
        promised.add_metric((state.name,), seen.promised)
        failed.add_metric((state.name,), float(canary_alike.refusal(state.alike, policy) != ""))
        found = canary_alike.margin(state.alike).ratio
        if found is not None:
            ratio.add_metric((state.name,), found)
    yield from (ramps, alarms, promised, failed, ratio)


def _gauge(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"homeostat_canary_selfcheck_{name}", text, labels=("deployment",))
