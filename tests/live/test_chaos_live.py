"""The short form of `make chaos`: ninety seconds of kills on the real parts, and nothing unsafe."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "server"))
sys.path.insert(0, str(Path(__file__).parents[1] / "demo"))
sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "stores"))

import chaos_judge as judge
import chaos_stage
from chaos_socket import PLANTED

HERE = Path(__file__).parent
WHY = chaos_stage.missing()
pytestmark = [
    pytest.mark.alone,
    pytest.mark.live,
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(WHY), reason=WHY),
]


def played(folder: Path, *more: str) -> tuple[int, dict[str, Any]]:
    words = ["--minutes", "1.5", "--seed", "1", "--output", "json", "--keep", str(folder), *more]
    done = subprocess.run(
        [sys.executable, str(HERE / "chaos.py"), *words],
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.stdout, done.stderr[-3000:]
    return done.returncode, json.loads(done.stdout)


def test_ninety_seconds_in_which_every_part_breaks_show_no_unsafe_act(tmp_path: Path) -> None:
    code, plain = played(tmp_path / "run")
    assert plain["verdict"] == "safe", plain
    assert code == 0
    assert plain["broken"]["leader kill"] + plain["broken"].get("leader stop", 0) >= 1
    assert plain["acts"]["taken out, ill"] >= 1
    assert plain["acts"]["landed"] >= 2


def test_one_write_that_no_controller_meant_is_found(tmp_path: Path) -> None:
    code, plain = played(tmp_path / "run", "--plant")
    assert plain["verdict"] == "unsafe", plain
    assert code == 1
    assert any(PLANTED in said for said in plain["unsafe"][judge.NO_INTENT]), plain
