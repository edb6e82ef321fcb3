"""From a monitor's counts to Prometheus metric families, once per scrape.

What is not known is absent: no version, no `ml_info`; no edges yet, no `ml_feature`.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from prometheus_client import Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from homeostat_instrument.histogram import Histogram

if TYPE_CHECKING:
    from typing_extensions import override

    from homeostat_instrument.monitor import Monitor
else:

    def override(method: object) -> object:
        """Mark a method for the type checker only: no further dependency at run time."""
        return method


class MonitorCollector(Collector):
    """Reads one monitor when a registry asks."""

    def __init__(self, watched: "Monitor") -> None:
        self._watched = watched

    @override
    def collect(self) -> Iterable[Metric]:
        """Return every family as it stands."""
        watched = self._watched
        with watched.lock:
            return [*_requests(watched), *_device(watched), *_model(watched), *_inputs(watched)]


def _requests(watched: "Monitor") -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "ml_requests", "Requests by class of status; probes have probe=true.",
        labels=["code", "probe"],
    )  # fmt: skip
    for (code, probe), count in sorted(watched.requests.items()):
        requests.add_metric([code, "true" if probe else "false"], count)
    yield requests
    uncounted = CounterMetricFamily(
        "ml_uncounted_requests", "Requests to paths that the other metrics leave out.",
        labels=["path"],
    )  # fmt: skip
    for path, count in sorted(watched.uncounted.items()):
        uncounted.add_metric([path], count)
    yield uncounted
    yield _histogram(
        "ml_request_seconds", "From arrival to the end of the answer.", watched.latency
    )
    yield GaugeMetricFamily("ml_inflight", "Requests being served.", value=watched.inflight)


def _device(watched: "Monitor") -> Iterator[Metric]:
    batches = sum(watched.batches.counts)
    yield _histogram("ml_batch_size", "Requests per run of the device.", watched.batches)
    yield CounterMetricFamily("ml_batches", "Runs of the device.", value=batches)
    yield CounterMetricFamily(
        "ml_full_batches", "Runs at the configured maximum.", value=watched.full_batches
    )
    yield CounterMetricFamily(
        "ml_device_seconds", "Time the device was occupied.", value=watched.device_seconds
    )
    yield GaugeMetricFamily("ml_queue_length", "Requests waiting.", value=watched.queue_length)
    if watched.batch_max is not None:
        yield GaugeMetricFamily("ml_batch_max", "Largest batch allowed.", value=watched.batch_max)


def _model(watched: "Monitor") -> Iterator[Metric]:
    yield _histogram("ml_prediction", "Finite predictions.", watched.predictions)
    yield CounterMetricFamily(
        "ml_prediction_invalid", "NaN or infinite predictions.", value=watched.predictions.invalid
    )
    if watched.version is not None:
        info = GaugeMetricFamily("ml_info", "The loaded model.", labels=["model", "version"])
        info.add_metric([watched.model, watched.version], 1)
        yield info
    errors = CounterMetricFamily(
        "ml_observe_errors", "Observations that could not be recorded.", labels=["what"]
    )
    for what, count in sorted(watched.errors.items()):
        errors.add_metric([what], count)
    yield errors


def _inputs(watched: "Monitor") -> Iterator[Metric]:
    if watched.features is not None and watched.feature_names is not None:
        family = HistogramMetricFamily("ml_feature", "Finite inputs.", labels=["feature"])
        invalid = CounterMetricFamily(
            "ml_feature_invalid", "Missing, NaN or infinite inputs.", labels=["feature"]
        )
        for column, name in enumerate(watched.feature_names):
            edges, counts, total, bad = watched.features.read(column)
            family.add_metric([name], _cumulative(edges, counts), total)
            invalid.add_metric([name], bad)
        yield family
        yield invalid
    if watched.activations:
        means = HistogramMetricFamily("ml_activation", "Mean of a layer.", labels=["layer"])
        shares = HistogramMetricFamily(
            "ml_activation_active", "Share of a layer's units above zero.", labels=["layer"]
        )
        for layer, (mean, share) in watched.activations.items():
            means.add_metric([layer], _cumulative(mean.edges, mean.counts), mean.total)
            shares.add_metric([layer], _cumulative(share.edges, share.counts), share.total)
        yield means
        yield shares


def _histogram(name: str, text: str, source: Histogram) -> HistogramMetricFamily:
    buckets = _cumulative(source.edges, source.counts)
    return HistogramMetricFamily(name, text, buckets=buckets, sum_value=source.total)


def _cumulative(edges: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    """Return (le, values at or below it) pairs, the last one `+Inf`."""
    running = 0
    pairs: list[tuple[str, float]] = []
    for edge, count in zip([*edges, float("inf")], counts, strict=True):
        running += count
        pairs.append((str(floatToGoString(edge)), float(running)))  # type: ignore[no-untyped-call]
    return pairs
