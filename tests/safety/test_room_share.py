"""The share of room that an action leaves: by hand, and unknown where a lever holds no number."""

from dataclasses import replace

import pytest

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind
from homeostat.base.guard import GuardState
from homeostat.safety.facts import facts
from homeostat.safety.guard import guard
from homeostat.safety.sight import look
from homeostat.testing import guard_scene as g

FEWER = g.act(ActionKind.RESIZE_DOWN, names.pool("a"), concurrency_max=12)
OTHER = g.act(ActionKind.SCALE_DOWN, names.pool("b"), replicas__b=0)


def scene(peak: int, live: float | str | None = 16) -> GuardState:
    """Return three healthy replicas with so many requests in flight each, and a peak of room."""
    state = replace(g.scene(3), peak_room_milli=peak)
    if live is not None:
        return g.with_levers(state, concurrency_max=live)
    assert state.world is not None
    levers = tuple(one for one in state.world.levers if one[0] != names.CONCURRENCY)
    return replace(state, world=replace(state.world, levers=levers))


def share(state: GuardState, action: Action) -> object:
    return facts(action, look(state, g.NOW))["room_kept_milli"]


@pytest.mark.parametrize(
    ("peak", "action", "kept"),
    [
        (48_000, FEWER, 750),  # 3 x 12 of 3 x 16
        (72_000, FEWER, 500),
        (73_000, FEWER, 493),
        (48_000, g.scale(2, ActionKind.SCALE_DOWN), 666),
        (48_000, g.drain("a-1"), 666),
        (48_000, OTHER, 1000),  # the other pool is no room of this one
        (0, FEWER, 1000),  # nothing is remembered yet
    ],
)
def test_the_share_is_what_stays_of_replicas_times_requests(
    peak: int, action: Action, kept: int
) -> None:
    assert share(scene(peak), action) == kept


def test_replicas_alone_count_where_there_is_no_such_lever() -> None:
    assert share(scene(3000, live=None), g.scale(2, ActionKind.SCALE_DOWN)) == 666


@pytest.mark.parametrize("live", ["many", float("nan")])
def test_a_lever_that_holds_no_number_is_unknown_and_denies(live: float | str) -> None:
    state = scene(48_000, live=live)
    for action in (FEWER, g.scale(2, ActionKind.SCALE_DOWN)):
        assert share(state, action) is None
        reasons = getattr(guard(action, state, g.NOW), "reasons", ())
        assert any(why.startswith("G3 room") and "not known" in why for why in reasons)


def test_a_wanted_value_that_is_no_number_is_unknown() -> None:
    wild = g.act(ActionKind.RESIZE_DOWN, names.pool("a"), concurrency_max="few")
    assert share(scene(48_000), wild) is None


def test_without_a_world_nothing_is_known() -> None:
    assert share(replace(scene(48_000), world=None), FEWER) is None


def test_where_replicas_hold_unlike_room_what_leaves_is_not_known() -> None:
    """What stays may hold less each than what goes, and what goes more."""
    apart = g.with_levers(scene(48_000), **{names.lever_own(names.CONCURRENCY, "a-1"): 4})
    for action in (g.scale(2, ActionKind.SCALE_DOWN), g.drain("a-1")):
        assert share(apart, action) is None
        reasons = getattr(guard(action, apart, g.NOW), "reasons", ())
        assert any(why.startswith("G3 room") and "not known" in why for why in reasons)
    assert share(apart, OTHER) == 1000, "the other pool's leave: here all stay"
