"""Which steps of a Rollout are levers, what moves it there, and what is Argo's own business."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

sys.path.insert(0, str(Path(__file__).parent))
import kubernetes_fake as fake
from kubernetes_stage import Stage
from kubernetes_targets import paused_target

from homeostat.adapters.actuators.rollout import RolloutConfig, build
from homeostat.base.errors import ActuatorError
from homeostat.base.intent import ReceiptStatus
from homeostat.testing.actuator import check_actuator

CHAT = f"{fake.ROLLOUTS}/chat"
TIMED = {"pause": {"duration": "1h"}}
STEPS = (
    {"setWeight": 5},
    fake.HELD,
    {"setCanaryScale": {"weight": 50}},
    {"setWeight": 20},
    fake.HELD,
    {"setWeight": 50},
    TIMED,
    {"setWeight": 100},
    fake.HELD,
)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    cluster = fake.Cluster(installed=(fake.ROLLOUTS, fake.BUDGETS))
    with fake.serving(cluster) as port:
        settings = {"namespace": "ml", "rollout": "chat", "port": 8080}
        yield Stage(cluster, port, tmp_path, lambda **said: build(RolloutConfig(**said)), settings)


def status(stage: Stage) -> dict[str, Any]:
    found: dict[str, Any] = stage.found(CHAT)["status"]
    return found


def lasting(stage: Stage) -> int:
    """Return the share that the traffic has in the end."""
    found: int = status(stage)["canary"]["weights"]["canary"]["weight"]
    return found


async def test_at_a_held_step_replicas_and_share_are_read_with_both_versions_pods(
    stage: Stage,
) -> None:
    stage.cluster.create(fake.ROLLOUTS, fake.rollout(*STEPS, currentStepIndex=3))
    world = await stage.read()
    assert world.levers == (("replicas.a", 4), ("weight.b", 20))
    assert [one.pool for one in world.replicas] == ["b", "a", "a", "a", "a"]
    assert world.replicas[0].name == "chat-new-0"
    assert world.changing is False


async def test_it_goes_up_a_step_down_a_step_to_nothing_and_begins_again(stage: Stage) -> None:
    stage.cluster.create(fake.ROLLOUTS, fake.rollout(*STEPS))
    for number, weight in enumerate((20, 100, 20, 5, 0, 5, 100, 0, 20)):
        receipt = await stage.apply((("weight.b", weight),), intent={"id": f"d-{number}.0.0"})
        assert receipt.status is ReceiptStatus.DONE, receipt
        assert lasting(stage) == weight
        world = await stage.read()
        assert dict(world.levers)["weight.b"] == weight
        stamp = world.stamp("rollout")
        assert stamp is not None
        assert (stamp.intent, stamp.token) == (f"d-{number}.0.0", receipt.token)
        assert bool(status(stage).get("abort")) is (weight == 0)


async def test_the_stamp_goes_ahead_and_the_status_says_what_argos_own_command_would(
    stage: Stage,
) -> None:
    stage.cluster.create(fake.ROLLOUTS, fake.rollout(*STEPS))
    assert (await stage.apply((("weight.b", 20),))).status is ReceiptStatus.DONE
    assert stage.cluster.patched == [CHAT, f"{CHAT}/status", CHAT]
    ahead, asked, tidied = stage.cluster.patches
    assert set(ahead) == set(tidied) == {"metadata"}
    assert asked["status"] == {"currentStepIndex": 3, "pauseConditions": None}
    assert len({one["metadata"]["resourceVersion"] for one in stage.cluster.patches}) == 3
    assert set(stage.found(CHAT)["metadata"]["annotations"]) == {"homeostat.dev/stamp"}
    spec = stage.found(CHAT)["spec"]
    assert spec["strategy"]["canary"]["steps"] == list(STEPS)


async def test_a_step_of_no_traffic_is_gone_back_to_instead_of_an_abort(stage: Stage) -> None:
    steps = ({"setWeight": 0}, fake.HELD, {"setWeight": 20}, fake.HELD)
    stage.cluster.create(fake.ROLLOUTS, fake.rollout(*steps, currentStepIndex=2))
    assert (await stage.apply((("weight.b", 0),))).status is ReceiptStatus.DONE
    assert (lasting(stage), status(stage).get("abort")) == (0, None)


@pytest.mark.parametrize(
    ("weight", "said"),
    [(50, "held are 5, 20, 100"), (7, "held are 5, 20, 100"), (99, "held are")],
)
async def test_what_no_pause_holds_is_refused_by_what_is_held(
    stage: Stage, weight: int, said: str
) -> None:
    stage.cluster.create(fake.ROLLOUTS, fake.rollout(*STEPS))
    receipt = await stage.apply((("weight.b", weight),))
    assert receipt.status is ReceiptStatus.NOT_APPLIED
    assert said in receipt.detail
    assert stage.cluster.patches == []


@pytest.mark.parametrize(
    "said",
    [
        {"currentPodHash": "old"},  # no update
        {"currentPodHash": ""},
        {"stableRS": ""},  # its first version: there is nothing to go back to
        {"promoteFull": True, "stableRS": "old"},
    ],
)
async def test_without_a_canary_there_is_no_share(stage: Stage, said: dict[str, Any]) -> None:
    stage.cluster.create(fake.ROLLOUTS, fake.rollout(*STEPS))
    status(stage).update(said)
    world = await stage.read()
    assert dict(world.levers) == {"replicas.a": 4}
    receipt = await stage.apply((("weight.b", 0),))
    assert receipt.status is ReceiptStatus.NOT_APPLIED


async def test_without_a_router_shares_are_counts_of_pods_and_no_lever(stage: Stage) -> None:
    plain = fake.rollout(*STEPS)
    stage.cluster.create(fake.ROLLOUTS, plain)
    del plain["spec"]["strategy"]["canary"]["trafficRouting"]
    assert dict((await stage.read()).levers) == {"replicas.a": 4}


async def test_who_paused_it_is_not_overruled_except_to_take_the_canary_away(stage: Stage) -> None:
    stage.cluster.create(fake.ROLLOUTS, fake.rollout(*STEPS))
    stage.cluster.write(CHAT, {"spec": {"paused": True}}, "kubectl-argo-rollouts")
    receipt = await stage.apply((("weight.b", 20),))
    assert (receipt.status, "paused" in receipt.detail) == (ReceiptStatus.NOT_APPLIED, True)
    assert (await stage.apply((("weight.b", 0),))).status is ReceiptStatus.DONE
    assert lasting(stage) == 0


BACK = (("weight.b", 50),)


def at_timed(stage: Stage, **canary: Any) -> None:
    """Create a Rollout that is held at 100 %, with a step of 50 % before that nothing holds."""
    stage.cluster.create(fake.ROLLOUTS, fake.rollout(*STEPS, currentStepIndex=7))
    stage.found(CHAT)["spec"]["strategy"]["canary"] |= canary


async def test_a_step_that_nothing_holds_is_gone_back_to_by_a_pause_and_left_by_its_end(
    stage: Stage,
) -> None:
    at_timed(stage)
    assert (await stage.apply(BACK, pause=True)).status is ReceiptStatus.DONE
    ahead, asked, placed = stage.cluster.patches
    assert (ahead["spec"], set(asked), "spec" in placed) == (
        {"paused": True}, {"metadata", "status"}, False,
    )  # fmt: skip
    assert asked["status"] == {"currentStepIndex": 5, "pauseConditions": None}
    world = await stage.read(pause=True)
    assert (lasting(stage), dict(world.levers)["weight.b"], world.changing) == (50, 50, False)
    assert status(stage)["phase"] == "Paused"
    receipt = await stage.apply((("weight.b", 20),), intent={"id": "d-3.0.0"}, pause=True)
    assert receipt.status is ReceiptStatus.DONE
    assert stage.cluster.patches[-1]["spec"] == {"paused": None}
    world = await stage.read(pause=True)
    assert (lasting(stage), world.changing, stage.found(CHAT)["spec"].get("paused")) == (
        20, False, None,
    )  # fmt: skip


async def test_an_abort_ends_a_pause_of_ours(stage: Stage) -> None:
    at_timed(stage)
    assert (await stage.apply(BACK, pause=True)).status is ReceiptStatus.DONE
    receipt = await stage.apply((("weight.b", 0),), intent={"id": "d-3.0.0"})
    assert (receipt.status, lasting(stage)) == (ReceiptStatus.DONE, 0)
    assert stage.found(CHAT)["spec"].get("paused") is None


async def test_a_pause_alone_has_moved_nothing_and_the_same_write_goes_on(stage: Stage) -> None:
    at_timed(stage)
    before = (await stage.read()).stamp("rollout")
    stage.cluster.refuse_writes = {f"{CHAT}/status": 500}
    receipt = await stage.apply(BACK, pause=True)
    assert receipt.status is ReceiptStatus.UNKNOWN
    world = await stage.read()
    after = world.stamp("rollout")
    assert before is not None
    assert after is not None
    assert (dict(world.levers)["weight.b"], lasting(stage)) == (100, 100)
    assert (after.token, after.intent) == (before.token, None)
    assert stage.found(CHAT)["spec"]["paused"] is True
    stage.cluster.refuse_writes = {}
    again = await stage.apply(BACK, intent={"token": before.token}, pause=True)
    assert (again.status, lasting(stage)) == (ReceiptStatus.DONE, 50)


async def test_a_pause_that_is_lifted_before_the_step_is_made_anew_and_never_left_out(
    stage: Stage,
) -> None:
    """The stamp that went ahead is still there, and what it came with is not."""
    at_timed(stage)
    before = (await stage.read()).stamp("rollout")
    assert before is not None
    stage.cluster.refuse_writes = {f"{CHAT}/status": 500}
    assert (await stage.apply(BACK, pause=True)).status is ReceiptStatus.UNKNOWN
    stage.cluster.write(CHAT, {"spec": {"paused": None}}, "kubectl-argo-rollouts")
    stage.cluster.refuse_writes = {}
    again = await stage.apply(BACK, intent={"token": before.token}, pause=True)
    assert (again.status, lasting(stage)) == (ReceiptStatus.DONE, 50)
    assert stage.found(CHAT)["spec"].get("paused") is True, "else Argo goes on by itself"


async def test_a_claim_ends_a_pause_of_ours_that_holds_nothing_alone(stage: Stage) -> None:
    at_timed(stage)
    stage.cluster.refuse_writes = {f"{CHAT}/status": 500}
    assert (await stage.apply(BACK, pause=True)).status is ReceiptStatus.UNKNOWN
    stage.cluster.refuse_writes = {}
    claim = {"id": "d-2.0.0.claim", "epoch": 4, "token": None}
    assert (await stage.apply((), intent=claim)).status is ReceiptStatus.DONE
    assert (stage.found(CHAT)["spec"].get("paused"), lasting(stage)) == (None, 100)
    assert (await stage.apply(BACK, intent={"id": "d-3.0.0", "epoch": 4}, pause=True)).status is (
        ReceiptStatus.DONE
    )
    assert (await stage.apply((), intent=claim)).status is ReceiptStatus.DONE
    assert (stage.found(CHAT)["spec"].get("paused"), lasting(stage)) == (True, 50), "it holds 50 %"


@pytest.mark.parametrize(
    ("index", "who"), [(3, "kubectl-argo-rollouts"), (5, "kubectl-argo-rollouts"), (5, "homeostat")]
)
async def test_a_paused_rollout_is_not_scaled_as_it_starts_and_ends_no_pods(
    stage: Stage, index: int, who: str
) -> None:
    stage.cluster.create(fake.ROLLOUTS, fake.rollout(*STEPS, currentStepIndex=index))
    pods = len((await stage.read()).replicas)
    stage.cluster.write(CHAT, {"spec": {"paused": True, "replicas": 6}}, who)
    assert len((await stage.read()).replicas) == pods
    receipt = await stage.apply((("replicas.a", 8),), pause=True)
    assert (receipt.status, stage.cluster.patches) == (ReceiptStatus.NOT_APPLIED, [])
    assert "it starts and ends no pods" in receipt.detail


async def test_a_pause_of_ours_that_holds_nothing_is_in_the_way_of_no_scaling(stage: Stage) -> None:
    stage.cluster.create(fake.ROLLOUTS, fake.rollout(*STEPS, currentStepIndex=3))
    stage.cluster.write(CHAT, {"spec": {"paused": True}}, "homeostat")
    assert (await stage.apply((("replicas.a", 6),))).status is ReceiptStatus.DONE
    assert stage.found(CHAT)["spec"].get("paused") is None
    assert len((await stage.read()).replicas) == 8, "a fifth of them new"


@pytest.mark.parametrize(
    ("weight", "settings", "canary"),
    [
        (50, {}, {}),  # it was not allowed to pause
        (50, {"pause": True}, {"dynamicStableScale": True}),  # the stable pods would have to start
        (33, {"pause": True}, {}),
    ],
)
async def test_where_a_pause_leads_nowhere_none_is_made(
    stage: Stage, weight: int, settings: dict[str, Any], canary: dict[str, Any]
) -> None:
    at_timed(stage, **canary)
    receipt = await stage.apply((("weight.b", weight),), **settings)
    assert (receipt.status, "held are 5, 20, 100" in receipt.detail) == (
        ReceiptStatus.NOT_APPLIED,
        True,
    )
    assert stage.cluster.patches == []


async def test_no_pause_leads_up(stage: Stage) -> None:
    stage.cluster.create(fake.ROLLOUTS, fake.rollout(*STEPS, currentStepIndex=3))
    assert (await stage.apply(BACK, pause=True)).status is ReceiptStatus.NOT_APPLIED
    assert stage.cluster.patches == []


async def test_whoever_owns_the_pause_is_left_to_it(stage: Stage) -> None:
    at_timed(stage)
    applied = {"manager": "argocd-controller", "operation": "Apply"}
    fields: dict[str, Any] = {"f:spec": {"f:paused": {}}}
    entry = applied | {"fieldsV1": fields}
    stage.found(CHAT)["metadata"]["managedFields"].append(entry)
    receipt = await stage.apply(BACK, pause=True)
    assert (receipt.status, "argocd-controller" in receipt.detail) == (
        ReceiptStatus.NOT_APPLIED,
        True,
    )
    assert stage.cluster.patches == []


async def test_a_pause_that_somebody_made_after_ours_is_theirs(stage: Stage) -> None:
    at_timed(stage)
    assert (await stage.apply(BACK, pause=True)).status is ReceiptStatus.DONE
    for paused in (False, True):
        stage.cluster.write(CHAT, {"spec": {"paused": paused}}, "kubectl-argo-rollouts")
    receipt = await stage.apply((("weight.b", 20),), intent={"id": "d-3.0.0"}, pause=True)
    assert (receipt.status, "somebody paused" in receipt.detail) == (
        ReceiptStatus.NOT_APPLIED,
        True,
    )


@pytest.mark.live
@pytest.mark.long
async def test_the_way_back_by_a_pause_keeps_the_ports_promises(tmp_path: Path) -> None:
    async with paused_target(tmp_path) as target:
        await check_actuator(target)


@pytest.mark.parametrize(
    "asked",
    [
        {"pauseConditions": None},
        {"abort": True},
        {"promoteFull": True},
        {"currentPodHash": "newer"},
    ],
)
async def test_whatever_anybody_else_asks_of_argo_is_a_conflict(
    stage: Stage, asked: dict[str, Any]
) -> None:
    stage.cluster.create(fake.ROLLOUTS, fake.rollout(*STEPS))
    stamp = (await stage.read()).stamp("rollout")
    assert stamp is not None
    stage.cluster.write(f"{CHAT}/status", {"status": asked}, "kubectl-argo-rollouts")
    receipt = await stage.apply((("replicas.a", 5),), intent={"token": stamp.token})
    assert (receipt.status, receipt.conflict) == (ReceiptStatus.NOT_APPLIED, True)
    assert stage.cluster.patches == []


async def test_that_argo_works_is_no_conflict(stage: Stage) -> None:
    stage.cluster.create(fake.ROLLOUTS, fake.rollout(*STEPS))
    stage.cluster.busy = 3
    assert (await stage.apply((("weight.b", 20),))).status is ReceiptStatus.DONE
    assert lasting(stage) == 20


async def test_it_changes_until_argo_has_reached_the_step(stage: Stage) -> None:
    stage.cluster.create(fake.ROLLOUTS, fake.rollout(*STEPS))
    stage.cluster.delay_s = 3600.0
    assert (await stage.apply((("weight.b", 20),))).status is ReceiptStatus.DONE
    world = await stage.read()
    assert (dict(world.levers)["weight.b"], world.changing) == (20, True)
    stage.cluster.delay_s = 0.0
    stage.cluster.write(CHAT, {"metadata": {"labels": {"x": "y"}}}, "kubectl")
    assert (await stage.read()).changing is False


async def test_a_stamp_that_went_ahead_moves_no_token_until_the_step_is_asked_for(
    stage: Stage,
) -> None:
    stage.cluster.create(fake.ROLLOUTS, fake.rollout(*STEPS))
    assert (await stage.apply((("weight.b", 20),))).status is ReceiptStatus.DONE
    before = (await stage.read()).stamp("rollout")
    stage.cluster.refuse_writes = {f"{CHAT}/status": 500}
    intent = {"id": "d-3.0.0", "epoch": 4}
    receipt = await stage.apply((("weight.b", 100),), intent=intent)
    assert receipt.status is ReceiptStatus.UNKNOWN
    after = (await stage.read()).stamp("rollout")
    assert before is not None
    assert after is not None
    assert (after.token, after.intent) == (before.token, before.intent)  # it can still land
    assert after.epoch == 4  # and an older controller can do nothing meanwhile
    late = await stage.apply((("weight.b", 5),), intent={"id": "d-4.0.0", "epoch": 3})
    assert (late.status, late.conflict) == (ReceiptStatus.NOT_APPLIED, True)
    stage.cluster.refuse_writes = {}
    again = await stage.apply((("weight.b", 100),), intent=intent)
    landed = (await stage.read()).stamp("rollout")
    assert landed is not None
    assert (again.status, landed.intent) == (ReceiptStatus.DONE, "d-3.0.0")
    assert landed.token == again.token != before.token
    assert (await stage.apply((("replicas.a", 5),), intent=intent | {"id": "d-5.0.0"})).status is (
        ReceiptStatus.DONE
    )
    assert set(stage.found(CHAT)["metadata"]["annotations"]) == {"homeostat.dev/stamp"}


@pytest.mark.parametrize("where", [CHAT, f"{CHAT}/status"])
@pytest.mark.parametrize("code", [403, 404, 422])
async def test_a_no_to_either_write_moves_nothing(stage: Stage, where: str, code: int) -> None:
    stage.cluster.create(fake.ROLLOUTS, fake.rollout(*STEPS))
    stage.cluster.refuse_writes = {where: code}
    receipt = await stage.apply((("weight.b", 20),))
    assert (receipt.status, receipt.conflict) == (ReceiptStatus.NOT_APPLIED, False)
    assert f"status {code}" in receipt.detail
    world = await stage.read()
    stamp = world.stamp("rollout")
    assert stamp is not None
    assert (lasting(stage), stamp.intent) == (5, None)  # half of it reads as nobody's


async def test_replicas_are_the_rollouts_own_unless_an_autoscaler_names_it(stage: Stage) -> None:
    stage.cluster.create(fake.ROLLOUTS, fake.rollout(*STEPS))
    assert (await stage.apply((("replicas.a", 6),))).status is ReceiptStatus.DONE
    assert stage.found(CHAT)["spec"]["replicas"] == 6
    scaler = {
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "chat"},
        "spec": {"scaleTargetRef": {"kind": "Rollout", "name": "chat"}, "maxReplicas": 9},
    }
    stage.cluster.create(fake.SCALERS, scaler)
    assert dict((await stage.read()).levers) == {"weight.b": 5}  # that is still ours to ask for
    receipt = await stage.apply((("replicas.a", 7),))
    assert receipt.status is ReceiptStatus.NOT_APPLIED
    assert "HorizontalPodAutoscaler/chat" in receipt.detail
    assert (await stage.apply((("weight.b", 0),))).status is ReceiptStatus.DONE


async def test_a_rollout_of_another_controller_is_left_to_it(stage: Stage) -> None:
    owned = fake.rollout(*STEPS)
    owned["metadata"]["ownerReferences"] = [{"kind": "App", "name": "x", "controller": True}]
    stage.cluster.create(fake.ROLLOUTS, owned)
    assert (await stage.read()).levers == ()
    receipt = await stage.apply((("weight.b", 0),))
    assert (receipt.status, "App/x" in receipt.detail) == (ReceiptStatus.NOT_APPLIED, True)


async def test_a_budget_keeps_replicas_that_could_not_be_evicted(stage: Stage) -> None:
    stage.cluster.create(fake.ROLLOUTS, fake.rollout(*STEPS))
    budget = {
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "chat"},
        "spec": {"selector": {"matchLabels": {"app": "chat"}}, "minAvailable": 4},
        "status": {"disruptionsAllowed": 0, "observedGeneration": 1},
    }
    stage.cluster.create(fake.BUDGETS, budget)
    receipt = await stage.apply((("replicas.a", 3),))
    assert (receipt.status, "wants 4 at least" in receipt.detail) == (
        ReceiptStatus.NOT_APPLIED,
        True,
    )


async def test_what_it_refers_to_holds_the_selector(stage: Stage) -> None:
    referring = fake.rollout(*STEPS)
    stage.cluster.create(fake.ROLLOUTS, referring)
    stage.cluster.create(fake.DEPLOYMENTS, fake.deployment(replicas=0))
    del referring["spec"]["selector"], referring["spec"]["template"]
    referring["spec"]["workloadRef"] = {"kind": "Deployment", "name": "chat"}
    assert len((await stage.read()).replicas) == 5


@pytest.mark.parametrize("odd", [{"setWeight": "5"}, {"setWeight": 101}, {"setWeight": True}])
async def test_steps_that_make_no_sense_are_no_reading(stage: Stage, odd: dict[str, Any]) -> None:
    stage.cluster.create(fake.ROLLOUTS, fake.rollout(*STEPS))
    stage.found(CHAT)["spec"]["strategy"]["canary"]["steps"][0] = odd
    with pytest.raises(ActuatorError, match="setWeight"):
        await stage.read()


@pytest.mark.parametrize(
    "changes",
    [{"canary": "a"}, {"stable": ""}, {"rollout": "../x"}, {"port": 0}, {"weights": [1]}],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    base = {"url": "https://cluster", "namespace": "ml", "rollout": "chat"}
    with pytest.raises(ValidationError):
        RolloutConfig(**(base | changes))
