"""How long a pool's load was watched, and the most of it: what scaling in is judged by."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from homeostat.base import codec, names
from homeostat.base.actions import ActionKind
from homeostat.base.guard import Allow, Deny, Load
from homeostat.base.policy import GuardPolicy
from homeostat.base.state import LoopState
from homeostat.base.units import MINUTE, SECOND, TimeNs
from homeostat.base.world import ReplicaState
from homeostat.loop import memory, step
from homeostat.loop.watching import STRETCHES, watch
from homeostat.safety.guard import guard
from homeostat.testing import guard_scene as g

# The scene's tick is one second: the window is four minutes, a stretch twenty seconds.
WINDOW = round(GuardPolicy().watch_scrapes) * SECOND
STRETCH = WINDOW // STRETCHES


def ticked(loads: tuple[Load, ...], second: int, used: float | None) -> tuple[Load, ...]:
    """Return the loads after a tick of a pool of three on which so much of it was used."""
    state = g.scene()
    told = g.told(state, g.reading("pool:a", names.UTILISATION, used))
    assert state.world is not None
    return watch(loads, told.evidence, state.world, state.managed, TimeNs(second * SECOND))


def of(loads: tuple[Load, ...], pool: str = "a") -> list[Load]:
    return [load for load in loads if load.pool == pool]


def test_the_most_of_the_window_is_kept_in_replicas_worth_of_work() -> None:
    loads: tuple[Load, ...] = ()
    for second, used in enumerate([0.2, 0.5, 0.3]):
        loads = ticked(loads, second, used)
    assert of(loads) == [Load(pool="a", since=TimeNs(0), until=TimeNs(2 * SECOND), milli=1500)]
    # The other pool has one replica, of which a fifth is used.
    assert [load.milli for load in of(loads, "b")] == [200]


@given(st.lists(st.floats(0.0, 2.0), min_size=1, max_size=600))
def test_no_peak_of_the_window_is_ever_forgotten(shares: list[float]) -> None:
    loads: tuple[Load, ...] = ()
    for second, used in enumerate(shares):
        loads = ticked(loads, second, used)
    now = len(shares) - 1
    lately = shares[max(0, now - WINDOW // SECOND) :]
    seen = of(loads)
    assert max(load.milli for load in seen) >= max(round(1000 * used) * 3 for used in lately)
    # Nothing older than a stretch beyond the window counts, and little is kept.
    assert now * SECOND - seen[0].since <= WINDOW + STRETCH
    assert (now * SECOND - seen[0].since >= WINDOW) == (now * SECOND >= WINDOW)
    assert len(seen) <= STRETCHES + 2


def test_a_short_gap_is_bridged_and_a_long_one_begins_the_watch_anew() -> None:
    loads = ticked((), 0, 0.9)
    for second in range(1, 20):
        loads = ticked(loads, second, None)
    bridged = ticked(loads, STRETCH // SECOND, 0.1)
    assert of(bridged)[0].since == 0
    broken = ticked(loads, STRETCH // SECOND + 1, 0.1)
    assert of(broken)[0] == Load(
        pool="a", since=TimeNs(21 * SECOND), until=TimeNs(21 * SECOND), milli=300
    )


def test_a_clock_that_goes_back_begins_the_watch_anew() -> None:
    loads = ticked(ticked((), 100, 0.9), 101, 0.9)
    assert of(ticked(loads, 99, 0.1))[0].since == 99 * SECOND


def test_an_unknown_load_is_no_load_and_a_pool_that_is_gone_is_forgotten() -> None:
    assert of(ticked((), 0, None)) == []
    state = g.scene()
    assert state.world is not None
    alone = replace(
        state.world, replicas=tuple(one for one in state.world.replicas if one.pool == "b")
    )
    before = ticked((), 0, 0.5)
    after = watch(before, state.evidence, alone, state.managed, TimeNs(SECOND))
    assert {load.pool for load in after} == {"b"}


def test_replicas_that_are_not_ready_carry_nothing() -> None:
    state = g.with_slot(g.scene(), "a-3", ReplicaState.STARTING)
    assert state.world is not None
    loads = watch((), state.evidence, state.world, state.managed, g.NOW)
    assert of(loads)[0].milli == 400


def test_the_loop_lets_a_replica_go_only_after_it_watched_for_the_whole_window() -> None:
    scene = g.scene()
    state = replace(
        step.initial(scene.managed), evidence=scene.evidence, world=scene.world, calm_ticks=100
    )
    down = g.scale(2, ActionKind.SCALE_DOWN)
    begin = g.NOW - 5 * MINUTE
    answers: list[tuple[int, bool]] = []
    for second in range(0, 5 * 60 + 1, 10):
        now = TimeNs(begin + second * SECOND)
        state = memory.remember(at(state, now), now)
        answer = guard(down, memory.guard_state(state), now)
        assert isinstance(answer, Allow) or reasons(answer) == ["G7 watched"]
        answers.append((second, isinstance(answer, Allow)))
    assert [second for second, allowed in answers if allowed] == list(range(240, 301, 10))


def test_what_was_watched_survives_a_restart() -> None:
    scene = g.scene()
    state = replace(step.initial(scene.managed), evidence=scene.evidence, world=scene.world)
    state = memory.remember(state, g.NOW)
    assert state.loads
    assert codec.decode(codec.encode(state)).loads == state.loads


def reasons(answer: object) -> list[str]:
    assert isinstance(answer, Deny)
    return [reason.partition(":")[0] for reason in answer.reasons]


def at(state: LoopState, now: TimeNs) -> LoopState:
    """Return the state with evidence and world of that moment."""
    assert state.evidence is not None
    assert state.world is not None
    return replace(
        state,
        evidence=replace(state.evidence, at=now),
        world=replace(state.world, observed_at=now),
    )
