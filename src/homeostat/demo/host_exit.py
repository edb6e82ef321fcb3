"""How a process leaves: out of Envoy's sight, its requests done, then ended; a hung one killed."""

import signal
import time
from collections.abc import Callable
from typing import Final

from homeostat.demo.host_process import ModelProcess, ServerCallError
from homeostat.demo.host_rotation import Rotation
from homeostat.demo.host_settings import HostSettings

SILENCES: Final = 3  # unanswered calls in a row that mean that a process hangs
_POLL_S: Final = 0.05
_LAST_S: Final = 1.0  # a server without requests ends within this; slower ones are killed


async def retire(
    process: ModelProcess,
    slot: str,
    pool: str,
    rotation: Rotation,
    settings: HostSettings,
    note: Callable[..., None],
) -> None:
    """End a process that is out of the rotation files, losing none of its requests.

    A process that is stopped or silent is killed: its requests are lost already. One that still
    has requests at the drain timeout is killed too.
    """
    process.leaving = True
    left = await rotation.until_gone(process.port)
    if not process.alive:
        note("stopped", slot=slot, pool=pool, pid=process.pid, why="it had ended already")
        return
    give_up = time.monotonic() + settings.drain_timeout_s
    why = await _drained(process, settings, give_up)
    if why is None:
        note("drained", slot=slot, pool=pool, pid=process.pid, seen_by_envoy=left)
        process.signal(signal.SIGTERM)
        if await process.exits_within(max(_LAST_S, give_up - time.monotonic())):
            note("stopped", slot=slot, pool=pool, pid=process.pid, why="drained")
            return
        why = "it did not end when asked"
    process.signal(signal.SIGKILL)
    await process.exits_within(_LAST_S)
    note("killed", slot=slot, pool=pool, pid=process.pid, why=why)


async def _drained(process: ModelProcess, settings: HostSettings, give_up: float) -> str | None:
    """Wait until the process holds no request; None when it is so, else why not."""
    silent = 0
    asked = False
    while time.monotonic() < give_up and process.alive:
        if process.is_stopped():
            return "it is stopped"
        try:
            if not asked:
                await process.drain(settings.call_timeout_s)
                asked = True
            if await process.in_flight(settings.call_timeout_s) == 0:
                return None
            silent = 0
        except ServerCallError:
            silent += 1
            if silent >= SILENCES:
                return f"{silent} calls in a row went unanswered"
        if await process.exits_within(_POLL_S):
            return None
    return "it still had requests at the drain timeout" if process.alive else None
