"""A larger batch goes to some replicas first, under the real loop, guards, protocol and judge.

All get it on a certificate or an explicit word alone; whatever else happens, nobody keeps half of
it: what some had first is taken back, and what somebody else wrote is left alone.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
from first_world import BATCH, First, managed

from homeostat.base import names
from homeostat.base.actions import Action
from homeostat.base.decisions import Apply, DecisionRecord, Effect, Outcome
from homeostat.base.events import Approval, Record, Started, UndoRequested, Write
from homeostat.base.evidence import Family, Increments
from homeostat.base.guard import Allow, Deny
from homeostat.base.intent import ActionState, Proof
from homeostat.base.policy import KillLevel, OnUnproven
from homeostat.base.world import Scalar
from homeostat.loop import memory
from homeostat.safety.guard import guard
from homeostat.testing import build

S = ActionState
Seen = tuple[Increments, ...]
FIRST: dict[str, Scalar] = {"batch_max.a-1": 16, "batch_max.a-2": 16}
ALL: dict[str, Scalar] = {BATCH: 16, "batch_max.a-1": 0, "batch_max.a-2": 0}
BEFORE: dict[str, Scalar] = {BATCH: 8, "batch_max.a-1": 0, "batch_max.a-2": 0}


@cache
def _tried() -> First:
    return First().tried()


def tried(**changes: object) -> First:
    """Return a moment at which some replicas have had the batch for a tick."""
    if changes:
        return First(managed(**changes)).tried()
    known, fresh = _tried(), First()
    for name in ("rng", "state", "world", "now", "tick", "revision", "commands"):
        setattr(fresh, name, getattr(known, name))
    fresh.rng, fresh.commands = type(known.rng)(known.rng.bit_generator), [*known.commands]
    return fresh


def live(first: First) -> dict[str, Scalar | None]:
    return {lever: first.world.lever(lever) for lever in BEFORE}


def outcomes(first: First) -> list[Effect]:
    facts = [c.fact for c in first.commands if isinstance(c, Record)]
    return [fact.effect for fact in facts if isinstance(fact, Outcome)]


def why(first: First) -> tuple[str, ...]:
    facts = [c.fact for c in first.commands if isinstance(c, Record)]
    (made,) = [f for f in facts if isinstance(f, DecisionRecord) and isinstance(f.decision, Apply)]
    return made.decision.because


def test_half_of_the_replicas_have_it_first_and_all_on_a_certificate() -> None:
    first = tried()
    done = first.finish()
    assert (done.state, done.proof) == (S.SUCCEEDED, Proof.CERTIFIED)
    assert first.writes() == [FIRST, ALL]
    assert "certified at 0.05: ratio of latency below 2" in done.reason
    assert outcomes(first) == [Effect.HELPED]
    first.feed(UndoRequested(at=build.at(first.now), decision_id=done.id, by="ann",
                             kill=KillLevel.OFF, why="too slow"))  # fmt: skip
    assert first.writes()[2:] == [BEFORE], "in one write, and no trial of what was before"
    assert live(first) == BEFORE


@pytest.mark.parametrize("how", ["late", "errors"])
def test_what_does_harm_to_some_never_reaches_all(how: str) -> None:
    first = tried()
    if how == "late":
        first.late = {8: 0.1, 16: 0.9}
    else:
        first.errors = {8: 0.02, 16: 0.2}
    done = first.finish()
    assert (done.state, done.harmed, done.blameless) == (S.ROLLED_BACK, True, False)
    assert "the setting does harm" in done.reason
    assert first.writes() == [FIRST, dict.fromkeys(FIRST, 0)]
    assert live(first) == BEFORE
    assert outcomes(first) == [Effect.HARMED]


@pytest.mark.parametrize(("rule", "end", "writes"), [
    (OnUnproven.RETURN, S.ROLLED_BACK, [{"batch_max.a-1": 16}, {"batch_max.a-1": 0}]),
    (OnUnproven.KEEP, S.SUCCEEDED_UNPROVEN,
     [{"batch_max.a-1": 16}, {BATCH: 16, "batch_max.a-1": 0}]),
])  # fmt: skip
def test_one_replica_is_confounded_with_its_node_and_certifies_nothing(
    rule: OnUnproven, end: ActionState, writes: list[dict[str, Scalar]]
) -> None:
    first = First(managed(on_unproven=rule), slots=3).tried()
    done = first.finish()
    assert (done.state, first.writes()) == (end, writes)
    assert "confounded: one pod" in " ".join(record.reason for record in first.records())
    assert outcomes(first) == [Effect.NO_CHANGE], "nobody is blamed, and nobody praised"


def is_asked(first: First) -> bool:
    return first.state.record is not None and first.state.record.proof is Proof.ASKED


def test_a_person_may_be_asked_and_without_an_answer_it_goes_back() -> None:
    first = First(managed(on_unproven=OnUnproven.ASK), slots=2).tried()
    first.run(60, lambda: is_asked(first))
    assert any("may all of pool:a have it, unproven?" in title for title in first.told())
    yes = First(managed(on_unproven=OnUnproven.ASK), slots=2).tried()
    yes.run(60, lambda: is_asked(yes))
    assert yes.state.asked is not None
    yes.feed(Approval(at=build.at(yes.now), decision_id=yes.state.asked.decision_id, approved=True,
                      by="ann", why="", kill=KillLevel.OFF))  # fmt: skip
    assert yes.finish().state is S.SUCCEEDED_UNPROVEN
    assert yes.writes()[-1] == {BATCH: 16, "batch_max.a-1": 0}
    assert first.finish().state is S.ROLLED_BACK
    assert first.world.lever("batch_max.a-1") == 0


BLIND: dict[str, Callable[[Increments], Increments]] = {
    "a gap": lambda one: replace(one, answered=None, failed=None, seconds=None),
    "no number": lambda one: replace(one, answered=float("nan")),
    "more failures than answers": lambda one: replace(one, failed=(one.answered or 0) + 1),
    "other seconds": lambda one: replace(one, seconds=3.0),
    "no histogram": lambda one: replace(one, latency=()),
    "no bound": lambda one: replace(one, latency=one.latency[:2]),
}


@pytest.mark.parametrize("how", BLIND)
@pytest.mark.parametrize("slot", ["a-1", "a-3"])
def test_what_is_not_seen_of_one_replica_gives_it_to_nobody_and_blames_nobody(
    how: str, slot: str
) -> None:
    first = tried()
    first.spoil = lambda seen: tuple(
        BLIND[how](one) if one.pool == names.replica(slot) else one for one in seen
    )
    done = first.finish()
    assert (done.state, done.proof, done.blameless) == (S.ROLLED_BACK, Proof.NONE, True)
    assert first.writes() == [FIRST, dict.fromkeys(FIRST, 0)]
    assert outcomes(first) == [Effect.NO_CHANGE]


def test_where_no_replica_is_told_apart_it_is_never_compared_and_goes_back() -> None:
    first = First()
    first.spoil = lambda _: ()
    done = first.finish_soon()
    assert (done.state, done.blameless, first.state.comparison) == (S.ROLLED_BACK, True, None)


@pytest.mark.parametrize(("family", "subject", "blameless"), [
    (Family.REPLICA, "replica:a-3", True), (Family.REPLICA, "replica:a-2", False),
    (Family.RELEASE, "pool:a", True),
])  # fmt: skip
def test_other_trouble_takes_it_back_and_blames_it_at_a_replica_that_has_it(
    family: Family,
    subject: str,
    blameless: bool,  # noqa: FBT001
) -> None:
    first = tried()
    first.jam = (family, subject)
    done = first.finish()
    assert (done.state, done.blameless) == (S.ROLLED_BACK, blameless)
    assert first.writes() == [FIRST, dict.fromkeys(FIRST, 0)]
    assert "suspected: a replica that is tried" in done.reason or "healing first" in done.reason


def test_the_trouble_that_it_is_for_stops_nothing_whatever_load_it_is_called() -> None:
    first = tried()
    first.jam = (Family.LOAD, names.GATEWAY)
    assert first.finish().proof is Proof.CERTIFIED


@pytest.mark.parametrize("post", [{BATCH: 1}, {"replicas.a": 5}, {"batch_max.a-1": 0}])
def test_what_somebody_else_writes_meanwhile_is_left_alone(post: dict[str, Scalar]) -> None:
    first = tried()
    first.write(dict(post), None)
    done = first.finish()
    assert done.state is S.FOREIGN
    assert first.writes() == [FIRST], "nothing more is written by us"
    assert {lever: first.world.lever(lever) for lever in post} == post
    assert "batch_max.a-1, batch_max.a-2 may still hold a value of its own" in done.reason


def test_a_replica_that_has_it_and_is_scaled_away_is_told_to_a_person() -> None:
    """Its own value went with it and cannot be read: gone is not known, and nothing is written."""
    first = tried()
    first.names.remove("a-2")
    there = tuple(one for one in first.world.replicas if one.name != "a-2")
    levers = tuple(pair for pair in first.world.levers if not pair[0].endswith(".a-2"))
    first.world = replace(first.world, replicas=there, levers=levers)
    first.write({"replicas.a": 3}, None)
    done = first.finish()
    assert (done.state, first.writes()) == (S.STUCK, [FIRST])
    assert first.world.lever("batch_max.a-1") == 16
    assert "batch_max.a-1, batch_max.a-2 may still hold a value of its own" in done.reason
    first.run(60)
    assert first.writes() == [FIRST], "nothing is done until a person has looked"


def test_while_somebody_gives_another_replica_its_own_nothing_is_compared() -> None:
    first = tried()
    first.write({"batch_max.a-3": 16}, None)
    done = first.finish()
    assert (done.state, done.proof) == (S.FOREIGN, Proof.NONE)
    assert first.writes() == [FIRST]
    assert first.world.lever("batch_max.a-3") == 16


@pytest.mark.parametrize("plain", [True, False])
def test_taking_it_back_later_ends_nobodys_own_value(plain: bool) -> None:  # noqa: FBT001
    """A person's undo is free of the guard: what it would end for good is looked for before."""
    whole = build.managed(guard=build.guard(blind_scrapes=10.0))
    first = First(whole) if plain else tried()
    done = first.finish_soon() if plain else first.finish()
    first.jammed = False
    first.write({"batch_max.a-3": 4}, None)
    first.second()
    count = len(first.writes())
    first.feed(UndoRequested(at=build.at(first.now), decision_id=done.id, by="ann",
                             kill=KillLevel.OFF, why="too slow"))  # fmt: skip
    assert (len(first.writes()), first.world.lever("batch_max.a-3")) == (count, 4)
    assert any("batch_max.a-3 is 4" in title for title in first.told())


def test_what_served_before_and_what_cannot_be_tried_goes_to_all_and_says_why() -> None:
    away = First(own=False)
    assert (away.finish_soon().state, away.writes()) == (S.SUCCEEDED, [{BATCH: 16}])
    assert "host cannot set batch_max of a-1 alone" in " ".join(why(away))
    alone = First(slots=1)
    alone.run(10)
    assert alone.writes() in ([], [{BATCH: 16}])
    back = First()
    back.jammed = False
    back.write({BATCH: 16}, None)
    back.run(15)
    back.late, back.jammed = {8: 0.5, 16: 0.1}, True
    back.write({BATCH: 8}, None)
    assert back.finish_soon().state is S.SUCCEEDED
    assert back.writes() == [{BATCH: 16}]
    assert "it served before" in " ".join(why(back))


def test_without_margins_to_compare_by_all_is_as_it_was() -> None:
    plain = First(build.managed(guard=build.guard(blind_scrapes=10.0)))
    assert (plain.finish_soon().state, plain.writes()) == (S.SUCCEEDED, [{BATCH: 16}])
    assert "not compared side by side" in plain.state.finished[-1].reason


def asked(first: First, action: Action, **record: object) -> Allow | Deny | object:
    state = memory.guard_state(first.state)
    flying = state.in_flight if record else None
    flying = None if flying is None else replace(flying, **record)  # type: ignore[arg-type]
    return guard(action, replace(state, in_flight=flying, past=()), build.at(first.now))


def test_the_guard_gives_it_to_all_on_proof_alone_and_to_half_at_most_first() -> None:
    first = tried()
    assert first.state.record is not None
    whole = first.state.record.action
    ready: dict[str, object] = {"state": S.INTENT, "stage": 1, "in_flight": False}
    for proof, allowed in ((Proof.NONE, False), (Proof.ASKED, False), (Proof.CERTIFIED, True),
                           (Proof.UNPROVEN, True)):  # fmt: skip
        answer = asked(first, whole, proof=proof, **ready)
        assert isinstance(answer, Allow) is allowed, (proof, answer)
    before = First()
    before.run(2)
    assert isinstance(asked(before, whole), Allow)
    plain = replace(whole, change=((BATCH, 16),), beside="")
    three = tuple((names.lever_own(BATCH, f"a-{n}"), 0) for n in (1, 2, 3))
    wrong = {
        "to all at once": plain,
        "more than half": replace(whole, change=((BATCH, 16), *three)),
        "twice the same": replace(whole, change=((BATCH, 16), *three[:1], *three[:1])),
        "no such replica": replace(whole, change=((BATCH, 16), ("batch_max.a-9", 0))),
        "of another pool": replace(whole, change=((BATCH, 16), ("batch_max.b-1", 0))),
        "one that keeps it": replace(whole, change=(("batch_max.a-1", 16),), beside=""),
        "compared with nobody": replace(whole, beside=""),
        "beside another pool": replace(whole, beside="b"),
        "another setting": replace(whole, change=((BATCH, 16), ("concurrency_max.a-1", 0))),
        "a word": replace(whole, change=((BATCH, 16), ("batch_max.a-1", "0"))),
        "beyond the step": replace(whole, change=((BATCH, 32), *whole.change[1:])),
        "the other way": replace(whole, change=((BATCH, 4), *whole.change[1:])),
    }
    for what, action in wrong.items():
        assert isinstance(asked(before, action), Deny), what
    assert isinstance(asked(First(own=False).and_run(2), plain), Allow)


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("how", ["lost", "taken over"])
def test_wherever_it_is_interrupted_nothing_is_left_half_done(number: int, how: str) -> None:
    first = First()
    if number % 2:
        first.late = {8: 0.1, 16: 0.9}
    sent: list[str] = []

    def broken(write: Write) -> bool:
        sent.append(write.intent.id)
        hit = len(sent) == 1 + number // 2
        if hit and how == "taken over":
            first.write(dict(write.intent.post), write.intent.id)
        return hit

    first.lost = broken
    first.run(5, lambda: len(sent) > number // 2)
    if how == "taken over":
        first.run(60, lambda: len(sent) > number // 2)
        first.feed(Started(at=build.at(first.now), epoch=2, managed=first.state.managed))
    first.run(240, lambda: bool(first.state.finished))
    done = first.state.finished[0]
    wanted = {S.SUCCEEDED: ALL, S.ROLLED_BACK: BEFORE}
    assert live(first) == wanted[done.state], (done.state, done.reason)


def test_at_a_kill_level_it_goes_back_or_waits_and_never_on() -> None:
    first = tried()
    first.kill = KillLevel.NO_NEW
    done = first.finish()
    assert (done.state, live(first)) == (S.ROLLED_BACK, BEFORE)
    stopped = tried()
    stopped.kill = KillLevel.NOTHING
    stopped.run(150)
    assert stopped.writes() == [FIRST]
    stopped.kill = KillLevel.OFF
    assert stopped.finish().state is S.ROLLED_BACK
    assert live(stopped) == BEFORE
