"""What the twin's answer is worth to the guards: a value that comes in, and can only forbid.

The kernel rehearses nothing and knows no twin. It asks whether there is a fresh answer about this
very action by a twin that may be believed; anything else is no such answer.
"""

from homeostat.base.actions import Action
from homeostat.base.intent import ActionRecord
from homeostat.base.rehearsal import Prospect
from homeostat.safety.sight import Sight
from homeostat.safety.tree import Value

_NONE = "no rehearsal of it"


def rehearsed(action: Action, sight: Sight, own: ActionRecord | None) -> dict[str, Value]:
    """Return the facts of the rehearsal.

    Args:
        action: The whole action; a stage of a ramp is judged as its action was.
        sight: What can be seen.
        own: Its record if it is in flight: then its answer is as old as it was when proposed.
    """
    twin, answer = sight.state.managed.twin, sight.state.rehearsal
    if twin is None:
        return {"twin": False, "trusted": False, "twin_text": "no twin", "worse": False}
    prospect = None if answer is None else answer.of(action)
    now = sight.now if own is None else own.proposed_at
    fresh = answer is not None and 0 <= now - answer.at <= twin.good_ns
    if answer is not None and not answer.trust.is_given:
        text = answer.trust.reasons[0]
    elif prospect is not None and not fresh:
        text = "its rehearsal is too old"
    else:
        text = _NONE if prospect is None else ""
    trusted = text == "" and prospect is not None
    return {
        "twin": True,
        "trusted": trusted,
        "twin_text": text,
        "worse": trusted and prospect is not None and _worse(prospect),
    }


def _worse(prospect: Prospect) -> bool:
    """Return whether the whole interval of the difference to holding lies on the bad side."""
    return prospect.against_hold.breach.p5 > 0.0
