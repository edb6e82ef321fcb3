"""The controller with a twin beside it, and a learner in its seat: asked, answered, followed."""

import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
from controller_made import episode
from foreseen_by_hand import WARM, Crowded, Foresees, full, overloaded

from homeostat.base.actions import ActionKind
from homeostat.base.policy import AdaptiveMode, AdaptivePolicy
from homeostat.base.units import SECOND
from homeostat.lab import homeostat as policies
from homeostat.lab.controller import Controller, Mind
from homeostat.lab.controller_names import own_names
from homeostat.lab.controller_runtime import ANSWER_NS, Runtime
from homeostat.lab.controller_twin import DRAWS
from homeostat.lab.homeostat import homeostat, homeostat_twin, seated
from homeostat.lab.seat_file import SEATS
from homeostat.policy import seat_learn

BATCH_IS_BEST = {ActionKind.BATCH_UP: 0.9, ActionKind.HOLD: 0.2}
HOLD_IS_BEST = {ActionKind.BATCH_UP: 0.2, ActionKind.HOLD: 0.9}
pytestmark = pytest.mark.slow
SETTLED = 34  # scrapes: until an incident is confirmed, the horizon of 300 s, and some more


def with_twin(monkeypatch: pytest.MonkeyPatch, twin: Foresees) -> Foresees:
    monkeypatch.setattr(policies, "Twin", twin.beside)
    return twin


def runtime(controller: Controller) -> Runtime:
    mind: Mind = controller.minds[0]
    assert isinstance(mind, Runtime)
    return mind


def done(controller: Controller) -> list[str]:
    return [one.kind for one in runtime(controller).state.past]


def acted(moves: list[Any]) -> int:
    return [bool(one.intervened[0]) for one in moves].index(True)


def test_without_a_twin_nobody_is_asked_and_the_product_is_as_it_ships() -> None:
    controller = homeostat()
    overloaded(controller)
    managed = runtime(controller).state.managed
    assert (managed.twin, managed.adaptive) == (None, None)
    assert runtime(controller).state.questions == 0
    assert done(controller) == [ActionKind.BATCH_UP]


def test_an_action_is_rehearsed_and_ordered_with_the_same_scrape_as_without_a_twin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    twin = with_twin(monkeypatch, Foresees(BATCH_IS_BEST))
    found = {}
    for controller in (homeostat(), homeostat_twin()):
        _, moves = overloaded(controller)
        found[controller.name] = (acted(moves), done(controller))
    assert found["homeostat"] == found["homeostat_twin"]
    command, state = twin.asked[0]
    assert [one.kind for one in command.candidates] == [ActionKind.BATCH_UP]
    assert (command.draws, command.horizon_ns) == (DRAWS, 300 * SECOND)
    assert state.incident is not None
    assert state.evidence is not None
    assert state.evidence.at == command.at


def test_an_answer_comes_a_second_after_its_question_and_within_its_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    twin = with_twin(monkeypatch, Foresees(BATCH_IS_BEST))
    controller = homeostat_twin()
    overloaded(controller)
    command, _ = twin.asked[0]
    state = runtime(controller).state
    assert command.at + ANSWER_NS < command.deadline
    assert state.past[0].at >= command.at + ANSWER_NS
    assert state.rehearsal is not None
    assert state.rehearsal.draws == DRAWS


def test_what_a_trusted_twin_foresees_to_do_harm_is_not_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    twin = with_twin(monkeypatch, Foresees(BATCH_IS_BEST))
    harmful = twin._prospect

    def worse(action: Any) -> Any:
        one = harmful(action)
        if action.kind is not ActionKind.BATCH_UP:
            return one
        missed = type(one.foreseen.breach)(p5=0.3, p50=0.4, p95=0.5)
        foreseen = type(one.against_hold)(**(
            {name: getattr(one.against_hold, name) for name in
             ("latency_ms", "error_ratio", "availability", "usd_per_hour")} | {"breach": missed}
        ))  # fmt: skip
        return type(one)(
            action=action, foreseen=one.foreseen, against_hold=foreseen, holds=one.holds,
            means=one.means,
        )  # fmt: skip

    monkeypatch.setattr(twin, "_prospect", worse)
    controller = homeostat_twin()
    overloaded(controller)
    assert twin.asked
    assert ActionKind.BATCH_UP not in done(controller)


def test_the_seat_is_on_with_the_settings_that_ship(monkeypatch: pytest.MonkeyPatch) -> None:
    with_twin(monkeypatch, Foresees(BATCH_IS_BEST))
    controller = seated("")
    controller.start([full()])
    assert runtime(controller).state.managed.adaptive == AdaptivePolicy(mode=AdaptiveMode.ON)
    assert runtime(controller).state.seat is None  # it knows nothing


def test_in_the_seat_holding_is_played_where_it_is_surely_better(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_twin(monkeypatch, Foresees(HOLD_IS_BEST))
    controller = seated("")
    overloaded(controller, 10)
    assert runtime(controller).played == Counter({"hold": 1})
    assert done(controller) == []


def test_what_came_of_a_choice_is_kept_and_is_what_the_seat_itself_learnt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_twin(monkeypatch, Foresees(BATCH_IS_BEST))
    controller = seated("")
    overloaded(controller, SETTLED)
    mind = runtime(controller)
    assert mind.taught
    learnt = ""
    for pick, payoff in mind.taught:
        assert payoff.pick_id == pick.id
        learnt = seat_learn.learn(learnt, SEATS["safe_canary"], pick, payoff)
    assert mind.state.seat is not None
    assert learnt == mind.state.seat.learnt != ""


def test_an_episode_begins_with_what_it_is_given_and_another_with_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_twin(monkeypatch, Foresees(BATCH_IS_BEST))
    controller = seated("")
    overloaded(controller, SETTLED)
    seat = runtime(controller).state.seat
    assert seat is not None
    again = seated(seat.learnt)
    for _ in range(2):
        again.start([full()])
        begun = runtime(again).state.seat
        assert begun is not None
        assert begun.learnt == seat.learnt


def test_a_seat_decides_alike_alone_and_beside_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its chance is drawn from the deployment's name, which must not be its place in the batch."""
    with_twin(monkeypatch, Foresees({ActionKind.BATCH_UP: 0.5, ActionKind.HOLD: 0.55}))
    rolls = []
    for company in ([], [full("S07", 1)]):
        controller, made = seated(""), Crowded()
        controller.start([*company, full("S15", 4)])
        orders: Any = None
        for at in range(WARM + 6):
            if at == WARM:
                made.overload()
            scrape = made.scrape(orders)
            many: Any = type(scrape)(**{  # type: ignore[arg-type]  # arrays are arrays
                name: np.concatenate([value] * (1 + len(company)))
                for name, value in vars(scrape).items()
                if value is not None
            })
            found = controller.act(made.now_s, many).orders
            values: dict[str, Any] = {
                name: np.asarray(value)[-1:] for name, value in vars(found).items()
            }
            orders = type(found)(**values)
        state = controller.minds[-1].state
        rolls.append([(state.managed.name, one.id, one.kind) for one in state.past])
    assert rolls[0] == rolls[1] != []


def test_names_say_the_episode_and_each_is_another_one() -> None:
    one, two = episode(3, scenario="S07"), episode(3, scenario="PAIR_S01+S07 long" * 9)
    found = own_names([one, two, one])
    assert found[0] == "ep-s07-3"
    assert len(set(found)) == 3
    assert own_names([two, one])[1] == "ep-s07-3"
    assert all(re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name) for name in found)
