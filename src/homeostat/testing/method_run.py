"""Feeds a method for the conformance kit, and keeps what it said."""

from typing import Any, Final

import numpy as np

from homeostat.detect.method import Method

COLUMNS: Final = 3
"""Columns of the kit's entities; a method that knows its columns must be made for so many."""


class Run:
    """One method, its state, and everything it said.

    Args:
        method: The method.
        entities: How many.
    """

    def __init__(self, method: Method, entities: int) -> None:
        self.method = method
        self.state = method.init(COLUMNS, entities=entities)
        self.said: list[Any] = []

    def tick(self, row: Any) -> Any:
        """Feed one tick, `[entity, column]`, and return what was said."""
        self.state, said = self.method.step(self.state, row, learn=True)
        self.said.append(said)
        return said

    def all(self, values: Any) -> "Run":
        """Feed ticks `[tick, entity, column]` and return itself."""
        for row in values:
            self.tick(row)
        return self

    def over_time(self, field: str) -> Any:
        """Return a field of all that was said, time first."""
        return np.array([getattr(said, field) for said in self.said])


def noise(ticks: int, entities: int, *, seed: int = 1) -> Any:
    """Return independent normal noise with mean 100 and deviation 1, `[tick, entity, column]`."""
    return 100.0 + np.random.default_rng(seed).standard_normal((ticks, entities, COLUMNS))
