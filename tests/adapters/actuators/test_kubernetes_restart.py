"""A restart by eviction: one pod once, never over a budget, told apart from what pods do alone."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import kubernetes_fake as fake
from kubernetes_stage import Stage

from homeostat.adapters.actuators.kubernetes import KubernetesConfig, build
from homeostat.base.intent import Receipt, ReceiptStatus
from homeostat.base.world import ReplicaState

CHAT = f"{fake.DEPLOYMENTS}/chat"
EVICTION = f"{fake.PODS}/chat-0/eviction"
RESTART = (("incarnation.chat-0", 2),)
TO_4 = (("replicas.a", 4),)
DONE, NOT_APPLIED = ReceiptStatus.DONE, ReceiptStatus.NOT_APPLIED


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    cluster = fake.Cluster()
    cluster.create(fake.DEPLOYMENTS, fake.deployment())
    with fake.serving(cluster) as port:
        settings = {"namespace": "ml", "deployment": "chat", "port": 8080, "evict": True}
        yield Stage(
            cluster, port, tmp_path, lambda **said: build(KubernetesConfig(**said)), settings
        )


def budget(name: str, allowed: int) -> dict[str, Any]:
    return {
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": {"app": "chat"}}},
        "status": {"disruptionsAllowed": allowed, "observedGeneration": 1},
    }


def refused(receipt: Receipt, words: str) -> bool:
    return (receipt.status, receipt.conflict, words in receipt.detail) == (NOT_APPLIED, False, True)


async def stamp_of(stage: Stage) -> tuple[str | None, str | None]:
    stamp = (await stage.read()).stamp("kubernetes")
    assert stamp is not None
    return stamp.token, stamp.intent


async def test_one_pod_goes_another_comes_and_the_stamp_says_whose_doing_it_was(
    stage: Stage,
) -> None:
    before = await stage.read()
    assert dict(before.levers) == {
        "replicas.a": 3,
        **{f"incarnation.{one.name}": one.incarnation for one in before.replicas},
    }
    receipt = await stage.apply(RESTART)
    assert receipt.status is DONE, receipt
    (asked,) = stage.cluster.evictions.asked
    assert asked["deleteOptions"] == {"preconditions": {"uid": "uid-chat-0"}}
    after = await stage.read()
    assert [one.name for one in after.replicas] == ["chat-0-x", "chat-1", "chat-2"]
    levers = dict(after.levers)
    assert (levers["incarnation.chat-0"], levers["incarnation.chat-0-x"]) == (2, 1)
    assert await stamp_of(stage) == (receipt.token, "d-2.0.0")
    assert stage.found(CHAT)["spec"]["replicas"] == 3
    marks = set(stage.found(CHAT)["metadata"]["annotations"])
    assert marks == {"homeostat.dev/stamp", "homeostat.dev/evicted"}


async def test_what_comes_twice_ends_one_pod_once_and_the_next_is_another_eviction(
    stage: Stage,
) -> None:
    first = await stage.apply(RESTART)
    again = await stage.apply(RESTART)
    assert (again.status, again.token) == (DONE, first.token)
    assert stage.cluster.evictions.gone == ["chat-0"]
    following = {"id": "d-3.0.0"}
    assert (await stage.apply((("incarnation.chat-1", 3),), intent=following)).status is DONE
    assert (await stage.apply(TO_4, intent={"id": "d-4.0.0"})).status is DONE
    assert (await stamp_of(stage))[1] == "d-4.0.0"
    assert stage.cluster.evictions.gone == ["chat-0", "chat-1"]


async def test_a_budget_that_allows_none_keeps_the_pod_and_nothing_else_is_in_the_way(
    stage: Stage,
) -> None:
    stage.cluster.create(fake.BUDGETS, budget("few", 0))
    before = await stamp_of(stage)
    assert refused(await stage.apply(RESTART), "disruption budget")
    assert stage.cluster.evictions.gone == []
    assert await stamp_of(stage) == before
    assert (await stage.apply(TO_4, intent={"id": "d-3.0.0"})).status is DONE
    assert set(stage.found(CHAT)["metadata"]["annotations"]) == {"homeostat.dev/stamp"}


async def test_a_budget_lets_one_pod_go_and_then_no_other(stage: Stage) -> None:
    stage.cluster.create(fake.BUDGETS, budget("one", 1))
    assert (await stage.apply(RESTART)).status is DONE
    second = await stage.apply((("incarnation.chat-1", 3),), intent={"id": "d-3.0.0"})
    assert refused(second, "disruption budget")
    assert stage.cluster.evictions.gone == ["chat-0"]
    assert (await stamp_of(stage))[1] == "d-2.0.0"  # the refusal is nobody's write


async def test_where_two_budgets_cover_a_pod_they_are_named_and_nothing_is_sent(
    stage: Stage,
) -> None:
    for name in ("one", "two"):
        stage.cluster.create(fake.BUDGETS, budget(name, 1))
    said = await stage.apply(RESTART)
    assert refused(said, "PodDisruptionBudget/one and PodDisruptionBudget/two all cover pod chat-0")
    assert (stage.cluster.evictions.asked, stage.cluster.patches) == ([], [])


async def test_an_answer_that_was_lost_is_read_from_the_pods(stage: Stage) -> None:
    stage.cluster.evictions.cut = True
    receipt = await stage.apply(RESTART)
    assert (receipt.status, await stamp_of(stage)) == (DONE, (receipt.token, "d-2.0.0"))


async def test_a_request_that_may_have_been_lost_is_unknown_and_lands_once_when_sent_again(
    stage: Stage,
) -> None:
    before = await stamp_of(stage)
    stage.cluster.refuse_writes = {EVICTION: 503}
    receipt = await stage.apply(RESTART)
    assert receipt.status is ReceiptStatus.UNKNOWN
    assert await stamp_of(stage) == before  # it can still land
    stage.cluster.refuse_writes = {}
    again = await stage.apply(RESTART)
    assert (again.status, await stamp_of(stage)) == (DONE, (again.token, "d-2.0.0"))
    assert stage.cluster.evictions.gone == ["chat-0"]


async def test_one_that_lands_after_its_answer_was_given_up_is_seen_as_ours(stage: Stage) -> None:
    stage.cluster.refuse_writes = {EVICTION: 503}
    assert (await stage.apply(RESTART)).status is ReceiptStatus.UNKNOWN
    stage.cluster.evictions.gone.append("chat-0")
    world = await stage.read()
    assert (world.lever("incarnation.chat-0"), (await stamp_of(stage))[1]) == (2, "d-2.0.0")


@pytest.mark.parametrize("code", [403, 404, 429])
async def test_a_no_is_a_no(stage: Stage, code: int) -> None:
    stage.cluster.refuse_writes = {EVICTION: code}
    assert refused(await stage.apply(RESTART), f"status {code}")
    assert stage.cluster.evictions.gone == []


async def test_whoever_is_late_or_was_deposed_evicts_nothing(stage: Stage) -> None:
    token, _ = await stamp_of(stage)
    stage.cluster.write(CHAT, {"spec": {"replicas": 4}}, "kubectl")
    late = await stage.apply(RESTART, intent={"token": token})
    assert (late.status, late.conflict) == (NOT_APPLIED, True)
    claim = {"id": "claim", "epoch": 9, "token": None}
    assert (await stage.apply((), intent=claim)).status is DONE
    deposed = await stage.apply(RESTART, intent={"id": "d-3.0.0"})
    assert (deposed.status, deposed.conflict) == (NOT_APPLIED, True)
    assert stage.cluster.evictions.asked == []


async def test_a_pod_that_restarted_by_itself_is_a_conflict_and_no_write_of_anybody(
    stage: Stage,
) -> None:
    assert (await stage.apply(TO_4, intent={"id": "d-1.0.0"})).status is DONE
    before = await stamp_of(stage)
    stage.cluster.evictions.crashes["chat-0"] = 2
    pre = (("incarnation.chat-0", 1),)
    receipt = await stage.apply(RESTART, intent={"pre": pre, "token": before[0]})
    assert (receipt.status, receipt.conflict) == (NOT_APPLIED, True)
    assert await stamp_of(stage) == before
    assert stage.cluster.evictions.asked == []


async def test_it_is_changing_while_the_pod_ends(stage: Stage) -> None:
    stage.cluster.evictions.linger = True
    assert (await stage.apply(RESTART)).status is DONE
    world = await stage.read()
    assert world.changing is True
    states = {one.name: one.state for one in world.replicas}
    assert states["chat-0"] is ReplicaState.DRAINING
    stage.cluster.evictions.linger = False
    assert (await stage.read()).changing is False


@pytest.mark.parametrize(
    ("post", "words"),
    [
        ((("incarnation.chat-0", 0),), "whole number"),
        ((("incarnation.chat-0", 1.5),), "whole number"),
        ((("incarnation.chat-0", "next"),), "whole number"),
        ((("incarnation.chat-0", float("nan")),), "whole number"),
        ((("incarnation.chat-0", 1),), "a restart makes it 2"),
        ((("incarnation.chat-0", 3),), "a restart makes it 2"),
        ((("incarnation.gone", 2),), "not to be read"),
        ((("incarnation.", 2),), "not to be read"),
        ((("incarnation.chat-0", 2), ("incarnation.chat-1", 3)), "one pod"),
        ((("incarnation.chat-0", 2), ("replicas.a", 5)), "one pod"),
    ],
)
async def test_what_is_no_restart_of_one_pod_is_refused(
    stage: Stage, post: Any, words: str
) -> None:
    assert refused(await stage.apply(post), words)
    assert (stage.cluster.evictions.asked, stage.cluster.patches) == ([], [])


async def test_a_pod_that_nobody_would_replace_is_no_lever(stage: Stage) -> None:
    stage.cluster.evictions.bare = True
    assert (await stage.read()).levers == (("replicas.a", 3),)
    assert refused(await stage.apply(RESTART), "not to be read")


async def test_without_being_told_to_it_evicts_nothing(stage: Stage) -> None:
    assert (await stage.read(evict=False)).levers == (("replicas.a", 3),)
    assert refused(await stage.apply(RESTART, evict=False), "unknown lever")


async def test_under_an_autoscaler_pods_are_evicted_and_the_floor_stays(stage: Stage) -> None:
    reference = {"kind": "Deployment", "name": "chat"}
    spec = {"scaleTargetRef": reference, "minReplicas": 2, "maxReplicas": 6}
    scaler = {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "chat"}, "spec": spec}
    stage.cluster.create(fake.SCALERS, scaler)
    beside = await stage.apply(RESTART)  # that somebody else scales it is no matter
    assert beside.status is DONE
    through: dict[str, Any] = {"scale": "HorizontalPodAutoscaler"}
    receipt = await stage.apply((("incarnation.chat-1", 3),), intent={"id": "d-3.0.0"}, **through)
    assert receipt.status is DONE
    assert stage.found(f"{fake.SCALERS}/chat")["spec"]["minReplicas"] == 2
