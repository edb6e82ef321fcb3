"""While a person is asked, and past its deadline, a canary never climbs; a "no" is always taken."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from ramp_world import RAMP, Ramp, managed

from homeostat.base import codec
from homeostat.base.actions import Action, ActionKind, UndoKind
from homeostat.base.canary import CanaryVerdict
from homeostat.base.decisions import Effect
from homeostat.base.events import Approval
from homeostat.base.intent import ActionRecord, ActionState, Intent, Proof
from homeostat.base.policy import KillLevel, OnUnproven
from homeostat.base.units import SECOND
from homeostat.loop.protocol import (
    Approved,
    EffectSeen,
    Proven,
    Rejected,
    Timing,
    advance,
    propose,
)
from homeostat.testing import build

S = ActionState
WRITTEN = (S.INTENT, S.READBACK, S.APPLIED, S.SETTLING, S.VERIFYING)


def asked(max_wait_s: int) -> Ramp:
    """Return a ramp without a single error at the moment at which a person is asked."""
    ramp = Ramp(managed(on_unproven=OnUnproven.ASK, max_wait_ns=max_wait_s * SECOND))
    ramp.errors = {"a": 0.0, "c": 0.0}
    ramp.begin()
    ramp.run(300, lambda: ramp.state.record is not None and ramp.state.record.proof is Proof.ASKED)
    return ramp


def say(ramp: Ramp, *, yes: bool) -> None:
    ramp.feed(
        Approval(
            at=build.at(ramp.now), decision_id="d-0001", approved=yes, by="bob", why="",
            kill=KillLevel.OFF,
        )
    )  # fmt: skip


@pytest.mark.parametrize("max_wait_s", [5, 10, 20, 30, 60])
def test_while_a_person_is_asked_the_canary_does_not_climb(max_wait_s: int) -> None:
    ramp = asked(max_wait_s)
    rungs, weight = len(ramp.rungs()), ramp.weight
    assert weight < RAMP[-1]
    ramp.run(40)
    assert ramp.weight == weight
    assert ramp.rungs()[rungs:] == []
    silent = ramp.finish()
    assert (silent.state, silent.blameless) == (S.ROLLED_BACK, True)
    assert max(ramp.rungs()) == weight


@pytest.mark.parametrize("waited", [0, 1, 5, 20, 35])
def test_a_no_takes_it_back_whenever_it_comes(waited: int) -> None:
    ramp = asked(20)
    weight = ramp.weight
    ramp.run(waited)
    say(ramp, yes=False)
    done = ramp.finish(20)
    assert (done.state, done.blameless) == (S.ROLLED_BACK, True)
    assert "bob said no" in done.reason
    assert max(ramp.rungs()) == weight


def test_a_yes_lets_it_climb_on_and_it_ends_unproven() -> None:
    ramp = asked(20)
    assert ramp.weight < RAMP[-2]
    say(ramp, yes=True)
    done = ramp.finish()
    assert (done.state, done.proof) == (S.SUCCEEDED_UNPROVEN, Proof.UNPROVEN)
    assert ramp.rungs() == list(RAMP)


@pytest.mark.parametrize("policy", [OnUnproven.ASK, OnUnproven.RETURN])
@pytest.mark.parametrize("max_wait_s", range(5, 40, 3))
def test_no_rung_is_written_once_the_deadline_is_over(policy: OnUnproven, max_wait_s: int) -> None:
    ramp = Ramp(managed(on_unproven=policy, max_wait_ns=max_wait_s * SECOND))
    ramp.errors = {"a": 0.0, "c": 0.0}
    ramp.begin()
    late: float | None = None
    for _ in range(120):
        known = ramp.state.comparison
        judged = None if known is None else known.judgement
        if late is None and judged is not None and judged.verdict is CanaryVerdict.DEADLINE:
            late = ramp.weight
        ramp.second()
        assert late is None or ramp.weight in {late, 0.0}
        if ramp.state.record is None:
            break
    assert late is not None


def test_a_rung_that_waits_for_its_guards_at_the_deadline_goes_back() -> None:
    ramp = Ramp(managed(on_unproven=OnUnproven.RETURN, max_wait_ns=20 * SECOND))
    ramp.errors = {"a": 0.0, "c": 0.0}
    ramp.begin()
    ramp.run(100, lambda: ramp.now >= 22.0)
    assert ramp.state.record is not None
    ramp.values |= {("pool:a", "utilisation"): None}  # the guards refuse the next rung
    rungs = len(ramp.rungs())
    ramp.run(6)
    ramp.values |= {("pool:a", "utilisation"): 0.1}
    assert ramp.finish().state is S.ROLLED_BACK
    assert ramp.rungs()[rungs:] == [0.0]


def bound(ramp: Ramp, who: str = "bob", **said: object) -> Approval:
    """Return a yes to what is asked now, as the API sends it."""
    question = ramp.state.asked
    assert question is not None
    given: dict[str, object] = {
        "at": build.at(ramp.now), "decision_id": "d-0001", "approved": True, "by": who, "why": "",
        "kill": KillLevel.OFF, "principal": who, "action_hash": question.action_hash,
        "evidence_hash": question.evidence_hash,
    }  # fmt: skip
    return Approval(**(given | said))  # type: ignore[arg-type]


def proof(ramp: Ramp) -> Proof:
    assert ramp.state.record is not None
    return ramp.state.record.proof


def test_the_second_question_is_bound_to_what_is_known_when_it_is_asked() -> None:
    ramp = Ramp(managed(on_unproven=OnUnproven.ASK, max_wait_ns=20 * SECOND))
    ramp.begin()
    first = ramp.state.asked
    assert first is not None
    ramp.errors = {"a": 0.0, "c": 0.0}
    ramp.run(300, lambda: ramp.state.record is not None and ramp.state.record.proof is Proof.ASKED)
    second = ramp.state.asked
    assert second is not None
    assert second.evidence_hash != first.evidence_hash
    assert second.requested_by == first.requested_by == "ann"
    rests = dict(second.seen)
    assert rests["comparison"] == "not half way to harm, no certificate"
    assert (rests["share"], rests["pods"]) == (str(ramp.weight), "2")
    assert codec.decode(codec.encode(ramp.state)).asked == second


def test_a_yes_to_what_is_known_now_counts() -> None:
    ramp = asked(20)
    ramp.run(5)
    ramp.feed(bound(ramp))
    assert ramp.finish().state is S.SUCCEEDED_UNPROVEN


def lose_a_pod(ramp: Ramp) -> None:
    kept = tuple(one for one in ramp.world.replicas if one.name != "c-2")
    ramp.world = replace(ramp.world, replicas=kept)


def miss(ramp: Ramp) -> None:
    ramp.trouble = {"slo_met": False}


def nearly_harm(ramp: Ramp) -> None:
    known = ramp.state.comparison
    assert known is not None
    assert known.judgement is not None
    worse = replace(known, judgement=replace(known.judgement, harm_e=5.0))
    ramp.state = replace(ramp.state, comparison=worse)


@pytest.mark.parametrize(
    ("change", "names"), [(lose_a_pod, "pods was 2, is 1"), (miss, "objectives"),
                          (nearly_harm, "comparison was not half way to harm")],
)  # fmt: skip
def test_a_yes_to_what_was_known_before_is_refused_and_asked_again(
    change: Callable[[Ramp], None], names: str
) -> None:
    ramp = asked(20)
    weight, old = ramp.weight, bound(ramp)
    change(ramp)
    if change is not nearly_harm:
        ramp.run(2)
    ramp.feed(replace(old, at=build.at(ramp.now)))
    record = ramp.state.record
    assert record is not None
    assert (record.state, record.proof) == (S.VERIFYING, Proof.ASKED)
    assert any(names in title for title in ramp.told())
    assert ramp.weight == weight
    ramp.feed(replace(old, at=build.at(ramp.now)))
    assert any("read it again" in title for title in ramp.told())
    assert proof(ramp) is Proof.ASKED, "the old yes is none to the new question"
    ramp.feed(bound(ramp))
    assert proof(ramp) is Proof.UNPROVEN


def test_whoever_wanted_the_canary_does_not_let_it_go_on_unproven() -> None:
    ramp = asked(20)
    ramp.feed(bound(ramp, "ann"))
    assert ramp.state.record is not None
    assert ramp.state.record.proof is Proof.ASKED
    ramp.feed(bound(ramp, "ann", approved=False))
    assert ramp.finish(20).state is S.ROLLED_BACK


def test_changed_evidence_gives_nobody_more_time_to_answer() -> None:
    ramp = asked(20)
    began = ramp.now
    known = ramp.state.comparison
    assert known is not None
    lose_a_pod(ramp)
    ramp.run(20)
    old = bound(ramp)
    ramp.feed(old)
    after = ramp.state.comparison
    assert after is not None
    assert after.asked_at == known.asked_at == build.at(began)


def flying(state: ActionState, proof: Proof, stage: int = 1) -> ActionRecord:
    """Return a compared ramp of three rungs on one of them."""
    action = Action(
        kind=ActionKind.SHIFT_TRAFFIC, subject="pool:c", actuator="envoy", beside="a",
        change=(("weight.c", 100.0),), undo=UndoKind.EXACT, ramp=(10.0, 50.0, 100.0),
    )  # fmt: skip
    first = propose(action, id="d-1", deployment="m", incident_id="", epoch=1, now=build.at(1))
    intent = Intent(
        id="d-1.0.0", action_id="d-1", deployment="m", actuator="envoy", epoch=1, stage=0,
        pre=(("weight.c", 0.0),), post=(("weight.c", 10.0),), token="1",
        evidence_at=build.at(1), deadline=build.at(9),
    )  # fmt: skip
    return replace(
        first, state=state, stage=stage, proof=proof, intent=intent, first_pre=intent.pre,
        state_since=build.at(1), deadline=build.at(99),
    )  # fmt: skip


def tell(record: ActionRecord, news: object) -> ActionRecord:
    return advance(record, news, build.at(2), world=None, timing=Timing())[0]  # type: ignore[arg-type]


@pytest.mark.parametrize("state", WRITTEN)
def test_a_no_is_taken_in_every_open_state(state: ActionState) -> None:
    after = tell(flying(state, Proof.ASKED), Rejected(by="bob", why="too early"))
    assert (after.state, after.blameless) == (S.ROLLING_BACK, True)
    assert after.reason == "bob said no: too early"
    same = flying(state, Proof.NONE)
    assert tell(same, Rejected(by="bob", why="not asked")) == same


@pytest.mark.parametrize("state", WRITTEN)
def test_a_yes_is_taken_in_every_open_state_and_moves_nothing_by_itself(state: ActionState) -> None:
    after = tell(flying(state, Proof.ASKED), Approved(by="bob"))
    assert (after.state, after.stage, after.proof) == (state, 1, Proof.UNPROVEN)
    going_back = flying(S.ROLLING_BACK, Proof.ASKED)
    assert tell(going_back, Approved(by="bob")) == going_back


def test_the_protocol_takes_no_rung_while_a_person_is_asked() -> None:
    helped = EffectSeen(effect=Effect.HELPED)
    assert tell(flying(S.VERIFYING, Proof.NONE, 0), helped).stage == 1
    waiting = tell(flying(S.VERIFYING, Proof.ASKED, 0), helped)
    assert (waiting.state, waiting.stage) == (S.VERIFYING, 0)
    said = tell(waiting, Proven(proof=Proof.UNPROVEN, why="yes"))
    assert tell(said, helped).stage == 1
