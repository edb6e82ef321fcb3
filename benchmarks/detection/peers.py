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
    "pyod_ecod_trained": "PyOD ECOD of the training part",
    "pyod_pca_trained": "PyOD PCA of the training part",
    "robust_z": "robust z of the training part, 5 worst",
}
_ALARMS = frozenset({"river_kswin", "sesd_batch"})
_ONE = ("river_hst", "river_kswin", "pyod_ecod")
_SEVERAL = ("pyod_ecod_trained", "pyod_pca_trained", "robust_z")
TIMED = ("river_hst", "river_kswin", "pyod_ecod", "sesd_batch")


class Peer(NamedTuple):
    """A peer.

    Attributes:
        title: Its name in tables.
        scores: Of each recording's scored rows.
        alarms: It raises alarms of its own, at 0.5; else it has a score and no line.
    """

    title: str
    scores: list[Any]
    alarms: bool


class Rates(NamedTuple):
    """How fast peers are.

    Attributes:
        rates: Points a second of processor time, of each repeat, by title.
        versions: Of the packages, in words.
    """

    rates: dict[str, list[float]]
    versions: str


def run(recordings: Sequence[Recording], *, only: Sequence[str] = _ONE) -> list[Peer]:
    """Return what peers say of recordings of one column; nothing if they are not installed.

    Raises:
        RuntimeError: They are installed and failed; the message has their last words.
    """
    given = {f"values{k}": one.read.values[:, 0] for k, one in enumerate(recordings)}
    return _said(given, recordings, only)


def run_several(recordings: Sequence[Recording]) -> list[Peer]:
    """Return what peers say of recordings of several columns, each fitted on the part before.

    Raises:
        RuntimeError: As above.
    """
    given: dict[str, Any] = {}
    for k, one in enumerate(recordings):
        given[f"values{k}"] = one.read.values
        given[f"first{k}"] = np.array(one.read.first)
    return _said(given, recordings, _SEVERAL)


def rates(values: Sequence[Any], *, repeats: int) -> Rates | None:
    """Return how fast peers judge series of one column; None if they are not installed.

    Args:
        values: Of each series, `[row]`.
        repeats: Each peer goes through all so many times.

    Raises:
        RuntimeError: As above.
    """
    given = {f"values{k}": one for k, one in enumerate(values)}
    taken = _taken(given, ["--timed", str(repeats), *TIMED])
    if taken is None:
        return None
    return Rates({_TITLES[name]: taken[name].tolist() for name in TIMED}, str(taken["versions"]))


def can_learn() -> bool:
    """Return whether PyOD's autoencoder can be run: the peers' lock is without what it needs."""
    if not PYTHON.exists():
        return False
    wanted = "import pyod, torch, tqdm"
    return not subprocess.run(
        [str(PYTHON), "-c", wanted], check=False, capture_output=True
    ).returncode


def _said(
    given: dict[str, Any], recordings: Sequence[Recording], only: Sequence[str]
) -> list[Peer]:
    taken = _taken(given, only)
    if taken is None:
        return []
    return [
        Peer(
            _TITLES[name],
            [taken[f"{name}-{k}"][one.read.first :] for k, one in enumerate(recordings)],
            name in _ALARMS,
        )
        for name in only
    ]


def _taken(given: dict[str, Any], words: Sequence[str]) -> dict[str, Any] | None:
    if not PYTHON.exists():
        return None
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder) / "given.npz", Path(folder) / "taken.npz"
        np.savez(first, **given)
        program = Path(__file__).with_name("peers_run.py")
        done = subprocess.run(
            [str(PYTHON), str(program), str(first), str(second), *words],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"peers failed: {done.stderr.strip()[-400:]}")
        with np.load(second) as kept:
            return {name: kept[name] for name in kept.files}
