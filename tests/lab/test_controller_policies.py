"""The comparison policies use the same senses and guards, and less of everything else."""

from collections import Counter

import numpy as np
import pytest
from controller_made import Made, episode, play

from homeostat.base.actions import HOLD, ActionKind
from homeostat.base.evidence import Evidence
from homeostat.base.units import TimeNs, ns
from homeostat.base.world import Snapshot
from homeostat.lab.controller import Controller
from homeostat.lab.homeostat import homeostat
from homeostat.lab.random_safe import DECISION_S, Lottery, random_safe
from homeostat.lab.runbook_policy import runbook_policy
from homeostat.lab.safe_set_actions import every
from homeostat.lab.types import Move
from homeostat.loop import memory
from homeostat.safety.permit import permit

WARM = 20


def begun(controller: Controller, made: Made, scrapes: int = WARM) -> tuple[list[str], list[Move]]:
    controller.start([episode()])
    moves = play(controller, made, scrapes)
    return [action.kind.value for action in controller.minds[0].state.past], moves


def test_the_runbook_acts_at_first_sight_where_the_controller_waits() -> None:
    first = {}
    for policy in (runbook_policy(), homeostat()):
        made = Made()
        _, moves = begun(policy, made)
        made.rate, made.p95_ms = 500.0, 900.0  # an overload
        moves = play(policy, made, 12, moves[-1].orders)
        first[policy.name] = [bool(m.intervened[0]) for m in moves].index(True)
        assert policy.minds[0].state.past[0].kind is ActionKind.SCALE_UP
    assert first["runbook"] < first["homeostat"]


def test_the_runbook_leaves_a_healthy_deployment_alone() -> None:
    past, moves = begun(runbook_policy(), Made(rate=300.0), 60)
    assert past == []
    assert not any(m.paged[0] for m in moves)


@pytest.mark.slow
def test_random_safe_draws_only_what_the_kernel_allows_and_repeats_itself() -> None:
    runs = [begun(random_safe(), Made(seed=5), 120) for _ in range(2)]
    (past, moves), (again, _) = runs
    assert past == again
    assert past
    assert ActionKind.RESTART_ALL.value not in past
    assert ActionKind.RETRAIN.value not in past
    exempt = {ActionKind.SCALE_UP.value, ActionKind.ROLLBACK.value}
    assert sum(kind not in exempt for kind in past) <= 6  # guard G4: half an hour
    assert not any(m.paged[0] or m.person_minutes[0] for m in moves)
    assert all(np.asarray(m.orders.replicas)[0, 0] >= 2 for m in moves)


def test_every_kind_of_action_can_be_named_and_one_is_refused_always() -> None:
    controller, made = homeostat(), Made()
    begun(controller, made)
    state = controller.minds[0].state
    assert isinstance(state.evidence, Evidence)
    assert isinstance(state.world, Snapshot)
    wanted = list(every(state.world, state.evidence, state.managed))
    kinds = Counter(action.kind for action in wanted)
    passive = {ActionKind.HOLD, ActionKind.ESCALATE}
    assert set(kinds) == set(ActionKind) - passive
    assert kinds[ActionKind.RESTART_REPLICA] == 6
    safe = permit(wanted, memory.guard_state(state), state.evidence.at)
    refused = {refusal.action.kind for refusal in safe.refused}
    assert ActionKind.RESTART_ALL in refused
    assert all(any("G1 shape" not in r for r in one.reasons) for one in safe.refused)
    assert any(action.kind is ActionKind.SCALE_UP for action in safe.allowed)


def test_random_safe_draws_evenly_from_all_that_is_allowed_and_from_nothing_else() -> None:
    controller, made = homeostat(), Made()
    begun(controller, made)
    state = controller.minds[0].state
    assert state.evidence is not None
    assert state.world is not None
    now = state.evidence.at
    wanted = list(every(state.world, state.evidence, state.managed))
    allowed = permit(wanted, memory.guard_state(state), now).allowed
    assert 2 <= len(allowed) < len(wanted)
    lottery, times = Lottery(episode()), 40 * len(allowed)
    drawn = Counter(lottery.choose(state, now)[0] for _ in range(times))
    assert set(drawn) == set(allowed)
    # Even to five standard deviations of a count of 40.
    assert all(8 <= count <= 72 for count in drawn.values())
    between = TimeNs(now + ns(0.5 * DECISION_S))
    assert {lottery.choose(state, between)[0] for _ in range(5)} == {HOLD}
