"""Trained policies as files: read, kept beside the journal, found again."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from homeostat.base.errors import ConfigError, StoreError
from homeostat.base.policy import AdaptivePolicy
from homeostat.learn import ppo_bytes
from homeostat.policy.trained_menu import MENU
from homeostat.policy.trained_numbers import OBSERVATIONS
from homeostat.server import snapshots
from homeostat.stats.arrays import to_bytes
from homeostat.testing import build


def file(seeds: int = 1, *, arrays: Any = None, **changes: Any) -> bytes:
    """Return the file of a policy that nobody trained, of sixteen and sixteen."""
    chance, widths = np.random.default_rng(5), (len(OBSERVATIONS), 16, 16, len(MENU))
    stored = {}
    for number in range(3):
        shape = (seeds, widths[number], widths[number + 1])
        stored[f".policy[{2 * number}]"] = chance.normal(size=shape).astype(np.float32)
        stored[f".policy[{2 * number + 1}]"] = np.zeros((seeds, shape[2]), np.float32)
    stored |= arrays or {}
    run = {
        "observations": list(OBSERVATIONS),
        "actions": list(MENU),
        "seeds": list(range(seeds)),
        "rules": {"granted": ["batch_up"], "guarded": True},
    }
    said = {
        "kind": ppo_bytes.KIND,
        "version": ppo_bytes.VERSION,
        "sha256": ppo_bytes.total(stored),
        "types": {},
        "run": run | changes,
    }
    return to_bytes({"manifest": json.dumps(said), "arrays": stored})


def test_a_policy_is_called_by_its_file_and_computes_what_its_weights_say(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    path.write_bytes(file())
    digest = snapshots.read(path)
    assert digest == hashlib.sha256(file()).hexdigest()
    found = snapshots.known(digest)
    assert found is not None
    assert found.granted == {"batch_up"}
    arrays = ppo_bytes.opened(file())[1]
    x = np.ones(len(OBSERVATIONS))
    for number in (0, 2):
        x = np.tanh(x @ arrays[f".policy[{number}]"][0].astype(np.float64))
    np.testing.assert_allclose(found.logits([1.0] * len(OBSERVATIONS)), x @ arrays[".policy[4]"][0])


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (file(2), "several seeds"),
        (file(seeds=1, observations=["load"]), "other observations"),
        (file(seeds=1, actions=list(MENU[::-1])), "other actions"),
        (file(seeds=1, rules={"granted": [], "guarded": False}), "without guards"),
        (file(seeds=1, rules=None), "what it was let do"),
        (file(arrays={".policy[5]": np.zeros((1, 3), np.float32)}), "does not fit|has 3 actions"),
        (file(arrays={".policy[2]": np.full((1, 16, 16), np.nan, np.float32)}), "no number"),
        (b"\xff" * 64, "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_what_cannot_be_an_arm_is_refused_with_file_reason_and_fix(
    tmp_path: Path, data: bytes, why: str
) -> None:
    path = tmp_path / "own.safetensors"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=why) as said:
        snapshots.read(path)
    assert str(path) in str(said.value)
    assert "homeostat train" in str(said.value)


def test_a_file_that_is_no_file_or_far_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        snapshots.read(tmp_path)
    monkeypatch.setattr(snapshots, "MOST_BYTES", 10)
    (tmp_path / "large").write_bytes(file())
    with pytest.raises(ConfigError, match="are no policy"):
        snapshots.read(tmp_path / "large")


def test_where_the_one_that_ships_is_damaged_the_fix_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "shipped", lambda: tmp_path / "ppo.safetensors")
    with pytest.raises(ConfigError, match=r"take ppo out of spec\.adaptive\.arms"):
        snapshots.read(None)


def test_a_copy_is_kept_beside_the_journal_and_found_when_the_file_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "own.safetensors"
    path.write_bytes(file())
    digest = snapshots.read(path)
    adaptive = AdaptivePolicy(arms=("ppo",), snapshot=digest)
    one = build.managed(adaptive=adaptive)
    snapshots.keep(tmp_path, [one, build.managed()])
    kept = list((tmp_path / snapshots.FOLDER).iterdir())
    assert [found.name for found in kept] == [f"{digest}.safetensors"]
    path.unlink()
    monkeypatch.setattr(snapshots, "_KEPT", {})
    with pytest.raises(StoreError, match=digest):
        snapshots.require([one])
    snapshots.recall(tmp_path)
    snapshots.require([one, build.managed()])


def test_a_damaged_copy_opens_nothing_and_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / snapshots.FOLDER
    folder.mkdir()
    (folder / "0.safetensors").write_bytes(file()[:-2])
    monkeypatch.setattr(snapshots, "_KEPT", {})
    snapshots.recall(tmp_path)
    digest = hashlib.sha256(file()).hexdigest()
    missing = replace(build.managed(), adaptive=AdaptivePolicy(snapshot=digest))
    with pytest.raises(StoreError, match="put its file into snapshots/"):
        snapshots.require([missing])
    assert (folder / "0.safetensors").is_file()
