"""Metrics of learning: what is not known has no sample."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from homeostat.server.view_deployment import DeploymentState


def families(states: Iterable[DeploymentState]) -> Iterator[Metric]:
    """Yield how well each deployment's twin was held, and whether autonomy is to drop for it."""
    share = GaugeMetricFamily(
        "homeostat_twin_intervals_held",
        "Share of the last effects, 50 at most, that the twin's 90 % intervals held.",
        labels=("deployment",),
    )
    drop = GaugeMetricFamily(
        "homeostat_twin_overconfident",
        "1 where so few were held that autonomy is to drop to approve, else 0.",
        labels=("deployment",),
    )
    for state in states:
        found = state.covering
        if found is None:
            continue
        if found.hits:
            share.add_metric((state.name,), sum(found.hits) / len(found.hits))
        drop.add_metric((state.name,), float(found.drop))
    yield from (share, drop)
