"""Asking a trainer: bounded in time, never past the kill switch, and every outcome is an event.

Only what was never sent, or what the trainer refused, is NOT_APPLIED; all else proves nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from homeostat.base.events import (
    AskTraining,
    LookAtTraining,
    MarkVersion,
    Received,
    TrainingSeen,
)
from homeostat.base.intent import Receipt, ReceiptStatus
from homeostat.base.policy import KillLevel
from homeostat.base.ports import Trainer
from homeostat.base.training import TrainingSight
from homeostat.base.units import SECOND, TimeNs
from homeostat.server.reading import plain

log = structlog.get_logger()

TrainerCommand = AskTraining | LookAtTraining | MarkVersion
Clock = Callable[[], TimeNs]


async def asked(
    trainer: Trainer | None,
    command: TrainerCommand,
    clock: Clock,
    kill: Callable[[], KillLevel],
) -> Received | TrainingSeen:
    """Carry one command out and return the event that answers it.

    Args:
        trainer: Who is asked; None = nobody is configured (any more).
        command: Durable by now.
        clock: The time.
        kill: Reads the kill switch; anything but OFF lets nothing be written.
    """
    if isinstance(command, LookAtTraining):
        sight = None if trainer is None else await _looked(trainer, command, clock)
        return TrainingSeen(at=clock(), key=command.key, sight=sight, kill=kill())
    level = kill()
    if isinstance(command, AskTraining):
        order = command.order
        about, deadline = order.intent_id, order.deadline
        send = None if trainer is None else lambda now: trainer.ask(order, now)
    else:
        mark = command.mark
        about, deadline = mark.id, mark.deadline
        send = None if trainer is None else lambda now: trainer.mark(mark, now)
    if level is not KillLevel.OFF:
        receipt = _not_sent(about, clock(), f"kill switch is at {level}")
    else:
        receipt = await _sent(send, about, deadline, clock)
    return Received(at=clock(), receipt=receipt, kill=level)


async def _sent(
    send: Callable[[TimeNs], Awaitable[Receipt]] | None, about: str, deadline: TimeNs, clock: Clock
) -> Receipt:
    now = clock()
    if send is None:
        return _not_sent(about, now, "there is no trainer; configure spec.training")
    if now >= deadline:  # the process slept meanwhile: somebody else may be at work
        return _not_sent(about, now, "the deadline was over before anything was sent")
    try:
        async with asyncio.timeout((deadline - now) / SECOND):
            receipt = await send(now)
    except TimeoutError:
        return _unknown(about, clock(), "no answer before the deadline")
    except Exception as error:  # noqa: BLE001 - it proves nothing about the request
        log.warning("training", about=about, problem=plain(error))
        return _unknown(about, clock(), repr(error)[:200])
    if receipt.intent_id != about:
        return _unknown(about, clock(), f"a receipt of {receipt.intent_id[:80]!r}")
    return receipt


async def _looked(trainer: Trainer, command: LookAtTraining, clock: Clock) -> TrainingSight | None:
    now = clock()
    try:
        async with asyncio.timeout(max(0.05, (command.deadline - now) / SECOND)):
            sight = await trainer.look(command.deployment, command.key, now)
    except Exception as error:  # noqa: BLE001 - silence is unknown, whatever its cause
        log.warning("training", key=command.key, problem=plain(error))
        return None
    return sight if sight.key == command.key else None


def _not_sent(about: str, at: TimeNs, why: str) -> Receipt:
    return Receipt(intent_id=about, status=ReceiptStatus.NOT_APPLIED, at=at, detail=why)


def _unknown(about: str, at: TimeNs, why: str) -> Receipt:
    return Receipt(intent_id=about, status=ReceiptStatus.UNKNOWN, at=at, detail=why)
