"""Sending one intent: bounded in time, and every outcome is a receipt.

Only what was never sent, or what the target refused, is NOT_APPLIED; all else proves nothing.
"""

import asyncio
from collections.abc import Callable, Mapping

import structlog

from homeostat.base.intent import Intent, Receipt, ReceiptStatus
from homeostat.base.ports import Actuator
from homeostat.base.units import SECOND, TimeNs
from homeostat.server.reading import plain

log = structlog.get_logger()


async def send(
    actuators: Mapping[str, Actuator], intent: Intent, clock: Callable[[], TimeNs]
) -> Receipt:
    """Send an intent to its actuator and return what became of it.

    Args:
        actuators: By name.
        intent: Durable by now.
        clock: The time.
    """
    now = clock()
    actuator = actuators.get(intent.actuator)
    if actuator is None:
        detail = f"there is no actuator {intent.actuator!r}"
        return answer(intent, ReceiptStatus.NOT_APPLIED, now, detail)
    if now >= intent.deadline:  # the process slept meanwhile: somebody else may be at work
        detail = "the deadline was over before anything was sent"
        return answer(intent, ReceiptStatus.NOT_APPLIED, now, detail)
    try:
        async with asyncio.timeout((intent.deadline - now) / SECOND):
            return await actuator.apply(intent, now)
    except TimeoutError:
        return answer(intent, ReceiptStatus.UNKNOWN, clock(), "no answer before the deadline")
    except Exception as error:  # noqa: BLE001 - it proves nothing about the write
        log.warning("apply", actuator=intent.actuator, intent=intent.id, problem=plain(error))
        return answer(intent, ReceiptStatus.UNKNOWN, clock(), repr(error)[:200])


def answer(intent: Intent, status: ReceiptStatus, at: TimeNs, detail: str) -> Receipt:
    """Return our own receipt for an intent, where the target has given none."""
    return Receipt(intent_id=intent.id, status=status, at=at, detail=detail)
