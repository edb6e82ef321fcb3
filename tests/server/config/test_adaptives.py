"""The `adaptive` section: what it comes to, what it refuses, and what holds without it."""

import json
from pathlib import Path
from typing import Any

import pytest

from homeostat.base.errors import ConfigError
from homeostat.base.policy import AdaptiveMode, AdaptivePolicy
from homeostat.server.config import Config, load


def read(folder: Path, adaptive: str | None) -> Config:
    spec: dict[str, Any] = {
        "interval": "1s",
        "target": {"process": {"host": "http://127.0.0.1:1"}},
        "metrics": {"scrape": [{"fromReplicas": True, "preset": "homeostat_instrument"}]},
        "slo": [
            {"name": "latency", "latency": {"below": "250ms"}},
            {"name": "errors", "errors": {"atMost": "1%"}},
        ],
    }
    document = {
        "apiVersion": "homeostat.dev/v1alpha1",
        "kind": "ManagedModel",
        "metadata": {"name": "fraud"},
        "spec": spec,
    }
    path = folder / "model.yaml"
    text = json.dumps(document)
    if adaptive is not None:
        text = f'{text[:-2]}, "adaptive": {adaptive}}}}}'
    path.write_text(text)
    return load([path])


def test_without_the_section_a_learner_is_heard_in_shadow_and_never_followed(
    tmp_path: Path,
) -> None:
    found = read(tmp_path, None).managed()[0].adaptive
    assert found == AdaptivePolicy()
    assert found.mode is AdaptiveMode.SHADOW


@pytest.mark.parametrize(
    ("said", "mode"),
    [("on", AdaptiveMode.ON), ("off", AdaptiveMode.OFF), ('"on"', AdaptiveMode.ON),
     ("shadow", AdaptiveMode.SHADOW)],
)  # fmt: skip
def test_on_and_off_mean_what_they_say_with_and_without_quotes(
    tmp_path: Path, said: str, mode: AdaptiveMode
) -> None:
    found = read(tmp_path, f"{{mode: {said}}}").managed()[0].adaptive
    assert found is not None
    assert found.mode is mode


def test_what_is_said_is_what_the_core_sees_and_no_setting_of_the_guards(tmp_path: Path) -> None:
    said = (
        "{mode: on, arms: [twin], limits: {missed: 5%, failed: 1%, holds: 0}, doubt: 0.5, "
        "delta: 0.01, explore: 0}"
    )
    found, plain = read(tmp_path, said).managed()[0], read(tmp_path, None).managed()[0]
    assert found.adaptive == AdaptivePolicy(
        mode=AdaptiveMode.ON, arms=("twin",), missed=0.05, failed=0.01, doubt=0.5, delta=0.01,
        explore=0.0, holds=0,
    )  # fmt: skip
    assert found.policy_digest == plain.policy_digest
    assert found.guard == plain.guard


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("{mode: auto}", "shadow"),
        ("{arms: [ppo]}", "hold"),
        ("{arms: [hold, hold]}", "once"),
        ("{limits: {missed: 2}}", "missed"),
        ("{limits: {errors: 1%}}", "errors"),
        ("{doubt: 0}", "doubt"),
        ("{explore: 0.9}", "explore"),
        ("{learn: true}", "learn"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_key(tmp_path: Path, said: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        read(tmp_path, said)
