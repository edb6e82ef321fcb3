"""`target.observe`: a deployment of somebody else's, watched and not moved."""

import json
from typing import Any

import pytest

from homeostat.base.errors import ConfigError
from homeostat.server import wiring
from homeostat.server.config import Config
from homeostat.server.config.loader import assemble, parse
from homeostat.server.planning import deployment_plan, needs_restart, plan_of

ENTRY = {"url": "http://127.0.0.1:9090", "select": {"job": "llm"}}


def read(target: dict[str, Any], entries: list[dict[str, Any]], mode: str = "shadow") -> Config:
    document = {
        "apiVersion": "homeostat.dev/v1alpha1",
        "kind": "ManagedModel",
        "metadata": {"name": "chat"},
        "spec": {
            "mode": mode,
            "interval": "10s",
            "target": target,
            "metrics": {"prometheus": entries},
            "slo": [
                {"name": "latency", "latency": {"below": "2s"}},
                {"name": "errors", "errors": {"atMost": "1%"}},
            ],
        },
    }
    return assemble(parse(json.dumps(document).encode(), "f.yaml"))


GATEWAY = ENTRY | {"subject": "gateway"}
REPLICAS = ENTRY | {"replicaLabel": "pod", "tokenFile": "token"}


async def test_its_replicas_are_read_as_the_entry_with_a_replica_label_is() -> None:
    config = read({"observe": True, "pools": {"stable": "x"}}, [GATEWAY, REPLICAS])
    (found,) = config.deployments
    assert found.process is None
    assert found.managed.scale_actuator == "observed"
    plan = deployment_plan(found)
    assert plan.actuators == ()
    assert plan.observed is not None
    said = plan.observed.settings
    assert (said["replica_label"], said["pool"], said["timeout_s"]) == ("pod", "x", 6.0)
    assert said["token_file"].name == "token"
    made = wiring.deployment(plan, None)
    assert list(made.actuators) == ["observed"]
    await made.actuators["observed"].close()


def test_another_place_to_read_the_replicas_from_needs_a_restart() -> None:
    before = plan_of(read({"observe": True}, [REPLICAS]))
    after = plan_of(read({"observe": True}, [REPLICAS | {"replicaLabel": "instance"}]))
    assert needs_restart(before, before) == []
    assert "reached differently" in needs_restart(before, after)[0]


@pytest.mark.parametrize(
    ("target", "entries", "mode", "words"),
    [
        ({}, [REPLICAS], "shadow", "says neither process, "),
        (
            {"observe": True, "process": {"host": "http://127.0.0.1:1"}},
            [REPLICAS],
            "shadow",
            "says both process and observe",
        ),
        ({"observe": False}, [REPLICAS], "shadow", "observe"),
        (
            {"observe": True, "envoy": {"admin": "http://127.0.0.1:1"}},
            [REPLICAS],
            "shadow",
            "take envoy out",
        ),
        ({"observe": True}, [GATEWAY], "shadow", "nothing says which replicas there are"),
        ({"observe": True}, [REPLICAS], "approve", "write mode: shadow"),
        ({"observe": True}, [REPLICAS], "auto", "write mode: shadow"),
        ({"obsrve": True}, [REPLICAS], "shadow", "did you mean 'observe'"),
    ],
)
def test_what_cannot_be_is_refused_with_its_fix(
    target: dict[str, Any], entries: list[dict[str, Any]], mode: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        read(target, entries, mode)
