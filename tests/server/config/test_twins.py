"""The `twin` section: what it comes to, what it refuses, and that without it there is no twin."""

import json
from pathlib import Path
from typing import Any

import pytest

from homeostat.base.errors import ConfigError
from homeostat.base.policy import TwinPolicy
from homeostat.base.units import HOUR, SECOND
from homeostat.server import wiring
from homeostat.server.clock import Clock
from homeostat.server.config import load
from homeostat.server.planning import needs_restart, plan_of

SPEC: dict[str, Any] = {
    "interval": "1s",
    "target": {"process": {"host": "http://127.0.0.1:1"}},
    "metrics": {"scrape": [{"fromReplicas": True, "preset": "homeostat_instrument"}]},
    "slo": [
        {"name": "latency", "latency": {"below": "250ms"}},
        {"name": "errors", "errors": {"atMost": "1%"}},
    ],
}


def file(folder: Path, twin: dict[str, Any] | None) -> Path:
    spec = SPEC if twin is None else SPEC | {"twin": twin}
    document = {
        "apiVersion": "homeostat.dev/v1alpha1",
        "kind": "ManagedModel",
        "metadata": {"name": "fraud"},
        "spec": spec,
    }
    path = folder / "model.json"
    path.write_text(json.dumps(document))
    return path


def test_without_the_section_there_is_no_twin(tmp_path: Path) -> None:
    config = load([file(tmp_path, None)])
    assert config.managed()[0].twin is None
    assert config.deployments[0].twin is None
    assert wiring.twins(plan_of(config), Clock().now) is None


def test_the_section_says_where_the_fit_is_and_how_far_it_is_believed(tmp_path: Path) -> None:
    said = {
        "fit": "fits/fraud.json", "check": "fits/check.json", "maxAge": "48h", "horizon": "10m",
        "draws": 32, "deadline": "4s", "goodFor": "20s",
        "assume": {"timeout_s": 2, "load_s": [10, 20]},
    }  # fmt: skip
    config = load([file(tmp_path, said)])
    assert config.managed()[0].twin == TwinPolicy(
        draws=32, horizon_ns=600 * SECOND, deadline_ns=4 * SECOND, good_ns=20 * SECOND
    )
    plan = config.deployments[0].twin
    assert plan is not None
    assert (plan.fit, plan.check) == (
        tmp_path / "fits" / "fraud.json",
        tmp_path / "fits" / "check.json",
    )
    assert plan.assume == (("load_s", 10.0, 20.0), ("timeout_s", 2.0, 2.0))
    assert (plan.oldest_ns, plan.draws) == (48 * HOUR, 32)
    # What the core keeps is as the policy's defaults where nothing is said.
    assert load([file(tmp_path, {"fit": "f"})]).managed()[0].twin == TwinPolicy()


@pytest.mark.parametrize(
    ("twin", "says"),
    [
        ({}, "fit"),
        ({"fit": "f", "draws": 12}, "draws"),
        ({"fit": "f", "horizon": "2h"}, "horizon"),
        ({"fit": "f", "assume": {"timeout": 2}}, "timeout_s"),
        ({"fit": "f", "assume": {"timeout_s": [3, 2]}}, "no range"),
        ({"fit": "f", "trust": True}, "trust"),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path: Path, twin: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load([file(tmp_path, twin)])


def test_a_fit_that_is_not_there_stops_the_start_and_not_the_first_question(tmp_path: Path) -> None:
    plan = plan_of(load([file(tmp_path, {"fit": "nowhere.json"})]))
    with pytest.raises(ConfigError, match=r"nowhere\.json.*check the name"):
        wiring.twins(plan, Clock().now)


def test_another_fit_needs_a_restart_and_another_deadline_does_not(tmp_path: Path) -> None:
    first = plan_of(load([file(tmp_path, {"fit": "a.json"})]))
    sooner = plan_of(load([file(tmp_path, {"fit": "a.json", "deadline": "2s"})]))
    other = plan_of(load([file(tmp_path, {"fit": "b.json"})]))
    assert needs_restart(first, sooner) == []
    assert "twin" in needs_restart(first, other)[0]
