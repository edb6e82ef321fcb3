"""Joining labels to predictions by id: late, repeated, contradictory and partial ones.

Predictions come from the servers' own record, labels from outside; neither is trusted to come
once, in order, or at all. What is known at a time does not depend on the order of arrival. It
carries its coverage and its age, and without labels it is None: unknown, never good.

Not here: how much labelled traffic a judgement needs, and whether the labelled part is a fair
sample of the rest (delays often differ by outcome; compare coverage over groups before trusting).
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import Final

from homeostat.base.units import MINUTE, TimeNs

_THRESHOLD: Final = 0.5  # a probability at or above it says 1
_NAMED_MAX: Final = 20  # conflicts that are named; all are counted
# Trimming sorts; doing it once per this share above the limit keeps it cheap on average.
_SLACK: Final = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionSeen:
    """One prediction, as the server that made it recorded it.

    Attributes:
        id: Unique over servers and restarts.
        prediction: Probability of label 1; None or not finite = the model gave no number.
        at: When it was made.
        pool: Whose replica made it; empty = not known.
    """

    id: str
    prediction: float | None
    at: TimeNs
    pool: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSeen:
    """What turned out to be true.

    Attributes:
        id: The prediction's id.
        label: 0 or 1.
        at: When it became known.
    """

    id: str
    label: int
    at: TimeNs


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelQuality:
    """How good the predictions of one window were, as far as labels tell.

    Attributes:
        accuracy: Right / labelled; None without labels.
        brier: Mean squared distance of probability and label (0 perfect, 0.25 a coin, 1 always
            surely wrong); None without labels. No number counts as surely wrong. Source: Brier,
            "Verification of forecasts expressed in terms of probability", Monthly Weather Review
            78 (1950).
        calibration_error: Expected calibration error over ten equal bins of the probability;
            None without labels that have a number to compare with.
        coverage: Labelled / predictions of the window; None without predictions.
        age_ns: Since the newest labelled prediction was made; None without labels.
        n: Labelled predictions; contradicted ones are not among them.
        predictions: Predictions of the window.
        conflicts: Ids in the window that got two different labels, or two different predictions.
        conflicting: The first few of them, sorted.
    """

    accuracy: float | None
    brier: float | None
    calibration_error: float | None
    coverage: float | None
    age_ns: int | None
    n: int
    predictions: int
    conflicts: int
    conflicting: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What became of one batch of labels, for whoever sent it.

    Attributes:
        joined: First labels of known predictions.
        waiting: Labels of predictions that are not known (yet).
        repeated: Said again what was known.
        conflicting: Said something else than before; the prediction no longer counts.
        refused: Not 0 or 1.
    """

    joined: int = 0
    waiting: int = 0
    repeated: int = 0
    conflicting: int = 0
    refused: int = 0


@dataclass(slots=True)
class _Row:
    """All that is known of one id; `None` = not yet."""

    made_at: int = 0
    prediction: float | None = None
    pool: str = ""
    label: int | None = None
    known_at: int = 0
    contradicted: bool = False


@dataclass(slots=True, kw_only=True)
class LabelJoin:
    """The state of the join; a value that its owner changes through the methods only.

    Attributes:
        horizon_ns: Predictions older than this are no longer part of the window.
        capacity: Predictions that are kept, and as many labels that wait for theirs; beyond it
            the oldest are forgotten. About 250 bytes each.
        forgotten: How many were forgotten for want of room.
        told: Predictions whose label ever became known, each counted once.
        right: Those of them that were right; what is contradicted later has been counted.
        by_pool: The same two of each pool's predictions, (told, right).
    """

    horizon_ns: int = 10 * MINUTE
    capacity: int = 50_000
    forgotten: int = 0
    told: int = 0
    right: int = 0
    by_pool: dict[str, tuple[int, int]] = field(default_factory=dict)
    _known: dict[str, _Row] = field(default_factory=dict)
    _waiting: dict[str, _Row] = field(default_factory=dict)  # a label without a prediction

    def __post_init__(self) -> None:
        """Refuse a join that could hold nothing.

        Raises:
            ValueError: The horizon or the capacity is not positive.
        """
        if self.horizon_ns <= 0 or self.capacity <= 0:
            raise ValueError(
                f"need a positive horizon and capacity, got {self.horizon_ns} ns, {self.capacity}"
            )

    def add_predictions(self, seen: Iterable[PredictionSeen]) -> int:
        """Take predictions; return how many were new."""
        before = len(self._known)
        for one in seen:
            value = _number(one.prediction)
            row = self._known.get(one.id)
            if row is None:
                row = self._known[one.id] = self._waiting.pop(one.id, _Row())
                row.made_at, row.prediction, row.pool = one.at, value, one.pool
                self._count(row)
            else:
                row.contradicted |= row.prediction != value
                row.made_at = min(row.made_at, one.at)
        new = len(self._known) - before
        self.forgotten += _trim(self._known, self.capacity, lambda row: row.made_at)
        return new

    def add_labels(self, seen: Iterable[LabelSeen]) -> Joined:
        """Take labels, in any order, with repetitions; say what became of them."""
        counts = dict.fromkeys(("joined", "waiting", "repeated", "conflicting", "refused"), 0)
        for one in seen:
            counts[self._take(one)] += 1
        self.forgotten += _trim(self._waiting, self.capacity, lambda row: row.known_at)
        return Joined(**counts)

    def _take(self, one: LabelSeen) -> str:
        if one.label not in {0, 1}:
            return "refused"
        row = self._known.get(one.id)
        is_known = row is not None
        if row is None:
            row = self._waiting.setdefault(one.id, _Row())
        if row.label is None:
            row.label, row.known_at = int(one.label), one.at
            if is_known:
                self._count(row)
            return "joined" if is_known else "waiting"
        row.known_at = min(row.known_at, one.at)
        if row.label != one.label:
            row.contradicted = True
            return "conflicting"
        return "repeated"

    def _count(self, row: _Row) -> None:
        """Count a prediction of which both sides are known now, unless they contradict."""
        if row.label is not None and not row.contradicted:
            right = int(_right(row))
            self.told += 1
            self.right += right
            told, well = self.by_pool.get(row.pool, (0, 0))
            self.by_pool[row.pool] = told + 1, well + right

    def forget(self, now: TimeNs) -> None:
        """Drop what can no longer be part of a window; keeps `window` quick between rounds."""
        start = now - self.horizon_ns
        self._known = {k: row for k, row in self._known.items() if row.made_at > start}
        self._waiting = {k: row for k, row in self._waiting.items() if row.known_at > start}

    def window(self, now: TimeNs) -> LabelQuality:
        """Return the quality of the predictions made in the last `horizon_ns` before `now`."""
        start = now - self.horizon_ns
        rows = {name: row for name, row in self._known.items() if start < row.made_at <= now}
        bad = sorted(name for name, row in rows.items() if row.contradicted)
        known = [row for row in rows.values() if row.label is not None and not row.contradicted]
        newest = max((row.made_at for row in known), default=None)
        return LabelQuality(
            accuracy=_mean(_right(row) for row in known),
            brier=_mean(_distance(row) for row in known),
            calibration_error=_calibration_error(known),
            coverage=len(known) / len(rows) if rows else None,
            age_ns=None if newest is None else now - newest,
            n=len(known),
            predictions=len(rows),
            conflicts=len(bad),
            conflicting=tuple(bad[:_NAMED_MAX]),
        )


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _right(row: _Row) -> float:
    if row.prediction is None:
        return 0.0
    return float((row.prediction >= _THRESHOLD) == bool(row.label))


def _distance(row: _Row) -> float:
    if row.prediction is None or row.label is None:
        return 1.0
    return (row.prediction - row.label) ** 2


def _calibration_error(rows: Iterable[_Row], bins: int = 10) -> float | None:
    """Return the mean gap between said and true frequency, weighted by how often it was said.

    Source: Naeini, Cooper, Hauskrecht, "Obtaining well calibrated probabilities using Bayesian
    binning", AAAI 2015, eq. 1. Compares sums, so that the mean within a bin need not be taken.
    """
    gaps: list[list[float]] = [[] for _ in range(bins)]
    for said, label in _said(rows):
        gaps[min(bins - 1, int(said * bins))].append(said - label)
    count = sum(map(len, gaps))
    return math.fsum(abs(math.fsum(gap)) for gap in gaps) / count if count else None


def _trim(rows: dict[str, _Row], capacity: int, age: Callable[[_Row], int]) -> int:
    """Forget the oldest rows above the capacity (ties by name); return how many."""
    excess = len(rows) - capacity
    if excess <= capacity * _SLACK:
        return 0
    for name in nsmallest(excess, rows, key=lambda name: (age(rows[name]), name)):
        del rows[name]
    return excess


def _said(rows: Iterable[_Row]) -> Iterator[tuple[float, int]]:
    for row in rows:
        if row.prediction is not None and row.label is not None:
            yield min(1.0, max(0.0, row.prediction)), row.label


def _mean(values: Iterable[float]) -> float | None:
    """Return the exact mean (the order of arrival must not show), None of nothing."""
    listed = list(values)
    return math.fsum(listed) / len(listed) if listed else None
