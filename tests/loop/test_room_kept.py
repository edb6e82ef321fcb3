"""Half of what could be served at once stays within half an hour, whichever way it shrinks."""

from dataclasses import replace

import pytest

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind
from homeostat.base.guard import Allow, Deny
from homeostat.base.intent import ActionState
from homeostat.base.state import LoopState
from homeostat.base.units import MINUTE, SECOND, TimeNs
from homeostat.base.world import ReplicaState, Scalar
from homeostat.loop.memory import guard_state, remember
from homeostat.loop.step import initial
from homeostat.safety.guard import guard
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_cases import known, record

POOL = names.pool("a")
LIMITS = replace(g.POLICY, scale_in_scrapes=0.0)


def resize(wanted: float) -> Action:
    return g.act(ActionKind.RESIZE_DOWN, POOL, concurrency_max=wanted)


def after(
    state: LoopState, minutes: float, size: int, concurrency: Scalar | None
) -> tuple[LoopState, TimeNs]:
    """Return the loop's state once a deployment of that size was seen so many minutes in."""
    now = TimeNs(g.NOW + round(minutes * MINUTE))
    scene = g.told(g.scene(size), g.reading(POOL, names.UTILISATION, 0.2))
    found, told = known(scene)
    levers = dict(found.levers)
    levers.pop(names.CONCURRENCY)
    if concurrency is not None:
        levers[names.CONCURRENCY] = concurrency
    world = replace(found, levers=tuple(sorted(levers.items())), observed_at=now)
    seen = replace(told, at=now, world=world)
    return remember(replace(state, world=world, evidence=seen, epoch=1), now), now


def start() -> LoopState:
    return initial(g.managed(policy=LIMITS))


def reasons(state: LoopState, action: Action, now: TimeNs) -> str:
    """Return which guards speak against an action for what may go within half an hour."""
    said = guard(action, replace(guard_state(state), loads=g.watched(0.0)), now)
    lines = () if isinstance(said, Allow) else said.reasons
    return "|".join(line for line in lines if line.startswith(("G3 room", "G3 peak")))


def test_concurrency_that_shrinks_a_quarter_at_a_time_keeps_half_within_half_an_hour() -> None:
    state = start()
    for minutes, live, wanted in ((0, 64, 48), (10, 48, 36)):
        state, now = after(state, minutes, 4, live)
        assert reasons(state, resize(wanted), now) == ""
    state, now = after(state, 20, 4, 36)
    assert reasons(state, resize(32), now) == ""
    assert "G3 room" in reasons(state, resize(27), now)
    # What there was is forgotten when it is half an hour old, and no sooner.
    state, now = after(state, 31, 4, 36)
    assert reasons(state, resize(27), now) == ""


def test_replicas_and_concurrency_may_not_each_take_their_share() -> None:
    state, _ = after(start(), 0, 4, 64)
    state, now = after(state, 10, 4, 48)
    assert reasons(state, g.scale(3, ActionKind.SCALE_DOWN), now) == ""  # 144 of 256
    state, now = after(state, 20, 3, 48)
    assert "G3 room" in reasons(state, resize(36), now)  # 108 of 256
    assert reasons(state, resize(44), now) == ""  # 132 of 256
    state, now = after(state, 20, 3, 44)
    assert "G3 room" in reasons(state, g.scale(2, ActionKind.SCALE_DOWN), now)


def test_where_no_such_lever_is_replicas_alone_count() -> None:
    state, now = after(start(), 0, 4, None)
    assert reasons(state, g.scale(2, ActionKind.SCALE_DOWN), now) == ""
    assert "G3 peak" in reasons(state, g.scale(1, ActionKind.SCALE_DOWN), now)


def test_a_lever_that_is_not_read_any_more_shrinks_nothing() -> None:
    state, _ = after(start(), 0, 4, 64)
    state, now = after(state, 1, 4, None)
    assert "G3 room" in reasons(state, g.scale(3, ActionKind.SCALE_DOWN), now)
    assert "G3 room" in reasons(state, resize(60), now)


@pytest.mark.parametrize(("own", "known"), [(0, True), (1, False), (256, False)])
def test_room_is_not_known_where_replicas_have_room_of_their_own(
    own: int,
    known: bool,  # noqa: FBT001
) -> None:
    """Three of four that take one request each leave next to nothing when the fourth goes."""
    state, now = after(start(), 0, 4, 64)
    assert state.world is not None
    more = tuple((names.lever_own(names.CONCURRENCY, f"a-{n}"), own) for n in (1, 2, 3))
    world = replace(state.world, levers=tuple(sorted((*state.world.levers, *more))))
    said = reasons(replace(state, world=world), g.scale(3, ActionKind.SCALE_DOWN), now)
    assert ("not known: room_kept_milli" not in said, said == "") == (known, known)


def test_room_on_trial_is_no_room_that_was_there() -> None:
    more = g.act(ActionKind.RESIZE_UP, POOL, concurrency_max=64)
    trial = record(more, ActionState.VERIFYING, pre=((names.CONCURRENCY, 16),))
    state, _ = after(replace(start(), record=trial), 0, 4, 64)
    state, now = after(replace(state, record=None), 1, 4, 16)
    assert reasons(state, g.scale(3, ActionKind.SCALE_DOWN), now) == ""


@pytest.mark.parametrize("serving", [2, 1])
def test_draining_counts_like_scaling_in(serving: int) -> None:
    state, _ = after(start(), 0, 4, 16)
    state, now = after(state, 5, 4, 16)
    scene = guard_state(state)
    for number in range(serving + 1, 4):
        scene = g.with_slot(scene, f"a-{number}", ReplicaState.DRAINING)
    scene = g.slow(scene)
    said = guard(g.drain("a-1"), replace(scene, peak_replicas=0), TimeNs(now + SECOND))
    spoken = isinstance(said, Deny) and any("G3 room" in line for line in said.reasons)
    assert spoken is (serving == 1)
