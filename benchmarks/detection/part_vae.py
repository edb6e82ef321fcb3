"""What the autoencoder adds over components on four public machines (`detection_vae`)."""

import io
from contextlib import redirect_stdout
from typing import Final

import numpy as np

from detection import sets
from detection.made import Asked
from detection.rows import Found, Outcome
from detection_vae import __main__ as vae

OFF: Final = "ships off by default, with the table of decision 0010"
_MACHINES: Final = {"long": None, "short": 1, "sample": 1}
_ROWS: Final = 1500
"""Of each part of a machine in a sample."""


def added(asked: Asked) -> Outcome:
    """Return what training adds, in VUS-PR.

    Raises:
        FileNotFoundError: The set or its scorer is not there.
    """
    size = asked.size("vae")
    paths = sets.paths("smd")[: _MACHINES[size]]
    found: dict[str, list[float]] = {}
    said = io.StringIO()
    for path in paths:
        machine = vae.machine(path, rows=_ROWS if asked.sample else None)
        with redirect_stdout(said):
            for name, scores in vae.methods(machine, vae.Wanted()):
                found.setdefault(name, []).append(vae.judge().vus_pr(machine.labels, scores))
    gains = np.array(found["trained, either"]) - np.array(found["components"])
    several = len(gains) > 1
    row = Found(
        float(gains.mean()),
        f"trained, either score, less PCA of 90 % of the variance; {len(paths)} of 4 machines",
        float(gains.min()) if several else None,
        float(gains.max()) if several else None,
        of="range of machines",
        peers=f"PCA {np.mean(found['components']):.3f}, ours "
        f"{np.mean(found['trained, either']):.3f}; PyOD's VAE .511 on all four (quoted)",
        short=size != "long",
        instead=OFF,
    )
    heads = ["VUS-PR", *(path.stem for path in paths), "mean"]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(paths) + 1)]
    for name, each in found.items():
        cells = [f"{one:.3f}" for one in [*each, float(np.mean(each))]]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return Outcome({"vae.adds": row}, "\n".join(lines))
