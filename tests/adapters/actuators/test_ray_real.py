"""A real Ray Serve: that it does what the stand-in does, and the whole conformance kit."""

import json
import sys
import urllib.request
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from ray_server import TOKEN, Ray, asked, running_ray
from ray_targets import real_target
from ray_ways import Ways, play

from homeostat.base.intent import Intent, ReceiptStatus
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Levers
from homeostat.testing.actuator import Target, check_actuator


def answered(running: Ray) -> int:
    """Return the batch that the model itself says it makes."""
    url = f"http://127.0.0.1:{running.serve_port}/chat"
    with urllib.request.urlopen(url, timeout=30.0) as answer:
        return int(json.load(answer)["batch"])


def page(running: Ray) -> str:
    """Return the head's metrics, whose label `replica` is what a Prometheus tells them apart by."""
    url = f"http://127.0.0.1:{running.metrics_port}/metrics"
    with urllib.request.urlopen(url, timeout=30.0) as answer:
        return str(answer.read().decode())


@pytest.mark.live
@pytest.mark.long
@pytest.mark.timeout(900)
async def test_the_actuator_keeps_its_promises_on_a_real_ray(tmp_path: Path) -> None:
    with running_ray(tmp_path) as running:
        assert asked(running.url)[0] == 401  # the head wants to know who asks
        ways = Ways(running.url, TOKEN, running.serve_port)
        play(ways)
        target = real_target(tmp_path, running, ways)
        await check_actuator(target)
        await batches_and_replicas_are_those_that_were_written(target, running, ways)


async def batches_and_replicas_are_those_that_were_written(
    target: Target, running: Ray, ways: Ways
) -> None:
    made = target.make(running.url)
    now = TimeNs(1_000 * SECOND)

    async def done(post: Levers, number: int) -> None:
        told = Intent(
            id=f"d-9.{number}.0",
            action_id="d-9",
            deployment=target.deployment,
            actuator=made.name,
            epoch=1,
            stage=0,
            pre=(),
            post=post,
            token=None,
            evidence_at=now,
            deadline=TimeNs(now + 10 * SECOND),
        )
        receipt = await made.apply(told, now)
        assert receipt.status is ReceiptStatus.DONE, receipt

    assert answered(running) == 4
    one = ways.settled(1)
    await done((("batch_max", 24),), 0)
    ways.until(lambda: answered(running) == 24)
    assert ways.settled(1) == one  # reconfigured, not replaced
    await done((("replicas.a", 2),), 1)
    assert (await made.read("m", now)).changing  # whatever the status says
    assert one < ways.settled(2)
    world = await made.read("m", now)
    assert sorted(slot.name for slot in world.replicas) == sorted(ways.replicas())
    await made.close()
    ways.until(lambda: all(f'replica="{slot.name}"' in page(running) for slot in world.replicas))
