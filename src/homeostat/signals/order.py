"""The order of a frame's series: what is derived, counted and read back, in one sorted list."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.base.evidence import SeriesKey
from homeostat.signals.derive import Derived
from homeostat.signals.plan import Plan
from homeostat.signals.quality import Codes, Floats, Ints

_ORDER: Final = attrgetter("deployment", "subject", "signal")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Order:
    """The order of a frame's series; worked out again when there are others.

    Attributes:
        given: The series as they are found: derived ones, probe failures, what read-back proves.
        keys: The same, sorted.
        places: Where in `given` each of them is. `[series]`
    """

    given: tuple[SeriesKey, ...]
    keys: tuple[SeriesKey, ...]
    places: Ints


class Rows(NamedTuple):
    """Series of a frame as columns."""

    keys: list[SeriesKey]
    value: list[float]
    age_ns: list[int]
    samples: list[float]
    code: list[int]


def unsorted() -> Order:
    """Return the order before any series."""
    return Order(given=(), keys=(), places=np.zeros(0, dtype=np.int64))


def merged(
    order: Order, layout: Plan, found: Derived, *more: Rows
) -> tuple[Order, tuple[Floats, Ints, Floats, Codes]]:
    """Return the order of all series, and values, ages, samples and qualities in it."""
    given = (*layout.keys, *(key for rows in more for key in rows.keys))
    if given != order.given:
        names = list(map(_ORDER, given))
        places = sorted(range(len(given)), key=names.__getitem__)
        order = Order(
            given=given,
            keys=tuple([given[row] for row in places]),
            places=np.array(places, dtype=np.int64),
        )
    at = order.places
    return order, (
        _joined(found.value, [rows.value for rows in more])[at],
        _joined(found.age_ns, [rows.age_ns for rows in more])[at],
        _joined(found.samples, [rows.samples for rows in more])[at],
        _joined(found.code, [rows.code for rows in more])[at],
    )


def _joined(first: Any, more: Sequence[Sequence[float]]) -> Any:
    return np.concatenate([first, *(np.array(part, dtype=first.dtype) for part in more)])


def ordered(order: Order, derived: Floats, rest: float) -> Floats:
    """Return what only derived series have, in the frame's order."""
    out: Floats = np.append(derived, np.full(len(order.given) - len(derived), rest))
    return out[order.places]
