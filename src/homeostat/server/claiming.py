"""The write that moves no lever: it stamps a target with an epoch, so that none older can land."""

import structlog

from homeostat.base.events import Claim
from homeostat.base.intent import Intent, Receipt
from homeostat.base.units import TimeNs

log = structlog.get_logger()


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
