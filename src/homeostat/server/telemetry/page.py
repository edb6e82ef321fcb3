"""The tables of docs/reference/metrics.md, written from the table of metrics and the rules."""

from collections.abc import Iterator

from homeostat.server.telemetry.rules import ALERTS
from homeostat.server.telemetry.table import TABLE, Label, Part


def metrics() -> str:
    """Return one Markdown table for each part of the metrics."""
    return "\n\n".join(_part(part) for part in Part)


def alerts() -> str:
    """Return a Markdown table of the alerts."""
    lines = ["| alert | after | severity | says | then |", "|---|---|---|---|---|"]
    lines += [
        f"| `{one.name}` | {one.wait} | {one.severity.value} | {_said(one.summary)} | {one.todo} |"
        for one in ALERTS
    ]
    return "\n".join(lines)


def rows() -> list[dict[str, str]]:
    """Return the metrics as plain rows."""
    return [
        {
            "name": row.samples[0] if len(row.samples) == 1 else row.full,
            "type": row.kind.value,
            "labels": ", ".join(label.name for label in row.labels),
            "unit": row.unit.value,
            "says": row.text,
        }
        for row in TABLE
    ]


def _part(part: Part) -> str:
    lines = [f"### {part.value}", "", "| metric | type | labels | unit | says |",
             "|---|---|---|---|---|"]  # fmt: skip
    for row in TABLE:
        if row.part is part:
            name = row.samples[0] if len(row.samples) == 1 else row.full
            labels = "; ".join(_labels(row.labels))
            lines.append(
                f"| `{name}` | {row.kind.value} | {labels} | {row.unit.value} | {row.text} |"
            )
    return "\n".join(lines)


def _labels(labels: tuple[Label, ...]) -> Iterator[str]:
    for label in labels:
        few = label.values if len(label.values) <= len(_MANY) else ()
        said = f": {', '.join(few)}" if few else ""
        if label.name == "rule":
            said = ": G0 to G99"
        yield f"`{label.name}`{said}"


_MANY = range(20)
"""As many values are listed; no label has more but the guards' numbers."""


def _said(summary: str) -> str:
    """Return a summary without Prometheus' braces: Markdown readers have none to fill in."""
    text = summary.replace("| humanizeDuration ", "")
    for name in ("deployment", "notifier", "trigger", "slo", "factor"):
        text = text.replace("{{ $labels." + name + " }}", name.upper())
    return text.replace("{{ $value }}", "TIME")
