"""Traffic leaves a release that serves badly: what the comparison of both pools decides.

The real loop, guards, runbook, protocol and judge; `ALONE` is the same loop by before and after.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from leave_world import ALONE, GOOD, PARTS, Leave, managed

from homeostat.base import codec
from homeostat.base.actions import ActionKind
from homeostat.base.decisions import Effect, Outcome
from homeostat.base.events import Record, Started, UndoRequested
from homeostat.base.evidence import Family, Increments, Quality
from homeostat.base.intent import ActionState
from homeostat.base.policy import CanaryPolicy, KillLevel
from homeostat.govern import autonomy
from homeostat.loop.step import initial, step
from homeostat.testing import build

Seen = tuple[Increments, ...]
S = ActionState
BLIND: dict[str, Callable[[Increments], Increments]] = {
    "a gap": lambda one: replace(one, answered=None, failed=None, seconds=None,
                                 quality=Quality.UNREACHABLE),
    "no number": lambda one: replace(one, answered=float("nan")),
    "a negative count": lambda one: replace(one, failed=-1.0),
    "more failures than answers": lambda one: replace(one, failed=(one.answered or 0) + 1),
    "other seconds": lambda one: replace(one, seconds=3.0),
    "an endless count": lambda one: replace(one, answered=float("inf")),
    "no latency": lambda one: replace(one, latency=()),
    "latency of no number": lambda one: replace(
        one, latency=tuple((bound, float("nan")) for bound, _ in one.latency)
    ),
}  # fmt: skip


@cache
def _begun(alone: bool) -> Leave:  # noqa: FBT001 - a cache key
    leave = Leave(ALONE if alone else PARTS)
    leave.begin()
    return leave


def begun(*, alone: bool = False) -> Leave:
    """Return a shift that has just begun, away from a pool of which three in ten fail."""
    return _begun(alone).copy()


def effect(leave: Leave) -> Effect:
    facts = [c.fact for c in leave.commands if isinstance(c, Record)]
    return next(fact.effect for fact in facts if isinstance(fact, Outcome))


def spoilt(how: Callable[[Increments], Increments], *pools: str) -> Callable[[Seen], Seen]:
    return lambda seen: tuple(how(one) if one.pool in pools else one for one in seen)


def test_a_pool_that_serves_well_takes_all_of_the_traffic_from_one_that_fails() -> None:
    leave = begun()
    done = leave.finish()
    assert (done.state, leave.rungs()) == (S.SUCCEEDED, [25.0, 50.0, 100.0])
    assert effect(leave) is Effect.HELPED
    assert "pool b beside pool a, which it leaves" in leave.why(1)
    assert "certificate of no worse than 1.20 times" in leave.why(2)


def test_by_before_and_after_alone_the_same_shift_goes_back_to_the_pool_that_fails() -> None:
    leave = begun(alone=True)
    done = leave.finish()
    assert (done.state, leave.weight) == (S.ROLLED_BACK, 5.0)


def test_answers_that_are_too_slow_are_left_without_a_single_failure() -> None:
    leave = Leave()
    leave.errors = {"a": 0.0, "b": 0.0}
    leave.run(5)
    leave.slow["a"] = 0.4
    leave.until_shifting()
    assert leave.finish().state is S.SUCCEEDED
    assert leave.weight == 100.0
    assert "failed or slower than 250 ms" in leave.why(1)


def test_where_nothing_is_counted_by_latency_failures_alone_are_compared() -> None:
    leave = Leave()
    leave.spoil = spoilt(lambda one: replace(one, latency=(), timed=False), "a", "b")
    leave.begin()
    assert leave.finish().state is S.SUCCEEDED
    assert "answers failed, against" in leave.why(1)


@pytest.mark.parametrize("weight", [25.0, 50.0])
def test_a_fallback_that_serves_worse_gives_the_traffic_back_at_once(weight: float) -> None:
    leave = begun()
    leave.run(60, lambda: leave.weight == weight)
    leave.errors = {"a": 0.02, "b": 0.9}
    since = leave.now
    done = leave.finish()
    assert (done.state, done.harmed, done.blameless) == (S.ROLLED_BACK, True, False)
    assert (leave.weight, max(leave.rungs())) == (5.0, weight)
    # At half of the traffic the objectives say so as soon.
    assert ("worse than what it leaves" in done.reason) or weight == 50.0
    assert leave.now - since <= 30
    assert effect(leave) is Effect.HARMED


def test_harm_of_a_shift_costs_the_kind_its_autonomy() -> None:
    leave = begun()
    leave.run(60, lambda: leave.weight == 25.0)
    leave.errors = {"a": 0.02, "b": 0.9}
    done = leave.finish()
    ledger = autonomy.Ledger()
    for record in leave.records():
        ledger = autonomy.counted(ledger, record)
    lost = ledger.of(ActionKind.SHIFT_TRAFFIC).harm
    assert lost is not None
    assert lost.id == done.id


def test_a_fallback_without_one_good_answer_is_harm_within_three_stretches() -> None:
    leave = begun()
    leave.run(60, lambda: leave.weight == 25.0)
    leave.errors["b"] = 1.0
    since = leave.now
    leave.run(60, lambda: leave.state.record is not None
              and leave.state.record.state is S.ROLLING_BACK)  # fmt: skip
    assert leave.now - since <= 3 * 2 + 2
    assert leave.finish().state is S.ROLLED_BACK


@pytest.mark.parametrize("how", BLIND)
@pytest.mark.parametrize("pools", [("b",), ("a",)])
def test_what_is_not_seen_decides_nothing_and_all_is_as_by_before_and_after(
    how: str, pools: tuple[str, ...]
) -> None:
    ends = []
    for alone in (False, True):
        leave = begun(alone=alone)
        leave.spoil = spoilt(BLIND[how], *pools)
        done = leave.finish()
        ends.append((done.state, done.harmed, done.reason, tuple(leave.rungs()), leave.now))
    assert ends[0] == ends[1]


def test_what_healed_by_before_and_after_heals_as_fast() -> None:
    spent = []
    for alone in (False, True):
        leave = begun(alone=alone)
        leave.run(3)
        leave.errors["a"] = GOOD  # whatever it was is over as soon as a part of the load is gone
        done = leave.finish()
        assert (done.state, leave.weight) == (S.SUCCEEDED, 100.0)
        spent.append(leave.now)
    assert spent[0] <= spent[1]


def test_without_proof_in_time_it_stays_where_it_is_and_not_at_what_fails() -> None:
    leave = Leave(rate=4000.0)
    leave.errors["b"] = (
        0.009  # within what was promised, and hardly better than what it is left for
    )
    leave.begin(bad=0.014)
    done = leave.finish()
    assert done.state is S.SUCCEEDED_UNPROVEN
    assert leave.weight == 50.0
    assert "it stays at this share" in done.reason
    assert not done.harmed


def test_what_stayed_at_a_rung_is_taken_back_by_a_person_and_not_once_somebody_moved_it() -> None:
    leave = Leave(rate=4000.0)
    leave.errors["b"] = 0.009
    leave.begin(bad=0.014)
    done = leave.finish()
    undo = UndoRequested(at=build.at(leave.now), decision_id=done.id, by="ann", kill=KillLevel.OFF)
    moved = leave.copy()
    levers = dict(moved.world.levers) | {"weight.b": 40.0}
    moved.world = replace(moved.world, levers=tuple(sorted(levers.items())))
    moved.run(1)
    moved.feed(undo)
    assert any("cannot be taken back: weight.b is now 40" in title for title in moved.told())
    leave.feed(undo)
    leave.run(10)
    assert leave.weight == 5.0


def test_two_pools_that_fail_alike_are_not_left_for_each_other() -> None:
    leave = begun()
    leave.run(60, lambda: leave.weight == 25.0)
    leave.errors["b"] = 0.3
    done = leave.finish()
    assert done.state is S.ROLLED_BACK
    assert max(leave.rungs()) <= 50.0


def test_wrong_answers_are_left_though_the_fallback_fails_a_little_more_often() -> None:
    leave = Leave()
    leave.errors = {"a": 0.0, "b": 0.008}
    leave.family = Family.OUTPUT
    leave.run(5)
    leave.accuracy = 0.5
    leave.until_shifting()
    leave.run(8)
    leave.accuracy = 0.95  # labels of the fallback's answers
    done = leave.finish()
    assert leave.state.leaving is None, "no counter of the gateway shows what is wrong"
    assert (done.state, leave.weight) == (S.SUCCEEDED, 100.0)


def test_the_kill_switch_stops_the_next_rung_whatever_is_proven() -> None:
    leave = begun()
    leave.run(60, lambda: leave.weight == 25.0)
    leave.kill = KillLevel.NO_NEW
    done = leave.finish()
    assert max(leave.rungs()) == 25.0
    assert (done.state, done.harmed) == (S.ROLLED_BACK, False)
    assert "kill switch" in done.reason


def test_whoever_takes_over_goes_on_with_what_was_counted() -> None:
    leave = begun()
    leave.run(60, lambda: leave.weight == 50.0)
    leave.run(4)
    before = leave.state.leaving
    leave.feed(Started(at=build.at(leave.now), epoch=2, managed=leave.state.managed))
    leave.run(1)
    after = leave.state.leaving
    assert before is not None
    assert after is not None
    assert after.harm.buckets >= before.harm.buckets > 0
    assert leave.finish().state is S.SUCCEEDED
    assert leave.weight == 100.0


def test_replayed_it_says_the_same_bit_for_bit() -> None:
    leave = begun()
    leave.finish()
    state = initial(managed())
    for event in leave.events:
        state, _ = step(PARTS, state, codec.decode(codec.encode(event)))
    assert state == leave.state
    assert state.leaving is not None


def test_its_margins_are_the_canarys_where_there_is_one() -> None:
    leave = Leave(config=managed(canary=CanaryPolicy(pool="c", error_ratio=1.5, alpha=0.01)))
    leave.begin()
    leave.run(10)
    known = leave.state.leaving
    assert known is not None
    assert (known.config.alpha, known.config.metrics[0].margin) == (0.01, 1.5)


def test_a_person_takes_the_finished_shift_back() -> None:
    leave = begun()
    done = leave.finish()
    undo = UndoRequested(at=build.at(leave.now), decision_id=done.id, by="ann", kill=KillLevel.OFF)
    leave.feed(undo)
    record = leave.state.record
    assert record is not None
    assert (record.undoes, record.action.kind) == (done.id, ActionKind.SHIFT_TRAFFIC)
    leave.run(5)
    assert leave.weight == 5.0


HALF = st.sampled_from([0.0, 0.001, 0.009, 0.05, 0.3, 1.0])
SPOILT = st.sampled_from([None, *BLIND])
WEATHER = st.lists(
    st.tuples(HALF, HALF, st.sampled_from([0.0, 0.01, 0.6]), SPOILT, st.booleans()),
    min_size=1,
    max_size=12,
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(WEATHER)
def test_whatever_befalls_it_it_ends_and_never_turns_forward_again(
    weather: list[tuple[float, float, float, str | None, bool]],
) -> None:
    leave = begun()
    ended = 0
    for bad, worse, slow, how, killed in (*weather, (GOOD, GOOD, 0.01, None, False)):
        leave.errors, leave.slow["b"] = {"a": bad, "b": worse}, slow
        leave.spoil = (lambda seen: seen) if how is None else spoilt(BLIND[how], "a", "b")
        leave.kill = KillLevel.NO_NEW if killed else KillLevel.OFF
        for _ in range(7):
            record = leave.state.record
            if record is None or record.id != "d-0001":
                break
            known = leave.state.leaving
            leave.second()
            after = leave.state.record
            harmed = known is not None and known.harm.harm_at is not None
            assert not harmed or after is None or after.state is S.ROLLING_BACK
            ended += 1
    leave.run(120, lambda: leave.state.record is None or leave.state.record.id != "d-0001")
    done = next(one for one in leave.state.finished if one.id == "d-0001")
    up = [r for r in leave.records() if r.id == "d-0001" and r.state is S.ROLLING_BACK]
    assert not up or done.state in {S.ROLLED_BACK, S.STUCK, S.FOREIGN}
    weights = [
        value
        for record in leave.records()
        if record.id == "d-0001" and record.intent is not None and not record.intent.undo
        for _, value in record.intent.post
    ]
    assert weights == sorted(weights), "rung by rung"
    assert ended > 0
