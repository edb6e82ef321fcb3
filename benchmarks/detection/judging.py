"""Scores, by the scorer beside the data and by nothing of ours.

`adscore.py` is imported from its path. Numenta's score is taken at the threshold that is best on
the whole corpus (as its leaderboard does), at the shipped one (0.5), and at one chosen on the other
categories; events and VUS-PR as in its own report. No point adjustment anywhere.
"""

import importlib.util
import warnings
from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from detection.sets import SHARED, Recording, nab_root

SHIPPED = 0.5
_THRESHOLDS = 60


@cache
def scorer() -> ModuleType:
    """Return the scorer as a module.

    Raises:
        FileNotFoundError: It is not beside the data.
    """
    path = SHARED / "tools" / "adscore.py"
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
    corpus = _corpus(tuple(names))
    by_name = dict(zip(names, scores, strict=True))
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
    if volume:
        out["VUS-PR"] = float(
            np.mean([_volume(corpus, by_name, name) for name in names if corpus.wins[name]])
        )
    return {key: float(value) for key, value in out.items()}


def series(recordings: Sequence[Recording], scores: Sequence[Any]) -> dict[str, float]:
    """Return VUS-PR and the F1 of events (best threshold of each series), means over series."""
    judge = scorer()
    volumes, events = [], []
    for one, score in zip(recordings, scores, strict=True):
        labels = np.asarray(one.labels, dtype=bool)
        volumes.append(judge.vus_pr(labels, score))
        events.append(_best_f1(judge, labels, np.asarray(score)))
    return {"VUS-PR": float(np.nanmean(volumes)), "event F1": float(np.mean(events))}


def _corpus(names: tuple[str, ...]) -> Any:
    """Return the corpus; of some files only, if some were asked for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the scorer leaves closing to Python
        corpus = scorer().Corpus(str(nab_root()))
    corpus.files = [name for name in corpus.files if name in names]
    corpus.nwin = sum(len(corpus.wins[name]) for name in corpus.files)
    return corpus


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
    found = false = known = 0
    days = 0.0
    for name in corpus.files:
        live = corpus.arr[name][2]
        hits, _, wrong = scorer().events(scores[name] >= threshold, corpus.wins[name], live)
        false += wrong
        days += corpus.minutes[name] / 1440.0 * live.mean()
        known += sum(hit is not None for hit in hits)
        found += sum(bool(hit) for hit in hits)
    precision, recall = found / max(found + false, 1), found / max(known, 1)
    return {
        "event F1": 2.0 * found / max(found + false + known, 1),
        "precision": precision,
        "recall": recall,
        "false a day": false / days,
    }


def _volume(corpus: Any, scores: dict[str, Any], name: str) -> float:
    _, window, live = corpus.arr[name]
    return float(scorer().vus_pr((window >= 0)[live], scores[name][live]))


def _best_f1(judge: ModuleType, labels: Any, score: Any) -> float:
    """Return the best F1 of events over the thresholds that the scorer's `series` tries."""
    best = 0.0
    live = np.ones(len(score), dtype=bool)
    ranges = judge.ranges(labels)
    for threshold in np.unique(np.quantile(score, 1.0 - np.logspace(-4.0, -0.3, _THRESHOLDS))):
        hits, _, false = judge.events(score >= threshold, ranges, live)
        found = sum(bool(hit) for hit in hits)
        best = max(best, 2.0 * found / max(found + false + len(hits), 1))
    return best
