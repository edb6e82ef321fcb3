"""The bandit without guards: plays what promises most, whole, and learns from what came of it."""

from collections import Counter

import pytest
from foreseen_by_hand import Foresees, full, overloaded

from homeostat.base.actions import ActionKind
from homeostat.base.learning import INCUMBENT
from homeostat.base.rehearsal import Rehearsal
from homeostat.base.units import SECOND
from homeostat.lab import bandit_policy
from homeostat.lab.bandit_policy import Gambling, gambling
from homeostat.lab.controller import Controller
from homeostat.safety.permit import permit

BATCH_IS_BEST = {ActionKind.BATCH_UP: 0.9, ActionKind.HOLD: 0.2}
HOLD_IS_BEST = {ActionKind.BATCH_UP: 0.2, ActionKind.HOLD: 0.9}
pytestmark = pytest.mark.slow
SETTLED = 24  # scrapes: the horizon of 300 s, and what begins and ends it


def with_twin(monkeypatch: pytest.MonkeyPatch, twin: Foresees) -> Foresees:
    monkeypatch.setattr(bandit_policy, "Twin", twin.beside)
    return twin


def mind(controller: Controller) -> Gambling:
    found = controller.minds[0]
    assert isinstance(found, Gambling)
    return found


def kinds(controller: Controller) -> list[str]:
    return [one.kind for one in controller.minds[0].state.past]


def test_it_does_what_promises_most_and_waits_for_what_comes_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    twin = with_twin(monkeypatch, Foresees(BATCH_IS_BEST))
    controller = gambling("")
    overloaded(controller, 15)
    assert kinds(controller) == [ActionKind.BATCH_UP]
    assert len(twin.asked) == 1
    assert mind(controller).played == Counter({INCUMBENT: 1})


def test_it_holds_where_holding_promises_more(monkeypatch: pytest.MonkeyPatch) -> None:
    with_twin(monkeypatch, Foresees(HOLD_IS_BEST))
    controller = gambling("")
    overloaded(controller, 15)
    assert kinds(controller) == []
    assert mind(controller).played == Counter({"hold": 1})


def test_it_believes_a_twin_that_nobody_should_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    with_twin(monkeypatch, Foresees(HOLD_IS_BEST, reasons=("it was never checked",)))
    controller = gambling("")
    overloaded(controller, 15)
    assert mind(controller).played == Counter({"hold": 1})


def test_it_asks_no_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that say nothing: every guard of freshness refuses, and it writes all the same."""
    with_twin(monkeypatch, Foresees(BATCH_IS_BEST))
    guarded: list[int] = []

    def none(wanted: object, *_: object) -> object:
        guarded.append(len(tuple(wanted)))  # type: ignore[arg-type]
        return permit(wanted, *_)  # type: ignore[arg-type]

    monkeypatch.setattr(bandit_policy, "permit", none)
    controller = gambling("")
    overloaded(controller, 15)
    assert kinds(controller) == [ActionKind.BATCH_UP]
    assert set(guarded) == {0}, "it asked what of it is permitted"


def test_it_learns_from_the_outcome_and_then_chooses_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    twin = with_twin(monkeypatch, Foresees(HOLD_IS_BEST))
    controller = gambling("")
    overloaded(controller, 2 * SETTLED)
    (first, payoff), *_ = mind(controller).taught
    assert payoff.pick_id == first.id == "d-0001"
    assert payoff.costs[0] == 1.0  # it held in an overload
    assert len(twin.asked) >= 2
    gaps = [b.at - a.at for (a, _), (b, _) in zip(twin.asked, twin.asked[1:], strict=False)]
    assert min(gaps) >= 300 * SECOND


def test_where_nothing_is_rehearsed_the_runbook_decides_and_nothing_is_learnt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    twin = with_twin(monkeypatch, Foresees(HOLD_IS_BEST))

    def nothing(command: object, state: object) -> Rehearsal:
        found = Foresees.__call__(twin, command, state)  # type: ignore[arg-type]
        return Rehearsal(
            id=found.id, at=found.at, horizon_ns=0, draws=0, prospects=(), trust=found.trust
        )

    monkeypatch.setattr(bandit_policy, "Twin", lambda _: nothing)
    controller = gambling("")
    overloaded(controller, SETTLED)
    assert kinds(controller)[:1] == [ActionKind.BATCH_UP]
    assert mind(controller).played[INCUMBENT] >= 1
    assert mind(controller).taught == []


def test_it_draws_by_its_episode_and_repeats_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    with_twin(monkeypatch, Foresees({ActionKind.BATCH_UP: 0.5, ActionKind.HOLD: 0.52}))
    found = []
    for _ in range(2):
        controller = gambling("")
        overloaded(controller, 2 * SETTLED, full("S14", 7))
        found.append((kinds(controller), mind(controller).played, mind(controller).taught))
    assert found[0] == found[1]
