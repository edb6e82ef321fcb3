"""Feeds a detector for the conformance kit, and takes states of any shape apart and together."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from homeostat.base.ports import Detector


class Subject(NamedTuple):
    """The detector under test.

    Attributes:
        name: For messages.
        make: Builds a new one.
    """

    name: str
    make: Callable[[], Detector[Any]]


class Said(NamedTuple):
    """One output, as NumPy arrays; see `DetectorOutput`."""

    neg_log10_p: Any
    low: Any
    high: Any
    alarm: Any


class Feed:
    """One detector, its state, and everything it said.

    Args:
        detector: The detector.
        series: Number of rows.
    """

    def __init__(self, detector: Detector[Any], series: int) -> None:
        self.detector = detector
        self.state = detector.init(np, series)
        self.said: list[Said] = []

    def tick(self, row: Any, *, learn: bool = True) -> Said:
        """Feed one tick."""
        mask = np.full(row.shape, learn)
        self.state, output = self.detector.step(np, self.state, row, mask)
        self.said.append(
            Said(output.neg_log10_p, output.low, output.high, output.alarm),
        )
        return self.said[-1]

    def all(self, values: Any) -> "Feed":
        """Feed ticks `[tick, series]` and return itself."""
        for row in values:
            self.tick(row)
        return self

    def scores(self) -> Any:
        """Return -log10 p, `[tick, series]`."""
        return np.array([said.neg_log10_p for said in self.said])

    def alarms(self) -> Any:
        """Return alarms, `[tick, series]`."""
        return np.array([said.alarm for said in self.said])


def noise(ticks: int, series: int, *, seed: int = 1) -> Any:
    """Return independent normal noise with mean 100 and deviation 1, `[tick, series]`."""
    return 100.0 + np.random.default_rng(seed).standard_normal((ticks, series))


def leaves(value: Any) -> list[Any]:
    """Return the arrays that a state or output is made of, in a fixed order.

    Raises:
        TypeError: It holds something that is neither an array nor a number.
    """
    children = _children(value)
    if children is not None:
        return [leaf for child in children for leaf in leaves(child)]
    if value is None:
        return []
    array = np.asarray(value)
    if array.dtype == object:
        raise TypeError(f"a state must be made of arrays and numbers, found {type(value).__name__}")
    return [array]


def rebuilt(like: Any, arrays: Iterator[Any]) -> Any:
    """Return a value shaped like `like`, made of these arrays."""
    children = _children(like)
    if children is None:
        return None if like is None else next(arrays)
    parts = [rebuilt(child, arrays) for child in children]
    if isinstance(like, dict):
        return dict(zip(sorted(like), parts, strict=True))
    if dataclasses.is_dataclass(like):
        names = [field.name for field in dataclasses.fields(like)]
        return type(like)(**dict(zip(names, parts, strict=True)))  # type: ignore[misc]
    return type(like)(*parts) if hasattr(like, "_fields") else type(like)(parts)


def _children(value: Any) -> list[Any] | None:
    """Return what a container holds, None for a leaf."""
    if isinstance(value, dict):
        return [value[key] for key in sorted(value)]
    if isinstance(value, tuple | list):
        return list(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name) for field in dataclasses.fields(value)]
    return None


def copied(value: Any) -> list[Any]:
    """Return copies of a value's arrays."""
    return [leaf.copy() for leaf in leaves(value)]


def same(left: Any, right: Any) -> bool:
    """Return whether two values are made of the same arrays, bit for bit."""
    ours, theirs = leaves(left), leaves(right)
    return len(ours) == len(theirs) and all(
        a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
        for a, b in zip(ours, theirs, strict=True)
    )
