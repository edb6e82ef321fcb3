"""`homeostat train`: what is asked for, what it leaves, and that a killed run goes on as it was.

All runs share one compiled program: 8 deployments of 8 slots, 16 steps, 8 compositions.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from homeostat.base.errors import ConfigError
from homeostat.cli.exits import Exit
from homeostat.stats.arrays import from_bytes

pytest.importorskip("jax")
pytest.importorskip("optax")

SMALL = ("--environments", "8", "--length", "16", "--episodes", "8")
STEPS = 8 * 16


def asked(folder: Path, updates: int, *more: str) -> list[str]:
    out = str(folder / "policy.safetensors")
    return ["train", "--out", out, "--budget-steps", str(updates * STEPS), *SMALL, *more]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--slots", "7"), "the twin is compiled for"),
        (("--without", "weather"), "unknown family 'weather'"),
        (("--limit", "price=1"), "unknown cost 'price'"),
        (("--limit", "lost=much"), "write NAME=MEAN"),
        (("--limit", "lost=-1"), "write NAME=MEAN"),
        (("--reward", "fame"), "unknown reward 'fame'"),
        (("--resume",), "there is no run to take up"),
        (("--entropy", "nan"), "entropy_weight must be 0 or more, got nan"),
    ],
)
@pytest.mark.slow
def test_what_cannot_be_asked_for_is_refused_by_name(
    bare: Any, tmp_path: Path, wrong: tuple[str, ...], said: str
) -> None:
    result = bare(*asked(tmp_path, 1, *wrong))
    assert isinstance(result.exception, ConfigError)
    assert said in str(result.exception)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_run_that_was_left_is_not_written_over(bare: Any, tmp_path: Path) -> None:
    left = tmp_path / "policy.safetensors.run"
    left.write_bytes(b"somebody's")
    result = bare(*asked(tmp_path, 1))
    assert isinstance(result.exception, ConfigError)
    assert "take it up with --resume" in str(result.exception)
    assert left.read_bytes() == b"somebody's"


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_run_that_was_killed_ends_bit_for_bit_as_one_that_was_not(
    bare: Any, tmp_path: Path
) -> None:
    from homeostat.lab.environment_actions import NAMES  # noqa: PLC0415 - loads JAX
    from homeostat.lab.environment_seen import OBSERVATIONS  # noqa: PLC0415 - as above
    from homeostat.learn import ppo_file, ppo_policy  # noqa: PLC0415 - as above

    first, whole, killed = (tmp_path / name for name in ("first", "whole", "killed"))
    with _killed_after_the_first_checkpoint(killed):
        result = bare(*asked(first, 1), "--output", "json")
    assert result.exit_code == Exit.OK, result.exception
    said = json.loads(result.stdout)
    assert (said["updates"], said["steps"], said["seeds"]) == (1, STEPS, [0])
    assert said["reward_of_a_step"][0] < 0.0
    assert not (killed / "policy.safetensors").exists()
    left = (killed / "policy.safetensors.run").read_bytes()
    done = len(from_bytes(left, ())["arrays"]["curve"])
    assert done >= 1
    for folder, more in ((killed, ["--resume"]), (whole, [])):
        result = bare(*asked(folder, done + 2, *more))
        assert result.exit_code == Exit.OK, result.exception
    for name in ("policy.safetensors", "policy.safetensors.run", "policy.safetensors.html"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    assert (whole / "policy.safetensors.run").read_bytes() != left
    found = ppo_policy.policy((whole / "policy.safetensors").read_bytes(), OBSERVATIONS, NAMES)
    assert all(np.isfinite(leaf).all() for part in found.weights for leaf in part)
    with pytest.raises(ppo_file.PpoFileError, match=r"actions: it has \['hold'\]"):
        ppo_policy.policy((whole / "policy.safetensors").read_bytes(), OBSERVATIONS, NAMES[1:])
    refused = bare(*asked(killed, done + 3, "--reward", "hash"), "--resume")
    assert isinstance(refused.exception, ppo_file.PpoFileError)
    assert "reward_scale is 2.4, not 0.01" in str(refused.exception)


@contextmanager
def _killed_after_the_first_checkpoint(folder: Path) -> Iterator[None]:
    """Run the command beside what is done here, and end it as a machine without power would."""
    words = asked(folder, 100_000, "--checkpoint-every", "1")
    environment = {**os.environ, "XLA_FLAGS": os.environ.get("XLA_FLAGS", "")}  # compiles as here
    process = subprocess.Popen(
        [sys.executable, "-m", "homeostat", *words],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    said: list[str] = []

    def watch() -> None:
        while not (folder / "policy.safetensors.run").exists() and process.poll() is None:
            time.sleep(0.05)
        said.append("" if process.poll() is None else "it ended by itself: ")
        process.kill()
        said.append(process.communicate()[1])

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
        watcher.join()
    finally:
        process.kill()
        watcher.join()
    assert said[0] == "", "".join(said)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_acting_in_the_twin_keeps_to_the_mask_the_bounds_and_the_length() -> None:
    from homeostat.cli.train_run import Asked, config_of  # noqa: PLC0415 - loads JAX
    from homeostat.lab import environment_draw  # noqa: PLC0415 - as above
    from homeostat.lab.environment import Deployment, world_of  # noqa: PLC0415 - as above
    from homeostat.learn.ppo import Trainer  # noqa: PLC0415 - as above
    from homeostat.twin.program import OPTIONS  # noqa: PLC0415 - as above

    config = config_of(Asked(
        out=Path("x"), budget_steps=1, seeds=(0,), environments=8, length=16, episodes=8, slots=8,
        hours=1, reward="level", entropy=0.01, hash_rate=False, unguarded=False, without=(),
        limits=(), resume=False, every=1,
    ))  # fmt: skip
    drawn = environment_draw.episodes(8, known=(), slots=8, length_s=150)
    trainer = Trainer(Deployment(world=world_of(drawn)), config, OPTIONS)
    learner = trainer.begin((5,))
    acting, rollout = trainer._act(trainer.environment.world, learner.weights, learner.acting)
    found = {name: np.asarray(value)[0] for name, value in rollout._asdict().items()}
    allowed = np.take_along_axis(found["mask"], found["action"][..., None], axis=-1)
    assert allowed.all()
    assert int(acting.tally.refused[0]) == 0
    assert np.abs(found["numbers"]).max() <= 1.0
    size = len(trainer.environment.observations) // 2
    bits = found["numbers"][..., size:]
    assert (found["numbers"][..., :size][bits == 0.0] == 0.0).all()
    arrivals = trainer.environment.observations.index("known:arrivals")
    # A scrape is seen after every step but at the beginning of an episode, which is 10 steps long.
    assert not found["numbers"][[0, 10], :, arrivals].any()
    assert found["numbers"][1:10, :, arrivals].mean() > 0.8
    assert (found["mask"][[0, 10]].sum(axis=-1) == 2).all()
    assert np.flatnonzero(found["over"].all(axis=1)).tolist() == [9]
    assert not found["ended"].any()
    assert int(acting.tally.episodes[0]) == 8
    reward = found["reward"][..., 0] / config.reward_scale
    assert (reward < 0.0).all()
    assert (reward > -(10.0 + 5.0 + 50.0) * 15.0 / 3600.0 - 0.1).all()
    assert float(acting.tally.reward[0]) == pytest.approx(reward.sum(), rel=1e-4)
