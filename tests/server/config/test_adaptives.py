"""The `adaptive` section: what it comes to, what it refuses, and what holds without it."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from homeostat.base.errors import ConfigError
from homeostat.base.policy import AdaptiveMode, AdaptivePolicy
from homeostat.server.config import Config, load
from homeostat.server.snapshots import shipped


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
        ("{arms: [sac]}", "hold"),
        ("{snapshot: own.safetensors}", "add ppo to arms"),
        ("{arms: [ppo], snapshot: ''}", "snapshot"),
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


def test_a_trained_policy_as_an_arm_is_called_by_its_file(tmp_path: Path) -> None:
    found = read(tmp_path, "{arms: [hold, twin, ppo]}").managed()[0].adaptive
    assert found is not None
    assert found.mode is AdaptiveMode.SHADOW
    assert found.snapshot == hashlib.sha256(shipped().read_bytes()).hexdigest()
    (tmp_path / "own.safetensors").write_bytes(shipped().read_bytes())
    assert read(tmp_path, "{arms: [ppo], snapshot: own.safetensors}").managed()[0].adaptive == (
        replace(found, arms=("ppo",))
    )


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (None, "no such file"),
        (b"", "cannot be read"),
        (shipped().read_bytes()[:-1] + b"\0", "checksum"),
        (shipped().with_name("ppo_hash.safetensors").read_bytes(), "without guards"),
    ],
)
def test_one_that_cannot_be_an_arm_is_an_error_with_its_file_and_the_fix(
    tmp_path: Path, data: bytes | None, why: str
) -> None:
    file = tmp_path / "own.safetensors"
    if data is not None:
        file.write_bytes(data)
    with pytest.raises(ConfigError, match=why) as said:
        read(tmp_path, "{arms: [twin, ppo], snapshot: own.safetensors}")
    assert f"fraud: spec.adaptive.snapshot: {file}: " in str(said.value)
    assert "homeostat train" in str(said.value)
    # What is no arm is not opened.
    assert read(tmp_path, "{arms: [twin]}").managed()[0].adaptive is not None
