"""The labelled rows that a trainer has: taken from whoever may teach it, bounded, each once.

A row that is none is refused by itself; the others of its batch are kept. What is out of range
here would move a fit, so nothing is repaired.
"""

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from homeostat.demo.refit import Rows

KEPT: Final = 20_000  # five minutes of the demo's load, all of it labelled
BATCH_MAX: Final = 1_000
_NAME_MAX: Final = 200
_LARGEST: Final = 1e9  # of an input; the largest feature here is a yearly income
_AHEAD_S: Final = 5.0  # by so much the clock of whoever tells may be ahead
_KEYS: Final = frozenset({"prediction_id", "label", "at", "known_at", "features"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One prediction whose truth is known.

    Attributes:
        prediction_id: As the model server named it.
        label: The truth, 1 or 0.
        at: When it was asked for, epoch seconds.
        known_at: When the truth became known, epoch seconds.
        features: Its inputs.
    """

    prediction_id: str
    label: int
    at: float
    known_at: float
    features: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of a batch.

    Attributes:
        taken: Rows that are new.
        known: Rows whose prediction was told before; the first one counts.
        refused: Rows that are none.
        why: What is wrong with the first of them.
    """

    taken: int
    known: int
    refused: int
    why: str = ""


class RowStore:
    """The newest rows, by prediction."""

    def __init__(self, width: int, clock: Callable[[], float] = time.time) -> None:
        """Begin without any.

        Args:
            width: Features of a row.
            clock: Epoch seconds.
        """
        self._width, self._clock = width, clock
        self._rows: dict[str, Row] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._rows)

    def take(self, batch: Any) -> Taken:
        """Keep the rows of a batch, the oldest ones making room.

        Raises:
            ValueError: It is no list of at most `BATCH_MAX` rows.
        """
        if not isinstance(batch, list) or len(batch) > BATCH_MAX:
            raise ValueError(f"rows must be a list of at most {BATCH_MAX}")
        known, refused = 0, []
        good: list[Row] = []
        for plain in batch:
            try:
                good.append(row_of(plain, self._width, self._clock()))
            except ValueError as error:
                refused.append(str(error))
        with self._lock:
            for row in good:
                known += row.prediction_id in self._rows
                self._rows.setdefault(row.prediction_id, row)
            while len(self._rows) > KEPT:
                del self._rows[next(iter(self._rows))]
        return Taken(
            taken=len(good) - known,
            known=known,
            refused=len(refused),
            why=refused[0] if refused else "",
        )

    def window(self, start: float, end: float) -> Rows:
        """Return the rows that were asked about in a time (from `start` on, before `end`)."""
        with self._lock:
            found = [row for row in self._rows.values() if start <= row.at < end]
        return Rows(
            inputs=np.array([row.features for row in found], dtype=np.float64).reshape(
                len(found), self._width
            ),
            labels=np.array([row.label for row in found], dtype=np.int64),
            at=np.array([row.at for row in found], dtype=np.float64),
        )


def row_of(plain: Any, width: int, now: float) -> Row:
    """Return one row as it was told.

    Args:
        plain: Decoded JSON.
        width: Features of a row.
        now: Epoch seconds.

    Raises:
        ValueError: It is none; says what is wrong.
    """
    if not isinstance(plain, Mapping) or set(plain) != _KEYS:
        raise ValueError(f"a row is an object with {', '.join(sorted(_KEYS))}")
    name, label = plain["prediction_id"], plain["label"]
    if not isinstance(name, str) or not 0 < len(name) <= _NAME_MAX:
        raise ValueError(f"prediction_id must be a text of 1 to {_NAME_MAX} characters")
    if type(label) is not int or label not in {0, 1}:
        raise ValueError(f"label must be 0 or 1, got {_short(label)}")
    at, known_at = _number("at", plain["at"]), _number("known_at", plain["known_at"])
    if not at <= known_at <= now + _AHEAD_S:
        raise ValueError("needs at <= known_at, and neither ahead of now")
    features = plain["features"]
    if not isinstance(features, list) or len(features) != width:
        raise ValueError(f"features must be a list of {width} numbers")
    values = tuple(_number("a feature", value) for value in features)
    if max(map(abs, values)) > _LARGEST:
        raise ValueError(f"a feature is beyond {_LARGEST:g}")
    return Row(prediction_id=name, label=label, at=at, known_at=known_at, features=values)


def _number(name: str, value: Any) -> float:
    # A whole number too large for a float is no number here either.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} must be a number, got {_short(value)}")  # noqa: TRY004 - of text
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} must be a finite number, got {_short(value)}")
    return number


def _short(value: Any) -> str:
    return repr(value)[:40]
