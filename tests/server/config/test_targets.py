"""Which actuators come of `spec.target`, and what cannot be."""

from typing import Any

import pytest
import yaml

from homeostat import plugins
from homeostat.base.errors import ConfigError
from homeostat.server import planning
from homeostat.server.config import Deployment
from homeostat.server.config.loader import assemble, parse

SERVERS = {"a": ["a-*"], "b": ["b-*"]}
HAPROXY = {"socket": "/run/haproxy/admin.sock", "backend": "model", "servers": SERVERS}
WEBHOOK = {
    "url": "https://deploy.example/actions",
    "state": "https://deploy.example/state",
    "secretFile": "webhook.secret",
    "levers": {"replicas.a": {"min": 1, "max": 8}},
}
KUBERNETES = {
    "api": "https://10.96.0.1",
    "namespace": "ml",
    "deployment": "chat",
    "port": 8080,
    "tokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token",
}
POOLS = {"stable": "a", "fallback": "b"}
API = {"api": "https://10.96.0.1", "namespace": "ml", "tokenFile": "./token", "caFile": "/ca.crt"}
ROUTE = API | {"route": "chat", "backends": {"a": "chat-v1", "b": "chat-v2"}}
ROLLOUT = API | {"rollout": "chat", "port": 8080}
RAY = {"dashboard": "https://ray.example", "application": "chat", "deployment": "Model"}
KSERVE = API | {"inferenceService": "chat", "port": 8080}
LLM = API | {"service": "chat", "port": 8000}


def deployment(target: dict[str, Any], **spec: Any) -> Deployment:
    page = {
        "apiVersion": "homeostat.dev/v1alpha1",
        "kind": "ManagedModel",
        "metadata": {"name": "m"},
        "spec": {
            "target": target,
            "metrics": {"scrape": [{"fromReplicas": True, "preset": "vllm"}]},
            "slo": [
                {"name": "latency", "latency": {"below": "250ms"}},
                {"name": "errors", "errors": {"atMost": "1%"}},
            ],
            **spec,
        },
    }
    return assemble(parse(yaml.safe_dump(page).encode(), "/etc/h/m.yaml")).deployments[0]


def actuators(target: dict[str, Any]) -> dict[str, Any]:
    """Return the actuators of a target with their settings, as the plug-ins take them."""
    plan = planning.deployment_plan(deployment(target))
    for entry in plan.actuators:
        plugins.part("actuator", entry.part).config(**entry.settings)
    return {entry.part: entry.settings for entry in plan.actuators}


def test_haproxy_alone_knows_the_replicas_and_divides_the_traffic() -> None:
    found = deployment({"haproxy": HAPROXY, "pools": POOLS}).managed
    assert (found.scale_actuator, found.traffic_actuator) == ("haproxy", "haproxy")
    settings = actuators({"haproxy": HAPROXY, "pools": POOLS})["haproxy"]
    assert (settings["drains"], settings["socket"]) == (True, "/run/haproxy/admin.sock")


def test_in_front_of_a_process_host_it_divides_the_traffic_and_drains_nothing() -> None:
    target = {"haproxy": HAPROXY, "pools": POOLS, "process": {"host": "http://127.0.0.1:1"}}
    found = deployment(target).managed
    assert (found.scale_actuator, found.traffic_actuator) == ("process", "haproxy")
    assert actuators(target)["haproxy"]["drains"] is False


def test_a_socket_may_lie_beside_the_file_or_be_tcp() -> None:
    beside = actuators({"haproxy": HAPROXY | {"socket": "./run/h.sock"}, "pools": POOLS})
    assert beside["haproxy"]["socket"] == "/etc/h/run/h.sock"
    tcp = actuators({"haproxy": HAPROXY | {"socket": "127.0.0.1:9999"}, "pools": POOLS})
    assert tcp["haproxy"]["socket"] == "127.0.0.1:9999"


def test_a_canary_takes_its_weight_from_whatever_divides_the_traffic() -> None:
    canary = {"pool": "b", "bucket": "60s"}
    assert deployment({"haproxy": HAPROXY, "pools": POOLS}, canary=canary).managed.canary
    with pytest.raises(ConfigError, match=r"'c' has no weight; add it to target\.haproxy\.servers"):
        deployment({"haproxy": HAPROXY, "pools": POOLS}, canary=canary | {"pool": "c"})


@pytest.mark.parametrize(
    ("said", "scale"),
    [
        ({}, ("Deployment", "chat")),
        ({"autoscaler": "chat-hpa"}, ("HorizontalPodAutoscaler", "chat-hpa")),
        ({"scaledObject": "chat-so"}, ("ScaledObject", "chat-so")),
    ],
)
def test_kubernetes_scales_the_deployment_or_the_scaler_that_is_named(
    said: dict[str, Any], scale: tuple[str, str]
) -> None:
    target = {"kubernetes": KUBERNETES | said, "haproxy": HAPROXY, "pools": POOLS}
    found = deployment(target).managed
    assert (found.scale_actuator, found.traffic_actuator) == ("kubernetes", "haproxy")
    settings = actuators(target)["kubernetes"]
    assert (settings["scale"], settings["scaler"]) == scale
    assert settings["pool"] == "a"


def test_a_webhook_knows_the_replicas_and_divides_what_it_has_a_lever_for() -> None:
    found = deployment({"webhook": WEBHOOK}).managed
    assert (found.scale_actuator, found.traffic_actuator) == ("webhook", None)
    levers = WEBHOOK["levers"] | {"weight.b": {"min": 0, "max": 100}}  # type: ignore[operator]
    both = {"webhook": WEBHOOK | {"levers": levers}}
    assert deployment(both).managed.traffic_actuator == "webhook"
    assert deployment(both, canary={"pool": "b", "bucket": "60s"}).managed.canary
    settings = actuators({"webhook": WEBHOOK, "haproxy": HAPROXY, "pools": POOLS})
    assert str(settings["webhook"]["secret_file"]) == "/etc/h/webhook.secret"
    assert settings["haproxy"]["drains"] is False
    with pytest.raises(ConfigError, match="both divide the traffic"):
        deployment(both | {"haproxy": HAPROXY, "pools": POOLS})


def test_a_route_divides_the_traffic_in_front_of_what_knows_the_replicas() -> None:
    target = {"kubernetes": KUBERNETES, "httpRoute": ROUTE, "pools": POOLS}
    found = deployment(target, canary={"pool": "b", "bucket": "60s"}).managed
    assert (found.scale_actuator, found.traffic_actuator) == ("kubernetes", "httproute")
    settings = actuators(target)["httproute"]
    assert (settings["stable"], settings["backends"]) == ("a", ROUTE["backends"])
    assert (str(settings["token_file"]), str(settings["ca_file"])) == ("/etc/h/token", "/ca.crt")
    with pytest.raises(ConfigError, match=r"'c' has no weight; add it to target\.httpRoute\.back"):
        deployment(target, canary={"pool": "c", "bucket": "60s"})


def test_a_rollout_knows_the_replicas_and_divides_the_traffic() -> None:
    target = {"rollout": ROLLOUT, "pools": POOLS}
    found = deployment(target, canary={"pool": "b", "bucket": "60s"}).managed
    assert (found.scale_actuator, found.traffic_actuator) == ("rollout", "rollout")
    settings = actuators(target)["rollout"]
    assert (settings["stable"], settings["canary"], settings["port"]) == ("a", "b", 8080)
    assert settings["pause"] is False
    assert actuators({"rollout": ROLLOUT | {"pause": True}, "pools": POOLS})["rollout"]["pause"]
    with pytest.raises(ConfigError, match=r"'c' has no weight; add it to target\.pools\.fallback"):
        deployment(target, canary={"pool": "c", "bucket": "60s"})


def test_an_inference_service_divides_the_traffic_if_its_latest_revision_has_a_pool() -> None:
    found = deployment({"kserve": KSERVE}).managed
    assert (found.scale_actuator, found.traffic_actuator) == ("kserve", None)
    assert actuators({"kserve": KSERVE})["kserve"]["canary"] is None
    target = {"kserve": KSERVE, "pools": POOLS}
    found = deployment(target, canary={"pool": "b", "bucket": "60s"}).managed
    assert (found.scale_actuator, found.traffic_actuator) == ("kserve", "kserve")
    assert actuators(target)["kserve"]["service"] == "chat"
    named = actuators({"kserve": KSERVE | {"canary": "v2"}, "pools": POOLS})["kserve"]
    assert (named["canary"], named["entry"]) == ("b", "v2")
    beside = deployment({"kserve": KSERVE, "httpRoute": ROUTE}).managed
    assert (beside.scale_actuator, beside.traffic_actuator) == ("kserve", "httproute")


def test_an_llm_inference_service_divides_the_traffic_if_another_one_is_named() -> None:
    alone = {"llmInferenceService": LLM | {"workload": "prefill"}, "pools": POOLS}
    found = deployment(alone).managed
    assert (found.scale_actuator, found.traffic_actuator) == ("llminferenceservice", None)
    settings = actuators(alone)["llminferenceservice"]
    assert (settings["workload"], settings["second"], settings["canary"]) == ("prefill", None, None)
    target = {"llmInferenceService": LLM | {"canary": "chat-next"}, "pools": POOLS}
    found = deployment(target, canary={"pool": "b", "bucket": "60s"}).managed
    assert (found.scale_actuator, found.traffic_actuator) == (
        "llminferenceservice",
        "llminferenceservice",
    )
    settings = actuators(target)["llminferenceservice"]
    assert (settings["second"], settings["canary"], settings["stable"]) == ("chat-next", "b", "a")


def test_ray_knows_the_replicas_and_something_beside_it_divides_the_traffic() -> None:
    said = RAY | {"userConfig": {"batchMax": "batching.size"}, "tokenFile": "./ray.token"}
    found = deployment({"ray": said, "haproxy": HAPROXY, "pools": POOLS}).managed
    assert (found.scale_actuator, found.traffic_actuator) == ("ray", "haproxy")
    settings = actuators({"ray": said, "haproxy": HAPROXY, "pools": POOLS})
    assert settings["haproxy"]["drains"] is False
    assert (settings["ray"]["pool"], settings["ray"]["batch_max"]) == ("a", "batching.size")
    assert str(settings["ray"]["token_file"]) == "/etc/h/ray.token"
    assert deployment({"ray": RAY}).managed.traffic_actuator is None


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ({}, "says neither process"),
        ({"haproxy": HAPROXY, "envoy": {"admin": "http://127.0.0.1:1"}}, "keep one"),
        ({"haproxy": HAPROXY, "observe": True}, "observe: true changes nothing"),
        ({"haproxy": HAPROXY, "pools": {"stable": "x"}}, "pool 'x' has none"),
        ({"haproxy": HAPROXY | {"backend": "a b"}}, "backend"),
        ({"haproxy": HAPROXY | {"socket": "nowhere"}}, "socket"),
        ({"haproxy": HAPROXY | {"sockets": "/x"}}, "sockets"),
        ({"haproxy": HAPROXY | {"servers": {}}}, "servers"),
        ({"webhook": WEBHOOK, "observe": True}, "says both observe and webhook"),
        ({"webhook": WEBHOOK | {"levers": {"replicas.a": {"min": 9, "max": 1}}}}, "swap them"),
        ({"webhook": WEBHOOK | {"levers": {"replicas.a": {"min": 0}}}}, "max"),
        ({"webhook": WEBHOOK | {"secret": "x"}}, "secret"),
        ({"kubernetes": KUBERNETES, "webhook": WEBHOOK}, "both kubernetes and webhook"),
        ({"kubernetes": KUBERNETES | {"namespace": "../x"}}, "namespace"),
        (
            {"kubernetes": KUBERNETES | {"autoscaler": "x", "scaledObject": "y"}},
            "keep scaledObject",
        ),
        ({"httpRoute": ROUTE}, "says neither process"),
        ({"kubernetes": KUBERNETES, "httpRoute": ROUTE, "haproxy": HAPROXY}, "keep one"),
        (
            {"kubernetes": KUBERNETES, "httpRoute": ROUTE, "pools": {"stable": "x"}},
            r"httpRoute\.backends: pool 'x'",
        ),
        (
            {"kubernetes": KUBERNETES, "httpRoute": ROUTE | {"backends": {"a": "x", "b": "x"}}},
            "same Service",
        ),
        ({"kubernetes": KUBERNETES, "httpRoute": ROUTE | {"rule": -1}}, "rule"),
        ({"rollout": ROLLOUT}, "name the pool of its canary"),
        ({"kserve": KSERVE, "rollout": ROLLOUT, "pools": POOLS}, "both rollout and kserve"),
        ({"kserve": KSERVE, "envoy": {"admin": "http://127.0.0.1:1"}, "pools": POOLS}, "keep one"),
        ({"kserve": KSERVE | {"canary": "../v2"}, "pools": POOLS}, "canary"),
        ({"kserve": KSERVE | {"canary": "v2"}}, "name the pool of its canary"),
        ({"llmInferenceService": LLM | {"canary": "v2"}}, "llmInferenceService: name the pool"),
        ({"llmInferenceService": LLM | {"canary": "chat"}, "pools": POOLS}, "both 'chat'"),
        ({"llmInferenceService": LLM | {"service": "a" * 44}}, "at most 43"),
        ({"llmInferenceService": LLM, "kserve": KSERVE}, "both kserve and llmInferenceService"),
        (
            {
                "llmInferenceService": LLM | {"canary": "v2"},
                "httpRoute": ROUTE,
                "pools": POOLS,
            },
            "keep one",
        ),
        (
            {"rollout": ROLLOUT, "kubernetes": KUBERNETES, "pools": POOLS},
            "both kubernetes and roll",
        ),
        ({"rollout": ROLLOUT, "httpRoute": ROUTE, "pools": POOLS}, "keep one"),
        ({"rollout": ROLLOUT | {"steps": []}, "pools": POOLS}, "steps"),
        ({"rollout": ROLLOUT | {"pause": "yes"}, "pools": POOLS}, "pause"),
        ({"ray": RAY, "kubernetes": KUBERNETES}, "both kubernetes and ray"),
        ({"ray": RAY | {"userConfig": {"batchMax": "a b"}}}, "batchMax"),
        ({"ray": RAY | {"userConfig": {"replicas": "a"}}}, "replicas"),
        ({"ray": RAY | {"token": "x"}}, "token"),
        ({"ray": RAY | {"dashboard": "http://ray-head:8265", "tokenFile": "t"}}, "needs https"),
        ({"kubernetes": KUBERNETES, "httpRoute": ROUTE | {"weights": {}}}, "weights"),
    ],
)
def test_what_cannot_be_is_refused_by_name(target: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        deployment(target)
