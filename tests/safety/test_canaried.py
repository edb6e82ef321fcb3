"""The share of a pool that is tried: it rises by the policy's rungs, compared, or not at all."""

from dataclasses import replace
from typing import Any

import pytest

from homeostat.base.actions import Action, ActionKind, UndoKind
from homeostat.base.events import FleetView
from homeostat.base.evidence import Family
from homeostat.base.guard import Allow, Deny, GuardState
from homeostat.base.intent import ActionRecord, ActionState, Proof
from homeostat.base.policy import CanaryPolicy, KillLevel
from homeostat.base.world import Snapshot
from homeostat.loop.protocol import propose
from homeostat.safety.guard import guard
from homeostat.testing import build

RAMP = (1.0, 5.0, 10.0, 25.0, 50.0, 100.0)
NOW = build.at(10)


def shift(pool: str = "c", to: float = 100.0, **changes: Any) -> Action:
    settings: dict[str, Any] = {"ramp": RAMP, "beside": "a"}
    return Action(
        kind=ActionKind.SHIFT_TRAFFIC, subject=f"pool:{pool}", actuator="envoy",
        change=((f"weight.{pool}", to),), undo=UndoKind.EXACT, **{**settings, **changes},
    )  # fmt: skip


def world(weight: float) -> Snapshot:
    slots = (*build.world().replicas, build.replica("c-1"))
    levers = dict(build.world().levers) | {"weight.b": 0, "weight.c": weight}
    return replace(build.world(NOW), replicas=slots, levers=tuple(sorted(levers.items())))


def state(weight: float = 0.0, pool: str = "c", flying: ActionRecord | None = None) -> GuardState:
    seen = world(weight)
    evidence = build.evidence(NOW, world=seen, values={("pool:c", "utilisation"): 0.1})
    return GuardState(
        managed=build.managed(canary=CanaryPolicy(pool=pool)), evidence=evidence, world=seen,
        fleet=FleetView(targets=1, replicas=5), kill=KillLevel.OFF, in_flight=flying, past=(),
        tries=0, peak_replicas=4, observe_until=None,
    )  # fmt: skip


def said(action: Action, seen: GuardState) -> str:
    """Return why the guard refuses, empty if it does not."""
    answer = guard(action, seen, NOW)
    return "; ".join(answer.reasons) if isinstance(answer, Deny) else ""


def flying(weight: float, proof: Proof) -> ActionRecord:
    """Return the ramp in flight, about to write its next rung."""
    record = propose(shift(), id="d-1", deployment="m", incident_id="", epoch=1, now=NOW)
    stage = RAMP.index(weight) + 1
    return replace(record, state=ActionState.INTENT, stage=stage, proof=proof)


def test_the_ramp_of_the_policy_is_allowed_though_the_pool_never_served() -> None:
    assert isinstance(guard(shift(), state(), NOW), Allow)


@pytest.mark.parametrize(
    "action",
    [
        shift(ramp=()),
        shift(beside=""),
        shift(beside="b"),
        shift(ramp=(50.0, 100.0), beside=""),
        shift(ramp=(2.0, 100.0)),
        shift(ramp=(1.0, 100.0)),
        shift(to=50.0, ramp=(1.0, 5.0, 10.0, 25.0, 50.0)),
    ],
    ids=["no ramp", "not compared", "beside another", "uncompared", "own rungs", "a leap", "short"],
)
def test_no_other_way_leads_there(action: Action) -> None:
    assert "G2" in said(action, state())


@pytest.mark.parametrize("weight", RAMP[:-1])
def test_only_the_next_rung_is_written_and_the_last_only_with_proof(weight: float) -> None:
    after = RAMP[RAMP.index(weight) + 1]
    for rung in RAMP:
        for proof in Proof:
            refused = said(shift(to=rung), state(weight, flying=flying(weight, proof)))
            proven = proof in {Proof.CERTIFIED, Proof.UNPROVEN}
            fine = rung <= weight or (rung == after and (rung < RAMP[-1] or proven))
            assert ("G2" in refused) is not fine, (weight, rung, proof, refused)


def test_a_share_that_is_not_read_does_not_rise() -> None:
    seen = state()
    levers = tuple(one for one in world(0.0).levers if one[0] != "weight.c")
    assert said(shift(), replace(seen, world=replace(world(0.0), levers=levers)))


def test_a_pool_that_is_suspected_gets_no_rung() -> None:
    seen = state()
    assert seen.evidence is not None
    bad = replace(seen.evidence, suspicions=(build.suspicion(Family.RELEASE, "pool:c"),))
    assert "G0" in said(shift(), replace(seen, evidence=bad))


def test_a_shift_to_the_fallback_goes_as_before_where_that_pool_is_also_tried() -> None:
    back = shift(pool="b", ramp=(25.0, 50.0, 100.0), beside="")
    assert said(back, state(pool="b")) == ""


def test_a_ramp_is_refused_only_for_what_its_next_rung_would_carry() -> None:
    seen = state()
    assert seen.evidence is not None
    busy = build.evidence(NOW, world=seen.world, values={("pool:a", "utilisation"): 0.7})
    assert said(shift(), replace(seen, evidence=busy)) == ""
    late = state(50.0, flying=flying(50.0, Proof.CERTIFIED))
    assert "G7" in said(shift(to=100.0), replace(late, evidence=busy))


def test_a_canary_elsewhere_stops_another_canary_and_no_healing() -> None:
    seen = replace(state(), fleet=FleetView(targets=5, replicas=25, trying=1))
    assert "G5" in said(shift(), seen)
    back = shift(pool="b", ramp=(25.0, 50.0, 100.0), beside="")
    assert said(back, seen) == ""


def test_a_canary_of_what_is_shared_stops_another_and_no_healing() -> None:
    tried = FleetView(targets=200, replicas=1000, trying=1, sharing_trying=1)
    seen = replace(state(), fleet=tried)
    assert "G5 sharing" in said(shift(), seen)
    assert said(shift(), replace(seen, fleet=replace(tried, sharing_trying=0))) == ""
    back = shift(pool="b", ramp=(25.0, 50.0, 100.0), beside="")
    assert said(back, seen) == ""


def test_a_pool_that_has_all_of_the_traffic_has_no_next_rung() -> None:
    assert "G7" not in said(shift(), state(100.0))
