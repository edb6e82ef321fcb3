"""Rows of the table as families of samples for the page; every label is bounded here, once."""

from collections.abc import Sequence

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from homeostat.server.telemetry.table import OTHER, ROWS, Kind, Label

MOST = 128
"""Characters of a label: names in the configuration have 63 at most."""


class Family:
    """One metric's samples.

    Args:
        name: As the table has it.

    Raises:
        KeyError: The table has no such metric.
    """

    def __init__(self, name: str) -> None:
        self.row = ROWS[name]
        labels = tuple(label.name for label in self.row.labels)
        made = {
            Kind.COUNTER: CounterMetricFamily,
            Kind.GAUGE: GaugeMetricFamily,
            Kind.HISTOGRAM: HistogramMetricFamily,
        }[self.row.kind]
        # Without labels the families of prometheus-client take a value at once: none is known yet.
        self.metric: Metric = made(self.row.full, self.row.text, labels=labels)

    def add(self, value: float | None, *labels: str) -> None:
        """Add one sample of a counter or gauge; nothing for what is not known.

        Raises:
            ValueError: There are more or fewer labels than the table says.
        """
        if value is not None:
            self.metric.add_metric(self._bounded(labels), value)  # type: ignore[attr-defined]

    def observed(self, buckets: list[tuple[str, float]], total: float, *labels: str) -> None:
        """Add one histogram: (upper edge, count at or below it) pairs, and the sum.

        Raises:
            ValueError: As of `add`.
        """
        kept = self._bounded(labels)
        self.metric.add_metric(kept, buckets, total)  # type: ignore[attr-defined]

    def _bounded(self, values: Sequence[str]) -> tuple[str, ...]:
        pairs = zip(self.row.labels, values, strict=True)
        return tuple(bounded(label, value) for label, value in pairs)


def bounded(label: Label, value: str) -> str:
    """Return what a label may say.

    >>> bounded(Label(name="status", values=("done",)), "done by me")
    'other'
    >>> bounded(Label(name="deployment"), "chat" + chr(10) + "x")
    'chat?x'
    """
    if label.values:
        return value if value in label.values else OTHER
    if value.isprintable() and len(value) <= MOST:
        return value  # nearly always, and a large fleet has tens of thousands
    return "".join(one if one.isprintable() else "?" for one in value[:MOST])
