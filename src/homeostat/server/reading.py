"""Reads one deployment: its actuators' snapshots and its sources' reports, within the tick.

Plug-ins are strangers: one that hangs is given up on after its share of the tick, one that raises
is reported as unreadable. Neither may cost the other deployments their tick.
"""

import asyncio
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import structlog

from homeostat.base.errors import ActuatorError
from homeostat.base.evidence import Quality, SourceReport
from homeostat.base.policy import Managed
from homeostat.base.ports import Actuator, Source, Trainer
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Snapshot
from homeostat.server.strangers import whole_report, whole_world
from homeostat.server.world import compose, told_apart

log = structlog.get_logger()

# A read of the world may take this share of the tick; the tick must not wait for a hung target.
READ_SHARE = 0.6
# Sources end their round by themselves after 0.8 of an interval (the configuration's default);
# one that has not by then hangs.
OBSERVE_SHARE = 0.9
# Releasing a connection has no result that anything waits for.
CLOSE_S = 2.0


@dataclass(slots=True, kw_only=True)
class Deployment:
    """One managed deployment and the adapters it is reached through.

    Attributes:
        managed: Its configuration.
        actuators: By name.
        sources_for: Makes the sources for the replicas that a snapshot shows; a source that is
            still wanted is the same object as before (probers count).
        sources: The sources in use.
        world: The last snapshot, None if the last read failed.
        seen: Replicas (name, incarnation, address, version) that `sources` were made for.
        subjects: What each source in use last said that it speaks for.
        trainer: Who is asked for retraining; None = nobody.
    """

    managed: Managed
    actuators: dict[str, Actuator]
    sources_for: Callable[[Snapshot | None], tuple[Source, ...]]
    sources: tuple[Source, ...] = ()
    world: Snapshot | None = None
    seen: tuple[tuple[str, int, str | None, str | None], ...] | None = None
    subjects: dict[str, tuple[str, ...]] = field(default_factory=dict)
    trainer: Trainer | None = None


async def refresh(deployment: Deployment, now: TimeNs) -> None:
    """Read the world, and make the sources anew if other replicas are there."""
    limit_s = READ_SHARE * deployment.managed.scrape_ns / SECOND
    deployment.world = world = await read_world(deployment, now, limit_s)
    there = world.replicas if world is not None else ()
    seen = tuple((r.name, r.incarnation, r.address, r.version) for r in there)
    if deployment.seen is not None and (world is None or seen == deployment.seen):
        return
    old = deployment.sources
    deployment.sources = deployment.sources_for(world)
    deployment.seen = seen if world is not None else None
    wanted = {source.name for source in deployment.sources}
    deployment.subjects = {k: v for k, v in deployment.subjects.items() if k in wanted}
    await close_all([source for source in old if source not in deployment.sources])


async def read_world(deployment: Deployment, now: TimeNs, limit_s: float) -> Snapshot | None:
    """Return one snapshot of all actuators, None if the replicas could not be read."""

    async def one(actuator: Actuator) -> Snapshot | None:
        try:
            async with asyncio.timeout(limit_s):
                seen = whole_world(await actuator.read(deployment.managed.name, now))
            return _told_apart(seen, actuator)
        except (ActuatorError, TimeoutError) as error:
            log.warning("read", actuator=actuator.name, problem=str(error) or "timed out")
        except Exception as error:  # noqa: BLE001 - a plug-in's bug is its target's silence
            log.warning("read", actuator=actuator.name, problem=plain(error))
        return None

    found = await asyncio.gather(*(one(actuator) for actuator in deployment.actuators.values()))
    return compose(deployment.managed, tuple(seen for seen in found if seen is not None))


def _told_apart(seen: Snapshot, actuator: Actuator) -> Snapshot:
    known = told_apart(seen, actuator.capabilities())
    if known is not seen:
        lost = ", ".join(sorted({lever for lever, _ in seen.levers if known.lever(lever) is None}))
        problem = f"tells {lost} of all and no replica's own value of it: it counts as not read"
        log.warning("read", actuator=actuator.name, problem=problem)
    return known


async def observe(deployment: Deployment, now: TimeNs) -> tuple[SourceReport, ...]:
    """Return one report per source; a source that hangs or raises is unreachable.

    Names of sources are unique within a deployment, and the senses take the fleet's at once: there
    a source is named with its deployment, so that two of one name are not taken for each other.
    """
    limit_s = OBSERVE_SHARE * deployment.managed.scrape_ns / SECOND

    async def one(source: Source) -> SourceReport:
        try:
            async with asyncio.timeout(limit_s):
                report = whole_report(await source.observe(now))
        except TimeoutError:
            return _silent(deployment, source, now, f"no report within {limit_s:.2f} s")
        except Exception as error:  # noqa: BLE001 - a plug-in's bug is its source's silence
            log.warning("observe", source=source.name, problem=plain(error))
            return _silent(deployment, source, now, repr(error)[:200])
        deployment.subjects[source.name] = report.subjects
        return replace(report, source=_everywhere(deployment, source))

    return tuple(await asyncio.gather(*(one(source) for source in deployment.sources)))


async def close_all(adapters: Sequence[Source | Actuator]) -> None:
    """Release connections, side by side; one that cannot be released is no reason to stop."""

    async def one(adapter: Source | Actuator) -> None:
        try:
            async with asyncio.timeout(CLOSE_S):
                await adapter.close()
        except Exception as error:  # noqa: BLE001 - nothing depends on it; it is logged
            log.warning("close", adapter=adapter.name, problem=repr(error))

    await asyncio.gather(*(one(adapter) for adapter in adapters))


def plain(error: BaseException) -> str:
    """Return an error and its place in a line: a traceback at every tick would be a flood."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{error!r:.300}{place}"


def _silent(deployment: Deployment, source: Source, now: TimeNs, detail: str) -> SourceReport:
    """Return the report of a source that gave none: silent for all that it spoke for before."""
    return SourceReport(
        source=_everywhere(deployment, source),
        at=now,
        observations=(),
        subjects=deployment.subjects.get(source.name, ()),
        quality=Quality.UNREACHABLE,
        detail=detail,
    )


def _everywhere(deployment: Deployment, source: Source) -> str:
    """Return a source's name that no source of another deployment has."""
    return f"{deployment.managed.name}/{source.name}"
