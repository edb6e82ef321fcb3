"""Histograms as plain counts: one value at a time, or rows of many columns at a time.

Buckets follow Prometheus: bucket `i` counts values at or below `edges[i]`, the last one the rest.
A value that is not finite belongs to no bucket and is counted as invalid. Nothing here knows of
metric names or locks; see `monitor`.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import pairwise
from types import ModuleType
from typing import Any, Final, Protocol

np: ModuleType | None
try:
    import numpy as np
except ImportError:  # numpy is used where it is there; it is not a dependency
    np = None

# Bounds the table of comparisons to 512 rows x 10 edges x 64 columns = 320 kB.
_CHUNK_ROWS: Final = 512
# Learnt edges are the nine deciles: ten buckets of equal weight, which is what a
# population-stability index is usually computed over.
_BUCKETS: Final = 10


class Histogram:
    """One histogram with fixed edges.

    Attributes:
        edges: Upper bounds, strictly ascending.
        counts: Values per bucket; one more than there are edges.
        total: Sum of the counted values.
        invalid: Values that were NaN or infinite.

    >>> h = Histogram([1.0, 2.0])
    >>> for value in (0.5, 1.0, 3.0, float("nan")):
    ...     h.add(value)
    >>> h.counts, h.total, h.invalid
    ([2, 0, 1], 4.5, 1)
    """

    __slots__ = ("counts", "edges", "invalid", "total")

    def __init__(self, edges: Iterable[float]) -> None:
        self.edges = checked_edges(edges)
        self.counts = [0] * (len(self.edges) + 1)
        self.total = 0.0
        self.invalid = 0

    def add(self, value: float) -> None:
        """Count one value; bools, ints and numpy scalars are fine."""
        if value - value != 0.0:  # NaN or infinite; cheaper than isfinite
            self.invalid += 1
            return
        self.counts[bisect_left(self.edges, value)] += 1
        self.total += value


class Columns(Protocol):
    """One histogram per column, fed with whole rows."""

    def add_rows(self, rows: Any) -> None:
        """Count every value of every row.

        Raises:
            ValueError: A row does not have one value per column; nothing was counted.
        """
        ...

    def read(self, column: int) -> tuple[Sequence[float], Sequence[int], float, int]:
        """Return (edges, counts per bucket, sum, invalid values) of one column."""
        ...


class NumpyColumns:
    """`Columns` on numpy arrays: a whole batch in a handful of array operations."""

    def __init__(self, edges: Sequence[Sequence[float]], np: ModuleType) -> None:
        """Take one ascending sequence of edges per column (lengths may differ), and numpy."""
        self._np = np
        self._edges = [checked_edges(one) for one in edges]
        depth = max(map(len, self._edges), default=0)
        padded = [one + [math.inf] * (depth - len(one)) for one in self._edges]
        self._table = np.ascontiguousarray(np.array(padded, dtype=np.float64).T)
        self._stride = depth + 2  # one bucket per edge, the rest, and the invalid ones
        self._base = np.arange(len(padded), dtype=np.intp) * self._stride
        self._invalid = self._base + depth + 1
        self._counts = np.zeros(len(padded) * self._stride, dtype=np.int64)
        self._sums = np.zeros(len(padded), dtype=np.float64)

    def add_rows(self, rows: Any) -> None:
        """Count every value of every row.

        Raises:
            ValueError: A row does not have one value per column; nothing was counted.
        """
        table = self._np.asarray(rows, dtype=self._np.float64)
        if table.ndim == 1:
            table = table.reshape(1, -1)
        if table.ndim != 2 or table.shape[1] != len(self._base):  # noqa: PLR2004 - rows, columns
            raise ValueError(f"expected rows of {len(self._base)} values, got shape {table.shape}")
        for start in range(0, len(table), _CHUNK_ROWS):
            self._add(table[start : start + _CHUNK_ROWS])

    def _add(self, table: Any) -> None:
        np = self._np
        with np.errstate(over="ignore", invalid="ignore"):
            sums = table.sum(axis=0)
        if len(table) == 1:
            slots = (table > self._table).sum(axis=0) + self._base
        else:
            slots = (table[:, None, :] > self._table).sum(axis=1) + self._base
        if not np.isfinite(sums).all():  # some value is NaN or infinite, or a sum overflowed
            finite = np.isfinite(table)
            slots = np.where(finite, slots, self._invalid)
            with np.errstate(over="ignore"):
                sums = np.where(finite, table, 0.0).sum(axis=0)
        if len(table) == 1:
            self._counts[slots] += 1  # one slot per column: no index occurs twice
        else:
            self._counts += np.bincount(slots.reshape(-1), minlength=len(self._counts))
        self._sums += sums

    def read(self, column: int) -> tuple[Sequence[float], Sequence[int], float, int]:
        """See `Columns`."""
        edges = self._edges[column]
        start = column * self._stride
        counts = self._counts[start : start + self._stride].tolist()
        # Padded edges are +inf, which no finite value exceeds: buckets in between stay empty.
        return edges, counts[: len(edges) + 1], float(self._sums[column]), counts[-1]


class BisectColumns:
    """`Columns` on the standard library alone."""

    def __init__(self, edges: Sequence[Sequence[float]]) -> None:
        """Take one ascending sequence of edges per column; lengths may differ."""
        self._columns = [Histogram(one) for one in edges]

    def add_rows(self, rows: Any) -> None:
        """Count every value of every row.

        Raises:
            ValueError: A row does not have one value per column; nothing was counted.
        """
        table = as_rows(rows)
        width = len(self._columns)
        for row in table:
            if len(row) != width:
                raise ValueError(f"expected rows of {width} values, got one of {len(row)}")
        for row in table:
            for histogram, value in zip(self._columns, row, strict=True):
                histogram.add(value)

    def read(self, column: int) -> tuple[Sequence[float], Sequence[int], float, int]:
        """See `Columns`."""
        one = self._columns[column]
        return one.edges, one.counts, one.total, one.invalid


def columns(edges: Sequence[Sequence[float]]) -> Columns:
    """Return one histogram per column, on numpy if it can be imported."""
    return BisectColumns(edges) if np is None else NumpyColumns(edges, np)


def backend() -> str:
    """Return `numpy` or `bisect`: what `columns` builds on here."""
    return "bisect" if np is None else "numpy"


def as_rows(rows: Any) -> list[list[float]]:
    """Return a row, or a sequence of rows, as lists of floats; a missing value becomes NaN."""
    plain = rows.tolist() if hasattr(rows, "tolist") else list(rows)
    if plain and not hasattr(plain[0], "__len__"):
        plain = [plain]
    return [as_floats(row) for row in plain]


def as_floats(values: Any) -> list[float]:
    """Return one row as a list of floats; a missing value becomes NaN.

    >>> as_floats([1, None, True])
    [1.0, nan, 1.0]
    """
    plain = values.tolist() if hasattr(values, "tolist") else values
    return [math.nan if value is None else float(value) for value in plain]


def checked_edges(edges: Iterable[float]) -> list[float]:
    """Return the edges as a list.

    Raises:
        ValueError: They are not finite and strictly ascending, or there are none.
    """
    listed = [float(edge) for edge in edges]
    ascending = all(low < high for low, high in pairwise(listed))
    if not listed or not ascending or not all(map(math.isfinite, listed)):
        raise ValueError(f"edges must be finite, strictly ascending and not empty, got {listed}")
    return listed


def learnt_edges(values: Iterable[float]) -> list[float]:
    """Return the deciles of the finite values, as edges.

    A column that never moved gets an edge on either side of its value, so that a later move in
    either direction changes buckets; a column without any finite value gets zero.

    >>> learnt_edges([float(i) for i in range(101)])
    [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0]
    >>> len(learnt_edges([3.0, 3.0, 3.0]))
    2
    """
    ordered = sorted(value for value in values if math.isfinite(value))
    if not ordered:
        return [0.0]
    last = len(ordered) - 1
    edges = sorted({ordered[round(last * k / _BUCKETS)] for k in range(1, _BUCKETS)})
    if len(edges) == 1:
        edges.insert(0, math.nextafter(edges[0], -math.inf))
    return edges
