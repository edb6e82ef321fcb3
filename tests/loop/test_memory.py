"""What the loop remembers, it remembers for as long as something waits on it."""

from dataclasses import replace

import pytest

from homeostat.base.actions import Action, ActionKind
from homeostat.base.decisions import Effect
from homeostat.base.guard import Deny, PastAction
from homeostat.base.policy import Managed
from homeostat.base.state import LoopState
from homeostat.base.units import HOUR, MINUTE, SECOND, TimeNs
from homeostat.loop import memory
from homeostat.loop.protocol import propose
from homeostat.loop.step import initial
from homeostat.safety.guard import guard
from homeostat.testing import build

DOWN = Action(
    kind=ActionKind.SCALE_DOWN,
    subject="pool:a",
    actuator="host",
    change=(("replicas.a", 2),),
    replicas_touched=1,
)


def later(state: LoopState, hours: float) -> LoopState:
    """Return the state as a tick leaves it so many hours after `build.START`."""
    now = TimeNs(build.START + round(hours * HOUR))
    return memory.remember(
        replace(state, world=build.world(now), evidence=build.evidence(now)), now
    )


def acted(managed: Managed) -> LoopState:
    return replace(initial(managed), past=(build.past("scale_up", "pool:a", at=0),))


def told(state: LoopState, hours: float, about: str) -> list[str]:
    """Return what a guard says against taking a replica away so long after the last action."""
    now = TimeNs(build.START + round(hours * HOUR))
    answer = guard(DOWN, memory.guard_state(later(state, hours)), now)
    reasons = answer.reasons if isinstance(answer, Deny) else ()
    return [reason for reason in reasons if about in reason]


@pytest.mark.parametrize("setting", ["cooldown_scrapes", "scale_in_scrapes"])
def test_a_wait_of_many_hours_is_waited_out(setting: str) -> None:
    wait = build.guard(**{"cooldown_scrapes": 1.0, setting: 6 * HOUR / SECOND})
    state = acted(build.managed(guard=wait))
    said = "G3 cooldown" if setting == "cooldown_scrapes" else "G3 scale-in"
    assert told(state, 1.0, said)
    assert told(state, 5.9, said)
    assert not told(state, 6.1, said)


def test_a_wait_doubles_though_the_tries_before_are_hours_ago() -> None:
    wait = build.guard(cooldown_scrapes=1.5 * HOUR / SECOND, max_tries=3)
    entry = replace(build.past("scale_down", "pool:a", at=0), effect=Effect.NO_CHANGE)
    state = replace(initial(build.managed(guard=wait)), past=(entry,))
    assert told(state, 2.5, "G3 cooldown")
    assert not told(state, 3.1, "G3 cooldown")


def test_an_hour_or_two_is_all_that_is_kept_where_no_wait_is_longer() -> None:
    assert later(acted(build.managed()), 1.9).past
    assert not later(acted(build.managed()), 2.1).past


def test_tries_without_number_do_not_make_the_memory_endless() -> None:
    wait = build.guard(cooldown_scrapes=100.0, max_tries=1_000_000)
    assert not later(acted(build.managed(guard=wait)), 2.1).past


def test_what_is_in_flight_is_remembered_to_its_end_however_long_that_takes() -> None:
    """Its outcome, its notice and its count as a try hang on it."""
    record = propose(DOWN, id="d-0002", deployment="m", incident_id="", epoch=1, now=build.START)
    state = acted(build.managed())
    own = build.past("scale_down", "pool:a", at=0, id="d-0002")
    state = later(replace(state, past=(*state.past, own), record=record), 9.0)
    assert state.past == (own,)
    assert later(replace(state, record=None), 9.0).past == ()


def moved(kind: str, lever: str, minutes: float) -> PastAction:
    entry = build.past(kind, "pool:a", at=0)
    return replace(entry, at=TimeNs(round(minutes * MINUTE)), levers=(lever,))


def test_of_each_lever_the_last_quarter_of_an_hour_and_the_move_before_it_are_kept() -> None:
    state = initial(build.managed())
    for entry in (
        moved("scale_up", "replicas.a", 0),
        moved("scale_up", "replicas.b", 1),
        moved("scale_down", "replicas.a", 2),
        moved("shed_load", "gateway_limit", 19),
        moved("scale_up", "replicas.a", 20),
        moved("batch_up", "batch_max", 21),
    ):
        state = memory.acted(state, entry)
    assert [(one.levers[0], one.at // MINUTE) for one in state.moves] == [
        ("replicas.b", 1),
        ("replicas.a", 2),
        ("replicas.a", 20),
        ("batch_max", 21),
    ]


def test_the_most_replicas_are_remembered_for_half_an_hour_however_short_the_window() -> None:
    state = initial(build.managed(guard=build.guard(scale_in_scrapes=1.0)))
    state = later(state, 0.0)
    most = memory.guard_state(state).peak_replicas
    assert state.world is not None
    fewer = replace(state.world, replicas=state.world.replicas[:1])
    for minutes, peak in ((29.9, most), (30.1, 1)):
        now = TimeNs(build.START + round(minutes * MINUTE))
        state = memory.remember(replace(state, world=fewer), now)
        assert memory.guard_state(state).peak_replicas == peak
    assert most > 1
