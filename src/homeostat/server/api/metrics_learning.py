"""Metrics of learning: what is not known has no sample."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import Metric

from homeostat.server.telemetry.families import Family
from homeostat.server.view_deployment import DeploymentState


def families(states: Iterable[DeploymentState]) -> Iterator[Metric]:
    """Yield how well each deployment's twin was held, and whether autonomy is to drop for it."""
    share, drop = Family("twin_intervals_held"), Family("twin_overconfident")
    for state in states:
        found = state.covering
        if found is None:
            continue
        if found.hits:
            share.add(sum(found.hits) / len(found.hits), state.name)
        drop.add(float(found.drop), state.name)
    yield from (share.metric, drop.metric)
