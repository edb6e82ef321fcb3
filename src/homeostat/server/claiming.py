"""The write that moves no lever: it stamps a target with an epoch, so that none older can land."""

from homeostat.base.events import Claim
from homeostat.base.intent import Intent
from homeostat.base.units import TimeNs


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
