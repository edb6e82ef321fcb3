"""The room that a counterexample's deployment had, for the share that an action leaves of it."""

from typing import Final

from homeostat.base.actions import ActionKind
from homeostat.proof.question import Drawn

CONCURRENCY: Final = 16  # requests in flight of each replica, where the question does not say
_ALL: Final = 1000


def room(drawn: Drawn) -> int:
    """Return the most requests at once within half an hour, in thousandths.

    Args:
        drawn: Says which share of them the action leaves; where that is all, none are remembered.
    """
    share, left = drawn.facts.get("room_kept_milli"), drawn.facts["left_in_pool"]
    if not isinstance(share, int) or not isinstance(left, int) or share >= _ALL:
        return 0
    each = drawn.wanted if drawn.kind == ActionKind.RESIZE_DOWN.value else _ALL * CONCURRENCY
    return left * each * _ALL // max(1, share)
