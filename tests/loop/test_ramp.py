"""A canary's ramp under the real loop, guards, protocol and judge: what may be promoted, and when.

Nothing takes all of the traffic without a certificate or an explicit word that it is unproven, and
whatever is not seen promotes nothing.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ramp_world import PARTS, RAMP, Ramp, managed

from homeostat.base import codec
from homeostat.base.actions import ActionKind
from homeostat.base.decisions import Effect, Outcome
from homeostat.base.events import Approval, Command, Record, UndoRequested
from homeostat.base.evidence import Family, Increments, Quality
from homeostat.base.intent import ActionRecord, ActionState, Proof
from homeostat.base.policy import KillLevel, OnUnproven
from homeostat.base.units import SECOND
from homeostat.govern import autonomy
from homeostat.loop import undoing
from homeostat.loop.step import initial, step
from homeostat.server.wiring import loop_parts
from homeostat.testing import build

Seen = tuple[Increments, ...]
PROMOTED = {ActionState.SUCCEEDED, ActionState.SUCCEEDED_UNPROVEN}
BLIND: dict[str, Callable[[Increments], Increments]] = {
    "a gap": lambda one: replace(one, answered=None, failed=None, seconds=None,
                                 quality=Quality.UNREACHABLE),
    "a reset": lambda one: replace(one, answered=None, failed=None, quality=Quality.ABSURD),
    "no number": lambda one: replace(one, answered=float("nan")),
    "a negative count": lambda one: replace(one, failed=-1.0),
    "more failures than answers": lambda one: replace(one, failed=(one.answered or 0) + 1),
    "other seconds": lambda one: replace(one, seconds=3.0),
    "an endless count": lambda one: replace(one, answered=float("inf")),
}  # fmt: skip


def outcome(ramp: Ramp) -> Effect:
    facts = [c.fact for c in ramp.commands if isinstance(c, Record)]
    return next(fact.effect for fact in facts if isinstance(fact, Outcome))


@cache
def _at_rung(weight: float) -> Ramp:
    ramp = Ramp()
    ramp.begin()
    ramp.run(300, lambda: ramp.weight >= weight)
    assert ramp.weight == weight
    return ramp


def at_rung(weight: float) -> Ramp:
    """Return a ramp whose comparison has just begun on a rung."""
    return _at_rung(weight).copy()


def spoilt(how: Callable[[Increments], Increments], *pools: str) -> Callable[[Seen], Seen]:
    return lambda seen: tuple(how(one) if one.pool in pools else one for one in seen)


def test_what_is_as_good_is_promoted_rung_by_rung_with_a_certificate() -> None:
    ramp = Ramp()
    ramp.begin()
    done = ramp.finish()
    assert (done.state, done.proof) == (ActionState.SUCCEEDED, Proof.CERTIFIED)
    assert ramp.rungs() == list(RAMP)
    assert "certified at 0.05" in done.reason
    assert outcome(ramp) is Effect.HELPED


def test_every_rung_says_what_it_went_on_from_and_what_no_verdict_can_know() -> None:
    ramp = Ramp()
    ramp.world = replace(
        ramp.world, replicas=tuple(one for one in ramp.world.replicas if one.name != "c-2")
    )
    ramp.begin()
    done = ramp.finish()
    facts = [c.fact for c in ramp.commands if isinstance(c, Record)]
    on = [f for f in facts if isinstance(f, ActionRecord) and f.state is ActionState.INTENT]
    said = {record.stage: record.reason for record in on if record.stage}
    assert set(said) == set(range(1, len(RAMP) - 1)), "one pod is not certified, so not promoted"
    assert all("harm e-value" in why and "confounded" in why for why in said.values())
    assert (done.state, done.blameless) == (ActionState.ROLLED_BACK, True)


@pytest.mark.parametrize("weight", RAMP[:-1])
def test_harm_at_any_rung_takes_the_traffic_back(weight: float) -> None:
    ramp = at_rung(weight)
    ramp.errors["c"] = 0.12
    done = ramp.finish()
    assert done.state is ActionState.ROLLED_BACK
    assert ramp.weight == 0.0
    assert max(ramp.rungs()) <= RAMP[RAMP.index(weight) + 1], "it took some stretches to see"
    assert "does harm" in done.reason
    assert outcome(ramp) is Effect.HARMED


def test_slower_answers_are_harm_without_a_single_error() -> None:
    ramp = at_rung(10.0)
    ramp.errors = {"a": 0.0, "c": 0.0}
    ramp.slow["c"] = 0.4
    done = ramp.finish()
    assert done.state is ActionState.ROLLED_BACK
    assert not done.blameless


@pytest.mark.parametrize("how", BLIND)
@pytest.mark.parametrize("weight", RAMP[:-1])
@pytest.mark.parametrize("pools", [("c",), ("a",)])
def test_what_is_not_seen_promotes_nothing_and_is_not_blamed(
    weight: float, how: str, pools: tuple[str, ...]
) -> None:
    ramp = at_rung(weight)
    rungs = len(ramp.rungs())
    ramp.spoil = spoilt(BLIND[how], *pools)
    done = ramp.finish()
    assert (done.state, done.proof) == (ActionState.ROLLED_BACK, Proof.NONE)
    assert (done.blameless, outcome(ramp)) == (True, Effect.NO_CHANGE)
    assert ramp.rungs()[rungs:] == [0.0]


@pytest.mark.parametrize("weight", RAMP[:-1])
def test_where_no_page_speaks_of_the_pools_nothing_is_promoted(weight: float) -> None:
    ramp = at_rung(weight)
    rungs = len(ramp.rungs())
    ramp.spoil = lambda _: ()
    done = ramp.finish()
    assert (done.state, done.blameless) == (ActionState.ROLLED_BACK, True)
    assert ramp.rungs()[rungs:] == [0.0]


@pytest.mark.parametrize("weight", RAMP[:-1])
def test_a_canary_that_nobody_hears_of_goes_back_without_blame(weight: float) -> None:
    ramp = at_rung(weight)
    silent = replace(Increments(pool="c", answered=0.0, failed=0.0, seconds=1.0))
    ramp.spoil = lambda seen: (seen[0], silent)
    done = ramp.finish(60)
    assert (done.state, done.blameless) == (ActionState.ROLLED_BACK, True)
    assert "not blamed" in done.reason


def test_a_world_that_is_not_read_compares_nothing() -> None:
    ramp = at_rung(10.0)
    judged = ramp.state.comparison
    assert judged is not None
    ramp.trouble = {"world": None}
    ramp.run(15)
    after = ramp.state.comparison
    assert after is not None
    assert after.judge.buckets == judged.judge.buckets
    assert ramp.weight == 10.0


def test_after_a_short_gap_it_goes_on_and_is_promoted() -> None:
    ramp = at_rung(10.0)
    ramp.spoil = spoilt(BLIND["a gap"], "a", "c")
    ramp.run(5)
    ramp.spoil = lambda seen: seen
    assert ramp.finish().state is ActionState.SUCCEEDED


def unproven(how: OnUnproven) -> Ramp:
    """Return a ramp without a single error: nothing to certify by."""
    ramp = Ramp(managed(on_unproven=how, max_wait_ns=80 * SECOND))
    ramp.errors = {"a": 0.0, "c": 0.0}
    ramp.begin()
    return ramp


def test_time_without_a_certificate_takes_the_traffic_back_where_the_policy_says_so() -> None:
    ramp = unproven(OnUnproven.RETURN)
    done = ramp.finish()
    assert (done.state, done.blameless) == (ActionState.ROLLED_BACK, True)
    assert "no certificate" in done.reason


def test_what_the_policy_keeps_is_promoted_and_called_unproven() -> None:
    ramp = unproven(OnUnproven.KEEP)
    done = ramp.finish()
    assert (done.state, done.proof) == (ActionState.SUCCEEDED_UNPROVEN, Proof.UNPROVEN)
    assert ramp.now > 80


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (True, ActionState.SUCCEEDED_UNPROVEN),
        (False, ActionState.ROLLED_BACK),
        (None, ActionState.ROLLED_BACK),
    ],
)
def test_a_person_is_asked_once_and_silence_takes_the_traffic_back(
    answer: bool | None,  # noqa: FBT001 - what the person says
    state: ActionState,
) -> None:
    ramp = unproven(OnUnproven.ASK)
    ramp.run(200, lambda: ramp.state.record is not None and ramp.state.record.proof is Proof.ASKED)
    ramp.run(5)
    assert sum("promoted unproven?" in title for title in ramp.told()) == 1
    assert ramp.weight == 50.0
    if answer is not None:
        ramp.feed(
            Approval(
                at=build.at(ramp.now), decision_id="d-0001", approved=answer, by="bob", why="",
                kill=KillLevel.OFF,
            )
        )  # fmt: skip
    assert ramp.finish().state is state


@pytest.mark.parametrize("seconds", range(0, 42, 3))
def test_a_person_can_take_it_back_at_every_moment(seconds: int) -> None:
    ramp = Ramp()
    ramp.begin()
    ramp.run(seconds)
    ramp.feed(
        UndoRequested(at=build.at(ramp.now), decision_id="d-0001", by="bob", kill=KillLevel.OFF)
    )
    done = ramp.finish(20)
    assert (done.state, ramp.weight) == (ActionState.ROLLED_BACK, 0.0)
    assert outcome(ramp) is Effect.NO_CHANGE


@pytest.mark.parametrize("weight", RAMP[:-1])
def test_the_kill_switch_lets_no_rung_go_on_and_the_way_back_open(weight: float) -> None:
    ramp = at_rung(weight)
    ramp.kill = KillLevel.NO_NEW
    done = ramp.finish()
    assert done.state is ActionState.ROLLED_BACK
    assert ramp.weight == 0.0


def test_what_needs_healing_elsewhere_ends_the_ramp_at_once_and_blames_nobody() -> None:
    ramp = at_rung(10.0)
    ramp.trouble = {"suspicions": (build.suspicion(Family.REPLICA, "replica:a-2", urgent=True),),
                    "slo_met": True}  # fmt: skip
    ramp.values |= {("replica:a-2", "probe_failures"): 3.0, ("replica:a-2", "device_time_ms"): None}
    done = ramp.finish(10)
    assert (done.state, done.blameless) == (ActionState.ROLLED_BACK, True)
    assert "needs healing first" in done.reason
    ramp.run(10, lambda: ramp.state.record is not None)
    record = ramp.state.record
    assert record is not None
    assert (record.action.kind.value, record.action.subject) == ("restart_replica", "replica:a-2")


def test_what_is_suspected_of_the_pool_that_is_tried_is_held_against_it() -> None:
    ramp = at_rung(10.0)
    ramp.trouble = {"suspicions": (build.suspicion(Family.RELEASE, "pool:c", urgent=True),),
                    "slo_met": False}  # fmt: skip
    done = ramp.finish(10)
    assert (done.state, outcome(ramp)) == (ActionState.ROLLED_BACK, Effect.HARMED)


@cache
def _promoted() -> Ramp:
    ramp = Ramp()
    ramp.begin()
    assert ramp.finish().state is ActionState.SUCCEEDED
    ramp.run(5)
    return ramp


@pytest.mark.parametrize(
    ("errors", "slow", "missed", "back"),
    [(0.1, 0.1, True, True), (0.02, 0.4, True, True), (0.1, 0.1, False, False),
     (0.02, 0.1, True, False)],
)  # fmt: skip
def test_what_turns_out_worse_after_its_promotion_is_taken_back_if_it_hurts(
    errors: float,
    slow: float,
    missed: bool,  # noqa: FBT001 - the objectives
    back: bool,  # noqa: FBT001 - the answer
) -> None:
    ramp = _promoted().copy()
    ramp.errors["c"], ramp.slow["c"] = errors, slow
    ramp.trouble = {"slo_met": not missed}
    ramp.run(40, lambda: ramp.weight == 0.0)
    assert (ramp.weight == 0.0) is back
    assert any("taken back: worse than what it replaced" in title for title in ramp.told()) is back
    if back:
        ramp.trouble = {}
        ramp.run(30)
        undo = ramp.state.finished[-1]
        assert (undo.undoes, undo.state in PROMOTED) == ("d-0001", True)
        assert ramp.weight == 0.0
    lost = earned(ramp).harm
    assert (lost is not None) is back, "a promotion that is taken back did harm"
    assert lost is None or lost.id == "d-0001"
    told = [c.fact for c in ramp.commands if isinstance(c, Record)]
    effects = [one.effect for one in told if isinstance(one, Outcome) and one.action_id == "d-0001"]
    assert (effects[-1] is Effect.HARMED) is back


def earned(ramp: Ramp) -> autonomy.Record:
    """Return what the ladder knows of ramps from what was journaled."""
    ledger = autonomy.Ledger()
    for command in ramp.commands:
        if isinstance(command, Record) and isinstance(command.fact, ActionRecord):
            ledger = autonomy.counted(ledger, command.fact)
    return ledger.of(ActionKind.SHIFT_TRAFFIC)


def test_harm_after_a_promotion_is_on_record_where_nothing_can_be_written() -> None:
    ramp = _promoted().copy()
    done = next(one for one in ramp.state.finished if one.id == "d-0001")
    blind = replace(ramp.state, world=None)
    wish = UndoRequested(
        at=build.at(ramp.now), decision_id="d-0001", by="the watch", kill=KillLevel.OFF, harm=True
    )
    _, commands = undoing.undo(loop_parts(), blind, wish)
    ledger = autonomy.counted(autonomy.Ledger(), done)
    for command in commands:
        if isinstance(command, Record) and isinstance(command.fact, ActionRecord):
            ledger = autonomy.counted(ledger, command.fact)
    assert ledger.of(done.action.kind).harm is not None


def test_the_watch_ends_and_from_then_on_only_a_person_takes_it_back() -> None:
    ramp = _promoted().copy()
    ramp.run(60)
    assert sum("promoted for good" in title for title in ramp.told()) == 1
    assert ramp.state.comparison is None
    ramp.errors["c"], ramp.trouble = 0.2, {"slo_met": False}
    ramp.run(20)
    assert ramp.weight == RAMP[-1]
    ramp.feed(
        UndoRequested(at=build.at(ramp.now), decision_id="d-0001", by="bob", kill=KillLevel.OFF)
    )
    assert ramp.weight == 0.0


PRAISE = "promoted for good"
UNSEEN = "is promoted, and nobody saw whether it is worse than before"


def unread(seen: Seen) -> Seen:
    return spoilt(BLIND["a gap"], "a", "c")(seen)


def no_latency(seen: Seen) -> Seen:
    return tuple(replace(one, latency=()) for one in seen)


def nobody_asks(seen: Seen) -> Seen:
    nothing = tuple((bound, 0.0) for bound, _ in seen[0].latency)
    return tuple(replace(one, answered=0.0, failed=0.0, latency=nothing) for one in seen)


@pytest.mark.parametrize("how", [unread, no_latency, nobody_asks])
def test_what_nobody_saw_after_its_promotion_is_not_praised(how: Callable[[Seen], Seen]) -> None:
    ramp = _promoted().copy()
    ramp.spoil = how
    ramp.run(60)
    assert not any(PRAISE in title for title in ramp.told())
    assert sum("is watched on" in title for title in ramp.told()) == 1
    ramp.run(70)
    assert not any(PRAISE in title for title in ramp.told())
    assert sum(UNSEEN in title for title in ramp.told()) == 1
    assert ramp.state.comparison is None
    assert ramp.weight == RAMP[-1], "not seen is no harm either"


def test_the_watch_goes_on_once_and_then_says_what_it_saw() -> None:
    ramp = _promoted().copy()
    ramp.spoil = unread
    ramp.run(60)
    ramp.spoil = lambda seen: seen
    ramp.run(70)
    assert sum(PRAISE in title for title in ramp.told()) == 1
    assert not any(UNSEEN in title for title in ramp.told())


def test_harm_is_found_in_the_time_that_is_added_too() -> None:
    ramp = _promoted().copy()
    ramp.spoil = unread
    ramp.run(60)
    ramp.spoil = lambda seen: seen
    ramp.errors["c"], ramp.trouble = 0.2, {"slo_met": False}
    ramp.run(30, lambda: ramp.weight == 0.0)
    assert ramp.weight == 0.0


def test_whoever_moves_the_weight_after_its_promotion_ends_the_watch() -> None:
    ramp = _promoted().copy()
    levers = dict(ramp.world.levers) | {"weight.c": 40.0}
    ramp.world = replace(ramp.world, levers=tuple(sorted(levers.items())))
    ramp.errors["c"], ramp.trouble = 0.2, {"slo_met": False}
    ramp.run(20)
    assert ramp.state.comparison is None
    assert ramp.weight == 40.0


def test_a_ramp_that_is_refused_writes_nothing_and_says_why() -> None:
    ramp = Ramp(build.managed())
    ramp.begin()
    assert ramp.rungs() == []
    assert any("has no canary" in title for title in ramp.told())
    twice = at_rung(5.0)
    twice.ask()
    assert any("is in flight; one at a time" in title for title in twice.told())


def test_replay_of_its_events_gives_the_same_commands_and_state_bit_for_bit() -> None:
    ramp = Ramp()
    ramp.errors["c"] = 0.05
    ramp.begin()
    ramp.finish()
    told: list[Command] = []
    state = initial(ramp.state.managed)
    for number, event in enumerate(ramp.events):
        state, commands = step(PARTS, state, codec.decode(codec.encode(event)))
        told += commands
        if number % 7 == 0:  # as a snapshot in the journal would
            state = codec.decode(codec.encode(state))
    assert [codec.encode(one) for one in told] == [codec.encode(one) for one in ramp.commands]
    whole = codec.encode(codec.decode(codec.encode(ramp.state)))  # as a number reads back
    assert codec.encode(codec.decode(codec.encode(state))) == whole


def test_a_journal_from_before_ramps_were_compared_still_reads() -> None:
    ramp = at_rung(5.0)
    plain = codec.to_plain(ramp.state)
    for name in ("comparison",):
        del plain[name]
    for name in ("proof", "blameless"):
        del plain["record"][name]
    del plain["record"]["action"]["beside"]
    del plain["evidence"]["increments"]
    del plain["managed"]["canary"]
    old = codec.decode(codec.encode(plain))
    record = ramp.state.record
    assert record is not None
    assert old.record == replace(record, action=replace(record.action, beside=""))
    assert old.comparison is None


def promotions(ramp: Ramp) -> list[ActionRecord]:
    """Return the records that held the write of all of the traffic."""
    facts = [c.fact for c in ramp.commands if isinstance(c, Record)]
    return [
        fact
        for fact in facts
        if isinstance(fact, ActionRecord)
        and fact.intent is not None
        and fact.intent.post == (("weight.c", 100.0),)
    ]


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    errors=st.sampled_from([0.0, 0.01, 0.02, 0.03, 0.05, 0.2]),
    policy=st.sampled_from(list(OnUnproven)),
    faults=st.lists(
        st.tuples(
            st.integers(0, 120), st.integers(1, 30), st.sampled_from(sorted(BLIND)),
            st.sampled_from([("a",), ("c",), ("a", "c")]),
        ),
        max_size=4,
    ),
    undo=st.none() | st.integers(0, 120),
)  # fmt: skip
def test_whatever_happens_nothing_is_promoted_without_proof_or_word(
    seed: int,
    errors: float,
    policy: OnUnproven,
    faults: list[tuple[int, int, str, tuple[str, ...]]],
    undo: int | None,
) -> None:
    ramp = Ramp(managed(on_unproven=policy, max_wait_ns=60 * SECOND), seed=seed)
    ramp.errors["c"] = errors
    ramp.begin()
    for second in range(400):
        now = [f for f in faults if f[0] <= second < f[0] + f[1]]
        ramp.spoil = spoilt(BLIND[now[0][2]], *now[0][3]) if now else lambda seen: seen
        if second == undo and ramp.state.record is not None:
            ramp.feed(UndoRequested(at=build.at(ramp.now), decision_id="d-0001", by="b",
                                    kill=KillLevel.OFF))  # fmt: skip
        ramp.second()
        if ramp.state.record is None:
            break
    done = ramp.state.finished[-1]
    assert done.id == "d-0001"
    assert all(one.proof in {Proof.CERTIFIED, Proof.UNPROVEN} for one in promotions(ramp))
    if policy is not OnUnproven.KEEP:
        assert all(one.proof is Proof.CERTIFIED for one in promotions(ramp))
    assert (ramp.weight == RAMP[-1]) == (done.state in PROMOTED)
    assert ramp.weight in {0.0, RAMP[-1]}, "a canary ends promoted or gone"


def test_a_rung_that_the_guards_refuse_goes_back_and_is_not_held_against_it() -> None:
    ramp = at_rung(10.0)
    ramp.values |= {("pool:a", "utilisation"): None}  # what it would have to carry is not known
    done = ramp.finish()
    assert (done.state, done.blameless) == (ActionState.ROLLED_BACK, True)
    assert "G7" in done.reason
    assert outcome(ramp) is Effect.NO_CHANGE
