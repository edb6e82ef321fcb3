"""What a deployment's own history says of it: how often it is scraped, how slow, how faulty.

Asked by the same presets as the loop reads. What nobody measured is None and never zero.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final

from homeostat.adapters.sources.presets_file import presets
from homeostat.adapters.sources.prometheus_answer import Series
from homeostat.adapters.sources.prometheus_api import PrometheusApi
from homeostat.adapters.sources.prometheus_select import matchers
from homeostat.adapters.sources.rules import Rule
from homeostat.base import raw
from homeostat.base.evidence import Kind
from homeostat.cli.prometheus_reached import recently

_STEPS_FROM: Final = "5m"  # sees scrape intervals up to two minutes
_HISTORY: Final = "1d"
_QUANTILE: Final = 0.95
# What the two objectives that every deployment has are judged by.
NEEDED: Final[Mapping[str, str]] = {
    raw.REQUESTS_ARRIVED: "requests",
    raw.REQUESTS_5XX: "failed requests",
    raw.LATENCY: "a histogram of latencies",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was found out about one deployment.

    Attributes:
        scrape_s: Usual time between two scrapes, None where nobody can say.
        replica_label: Label whose values are its replicas' names.
        replicas: Those names.
        signals: Raw signals of it that the loop reads.
        edges_ms: Upper bounds of its latency histogram, ascending, the infinite one left out.
        p95_ms: Over the last day, None if nothing was answered; inf above the last bound.
        failed: Failed / answered over the last day, None if nothing was answered.
        models: Names of models that its series carry.
    """

    scrape_s: float | None
    replica_label: str
    replicas: tuple[str, ...]
    signals: frozenset[str]
    edges_ms: tuple[float, ...]
    p95_ms: float | None
    failed: float | None
    models: tuple[str, ...]

    @property
    def lacks(self) -> tuple[str, ...]:
        """What an objective would be judged by and nothing shows."""
        return tuple(said for signal, said in NEEDED.items() if signal not in self.signals)


async def measure(api: PrometheusApi, select: Mapping[str, str], chosen: Sequence[str]) -> Measured:
    """Return what is known of the series that are selected.

    Args:
        api: The server.
        select: Labels, as the configuration has them.
        chosen: Presets, best first.

    Raises:
        QueryError: The server does not answer, or not so that it can be believed.
    """
    selected = matchers(select)
    up = (await api.instant(f"up{{{selected}}}[{_STEPS_FROM}]")).whole(api.where).series
    there = frozenset(await api.names(["{" + selected + "}"], since=recently()))
    rules = [rule for name in chosen for rule in presets()[name].rules.rules]
    live = [rule for rule in rules if rule.sample in there]
    counts = await _bucket_counts(api, live, select)
    answered = await _gained(api, live, select, raw.REQUESTS_OK)
    failed = await _gained(api, live, select, raw.REQUESTS_5XX)
    label = replica_label(up)
    return Measured(
        scrape_s=scrape_s(up),
        replica_label=label,
        replicas=tuple(sorted({one.labels[label] for one in up if one.labels.get(label)})),
        signals=frozenset(rule.signal for rule in live) | _zeros(rules, there),
        edges_ms=tuple(sorted(edge for edge in counts if math.isfinite(edge))),
        p95_ms=quantile(counts, _QUANTILE),
        failed=_ratio(failed, answered),
        models=await _models(api, selected, chosen),
    )


def scrape_s(up: Sequence[Series]) -> float | None:
    """Return the usual time between two scrapes in seconds, None where nobody can say."""
    steps = [later[0] - sooner[0] for one in up for sooner, later in pairwise(one.samples)]
    return max(0.1, round(median(steps), 1)) if steps else None  # clocks jitter


def replica_label(up: Sequence[Series]) -> str:
    """Return the label that names the replicas: the pod where each target has one of its own."""
    pods = [one.labels.get("pod", "") for one in up]
    return "pod" if pods and all(pods) and len(set(pods)) == len(pods) else "instance"


def quantile(counts: Mapping[float, float], q: float) -> float | None:
    """Return a quantile of a cumulative histogram, between its bounds on a straight line.

    Args:
        counts: Samples at or below each upper bound.
        q: In (0, 1).

    Returns:
        None if there are none; infinite where it lies above the last finite bound.

    >>> quantile({100.0: 50.0, 200.0: 100.0, math.inf: 100.0}, 0.75)
    150.0
    """
    edges = sorted(counts)
    total = counts[edges[-1]] if edges else 0.0
    if not total > 0.0 or not math.isinf(edges[-1]):
        return None
    rank, below, low = q * total, 0.0, 0.0
    for edge in edges:
        if counts[edge] >= rank:
            inside = counts[edge] - below
            return low + (edge - low) * (rank - below) / inside if inside > 0.0 else edge
        below, low = counts[edge], edge
    return math.inf


async def _bucket_counts(
    api: PrometheusApi, rules: Sequence[Rule], select: Mapping[str, str]
) -> dict[float, float]:
    """Return what each bucket of the latencies gained, by its bound in milliseconds."""
    counts: dict[float, float] = {}
    rule = next((one for one in rules if one.signal == raw.LATENCY), None)
    if rule is None:
        return counts
    query = f"sum by (le) (increase({_series(rule, select)}[{_HISTORY}]))"
    for one in (await api.instant(query)).whole(api.where).series:
        value = one.samples[-1][1]
        try:
            edge = float(one.labels.get("le", "")) * rule.scale
        except ValueError:
            continue  # a bound that is none: doctor and the loop say so
        counts[edge] = value if math.isfinite(value) else 0.0
    return counts


async def _gained(
    api: PrometheusApi, rules: Sequence[Rule], select: Mapping[str, str], signal: str
) -> float | None:
    """Return what the counters of a signal gained over the last day, None where none is there."""
    total: float | None = None
    for rule in rules:
        if rule.signal != signal or rule.kind is not Kind.COUNTER:
            continue
        query = f"sum(increase({_series(rule, select)}[{_HISTORY}]))"
        for one in (await api.instant(query)).whole(api.where).series:
            if math.isfinite(one.samples[-1][1]):
                total = (total or 0.0) + one.samples[-1][1]
    return total


def _ratio(failed: float | None, answered: float | None) -> float | None:
    """Return failed / all; a counter of failures that is not there yet counts for none."""
    if answered is None:
        return None
    total = answered + (failed or 0.0)
    return (failed or 0.0) / total if total > 0.0 else None


def _series(rule: Rule, select: Mapping[str, str]) -> str:
    """Return the selector of a rule's series: its labels begin with one of the texts."""
    inner = ",".join([matchers(select), *_conditions(rule)])
    return f"{rule.sample}{{{inner}}}"


def _conditions(rule: Rule) -> Iterator[str]:
    for label, starts in rule.where:
        yield f'{label}=~"{"|".join(_plain(text) + ".*" for text in starts)}"'
    for label, values in rule.unless:
        yield f'{label}!~"{"|".join(map(_plain, values))}"'


def _plain(text: str) -> str:
    """Return a text of a rule as a pattern of RE2, in a PromQL string."""
    return "".join(one if one.isalnum() or one in "/_-" else f"\\\\{one}" for one in text)


def _zeros(rules: Sequence[Rule], there: frozenset[str]) -> frozenset[str]:
    """Return signals whose series appear with their first event, and which live already."""
    return frozenset(rule.signal for rule in rules if there.intersection(rule.zero_if))


async def _models(api: PrometheusApi, selected: str, chosen: Sequence[str]) -> tuple[str, ...]:
    """Return the names of models that the series carry, by the first label that has any."""
    for label in ("model_name", "model"):
        if any(label in presets()[name].entry.select_by for name in chosen):
            return await api.label_values(label, ["{" + selected + "}"])
    return ()
