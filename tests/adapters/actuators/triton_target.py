"""A target for the conformance kit on Triton's stand-in: Triton itself needs its own image."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from homeostat import plugins
from homeostat.base.world import Levers
from homeostat.testing.actuator import Target

sys.path.insert(0, str(Path(__file__).parent))
import triton_fake as fake


@asynccontextmanager
async def triton_target(folder: Path) -> AsyncIterator[Target]:
    part = plugins.part("actuator", "triton")
    triton = fake.Triton()
    with fake.serving(triton) as (port,):

        async def foreign(levers: Levers) -> None:
            """Load as somebody else does who knows nothing of stamps."""
            wanted: dict[str, Any] = fake.config()
            for name, value in levers:
                if name == "batch_max":
                    wanted["max_batch_size"] = value
                else:
                    wanted["dynamic_batching"]["max_queue_delay_microseconds"] = int(value * 1000)
            said = {"parameters": {"config": json.dumps(wanted)}}
            status, _ = await asyncio.to_thread(triton.load, said)
            assert status == 200

        yield Target(
            deployment="credit",
            host="127.0.0.1",
            port=port,
            make=lambda url: part.build(
                part.config(servers={"a-1": url}, model="fraud", read_timeout_s=1.0)
            ),
            change=(("batch_max", 4), ("batch_wait_ms", 7.5)),
            illegal=(
                (("batch_max", 0),),
                (("batch_max", -1),),
                (("batch_max", 2.5),),
                (("batch_max", "all"),),
                (("batch_wait_ms", -1),),
                (("batch_wait_ms", 0.0001),),
                (("batch_wait_ms", "soon"),),
                (("replicas.a", 3),),
                (("batch_max", 4), ("batch_wait_ms", 1e9)),
            ),
            foreign=foreign,
            read_within_s=1.0,
            speech=fake.SPEECH,
        )
