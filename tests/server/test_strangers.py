"""What a plug-in says in a wrong shape costs its own deployment that round, and no other."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from runtime_harness import Page, Stage, stage
from typing_extensions import override

from homeostat.base import names
from homeostat.base.errors import ActuatorError, SourceError
from homeostat.base.evidence import Kind, Observation, Quality, SeriesKey, SourceReport
from homeostat.base.units import TimeNs
from homeostat.server import reading, wiring
from homeostat.server.strangers import whole_report, whole_world
from homeostat.testing import build


def _kind(one: object) -> str:
    """Name a case by what it is: an address would differ from worker to worker."""
    return type(one).__name__


def report(now: TimeNs = build.START, **odd: Any) -> SourceReport:
    key = SeriesKey(
        deployment="bad",
        subject=odd.pop("subject", names.GATEWAY),
        signal=odd.pop("signal", "requests_total"),
    )
    said: dict[str, Any] = {"value": 1.0, "observed_at": now, "kind": Kind.COUNTER, **odd}
    return SourceReport(
        source="page:gateway",
        at=now,
        observations=(Observation(source="page:gateway", key=key, **said),),
        subjects=(names.GATEWAY,),
        quality=Quality.GOOD,
    )


ODD: list[dict[str, Any]] = [
    {"value": "12"},
    {"value": None},
    {"value": 1j},
    {"value": 10**400},
    {"observed_at": None},
    {"observed_at": 1.5},
    {"observed_at": 10**30},
    {"le": "+Inf", "kind": Kind.BUCKET},
    {"epoch": "boot"},
    {"subject": 7},
    {"signal": b"requests_total"},
]


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_a_report_with_a_value_of_a_wrong_type_is_none(odd: dict[str, Any]) -> None:
    with pytest.raises(SourceError, match="page:gateway"):
        whole_report(report(**odd))


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), 3, np.float32(3.0)])
def test_an_absurd_number_is_a_number(value: float) -> None:
    said = report(value=value, le=float("inf"), epoch=1.0)
    assert whole_report(said) is said


@pytest.mark.parametrize("said", [None, 3, "ok", (report(),)], ids=_kind)
def test_what_is_no_report_or_no_world_is_said_so(said: object) -> None:
    with pytest.raises(SourceError, match="no SourceReport"):
        whole_report(said)
    with pytest.raises(ActuatorError, match="no Snapshot"):
        whole_world(said)


@pytest.mark.parametrize("value", [None, [1], object(), np.float32(8.0), True], ids=_kind)
def test_a_lever_of_a_wrong_type_is_no_world(value: Any) -> None:
    world = replace(build.world(), levers=((names.BATCH_MAX, value),))
    with pytest.raises(ActuatorError, match=names.BATCH_MAX):
        whole_world(world)


def test_a_world_as_it_should_be_passes_unchanged() -> None:
    world = build.world(levers={"version.a": "v2", "weight.b": 12.5})
    assert whole_world(world) is world


async def two(break_it: Callable[[Stage], None], *, sensed: bool) -> Stage:
    """Return the stage after a few ticks of a good deployment beside a bad one."""
    ready = stage("bad", "good")
    if sensed:
        ready.runtime.shell.sense, ready.runtime.shell.sense_state = wiring.sense_step()
    await ready.runtime.start()
    await ready.runtime.settle()
    ready.faulty.update(("bad", "good"))
    break_it(ready)
    await ready.cycles(3)
    return ready


@pytest.mark.parametrize("said", [None, *(report(**odd) for odd in ODD[:3])], ids=str)
async def test_a_source_out_of_its_mind_leaves_the_fleet_its_tick(said: Any) -> None:
    def break_it(ready: Stage) -> None:
        async def observe(now: TimeNs) -> SourceReport:
            return cast("SourceReport", said)

        setattr(ready.pages["bad"], "observe", observe)  # noqa: B010 - no such method, says mypy

    ready = await two(break_it, sensed=True)
    good = ready.runtime.states["good"].evidence
    assert good is not None
    assert good.tick == 3
    bad = ready.runtime.states["bad"].evidence
    assert bad is not None


async def test_a_lever_out_of_its_mind_is_its_own_deployments_silence() -> None:
    def break_it(ready: Stage) -> None:
        ready.targets["bad"].levers[names.BATCH_MAX] = cast("int", object())

    ready = await two(break_it, sensed=False)
    assert ready.targets["good"].applied() == ["apply d-0001.0.0"]
    assert ready.targets["bad"].applied() == []
    assert ready.runtime.states["bad"].world is None


async def test_what_nobody_thought_of_costs_one_deployment_its_tick_and_is_not_recorded() -> None:
    """A replica that cannot be written down: neither the state nor the journal has half of it."""

    def break_it(ready: Stage) -> None:
        target = ready.targets["bad"]
        target.replicas = (build.replica("a-1", memory_bytes=cast("Any", object())),)

    ready = await two(break_it, sensed=False)
    assert ready.targets["good"].applied() == ["apply d-0001.0.0"]
    assert ready.runtime.states["bad"].evidence is None
    assert {entry.deployment for entry in ready.journal.entries if b"Ticked" in entry.body} == {
        "good"
    }


async def test_connections_that_do_not_end_are_given_up_side_by_side(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A pool whose replicas all go at once would else hold up everybody's tick one by one."""

    class Clinging(Page):
        @override
        async def close(self) -> None:
            await asyncio.Event().wait()

    monkeypatch.setattr(reading, "CLOSE_S", 0.2)
    began = time.monotonic()
    await reading.close_all([Clinging(f"page:{number}") for number in range(50)])
    assert time.monotonic() - began < 50 * 0.2 / 2
