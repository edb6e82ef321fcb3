"""What one deployment's detection has learnt from what people said, as JSON-ready dicts."""

from typing import Any

from homeostat.base.feedback import FeedbackState, Moved, Nothing, Span
from homeostat.base.state import LoopState
from homeostat.base.units import TimeNs
from homeostat.loop import ebbing
from homeostat.server.view_plain import when


def feedback(state: LoopState | None) -> dict[str, Any]:
    """Return how the lines stand, what moved them, and what still waits for a word."""
    policy = state.managed.feedback if state is not None else None
    known = state.feedback if state is not None else None
    known = known if known is not None else FeedbackState()
    return {
        "mode": policy.mode.value if policy is not None else "off",
        "stopped": known.stopped,
        "held": [one.value for one in known.held],
        "told": known.told,
        "came_to_nothing": _came_to_nothing(state),
        "overlooked": known.overlooked,
        "nothings": [_nothing(one) for one in known.nothings],
        "mistaken": [
            {"suspected": one.suspected.value, "said": one.said.value, "count": one.count}
            for one in known.mistaken
        ],
        "moves": [moved(one) for one in known.moves],
        "waiting": [_waiting(one) for one in _spans(known) if one.incident_id],
    }


def _came_to_nothing(state: LoopState | None) -> dict[str, Any] | None:
    ebb = state.ebb if state is not None else None
    now = state.evidence.at if state is not None and state.evidence is not None else None
    line = ebbing.beyond(state, now) if state is not None and now is not None else None
    if ebb is None or ebb.at is None or line is None:
        return None
    return {"beyond": round(line, 2), "until": when(TimeNs(ebb.at + ebbing.KEPT_NS))}


def moved(value: Moved) -> dict[str, Any]:
    """Return a line that moved, and by whose words."""
    return {"at": when(value.at), "words": value.words}


def moved_before(state: LoopState | None, at: TimeNs) -> list[dict[str, Any]]:
    """Return the lines that feedback had moved by a moment, the newest last."""
    if state is None or state.feedback is None:
        return []
    return [moved(one) for one in state.feedback.moves if one.at <= at]


def awaits(state: LoopState | None, incident_id: str) -> bool:
    """Return whether an incident still waits for a word, also one that the view has forgotten."""
    known = state.feedback if state is not None else None
    return known is not None and incident_id in {one.incident_id for one in _spans(known)}


def _spans(known: FeedbackState) -> tuple[Span, ...]:
    return known.waiting if known.open is None else (*known.waiting, known.open)


def _nothing(value: Nothing) -> dict[str, Any]:
    return {
        "incident_id": value.incident_id,
        "family": value.family.value,
        "confidence": round(value.confidence, 3),
        "by": value.by,
        "at": when(value.at),
    }


def _waiting(value: Span) -> dict[str, Any]:
    return {
        "incident_id": value.incident_id,
        "family": value.family.value if value.family is not None else None,
        "since": when(value.since),
        "until": when(value.until),
        "said": [{"by": one.by, "real": one.real, "at": when(one.at)} for one in value.words],
    }
