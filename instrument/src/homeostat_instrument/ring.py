"""The latest predictions with their ids, so that labels can be joined to what was really said.

A fixed number of entries; what is older is forgotten and reported as missed, never made up.
"""

import json
import math
import os
import time
from collections import deque
from collections.abc import Sequence
from itertools import islice

COLUMNS = ("seq", "id", "prediction", "at_ns", "version")
PAGE = 2_000  # rows per answer: about 150 kB, a few milliseconds to encode


class Ring:
    """The last `size` predictions, numbered from 1 in the order in which they were made."""

    def __init__(self, size: int) -> None:
        if size < 0:
            raise ValueError(f"recent must be 0 (off) or more, got {size}")
        self.size = size
        self.process = f"{os.getpid()}-{time.time_ns()}"
        self._rows: deque[tuple[int, str, float, int, str]] = deque(maxlen=size)
        self._last = 0

    def extend(
        self, ids: Sequence[str], predictions: Sequence[float], at_ns: int, version: str
    ) -> None:
        """Remember predictions made together; the oldest are forgotten when the ring is full."""
        for name, value in zip(ids, predictions, strict=True):
            self._last += 1
            self._rows.append((self._last, name, value, at_ns, version))

    def page(self, after: int) -> bytes:
        """Return up to `PAGE` rows with a number above `after`, oldest first, as JSON.

        `missed` counts rows after `after` that are forgotten. A reader that sees another
        `process` than last time starts again at 0: numbers belong to one process.
        """
        first = self._rows[0][0] if self._rows else self._last + 1
        skip = max(0, after + 1 - first)
        rows = list(islice(self._rows, skip, skip + PAGE))
        body = {
            "process": self.process,
            "missed": max(0, first - after - 1),
            "last": self._last,
            "columns": COLUMNS,
            "rows": [
                (seq, name, value if math.isfinite(value) else None, at_ns, version)
                for seq, name, value, at_ns, version in rows
            ],
        }
        return json.dumps(body, separators=(",", ":")).encode()
