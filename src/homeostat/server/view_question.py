"""An open question as plain values: what it is bound to, and who may still settle it."""

from typing import Any

from homeostat.base.state import LoopState
from homeostat.loop import approving


def question(state: LoopState | None, decision_id: str) -> dict[str, Any] | None:
    """Return what a yes to this decision would be bound to, None where it is not what is asked."""
    asked, record = (None, None) if state is None else (state.asked, state.record)
    if state is None or asked is None or record is None:
        return None
    if not asked.decision_id == record.id == decision_id:
        return None
    return {
        "action_hash": asked.action_hash,
        "evidence_hash": asked.evidence_hash,
        "seen": [{"name": name, "words": words} for name, words in asked.seen],
        "changed": list(approving.changed(asked, state)),
        "needed": approving.needed(record.action),
        "agreed": list(asked.agreed),
        "requested_by": asked.requested_by,
    }
