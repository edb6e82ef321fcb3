"""Scores, by the scorer beside the data and by nothing of ours.

`adscore.py` is imported from its path. Numenta's score is taken at the threshold that is best on
the whole corpus (as its leaderboard does), at the shipped one (0.5), and at one chosen on the other
categories; events and VUS-PR as in its own report. No point adjustment anywhere.
"""

import copy
import importlib.util
import warnings
from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from detection import sets
from detection.sets import Recording, nab_root

SHIPPED = 0.5
_THRESHOLDS = 60


@cache
def scorer() -> ModuleType:
    """Return the scorer as a module.

    Raises:
        FileNotFoundError: It is not beside the data.
    """
    path = sets.SHARED / "tools" / "adscore.py"
    spec = importlib.util.spec_from_file_location("adscore", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"{path}: the scorer is not there; put it beside the data")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def nab(
    names: Sequence[str], scores: Sequence[Any], *, volume: bool = True, alarms: bool = True
) -> dict[str, float]:
    """Return the figures of the Numenta benchmark, of all its files or of some.

    Args:
        names: The files.
        scores: In [0, 1], a row each.
        volume: Work out VUS-PR as well, which takes the longest.
        alarms: 0.5 is the detector's own line. Else it has none, and its events are judged at the
            threshold that is best for it.
    """
    by_name = dict(zip(names, scores, strict=True))
    out = of_corpus(corpus_of(tuple(names)), by_name, alarms=alarms)
    if volume:
        out["VUS-PR"] = float(np.nanmean(volumes(names, scores)))
    return out


def of_corpus(corpus: Any, by_name: dict[str, Any], *, alarms: bool = True) -> dict[str, float]:
    """Return the figures of a corpus as the scorer has it, without VUS-PR.

    Args:
        corpus: Its files with their windows.
        by_name: Scores in [0, 1] of each file, a row each.
        alarms: As for `nab`.
    """
    out: dict[str, float] = {}
    for profile, key in (("standard", "standard"), ("reward_low_FP_rate", "low false alarms")):
        thresholds, raw, null = corpus.sweep(by_name, profile)
        best = int(np.argmax(raw))
        out[key] = corpus.norm(raw[best], null, profile)
        if profile == "standard":
            out["best threshold"] = float(thresholds[best])
    out["one category out"] = _one_out(corpus, by_name)
    if alarms:
        raw, null = corpus.at(by_name, "standard", SHIPPED)
        out["shipped threshold"] = corpus.norm(raw, null, "standard")
    out |= _events(corpus, by_name, SHIPPED if alarms else out["best threshold"])
    return {key: float(value) for key, value in out.items()}


def volumes(names: Sequence[str], scores: Sequence[Any]) -> Any:
    """Return VUS-PR of each of Numenta's files, NaN where one has no window."""
    corpus = corpus_of(tuple(names))
    by_name = dict(zip(names, scores, strict=True))
    each = [_volume(corpus, by_name, name) if corpus.wins[name] else float("nan") for name in names]
    return np.array(each)


def series(recordings: Sequence[Recording], scores: Sequence[Any]) -> dict[str, float]:
    """Return VUS-PR and the F1 of events (best threshold of each series), means over series."""
    each = each_series(recordings, scores)
    return {key: float(np.nanmean(values)) for key, values in each.items()}


def each_series(
    recordings: Sequence[Recording], scores: Sequence[Any], *, volume: bool = True
) -> dict[str, Any]:
    """Return the same of each series, float `[series]`; without VUS-PR if it is not wanted."""
    judge = scorer()
    known = [np.asarray(one.labels, dtype=bool) for one in recordings]
    out = {
        "event F1": np.array([
            best_f1(labels, np.asarray(score)) for labels, score in zip(known, scores, strict=True)
        ])
    }
    if volume:
        pairs = zip(known, scores, strict=True)
        out["VUS-PR"] = np.array([judge.vus_pr(labels, score) for labels, score in pairs])
    return out


def ranges(recordings: Sequence[Recording]) -> list[list[tuple[int, int]]]:
    """Return the labelled rows of each recording, first and last; Numenta's are its windows."""
    labelled = [scorer().ranges(one.labels) for one in recordings]
    if any(labelled) or not all(one.name.endswith(".csv") for one in recordings):
        return labelled
    corpus = corpus_of(tuple(one.name for one in recordings))
    return [list(corpus.wins[one.name]) for one in recordings]


def corpus_of(names: tuple[str, ...]) -> Any:
    """Return the corpus; of some files only, if some were asked for."""
    corpus = copy.copy(_whole(str(nab_root())))
    corpus.files = [name for name in corpus.files if name in names]
    corpus.nwin = sum(len(corpus.wins[name]) for name in corpus.files)
    return corpus


@cache
def _whole(root: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the scorer leaves closing to Python
        return scorer().Corpus(root)


def _one_out(corpus: Any, scores: dict[str, Any]) -> float:
    """Return the score with the threshold of each category chosen on the other ones."""
    total = worst = 0.0
    kinds = sorted({name.split("/")[0] for name in corpus.files})
    for kind in kinds:
        others = [name for name in corpus.files if not name.startswith(kind + "/")]
        own = [name for name in corpus.files if name.startswith(kind + "/")]
        if not others:
            return float("nan")
        thresholds, raw, _ = corpus.sweep(scores, "standard", others)
        got, null = corpus.at(scores, "standard", thresholds[int(np.argmax(raw))], own)
        total, worst = total + got, worst + null
    return float(corpus.norm(total, worst, "standard"))


def _events(corpus: Any, scores: dict[str, Any], threshold: float) -> dict[str, float]:
    found, false, known, days = np.sum(
        [events(corpus, scores, name, threshold) for name in corpus.files], axis=0
    )
    precision, recall = found / max(found + false, 1), found / max(known, 1)
    return {
        "event F1": 2.0 * found / max(found + false + known, 1),
        "precision": precision,
        "recall": recall,
        "false a day": false / days,
    }


def events(
    corpus: Any, scores: dict[str, Any], name: str, threshold: float
) -> tuple[int, int, int, float]:
    """Return of one file the events found, false episodes, events, and days that are judged."""
    live = corpus.arr[name][2]
    hits, _, wrong = scorer().events(scores[name] >= threshold, corpus.wins[name], live)
    days = corpus.minutes[name] / 1440.0 * live.mean()
    return sum(bool(hit) for hit in hits), wrong, sum(hit is not None for hit in hits), days


def _volume(corpus: Any, scores: dict[str, Any], name: str) -> float:
    _, window, live = corpus.arr[name]
    return float(scorer().vus_pr((window >= 0)[live], scores[name][live]))


def best_f1(labels: Any, score: Any) -> float:
    """Return the best F1 of events over the thresholds that the scorer's `series` tries."""
    best, judge = 0.0, scorer()
    live = np.ones(len(score), dtype=bool)
    ranges = judge.ranges(labels)
    for threshold in np.unique(np.quantile(score, 1.0 - np.logspace(-4.0, -0.3, _THRESHOLDS))):
        hits, _, false = judge.events(score >= threshold, ranges, live)
        found = sum(bool(hit) for hit in hits)
        best = max(best, 2.0 * found / max(found + false + len(hits), 1))
    return best
