"""Settings that served: what is kept of them, and what a way back may rest on."""

import json
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from hypothesis import given
from hypothesis import strategies as st

from homeostat.base import codec, names
from homeostat.base.actions import ActionKind
from homeostat.base.guard import Allow, Deny, GuardAnswer, Setting
from homeostat.base.state import LoopState
from homeostat.base.units import SECOND, TimeNs
from homeostat.loop import memory, step
from homeostat.loop.settings import settings
from homeostat.safety.guard import guard
from homeostat.testing import guard_scene as g

NEEDED = 8
Tick = tuple[int, bool, float]
"""The largest batch, whether the tick is calm, and the requests per second."""


def played(
    ticks: list[Tick], version: str = g.NEW, own: Mapping[str, int] = MappingProxyType({})
) -> tuple[Setting, ...]:
    """Return what is known of the largest batch after such ticks, a second apart."""
    state = start()
    for second, (size, calm, rate) in enumerate(ticks):
        scene = g.with_levers(g.scene(), batch_max=size, version__a=version, **own)
        told = g.told(scene, g.reading(names.GATEWAY, names.ARRIVAL_RATE, rate))
        assert told.world is not None
        now = TimeNs(second * SECOND)
        state = replace(state, evidence=told.evidence, world=told.world, calm_ticks=int(calm))
        state = replace(state, settings=settings(state, told.world, NEEDED, now))
    return of(state)


def start() -> LoopState:
    return step.initial(g.managed())


def of(state: LoopState) -> tuple[Setting, ...]:
    return tuple(one for one in state.settings if one.lever == names.BATCH_MAX)


def test_a_value_is_trusted_after_enough_calm_ticks_in_a_row() -> None:
    broken = [(8, True, 90.0)] * (NEEDED - 1) + [(8, False, 300.0)] + [(8, True, 60.0)] * 7
    assert not played(broken)[0].served
    (one,) = played([*broken, (8, True, 60.0)])
    assert (one.served, one.value, one.ticks) == (True, 8, NEEDED)
    # Of three replicas; what came while it was not calm does not count.
    assert one.rate_milli == 30_000


def test_what_replaced_it_stands_beside_it_until_that_serves_too() -> None:
    well = [(8, True, 90.0)] * NEEDED
    before, live = played([*well, (1, False, 90.0), (2, False, 90.0)])
    assert (before.value, before.served, before.until) == (8, True, TimeNs(7 * SECOND))
    assert (live.value, live.served, live.since) == (2, False, TimeNs(9 * SECOND))
    (only,) = played([*well, *[(1, True, 90.0)] * NEEDED])
    assert (only.value, only.served) == (1, True)


def test_back_where_it_was_it_has_to_serve_anew_for_a_way_back_from_there() -> None:
    well = [(8, True, 90.0)] * NEEDED
    (back,) = played([*well, (1, False, 90.0), (8, False, 90.0)])
    assert (back.value, back.served, back.ticks) == (8, True, 0)


def test_a_value_that_some_replicas_did_not_have_has_not_served() -> None:
    """Half of a pool that tries another value may be what keeps it calm."""
    well = [(8, True, 90.0)] * (2 * NEEDED)
    for own, served in ((0, True), (16, False)):
        (one,) = played(well, own={"batch_max.a-1": own, "concurrency_max.a-2": 4})
        assert (one.served, one.ticks > 0) == (served, served)


def test_another_version_proves_nothing() -> None:
    kept = played([(8, True, 90.0)] * NEEDED)
    scene = g.with_levers(g.scene(), version__a="v3")
    assert scene.world is not None
    state = replace(start(), world=scene.world, settings=kept)
    (one,) = of(replace(state, settings=settings(state, scene.world, NEEDED, TimeNs(9 * SECOND))))
    assert not one.served


@given(st.lists(st.tuples(st.sampled_from([1, 2, 8]), st.booleans(), st.just(90.0)), max_size=60))
def test_the_live_value_comes_last_and_at_most_one_that_served_before_it(ticks: list[Tick]) -> None:
    kept = played(ticks)
    assert len(kept) <= 2
    assert [one.value for one in kept[-1:]] == [size for size, _, _ in ticks[-1:]]
    for one in kept[:-1]:
        assert one.served
        assert not kept[-1].served
        assert one.value != kept[-1].value


def answered(spoilt: int | None = None) -> GuardAnswer:
    """Return what is said to the way back from 1 to 8 after a minute, all ticks seen but one."""
    state = replace(start(), verified=((g.STABLE, g.OLD), (g.FALLBACK, g.OLD)))
    scene = g.scene()
    for second in range(70):
        if second == spoilt:
            continue
        size, calm = (8, True) if second < 60 else (1, False)
        scene = g.with_levers(g.scene(), batch_max=size)
        now = TimeNs(g.NOW - (69 - second) * SECOND)
        state = replace(state, evidence=scene.evidence, world=scene.world, calm_ticks=int(calm))
        state = memory.remember(state, now)
    seen = replace(memory.guard_state(state), fleet=scene.fleet, peak_replicas=3, loads=scene.loads)
    action = g.act(ActionKind.BATCH_UP, names.pool("a"), batch_max=8)
    return guard(action, seen, g.NOW)


def test_the_loop_remembers_what_the_guard_asks_for() -> None:
    assert isinstance(answered(), Allow)


def test_a_state_without_settings_is_read_from_an_older_journal() -> None:
    plain = codec.to_plain(start())
    for name in ("settings", "pace", "slower"):
        del plain[name]
    assert codec.decode(json.dumps(plain).encode()) == start()


def test_the_way_back_is_closed_where_the_step_stands_without_it() -> None:
    scene = g.with_levers(g.scene(), batch_max=1)
    action = g.act(ActionKind.BATCH_UP, names.pool("a"), batch_max=8)
    answer = guard(action, scene, g.NOW)
    assert isinstance(answer, Deny)
    assert [reason.partition(":")[0] for reason in answer.reasons] == [
        "G2 step",
        "G7 room for the batch",
    ]
