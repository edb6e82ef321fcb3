"""The change feed: what changed, in order, with one version a change, in bounded memory.

Readers keep a position (the last version they saw) and ask for what came after it. A reader that
fell out of the window is told so (None) and must read everything again; nobody waits for it.
"""

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

KEEP: Final = 4096
"""Changes kept: about half an hour of one deployment, four seconds of 500 (two a tick each)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of the view.

    Attributes:
        version: Its number, from 1, without gaps.
        kind: `tick`, `points`, `decision`, `action`, `incident`, `outcome`, `notice`, `world`,
            `config`, `approval`, `kill` or `clock`.
        deployment: Whose it is; empty for the fleet.
        data: One line of JSON.
    """

    version: int
    kind: str
    deployment: str
    data: str


class Feed:
    """A bounded, versioned list of changes."""

    __slots__ = ("_changes", "_watchers", "version")

    def __init__(self, keep: int = KEEP) -> None:
        self.version = 0
        self._changes: deque[Change] = deque(maxlen=keep)
        self._watchers: list[Callable[[], None]] = []

    def publish(self, kind: str, deployment: str, data: Mapping[str, Any]) -> None:
        """Add one change and wake the watchers; they must not raise or wait."""
        self.version += 1
        text = json.dumps(data, separators=(",", ":"), allow_nan=False, default=str)
        self._changes.append(
            Change(version=self.version, kind=kind, deployment=deployment, data=text)
        )
        for wake in tuple(self._watchers):
            wake()

    def after(self, version: int) -> tuple[Change, ...] | None:
        """Return the changes after a version; None when some of them are no longer kept."""
        if version > self.version or version < self.version - len(self._changes):
            return None
        newest_first = tuple(islice(reversed(self._changes), self.version - version))
        return newest_first[::-1]

    def watch(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` after each change until the returned function is called."""
        self._watchers.append(wake)

        def stop() -> None:
            if wake in self._watchers:
                self._watchers.remove(wake)

        return stop
