"""How well the shipped stack ranks made-up recordings, beside its settings before decision 63.

`python -m detection.ranked` plays four made-up sets and prints, of the settings before and as
shipped: of long series VUS-PR and event F1 (best threshold of each), means over series; of
recordings as short as Numenta's, its scores and event F1 at the shipped threshold, with windows
around onsets of a tenth of a recording, one family of recordings left out in turn as a category.
By names it plays some sets alone: `python -m detection.ranked bursty plain`. No public set is read.
"""

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from detection import judging, synthetic, synthetic_bursty, synthetic_key_figures
from detection.synthetic import Recording
from detection.synthetic_many import Entity
from homeostat.detect import stack, stack_incident
from homeostat.detect.stack_play import play

_PROBATION: Final = 0.15
_LONGEST: Final = 5000  # ticks of which that share is not scored
_WINDOW: Final = 0.1
_CROWDED_LEARNT: Final = 1500


class Set(NamedTuple):
    """A made-up set side by side.

    Attributes:
        values: Float `[time, series, column]`, NaN after a series' end.
        labels: Bool `[time, series]`.
        first: First tick of each series that is scored.
        ends: Ticks of each.
        families: What each is, for the score that leaves one out; empty where none is.
    """

    values: Any
    labels: Any
    first: Any
    ends: Any
    families: tuple[str, ...] = ()


def before() -> stack.StackConfig:
    """Return the settings before decision 63."""
    return stack.StackConfig(
        incident=stack_incident.Config(start=2.6, stay=1.7, quiet=30),
        hint=stack_incident.Config(start=2.0, stay=1.7, quiet=30),
        seldom=float("inf"),
    )


def sets() -> dict[str, Callable[[], Set]]:
    """Return the sets by name, to be made when they are wanted."""
    return {
        "keys": lambda: _entities(synthetic_key_figures.key_figures(24, seed=31, ticks=12_000)),
        "crowded": lambda: _crowded(synthetic.recordings(24, seed=41, crowded=True)),
        "plain": lambda: _short(synthetic.recordings(48, seed=42)),
        "bursty": lambda: _short(synthetic_bursty.bursty(48, seed=51)),
    }


def judged(made: Set, config: stack.StackConfig) -> dict[str, float]:
    """Return what the scores of a stack with these settings are worth on a set."""
    said = play(stack.Stack(config), made.values).said
    scores = np.nan_to_num(said.anomaly_score)
    return _as_numenta(made, scores) if made.families else _each(made, scores)


def _each(made: Set, scores: Any) -> dict[str, float]:
    found = []
    for number, (first, end) in enumerate(zip(made.first, made.ends, strict=True)):
        labels, score = made.labels[first:end, number], scores[first:end, number]
        if labels.any():
            volume = judging.scorer().vus_pr(labels, score)
            found.append((volume, judging.best_f1(labels, score)))
    volume, best = np.mean(found, axis=0)
    return {"VUS-PR": float(volume), "event F1": float(best)}


def _as_numenta(made: Set, scores: Any) -> dict[str, float]:
    corpus = judging.scorer().Corpus.__new__(judging.scorer().Corpus)
    corpus.files, corpus.n, corpus.wins, corpus.arr = [], {}, {}, {}
    by_name = {}
    for number, (family, ticks) in enumerate(zip(made.families, made.ends, strict=True)):
        name, end = f"{family}/{number}", int(ticks)
        corpus.files.append(name)
        corpus.n[name] = end
        corpus.wins[name] = _windows(judging.scorer().ranges(made.labels[:end, number]), end)
        corpus.arr[name] = judging.scorer().nab_arrays(end, corpus.wins[name])
        by_name[name] = scores[:end, number]
    corpus.nwin = sum(map(len, corpus.wins.values()))
    corpus.minutes = {name: 5.0 * count for name, count in corpus.n.items()}
    return judging.of_corpus(corpus, by_name)


def _windows(events: Any, ticks: int) -> list[tuple[int, int]]:
    reach = max(int(_WINDOW * ticks / max(len(events), 1)) // 2, 3)
    out: list[tuple[int, int]] = []
    for begin, _ in events:
        first = max(begin - reach, out[-1][1] + 1 if out else 0)
        last = min(begin + reach, ticks - 1)
        if last > first:
            out.append((first, last))
    return out


def _entities(made: list[Entity]) -> Set:
    ends = np.array([len(one.values) for one in made])
    return Set(
        values=np.stack([one.values for one in made], axis=1),
        labels=np.stack([one.labels for one in made], axis=1),
        first=np.array([one.trained for one in made]),
        ends=ends,
    )


def _crowded(made: list[Recording]) -> Set:
    return _series(made)._replace(first=np.full(len(made), _CROWDED_LEARNT))


def _short(made: list[Recording]) -> Set:
    return _series(made)._replace(families=tuple(one.name.partition("/")[0] for one in made))


def _series(made: list[Recording]) -> Set:
    ends = np.array([len(one.values) for one in made])
    values = np.full((int(ends.max()), len(made), 1), np.nan)
    labels = np.zeros(values.shape[:2], dtype=bool)
    for number, one in enumerate(made):
        values[: len(one.values), number, 0] = one.values
        for begin, end in one.events:
            labels[begin : end + 1, number] = True
    first = np.minimum(_PROBATION * ends, _PROBATION * _LONGEST).astype(int)
    return Set(values=values, labels=labels, first=first, ends=ends)


def said(found: Mapping[str, float]) -> str:
    """Return figures in words."""
    return ", ".join(f"{what} {value:.3g}" for what, value in found.items())


def main() -> None:
    """Print what was asked for, or all."""
    every = sets()
    for name in sys.argv[1:] or every:
        made = every[name]()
        for when, config in (("before", before()), ("shipped", stack.StackConfig())):
            print(f"{name}, {when}: {said(judged(made, config))}", flush=True)


if __name__ == "__main__":
    main()
