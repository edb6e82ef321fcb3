"""A dashboard for Grafana and its provisioning, from the table of metrics: a panel for each row.

Panels are not chosen by hand: what is in the table is drawn, by its kind and unit, so that no
query names a metric that is not there and no metric is forgotten. The dashboard's uid never
changes, so that links to it hold and writing it again replaces it.
"""

from collections.abc import Iterator
from typing import Any, Final

from homeostat.server.telemetry.rules import JOB, bound
from homeostat.server.telemetry.table import TABLE, Kind, Label, Part, Row, Unit

UID: Final = "homeostat"
SCHEMA_VERSION: Final = 39
"""Grafana's own number of the format; it takes older ones over by itself (39 is of Grafana 10)."""
SOURCE_UID: Final = "homeostat-prometheus"
DASHBOARDS: Final = "/var/lib/grafana/dashboards"
_COLUMNS: Final = 24  # the width of a dashboard, in Grafana's units
_WIDTH: Final = 8
_HEIGHT: Final = 7
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_QUANTILES: Final = (("0.5", "median"), ("0.95", "95 %"))
_UNITS: Final = {
    Unit.NONE: "short",
    Unit.SECONDS: "s",
    Unit.SHARE: "percentunit",
    Unit.YES: "none",
    Unit.LOG: "none",
    Unit.MONEY: "short",
}
_YES_NO: Final = ((0, "no"), (1, "yes"))

Plain = dict[str, Any]


def dashboard(job: str = JOB) -> Plain:
    """Return the dashboard as Grafana reads it.

    Args:
        job: The job under which the controllers are scraped.

    Raises:
        ValueError: No job can be called that.
    """
    return {
        "uid": UID,
        "title": "Homeostat",
        "description": "What the controller sees, decides and does, and how it does itself.",
        "tags": ["homeostat"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": _variables(job)},
        "annotations": {"list": []},
        "panels": list(_panels(job)),
    }


def provider(folder: str = DASHBOARDS) -> Plain:
    """Return the provisioning file that makes Grafana read dashboards from a folder.

    Args:
        folder: Where Grafana finds them.
    """
    return {
        "apiVersion": 1,
        "providers": [
            {
                "name": "homeostat",
                "orgId": 1,
                "folder": "Homeostat",
                "type": "file",
                "disableDeletion": False,
                "allowUiUpdates": False,
                "options": {"path": folder},
            }
        ],
    }


def source(url: str) -> Plain:
    """Return the provisioning file of the data source.

    Args:
        url: The Prometheus' address, as Grafana reaches it.
    """
    return {
        "apiVersion": 1,
        "datasources": [
            {
                "name": "Prometheus (Homeostat)",
                "uid": SOURCE_UID,
                "type": "prometheus",
                "access": "proxy",
                "url": url,
                "editable": False,
            }
        ],
    }


def queries(row: Row, job: str = JOB) -> tuple[tuple[str, str], ...]:
    """Return what a panel asks for, as (PromQL, what its lines are called).

    Args:
        row: The metric.
        job: See `dashboard`.

    Raises:
        ValueError: See `dashboard`.
    """
    labels = [label.name for label in row.labels]
    every = '{@, deployment=~"$deployment"}' if "deployment" in labels else "{@}"
    called = " ".join(f"{{{{{name}}}}}" for name in labels) or "{{instance}}"
    by = ", ".join(labels)
    match row.kind:
        case Kind.GAUGE:
            return ((bound(row.full + every, job), called),)
        case Kind.COUNTER:
            grown = f"increase({row.samples[0]}{every}[$__rate_interval])"
            return ((bound(f"sum by ({by or 'instance'}) ({grown})", job), called),)
        case Kind.HISTOGRAM:
            rate = f"rate({row.full}_bucket{every}[$__rate_interval])"
            by = ", ".join(["le", *labels])
            return tuple(
                (bound(f"histogram_quantile({q}, sum by ({by}) ({rate}))", job),
                 f"{called} {word}".replace("{{instance}} ", ""))
                for q, word in _QUANTILES
            )  # fmt: skip


def _variables(job: str) -> list[Plain]:
    asked = bound("label_values(homeostat_autonomy_level{@}, deployment)", job)
    return [
        {
            "name": "datasource",
            "label": "Prometheus",
            "type": "datasource",
            "query": "prometheus",
            "refresh": 1,
        },
        {
            "name": "deployment",
            "label": "Deployment",
            "type": "query",
            "datasource": _SOURCE,
            "definition": asked,
            "query": {"query": asked, "refId": "deployment"},
            "refresh": 2,
            "sort": 1,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"text": ["All"], "value": ["$__all"]},
        },
    ]


def _panels(job: str) -> Iterator[Plain]:
    number, y = 0, 0
    for part in Part:
        rows = [row for row in TABLE if row.part is part]
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": part.value,
            "collapsed": False,
            "gridPos": {"x": 0, "y": y, "w": _COLUMNS, "h": 1},
            "panels": [],
        }
        y += 1
        across = _COLUMNS // _WIDTH
        for place, row in enumerate(rows):
            number += 1
            down, column = divmod(place, across)
            at = {"x": column * _WIDTH, "y": y + down * _HEIGHT, "w": _WIDTH, "h": _HEIGHT}
            yield {"id": number, "gridPos": at} | _panel(row, job)
        y += -(-len(rows) // across) * _HEIGHT


def _panel(row: Row, job: str) -> Plain:
    words = row.words or (_YES_NO if row.unit is Unit.YES else ())
    return {
        "type": _drawn(row, words=bool(words)),
        "title": _title(row.name, row.labels),
        "description": row.text,
        "datasource": _SOURCE,
        "fieldConfig": {
            "defaults": {"unit": _UNITS[row.unit], "mappings": _mappings(words)},
            "overrides": [],
        },
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": _SOURCE, "expr": expr,
             "legendFormat": called}
            for place, (expr, called) in enumerate(queries(row, job))
        ],
    }  # fmt: skip


def _drawn(row: Row, *, words: bool) -> str:
    """Return how a metric is drawn: states as bands, one number as itself, the rest as lines."""
    if words:
        return "state-timeline"
    single = row.kind is Kind.GAUGE and "deployment" not in {label.name for label in row.labels}
    return "stat" if single else "timeseries"


def _title(name: str, labels: tuple[Label, ...]) -> str:
    words = name.removesuffix("_seconds").replace("_", " ").capitalize()
    by = [label.name for label in labels if label.name != "deployment"]
    return f"{words} by {', '.join(by)}" if by else words


def _mappings(words: tuple[tuple[int, str], ...]) -> list[Plain]:
    if not words:
        return []
    options = {str(number): {"text": word, "index": number} for number, word in words}
    return [{"type": "value", "options": options}]
