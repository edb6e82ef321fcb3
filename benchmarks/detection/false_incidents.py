"""Prints how many false incidents the shipped stack tells of, beside the budget it was given.

    PYTHONPATH=benchmarks python -m detection.false_incidents [--short] [--curve]

Thirty days of normal days of real series, drawn and joined (`detection.normal_days`), each series
an entity of its own; per 1,000 signals and day, with the larger of two 95 % intervals: Garwood's of
a count, and one over sources, since series drawn from one source are alike. Five-minute series are
played as they are. No set that we have is sampled every 15 s, so series of one minute stand in for
that: a tick of theirs is called 15 s, and their day is six hours then.

One play serves every budget: what a column says does not depend on when people are told of it.
`--curve` is what `detect.stack_budget` was made from: incidents a tick at each level, on made-up
series (`detection.synthetic`) in which nothing is wrong.

`--method recurring` is the stack whose past does not learn from its incidents (decision 73).
`--short` takes half a minute of one core, and its intervals say how little that is.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np

from detection import normal_days, synthetic
from homeostat.detect import method_recurring, stack, stack_budget, stack_incident
from homeostat.stats.bootstrap import interval, ratio, resamples
from homeostat.stats.fdr_budget import Budget, false_incidents

DAY = 86_400
BUDGETS = (0.2, 1.0, 5.0, 20.0, 100.0)
CURVE = (1.7, 2.0, 2.3, 2.6, 3.0, 3.4, 3.8, 4.2, 4.6, 5.0, 5.5, 6.0)
"""Levels at which incidents are counted."""
_DRAWS = 2000
# Ticks from which on incidents are counted in the second figure: a week of five minutes. What is
# said before is said of a series that is hardly known.
SETTLED = 2016


JOINED = (4.0, 5.0)
"""Levels beside the shipped one at which starts after joints are counted."""
NEAR = (3, 12, 36)
"""Ticks after two days were joined within which an incident may be the joint's doing."""


METHODS: Final[Mapping[str, Callable[[], stack.StackConfig]]] = MappingProxyType({
    "stack": stack.StackConfig,
    "recurring": method_recurring.Config,
})


class Form(NamedTuple):
    """One fleet to be played.

    Attributes:
        name: The set.
        ticks: Of a day of its series.
        tick_s: What a tick is called, seconds.
        days: To be played, of `DAY / tick_s` ticks each.
        series: How many.
        sources: At most so many are read; None for all.
    """

    name: str
    ticks: int
    tick_s: float
    days: float
    series: int
    sources: int | None = None


LONG = (
    Form("nab", 288, 300.0, 30, 420),
    Form("aiops", 288, 300.0, 30, 210),
    Form("aiops", 1440, 15.0, 30, 220),
)
SHORT = (
    Form("nab", 288, 300.0, 30, 84),
    Form("aiops", 288, 300.0, 10, 42),
    Form("aiops", 1440, 15.0, 1.5, 80, sources=8),
)
SAMPLE = (
    Form("nab", 288, 300.0, 2, 6, sources=2),
    Form("aiops", 288, 300.0, 2, 6, sources=2),
    Form("aiops", 1440, 15.0, 0.1, 4, sources=1),
)


class Counted(NamedTuple):
    """Incidents of each series, `[series]`, and the days that each was watched."""

    incidents: Any
    days: float


def evidence_of(values: Any, *, said: str = "", method: str = "stack") -> Any:
    """Return a stack's evidence, each series by itself, float32 `[tick, series]`.

    Args:
        values: `[tick, series]`; NaN is unknown.
        said: What to say of progress, on stderr; nothing if empty.
        method: Of `METHODS`; the shipped one unless another is named.
    """
    judge, series = stack.Stack(METHODS[method]()), values.shape[1]
    state, out = judge.init(1, entities=series), np.empty(values.shape, dtype=np.float32)
    for tick, row in enumerate(values):
        state, told = judge.step(state, row[:, None], learn=True)
        out[tick] = told.neg_log10_p
        if said and (tick + 1) % 2000 == 0:
            print(f"\r  {said}: {tick + 1:,} of {len(values):,}", end="", file=sys.stderr)
    if said:
        print(file=sys.stderr)
    return out


def started(
    evidence: Any,
    levels: Sequence[float],
    config: stack_incident.Config | None = None,
    more: Any = 0.0,
) -> Any:
    """Return where incidents start at each level, bool `[tick, level, series]`.

    Args:
        evidence: `[tick, series]`.
        levels: Evidence that starts one.
        config: When it ends; None = as shipped for single columns.
        more: How much higher all levels are at each tick, `[tick]` or one number.
    """
    higher = np.broadcast_to(np.asarray(more, dtype=float), len(evidence))
    config = config or stack.StackConfig().incident
    ticks, series = evidence.shape
    start = np.repeat(np.asarray(levels, dtype=float), series)
    state = stack_incident.init(np, len(start))
    out = np.empty((ticks, len(levels), series), dtype=bool)
    for tick, row in enumerate(evidence):
        sure = np.tile(row.astype(float), len(levels))
        state, begins = stack_incident.step(np, config, state, sure, start + higher[tick])
        out[tick] = begins.reshape(len(levels), series)
    return out


def realised(counted: Counted, sources: Sequence[str]) -> tuple[float, float, float]:
    """Return false incidents per 1,000 signals and day, and the wider interval of the two.

    Args:
        counted: What was counted.
        sources: Of each series, what it was drawn from.
    """
    found, series = int(counted.incidents.sum()), len(counted.incidents)
    rate = false_incidents(found, signals=series, days=counted.days)
    low, high = (one * 1000.0 / (series * counted.days) for one in garwood(found))
    weights = resamples(sources, _DRAWS, seed=1)
    drawn = ratio(weights, counted.incidents, np.full(series, counted.days)) * 1000.0
    between = interval(drawn) or (low, high)
    return rate, min(low, between[0]), max(high, between[1])


def garwood(count: int) -> tuple[float, float]:
    """Return the exact 95 % interval of the mean of a Poisson count.

    Source: Garwood, Biometrika 28 (1936); quantiles of chi-square by Wilson & Hilferty, PNAS 17
    (1931), within a hundredth from one event on, and -ln .025 where there is none.

    >>> [round(edge, 1) for edge in garwood(0)], [round(edge, 1) for edge in garwood(10)]
    ([0.0, 3.7], [4.8, 18.4])
    """
    if not count:
        return 0.0, -float(np.log(0.025))
    low, high = (
        n * (1.0 - 1.0 / (9.0 * n) + z / (3.0 * np.sqrt(n))) ** 3
        for n, z in ((count, -1.96), (count + 1, 1.96))
    )
    return max(float(low), 0.0), float(high)


def played(form: Form, *, seed: int, method: str = "stack") -> tuple[Any, list[str]]:
    """Return the evidence on a fleet of normal days, and the source of each series."""
    sources = normal_days.sources(form.name, form.ticks, most=form.sources)
    ticks = round(form.days * DAY / form.tick_s)
    days = -(-ticks // form.ticks)
    which, picks = normal_days.picked(sources, form.series, days, np.random.default_rng(seed))
    values = np.stack(
        [one.days[row].reshape(-1) for one, row in zip(which, picks, strict=True)], axis=1
    )[:ticks]
    said = f"{form.name}, {len(sources)} series drawn {form.series} times"
    return evidence_of(values, said=said, method=method), [one.name for one in which]


class Line(NamedTuple):
    """What was told of under one budget.

    Attributes:
        asked: The budget; None is one level a tick, as shipped.
        level: Evidence that starts an incident.
        whole: False incidents per 1,000 signals and day, with an interval: (rate, low, high).
        settled: The same without the first `SETTLED` ticks; None where there are no others.
    """

    asked: float | None
    level: float
    whole: tuple[float, float, float]
    settled: tuple[float, float, float] | None


def counted(form: Form, evidence: Any, sources: Sequence[str]) -> list[Line]:
    """Return what was told of under each budget, the shipped level first."""
    budgets = [Budget(false_incidents=b, tests_per_day=DAY / form.tick_s) for b in BUDGETS]
    shipped = stack.StackConfig().incident.start
    levels = [shipped, *(stack_budget.level_of(one) for one in budgets)]
    starts, per_day = started(evidence, levels), DAY / form.tick_s
    out = []
    for place, (asked, level) in enumerate(zip([None, *BUDGETS], levels, strict=True)):
        parts = [
            realised(Counted(part.sum(axis=0), len(part) / per_day), sources)
            for part in (starts[:, place], starts[SETTLED:, place])
            if len(part)
        ]
        out.append(Line(asked, level, parts[0], parts[1] if len(parts) > 1 else None))
    return out


def table(form: Form, evidence: Any, sources: Sequence[str]) -> str:
    """Return the table of one fleet in Markdown."""
    drawn = f"{form.series} series of {len(set(sources))}"
    days = len(evidence) * form.tick_s / DAY
    lines = [
        f"### {form.name}, ticks of {form.tick_s:g} s: {drawn}, {days:g} days each",
        "",
        "| budget | level | realised | settled (from tick 2,016) | held |",
        "| ---: | ---: | ---: | ---: | --- |",
    ]
    for one in counted(form, evidence, sources):
        cells = [
            "-" if part is None else "{:.3g} ({:.2g} to {:.2g})".format(*part)
            for part in (one.whole, one.settled)
        ]
        held = "" if one.asked is None else _held(one.asked, *one.whole[1:])
        name = "none" if one.asked is None else f"{one.asked:g}"
        lines.append(f"| {name} | {one.level:.2f} | {cells[0]} | {cells[1]} | {held} |")
    shipped = stack.StackConfig().incident.start
    lines += ["", *("- " + joints(form, evidence, level) for level in (shipped, *JOINED))]
    return "\n".join(lines)


def joints(form: Form, evidence: Any, level: float) -> str:
    """Return which share of incidents starts soon after two days were joined, in words.

    Args:
        form: Of the fleet; its days are joined where one ends.
        evidence: `[tick, series]`.
        level: At which incidents are counted.
    """
    at = np.nonzero(started(evidence, [level])[:, 0])[0]
    later = at >= form.ticks
    cells = []
    for near in NEAR:
        share = float(((at % form.ticks < near) & later).mean()) if len(at) else 0.0
        cells.append(f"{share:.1%} ({near / form.ticks:.1%})")
    told = ", ".join(cells)
    return (
        f"Of {len(at):,} incidents at {level:.2f}, within {', '.join(map(str, NEAR))} ticks after "
        f"two days were joined (by chance): {told}."
    )


def _held(asked: float, low: float, high: float) -> str:
    """Return whether a budget was kept over all days; open where the interval has both."""
    return "yes" if high <= asked else "no" if low > asked else "open"


def curve(count: int, ticks: int, *, seed: int, method: str = "stack") -> str:
    """Return incidents a tick at each level on made-up series that are healthy, in Markdown."""
    values = synthetic.healthy(count, ticks=ticks, seed=seed)
    evidence = evidence_of(values, said="made-up series", method=method)
    starts = started(evidence, CURVE)[SETTLED:]
    watched = starts.shape[0] * count
    lines = [
        f"### Made-up series: {count} of {ticks:,} ticks, from tick {SETTLED:,} on",
        "",
        "| level | incidents | log10 of incidents a tick |",
        "| ---: | ---: | ---: |",
    ]
    for place, level in enumerate(CURVE):
        found = int(starts[:, place].sum())
        said = f"{np.log10(found / watched):.2f}" if found else f"below {np.log10(3 / watched):.2f}"
        lines.append(f"| {level} | {found:,} | {said} |")
    return "\n".join(lines)


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m detection.false_incidents")
    parser.add_argument("--short", action="store_true", help="a part, in half a minute of one core")
    parser.add_argument("--curve", action="store_true", help="made-up series alone")
    parser.add_argument("--method", choices=METHODS, default="stack", help="whose evidence")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--keep", type=Path, help="a folder for the evidence, one .npz a fleet")
    asked = parser.parse_args()
    began = time.process_time()
    if asked.curve:
        count, ticks = (300, 6_000) if asked.short else (2_000, 40_000)
        print(curve(count, ticks, seed=asked.seed, method=asked.method))
    else:
        for form in SHORT if asked.short else LONG:
            evidence, sources = played(form, seed=asked.seed, method=asked.method)
            if asked.keep:
                asked.keep.mkdir(parents=True, exist_ok=True)
                file = asked.keep / f"{form.name}-{form.tick_s:g}s.npz"
                np.savez_compressed(file, evidence=evidence, sources=sources)
            print(table(form, evidence, sources), end="\n\n", flush=True)
    print(f"{time.process_time() - began:.0f} s of processor time.")


if __name__ == "__main__":
    try:
        main()
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"false incidents: {error}")
