"""A loop that waits for an answer, made from what is shown of a deployment."""

from dataclasses import replace

from homeostat.base.events import ClockJumped, FleetView
from homeostat.base.evidence import Evidence
from homeostat.base.intent import ActionRecord
from homeostat.base.policy import Managed
from homeostat.base.state import LoopState
from homeostat.base.units import TimeNs
from homeostat.base.world import Snapshot
from homeostat.loop import approving
from homeostat.loop.step import initial


def asked(
    managed: Managed, evidence: Evidence | None, world: Snapshot | None, record: ActionRecord
) -> LoopState:
    """Return the state of a loop that has just asked about an action.

    Args:
        managed: The deployment.
        evidence: What is known.
        world: How it stands.
        record: The action, waiting for an answer.
    """
    before = replace(initial(managed), fleet=FleetView(), evidence=evidence, world=world)
    nobody = ClockJumped(at=TimeNs(0), by_ns=0)
    return approving.noted(before, replace(before, record=record), nobody)
