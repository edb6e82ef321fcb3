"""A replica that falls behind its peers for good is told of, and blamed once users suffer."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from homeostat.base import codec, names
from homeostat.base.evidence import LOOKBACK_SCRAPES, UNLIKE_ITSELF, Evidence, Family, Suspicion
from homeostat.base.state import LoopState
from homeostat.loop import step
from homeostat.loop.pace import learn
from homeostat.loop.straggling import followed, suspected
from homeostat.testing import build
from homeostat.testing import guard_scene as g

PACE = learn(None, g.NEW, [(size, 20.0 + 5.0 * size) for size in (3.0, 4.0, 5.0)] * 20)
SLOTS = ("a-1", "a-2", "a-3")
BLOCK = LOOKBACK_SCRAPES
DEPENDENCY = build.suspicion(Family.DEPENDENCY, names.MODEL, confidence=0.76)
LOAD = build.suspicion(Family.LOAD, names.GATEWAY, confidence=0.75)


def evidence(times: Mapping[str, float | None], **changes: object) -> Evidence:
    """Return a tick on which batches of four took so long on each replica."""
    told = [
        g.reading(names.replica(name), signal, value)
        for name, time in times.items()
        for signal, value in ((names.DEVICE_TIME, time), (names.BATCH_SIZE, 4.0))
        if value is not None
    ]
    found = g.told(g.scene(len(SLOTS)), *told).evidence
    assert found is not None
    unread = [names.replica(name) for name, time in times.items() if time is None]
    kept = tuple(
        one
        for one in found.readings
        if not (one.subject in unread and one.signal == names.DEVICE_TIME)
    )
    return replace(found, readings=kept, **changes)  # type: ignore[arg-type]


def start() -> LoopState:
    return replace(step.initial(g.managed()), pace=PACE, calm_ticks=9)


def ran(state: LoopState, blocks: float, slower: float = 1.0, **changes: object) -> LoopState:
    """Return the state after blocks in which one replica took so many times as long."""
    times = dict.fromkeys(SLOTS, 40.0) | {"a-2": 40.0 * slower}
    for _ in range(round(blocks * BLOCK)):
        state = followed(state, evidence(times))
        state = replace(state, **changes)  # type: ignore[arg-type]
    return state


def told(state: LoopState, *others: Suspicion, slo_met: bool | None = True) -> list[Suspicion]:
    seen = evidence(dict.fromkeys(SLOTS, 40.0), suspicions=others, slo_met=slo_met)
    return list(suspected(state, seen).suspicions)


@pytest.mark.parametrize(("slower", "blocks"), [(1.5, 1), (1.25, 2), (1.15, 4)])
def test_one_that_stays_behind_is_told_after_blocks_and_not_before(
    slower: float, blocks: int
) -> None:
    state = ran(start(), 6)
    assert told(ran(state, blocks - 0.4, slower)) == []
    found = told(ran(state, blocks, slower))
    assert [(one.family, one.subject) for one in found] == [(Family.REPLICA, "replica:a-2")]
    assert f"takes {slower - 1.0:.0%} longer" in found[0].because[0]


def test_while_nobody_suffers_it_is_only_told() -> None:
    behind = ran(ran(start(), 6), 2, 1.4)
    assert [one.confidence for one in told(behind)] == [UNLIKE_ITSELF]


def test_nobody_is_blamed_by_it_once_something_hurts() -> None:
    behind = ran(ran(start(), 6), 2, 1.4)
    assert told(behind, slo_met=False) == []
    assert told(behind, DEPENDENCY) == [DEPENDENCY]
    assert told(behind, LOAD) == [LOAD]


def test_hardware_that_always_was_slower_is_usual_and_what_all_share_is_nobodys() -> None:
    state = ran(start(), 40, 1.5)
    assert told(state) == []
    assert told(ran(state, 2, 2.0)) != []
    every = dict.fromkeys(SLOTS, 90.0)
    state = start()
    for _ in range(20 * BLOCK):
        state = followed(state, evidence(every))
    assert told(state) == []


def test_nothing_is_learnt_while_something_is_suspected() -> None:
    state = ran(replace(start(), calm_ticks=0), 6, 1.05)
    assert {(one.blocks, one.usual) for one in state.lags} == {(0, 0.0)}


def test_it_is_over_when_it_keeps_up_and_another_process_begins_anew() -> None:
    behind = ran(ran(start(), 6), 3, 1.4)
    assert told(behind)
    assert not told(ran(behind, 8))
    other = tuple(replace(one, incarnation=one.incarnation + 1) for one in behind.lags)
    assert not told(ran(replace(behind, lags=other), 0.2, 1.4))


def test_a_tick_on_which_one_is_not_known_is_left_out() -> None:
    state = ran(start(), 6)
    assert followed(state, evidence({"a-1": 40.0, "a-2": None, "a-3": 40.0})) is state
    assert followed(state, replace(evidence({}), world=None)) is state


def test_equal_replicas_that_tremble_are_never_told() -> None:
    chance = np.random.default_rng(4)
    state = start()
    for _ in range(4000):
        times = {name: 40.0 * float(np.exp(0.06 * chance.standard_normal())) for name in SLOTS}
        state = followed(state, evidence(times))
        assert not told(state)


def test_it_is_kept_over_a_restart_of_ours() -> None:
    state = ran(ran(start(), 6), 2, 1.4)
    assert codec.decode(codec.encode(state)).lags == state.lags
