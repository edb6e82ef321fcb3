"""The monitor: what one model in one process predicted, from which inputs, how fast.

Holds plain counts under one lock and never raises into the server that it watches: an
observation that cannot be counted is counted as such (`ml_observe_errors_total`) and logged once.
It judges nothing, sends nothing anywhere, and keeps no inputs beyond the rows that it learns edges
from.
"""

import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from prometheus_client import CollectorRegistry, ProcessCollector

from homeostat_instrument import edges as defaults
from homeostat_instrument.collect import MonitorCollector
from homeostat_instrument.histogram import (
    Columns,
    Histogram,
    as_floats,
    as_rows,
    checked_edges,
    columns,
    learnt_edges,
)
from homeostat_instrument.ring import Ring

_log = logging.getLogger("homeostat_instrument")
MAX_FEATURES: Final = 512  # at ten buckets each, 6,000 series: a page of about 300 kB


class Monitor:
    """What one model in one process did, as counts; build one with `monitor`."""

    def __init__(  # noqa: PLR0913 - one keyword per thing that can be watched
        self,
        model: str,
        version: str | None,
        *,
        features: Sequence[str] | None,
        feature_edges: Sequence[Sequence[float]] | None,
        prediction_edges: Iterable[float],
        latency_edges_s: Iterable[float],
        activations: Mapping[str, Iterable[float]],
        learn_rows: int,
        recent: int,
        registry: CollectorRegistry | None,
    ) -> None:
        """See `monitor` for the arguments.

        Raises:
            ValueError: See `monitor`.
        """
        self.model = model
        self.version = version
        self.lock = threading.Lock()
        # Both are there from the start: "no failure yet" is a zero that can be read.
        self.requests: dict[tuple[str, bool], int] = {("200", False): 0, ("500", False): 0}
        self.uncounted: dict[str, int] = {}
        self.errors: dict[str, int] = {}
        self.inflight = 0
        self.queue_length = 0
        self.batch_max: int | None = None
        self.device_seconds = 0.0
        self.full_batches = 0
        self.latency = Histogram(latency_edges_s)
        self.batches = Histogram(defaults.BATCH)
        self.predictions = Histogram(prediction_edges)
        self.activations = {
            layer: (Histogram(bounds), Histogram(defaults.SHARE))
            for layer, bounds in activations.items()
        }
        self.feature_names: tuple[str, ...] | None = None
        self.features: Columns | None = None
        self._learn_rows = learn_rows
        self._learning: list[list[float]] = []
        if features is not None:
            self.watch_features(features, feature_edges)
        elif feature_edges is not None:
            raise ValueError("feature_edges without features: name the features")
        self.ring = Ring(recent)
        self.registry = registry or CollectorRegistry()
        self.registry.register(MonitorCollector(self))
        if registry is None:  # a registry of the server's own has its process metrics already
            ProcessCollector(registry=self.registry)

    def watch_features(
        self, names: Sequence[str], edges: Sequence[Sequence[float]] | None = None
    ) -> None:
        """Fix which features are watched; once fixed, names and edges stay for the process.

        For servers that learn what they serve only when a model is loaded. Another version of the
        model keeps the first edges, so that versions can be compared.

        Args:
            names: See `monitor`.
            edges: See `monitor`.

        Raises:
            ValueError: Other names are watched already, or the arguments make no sense.
        """
        if len(names) > MAX_FEATURES:
            raise ValueError(
                f"{len(names)} features are more than the {MAX_FEATURES} that one page may carry; "
                "name the ones worth watching and pass only those"
            )
        if not names or len(set(names)) != len(names):
            raise ValueError(f"features must have different names, got {list(names)}")
        if edges is not None and len(edges) != len(names):
            raise ValueError(f"{len(names)} features, but edges for {len(edges)}; one per feature")
        fixed = None if edges is None else columns([checked_edges(one) for one in edges])
        with self.lock:
            if self.feature_names not in {None, tuple(names)}:
                raise ValueError(f"{list(self.feature_names or ())} are watched, not {list(names)}")
            self.feature_names = tuple(names)
            if self.features is None and fixed is not None:
                if self._learning:
                    fixed.add_rows(self._learning)
                self.features, self._learning = fixed, []

    def observe(self, prediction_id: str, prediction: float, features: Any = None) -> None:
        """Record one prediction and the inputs it was made from.

        Args:
            prediction_id: Unique over processes and restarts; labels refer to it.
            prediction: The number that was answered; NaN and infinities are counted apart.
            features: One value per feature (list, tuple, numpy row), or None to skip.
        """
        self.observe_batch((prediction_id,), (prediction,), features)

    def observe_batch(
        self, prediction_ids: Sequence[str], predictions: Sequence[float], features: Any = None
    ) -> None:
        """Record a batch: ids and predictions side by side, features as rows in the same order."""
        if len(prediction_ids) != len(predictions):
            self.failed("batch", f"{len(prediction_ids)} ids, {len(predictions)} predictions")
            return
        try:
            values = as_floats(predictions)
        except (TypeError, ValueError) as error:
            self.failed("prediction", repr(error))
            return
        with self.lock:
            for value in values:
                self.predictions.add(value)
            if self.ring.size:
                self.ring.extend(prediction_ids, values, time.time_ns(), self.version or "")
        if features is not None:
            self._observe_features(features)

    def _observe_features(self, rows: Any) -> None:
        try:
            with self.lock:
                if self.features is not None:
                    self.features.add_rows(rows)
                else:
                    self._learn(as_rows(rows))
        except (TypeError, ValueError) as error:
            self.failed("features", repr(error))

    def _learn(self, rows: list[list[float]]) -> None:
        """Keep rows until there are enough to fix the edges, then count them all.

        Raises:
            ValueError: A row does not have one value per feature; none of them is kept.
        """
        if not rows:
            return
        width = len(self.feature_names or rows[0])
        if any(len(row) != width for row in rows) or not 0 < width <= MAX_FEATURES:
            raise ValueError(f"rows of {[len(row) for row in rows][:8]} values, expected {width}")
        self.feature_names = self.feature_names or tuple(f"f{k}" for k in range(width))
        self._learning += rows
        if len(self._learning) >= self._learn_rows:
            learnt = columns([learnt_edges(column) for column in zip(*self._learning, strict=True)])
            learnt.add_rows(self._learning)
            self.features, self._learning = learnt, []

    def observe_activation(self, layer: str, values: Any) -> None:
        """Record one forward pass of a layer: its mean, and the share of units above zero.

        Args:
            layer: A name given to `monitor(activations=...)`.
            values: The layer's outputs, any shape that flattens to numbers.
        """
        try:
            flat = values.reshape(-1) if hasattr(values, "reshape") else list(values)
            mean = sum(flat) / len(flat)
            share = sum(1 for value in flat if value > 0) / len(flat)
            means, shares = self.activations[layer]
            with self.lock:
                means.add(float(mean))
                shares.add(float(share))
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            self.failed("activation", f"{layer}: {error!r}")

    def observe_batch_run(self, size: int, device_seconds: float, *, full: bool) -> None:
        """Record one run of the device.

        Args:
            size: Requests in the batch.
            device_seconds: How long the batch occupied the device.
            full: True when it reached the configured maximum.
        """
        with self.lock:
            self.batches.add(size)
            self.device_seconds += device_seconds
            self.full_batches += full

    def observe_request(self, code: str, duration_s: float, *, probe: bool) -> None:
        """Record one finished request; `Middleware` calls it.

        Args:
            code: The status, `websocket`, or `aborted` when no answer was begun.
            duration_s: From arrival to the end of the answer.
            probe: True when the request said that it is a probe.
        """
        with self.lock:
            key = (code, probe)
            self.requests[key] = self.requests.get(key, 0) + 1
            self.latency.add(duration_s)

    def failed(self, what: str, detail: str) -> None:
        """Count an observation that could not be recorded; the first of a kind is logged."""
        with self.lock:
            self.errors[what] = self.errors.get(what, 0) + 1
            first = self.errors[what] == 1
        if first:
            _log.warning("could not record %s: %s (later ones are only counted)", what, detail)


def monitor(  # noqa: PLR0913 - one keyword per thing that can be watched
    model: str,
    version: str | None,
    *,
    features: Sequence[str] | None = None,
    feature_edges: Sequence[Sequence[float]] | None = None,
    prediction_edges: Iterable[float] = defaults.PREDICTION,
    latency_edges_s: Iterable[float] = defaults.LATENCY_S,
    activations: Mapping[str, Iterable[float]] | None = None,
    learn_rows: int = 256,
    recent: int = 0,
    registry: CollectorRegistry | None = None,
) -> Monitor:
    """Return a monitor for one model in this process.

    Args:
        model: The model's name.
        version: The version that is loaded; None while there is none. Set `.version` on a swap.
        features: Names of the inputs; None takes f0, f1, ... from the first row seen.
        feature_edges: Bucket edges, one ascending sequence per feature. Without them the deciles
            of the first `learn_rows` rows become the edges, and `ml_feature` is absent until then.
            Give them (from the training data) when several replicas are to be compared.
        prediction_edges: Bucket edges of the prediction; the default is for a probability.
        latency_edges_s: Bucket edges of the request duration in seconds.
        activations: Layers to watch, each with the bucket edges of its mean activation.
        learn_rows: See `feature_edges`.
        recent: How many predictions to keep for `GET /predictions`; 0 keeps none.
        registry: Where to register; None makes a new one that also has the process metrics.

    Raises:
        ValueError: Edges that do not ascend, more than 512 features, or counts that disagree.
    """
    if learn_rows < 1:
        raise ValueError(f"learn_rows must be at least 1, got {learn_rows}")
    return Monitor(
        model,
        version,
        features=features,
        feature_edges=feature_edges,
        prediction_edges=prediction_edges,
        latency_edges_s=latency_edges_s,
        activations=activations or {},
        learn_rows=learn_rows,
        recent=recent,
        registry=registry,
    )
