"""What was seen lately permits what it speaks of, and nothing that any other guard refuses."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind
from homeostat.base.evidence import Quality
from homeostat.base.guard import Allow, Deny, GuardState, NeedApproval
from homeostat.base.intent import ActionState
from homeostat.base.policy import KillLevel
from homeostat.base.units import SECOND, TimeNs
from homeostat.safety.guard import guard
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_cases import (
    OTHER,
    aged,
    budget,
    fleet,
    flying,
    not_ready,
    past,
    policy,
    quality,
    quiet,
    stamped,
    used,
)
from homeostat.testing.guard_lately import RATE_MILLI, replaced, slower

BACK = g.act(ActionKind.BATCH_UP, names.pool("a"), batch_max=32)
LIFTED = {"G2 step", "G0 full batches", "G7 room for the batch"}
Spoil = Callable[[GuardState], GuardState]
NARROW = tuple(replace(one, high=16.0) for one in g.POLICY.limits)
SPOILS: dict[str, Spoil] = {
    "beyond the bounds": lambda s: policy(s, limits=NARROW),
    "no bounds": lambda s: policy(s, limits=()),
    "below the floor": lambda s: policy(s, min_replicas=9),
    "over the budget": lambda s: budget(s, 0.5),
    "kill switch": lambda s: replace(s, kill=KillLevel.NO_NEW),
    "stale tick": lambda s: aged(s, evidence_s=3.0),
    "stale world": lambda s: aged(s, world_s=3.0),
    "no tick": lambda s: replace(s, evidence=None),
    "no world": lambda s: replace(s, world=None),
    "gateway silent": lambda s: quality(s, names.ERROR_RATIO, Quality.STALE),
    "replicas silent": lambda s: quiet(s, "a-2", "a-3"),
    "learning": not_ready,
    "frozen": lambda s: policy(s, frozen=True),
    "in flight": lambda s: flying(s, OTHER, ActionState.APPLIED),
    "cooldown": lambda s: replace(s, past=past(1.0)),
    "rate": lambda s: replace(s, past=past(1800.0, times=9)),
    "tries": lambda s: replace(s, tries=3),
    "busy": lambda s: used(s, 0.95),
    "correlated": lambda s: fleet(s, anomalous=60),
    "another writer": lambda s: replace(s, foreign_until=TimeNs(g.NOW + SECOND)),
    "a newer controller": lambda s: stamped(replace(s, epoch=1), epoch=7),
    "observing": lambda s: replace(s, observe_until=TimeNs(g.NOW + SECOND)),
    "nobody granted it": lambda s: policy(s, granted_by=""),
}

# After these there is nothing left to spoil.
NOTHING_LEFT = ("no tick", "no world")


def heads(action: Action, state: GuardState) -> set[str]:
    """Return which rules refuse or ask."""
    match guard(action, state, g.NOW):
        case Deny(reasons=reasons) | NeedApproval(reasons=reasons):
            return {reason.partition(":")[0] for reason in reasons}
        case Allow():
            return set()


def spoilt(state: GuardState, which: list[str]) -> GuardState:
    for name in sorted(which, key=NOTHING_LEFT.__contains__):
        state = SPOILS[name](state)
    return state


def test_the_way_back_lifts_what_it_says_and_is_needed_for_that() -> None:
    assert heads(BACK, g.scene()) == {"G2 step", "G7 room for the batch"}
    assert heads(BACK, replaced(g.scene(), 32)) == set()


@given(st.lists(st.sampled_from(sorted(SPOILS)), min_size=1, max_size=3, unique=True))
def test_a_way_back_passes_nothing_that_another_guard_refuses(which: list[str]) -> None:
    state = spoilt(g.scene(), which)
    refused = heads(BACK, state) - LIFTED
    with_it = heads(BACK, replaced(state, 32))
    # Nothing is ever allowed that was refused; without a world or a tick all are refusals.
    assert not refused or with_it
    assert refused <= with_it or set(NOTHING_LEFT) & set(which)


@given(st.lists(st.sampled_from(sorted(SPOILS)), min_size=1, max_size=3, unique=True))
def test_a_slower_replica_passes_nothing_that_another_guard_refuses(which: list[str]) -> None:
    state = spoilt(g.scene(), which)
    for action in (g.restart("a-1"), g.drain("a-1")):
        refused = heads(action, state) - {"G0 replica evidence"}
        assert not refused or heads(action, spoilt(slower(g.scene()), which))


def changed(which: int, **changes: object) -> GuardState:
    """Return the way back with one of its settings changed: 0 the one that served, 1 the live."""
    state = replaced(g.scene(), 32)
    settings = list(state.settings)
    settings[which] = replace(settings[which], **changes)  # type: ignore[arg-type]
    return replace(state, settings=tuple(settings))


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(changed(0, served=False), id="it never served"),
        pytest.param(changed(0, ticks=0), id="it was not well when it was replaced"),
        pytest.param(changed(0, value=31), id="another value served"),
        pytest.param(changed(0, until=TimeNs(g.NOW - 63 * SECOND)), id="nobody saw it replaced"),
        pytest.param(changed(0, rate_milli=0), id="it served nobody"),
        pytest.param(changed(1, served=True), id="the present one serves too"),
        pytest.param(changed(1, value=4), id="the live value is another"),
        pytest.param(replaced(g.scene(), 32, seconds=121.0), id="long ago"),
        pytest.param(replaced(g.scene(), 32, rate_milli=RATE_MILLI // 2 - 1), id="more to do"),
        pytest.param(
            g.without(replaced(g.scene(), 32), [(names.GATEWAY, names.ARRIVAL_RATE)]),
            id="what there is to do is not known",
        ),
    ],
)
def test_the_step_stands_where_any_of_it_is_missing(state: GuardState) -> None:
    assert "G2 step" in heads(BACK, state)


def test_a_way_back_of_one_lever_opens_none_for_another() -> None:
    both = g.act(ActionKind.BATCH_UP, names.pool("a"), batch_max=32, batch_wait_ms=90.0)
    assert "G2 step" in heads(both, replaced(g.scene(), 32))
    assert heads(both, replaced(replaced(g.scene(), 32), 90.0, lever=names.BATCH_WAIT)) == set()


@given(seconds=st.floats(0.0, 8.0), age=st.floats(0.0, 4.0))
def test_only_a_comparison_that_is_long_and_fresh_proves_a_replica_slow(
    seconds: float, age: float
) -> None:
    state = slower(g.scene(), seconds=seconds)
    until = TimeNs(g.NOW - round(age * SECOND))
    state = replace(state, slower=tuple(replace(one, until=until) for one in state.slower))
    proven = round(seconds * SECOND) >= 4 * SECOND and round(age * SECOND) <= 2 * SECOND
    assert ("G0 replica evidence" not in heads(g.restart("a-1"), state)) == proven


def test_a_comparison_of_another_process_proves_nothing() -> None:
    state = slower(g.scene())
    other = replace(state, slower=tuple(replace(one, incarnation=9) for one in state.slower))
    assert heads(g.restart("a-1"), state) == set()
    assert heads(g.restart("a-1"), other) == {"G0 replica evidence"}


def test_an_older_controller_is_refused_before_it_begins_and_a_shadow_only_watches() -> None:
    newer = SPOILS["a newer controller"](g.scene())
    assert heads(g.scale(4), newer) == {"G10 ownership"}
    assert heads(g.scale(4), replace(newer, epoch=7)) == set()
    assert heads(g.scale(4), replace(newer, epoch=None)) == set()
