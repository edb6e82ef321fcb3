"""An incident lasts while nothing explains it for a moment, and is told where causes take turns."""

from dataclasses import replace
from itertools import cycle, islice

from homeostat.base.evidence import Family, Incident, Suspicion
from homeostat.base.state import LoopState
from homeostat.loop import incidents
from homeostat.loop.incidents import OVER_TICKS, UNCLEAR_PATIENCE
from homeostat.loop.step import initial
from homeostat.testing import build

LOAD = build.suspicion(Family.LOAD, "gateway", confidence=0.75)
MEMORY = build.suspicion(Family.MEMORY, "replica:a-1", confidence=0.92)
UNCLEAR = build.suspicion(Family.UNCLEAR, "model", confidence=0.2)
NEEDED = build.managed().guard.persist_scrapes
LONG = UNCLEAR_PATIENCE * NEEDED


def after(*tops: Suspicion | None, slo_met: bool | None = False) -> LoopState:
    """Return the state after ticks with these foremost suspicions."""
    state = initial(build.managed())
    for number, top in enumerate(tops):
        now = build.at(number)
        told = () if top is None else (top,)
        seen = build.evidence(now, number, suspicions=told, slo_met=slo_met)
        streak, incident, calm, _ = incidents.follow(state, seen, now)
        state = replace(state, streak=streak, incident=incident, calm_ticks=calm)
    return state


def named(state: LoopState) -> tuple[Family, bool]:
    incident = state.incident
    assert isinstance(incident, Incident)
    return incident.family, incident.confirmed_at is not None


def test_a_moment_without_an_explanation_is_none_against_the_one_before() -> None:
    assert NEEDED > 1
    half = [LOAD] * (NEEDED - 1)
    assert named(after(*half, UNCLEAR)) == (Family.LOAD, False)
    assert named(after(*half, *[UNCLEAR] * OVER_TICKS, LOAD)) == (Family.LOAD, True)


def test_without_an_explanation_for_long_it_begins_anew() -> None:
    half = [LOAD] * (NEEDED - 1)
    gone = after(*half, *[UNCLEAR] * (OVER_TICKS + 1))
    assert named(gone) == (Family.UNCLEAR, False)
    assert named(after(*half, *[UNCLEAR] * (OVER_TICKS + 1), LOAD)) == (Family.LOAD, False)


def test_another_explanation_begins_anew() -> None:
    half = [LOAD] * (NEEDED - 1)
    assert named(after(*half, MEMORY, LOAD)) == (Family.LOAD, False)


def test_a_confirmed_incident_keeps_its_family_while_nothing_explains_it_for_a_moment() -> None:
    state = after(*[LOAD] * NEEDED, *[UNCLEAR] * OVER_TICKS)
    assert named(state) == (Family.LOAD, True)
    assert named(after(*[LOAD] * NEEDED, *[UNCLEAR] * (OVER_TICKS + NEEDED))) == (
        Family.UNCLEAR,
        False,
    )


def test_explanations_that_take_turns_while_users_suffer_are_trouble_whose_cause_is_unclear() -> (
    None
):
    turns = list(islice(cycle([LOAD, MEMORY]), LONG))
    assert named(after(*turns[:-1]))[1] is False
    assert named(after(*turns)) == (Family.UNCLEAR, True)
    state = after(*turns, *[MEMORY] * NEEDED)
    assert named(state) == (Family.MEMORY, True)


def test_they_are_not_while_nobody_is_known_to_suffer() -> None:
    turns = list(islice(cycle([LOAD, MEMORY]), 3 * LONG))
    assert named(after(*turns, slo_met=True))[1] is False
    assert named(after(*turns, slo_met=None))[1] is False
