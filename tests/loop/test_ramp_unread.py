"""Latency that is not read is unknown, never left out; pods that go are not forgotten."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from ramp_world import PARTS, RAMP, Ramp

from homeostat.base import codec
from homeostat.base.events import Record, Ticked
from homeostat.base.evidence import Increments
from homeostat.base.intent import ActionRecord, ActionState, Proof
from homeostat.base.world import ReplicaState
from homeostat.loop.step import step

Seen = tuple[Increments, ...]


def without(*pools: str) -> Callable[[Seen], Seen]:
    """Return what loses the latency of some pools, whose pages do have it."""
    return lambda seen: tuple(
        replace(one, latency=()) if one.pool in pools else one for one in seen
    )


def other_bounds(seen: Seen) -> Seen:
    new = seen[1]
    odd = tuple((bound + 1.0, count) for bound, count in new.latency)
    return seen[0], replace(new, latency=odd)


def no_histogram(seen: Seen) -> Seen:
    return tuple(replace(one, latency=(), timed=False) for one in seen)


def at(weight: float) -> Ramp:
    ramp = Ramp()
    ramp.begin()
    ramp.run(300, lambda: ramp.weight >= weight)
    return ramp


def said(ramp: Ramp) -> list[str]:
    facts = [c.fact for c in ramp.commands if isinstance(c, Record)]
    return [one.reason for one in facts if isinstance(one, ActionRecord)]


@pytest.mark.parametrize("pools", [("a",), ("c",), ("a", "c")])
def test_latency_that_is_not_read_at_first_is_compared_all_the_same(pools: tuple[str, ...]) -> None:
    ramp = Ramp()
    ramp.begin()
    ramp.spoil = without(*pools)
    ramp.run(5)
    ramp.spoil = lambda seen: seen
    ramp.errors = {"a": 0.0, "c": 0.0}
    ramp.slow["c"] = 0.4
    done = ramp.finish()
    assert (done.state, done.blameless) == (ActionState.ROLLED_BACK, False)
    assert "latency" in done.reason


@pytest.mark.parametrize("how", [without("a"), without("c"), without("a", "c"), other_bounds])
@pytest.mark.parametrize("weight", [RAMP[0], RAMP[2], RAMP[-2]])
def test_without_its_latency_no_rung_goes_on(weight: float, how: Callable[[Seen], Seen]) -> None:
    ramp = at(weight)
    rungs = len(ramp.rungs())
    ramp.spoil = how
    done = ramp.finish()
    assert (done.state, done.blameless, done.proof) == (ActionState.ROLLED_BACK, True, Proof.NONE)
    assert ramp.rungs()[rungs:] == [0.0]


def test_errors_are_seen_while_latency_is_not() -> None:
    ramp = at(RAMP[2])
    ramp.spoil, ramp.errors["c"] = without("c"), 0.5
    done = ramp.finish()
    assert (done.state, done.blameless) == (ActionState.ROLLED_BACK, False)


def test_a_rung_needs_whole_stretches_with_latency() -> None:
    often, holes = at(RAMP[2]), at(RAMP[2])
    often.run(20)
    assert often.weight > RAMP[2]
    for _ in range(5):  # of each two stretches one is not whole
        holes.spoil = without("c")
        holes.run(1)
        holes.spoil = lambda seen: seen
        holes.run(3)
    assert holes.weight == RAMP[2]


def test_where_no_page_has_a_histogram_errors_are_compared_alone_and_it_is_said() -> None:
    ramp = Ramp()
    ramp.begin()
    ramp.spoil = no_histogram
    done = ramp.finish()
    assert done.state is ActionState.SUCCEEDED
    assert any("latency is not compared" in why for why in said(ramp))
    assert not any("latency is not compared" in why for why in said(at(RAMP[2])))


def test_a_journal_without_the_word_reads_as_before() -> None:
    ramp = Ramp()
    ramp.begin()
    ramp.run(8)
    plain = codec.to_plain(next(one for one in reversed(ramp.events) if isinstance(one, Ticked)))
    for one in plain["evidence"]["increments"]:
        del one["timed"]
    old = codec.decode(codec.encode(plain))
    state, _ = step(PARTS, replace(ramp.state, comparison=None), old)
    assert state.comparison is not None
    assert len(state.comparison.config.metrics) == 2


def lost(ramp: Ramp, slot: str, state: ReplicaState) -> None:
    ramp.world = replace(
        ramp.world,
        replicas=tuple(
            replace(one, state=state) if one.name == slot else one for one in ramp.world.replicas
        ),
    )


def pods(ramp: Ramp) -> int | None:
    assert ramp.state.comparison is not None
    return ramp.state.comparison.config.pods


def test_a_canary_that_loses_a_pod_is_a_canary_of_one_pod_from_then_on() -> None:
    ramp = at(RAMP[2])
    assert pods(ramp) == 2
    lost(ramp, "c-2", ReplicaState.STARTING)
    ramp.run(2)
    lost(ramp, "c-2", ReplicaState.READY)
    done = ramp.finish()
    assert (done.state, done.proof, done.blameless) == (
        ActionState.ROLLED_BACK, Proof.NONE, True,
    )  # fmt: skip
    assert any("confounded" in why for why in said(ramp))


def test_pods_that_could_not_be_counted_at_first_are_counted_later() -> None:
    ramp = Ramp()
    ramp.begin()
    ramp.trouble = {"world": None}
    ramp.run(2)
    ramp.trouble = {}
    lost(ramp, "c-2", ReplicaState.STARTING)
    ramp.run(6)
    assert pods(ramp) == 1
