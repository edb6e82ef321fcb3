"""Which seed is kept: judged by what none was trained in, written with all that it was made of."""

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from homeostat.base.errors import ConfigError
from homeostat.cli.exits import Exit

pytest.importorskip("jax")

CONFIG = {
    "environments": 16, "length": 64, "hidden": [16, 16], "entropy_weight": 0.05,
    "hash_rate": {"beta": 0.1}, "limits": [{"name": "lost", "most": 0.001}],
}  # fmt: skip
EPISODES = {"compositions": 32, "slots": 8, "length_s": 7200, "without": ["load"], "from_seed": 0}


def said(**changes: Any) -> dict[str, Any]:
    reward = {"kind": "hash"}
    found = {"config": CONFIG, "seeds": [3, 4], "episodes": EPISODES, "reward": reward}
    return found | {"rules": {"guarded": False}} | changes


@pytest.mark.slow
def test_the_command_in_a_manifest_asks_for_the_run_that_it_is_of(bare: Any) -> None:
    from homeostat.cli.lab_choose_run import command_of  # noqa: PLC0415 - loads JAX

    command = command_of(said(), 10)
    words = shlex.split(command)
    assert words[:2] == ["homeostat", "train"]
    pairs = dict(zip(words[2:], [*words[3:], ""], strict=True))
    wanted = {
        "--budget-steps": "10240", "--seeds": "2", "--first-seed": "3", "--environments": "16",
        "--length": "64", "--episodes": "32", "--slots": "8", "--hours": "2", "--reward": "hash",
        "--entropy": "0.05", "--without": "load", "--limit": "lost=0.001",
    }  # fmt: skip
    assert {name: pairs[name] for name in wanted} == wanted
    assert {"--hash-rate", "--unguarded"} <= set(words)
    plain = command_of(
        said(rules={"guarded": True}, config=CONFIG | {"hash_rate": None, "entropy_weight": 0.01}),
        1,
    )
    assert not {"--hash-rate", "--unguarded", "--entropy"} & set(shlex.split(plain))
    # Every word of it is one that the command knows.
    assert bare(*words[1:], "--help").exit_code == Exit.OK


@pytest.mark.slow
def test_what_cannot_be_judged_is_refused_by_name(bare: Any, tmp_path: Path) -> None:
    from homeostat.learn.ppo_file import PpoFileError  # noqa: PLC0415 - loads JAX

    gone = bare("lab", "choose", str(tmp_path / "gone"))
    assert isinstance(gone.exception, ConfigError)
    assert "gone: it cannot be read" in str(gone.exception)
    (tmp_path / "text").write_bytes(b"no policy")
    assert isinstance(bare("lab", "choose", str(tmp_path / "text")).exception, PpoFileError)


@pytest.mark.slow
def test_the_best_is_the_one_with_the_most_gained_and_its_interval_holds_it() -> None:
    from homeostat.lab.learned_choose import Judged  # noqa: PLC0415 - loads JAX

    chance = np.random.default_rng(0)
    hold = chance.normal(size=40)
    value = hold + np.array([[0.0], [2.0], [-1.0]]) + 0.1 * chance.normal(size=(3, 40))
    found = Judged(value, hold, np.zeros((3, 40), bool))
    assert found.best == 1
    for gain, (low, high) in zip(found.gain, found.spans(), strict=True):
        assert low < gain < high
        assert high - low < 0.2
    same = Judged(np.stack([hold, hold]), hold, np.zeros((2, 40), bool))
    assert (same.best, same.gain.tolist()) == (0, [0.0, 0.0])
