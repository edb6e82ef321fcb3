"""Feeds a histogram method for the conformance kit, and keeps what it said."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from homeostat.base.evidence import Quality
from homeostat.detect.drift_said import Family, Judged
from homeostat.detect.histogram import HistogramMethod

BOUNDS: Final = (0.2, 0.4, 0.6, 0.8, 1.0, float("inf"))
USUAL: Final = (0.10, 0.20, 0.30, 0.22, 0.13, 0.05)
MOVED: Final = (0.30, 0.35, 0.20, 0.10, 0.04, 0.01)
"""Total variation 0.35 from the usual shares."""
EVENTS: Final = 200
"""New events of a look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """New events of one deployment's predictions; see `detect.drift_said.Page`."""

    deployment: str
    counts: Any
    version: str = "v1"
    kind: str = "prediction"
    name: str = ""
    bounds: tuple[float, ...] = BOUNDS
    quality: Quality = Quality.GOOD


class Run:
    """One method, its state, and everything it said.

    Args:
        method: The method.
    """

    def __init__(self, method: HistogramMethod) -> None:
        self.method = method
        self.state = method.init()
        self.said: list[tuple[Family, ...]] = []

    def look(self, pages: Iterable[Sheet], *, learning: bool = True) -> tuple[Family, ...]:
        """Feed one look and return what was said."""
        self.state, said = self.method.step(self.state, tuple(pages), learning)
        self.said.append(said)
        return said

    def all(self, looks: Iterable[Iterable[Sheet]], *, learning: bool = True) -> "Run":
        """Feed looks and return itself."""
        for pages in looks:
            self.look(pages, learning=learning)
        return self

    def of(self, deployment: str) -> list[tuple[Family, ...]]:
        """Return what was said of one deployment, look by look."""
        return [tuple(one for one in said if one.deployment == deployment) for said in self.said]


def judged(said: Iterable[Family]) -> dict[str, Judged]:
    """Return the one histogram's answer of each deployment."""
    return {family.deployment: family.judged[0] for family in said if family.judged}


def numbers(one: Judged) -> dict[str, float | None]:
    """Return all numbers of an answer by name."""
    named = ("log10_e", "total_variation", "psi", "psi_by_chance", "gap", "events", "reference",
             "bound", "share", "share_low", "share_high", "since")  # fmt: skip
    return {name: getattr(one, name) for name in named}


def stream(
    looks: int, deployments: int, *, shares: Any = USUAL, seed: int = 1, events: int = EVENTS
) -> list[list[Sheet]]:
    """Return independent events of so many deployments by look."""
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(events, shares, (looks, deployments)).astype(float)
    return [
        [Sheet(deployment=f"d{number:02}", counts=row) for number, row in enumerate(look)]
        for look in drawn
    ]


def renamed(looks: Iterable[Iterable[Sheet]], names: Mapping[str, str]) -> list[list[Sheet]]:
    """Return the same events under other names of deployments and versions."""
    return [
        [Sheet(deployment=names[one.deployment], version="blue", counts=one.counts) for one in look]
        for look in looks
    ]


def rebinned(looks: Iterable[Iterable[Sheet]], order: Any) -> list[list[Sheet]]:
    """Return the same events with their bins in another order."""
    return [
        [Sheet(deployment=one.deployment, counts=one.counts[order]) for one in look]
        for look in looks
    ]
