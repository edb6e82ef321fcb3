"""A replica beside its peers: slower than each of them, for how long, and what ends it."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base import names
from homeostat.base.evidence import Quality
from homeostat.base.state import LoopState, Pace
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import ReplicaState
from homeostat.loop import step
from homeostat.loop.beside import PEERS, RATIO, compared
from homeostat.loop.pace import learn, line
from homeostat.testing import guard_scene as g

Timed = Mapping[str, tuple[float, float]]
"""Device time in ms and batch size, by replica."""
WELL: Timed = {"a-1": (40.0, 4.0), "a-2": (42.0, 4.0), "a-3": (41.0, 4.0)}
SLOW: Timed = {**WELL, "a-1": (80.0, 4.0)}
# Batches of 4 take 40 ms and 5 ms more for each request more: 60 ms with 8.
PACE = learn(None, g.NEW, [(size, 20.0 + 5.0 * size) for size in (3.0, 4.0, 5.0)] * 20)


def ticked(
    state: LoopState, timed: Timed, second: int = 0, quality: Quality = Quality.GOOD
) -> LoopState:
    """Return the state after a tick on which batches took so long and were so large."""
    signals = (names.DEVICE_TIME, names.BATCH_SIZE)
    told = [
        replace(g.reading(names.replica(name), signal, value), quality=quality)
        for name, pair in timed.items()
        for signal, value in zip(signals, pair, strict=True)
    ]
    scene = g.told(g.scene(len(timed)), *told)
    assert scene.world is not None
    state = replace(state, evidence=scene.evidence, world=scene.world)
    pace, slower = compared(state, scene.world, TimeNs(second * SECOND))
    return replace(state, pace=pace, slower=slower)


def start(pace: Pace | None = PACE) -> LoopState:
    return replace(step.initial(g.managed()), pace=pace)


def found(timed: Timed, quality: Quality = Quality.GOOD) -> list[str]:
    return [one.replica for one in ticked(start(), timed, quality=quality).slower]


def expected_ms(pace: Pace, size: float) -> float | None:
    found = line(pace)
    return None if found is None else found.at(size)


def test_one_that_takes_a_quarter_longer_than_the_median_of_the_others_is_slower() -> None:
    four = {**WELL, "a-4": (50.0, 4.0)}
    assert found({**four, "a-1": (RATIO * 42.0, 4.0)}) == ["a-1"]
    assert found({**four, "a-1": (RATIO * 42.0 - 0.1, 4.0)}) == []
    # Two that are slow together are no single replica's fault.
    assert found({**four, "a-1": (60.0, 4.0), "a-4": (60.0, 4.0)}) == []


def test_what_a_larger_batch_explains_is_no_slowness() -> None:
    # 60 ms with 8 where 40 with 4 are usual: the median peer is at 41 of 40.
    assert found({**WELL, "a-1": (RATIO * 61.5 - 0.5, 8.0)}) == []
    assert found({**WELL, "a-1": (RATIO * 61.5 + 0.5, 8.0)}) == ["a-1"]


def test_without_a_learnt_slope_twice_the_batch_may_take_twice_as_long() -> None:
    flat = learn(None, g.NEW, [(4.0, 40.0)] * 60)
    assert expected_ms(flat, 8.0) == pytest.approx(80.0)
    assert expected_ms(flat, 2.0) == pytest.approx(40.0)
    assert expected_ms(PACE, 8.0) == pytest.approx(60.0, rel=0.01)
    assert expected_ms(Pace(version=g.NEW), 8.0) is None


@given(
    st.lists(st.tuples(st.floats(0.5, 64.0), st.floats(1.0, 1e4)), min_size=1, max_size=80),
    st.floats(0.5, 200.0),
)
def test_a_size_never_explains_more_than_in_proportion(
    pairs: list[tuple[float, float]], size: float
) -> None:
    pace = learn(None, g.NEW, pairs)
    expected = expected_ms(pace, size)
    assert expected is not None
    assert 0.0 <= expected <= pace.y / pace.n * max(size * pace.n / pace.x, 1.0) * (1 + 1e-9)


def test_the_pace_is_learnt_in_calm_only_and_not_from_who_is_slower() -> None:
    assert ticked(start(None), WELL).pace is None
    calm = replace(start(None), calm_ticks=1)
    learnt = ticked(calm, WELL).pace
    assert learnt is not None
    assert (learnt.version, learnt.n) == (g.NEW, 3.0)
    seen = replace(start(), calm_ticks=1)
    assert ticked(seen, SLOW).pace == PACE
    assert learn(PACE, "v3", [(4.0, 40.0)]).n == 1.0


def test_it_lasts_while_nothing_breaks_it() -> None:
    state = start()
    for second in range(5):
        state = ticked(state, SLOW, second)
    assert [(one.since, one.until) for one in state.slower] == [(TimeNs(0), TimeNs(4 * SECOND))]
    after = ticked(ticked(state, WELL, 5), SLOW, 6)
    assert [one.since for one in after.slower] == [TimeNs(6 * SECOND)]


def test_a_new_process_begins_anew() -> None:
    state = ticked(start(), SLOW)
    reborn = replace(state, slower=(replace(state.slower[0], incarnation=0),))
    assert [one.since for one in ticked(reborn, SLOW, 3).slower] == [TimeNs(3 * SECOND)]


@pytest.mark.parametrize("spoilt", [Quality.STALE, Quality.ABSURD, Quality.FEW])
def test_nothing_is_concluded_from_what_is_not_believed(spoilt: Quality) -> None:
    assert found(SLOW) == ["a-1"]
    assert found(SLOW, quality=spoilt) == []


def test_nothing_is_concluded_while_a_peer_says_nothing() -> None:
    state = ticked(start(), SLOW)
    assert state.evidence is not None
    assert state.world is not None
    gone = {(names.replica("a-2"), names.BATCH_SIZE)}
    kept = tuple(one for one in state.evidence.readings if (one.subject, one.signal) not in gone)
    blind = replace(state, evidence=replace(state.evidence, readings=kept))
    assert compared(blind, state.world, TimeNs(SECOND))[1] == ()


def test_beside_one_peer_nobody_knows_which_is_odd() -> None:
    assert PEERS == 2
    assert found({"a-1": (80.0, 4.0), "a-2": (40.0, 4.0)}) == []
    state = ticked(start(), SLOW)
    draining = g.with_slot(g.scene(), "a-3", ReplicaState.DRAINING).world
    assert draining is not None
    assert compared(state, draining, TimeNs(SECOND))[1] == ()


@given(st.lists(st.floats(1.0, 1000.0), min_size=3, max_size=3))
def test_no_two_are_slower_than_each_of_their_peers(times: list[float]) -> None:
    names_found = found({f"a-{n}": (time, 4.0) for n, time in enumerate(times, 1)})
    assert len(names_found) <= 1
    for name in names_found:
        own = times[int(name[2:]) - 1]
        rest = sorted(time for n, time in enumerate(times, 1) if n != int(name[2:]))
        assert own > rest[1]
        assert own >= RATIO * rest[0] * (1 - 1e-9)
