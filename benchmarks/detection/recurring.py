"""Prints what `--method recurring` finds that the shipped stack does not, and what it costs.

    PYTHONPATH=benchmarks python -m detection.recurring [--sets again,plain,bursty,crowded,made,nab]

`again` is 200 single columns of noise in which the same hour of trouble comes six times; `plain`,
`bursty` and `crowded` are the made-up sets of `detection.ranked`, the others those of
`detection.budgets`, scored as there. All is at the shipped level, one tick five minutes.
"""

import argparse
import sys
from collections.abc import Iterator
from typing import Final

import numpy as np

from detection import judging, playing, ranked, sets
from detection.budgets import recordings_of, told
from homeostat.detect.method_recurring import Config
from homeostat.detect.stack import StackConfig

SERIES: Final = 200
BEGINS: Final = (2000, 2700, 3400, 4100, 4800, 5500)
_ROWS, _LENGTH = 6000, 60
_SIGMAS: Final = (4.0, 8.0, 20.0)
BOTH: Final = {"stack": StackConfig(), "recurring": Config()}


def again(sigmas: float, seed: int = 11) -> list[sets.Recording]:
    """Return columns of independent noise that rise by so many deviations for an hour, again."""
    chance = np.random.default_rng(seed)
    values = chance.normal(0.0, 1.0, (SERIES, _ROWS))
    labels = np.zeros(_ROWS, dtype=bool)
    for begin in BEGINS:
        labels[begin : begin + _LENGTH] = True
    values[:, labels] += sigmas
    return [
        sets.made(f"again/{k}", sets.Read(None, row[:, None], labels))
        for k, row in enumerate(values)
    ]


def found_each_time(config: StackConfig, sigmas: float) -> tuple[list[float], float]:
    """Return the share of columns in which each occurrence is found, and false ones a day."""
    said = playing.played(again(sigmas), config=config)
    alarms = np.array([one.alarm for one in said])
    hit = [float(alarms[:, at : at + _LENGTH].any(axis=1).mean()) for at in BEGINS]
    for at in BEGINS:
        alarms[:, at : at + _LENGTH] = False
    return hit, float(alarms.sum() / (alarms.size * 300.0 / 86_400.0))


def scored(name: str, config: StackConfig) -> dict[str, float]:
    """Return a set's figures, by the names that `detection.budgets` gives them."""
    if name in ranked.sets():
        return ranked.judged(ranked.sets()[name](), config)
    recordings = recordings_of(name)
    said = playing.played(recordings, config=config)
    if name == "nab":
        names = [one.name for one in recordings]
        return judging.nab(names, [one.score for one in said], volume=False)
    return told(recordings, [one.alarm for one in said])


def lines(name: str) -> Iterator[list[str]]:
    """Yield a set's rows: what it is, the method, its figures."""
    for method, config in BOTH.items():
        if name != "again":
            figures = scored(name, config)
            yield [name, method, "; ".join(f"{key} {value:.3g}" for key, value in figures.items())]
            continue
        for sigmas in _SIGMAS:
            hits, false = found_each_time(config, sigmas)
            shares = " ".join(f"{one:.2f}" for one in hits)
            what = f"found, each time: {shares}; false a day {false:.3f}"
            yield [f"{name} by {sigmas:g} deviations", method, what]


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m detection.recurring")
    parser.add_argument("--sets", default="again,plain,bursty,crowded,made,nab,aiops_5min")
    for name in parser.parse_args().sets.split(","):
        for line in lines(name):
            print("| " + " | ".join(line) + " |", flush=True)


if __name__ == "__main__":
    try:
        main()
    except FileNotFoundError as error:
        sys.exit(f"recurring: {error}")
