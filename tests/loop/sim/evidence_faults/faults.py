"""What may be wrong with what is read: pages, probes and the deployment itself."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from fleet_sim import rewritten, silent

from evidence_faults.calm import Seen
from homeostat.base.evidence import Kind, Observation, Quality, SourceReport
from homeostat.base.units import HOUR, SECOND, TimeNs
from homeostat.base.world import Snapshot

Spoil = Callable[[SourceReport], tuple[SourceReport, ...]]
SCRAPES: Final = ("scrape-a-0", "scrape-a-1", "scrape-a-2")
PROBES: Final = ("probe-a-0", "probe-a-1", "probe-a-2")
ALL: Final = ("envoy", *SCRAPES, "scrape-b-0", *PROBES, "probe-b-0", "labels")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way in which a second's reading is wrong.

    Attributes:
        name: For people.
        apply: From what was read to what is told.
    """

    name: str
    apply: Callable[[Seen], Seen]


def _values(change: Callable[[Observation], float]) -> Spoil:
    def spoil(report: SourceReport) -> tuple[SourceReport, ...]:
        seen = tuple(replace(one, value=change(one)) for one in report.observations)
        return (replace(report, observations=seen),)

    return spoil


def _times(by_ns: int) -> Spoil:
    def spoil(report: SourceReport) -> tuple[SourceReport, ...]:
        seen = tuple(
            replace(one, observed_at=TimeNs(one.observed_at + by_ns)) for one in report.observations
        )
        return (replace(report, observations=seen),)

    return spoil


def _only(keep: Callable[[Observation], bool]) -> Spoil:
    def spoil(report: SourceReport) -> tuple[SourceReport, ...]:
        return (replace(report, observations=tuple(filter(keep, report.observations))),)

    return spoil


def _went_back(one: Observation) -> float:
    return one.value * 0.5 if one.kind is not Kind.GAUGE else one.value


def _twice(report: SourceReport) -> tuple[SourceReport, ...]:
    other = tuple(replace(one, value=one.value * 3.0 + 1.0) for one in report.observations)
    return (replace(report, observations=(*report.observations, *other)),)


HOW: Final[dict[str, Spoil]] = {
    "does not answer": lambda report: (silent(report, Quality.UNREACHABLE),),
    "answers HTML": lambda report: (silent(report, Quality.ABSURD),),
    "is not asked": lambda _: (),
    "answers nothing": _only(lambda _: False),
    "says zero": lambda report: (rewritten(report, 0.0),),
    "says NaN": lambda report: (rewritten(report, math.nan),),
    "says infinity": _values(lambda _: math.inf),
    "says less than nothing": _values(lambda one: -1.0 - one.value),
    "says 1e300": _values(lambda _: 1e300),
    "went back": _values(_went_back),
    "says everything twice": _twice,
    "is an hour old": _times(-HOUR),
    "is from the future": _times(90 * SECOND),
}


def _report(source: str, spoil: Spoil) -> Callable[[Seen], Seen]:
    return _reports((source,), spoil)


def _reports(sources: Iterable[str], spoil: Spoil) -> Callable[[Seen], Seen]:
    wanted = frozenset(sources)

    def apply(seen: Seen) -> Seen:
        reports, world = seen
        out: list[SourceReport] = []
        for report in reports:
            out += spoil(report) if report.source in wanted else (report,)
        return tuple(out), world

    return apply


def _world(change: Callable[[Snapshot], Snapshot | None]) -> Callable[[Seen], Seen]:
    return lambda seen: (seen[0], None if seen[1] is None else change(seen[1]))


def _levers(world: Snapshot, value: float | None) -> Snapshot:
    kept = tuple((k, v) for k, v in world.levers if k != "replicas.a")
    known = kept if value is None else (*kept, ("replicas.a", value))
    return replace(world, levers=tuple(sorted(known)))


WORLD: Final[dict[str, Callable[[Snapshot], Snapshot | None]]] = {
    "is not read": lambda _: None,
    "was read an hour ago": lambda one: replace(one, observed_at=TimeNs(one.observed_at - HOUR)),
    "was read in the future": lambda one: replace(one, observed_at=TimeNs(one.observed_at + HOUR)),
    "has no stamps": lambda one: replace(one, stamps=()),
    "does not say how many replicas": lambda one: _levers(one, None),
    "says NaN replicas": lambda one: _levers(one, math.nan),
    "says infinite replicas": lambda one: _levers(one, math.inf),
    "is still changing": lambda one: replace(one, changing=True),
    "shows no replica": lambda one: replace(one, replicas=()),
}


def faults() -> tuple[Fault, ...]:
    """Return every fault: each way of each source that a decision rests on, and the deployment."""
    found = [
        Fault(name=f"{source} {how}", apply=_report(source, spoil))
        for source in ("envoy", *SCRAPES, *PROBES)
        for how, spoil in HOW.items()
        if not _says_nothing(source, how)
    ]
    groups = {
        "every page": (*SCRAPES, "scrape-b-0", "envoy"),
        "every probe": (*PROBES, "probe-b-0"),
        "everything": ALL,
    }
    found += [
        Fault(name=f"{group} {how}", apply=_reports(sources, spoil))
        for group, sources in groups.items()
        for how, spoil in HOW.items()
        if not _says_nothing(group, how)
    ]
    found += [
        Fault(name=f"the deployment {how}", apply=_world(change)) for how, change in WORLD.items()
    ]
    return tuple(found)


def _says_nothing(source: str, how: str) -> bool:
    """Return whether nothing that a decision rests on is spoilt: a probe only counts its rounds."""
    return "probe" in source and how == "went back"
