"""Deployments that share a node pool or a dependency are changed one after the other, all of them.

No limit of the fleet is a trap: at every size each ill deployment is healed in the end.
"""

from dataclasses import replace

import pytest
from runtime_harness import Stage, plan, stage

from homeostat.base.policy import GuardPolicy

SIZES = (1, 2, 5, 100)


def rails(**changes: object) -> GuardPolicy:
    """Return rails without the stop for what fails together: here it is meant to."""
    guard = replace(plan("m").guard, correlated_targets=10**6, fleet_actions_per_hour=10**6)
    return replace(guard, **changes)  # type: ignore[arg-type]


async def fleet(size: int, *, shares: tuple[str, ...] = (), guard: GuardPolicy) -> Stage:
    ready = stage(*(f"m-{number:03d}" for number in range(size)), guard=guard, shares=shares)
    await ready.runtime.start()
    await ready.runtime.settle()
    return ready


def acted(ready: Stage) -> list[str]:
    return [name for name, target in ready.targets.items() if target.applied()]


async def test_of_those_that_share_something_one_at_a_time_is_changed() -> None:
    ready = await fleet(5, shares=("gpu-pool",), guard=rails(targets_share=1.0))
    ready.faulty.update(ready.targets)
    await ready.cycles(1)
    assert acted(ready) == ["m-000"]


async def test_those_that_share_nothing_do_not_wait_for_each_other() -> None:
    ready = await fleet(5, guard=rails(targets_share=1.0, replicas_share=1.0))
    ready.faulty.update(ready.targets)
    await ready.cycles(1)
    assert len(acted(ready)) > 1


async def test_sharing_is_by_name() -> None:
    ready = await fleet(3, guard=rails(targets_share=1.0, replicas_share=1.0))
    for name, shares in zip(ready.targets, (("a", "b"), ("b", "c"), ("c",)), strict=True):
        state = ready.runtime.states[name]
        ready.runtime.states[name] = replace(state, managed=replace(state.managed, shares=shares))
    ready.faulty.update(ready.targets)
    await ready.cycles(1)
    assert acted(ready) == ["m-000", "m-002"]  # the first and the last have nothing in common


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_at_every_size_all_are_healed_though_all_share_one_pool(size: int) -> None:
    ready = await fleet(size, shares=("gpu-pool",), guard=rails(targets_share=0.10))
    ill = list(ready.targets)[:3]  # of a hundred three suffice: each waits for the others
    ready.faulty.update(ill)
    for _ in range(40 * len(ill)):
        await ready.cycles(1)
        ready.faulty.difference_update(
            name for name in acted(ready) if ready.runtime.states[name].record is not None
        )
        if acted(ready) == ill:
            break
    assert acted(ready) == ill
