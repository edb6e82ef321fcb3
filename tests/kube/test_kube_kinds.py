"""The definitions of others' kinds are strict: no field that does not exist gets by unseen."""

import copy
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "actuators"))
import kube_kinds
import kubernetes_fake as fake
import kubernetes_llm as llm
from kube_cluster import Kube

from homeostat.adapters.actuators import _kubernetes_owner as owner

pytestmark = [pytest.mark.live]
STEPS = ({"setWeight": 5}, fake.HELD)
LLM = llm.service(replicas=2)
HEAVY = llm.rule("/", chat=1_000_001)


def test_defaults_are_filled_in_and_what_is_unknown_is_dropped(kube: Kube, home: str) -> None:
    sent = fake.route(a=9, b=None)
    sent["spec"]["rules"][0]["backendRefs"][0]["wieght"] = 3
    spec = kube.get(kube_kinds.put(kube, owner.ROUTE, home, sent))["spec"]
    common = {"kind": "Service", "port": 80}
    assert spec["rules"][0]["backendRefs"] == [
        {"name": "chat-a", "weight": 9, **common},
        {"name": "chat-b", "weight": 1, **common},
    ]
    rollout = fake.rollout(*STEPS)
    rollout["spec"]["strategy"]["canary"]["dynamicStableScale"] = True
    path = kube_kinds.put(kube, owner.ROLLOUT, home, rollout)
    assert kube.get(path)["spec"]["strategy"]["canary"]["dynamicStableScale"] is True
    kube.status(path, {"abort": True, "aborted": True})
    assert kube.get(path)["status"].get("aborted") is None
    service = fake.service(canaryTrafficPercent=10, canaryPercent=10)
    predictor = kube.get(kube_kinds.put(kube, owner.SERVICE, home, service))["spec"]["predictor"]
    assert sorted(predictor) == ["canaryTrafficPercent", "model"]


@pytest.mark.parametrize(
    ("kind", "obj", "change"),
    [
        (owner.ROUTE, fake.route(a=9), {"rules": [{"backendRefs": [{"weight": 1}]}]}),
        (
            owner.ROUTE,
            fake.route(a=9),
            {"rules": [{"backendRefs": [{"name": "x", "weight": 1_000_001}]}]},
        ),
        (owner.ROLLOUT, fake.rollout(*STEPS), {"replicas": "4"}),
        (owner.ROLLOUT, fake.rollout(*STEPS), {"paused": "yes"}),
        (owner.SERVICE, fake.service(), {"predictor": {"batcher": {"maxBatchSize": "8"}}}),
        (owner.SERVICE, fake.service(), {"predictor": {"canaryTrafficPercent": 2.5}}),
        (owner.LLM, LLM, {"replicas": -1}),
        (owner.LLM, LLM, {"scaling": {"minReplicas": 2}}),
        (owner.LLM, LLM, {"router": {"route": {"http": {"spec": {"rules": [HEAVY]}}}}}),
    ],
)
def test_what_has_another_type_is_refused(
    kube: Kube, home: str, kind: owner.Kind, obj: dict[str, Any], change: dict[str, Any]
) -> None:
    path = kube_kinds.put(kube, kind, home, copy.deepcopy(obj))
    status, said = kube.ask("PATCH", path, {"spec": change})
    assert status == 422, said
