"""The floor for an undo: no replica that users need goes, whichever ones the target picks."""

from dataclasses import replace
from itertools import combinations, product

import pytest

from homeostat.base import names
from homeostat.base.actions import ActionKind
from homeostat.base.guard import Deny, GuardState
from homeostat.base.intent import ActionState
from homeostat.base.world import ReplicaState
from homeostat.safety.guard import guard
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_cases import flying, policy

SIZE, BEFORE = 4, 3
POOL = tuple(f"a-{number}" for number in range(1, SIZE + 1))
FAILING = "failing"  # in rotation, and three probe rounds failed
KINDS = (ReplicaState.READY, ReplicaState.STARTING, ReplicaState.GONE, FAILING)


def grown(kinds: tuple[str, ...], *, before: int, least: int) -> GuardState:
    """Return a deployment that an action brought to four replicas, some of them not serving."""
    state = g.scene(SIZE, fallback=0)
    for name, kind in zip(POOL, kinds, strict=True):
        if kind == FAILING:
            state = g.told(state, g.reading(names.replica(name), names.PROBE_FAILURES, 3.0))
        else:
            state = g.with_slot(state, name, ReplicaState(kind))
    state = flying(
        state, g.scale(SIZE), ActionState.ROLLING_BACK, pre=((names.lever_replicas("a"), before),)
    )
    return policy(state, min_replicas=least)


@pytest.mark.parametrize("kinds", list(product(KINDS, repeat=SIZE)), ids="-".join)
def test_an_undo_that_is_allowed_costs_no_serving_replica_below_the_floor(
    kinds: tuple[str, ...],
) -> None:
    serving = {name for name, kind in zip(POOL, kinds, strict=True) if kind == ReplicaState.READY}
    for before, least in ((3, 2), (2, 2), (2, 3)):
        answer = guard(g.scale(SIZE), grown(kinds, before=before, least=least), g.NOW, undo=True)
        outcomes = [serving - set(gone) for gone in map(set, combinations(POOL, SIZE - before))]
        harmless = all(left == serving or len(left) >= least for left in outcomes)
        assert (not isinstance(answer, Deny)) is harmless, answer


def test_shrinking_on_purpose_is_still_judged_by_its_full_number() -> None:
    kinds = (ReplicaState.READY, *[ReplicaState.STARTING] * (SIZE - 1))
    state = replace(grown(kinds, before=BEFORE, least=2), in_flight=None, peak_replicas=0)
    answer = guard(g.scale(BEFORE, ActionKind.SCALE_DOWN), state, g.NOW)
    assert isinstance(answer, Deny)
    assert any(reason.startswith("G2 floor") for reason in answer.reasons)
