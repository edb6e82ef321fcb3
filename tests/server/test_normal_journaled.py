"""That something is the new normal is journaled, reaches the senses once, and is replayed."""

from dataclasses import replace
from typing import Any

from runtime_harness import Stage, plan, stage

from homeostat.base.policy import Mode
from homeostat.base.words import CalledNormal
from homeostat.loop.sense import SenseState
from homeostat.server.main import submitter
from homeostat.server.restore import replay, restore
from homeostat.server.wiring import loop_parts


async def off(heard: list[frozenset[str]]) -> Stage:
    """Return a shadow whose deployment is off and meets its objectives.

    Args:
        heard: Gets what the senses are told on each tick.
    """
    ready = stage(mode=Mode.SHADOW)
    shell = ready.runtime.shell
    inner = shell.sense

    def sense(state: SenseState, *rest: Any) -> Any:
        heard.append(state.anew)
        _, signals, seen = inner(state, *rest)
        met = tuple(replace(one, slo_met=True) for one in seen)
        return replace(state, anew=frozenset()), signals, met

    shell.sense, shell.sense_state = sense, SenseState(signals=None, panel=None, shift=None)
    await ready.runtime.start()
    await ready.cycles(4)
    ready.faulty.add("m")
    await ready.cycles(3)
    return ready


async def test_a_word_reaches_the_senses_on_the_next_tick_and_no_other() -> None:
    heard: list[frozenset[str]] = []
    ready = await off(heard)
    incident = ready.runtime.states["m"].incident
    assert incident is not None
    now = ready.clock.now()
    word = CalledNormal(at=now, by="ann", incident_id=incident.id, deployment="m", why="v3")
    assert await submitter(ready.runtime)(word) is None
    # A controller that ends here has the word in its journal, and takes it up when it is back.
    assert restore(ready.journal, loop_parts(), plan("m", mode=Mode.SHADOW)).state.anew == now
    await ready.cycles(3)
    assert heard == [frozenset()] * 7 + [frozenset({"m"}), frozenset(), frozenset()]
    rows = list(replay(ready.journal, loop_parts(), plan("m", mode=Mode.SHADOW)))
    assert [mismatch for *_, mismatch in rows if mismatch is not None] == []


async def test_a_word_that_is_not_taken_reaches_nobody() -> None:
    heard: list[frozenset[str]] = []
    ready = await off(heard)
    word = CalledNormal(at=ready.clock.now(), by="ann", incident_id="i-0999", deployment="m")
    assert await submitter(ready.runtime)(word) is None
    await ready.cycles(2)
    assert not any(heard)
