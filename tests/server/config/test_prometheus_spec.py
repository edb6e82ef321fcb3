"""What is written under `metrics.prometheus` reaches the source, and nothing else is taken."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from homeostat.adapters.sources.prometheus_source import PrometheusSettings
from homeostat.base.errors import ConfigError
from homeostat.server import wiring
from homeostat.server.config import Config
from homeostat.server.config.loader import assemble, parse
from homeostat.server.planning import deployment_plan, needs_restart, plan_of

QUERY: Mapping[str, Any] = {
    "url": "https://prom.example:9090/prefix",
    "select": {"job": "credit", "namespace": "prod"},
    "subject": "gateway",
}


def config(*queries: Mapping[str, Any], interval: str = "15s", **metrics: Any) -> Config:
    document = {
        "apiVersion": "homeostat.dev/v1alpha1",
        "kind": "ManagedModel",
        "metadata": {"name": "credit"},
        "spec": {
            "interval": interval,
            "target": {"process": {"host": "http://127.0.0.1:1"}},
            "metrics": {"prometheus": list(queries)} | metrics,
            "slo": [
                {"name": "latency", "latency": {"below": "250ms"}},
                {"name": "errors", "errors": {"atMost": "1%"}},
            ],
        },
    }
    return assemble(parse(json.dumps(document).encode(), "f.json"))


def settings(query: Mapping[str, Any], **more: Any) -> PrometheusSettings:
    (entry,) = deployment_plan(config(query, **more).deployments[0]).sources
    assert entry.part == "prometheus"
    return PrometheusSettings(**entry.settings)


def test_a_query_becomes_a_source_of_its_deployment() -> None:
    found = settings(QUERY)
    assert (found.url, found.deployment, found.subject) == (QUERY["url"], "credit", "gateway")
    assert found.select == (("job", "credit"), ("namespace", "prod"))
    assert found.timeout_s == pytest.approx(12.0)
    assert found.name == "prometheus:0"


@pytest.mark.parametrize(
    ("interval", "window", "seconds"),
    [("15s", None, 75.0), ("5s", None, 75.0), ("60s", None, 300.0), ("60s", "90s", 90.0)],
)
def test_a_round_looks_back_over_five_scrapes_unless_told(
    interval: str, window: str | None, seconds: float
) -> None:
    query = dict(QUERY) | ({} if window is None else {"window": window})
    assert settings(query, interval=interval).window_s == seconds


def test_files_are_beside_the_configuration() -> None:
    found = settings(dict(QUERY) | {"tokenFile": "secrets/token", "caFile": "/etc/ca.pem"})
    assert found.token_file == Path("secrets/token").absolute()
    assert found.ca_file == Path("/etc/ca.pem")
    assert found.password_file is None


def test_several_are_told_apart_and_another_selection_needs_a_restart() -> None:
    pods = {"url": QUERY["url"], "select": {"job": "credit"}, "replicaLabel": "pod"}
    one, two = config(QUERY, pods), config(QUERY, dict(pods) | {"select": {"job": "fraud"}})
    (deployment,) = plan_of(one).deployments
    assert [entry.settings["name"] for entry in deployment.sources] == [
        "prometheus:0",
        "prometheus:1",
    ]
    assert one.digest != two.digest
    assert "is reached differently" in needs_restart(plan_of(one), plan_of(two))[0]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"subject": None}, "neither subject nor replicaLabel"),
        ({"subject": "somebody"}, "pattern"),
        ({"select": {}}, "at least 1"),
        ({"select": {"a-b": "c"}}, "pattern"),
        ({"selector": "up"}, "selector"),
        ({"reach": "everything"}, "reach"),
        ({"window": "soon"}, "window"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        config({key: value for key, value in (dict(QUERY) | wrong).items() if value is not None})


def test_numbers_must_come_from_somewhere() -> None:
    with pytest.raises(ConfigError, match="neither scrape nor prometheus"):
        config()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"url": "prom:9090"}, "url"),
        ({"presets": ["vlm"]}, "did you mean 'vllm'"),
        ({"username": "ali"}, "password_file go together"),
        ({"select": {"job": "~.*"}}, "without the label"),
    ],
)
def test_what_the_source_refuses_stops_the_start_and_not_the_first_round(
    wrong: dict[str, Any], why: str
) -> None:
    plan = deployment_plan(config(dict(QUERY) | wrong).deployments[0])
    with pytest.raises(ConfigError, match=f"source 'prometheus'.*{why}"):
        wiring.deployment(plan, None)
