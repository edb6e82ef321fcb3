"""Cases for the guards of stretches of time, and of a policy that is not proved.

Half of what served stays, and levers do not turn round and round.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind
from homeostat.base.guard import PastAction
from homeostat.base.units import SECOND, TimeNs
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_cases import Case, policy

QUARTER_S: Final = 900.0
_LESS: Final = g.act(ActionKind.BATCH_DOWN, names.pool("a"), batch_max=7)
_SMALLER: Final = g.act(ActionKind.RESIZE_DOWN, names.pool("a"), concurrency_max=12)
_DOWN: Final = g.scale(2, ActionKind.SCALE_DOWN)
_OPPOSITE: Final = {
    ActionKind.BATCH_DOWN: ActionKind.BATCH_UP,
    ActionKind.RESIZE_DOWN: ActionKind.RESIZE_UP,
    ActionKind.SCALE_DOWN: ActionKind.SCALE_UP,
}


def moves(action: Action, *ago: float) -> tuple[PastAction, ...]:
    """Return moves of an action's lever, in turn against and with it, the last against it.

    Args:
        action: Makes something smaller.
        ago: How many seconds ago each was, oldest first.
    """
    kinds = [_OPPOSITE[action.kind], action.kind]
    return tuple(
        PastAction(
            id=f"m-{number}",
            kind=kinds[(len(ago) - 1 - number) % 2],
            subject=action.subject,
            at=TimeNs(g.NOW - round(seconds * SECOND)),
            levers=tuple(lever for lever, _ in action.change),
        )
        for number, seconds in enumerate(ago)
    )


def stretch_cases() -> Iterator[Case]:
    """Yield the boundaries of what may go within half an hour, and of turning round."""
    scene, drained = g.scene(4), "G3 drained"
    slow = g.slow(scene)
    drain = g.drain("a-1")
    yield Case("half of the peak stays", replace(slow, peak_replicas=6), drain)
    yield Case("less than half stays", replace(slow, peak_replicas=7), drain, "deny", drained)
    hung = replace(g.hung(scene), peak_replicas=99)
    yield Case("what serves nobody is no loss", hung, drain)
    for action in (_LESS, _SMALLER, _DOWN):
        yield from _turning(action)
    waiting = policy(g.scene(), unproved="its proof is on its way")
    yield Case("a policy not proved", waiting, _LESS, "deny", "G12 unproved")
    yield Case("a policy not proved, one more", waiting, g.scale(4), "deny", "G12 unproved")
    yield Case("a policy not proved, undo", waiting, _LESS, undo=True)


def _turning(action: Action) -> Iterator[Case]:
    kind, scene = action.kind.value, g.scene()
    once = replace(scene, moves=moves(action, 500.0))
    yield Case(f"{kind}, up and down again", once, action)
    twice = replace(scene, moves=moves(action, QUARTER_S - 1.0, 500.0))
    yield Case(f"{kind}, down, up and down again", twice, action, "deny", "G3 turning")
    # What was turned from may be as long ago as it likes; the turn is what counts.
    old = replace(scene, moves=moves(action, 9 * QUARTER_S, 500.0))
    yield Case(f"{kind}, turned lately from long ago", old, action, "deny", "G3 turning")
    late = replace(scene, moves=moves(action, 9 * QUARTER_S, QUARTER_S))
    yield Case(f"{kind}, turned a quarter of an hour ago", late, action)
    others = tuple(replace(one, levers=("other",)) for one in twice.moves)
    yield Case(f"{kind}, another lever turned", replace(scene, moves=others), action)


def room_cases() -> Iterator[Case]:
    """Yield the boundaries of how much of the room within half an hour must stay."""
    scene, rule = g.scene(4), "G3 room"
    for action, half in ((g.scale(3, ActionKind.SCALE_DOWN), 96), (_SMALLER, 96)):
        kind = action.kind.value
        kept = replace(scene, peak_room_milli=1000 * half)
        yield Case(f"{kind}, half of the room stays", kept, action)
        less = replace(scene, peak_room_milli=1000 * half + 200)
        yield Case(f"{kind}, less than half of it stays", less, action, "deny", rule)
    slow = replace(g.slow(scene), peak_room_milli=96_000)
    yield Case("drain, half of the room stays", slow, g.drain("a-1"))
    less = replace(slow, peak_room_milli=96_200)
    yield Case("drain, less than half of it stays", less, g.drain("a-1"), "deny", rule)
    hung = replace(g.hung(scene), peak_room_milli=960_000)
    yield Case("what serves nobody has no room", hung, g.drain("a-1"))
