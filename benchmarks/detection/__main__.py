"""Prints what the shipped stack scores on public sets, beside peers and what knows nothing.

`make bench-detection` runs all of it; `--sets nab --files 8` a part.
"""

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from detection import controls, judging, peers, playing, report, sets
from detection.sets import Recording

# Checks of invariance play each recording eight times: so many files of each folder, real ones and
# those made up with anomalies. Files without any noise are left out: what is left of them is
# rounding, in any unit another.
_OF_EACH = 2
_NO_NOISE = (
    "artificialNoAnomaly/art_daily_no_noise",
    "artificialNoAnomaly/art_daily_perfect",
    "artificialNoAnomaly/art_flatline",
    "artificialWithAnomaly/art_increase_spike",
)


def main() -> None:
    asked = _asked()
    parts = [_set(name, asked) for name in asked.sets.split(",")]
    text = "\n\n".join([_made_on(), *parts])
    print(text)
    if asked.out:
        asked.out.write_text(text + "\n")


def _set(name: str, asked: argparse.Namespace) -> str:
    recordings = sets.load(name, files=asked.files)
    print(f"{name}: {len(recordings)} recordings", file=sys.stderr)
    run = playing.run(name, recordings, again=asked.again)
    found = {"homeostat": _judged(name, recordings, [one.score for one in run.said])}
    rates = {} if run.seconds is None else {"homeostat": run.points / run.seconds}
    notes = []
    if run.seconds is None:
        notes = ["- homeostat's scores are from an earlier run of this code: no rate (`--again`)"]
    if not asked.bare:
        if name == "nab":
            beside = peers.run(recordings)
            found |= {
                one.title: _judged(name, recordings, one.scores, alarms=one.alarms)
                for one in beside
                if one.scores
            }
            rates |= {one.title: one.rate for one in beside}
            holds = controls.invariances(checked(recordings))
            notes += [f"- {what}: {'yes' if one else 'NO'}" for what, one in holds.items()]
            notes += [] if beside else ["- peers are not installed: `make bench-detection` does it"]
        for who, scores in controls.degenerate(recordings).items():
            found[who] = _judged(name, recordings, scores, alarms=who != controls.CHANCE)
    speed = "; ".join(f"{who} {rate:,.0f}" for who, rate in rates.items()) or "not in this run"
    return "\n".join([report.table(name, found), "", f"Points/s on one core: {speed}.", "", *notes])


def checked(recordings: Sequence[Recording]) -> list[Recording]:
    """Return the recordings on which the checks of invariance are made; all if none is fit."""
    found: dict[str, list[Recording]] = {}
    for one in recordings:
        if not one.name.startswith(_NO_NOISE):
            found.setdefault(one.name.partition("/")[0], []).append(one)
    return [one for some in found.values() for one in some[:_OF_EACH]] or list(recordings)


def _made_on() -> str:
    """Return what figures depend on: the day, the commit, the machine and the versions."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        commit = subprocess.run(git, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = "unknown code"
    return (
        f"Made {datetime.now(UTC):%Y-%m-%d} by {commit} on {platform.machine()} with "
        f"{os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}; "
        "rates are of one run on a machine that others may use."
    )


def _judged(
    name: str, recordings: Sequence[Recording], scores: Sequence[Any], *, alarms: bool = True
) -> dict[str, float]:
    if name == "nab":
        return judging.nab([one.name for one in recordings], scores, alarms=alarms)
    return judging.series(recordings, scores)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m detection", description=__doc__)
    parser.add_argument("--sets", default="nab,aiops,smd", help="of nab, aiops, smd")
    parser.add_argument("--files", type=int, help="only the first so many of each set")
    parser.add_argument("--again", action="store_true", help="play again, whatever was kept")
    parser.add_argument("--bare", action="store_true", help="our own figures alone")
    parser.add_argument("--out", type=Path, help="write the tables here as well")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except FileNotFoundError as error:
        sys.exit(f"bench-detection: {error}")
