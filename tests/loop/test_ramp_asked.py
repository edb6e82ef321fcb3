"""While a person is asked, and past its deadline, a canary never climbs; a "no" is always taken."""

from dataclasses import replace

import pytest
from ramp_world import RAMP, Ramp, managed

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
