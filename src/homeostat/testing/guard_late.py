"""Cases for taking back what ended before: it is held to what scaling in is held to.

Whatever is on trial, did harm or serves nobody is taken back as freely as ever.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind
from homeostat.base.guard import GuardState
from homeostat.base.intent import ActionState
from homeostat.base.world import ReplicaState
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_cases import Case, record, used

SIZE: Final = 12
_HALF, _PEAK, _LOAD = 6, "G3 late undo", "G7 late undo"
_SMALLER: Final = g.act(ActionKind.RESIZE_UP, names.pool("a"), concurrency_max=8)


def taking_back(state: GuardState, action: Action, *, harmed: bool = False) -> GuardState:
    """Return the state in which an action takes back what ended before.

    Args:
        state: The deployment.
        action: Carries what was live before the one that it takes back, and its kind.
        harmed: That one was found to do harm.
    """
    own = replace(record(action, ActionState.PROPOSED), undoes="d-0001", harmed=harmed)
    return replace(state, in_flight=own)


def late_cases() -> Iterator[Case]:
    """Yield the boundaries of what a late undo may take from users."""
    scene = g.scene(SIZE)
    half, fewer = g.scale(_HALF), g.scale(_HALF - 1)
    for name, action in (("replicas", half), ("concurrency", _SMALLER)):
        yield from _loaded(name, scene, action)
    yield Case("late undo to half", taking_back(scene, half), half, undo=True)
    yield Case("late undo to less", taking_back(scene, fewer), fewer, "deny", _PEAK, undo=True)
    harm = taking_back(used(scene, 0.9), fewer, harmed=True)
    yield Case("late undo of harm", harm, fewer, undo=True)
    before = ((names.lever_replicas("a"), _HALF - 1),)
    own = record(g.scale(SIZE), ActionState.ROLLING_BACK, pre=before)
    trial = replace(scene, in_flight=own)
    yield Case("undo on trial to less", used(trial, 0.9), g.scale(SIZE), undo=True)
    idle = used(replace(scene, peak_replicas=99), 0.9)
    # Whichever six of twelve the target chose, nobody would miss them: none of them serves.
    for number in range(1, SIZE + 1):
        gone = ReplicaState.STARTING if number > _HALF else ReplicaState.GONE
        idle = g.with_slot(idle, f"a-{number}", gone)
    yield Case("late undo of what serves nobody", taking_back(idle, half), half, undo=True)


def _loaded(name: str, scene: GuardState, action: Action) -> Iterator[Case]:
    """Yield half of what serves taken back under load: 40 % is the most that it may have."""
    for share, wanted, rule in ((0.4, "allow", ""), (0.401, "deny", _LOAD)):
        state = taking_back(used(scene, share), action)
        yield Case(f"late undo of {name} at {share}", state, action, wanted, rule, undo=True)
    blind = g.without(scene, [(names.pool("a"), names.UTILISATION)])
    unseen = taking_back(blind, action)
    yield Case(f"late undo of {name}, load unknown", unseen, action, "deny", _LOAD, undo=True)
