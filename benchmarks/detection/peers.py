"""Peers in the same run, if their own environment is there (`make bench-detection` makes it)."""

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from detection.sets import Recording

_ROOT = Path(__file__).resolve().parents[2]
PYTHON = _ROOT / ".venv-peers" / "bin" / "python"
_TITLES = {
    "river_hst": "River HalfSpaceTrees",
    "river_kswin": "River KSWIN",
    "pyod_ecod": "PyOD ECOD, fitted on the first 15 %",
    "sesd_batch": "sesd, whole series at once",
}
_ALARMS = frozenset({"river_kswin", "sesd_batch"})


class Peer(NamedTuple):
    """A peer.

    Attributes:
        title: Its name in tables.
        scores: Of each recording's rows; empty if it was timed only.
        rate: Points a second of processor time.
        alarms: It raises alarms of its own, at 0.5; else it has a score and no line.
    """

    title: str
    scores: list[Any]
    rate: float
    alarms: bool


def run(recordings: Sequence[Recording]) -> list[Peer]:
    """Return what peers say of recordings of one column; nothing if they are not installed.

    Raises:
        RuntimeError: They are installed and failed; the message has their last words.
    """
    if not PYTHON.exists():
        return []
    with tempfile.TemporaryDirectory() as folder:
        given, taken = Path(folder) / "given.npz", Path(folder) / "taken.npz"
        values = {f"values{k}": one.values[one.rows, 0] for k, one in enumerate(recordings)}
        np.savez(given, **values)
        program = Path(__file__).with_name("peers_run.py")
        done = subprocess.run(
            [PYTHON, program, given, taken], check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"peers failed: {done.stderr.strip()[-400:]}")
        with np.load(taken) as kept:
            return [_peer(kept, name, len(recordings)) for name in _TITLES]


def _peer(kept: Any, name: str, count: int) -> Peer:
    scores = [kept[f"{name}-{k}"] for k in range(count) if f"{name}-{k}" in kept.files]
    rate = float(kept[f"{name}-points"] / kept[f"{name}-seconds"])
    return Peer(_TITLES[name], scores, rate, name in _ALARMS)
