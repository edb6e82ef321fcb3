"""The pages on Kubernetes' objects do what they say, from their own text, on the API's stand-in.

Each: its account is all that the calls need, its file reads the object and writes nothing, and what
it configures then carries a change out.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "actuators"))
sys.path.insert(0, str(Path(__file__).parents[1] / "deploy"))
import kubernetes_fake as fake
import kubernetes_llm as llm
from kubernetes_targets import stand
from test_rights import Right, given, watched
from walking import FOLDER, Walk, blocks, looked, moved, walking

from homeostat.base.intent import ReceiptStatus
from homeostat.base.world import Levers

pytestmark = pytest.mark.live
SECRET = "/var/run/secrets/kubernetes.io/serviceaccount/token"


@dataclass(frozen=True, slots=True)
class Place:
    """Somebody's folder, the cluster, and the rights that it was asked for."""

    cluster: fake.Cluster
    port: int
    seen: set[Right]

    def tried(self, page: Walk, part: str, change: Levers, rights: set[Right]) -> str:
        """Write the page's next file; look, then change something; return the file."""
        here = {"127.0.0.1:8001": f"127.0.0.1:{self.port}", SECRET: "token"}
        # No pod of the stand-in answers: wait for its page no longer than must be.
        text = page.file(Path("chat.yaml"), swap={**here, "shadow\n": "shadow\n  interval: 5s\n"})
        looked("homeostat run -f chat.yaml --once")
        assert self.cluster.patches == []
        assert self.seen <= {one for one in rights if one[3] != "patch"}
        self.moves(text, part, change)
        assert self.seen <= rights
        return text

    def moves(self, text: str, part: str, change: Levers) -> None:
        (receipt,) = moved(text, part, change)
        assert receipt.status is ReceiptStatus.DONE, receipt

    def found(self, path: str) -> dict[str, Any]:
        obj = self.cluster.find(path)
        assert obj is not None
        return obj


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    Path("token").write_text(fake.TOKEN, encoding="utf-8")
    with served(fake.Cluster(), monkeypatch) as made:
        yield made


@contextmanager
def served(cluster: fake.Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with watched(monkeypatch) as seen, fake.serving(cluster) as port:
        yield Place(cluster, port, seen)


def account(said: Any) -> set[Right]:
    return given({"metadata": {"namespace": "ml"}, **said})


def deployments_account() -> set[Right]:
    text = (FOLDER / "connect-kubernetes.md").read_text(encoding="utf-8")
    return account(yaml.safe_load(blocks(text)[0].text))


def instead(text: str, key: str, target: dict[str, Any]) -> str:
    """Return a file with another target, which is reached as its own is."""
    document = yaml.safe_load(text)
    reached = {one: document["spec"]["target"][key][one] for one in ("api", "tokenFile")}
    document["spec"]["target"] = {key: target | reached}
    return yaml.safe_dump(document)


def scaler(kind: str, **spec: int) -> dict[str, Any]:
    target = {"scaleTargetRef": {"kind": "Deployment", "name": "chat"}}
    return {"kind": kind, "metadata": {"name": "chat", "uid": "u"}, "spec": {**target, **spec}}


def test_the_page_on_deployments(place: Place) -> None:
    place.cluster.create(fake.DEPLOYMENTS, fake.deployment())
    with walking("connect-kubernetes.md") as page:
        rights = account(page.yaml("rules"))
        text = place.tried(page, "kubernetes", (("replicas.a", 4),), rights)
        assert page.commands() == ["homeostat run -f chat.yaml --once"]
        evicting = page.yaml("evict")["kubernetes"]
        rights |= account(page.yaml("pods/eviction"))
    place.moves(instead(text, "kubernetes", evicting), "kubernetes", (("incarnation.chat-0", 2),))
    assert place.seen <= rights
    assert place.cluster.evictions.gone == ["chat-0"]
    assert place.found(f"{fake.DEPLOYMENTS}/chat")["spec"]["replicas"] == 4


def test_the_page_on_autoscalers(place: Place) -> None:
    place.cluster.create(fake.DEPLOYMENTS, fake.deployment())
    hpa = scaler("HorizontalPodAutoscaler", minReplicas=2, maxReplicas=6)
    place.cluster.create(fake.SCALERS, hpa)
    with walking("connect-an-autoscaler.md") as page:
        rights = account(page.yaml("rules"))
        text = place.tried(page, "kubernetes", (("replicas.a", 3),), rights)
        assert hpa["spec"]["minReplicas"] == 3
        keda = page.yaml("scaledObject")["kubernetes"]
        assert page.commands() == ["homeostat run -f chat.yaml --once"]
    place.cluster.lists[fake.SCALERS].clear()
    owned = scaler("ScaledObject", minReplicaCount=2, maxReplicaCount=6)
    place.cluster.create(fake.SCALED, owned)
    place.moves(instead(text, "kubernetes", keda), "kubernetes", (("replicas.a", 5),))
    assert owned["spec"]["minReplicaCount"] == 5


def test_the_page_on_routes(place: Place) -> None:
    place.cluster.create(fake.DEPLOYMENTS, fake.deployment())
    route = fake.route(v1=9, v2=1)
    place.cluster.create(fake.ROUTES, route)
    with walking("connect-an-httproute.md") as page:
        rights = account(page.yaml("rules")) | deployments_account()
        place.tried(page, "httproute", (("weight.b", 25),), rights)
        assert page.commands() == ["homeostat run -f chat.yaml --once"]
    (rule,) = route["spec"]["rules"]
    assert {one["name"]: one["weight"] for one in rule["backendRefs"]} == {
        "chat-v1": 75,
        "chat-v2": 25,
    }


def test_the_page_on_rollouts(place: Place) -> None:
    with walking("connect-argo-rollouts.md") as page:
        canary = page.yaml("steps")["strategy"]["canary"]
        rollout = fake.rollout(*canary["steps"])
        rollout["spec"]["strategy"]["canary"] = canary
        place.cluster.create(fake.ROLLOUTS, rollout)
        rights = account(page.yaml("rules"))
        place.tried(page, "rollout", (("weight.b", 20),), rights)
        assert page.commands() == ["homeostat run -f chat.yaml --once"]
    assert rollout["status"]["canary"]["weights"]["canary"] == {"weight": 20}


def test_the_page_on_inference_services(place: Place) -> None:
    service = fake.service(canaryTrafficPercent=10)
    place.cluster.create(fake.SERVICES, service)
    with walking("connect-kserve.md") as page:
        rights = account(page.yaml("rules"))
        text = place.tried(page, "kserve", (("weight.b", 30),), rights)
        assert service["spec"]["predictor"]["canaryTrafficPercent"] == 30
        plain = page.yaml("inferenceService")
        assert page.commands() == ["homeostat run -f chat.yaml --once"]
        own, routed = page.yaml("llmInferenceService"), page.yaml("router")
        more = account(page.yaml("llminferenceservices"))
    raw = fake.service("RawDeployment", minReplicas=2)
    place.cluster.create(fake.SERVICES, raw)
    place.cluster.create(fake.DEPLOYMENTS, fake.deployment("chat-predictor", replicas=2))
    document = yaml.safe_load(text)
    plain["kserve"] |= {
        key: document["spec"]["target"]["kserve"][key] for key in ("api", "tokenFile")
    }
    document["spec"]["target"] = plain
    place.moves(yaml.safe_dump(document), "kserve", (("replicas.a", 3),))
    assert raw["spec"]["predictor"]["minReplicas"] == 3
    assert place.seen <= rights
    with_llms(place, document, own, routed["router"])
    assert place.seen <= rights | more


def with_llms(
    place: Place, document: dict[str, Any], own: dict[str, Any], router: dict[str, Any]
) -> None:
    """Change both levers of the page's LLMInferenceService, which divides as the page says."""
    service = llm.service(replicas=2, router=router)
    stand(place.cluster, service, llm.service("chat-next", replicas=1))
    own["spec"]["target"]["llmInferenceService"] |= {
        key: document["spec"]["target"]["kserve"][key] for key in ("api", "tokenFile")
    }
    wanted = (("replicas.a", 3), ("weight.b", 30))
    place.moves(yaml.safe_dump(own), "llminferenceservice", wanted)
    (rule,) = service["spec"]["router"]["route"]["http"]["spec"]["rules"]
    assert [one["weight"] for one in rule["backendRefs"]] == [70, 30]
    assert service["spec"]["replicas"] == 3
