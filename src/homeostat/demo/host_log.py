"""The host's log: what it did and what happened to its processes, numbered from 1.

Kept in memory, the last few thousand lines; for judges and people, never for decisions.
"""

import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

KEPT: Final = 5000  # a demo of an hour writes a few hundred


class HostLog:
    """A bounded, numbered list of lines."""

    def __init__(self) -> None:
        self._lines: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._last = 0

    def add(
        self, what: str, *, slot: str | None = None, pool: str | None = None, **detail: Any
    ) -> None:
        """Add one line: what happened, to which slot or pool, and details that JSON can hold."""
        self._last += 1
        line: dict[str, Any] = {"n": self._last, "at_ns": time.time_ns(), "what": what}
        if slot is not None:
            line["slot"] = slot
        if pool is not None:
            line["pool"] = pool
        line["detail"] = detail
        self._lines.append(line)

    def after(self, number: int) -> Iterator[dict[str, Any]]:
        """Yield the lines with a higher number, oldest first."""
        return (line for line in self._lines if line["n"] > number)
