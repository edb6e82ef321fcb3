"""The composition root: the one place where real parts are chosen and handed over."""

from homeostat.govern import decide, verify
from homeostat.loop.parts import LoopParts
from homeostat.policy import runbook
from homeostat.safety.guard import guard
from homeostat.safety.permit import permit


def loop_parts() -> LoopParts:
    """Return the stages of the decision loop: runbook, kernel, decision, verification."""
    return LoopParts(
        candidates=runbook.candidates,
        permit=permit,
        choose=runbook.choose,
        decide=decide.decide,
        record=decide.record,
        guard=guard,
        measure=verify.measure,
        judge=verify.judge,
    )
