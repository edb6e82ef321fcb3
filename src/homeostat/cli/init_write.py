"""The file that `homeostat init` writes: a shadow of each deployment found, with what it rests on.

Objectives are a first guess, and say so: from the last day's numbers, at a bound of the histogram,
because between two bounds nobody can tell.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from homeostat.cli.init_find import Group
from homeostat.cli.init_measure import Measured

SCHEMA: Final = "homeostat.schema.json"
_ROOM: Final = 1.5  # times the measured p95: what a day shows is no promise to be broken every week
_UNMEASURED_MS: Final = 1000.0
_USUAL_SCRAPE_S: Final = 15.0
_ERRORS: Final = (0.01, 0.02, 0.05, 0.1)
_MS: Final = 1000.0
_MINUTE_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """How the server is reached, as the file says it.

    Attributes:
        url: Base of its API.
        more: Other keys of the entry, such as `tokenFile`.
    """

    url: str
    more: Mapping[str, str] = field(default_factory=dict)


def text(reached: Reached, found: Sequence[tuple[Group, Measured]], at: str) -> str:
    """Return the whole file.

    Args:
        reached: The server.
        found: What was found there, and measured of it.
        at: When, for people.
    """
    head = (
        f"# yaml-language-server: $schema={SCHEMA}\n"
        f"# Written by `homeostat init` from {_comment(reached.url)} at {at}.\n"
        "# Everything here is a shadow: it says what it would do, and can change nothing.\n"
        "# Objectives are guesses from the last day: make them what you promised your users.\n"
        "# Every key: `homeostat schema`, docs/reference/configuration.md.\n"
    )
    documents = (_document(reached, group, measured) for group, measured in found)
    return head + "---\n".join(documents)


def _document(reached: Reached, group: Group, measured: Measured) -> str:
    return "\n".join([*_lines(reached, group, measured), ""])


def _lines(reached: Reached, group: Group, measured: Measured) -> Iterator[str]:
    interval, why = _interval(measured.scrape_s)
    latency_ms, of_latency = latency(measured)
    errors, of_errors = _errors(measured.failed)
    size = max(1, len(measured.replicas))
    yield "apiVersion: homeostat.dev/v1alpha1"
    yield "kind: ManagedModel"
    yield f"metadata: {{name: {_yaml(group.name)}}}"
    yield "spec:"
    yield "  mode: shadow"
    yield f"  interval: {interval:<14}  # {why}"
    yield "  target: {observe: true}   # its replicas are what is scraped; nothing can be changed"
    yield "  metrics:"
    yield "    prometheus:"
    yield f"      - {_entry(reached, group, subject='gateway')}   # what users see: all replicas"
    yield f"      - {_entry(reached, group, replicaLabel=measured.replica_label)}"
    if len(measured.models) > 1:
        yield f"  # {len(measured.models)} models are judged as one: {_several(measured.models)}"
    for lack in measured.lacks:
        yield f"  # {lack}: nothing of {', '.join(group.presets)} shows them; what is judged by"
        yield "  # them stays unknown until an entry for the gateway in front says it."
    yield "  slo:"
    yield f"    - {{name: latency, latency: {{below: {_ms(latency_ms)}}}}}   # {of_latency}"
    yield f"    - {{name: errors, errors: {{atMost: {_percent(errors)}}}}}   # {of_errors}"
    yield "  guardrails:"
    yield f"    limits: {{replicas: {{min: 1, max: {2 * size}}}}}   # {_replicas(size)} now"


def _interval(scrape_s: float | None) -> tuple[str, str]:
    scrape = scrape_s or _USUAL_SCRAPE_S
    seconds = max(1, math.ceil(2 * scrape - 0.5))
    known = f"scraped every {_short(scrape)} s" if scrape_s else "the scrape interval is not known"
    return f"{seconds}s", f"{known}; a round needs a new sample"


def latency(measured: Measured) -> tuple[float, str]:
    """Return a first limit for the p95 in milliseconds, and what it rests on."""
    edges, p95 = measured.edges_ms, measured.p95_ms
    if p95 is None or not edges:
        below = next((edge for edge in edges if edge >= _UNMEASURED_MS), _UNMEASURED_MS)
        return below, "a guess: no latency was measured"
    if math.isinf(p95):
        return edges[-1], f"the p95 is above the histogram's last bound: {_ms(edges[-1])}"
    wanted = _ROOM * p95
    for edge in edges:
        if edge >= wanted:
            return edge, f"p95 {_ms(p95)} in the last day; the histogram's next bound"
    return edges[-1], f"p95 {_ms(p95)} in the last day; the histogram's last bound"


def _errors(failed: float | None) -> tuple[float, str]:
    if failed is None:
        return 0.01, "a guess: no answer was counted"
    limit = next((one for one in _ERRORS if one >= 2.0 * failed), _ERRORS[-1])
    return limit, f"{_percent(failed)} failed in the last day"


def _entry(reached: Reached, group: Group, **whom: str) -> str:
    pairs: dict[str, Any] = {"url": reached.url, "select": dict(group.select)} | whom
    pairs["presets"] = list(group.presets)
    return _flow(pairs | dict(reached.more))


def _flow(value: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{key}: {_yaml(one)}" for key, one in value.items()) + "}"


def _yaml(value: Any) -> str:
    """Return a value in YAML's flow style; texts are quoted, so that none is anything else."""
    if isinstance(value, Mapping):
        return _flow(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _comment(text: str) -> str:
    """Return text that stays within its comment."""
    return "".join(one if one.isprintable() else " " for one in text)[:200]


def _several(models: Sequence[str]) -> str:
    shown = ", ".join(_comment(one)[:40] for one in models[:5])
    return shown + (f" and {len(models) - 5} more" if len(models) > 5 else "")  # noqa: PLR2004


def _replicas(size: int) -> str:
    return "one replica" if size == 1 else f"{size} replicas"


def _ms(value: float) -> str:
    """Return milliseconds as a duration that the configuration reads.

    >>> _ms(250.0), _ms(2000.0), _ms(87.123)
    ('250ms', '2s', '87.1ms')
    """
    return f"{_short(value / _MS)}s" if value >= _MS else f"{_short(value)}ms"


def _percent(value: float) -> str:
    return f"{_short(100.0 * value)}%"


def _short(value: float) -> str:
    """Return three digits that count, without an exponent."""
    if value == 0.0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    shown = f"{value:.{min(digits, 9)}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown
