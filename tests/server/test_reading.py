"""Reports of one tick: whoever said them, no two of a fleet go by one name."""

from typing import Any

import numpy as np
import pytest
from typing_extensions import override

from homeostat.adapters.actuators.process import ProcessActuator, ProcessConfig
from homeostat.base import names, raw
from homeostat.base.evidence import Kind, Observation, Quality, SeriesKey, SourceReport
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Snapshot
from homeostat.server import wiring
from homeostat.server.reading import Deployment, observe, read_world
from homeostat.testing import build


class Counting:
    """A source of one deployment's gateway; every deployment has one of this name."""

    name = "page:gateway"

    def __init__(self, deployment: str, per_tick: float, *, breaks: bool = False) -> None:
        self.deployment, self.per_tick, self.breaks = deployment, per_tick, breaks
        self.total = 1000.0

    async def observe(self, now: TimeNs) -> SourceReport:
        if self.breaks:
            raise RuntimeError("out of order")
        self.total += self.per_tick
        counted = {raw.REQUESTS_ARRIVED: self.total, raw.REQUESTS_OK: self.total}
        counted[raw.REQUESTS_5XX] = 0.0
        return SourceReport(
            source=self.name,
            at=now,
            observations=tuple(
                Observation(
                    source=self.name,
                    key=SeriesKey(deployment=self.deployment, subject=names.GATEWAY, signal=signal),
                    kind=Kind.COUNTER,
                    value=value,
                    observed_at=now,
                    epoch=1.0,
                )
                for signal, value in counted.items()
            ),
            subjects=(names.GATEWAY,),
            quality=Quality.GOOD,
        )

    async def close(self) -> None:
        """Nothing is held."""


def deployed(source: Counting) -> Deployment:
    managed = build.managed(name=source.deployment)
    return Deployment(
        managed=managed, actuators={}, sources_for=lambda _: (source,), sources=(source,)
    )


async def told(*sources: Counting, ticks: int) -> dict[str, float | None]:
    """Return each deployment's arrivals a second after some ticks of one second."""
    there = [deployed(one) for one in sources]
    sense, state = wiring.sense_step()
    evidence: Any = ()
    for tick in range(1, ticks + 1):
        now = TimeNs(build.START + tick * SECOND)
        reports = tuple([report for one in there for report in await observe(one, now)])
        assert len({report.source for report in reports}) == len(reports)
        managed = tuple(one.managed for one in there)
        state, _, evidence = sense(state, reports, (), managed, frozenset(), now, tick)
    return {
        one.deployment: next(
            (r.value for r in one.readings if r.signal == names.ARRIVAL_RATE), None
        )
        for one in evidence
    }


async def test_sources_of_one_name_in_two_deployments_are_each_believed() -> None:
    found = await told(
        Counting("one", 30.0), Counting("two", 50.0), Counting("three", 70.0), ticks=9
    )
    assert found == {
        "one": pytest.approx(30.0),
        "two": pytest.approx(50.0),
        "three": pytest.approx(70.0),
    }


async def test_a_source_that_breaks_is_silent_for_its_own_deployment_alone() -> None:
    broken = Counting("one", 30.0)
    other = Counting("two", 50.0)
    assert np.isfinite((await told(broken, other, ticks=9))["one"] or np.nan)
    broken.breaks = True
    found = await told(broken, other, ticks=9)
    assert found["one"] is None
    assert found["two"] == pytest.approx(50.0)


async def test_a_host_that_tells_no_replicas_own_value_has_told_no_setting() -> None:
    class Older(ProcessActuator):
        @override
        async def read(self, deployment: str, now: TimeNs) -> Snapshot:
            return build.world(now, levers={names.BATCH_MAX: 8, "replicas.a": 3})

    host = Older(ProcessConfig(name="host", url="http://127.0.0.1:1"))
    ready = Deployment(managed=build.managed(), actuators={"host": host}, sources_for=lambda _: ())
    world = await read_world(ready, build.at(1), 1.0)
    assert world is not None
    assert (world.lever(names.BATCH_MAX), world.lever("replicas.a")) == (None, 3)
    await host.close()
