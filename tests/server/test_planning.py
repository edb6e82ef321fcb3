"""From what files say to names of plug-ins and their settings: every setting arrives, once."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from homeostat import plugins
from homeostat.base.errors import ConfigError
from homeostat.server.config import Config, Deployment, load
from homeostat.server.plan import PartPlan, filled
from homeostat.server.planning import deployment_plan, needs_restart, plan_of
from homeostat.testing import build

SPEC: dict[str, Any] = {
    "interval": "1s",
    "target": {
        "process": {"host": "http://127.0.0.1:1", "timeout": "300ms"},
        "envoy": {"admin": "http://127.0.0.1:2", "weights": {"b": "traffic.b"}},
        "pools": {"stable": "a", "fallback": "b"},
    },
    "metrics": {
        "scrape": [
            {
                "subject": "gateway",
                "url": "http://127.0.0.1:2/stats/prometheus",
                "preset": "envoy",
                "pools": ["a", "b"],
            },
            {"fromReplicas": True, "preset": "homeostat_instrument"},
        ]
    },
    "probe": {"model": "credit", "features": [1.0, 2.0], "expectLow": 0.0, "expectHigh": 1.0},
    "labels": {"path": "/predictions"},
    "slo": [
        {"name": "latency", "latency": {"below": "250ms"}},
        {"name": "errors", "errors": {"atMost": "1%"}},
    ],
}


def config(folder: Path, **spec: Any) -> Config:
    document = {
        "apiVersion": "homeostat.dev/v1alpha1",
        "kind": "ManagedModel",
        "metadata": {"name": "fraud"},
        "spec": {**SPEC, **spec},
    }
    controller = {
        "apiVersion": "homeostat.dev/v1alpha1",
        "kind": "Controller",
        "metadata": {"name": "c"},
        "spec": {
            "store": {"path": "j.db"},
            "killFile": "kill",
            "api": {"port": 7001, "tokenFile": "token"},
            "notify": [{"terminal": True}],
        },
    }
    file = folder / "c.yaml"
    file.write_text(yaml.safe_dump_all([document, controller]), encoding="utf-8")
    return load([file])


def deployment(folder: Path, **spec: Any) -> Deployment:
    return config(folder, **spec).deployments[0]


def test_the_controllers_own_settings_arrive(tmp_path: Path) -> None:
    plan = plan_of(config(tmp_path))
    assert plan.journal == tmp_path / "j.db"
    assert plan.kill_file == tmp_path / "kill"
    assert plan.token_file == tmp_path / "token"
    assert (plan.api_host, plan.api_port, plan.terminal) == ("127.0.0.1", 7001, True)
    assert [entry.managed.name for entry in plan.deployments] == ["fraud"]


def test_what_the_core_takes_over_needs_no_restart(tmp_path: Path) -> None:
    running = plan_of(config(tmp_path))
    slo = [SPEC["slo"][0], {"name": "errors", "errors": {"atMost": "5%"}}]
    wanted = plan_of(config(tmp_path, slo=slo, mode="approve", guardrails={"cooldown": "9m"}))
    assert wanted != running
    assert needs_restart(running, wanted) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": {"path": "/others"}}, "fraud is reached differently"),
        ({"probe": None}, "fraud is reached differently"),
        ({"target": {"process": {"host": "http://127.0.0.1:9"}}}, "fraud is reached differently"),
    ],
)
def test_a_deployment_that_is_reached_differently_needs_a_restart(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    running = plan_of(config(tmp_path))
    (problem,) = needs_restart(running, plan_of(config(tmp_path, **change)))
    assert problem.startswith(said)


def test_deployments_that_come_and_go_need_a_restart(tmp_path: Path) -> None:
    running = plan_of(config(tmp_path))
    (entry,) = running.deployments
    other = replace(entry, managed=replace(entry.managed, name="churn"))
    problems = needs_restart(running, replace(running, deployments=(other,)))
    assert problems == [
        "churn is new and not managed yet",
        "fraud is gone from it and still managed",
    ]


def test_the_controllers_own_settings_need_a_restart(tmp_path: Path) -> None:
    running = plan_of(config(tmp_path))
    assert needs_restart(running, replace(running, api_port=0)) == []
    for change in ({"api_port": 7002}, {"terminal": False}, {"journal": tmp_path / "k.db"}):
        (problem,) = needs_restart(running, replace(running, **change))
        assert "the controller's own settings" in problem


def test_actuators_are_the_host_and_the_proxy_if_there_is_one(tmp_path: Path) -> None:
    both = deployment_plan(deployment(tmp_path))
    assert [entry.part for entry in both.actuators] == ["process", "envoy"]
    assert both.actuators[0].settings["read_timeout_s"] == 0.3
    assert both.actuators[1].settings["weights"] == {"b": "traffic.b"}
    names = [entry.settings["name"] for entry in both.actuators]
    assert names == [both.managed.scale_actuator, both.managed.traffic_actuator]
    target = {**SPEC["target"]}
    del target["envoy"]
    alone = deployment_plan(deployment(tmp_path, target=target))
    assert [entry.part for entry in alone.actuators] == ["process"]
    assert alone.managed.traffic_actuator is None


def test_pages_of_replicas_are_templates_and_others_are_not(tmp_path: Path) -> None:
    plan = deployment_plan(deployment(tmp_path))
    assert [entry.settings["subject"] for entry in plan.sources] == ["gateway"]
    assert plan.sources[0].settings["pools"] == ("a", "b")
    assert [entry.part for entry in plan.per_replica] == ["scrape", "probe"]
    replica = build.replica("a-2", address="10.0.0.2:81")
    page, probe = (filled(entry.settings, replica) for entry in plan.per_replica)
    assert page["url"] == "http://10.0.0.2:81/metrics"
    assert (page["name"], page["subject"]) == ("page:replica:a-2", "replica:a-2")
    assert (probe["url"], probe["name"]) == ("http://10.0.0.2:81", "probe:a-2")
    assert probe["features"] == (1.0, 2.0)
    assert (probe["expect_low"], probe["expect_high"]) == (0.0, 1.0)


def test_every_plan_is_one_that_the_plug_ins_take(tmp_path: Path) -> None:
    """A key that a plug-in does not know would only be noticed at the start of a controller."""
    plan = deployment_plan(deployment(tmp_path))
    replica = build.replica("a-2", address="10.0.0.2:81")
    for entry in plan.actuators:
        plugins.part("actuator", entry.part).config(**entry.settings)
    for entry in (*plan.sources, *plan.per_replica):
        plugins.part("source", entry.part).config(**filled(entry.settings, replica))


def test_what_is_not_asked_for_is_not_there(tmp_path: Path) -> None:
    plan = deployment_plan(deployment(tmp_path, probe=None, labels=None))
    assert [entry.part for entry in plan.per_replica] == ["scrape"]
    assert plan.labels_path is None


def test_who_is_told_is_planned_as_it_was_loaded(tmp_path: Path) -> None:
    whole = config(tmp_path)
    settings = {"url": "http://127.0.0.1:9/hook", "secret_file": tmp_path / "secret"}
    hooks = (PartPlan(part="webhook", settings=settings),)
    plan = plan_of(replace(whole, controller=replace(whole.controller, notifiers=hooks)))
    assert plan.notifiers == hooks


def test_words_of_the_replica_are_filled_in_however_deep_they_are() -> None:
    replica = build.replica("a-2", address=None)
    settings = {"x": {"y": "{name} of {pool} at {address}"}, "n": 3, "t": ("{name}",)}
    got = filled(settings, replica)
    assert got["x"] == {"y": "a-2 of a at "}
    assert got["n"] == 3
    assert got["t"] == ("{name}",)  # lists are values, not texts


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"interval": "fast"}, "interval"),
        ({"probe": {"model": "credit", "features": []}}, "features"),
        ({"labels": {"path": "predictions"}}, "path"),
        ({"slo": []}, "slo"),
    ],
)
def test_bad_settings_are_refused_by_name(tmp_path: Path, change: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        config(tmp_path, **change)
