"""Predictive intervals by split conformal: where the next observation falls, not the parameter.

The interval of a parameter says how well the mean is known. Of single observations it covers next
to none: on real logs a nominal 90 % held 5 %. So the errors of rows that the law was not fitted to
are kept, in groups of load, and a prediction is as wide as they were.
Sources: Vovk, Gammerman & Shafer, "Algorithmic Learning in a Random World" (2005); Vovk, "Mondrian
confidence machine" (2003), for the groups.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from homeostat.twin.fit_frame import Floats

LEVELS: Final = (0.5, 0.8, 0.95)
GROUPS: Final = 3
_ENOUGH: Final = 40  # errors for a group of its own: a 95 % interval needs 39
_KEPT: Final = 199  # quantiles kept of each group


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How far observations of one signal lie from their predictions.

    Attributes:
        signal: Its name.
        edges: Loads between the groups, ascending.
        errors: For each group, sorted logs of seen / expected.
        number: Errors that were seen, all groups.
    """

    signal: str
    edges: tuple[float, ...]
    errors: tuple[tuple[float, ...], ...]
    number: int

    def interval(self, expected: Floats, load: Floats, level: float) -> tuple[Floats, Floats]:
        """Return the interval of each prediction; infinite where too few errors are known.

        Args:
            expected: Predictions [m].
            load: Of these rows [m].
            level: In (0, 1).
        """
        group = self.group(load)
        ends = np.asarray([_ends(np.asarray(errors), level) for errors in self.errors])
        with np.errstate(over="ignore"):
            return expected * np.exp(ends[group, 0]), expected * np.exp(ends[group, 1])

    def samples(self, expected: Floats, load: Floats) -> Floats:
        """Return equally likely observations of each prediction [m, 99]."""
        share = (np.arange(99) + 0.5) / 99
        table = np.stack([np.quantile(np.asarray(errors), share) for errors in self.errors])
        return np.asarray(expected[:, None] * np.exp(table[self.group(load)]))

    def group(self, load: Floats) -> np.ndarray:
        """Return the group of each load; beyond what was seen it is the nearest one's."""
        return np.searchsorted(np.asarray(self.edges), np.nan_to_num(load))


def spread(signal: str, seen: Floats, expected: Floats, load: Floats) -> Spread | None:
    """Return the spread of rows that the law was not fitted to; None if there are too few.

    Args:
        signal: Its name.
        seen: Observed [m]; NaN or 0 where there is nothing to compare.
        expected: Predicted for these rows [m].
        load: Of these rows [m].
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.log(seen / expected)
    use = np.isfinite(error) & np.isfinite(load)
    error, load = error[use], load[use]
    if len(error) < _ENOUGH:
        return None
    groups = min(GROUPS, len(error) // _ENOUGH)
    edges = np.unique(np.quantile(load, np.arange(1, groups) / groups))
    group = np.searchsorted(edges, load)
    if np.bincount(group, minlength=len(edges) + 1).min() < _ENOUGH:
        edges, group = np.zeros(0), np.zeros(len(error), int)
    kept = tuple(_thin(np.sort(error[group == k])) for k in range(len(edges) + 1))
    return Spread(signal=signal, edges=tuple(map(float, edges)), errors=kept, number=len(error))


def _thin(errors: Floats) -> tuple[float, ...]:
    """Return at most so many sorted errors that still have the same quantiles."""
    if len(errors) > _KEPT:
        share = np.arange(1, _KEPT + 1) / (_KEPT + 1)
        errors = np.quantile(errors, share, method="weibull")
    return tuple(float(round(value, 6)) for value in errors)


def _ends(errors: Floats, level: float) -> tuple[float, float]:
    """Return the conformal ends: the order statistics that also leave room for the next one."""
    n = len(errors)
    low = math.floor((n + 1) * (1 - level) / 2 + 1e-9)
    high = math.ceil((n + 1) * (1 + level) / 2 - 1e-9)
    return (
        float(errors[low - 1]) if low >= 1 else -math.inf,
        float(errors[high - 1]) if high <= n else math.inf,
    )
