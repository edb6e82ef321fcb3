"""The report's tables as plain rows: text, intervals, colours; the template writes them out."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from homeostat.report.charts import Look, interval, swatch
from homeostat.report.lab_results import Curve, Figure, Group, PolicyResults, Results
from homeostat.report.lab_words import CODES, HEADLINE, METRICS, Unit, between, meaning, written
from homeostat.report.markup import Markup
from homeostat.report.scales import Scale, time_text

# A policy keeps its colour from report to report; a second of the same colour has another dash and
# shape. Those not named here share the rest in turn.
_TONES: Final = {
    "homeostat": (0, 0),
    "runbook": (0, 1),
    "oracle": (1, 0),
    "hold": (2, 0),
    "escalate": (2, 1),
    "threshold": (3, 0),
    "static": (3, 1),
    "hpa": (4, 0),
    "hpa_tuned": (4, 1),
    "keda": (5, 0),
    "keda_tuned": (5, 1),
    "random": (8, 0),
    "random_safe": (8, 1),
}
_OTHERS: Final = (6, 7, 9)
_STRONG: Final = frozenset({"homeostat"})
# A rate of catastrophes, and a time to repair in seconds, from which a cell is darker.
RATE_STEPS: Final = (0.0, 0.01, 0.05, 0.2)
TIME_STEPS: Final = (60.0, 300.0, 900.0, 2700.0)
_AFTER_S: Final = (60.0, 300.0, 900.0, 3600.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A column's head, and a smaller line below it."""

    text: str
    sub: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell: its text, a smaller line, a bar, and classes."""

    text: str
    sub: str = ""
    bar: Markup | None = None
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row: its head, with the policy's swatch where it is one, and cells."""

    head: str
    cells: Sequence[Cell]
    sub: str = ""
    swatch: Markup | None = None
    tone: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table with its caption."""

    title: str
    heads: Sequence[Head]
    rows: Sequence[Row]
    note: str = ""


def looks(policies: Iterable[str]) -> dict[str, Look]:
    """Return how each policy is drawn."""
    found, others = {}, 0
    for name in policies:
        tone, turn = _TONES.get(name, (-1, 0))
        if name not in _TONES:
            tone, turn = _OTHERS[others % len(_OTHERS)], others // len(_OTHERS)
            others += 1
        found[name] = Look(tone=tone, turn=turn, strong=name in _STRONG)
    return found


def cell(figure: Figure | None, unit: Unit, *, bar: Markup | None = None, kind: str = "") -> Cell:
    """Return a figure with its interval; what was not measured says so."""
    if figure is None or figure.value is None:
        return Cell(text="-", sub="not measured", kind="none")
    sub = ""
    if figure.low is not None and figure.high is not None:
        sub = between(figure.low, figure.high, unit)
    return Cell(text=written(figure.value, unit), sub=sub, bar=bar, kind=kind)


def headline(results: Results, drawn: Mapping[str, Look]) -> Table:
    """Return policies against the headline metrics, with bars on one scale a column."""
    names = [m for m in HEADLINE if any(m in p.metrics for p in results.policies.values())]
    scales = {name: _scale(name, results.policies.values()) for name in names}
    clear = {name: clearly_best(name, results.policies) for name in names}
    rows = []
    for policy, found in results.policies.items():
        look, cells = drawn[policy], []
        for name in names:
            figure = found.metrics.get(name)
            kind = "clear" if clear[name] == policy else ""
            bar = _bar(figure, scales[name], look)
            cells.append(cell(figure, meaning(name).unit, bar=bar, kind=kind))
        rows.append(_policy_row(policy, look, cells))
    return Table(
        title="Policies against each other",
        note="95 % intervals, resampled by scenario first. A tick marks what is better than every "
        "other policy by more than both intervals; the oracle does not count.",
        heads=[Head(text="policy"), *(_metric_head(name) for name in names)],
        rows=rows,
    )


def clearly_best(metric: str, policies: Mapping[str, PolicyResults]) -> str | None:
    """Return the policy whose interval lies beyond all others' in the better direction, if any.

    The oracle knows the future: nobody is compared with it, and it wins nothing.
    """
    found = {
        name: p.metrics[metric]
        for name, p in policies.items()
        if name != "oracle" and metric in p.metrics and p.metrics[metric].value is not None
    }
    sign = 1.0 if meaning(metric).up else -1.0
    spans = {
        name: sorted(sign * float(v) for v in (f.low, f.high))
        for name, f in found.items()
        if f.low is not None and f.high is not None
    }
    if len(spans) < 2 or len(spans) < len(found):  # noqa: PLR2004 - nobody to compare with
        return None
    best = max(spans, key=lambda name: spans[name][0])
    others = [span[1] for name, span in spans.items() if name != best]
    return best if spans[best][0] > max(others) else None


def every_metric(results: Results, drawn: Mapping[str, Look]) -> Table:
    """Return all metrics against policies."""
    named = [m for m in METRICS if any(m in p.metrics for p in results.policies.values())]
    extra = sorted({m for p in results.policies.values() for m in p.metrics} - set(METRICS))
    rows = [
        Row(
            head=meaning(name).label,
            sub="more is better" if meaning(name).up else "less is better",
            cells=[
                cell(p.metrics.get(name), meaning(name).unit) for p in results.policies.values()
            ],
        )
        for name in (*named, *extra)
    ]
    return Table(
        title="Every metric over all scenarios",
        note="With 95 % intervals.",
        heads=[Head(text="metric"), *(Head(text=name) for name in drawn)],
        rows=rows,
    )


def codes(results: Results) -> Table | None:
    """Return K-codes against policies: caused, and below it fired at all."""
    if not any(p.codes for p in results.policies.values()):
        return None
    rows = [
        Row(
            head=code,
            sub=means.partition(":")[0].rstrip("."),
            cells=[_code_cell(p, code) for p in results.policies.values()],
        )
        for code, means in CODES.items()
        if any(code in p.codes for p in results.policies.values())
    ]
    return Table(
        title="Catastrophes by code",
        note="Share of episodes in which the policy caused it; below, in which it fired at all.",
        heads=[Head(text="code"), *(Head(text=name) for name in results.policies)],
        rows=rows,
    )


def sensitivity(results: Results) -> Table | None:
    """Return what is caused under other thresholds: all together, then each that changes it."""
    policies = results.policies
    names = dict.fromkeys(name for p in policies.values() for name in p.sensitivity)
    if not names:
        return None
    shown = [
        name
        for name in names
        if name.startswith("all ")
        or any(_moved(p.sensitivity.get(name), _frozen(p)) for p in policies.values())
    ]
    frozen = Row(
        head="as they are",
        cells=[cell(_frozen(p), Unit.SHARE) for p in policies.values()],
    )
    rows = [
        Row(head=name, cells=[cell(p.sensitivity.get(name), Unit.SHARE) for p in policies.values()])
        for name in shown
    ]
    return Table(
        title="Catastrophes caused, by other thresholds of the judge",
        note=f"The other {len(names) - len(shown)} of {len(names)} variants change nothing.",
        heads=[Head(text="thresholds"), *(Head(text=name) for name in policies)],
        rows=[frozen, *rows],
    )


def _frozen(policy: PolicyResults) -> Figure | None:
    return policy.metrics.get("catastrophic_rate_caused")


def _moved(found: Figure | None, frozen: Figure | None) -> bool:
    return found is not None and frozen is not None and found.value != frozen.value


def families(results: Results, drawn: Mapping[str, Look]) -> list[Table]:
    """Return one table a metric: families against policies."""
    names = list(dict.fromkeys(line.family for line in results.scenarios.values()))
    counts = {n: sum(s.family == n for s in results.scenarios.values()) for n in names}
    wanted = ("catastrophic_rate_caused", "mttr_s", "sla_compliance", "cost_usd_per_hour")
    tables = []
    for metric in wanted:
        rows = [
            Row(
                head=name,
                sub=f"{counts[name]} scenario{'s' if counts[name] > 1 else ''}",
                cells=[
                    _group_cell(p.families.get(name), metric) for p in results.policies.values()
                ],
            )
            for name in names
        ]
        if any(one.text != "-" for row in rows for one in row.cells):
            heads = [Head(text="family"), *(Head(text=name) for name in drawn)]
            tables.append(Table(title=meaning(metric).label, heads=heads, rows=rows))
    return tables


def heat_codes(results: Results) -> Table:
    """Return scenarios against policies: how often a catastrophe was caused, and which."""
    return Table(
        title="Catastrophes caused, by scenario",
        note="Share of episodes, and the codes that the policy caused in any of them.",
        heads=[Head(text="scenario"), *(Head(text=name) for name in results.policies)],
        rows=_scenario_rows(results, _rate_cell),
    )


def heat_repair(results: Results) -> Table:
    """Return scenarios against policies: mean time to repair."""
    return Table(
        title="Mean time to repair, by scenario",
        note="Where a controller cannot remove the fault: until a person was told.",
        heads=[Head(text="scenario"), *(Head(text=name) for name in results.policies)],
        rows=_scenario_rows(results, _repair_cell),
    )


def recovered(results: Results, drawn: Mapping[str, Look]) -> Table:
    """Return the recovery curves as figures."""
    rows = [
        _policy_row(
            policy,
            drawn[policy],
            [Cell(text=written(share_at(found.recovery, t), Unit.SHARE)) for t in _AFTER_S],
        )
        for policy, found in results.policies.items()
        if found.recovery is not None
    ]
    return Table(
        title="Recovered within",
        heads=[
            Head(text="policy"),
            *(Head(text=time_text(t)) for t in _AFTER_S),
        ],
        rows=rows,
    )


def share_at(curve: Curve, at_s: float) -> float | None:
    """Return the share recovered by a time; None beyond the curve."""
    if not curve.t_s or at_s > curve.t_s[-1]:
        return None
    passed = [share for t, share in zip(curve.t_s, curve.share, strict=True) if t <= at_s]
    return passed[-1] if passed else 0.0


def heat(value: float, steps: Sequence[float]) -> str:
    """Return the class of a heat cell: `h0` at or below the first step, `h4` beyond the last."""
    return f"h{sum(value > step for step in steps)}"


def _metric_head(name: str) -> Head:
    metric = meaning(name)
    return Head(text=metric.label, sub="more is better" if metric.up else "less is better")


def _policy_row(policy: str, look: Look, cells: Sequence[Cell]) -> Row:
    return Row(head=policy, cells=cells, swatch=swatch(look), tone=look.tone)


def _scale(metric: str, policies: Iterable[PolicyResults]) -> Scale:
    found = [p.metrics[metric] for p in policies if metric in p.metrics]
    values = [v for f in found for v in (f.low, f.value, f.high) if v is not None]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    return Scale(low, high, 2.0, 98.0)


def _bar(figure: Figure | None, scale: Scale, look: Look) -> Markup | None:
    if figure is None or figure.value is None or figure.low is None or figure.high is None:
        return None
    return interval(figure.low, figure.value, figure.high, scale, look)


def _code_cell(policy: PolicyResults, code: str) -> Cell:
    caused, fired = policy.codes.get(code), policy.codes_any.get(code)
    if caused is None or caused.value is None:
        return cell(None, Unit.SHARE)
    at_all = "" if fired is None else f"{written(fired.value, Unit.SHARE)} at all"
    return Cell(text=written(caused.value, Unit.SHARE), sub=at_all)


def _group_cell(group: Group | None, metric: str) -> Cell:
    return cell(None if group is None else group.metrics.get(metric), meaning(metric).unit)


def _scenario_rows(results: Results, make: Callable[[Group], Cell]) -> list[Row]:
    nothing = Cell(text="-", sub="not run", kind="none")
    rows = []
    for key, line in results.scenarios.items():
        groups = [p.scenarios.get(key) for p in results.policies.values()]
        cells = [nothing if g is None else make(g) for g in groups]
        kind = "no fault" if line.benign else line.family
        rows.append(Row(head=f"{key} {line.name.replace('_', ' ')}", sub=kind, cells=cells))
    return rows


def _rate_cell(group: Group) -> Cell:
    figure = group.metrics.get("catastrophic_rate_caused")
    if figure is None or figure.value is None:
        return cell(None, Unit.SHARE)
    caused = [c for c, f in group.codes.items() if c != "K8" and f.value]
    kind = heat(figure.value, RATE_STEPS)
    return Cell(text=written(figure.value, Unit.SHARE), sub=" ".join(caused), kind=kind)


def _repair_cell(group: Group) -> Cell:
    figure = group.metrics.get("mttr_s")
    if figure is None or figure.value is None or math.isinf(figure.value):
        return Cell(text="-", sub="nothing to repair", kind="none")
    return Cell(text=written(figure.value, Unit.SECONDS), kind=heat(figure.value, TIME_STEPS))
