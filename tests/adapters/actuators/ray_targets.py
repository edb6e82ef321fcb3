"""Targets for the conformance kit on Ray Serve: the stand-in, and a real head."""

import asyncio
import copy
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from homeostat import plugins
from homeostat.base.world import Levers
from homeostat.testing.actuator import Target

sys.path.insert(0, str(Path(__file__).parent))
import ray_fake as fake
from ray_server import TOKEN, Ray
from ray_ways import CODE, Ways, config

PATHS = {"batch_max": "batching.max_batch_size"}
ILLEGAL: tuple[Levers, ...] = (
    (("replicas.a", 0),),
    (("replicas.a", -1),),
    (("replicas.a", 2.5),),
    (("replicas.a", "all"),),
    (("replicas.b", 3),),
    (("batch_max", 0),),
    (("batch_max", float("nan")),),
    (("concurrency_max", 0),),
    (("batch_wait_ms", 5),),
    (("batch_max", 8), ("concurrency_max", -1)),
)


def head(**changes: Any) -> fake.Head:
    """Return a stand-in on which the applications of `ray_ways` may be deployed."""
    code = {CODE: {"Model": {"num_replicas": 1, "user_config": {"batching": {}}}}}
    return fake.Head(code, token=TOKEN, **changes)


def written(folder: Path) -> Path:
    token = folder / "ray.token"
    token.write_text(f"{TOKEN}\n", encoding="utf-8")
    return token


def target(folder: Path, ways: Ways, change: Levers, **settings: Any) -> Target:
    """Return what the kit needs, on a Serve whose `chat` is deployed and settled."""
    part, token = plugins.part("actuator", "ray"), written(folder)
    base = {"application": "chat", "deployment": "Model", "token_file": token, **PATHS}
    keys = {"replicas.a": "num_replicas", "concurrency_max": "max_ongoing_requests"}

    def foreign(levers: Levers) -> None:
        told = copy.deepcopy(ways.app()["deployed_app_config"]["deployments"][0])
        for lever, value in levers:
            if lever == "batch_max":
                told["user_config"]["batching"]["max_batch_size"] = value
            else:
                told[keys[lever]] = value
        assert ways.put(told, others=ways.beside()) == 200

    async def in_a_thread(levers: Levers) -> None:
        await asyncio.to_thread(foreign, levers)
        await asyncio.sleep(1.0)  # until its replicas have heard of it; who did it is not told

    return Target(
        deployment="credit",
        host="127.0.0.1",
        port=int(ways.url.rpartition(":")[2]),
        make=lambda url: part.build(part.config(**({"url": url} | base | settings))),
        change=change,
        illegal=ILLEGAL,
        foreign=in_a_thread,
        read_within_s=settings["read_timeout_s"],
    )


@asynccontextmanager
async def standing_target(folder: Path) -> AsyncIterator[Target]:
    """The stand-in; `test_ray_real.py` has the same kit on a real one."""
    served = head()
    assert served.put(config())[0] == 200
    served.settle()
    with fake.serving(served) as port:
        ways = Ways(f"http://127.0.0.1:{port}", TOKEN, 8000)
        change = (("batch_max", 16), ("concurrency_max", 32), ("replicas.a", 3))
        yield target(folder, ways, change, read_timeout_s=1.0, settle_s=0.2)


def real_target(folder: Path, running: Ray, ways: Ways) -> Target:
    """A real head on which `ray_ways.play` has come to its end.

    Replicas are left out: the kit would start a dozen, each seconds of a core.
    """
    assert running.url == ways.url
    change = (("batch_max", 16), ("concurrency_max", 32))
    return target(folder, ways, change, read_timeout_s=5.0)
