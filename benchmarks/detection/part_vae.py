"""The autoencoder beside components and PyOD's on four public machines (`detection_vae`)."""

import io
from contextlib import redirect_stdout
from typing import Any, Final

import numpy as np

from detection import peers, quoted, sets
from detection.made import Asked
from detection.rows import Found, Outcome
from detection_vae import __main__ as vae

OFF: Final = "ships off by default, with the table of decision 0010"
_MACHINES: Final = {"long": None, "short": 1, "sample": 1}
_ROWS: Final = 1500
"""Of each part of a machine in a sample."""


def added(asked: Asked) -> Outcome:
    """Return what training adds, in VUS-PR, and how far that is from PyOD's autoencoder.

    Raises:
        FileNotFoundError: The set or its scorer is not there.
    """
    size = asked.size("vae")
    paths = sets.paths("smd")[: _MACHINES[size]]
    peer = "" if asked.sample or asked.bare or not peers.can_learn() else str(peers.PYTHON)
    found: dict[str, list[float]] = {}
    said = io.StringIO()
    for path in paths:
        machine = vae.machine(path, rows=_ROWS if asked.sample else None)
        with redirect_stdout(said):
            for name, scores in vae.methods(machine, vae.Wanted(peer=peer)):
                found.setdefault(name, []).append(vae.judge().vus_pr(machine.labels, scores))
    ours = np.array(found["trained, either"])
    theirs, whose = _pyod(found, [path.stem for path in paths])
    rows = {
        "vae.adds": _row(ours, found["components"], "PCA of 90 % of the variance", len(paths)),
        "vae.peer": _row(ours, theirs, whose, len(paths)),
    }
    rows = {key: one._replace(short=size != "long") for key, one in rows.items()}
    rows["vae.adds"] = rows["vae.adds"]._replace(instead=OFF)
    heads = ["VUS-PR", *(path.stem for path in paths), "mean"]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(paths) + 1)]
    for name, each in found.items():
        cells = [f"{one:.3f}" for one in [*each, float(np.mean(each))]]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return Outcome(rows, "\n".join(lines))


def _pyod(found: dict[str, list[float]], machines: list[str]) -> tuple[list[float], str]:
    """Return PyOD's figures on machines, of this run where it can be run, and whose they are."""
    if "PyOD VAE" in found:
        return found["PyOD VAE"], "PyOD's VAE in the same run"
    return [quoted.VAE[one] for one in machines], (
        "PyOD 3.6.7's VAE as recorded (quoted; measured where `.venv-peers` has torch and tqdm)"
    )


def _row(ours: Any, theirs: list[float], whose: str, machines: int) -> Found:
    """Return how much better ours is, in VUS-PR."""
    gains = ours - np.array(theirs)
    several = len(gains) > 1
    return Found(
        float(gains.mean()),
        f"trained, either score, less {whose}; {machines} of 4 machines",
        float(gains.min()) if several else None,
        float(gains.max()) if several else None,
        of="range of machines",
        peers=f"theirs {np.mean(theirs):.3f}, ours {ours.mean():.3f}",
    )
