"""Prints what a budget of false incidents costs on the public sets, beside the level that ships.

    PYTHONPATH=benchmarks python -m detection.budgets [--sets made,nab,smd,aiops_5min]

Sets are played once, or taken from what `make bench-detection` kept; the level moves alarms alone,
so that every row is made from the same evidence (`score_at`). Ticks are of five minutes here, also
those of made-up recordings; of AIOPS only the series that have them. SMD's rows are numbered, so
that a tick is taken for 15 s, and its budget is that of 38 signals. Events of a set other than
Numenta's are those of all its series together.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from detection import judging, playing, sets, synthetic
from detection.false_incidents import started
from detection.sets import Recording
from homeostat.detect.stack import StackConfig, scale
from homeostat.detect.stack_budget import USUAL_TICK_S, levels_of

BUDGETS: Final = (1.0, 10.0, 50.0, 200.0)
_STEP_S: Final = 300.0
MADE: Final = 120
"""Made-up recordings of the set `made`, on which levels may be chosen."""
_COLUMNS: Final = (
    "standard", "one category out", "low false alarms", "shipped threshold", "VUS-PR", "event F1",
    "precision", "recall", "false a day",
)  # fmt: skip


def strength(score: Any) -> Any:
    """Return the strength that a score was made from, whichever range it lies in.

    >>> np.round(strength(scale(np.array([3.0, 3.0, 8.0]), np.array([0, 1, 1]), np.ones(3))), 6)
    array([3., 3., 8.])
    """
    parts = (score >= 0.5, score >= 0.4), ((score - 0.5) / 0.5, (score - 0.4) / 0.1)
    share = np.minimum(np.select(*parts, score / 0.4), 1.0 - 1e-12)
    return 3.0 * share / (1.0 - share)


def score_at(said: Sequence[playing.Said], level: float, columns: int) -> list[tuple[Any, Any]]:
    """Return the score and the alarms of each recording if incidents started at a level.

    Args:
        said: Of each recording, as shipped.
        level: Evidence.
        columns: Of each recording.
    """
    config = StackConfig()
    telling, hinting = config.told(columns)
    longest = max(len(one.evidence) for one in said)
    evidence = np.full((longest, len(said)), np.nan)
    for place, one in enumerate(said):
        evidence[: len(one.evidence), place] = one.evidence
    alarm = started(evidence, [level], telling)[:, 0]
    # Of single columns, as if none was known before its first scored row.
    more = config.old(np.arange(longest)) if columns == 1 else 0.0
    lesser = started(evidence, [hinting.start], hinting, more)[:, 0]
    out = []
    for place, one in enumerate(said):
        rows = slice(len(one.score))
        begins = alarm[rows, place]
        score = scale(strength(one.score), begins, lesser[rows, place])
        out.append((score, begins))
    return out


def told(recordings: Sequence[Recording], alarms: Sequence[Any]) -> dict[str, float]:
    """Return the events that alarms find, and the false ones, all series together."""
    judge, totals = judging.scorer(), np.zeros(4)
    for one, alarm in zip(recordings, alarms, strict=True):
        live = np.ones(len(alarm), dtype=bool)
        hits, _, false = judge.events(alarm, judge.ranges(one.labels), live)
        totals += (sum(bool(hit) for hit in hits), false, len(hits), len(alarm))
    found, false, known, ticks = totals
    return {
        "event F1": 2.0 * found / max(found + false + known, 1.0),
        "precision": found / max(found + false, 1.0),
        "recall": found / max(known, 1.0),
        "false a day": false / (ticks * _STEP_S / 86_400.0),
    }


def rows(name: str, levels: Sequence[tuple[str, float | None]], *, volume: bool) -> list[str]:
    """Return a line of the table for each level; None is the one that ships."""
    recordings = recordings_of(name)
    said = playing.run(name, recordings).said
    columns, names = recordings[0].values.shape[1], [one.name for one in recordings]
    lines = []
    for title, level in levels:
        both = (
            [(one.score, one.alarm) for one in said]
            if level is None
            else score_at(said, level, columns)
        )
        scores, alarms = [one[0] for one in both], [one[1] for one in both]
        if name == "nab":
            found = judging.nab(names, scores, volume=volume)
        else:
            found = told(recordings, alarms)
            each = judging.each_series(recordings, scores, volume=volume)
            found |= {f"best {key}": float(np.nanmean(value)) for key, value in each.items()}
        cells = [f"{found[key]:.3g}" if key in found else "-" for key in _COLUMNS]
        best = [f"{found[key]:.3f}" for key in ("best VUS-PR", "best event F1") if key in found]
        at = "shipped" if level is None else f"{level:.2f}"
        lines.append(f"| {name} | {title} | {at} | {' | '.join(cells)} | {', '.join(best)} |")
        print(f"{name} {title}", file=sys.stderr)
    return lines


def recordings_of(name: str) -> list[Recording]:
    """Return the recordings of a set, of the made-up one too."""
    if name == "made":
        return [_made(one) for one in synthetic.recordings(MADE, seed=32)]
    if name != "aiops_5min":
        return sets.load(name)
    return [
        one for one in sets.load("aiops") if float(np.median(np.diff(one.read.times))) == _STEP_S
    ]


def _made(one: synthetic.Recording) -> Recording:
    labels = np.zeros(len(one.values), dtype=bool)
    for first, last in one.events:
        labels[first : last + 1] = True
    return sets.made(one.name, sets.Read(None, one.values[:, None], labels))


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m detection.budgets")
    parser.add_argument("--sets", default="made,nab,smd,aiops_5min")
    parser.add_argument("--levels", default="", help="levels of evidence beside the budgets")
    parser.add_argument("--volume", action="store_true", help="VUS-PR too, which takes longest")
    asked = parser.parse_args()
    heads = ["set", "budget", "level", *_COLUMNS, "best threshold of each series: VUS-PR, F1"]
    print("| " + " | ".join(heads) + " |")
    print("| --- " * len(heads) + "|")
    for name in asked.sets.split(","):
        tick_s, signals = (USUAL_TICK_S, 38) if name == "smd" else (_STEP_S, 1)
        levels: list[tuple[str, float | None]] = [("none", None)]
        for budget in BUDGETS:
            level = float(levels_of(budget, tick_s, signals=signals))
            levels.append((f"{budget:g}", level))
        levels += [("", float(one)) for one in asked.levels.split(",") if one]
        print("\n".join(rows(name, levels, volume=asked.volume)), flush=True)


if __name__ == "__main__":
    try:
        main()
    except FileNotFoundError as error:
        sys.exit(f"budgets: {error}")
