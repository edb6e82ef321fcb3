"""The host's log as a time line: which process had which slot, version and batch, and when.

Only reads what the host wrote down; a process is known by its port, which no other has in a run.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from homeostat.base import names

Line = Mapping[str, Any]
Span = tuple[float, float]


@dataclass(slots=True)
class Timeline:
    """Facts by port; build it with `Timeline.of`.

    Attributes:
        ports: Process id to port.
        versions: (since, version) of each port, oldest first.
        batches: (since, largest batch) of each port, oldest first.
        joined: When each port first came into rotation, epoch seconds.
    """

    ports: dict[int, int] = field(default_factory=dict)
    versions: dict[int, list[tuple[float, str]]] = field(default_factory=dict)
    batches: dict[int, list[tuple[float, int]]] = field(default_factory=dict)
    joined: dict[int, float] = field(default_factory=dict)
    _holder: dict[str, int] = field(default_factory=dict)
    _batch_max: int = 0

    @classmethod
    def of(cls, host_log: Sequence[Line]) -> "Timeline":
        """Read a host's whole log."""
        timeline = cls()
        for line in host_log:
            timeline._take(line["what"], line["at_ns"] / 1e9, line.get("slot"), line["detail"])
        return timeline

    def _take(self, what: str, at: float, slot: str | None, detail: Mapping[str, Any]) -> None:
        port = self._holder.get(slot or "")
        match what:
            case "started":
                self.ports[detail["pid"]] = detail["port"]
            case "lever_changed" if detail["lever"] == names.BATCH_MAX:
                self._batch_max = int(detail["new"])
            case "ready" if slot is not None and detail["pid"] in self.ports:
                port = self._holder[slot] = self.ports[detail["pid"]]
                self.versions.setdefault(port, []).append((at, detail["version"]))
                self.batches.setdefault(port, []).append((at, self._batch_max))
            case "version_loaded" if port is not None:
                self.versions.setdefault(port, []).append((at, detail["version"]))
            case "settings_applied" if port is not None:
                self.batches.setdefault(port, []).append((at, int(detail["batch_max"])))
            case "in_rotation":
                self.joined.setdefault(detail["port"], at)
            case _:
                pass

    def with_version(self, bad: frozenset[str]) -> Iterator[tuple[int, Span]]:
        """Yield (port, span) for every time a process served one of some versions."""
        yield from _spans(self.versions, bad)

    def with_batch(self, size: int) -> Iterator[tuple[int, Span]]:
        """Yield (port, span) for every time a process's largest batch was this."""
        yield from _spans(self.batches, frozenset({size}))


def _spans(
    facts: Mapping[int, Sequence[tuple[float, Any]]], wanted: frozenset[Any]
) -> Iterator[tuple[int, Span]]:
    for port, known in facts.items():
        for number, (since, value) in enumerate(known):
            until = known[number + 1][0] if number + 1 < len(known) else math.inf
            if value in wanted:
                yield port, (since, until)
