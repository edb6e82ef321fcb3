"""Prints what the shipped stack scores on public sets, beside peers and what knows nothing.

`make bench-detection` runs all of it; `--sets nab --files 8` a part.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detection import controls, judging, peers, playing, report, sets
from detection.sets import Recording

# Recordings on which the checks of invariance are made: each is played six times. The first two
# have no noise at all, so what is left of them is rounding.
_CHECKED = slice(2, 10)


def main() -> None:
    asked = _asked()
    parts = [_set(name, asked) for name in asked.sets.split(",")]
    text = "\n\n".join(parts)
    print(text)
    if asked.out:
        asked.out.write_text(text + "\n")


def _set(name: str, asked: argparse.Namespace) -> str:
    recordings = sets.load(name, files=asked.files)
    print(f"{name}: {len(recordings)} recordings", file=sys.stderr)
    run = playing.run(name, recordings, again=asked.again)
    found = {"homeostat": _judged(name, recordings, [one.score for one in run.said])}
    rates = {"homeostat": run.points / run.seconds}
    notes = []
    if not asked.bare:
        if name == "nab":
            beside = peers.run(recordings)
            found |= {
                one.title: _judged(name, recordings, one.scores, alarms=one.alarms)
                for one in beside
                if one.scores
            }
            rates |= {one.title: one.rate for one in beside}
            holds = controls.invariances(recordings[_CHECKED] or recordings)
            notes = [f"- {what}: {'yes' if one else 'NO'}" for what, one in holds.items()]
            notes += [] if beside else ["- peers are not installed: `make bench-detection` does it"]
        for who, scores in controls.degenerate(recordings).items():
            found[who] = _judged(name, recordings, scores, alarms=who != controls.CHANCE)
    speed = "; ".join(f"{who} {rate:,.0f}" for who, rate in rates.items())
    return "\n".join([report.table(name, found), "", f"Points/s on one core: {speed}.", "", *notes])


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
    main()
