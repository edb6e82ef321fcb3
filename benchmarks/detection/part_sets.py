"""The public sets through the shipped stack, beside peers and what knows nothing."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from detection import (
    controls,
    controls_command,
    gates,
    judging,
    peers,
    playing,
    quoted,
    report,
    resampled,
    sets,
)
from detection.made import Asked
from detection.rows import Found, Outcome, measured
from detection.sets import Recording

_NAMED: Final = 3  # peers that a row names
_SAMPLE: Final = 1200
"""Rows of each file in a sample, about the first label of the scored part."""
_CHECKED_ROWS: Final = {"long": 4000, "short": 1500, "sample": 600}


def nab(asked: Asked) -> Outcome:
    """Return the rows of the Numenta benchmark.

    Raises:
        FileNotFoundError: The set or its scorer is not there.
    """
    recordings = sets.load("nab")
    if asked.sample:
        some = (
            "artificialWithAnomaly/art_daily_nojump.csv",
            "realKnownCause/rogue_agent_key_hold.csv",
        )
        recordings = [one for one in recordings if one.name in some]
    names = [one.name for one in recordings]
    run = _played("nab", recordings, asked)
    scores = [one.score for one in run.said]
    each = judging.volumes(names, scores)
    ours = judging.nab(names, scores, volume=False) | {"VUS-PR": float(np.nanmean(each))}
    found = {"homeostat": ours}
    if not asked.bare:
        for one in peers.run(recordings):
            found[one.title] = judging.nab(names, one.scores, alarms=one.alarms)
        for who, said in controls.degenerate(recordings).items():
            found[who] = judging.nab(names, said, alarms=who != controls.CHANCE)
    drawn = resampled.nab(names, scores, each, judging.SHIPPED)
    how = f"{len(names)} files, drawn again for the interval{_said(run)}"
    return _outcome("nab", found, drawn, how)


def aiops(asked: Asked) -> Outcome:
    """Return the rows of the AIOPS challenge.

    Raises:
        FileNotFoundError: The set or its scorer is not there.
    """
    return _series("aiops", asked)


def smd(asked: Asked) -> Outcome:
    """Return the rows of four of the Server Machine Dataset's machines.

    Raises:
        FileNotFoundError: The set or its scorer is not there.
    """
    return _series("smd", asked)


def checks(asked: Asked) -> Outcome:
    """Return whether what must not matter does not, and what knows nothing scores nothing.

    Raises:
        FileNotFoundError: The set or its scorer is not there.
    """
    recordings, size = controls.checked(sample=asked.sample), asked.size("checks")
    ticks = 4000 if size == "long" else 2000 if size == "short" else 300
    holds = controls.invariances(recordings, ticks=ticks)
    paths = [sets.data_root("nab") / "data" / one.name for one in recordings]
    rows = _CHECKED_ROWS[size]
    holds |= controls_command.checks(paths, rows=rows)
    every = sets.load("nab")
    names = [one.name for one in every]
    idle = {
        who: judging.nab(names, scores, volume=False, alarms=who != controls.CHANCE)
        for who, scores in controls.degenerate(every).items()
    }
    best = max(idle, key=lambda who: idle[who]["event F1"])
    played = controls.clocks([sets.beginning(one, ticks) for one in recordings])
    shown = [f"- {what}: {'yes' if held else '**no**'}" for what, held in holds.items()]
    text = "\n".join([
        f"Played: {played}; the first {ticks:,} rows, by the command the first {rows:,}.",
        "",
        *shown,
    ])
    broken = sum(not held for held in holds.values())
    how = f"{len(holds)} checks on {played}"
    peers_of = ", ".join(f"{who} {one['event F1']:.2f}" for who, one in idle.items())
    return Outcome(
        {
            "checks.hold": Found(float(broken), how, short=asked.sample),
            "checks.idle": Found(
                idle[best]["event F1"],
                f"{best}, {len(names)} files, at its own line or its best",
                peers=peers_of,
            ),
        },
        text,
    )


def _series(name: str, asked: Asked) -> Outcome:
    recordings = sets.load(name, files=1 if asked.sample else None)
    if asked.sample:
        recordings = [_sample(one) for one in recordings]
    run = _played(name, recordings, asked)
    each = judging.each_series(recordings, [one.score for one in run.said])
    found = {"homeostat": _means(each)}
    if not asked.bare:
        beside = peers.run_several(recordings) if name == "smd" else []
        if name == "aiops" and "aiops" in asked.long:
            beside = peers.run(recordings, only=("river_hst", "pyod_ecod"))
        for one in beside:
            found[one.title] = _means(judging.each_series(recordings, one.scores))
        for who, scores in controls.degenerate(recordings).items():
            # Its VUS-PR takes a minute a detector on series of a hundred thousand rows, and is
            # the share of labelled rows.
            volume = name != "aiops" or "aiops" in asked.long
            found[who] = _means(judging.each_series(recordings, scores, volume=volume))
    drawn = {column: resampled.means(values) for column, values in each.items()}
    what = "machines" if name == "smd" else "series"
    how = f"{len(recordings)} {what}, drawn again for the interval{_said(run)}"
    return _outcome(name, found, drawn, how)


def _means(each: Mapping[str, Any]) -> dict[str, float]:
    return {column: float(np.nanmean(values)) for column, values in each.items()}


def _played(name: str, recordings: Sequence[Recording], asked: Asked) -> playing.Run:
    print(f"{name}: {len(recordings)} recordings", file=sys.stderr)
    return playing.run(name, recordings, again=asked.again)


def _said(run: playing.Run) -> str:
    return "" if run.seconds is not None else "; scores of an earlier run of this very code"


def _outcome(
    name: str, found: Mapping[str, Mapping[str, float]], drawn: Mapping[str, Any], how: str
) -> Outcome:
    """Return a set's rows, and its own table."""
    rows = {
        gates.key_of(name, column): measured(
            found["homeostat"][column],
            drawn.get(column),
            how=how,
            peers=_peers(name, column, found),
        )
        for column in quoted.GATES[name]
    }
    return Outcome(rows, report.table(name, found))


def _peers(name: str, column: str, found: Mapping[str, Mapping[str, float]]) -> str:
    """Return the best others in a column: of this run, and quoted ones, which say so."""
    idle = {"always on", controls.CHANCE, "every 200 rows", "200 rows late"}
    figures = {
        who: one[column]
        for who, one in found.items()
        if who != "homeostat" and who not in idle and column in one
    }
    figures |= {f"{who} (quoted)": value for who, value in quoted.column(name, column).items()}
    if not figures:
        return "none measured"
    order = sorted(figures, key=figures.__getitem__, reverse=column != "false a day")
    digits = ".3f" if quoted.GATES[name][column][0] < 1.0 else ".1f"
    here = [who for who in order if "(quoted)" not in who]
    named = dict.fromkeys([*order[:_NAMED], *here[:_NAMED]])
    return ", ".join(f"{who} {figures[who]:{digits}}" for who in named)


def _sample(one: Recording) -> Recording:
    """Return rows of a recording about its first label in the scored part."""
    read = one.read
    at = read.first + int(np.flatnonzero(read.labels[read.first :])[0])
    begin = max(at - _SAMPLE // 2, 0)
    part = slice(begin, begin + _SAMPLE)
    return sets.made(
        one.name,
        sets.Read(
            None if read.times is None else read.times[part],
            read.values[part],
            read.labels[part],
            _SAMPLE // 4,
        ),
    )
