"""Limits of the whole fleet hold among deployments that go wrong at one and the same tick."""

from dataclasses import replace
from typing import Any

from runtime_harness import Stage, plan, stage

from homeostat.base.events import Approval, Ticked
from homeostat.base.intent import ActionState
from homeostat.base.policy import Mode
from homeostat.server.main import submitter

FLEET = tuple(f"m-{number:02d}" for number in range(20))
SOME = FLEET[:4]  # a fifth, which is not yet more than a fifth


async def fleet(**guard: Any) -> Stage:
    ready = stage(*FLEET, guard=replace(plan("m").guard, **guard))
    await ready.runtime.start()
    await ready.runtime.settle()
    return ready


def acting(ready: Stage) -> list[str]:
    return [name for name in FLEET if ready.targets[name].applied()]


async def test_what_goes_wrong_at_one_tick_is_healed_no_faster_than_the_blast_radius() -> None:
    ready = await fleet(targets_share=0.10)
    ready.faulty.update(SOME)
    await ready.cycles(1)
    assert acting(ready) == list(SOME[:2])


async def test_the_rest_is_healed_when_the_first_are_done() -> None:
    ready = await fleet(targets_share=0.10)
    ready.faulty.update(SOME)
    await ready.cycles(1)
    ready.faulty.difference_update(SOME[:2])
    await ready.cycles(40)
    assert acting(ready) == list(SOME)


async def test_a_fault_that_all_have_in_common_is_acted_on_by_none() -> None:
    ready = await fleet(correlated_targets=3)
    ready.faulty.update(FLEET[:5])
    await ready.cycles(3)
    assert acting(ready) == []
    views = {event.fleet.anomalous for name in FLEET for event in ready.journal.decoded(Ticked)}
    assert 5 in views


async def test_two_yeses_between_two_ticks_do_not_change_more_than_the_blast_radius() -> None:
    ready = stage(*FLEET, mode=Mode.APPROVE, guard=replace(plan("m").guard, targets_share=0.05))
    await ready.runtime.start()
    await ready.runtime.settle()
    ready.faulty.update(SOME[:2])
    await ready.cycles(1)
    asked = [ready.runtime.states[name].record for name in SOME[:2]]
    assert [one.state for one in asked if one] == [ActionState.AWAITING_APPROVAL] * 2
    submit = submitter(ready.runtime)
    for name, record in zip(SOME, asked, strict=False):
        assert record is not None
        yes = Approval(
            at=ready.clock.now(), decision_id=record.id, approved=True, by="anna", why="",
            kill=ready.kill, deployment=name,
        )  # fmt: skip
        assert await submit(yes) is None
    await ready.runtime.settle()
    assert acting(ready) == [SOME[0]]
