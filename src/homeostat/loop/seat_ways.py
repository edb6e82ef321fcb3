"""Kinds of actions that learning never delays, never takes away and never makes ask."""

from typing import Final

from homeostat.base.actions import ActionKind

WAYS_BACK: Final = frozenset({
    ActionKind.ROLLBACK,
    ActionKind.RESTART_REPLICA,
    ActionKind.DRAIN_REPLICA,
    ActionKind.SCALE_UP,
})
"""Whether they are exempt or not: back to what was verified, one replica, more capacity."""
