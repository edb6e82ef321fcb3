"""A person's word on an incident is journaled, survives a restart, and replays to the same."""

from runtime_harness import Stage, plan, stage

from homeostat.base import codec
from homeostat.base.events import Confirmed, FeedbackReset
from homeostat.base.feedback import FeedbackPolicy
from homeostat.server.main import submitter
from homeostat.server.restore import replay, restore
from homeostat.server.wiring import loop_parts

POLICY = FeedbackPolicy()


async def troubled() -> Stage:
    """Return a controller whose deployment had an incident that it healed."""
    ready = stage(feedback=POLICY)
    await ready.runtime.start()
    await ready.cycles(4)
    ready.faulty.add("m")
    await ready.cycles(6)
    ready.faulty.clear()
    await ready.cycles(20)
    return ready


async def test_a_word_moves_what_is_learnt_and_replay_learns_the_same() -> None:
    ready = await troubled()
    state = ready.runtime.states["m"]
    assert state.incidents >= 1
    assert state.feedback is not None
    incident = next(one for one in state.feedback.waiting if one.incident_id)
    submit = submitter(ready.runtime)
    now = ready.clock.now()
    word = Confirmed(
        at=now, by="ann", real=True, incident_id=incident.incident_id, deployment="m", why="seen"
    )
    assert await submit(word) is None
    learnt = ready.runtime.states["m"].feedback
    assert learnt is not None
    assert incident.incident_id not in {one.incident_id for one in learnt.waiting}
    await ready.cycles(3)
    rows = list(replay(ready.journal, loop_parts(), plan("m", feedback=POLICY)))
    assert [mismatch for *_, mismatch in rows if mismatch is not None] == []
    again = restore(ready.journal, loop_parts(), plan("m", feedback=POLICY)).state
    same = ready.runtime.states["m"]
    assert codec.encode(codec.decode(codec.encode(again.feedback))) == codec.encode(
        codec.decode(codec.encode(same.feedback))
    )
    assert await submit(FeedbackReset(at=now, by="ann", everything=True, deployment="m")) is None
    after = ready.runtime.states["m"].feedback
    assert after is not None
    assert (after.learnt, after.waiting) == ("", ())


async def test_a_word_on_a_deployment_that_is_not_ours_is_refused() -> None:
    ready = await troubled()
    word = Confirmed(at=ready.clock.now(), by="ann", real=True, incident_id="i-1", deployment="z")
    assert await submitter(ready.runtime)(word) == "z is not managed by this controller"
