"""The runtime asks the twin beside its ticks: nothing waits, and the answer is on the record."""

import asyncio

from runtime_harness import stage

from homeostat.base.events import Rehearse, Rehearsed
from homeostat.base.policy import TwinPolicy
from homeostat.base.rehearsal import Rehearsal
from homeostat.base.state import LoopState
from homeostat.base.units import SECOND, TimeNs
from homeostat.loop.rehearsing import unanswered


def question(now: TimeNs) -> Rehearse:
    return Rehearse(
        id="r-0001", deployment="m", at=now, candidates=(), horizon_ns=SECOND, draws=8, seed=1,
        deadline=TimeNs(now + SECOND),
    )  # fmt: skip


async def test_ticks_go_on_while_the_twin_thinks_and_its_answer_is_journaled() -> None:
    ready = stage(twin=TwinPolicy())
    thought, asked = asyncio.Event(), []

    async def think(command: Rehearse, state: LoopState) -> Rehearsal:
        asked.append(state.managed.name)
        await thought.wait()
        return unanswered(command, "only a test")

    runtime = ready.runtime
    runtime.shell.rehearse = think
    await runtime.start()
    await runtime.settle()
    await runtime._carry_out("m", (question(runtime.clock.now()),))
    before = runtime.tick
    await runtime.cycle()
    assert runtime.tick == before + 1
    assert asked == ["m"]
    assert ready.journal.decoded(Rehearsed) == []
    thought.set()
    await runtime.settle()
    answers = ready.journal.decoded(Rehearsed)
    assert [one.rehearsal.id for one in answers] == ["r-0001"]
    await runtime.close()


async def test_without_a_worker_the_answer_is_that_nothing_is_known() -> None:
    ready = stage(twin=TwinPolicy())
    runtime = ready.runtime
    await runtime.start()
    await runtime._carry_out("m", (question(runtime.clock.now()),))
    await runtime.settle()
    (answer,) = ready.journal.decoded(Rehearsed)
    assert answer.rehearsal.trust.reasons == ("nothing was rehearsed: there is no twin to ask",)
    await runtime.close()
