"""The windows' distance (`detect.shift`) as a histogram method: a look's events are its window."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from homeostat.base import names, raw
from homeostat.base.evidence import Reading
from homeostat.base.world import Snapshot
from homeostat.detect import shift
from homeostat.detect.drift_said import Family, Judged, Page
from homeostat.testing import build

POOL: Final = "a"


@dataclass(frozen=True)
class Window:
    deployment: str
    counts: Any
    bounds: tuple[float, ...]
    quality: Any
    subject: str = names.replica("a-1")
    signal: str = raw.PREDICTION


class ShiftAsHistogram:
    """Predictions alone, of one pool of one replica in each deployment."""

    state_classes = shift.STATE_CLASSES

    def __init__(self) -> None:
        self.shift = shift.Shift()

    def init(self) -> Any:
        return self.shift.init()

    def step(
        self,
        state: Any,
        pages: Sequence[Page],
        learning: bool,  # noqa: FBT001 - as the protocol says
        earlier: Mapping[tuple[str, str], Sequence[str]] | None = None,
    ) -> tuple[Any, tuple[Family, ...]]:
        """Judge each deployment that has a page, or had one."""
        after, said = self.shift.opened(state), []
        found = {page.deployment: page for page in pages}
        versions = {name: version for name, version, _ in state}
        versions |= {name: page.version for name, page in found.items()}
        for name, version in sorted(versions.items()):
            page = found.get(name)
            window = () if page is None else (windowed(page),)
            managed = replace(build.managed(), name=name)
            after, told = self.shift.step(
                after, window, {}, managed, world(name, version), learning
            )
            said.append(family(name, version, told.readings))
        return after, tuple(said)


def windowed(page: Page) -> Window:
    return Window(page.deployment, page.counts, page.bounds, page.quality)


def world(name: str, version: str) -> Snapshot:
    plain = build.world()
    (one,) = (r for r in plain.replicas if r.name == "a-1")
    return replace(plain, deployment=name, replicas=(replace(one, version=version),), releases=())


def family(name: str, version: str, readings: Sequence[Reading]) -> Family:
    wanted = (names.pool(POOL), names.PREDICTION_SHIFT)
    (one,) = (r for r in readings if (r.subject, r.signal) == wanted)
    judged = Judged(
        name="",
        verdict=one.verdict,
        quality=one.quality,
        total_variation=one.value,
        events=None if one.value is None else one.samples,
    )
    return Family(
        deployment=name,
        version=version,
        kind="prediction",
        verdict=one.verdict,
        neg_log10_p=None,
        judged=(judged,),
    )
