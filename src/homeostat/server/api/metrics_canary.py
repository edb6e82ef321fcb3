"""Metrics of the canary: the evidence of a comparison, and the judge's self-check."""

import math
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import Metric

from homeostat.base.canary import CanaryJudgement
from homeostat.govern import canary_alike, canary_fleet
from homeostat.server.api.deps import States
from homeostat.server.telemetry.families import Family
from homeostat.server.view_deployment import DeploymentState


def families(states: Iterable[DeploymentState], known: States = lambda _: None) -> Iterator[Metric]:
    """Yield what is known of canaries; what was not measured has no sample.

    How often the judge cried harm of the same version, the margin that was learnt, and the
    evidence of a comparison that is under way.

    Args:
        states: The deployments.
        known: What the loop knows of each.
    """
    states = tuple(states)
    judged = dict(_compared(states, known))
    yield _evidence(judged)
    yield _standing_out(judged)
    prefix = "canary_selfcheck_"
    ramps, alarms = Family(f"{prefix}ramps"), Family(f"{prefix}false_alarms")
    promised, failed = Family(f"{prefix}promised_rate"), Family(f"{prefix}failed")
    ratio = Family(f"{prefix}pools_ratio")
    for state in states:
        policy = None if state.managed is None else state.managed.canary
        if policy is None or state.alike is None:
            continue
        seen = canary_alike.check(state.alike, policy.alpha)
        ramps.add(seen.runs, state.name)
        alarms.add(seen.alarms, state.name)
        promised.add(seen.promised, state.name)
        failed.add(float(canary_alike.refusal(state.alike, policy) != ""), state.name)
        ratio.add(canary_alike.margin(state.alike).ratio, state.name)
    for family in (ramps, alarms, promised, failed, ratio):
        yield family.metric


def _compared(
    states: tuple[DeploymentState, ...], known: States
) -> Iterator[tuple[str, CanaryJudgement]]:
    """Yield each deployment whose canary is compared now, and what is known of it."""
    for state in states:
        loop = known(state.name)
        if loop is None or loop.record is None or loop.comparison is None:
            continue
        judged = loop.comparison.judgement
        if loop.comparison.action_id == loop.record.id and judged is not None:
            yield state.name, judged


def _evidence(judged: Mapping[str, CanaryJudgement]) -> Metric:
    family = Family("canary_log_e_value")
    for name, judgement in judged.items():
        for one in judgement.metrics:
            family.add(_log(one.harm_e), name, one.metric, "harm")
            family.add(_log(one.safe_e), name, one.metric, "safe")
    return family.metric


def _standing_out(judged: Mapping[str, CanaryJudgement]) -> Metric:
    family = Family("canary_stands_out")
    out = set(canary_fleet.harmful(list(judged.values())))
    for place, name in enumerate(judged):
        family.add(float(place in out), name)
    return family.metric


def _log(e_value: float | None) -> float | None:
    """Return the logarithm of an e-value; of one that is zero, infinite or none there is none."""
    if e_value is None or not 0.0 < e_value < math.inf:
        return None
    return math.log(e_value)
