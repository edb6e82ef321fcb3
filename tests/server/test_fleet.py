"""What each deployment's guards are told of the others."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from homeostat.base.actions import Action, ActionKind
from homeostat.base.events import FleetView
from homeostat.base.evidence import Evidence, Family, Incident
from homeostat.base.intent import ActionState
from homeostat.base.state import LoopState
from homeostat.base.units import HOUR, SECOND, TimeNs
from homeostat.loop import incidents, step
from homeostat.loop.protocol import propose
from homeostat.server.fleet import Fleet
from homeostat.testing import build

NOW = build.at(1000)


def state(name: str, **changes: Any) -> LoopState:
    return replace(step.initial(build.managed(name=name)), **changes)


def flying(name: str, touched: int) -> LoopState:
    action = Action(
        kind=ActionKind.SCALE_UP,
        subject="pool:a",
        actuator="host",
        change=(("replicas.a", 4),),
        replicas_touched=touched,
    )
    record = propose(action, id="d-1", deployment=name, incident_id="", epoch=1, now=NOW)
    return state(name, record=record)


def incident(name: str, *, opened_s: float, confirmed: bool = True) -> Incident:
    opened = TimeNs(NOW - round(opened_s * SECOND))
    return Incident(
        id="i-1",
        deployment=name,
        family=Family.LOAD,
        subject="gateway",
        opened_at=opened,
        confirmed_at=opened if confirmed else None,
        tries=0,
        escalated=False,
        because=(),
    )


def views_of(
    states: Mapping[str, LoopState], evidences: Sequence[Evidence]
) -> dict[str, FleetView]:
    others = Fleet(states, evidences, NOW)
    return {name: others.view(name) for name in states}


def seen(name: str, **changes: Any) -> Evidence:
    return build.evidence(NOW, deployment=name, **changes)


def test_an_action_in_flight_is_the_others_business_and_not_its_own() -> None:
    states = {"m": flying("m", 2), "n": state("n"), "o": flying("o", 1)}
    views = views_of(states, [seen(name) for name in states])
    assert [views[n].targets_changing for n in "mno"] == [1, 2, 1]
    assert [views[n].replicas_changing for n in "mno"] == [1, 3, 2]
    assert {views[n].targets for n in "mno"} == {3}
    assert {views[n].replicas for n in "mno"} == {12}


def test_actions_of_the_last_hour_are_counted_without_its_own() -> None:
    recent = tuple(build.past("scale_up", "pool:a", at=1000 - age) for age in (3601.0, 3600.0, 1.0))
    states = {"m": state("m", past=recent), "n": state("n", past=recent[2:])}
    views = views_of(states, [seen("m"), seen("n")])
    assert views["n"].actions_last_hour == 2
    assert views["m"].actions_last_hour == 1
    assert recent[1].at == NOW - HOUR


def test_who_went_wrong_together_is_counted_for_a_while_once_confirmed() -> None:
    window_s = build.managed().guard.correlated_scrapes * build.managed().scrape_ns / SECOND
    states = {
        "new": state("new", incident=incident("new", opened_s=1)),
        "edge": state("edge", incident=incident("edge", opened_s=window_s)),
        "old": state("old", incident=incident("old", opened_s=window_s + 1)),
        "blip": state("blip", incident=incident("blip", opened_s=1, confirmed=False)),
        "well": state("well"),
    }
    views = views_of(states, [seen(name) for name in states])
    assert {view.anomalous for view in views.values()} == {2}


def test_one_unseen_deployment_is_its_own_affair_and_most_of_several_are_the_sensors() -> None:
    dark: Any = {"world": None}
    odd: Any = {"suspicions": (build.suspicion(Family.SENSOR, "gateway"),)}
    for said, well in (
        ([dark], True),
        ([{}, dark], True),
        ([{}, dark, odd], False),
        ([{}, {}, dark, odd], True),
        ([dark, odd], False),
    ):
        names = [f"m-{n}" for n in range(len(said))]
        states = {name: state(name) for name in names}
        evidences = [seen(name, **how) for name, how in zip(names, said, strict=True)]
        views = views_of(states, evidences)
        assert {view.sensors_ok for view in views.values()} == {well}, said


def test_a_deployment_without_a_world_has_no_replicas_to_count() -> None:
    states = {"m": state("m"), "n": state("n")}
    views = views_of(states, [seen("m", world=None), seen("n")])
    assert views["m"].replicas == 4


def test_a_question_that_waits_for_an_answer_blocks_no_other_deployment() -> None:
    asking = flying("a", touched=3)
    assert asking.record is not None
    waiting = replace(asking.record, state=ActionState.AWAITING_APPROVAL)
    states = {"a": replace(asking, record=waiting), "b": state("b")}
    view = views_of(states, (seen("a"), seen("b")))["b"]
    assert (view.targets_changing, view.replicas_changing) == (0, 0)
    states["a"] = asking
    view = views_of(states, (seen("a"), seen("b")))["b"]
    assert (view.targets_changing, view.replicas_changing) == (1, 3)


def test_what_one_begins_is_news_to_the_next_and_what_it_ends_as_well() -> None:
    states = {name: state(name) for name in "mno"}
    others = Fleet(states, [seen(name) for name in states], NOW)
    assert others.view("n").targets_changing == 0
    begun = replace(flying("m", 2), past=(build.past("scale_up", "pool:a", at=1000),))
    others.stepped("m", begun)
    assert (others.view("n").targets_changing, others.view("n").replicas_changing) == (1, 2)
    assert (others.view("n").actions_last_hour, others.view("m").actions_last_hour) == (1, 0)
    assert others.view("m").targets_changing == 0
    others.stepped("m", replace(begun, record=None))
    assert (others.view("n").targets_changing, others.view("n").replicas_changing) == (0, 0)


def test_what_is_about_to_be_confirmed_everywhere_is_counted_before_anybody_is_stepped() -> None:
    urgent = build.suspicion(Family.REPLICA, "replica:a-1", urgent=True)
    slow = build.suspicion(Family.REPLICA, "replica:a-1")
    said = {"m": (urgent,), "n": (urgent,), "o": (slow,), "p": ()}
    states = {name: state(name) for name in said}
    evidences = [seen(name, suspicions=what) for name, what in said.items()]
    assert Fleet(states, evidences, NOW).view("p").anomalous == 2


def test_between_two_ticks_no_suspicion_grows_older() -> None:
    slow = build.suspicion(Family.REPLICA, "replica:a-1")
    m = state("m", evidence=seen("m", suspicions=(slow,)))
    for tick in range(m.managed.guard.persist_scrapes - 1):
        evidence = seen("m", suspicions=(slow,))
        streak, found, calm, _ = incidents.follow(m, evidence, TimeNs(NOW + tick))
        m = replace(m, streak=streak, incident=found, calm_ticks=calm, evidence=evidence)
    assert Fleet({"m": m}, (), NOW).view("m").anomalous == 0
    assert Fleet({"m": m}, [seen("m", suspicions=(slow,))], NOW).view("m").anomalous == 1


def test_a_canary_that_is_only_compared_stops_no_other_and_is_counted_apart() -> None:
    record = flying("x", 0).record
    assert record is not None
    ramp = replace(record.action, kind=ActionKind.SHIFT_TRAFFIC, beside="a")
    for at, writes in (
        (ActionState.INTENT, True),
        (ActionState.SETTLING, False),
        (ActionState.VERIFYING, False),
        (ActionState.ROLLING_BACK, True),
    ):
        moved = replace(record, action=ramp, state=at)
        views = views_of({"x": state("x", record=moved), "y": state("y")}, ())
        assert (views["y"].targets_changing, views["y"].trying) == (int(writes), int(not writes))
        assert (views["x"].targets_changing, views["x"].trying) == (0, 0)


def test_a_canary_of_what_is_shared_is_counted_apart() -> None:
    record = flying("x", 0).record
    assert record is not None
    ramp = replace(record.action, kind=ActionKind.SHIFT_TRAFFIC, beside="a")
    states = {
        name: replace(state(name), managed=replace(state(name).managed, shares=shares))
        for name, shares in {"x": ("gpu",), "y": ("gpu", "db"), "z": ("db",)}.items()
    }
    for at, writes in ((ActionState.INTENT, 1), (ActionState.VERIFYING, 0)):
        moved = replace(states["x"], record=replace(record, action=ramp, state=at))
        views = views_of({**states, "x": moved}, ())
        seen = {name: (one.sharing_changing, one.sharing_trying) for name, one in views.items()}
        assert seen == {"x": (0, 0), "y": (writes, 1 - writes), "z": (0, 0)}
