"""Counters of many processes as one that never goes back: what each series gained, added up.

A sum of cumulative counters falls when one of their processes ends and jumps when another joins;
the sum of what each of them gained does neither. A fall of one series is a restart, and it gained
what it shows since (as PromQL's `increase`, without its extrapolation: these are exact counts).
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

from homeostat.adapters.sources.prometheus_answer import Sample

# A series that was silent for longer is forgotten: its process is gone, or its labels changed.
FORGOTTEN_S: Final = 3600.0


@dataclass(slots=True)
class _Known:
    """Where one series stood.

    Attributes:
        at_s: When its last believed sample was taken.
        value: Its value.
    """

    at_s: float
    value: float


class Tally:
    """What is known of each counter. Changes in place; one source owns it."""

    def __init__(self) -> None:
        self._known: dict[Hashable, _Known] = {}

    def __contains__(self, series: Hashable) -> bool:
        """Return whether the series was seen before."""
        return series in self._known

    def gained(self, series: Hashable, samples: Sequence[Sample], *, from_zero: bool) -> float:
        """Return what a counter gained since the last call, and remember where it stands.

        Args:
            series: Its identity.
            samples: What was scraped, in ascending time; samples of earlier calls are skipped.
            from_zero: If it is new: it began at zero, because its process was watched before it
                appeared, or is younger than the last look. Otherwise it gains nothing at first,
                because nobody knows when it gained what it shows.

        Returns:
            What it gained, NaN if a sample is no number that a counter can have; then what it
            gained in between is told once a sample can be believed again.
        """
        known = self._known.get(series)
        fresh = [one for one in samples if known is None or one[0] > known.at_s]
        if not all(math.isfinite(value) and value >= 0.0 for _, value in fresh):
            return math.nan
        if not fresh:
            return 0.0
        if known is None:
            before, gained = fresh[0][1], fresh[0][1] if from_zero else 0.0
            # Nobody watched: what it gained inside the window was before the first look.
            rest: Sequence[Sample] = fresh[1:] if from_zero else ()
        else:
            before, gained, rest = known.value, 0.0, fresh
        for _, value in rest:
            gained += value - before if value >= before else value
            before = value
        self._known[series] = _Known(at_s=fresh[-1][0], value=fresh[-1][1])
        return gained

    def forget(self, now_s: float) -> None:
        """Drop what was silent for too long."""
        old = [one for one, known in self._known.items() if known.at_s < now_s - FORGOTTEN_S]
        for one in old:
            del self._known[one]
