"""Prints every gate of detection: what is asked, our figure, the peers', met or missed.

`make bench-detection` runs all parts, those that take hours in a short form; `PARTS="--parts
nab,speed"` some, `PARTS="--long fleet,false"` these whole, `PARTS=--long` all of them whole. A part
whose data are not there is said to be not run, and why, while the rest runs; the exit status is 1
then. Each part and its command by itself: `docs/reference/detection-figures.md`.
"""

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np

import figures_page
from detection import gates, kept, made, rows
from detection.made import Asked
from detection.rows import Outcome, Row

Part = Callable[[Asked], Outcome]

_WHERE: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType({
    "checks": ("part_sets", "checks", "What must not matter"),
    "nab": ("part_sets", "nab", ""),
    "aiops": ("part_sets", "aiops", ""),
    "smd": ("part_sets", "smd", ""),
    "shesd": ("part_known", "seasonal", "S-H-ESD"),
    "ewma": ("part_known", "charts", "EWMA"),
    "fleet": ("part_fleet", "fleets", "The fleet"),
    "false": ("part_false", "incidents", "False incidents"),
    "forecasts": ("part_forecasts", "forecasts", "Forecasts"),
    "lab": ("part_lab", "scenarios", "The 43 scenarios"),
    "vae": ("part_vae", "added", "The autoencoder"),
    "feedback": ("part_lab", "feedback", "Feedback"),
    "speed": ("part_speed", "speeds", "Speed"),
})
"""Part -> its module here, its function, and the heading of its own table, if that has none.

A module is imported when its part runs: what simulates and what learns may not be installed."""


class Played(NamedTuple):
    """What became of a part.

    Attributes:
        outcome: What it found; None = it was not run.
        why: Why not, or why a part of its rows is missing.
        failed: It should have run, and could not.
    """

    outcome: Outcome | None
    why: str
    failed: bool = False


def main(words: Sequence[str] | None = None, *, journal: Path = kept.JOURNAL) -> int:
    """Run what is asked for and print it; return the exit status.

    Args:
        words: The command line; None = this process's.
        journal: Of kept figures.
    """
    options = _options(words)
    asked, began = _asked(options), _spent()
    known = kept.latest(kept.load(journal))  # a journal that cannot be read stops this at once
    wanted = options.parts.split(",")
    played = {
        name: Played(None, "not asked for" if name not in wanted else "not run yet")
        for name in gates.PARTS
    }
    command = " ".join(["make bench-detection", _parts(options)]).strip()
    every: list[Row] = []
    text = ""
    for name in [one for one in gates.PARTS if one in wanted]:
        played[name] = play(name, asked)
        every = table_rows(played, asked, known)
        text = page(every, played, made.said(command, _spent() - began))
        if options.out:  # what is there is not lost with what is not
            options.out.write_text(text + "\n", encoding="utf-8")
    print(text)
    if options.page:
        figures_page.write(options.page, text)
    if options.keep:
        kept.add(_entries(every, asked), journal)
    failed = [f"{name}: {one.why}" for name, one in played.items() if one.failed]
    for line in failed:
        print(f"bench-detection: not run: {line}", file=sys.stderr)
    return int(bool(failed))


def play(name: str, asked: Asked) -> Played:
    """Run a part; what stops it is said, and stops no other."""
    module, function, _ = _WHERE[name]
    print(f"{name} ({asked.size(name)}) ...", file=sys.stderr, flush=True)
    try:
        part: Part = getattr(importlib.import_module(f"detection.{module}"), function)
        outcome = part(asked)
        return Played(outcome, outcome.missing, failed=bool(outcome.missing))
    except (FileNotFoundError, ImportError) as error:
        return Played(None, str(error), failed=True)
    except Exception as error:  # noqa: BLE001 - hours of other parts must not be lost with it
        traceback.print_exc()
        return Played(None, f"failed: {type(error).__name__}: {error}", failed=True)


def table_rows(
    played: Mapping[str, Played], asked: Asked, known: Mapping[str, Mapping[str, Any]]
) -> list[Row]:
    """Return a row for every gate, whatever became of its part."""
    out = []
    for gate in gates.GATES:
        part = played[gate.part]
        found = part.outcome.found.get(gate.key) if part.outcome else None
        why = part.why or "its part gave no figure; see its table"
        older, older_of = _older(gate.key, known)
        # What was kept stands below a short run or none; a whole run needs it no more.
        show = older is not None and (found is None or found.short)
        out.append(
            Row(
                gate,
                found,
                why="" if found else why,
                command=_command(gate.part, asked),
                kept=older if show else None,
                kept_of=older_of if show else "",
            )
        )
    return out


def page(every: Sequence[Row], played: Mapping[str, Played], head: str) -> str:
    """Return all that is printed, in Markdown."""
    parts = [head, rows.table(every), rows.missed(every), _LEGEND]
    for name, one in played.items():
        if one.outcome and one.outcome.text:
            heading = _WHERE[name][2]
            parts.append(f"### {heading}\n\n{one.outcome.text}" if heading else one.outcome.text)
    return "\n\n".join(parts)


_LEGEND: Final = (
    "In parentheses 95 % intervals, or what is said there. *Kept* figures are of an earlier run "
    "of an earlier commit, as their row says; a speed is never kept. *Quoted* ones were made by "
    "others or earlier ([where](../../benchmarks/detection/quoted.py)). *Short run*: a part of "
    "what the row is about, as `how measured` says; the command with `--long` plays it whole."
)


def _older(key: str, known: Mapping[str, Mapping[str, Any]]) -> tuple[rows.Found | None, str]:
    if key == "feedback.removed":
        try:
            from detection import part_lab  # noqa: PLC0415 - the lab's form of a kept figure

            pair = part_lab.kept_feedback()
        except ImportError:
            pair = None
        if pair is not None:
            return pair
    entry = known.get(key)
    return (None, "") if entry is None else (kept.found(entry), kept.said_of(entry))


def _entries(every: Sequence[Row], asked: Asked) -> list[Any]:
    """Return what this run adds to the journal: what was played whole, is known, and no speed."""
    facts = made.facts()
    return [
        kept.entry(
            row.gate.key, row.found, facts, seeds=_seeds(row.gate.part, asked), command=row.command
        )
        for row in every
        if row.found
        and not row.found.short
        and np.isfinite(row.found.value)
        and not kept.NEVER & {row.gate.key, row.gate.part}
    ]


def _seeds(part: str, asked: Asked) -> str:
    return "0 to 99" if part == "lab" else "its own" if part == "feedback" else str(asked.seed)


def _command(part: str, asked: Asked) -> str:
    words = [f"--parts {part}"]
    if asked.sample:
        words.append("--sample")
    elif part in asked.long:
        words.append("--long")
    if asked.seed != Asked().seed:
        words.append(f"--seed {asked.seed}")
    return f'make bench-detection PARTS="{" ".join(words)}"'


def _parts(options: argparse.Namespace) -> str:
    words = []
    if options.parts != ",".join(gates.PARTS):
        words.append(f"--parts {options.parts}")
    if options.long:
        words.append("--long" if options.long == "all" else f"--long {options.long}")
    words += [f"--{name}" for name in ("sample", "again", "bare") if getattr(options, name)]
    return f'PARTS="{" ".join(words)}"' if words else ""


def _spent() -> float:
    """Return processor time of this process and of those that it started and that have ended."""
    return sum(os.times()[:4])


def _asked(options: argparse.Namespace) -> Asked:
    long = gates.PARTS if options.long == "all" else (options.long or "").split(",")
    return Asked(
        long=frozenset(name for name in long if name),
        sample=options.sample,
        again=options.again,
        bare=options.bare,
        seed=options.seed,
    )


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m detection", description=__doc__)
    names = ", ".join(gates.PARTS)
    parser.add_argument("--parts", default=",".join(gates.PARTS), help=f"of {names}")
    parser.add_argument(
        "--long", nargs="?", const="all", help="play these parts whole, or all of those asked for"
    )
    parser.add_argument("--sample", action="store_true", help="too small to mean anything: tests")
    parser.add_argument("--again", action="store_true", help="play again, whatever was kept")
    parser.add_argument("--bare", action="store_true", help="without peers and idle detectors")
    parser.add_argument("--seed", type=int, default=Asked().seed, help="of what is drawn")
    parser.add_argument("--keep", action="store_true", help="add whole figures to the journal")
    parser.add_argument("--out", type=Path, help="write what is printed here as well")
    parser.add_argument("--page", type=Path, help="write it into this page, between its marks")
    options = parser.parse_args(words)
    long = [] if options.long in {None, "all"} else options.long.split(",")
    unknown = sorted({*options.parts.split(","), *long} - set(gates.PARTS))
    if unknown:
        parser.error(f"unknown parts {unknown}; of {names}")
    if options.sample and (options.long or options.keep):
        parser.error("--sample is for tests: it goes with neither --long nor --keep")
    return options


if __name__ == "__main__":
    try:
        sys.exit(main())
    except kept.JournalError as error:
        sys.exit(f"bench-detection: {error}")
