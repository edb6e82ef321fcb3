"""Is something taken back that ended before, and what is it then on its way down?

What is on trial was added a moment ago, and taking it back loses nothing that users came to need.
What has ended is a part of what serves today: taken back days later it is scaling in, in one step,
and is held to what scaling in is held to.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from homeostat.base.actions import Action, ActionKind
from homeostat.base.intent import ActionRecord
from homeostat.safety.change import Change

# What it is to take an action back that gave capacity to all of the traffic.
_DOWN: Final[Mapping[ActionKind, ActionKind]] = MappingProxyType({
    ActionKind.SCALE_UP: ActionKind.SCALE_DOWN,
    ActionKind.RESIZE_UP: ActionKind.RESIZE_DOWN,
})


def is_late(action: Action, own: ActionRecord | None, *, undo: bool) -> bool:
    """Return whether an undo takes back what is not on trial any more.

    Args:
        action: What would be written.
        own: Its record in flight. Where that was begun because what it takes back did harm, its
            way back is as free as from a trial; where it goes back itself, it is on trial.
        undo: Something is taken back.
    """
    if not undo or own is None or own.harmed:
        return False
    return own.undoes != "" and action.change == own.action.change


def downward(change: Change, *, late: bool) -> Change:
    """Return a change as what it does to capacity: a late undo of growth is a shrinking."""
    down = _DOWN.get(change.kind) if late else None
    return change if down is None else replace(change, kind=down)
