"""The replicas of a deployment that is only watched: read from `up`, never changed."""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import ValidationError

from homeostat.adapters.sources.observed import ObservedSettings, ObservedWorld
from homeostat.base.errors import ActuatorError
from homeostat.base.intent import Intent, ReceiptStatus
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Snapshot
from homeostat.server.strangers import whole_world
from homeostat.testing.hostile import hostile_server, response

T0 = 1_800_000_000.0
NOW = TimeNs(round(T0 * SECOND))
Said = Mapping[tuple[str, str], float | str]
"""What an instant query returns: value by metric and instance."""


@asynccontextmanager
async def watched(said: dict[tuple[str, str], Any], **more: Any) -> AsyncIterator[ObservedWorld]:
    async def respond(_request: bytes, writer: asyncio.StreamWriter) -> None:
        result = [
            {
                "metric": {"__name__": name, "job": "llm", "instance": instance},
                "value": [T0, str(value)],
            }
            for (name, instance), value in said.items()
        ]
        data = {"resultType": "vector", "result": result}
        body = json.dumps({"status": "success", "data": data} | more).encode()
        writer.write(response(body, content_type="application/json"))

    async with hostile_server(respond) as server:
        world = ObservedWorld(
            ObservedSettings(
                url=server.url(),
                timeout_s=30.0,
                select=(("job", "llm"),),
                replica_label="instance",
                pool="a",
            )
        )
        try:
            yield world
        finally:
            await world.close()


async def seen(said: Said, **more: Any) -> Snapshot:
    async with watched(dict(said), **more) as world:
        return whole_world(await world.read("credit", NOW))


async def test_every_target_is_a_replica_also_one_whose_scrape_failed() -> None:
    world = await seen({
        ("up", "two:80"): 0,
        ("up", "one:80"): 1,
        ("process_start_time_seconds", "one:80"): T0 - 60.5,
        ("process_resident_memory_bytes", "one:80"): "1e6",
    })
    one, two = world.replicas
    assert (one.name, one.pool, one.version, one.state) == ("one:80", "a", None, "ready")
    assert (one.started_at, one.memory_bytes) == (round((T0 - 60.5) * SECOND), 1_000_000)
    # A failed scrape is no dead process: its silence is for the senses to judge.
    assert (two.name, two.state, two.started_at, two.memory_bytes) == (
        "two:80",
        "ready",
        None,
        None,
    )
    assert world.levers == (("replicas.a", 2),)
    assert world.stamp("observed") is not None


async def test_what_is_no_target_any_more_is_no_replica() -> None:
    gone = {("up", "one:80"): 1, ("process_start_time_seconds", "old:80"): T0 - 9}
    assert [one.name for one in (await seen(gone)).replicas] == ["one:80"]


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-1"])
async def test_an_absurd_number_is_not_known(value: str) -> None:
    world = await seen({("up", "a"): 1, ("process_start_time_seconds", "a"): value})
    assert world.replicas[0].started_at is None


async def test_a_process_that_began_again_is_the_next_one() -> None:
    start = ("process_start_time_seconds", "a")
    said: dict[tuple[str, str], Any] = {("up", "a"): 1, start: T0 - 100}
    async with watched(said) as world:
        lives = []
        for began in (T0 - 100, T0 - 98, math.nan, T0 - 10, T0 - 10):
            said[start] = "NaN" if math.isnan(began) else began
            lives.append((await world.read("credit", NOW)).replicas[0].incarnation)
    assert lives == [1, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("said", "more", "words"),
    [
        ({}, {}, "scrapes 0 targets with a label 'instance'"),
        ({("up", ""): 1}, {}, "check select and replicaLabel"),
        ({("up", "a"): 1}, {"isPartial": True}, "partial"),
        ({("up", "a"): 1}, {"status": "error", "error": "busy"}, "busy"),
    ],
)
async def test_what_is_not_known_is_unreadable_and_never_nothing(
    said: Said, more: dict[str, Any], words: str
) -> None:
    with pytest.raises(ActuatorError, match=words):
        await seen(said, **more)


async def test_nothing_is_ever_sent() -> None:
    async with watched({("up", "a"): 1}) as world:
        intent = Intent(
            id="d-0001.0.1",
            action_id="d-0001",
            deployment="credit",
            actuator="observed",
            epoch=1,
            stage=0,
            evidence_at=NOW,
            pre=(("replicas.a", 1),),
            post=(("replicas.a", 2),),
            token=None,
            deadline=TimeNs(NOW + SECOND),
        )
        receipt = await world.apply(intent, NOW)
        assert world.capabilities().levers == ()
    assert receipt.status is ReceiptStatus.NOT_APPLIED
    assert "only watched" in receipt.detail


@pytest.mark.parametrize(
    "wrong",
    [{"select": ()}, {"replica_label": "a b"}, {"pool": ""}, {"select": (("job", ""),)}, {"x": 1}],
)
def test_settings_are_strict(wrong: dict[str, Any]) -> None:
    right = {
        "url": "http://127.0.0.1:1",
        "timeout_s": 1.0,
        "select": (("job", "x"),),
        "replica_label": "instance",
        "pool": "a",
    }
    ObservedSettings.model_validate(right)
    with pytest.raises(ValidationError):
        ObservedSettings.model_validate(right | wrong)
