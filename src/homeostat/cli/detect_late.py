"""Rows that come after later ones: which of the missing rows are not missing at all, but late.

What is judged does not depend on it: a row is a tick in its turn (`detect_ticks`), and where it
should have stood a tick at which nothing is known. It is for telling people what is true of a file.
"""

from collections import deque
from typing import Final

import numpy as np

from homeostat.cli.detect_cells import Ints
from homeostat.cli.detect_ticks import Timing

_KEPT: Final = 64  # gaps that a late row may fill: it is late by a few rows, not by many gaps


class Late:
    """Gaps, and the rows that come late for them.

    Attributes:
        missing: Rows that are missing so far, those that came late left out.
        gaps: How many holes they make.
        rows: Rows that came late.
        set_back: Rows at an earlier time than the one before that are not late: a clock was set.
    """

    def __init__(self) -> None:
        self.missing = self.gaps = self.rows = self.set_back = 0
        self._latest: int | None = None
        self._last = 0
        self._open: deque[list[int]] = deque(maxlen=_KEPT)  # from, to and rows missing in between

    def add(self, at: Ints, said: Timing) -> int | None:
        """Add rows.

        Args:
            at: Nanoseconds since the epoch, one row at least. `[row]`.
            said: What their times say.

        Returns:
            The first of them that comes late; None if none does.
        """
        new = self._latest is None
        last = np.concatenate([at[:1] if new else [self._last], at[:-1]])
        latest = np.maximum.accumulate(last)
        if self._latest is not None:
            latest = np.maximum(latest, self._latest)
        for row in np.flatnonzero(said.missing).tolist():
            self._gap(int(at[row]), int(last[row]), int(latest[row]), int(said.missing[row]))
        late = self._fill(at, at < latest)
        self.set_back += int((said.back & ~late).sum())
        self._last, self._latest = int(at[-1]), max(int(latest[-1]), int(at[-1]))
        return int(late.argmax()) if late.any() else None

    def _gap(self, at: int, last: int, latest: int, missing: int) -> None:
        """Add a gap; what lies before the latest row so far is not missing anew."""
        step = (at - last) / (missing + 1)
        left = missing if last == latest else round((at - latest) / step) - 1
        if left > 0:
            self.missing, self.gaps = self.missing + left, self.gaps + 1
            self._open.append([latest, at, left])

    def _fill(self, at: Ints, early: np.ndarray) -> np.ndarray:
        """Return which rows, of those that come after later ones, were missing. Bool `[row]`."""
        late = np.zeros(len(at), dtype=bool)
        if not early.any():
            return late
        for gap in self._open:
            start, stop, left = gap
            inside = early & (at > start) & (at < stop)
            found = min(len(np.unique(at[inside])), left)
            if found:
                late |= inside
                gap[2] = left - found
                self.missing, self.rows = self.missing - found, self.rows + found
                self.gaps -= found == left
        return late
