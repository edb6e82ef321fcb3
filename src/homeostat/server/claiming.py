"""The write that moves no lever: it stamps a target with an epoch, so that none older can land."""

from collections.abc import Callable, Mapping

import structlog

from homeostat.base.events import Claim
from homeostat.base.intent import Intent, Receipt
from homeostat.base.policy import KillLevel
from homeostat.base.ports import Actuator
from homeostat.base.units import TimeNs
from homeostat.server.sending import send

log = structlog.get_logger()


async def claim(
    actuators: Mapping[str, Actuator],
    deployment: str,
    command: Claim,
    clock: Callable[[], TimeNs],
    kill: Callable[[], KillLevel],
) -> None:
    """Stamp a target with an epoch, if it can be stamped and the kill switch lets anything be.

    Args:
        actuators: By name.
        deployment: The managed model's name.
        command: The claim.
        clock: The time.
        kill: Reads the kill switch.
    """
    actuator = actuators.get(command.actuator)
    if actuator is None or not actuator.capabilities().compare_and_set:
        return  # without compare-and-set nothing can be stamped; the protocol waits instead
    if kill() is KillLevel.NOTHING:
        return  # nothing means nothing: not even our epoch is written
    stamp = claiming(deployment, command, clock())
    note_claim(command, await send(actuators, stamp, clock))


def claiming(deployment: str, command: Claim, now: TimeNs) -> Intent:
    """Return the intent that carries a claim out.

    Args:
        deployment: The managed model's name.
        command: The claim.
        now: The time; part of the id, because claims are never told apart otherwise.
    """
    return Intent(
        id=f"claim.{command.epoch}.{now}",
        action_id="",
        deployment=deployment,
        actuator=command.actuator,
        epoch=command.epoch,
        stage=0,
        pre=(),
        post=(),
        token=None,
        evidence_at=now,
        deadline=command.deadline,
    )


def note_claim(command: Claim, receipt: Receipt) -> None:
    """Log what became of a claim; one that came too late says why nothing will be changed here.

    Args:
        command: The claim.
        receipt: The target's answer.
    """
    said = {"deployment": command.deployment, "epoch": command.epoch}
    if not receipt.conflict:
        log.info("claim", **said, status=receipt.status.value)
        return
    log.error(
        "claim",
        **said,
        problem=f"the target knows a later controller: {receipt.detail}".rstrip(": "),
        effect="nothing is changed here",
        fix="stop the other controller; if there is none, this is not the journal that the target "
        "knows: put that one back",
    )
