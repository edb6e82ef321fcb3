"""The format of a vLLM engine's sampled log, as a frame: what is served are tokens.

A sample's generation throughput belongs to the number of sequences that ran; a decoding step of n
sequences takes tau0 + alpha n and yields n tokens. Prompts are worked off between decoding steps,
which slows some samples down: that is part of the law's mean, and of its spread.
Columns as published with BurstGPT (Wang et al. 2024, arXiv:2401.17644).
"""

import hashlib
from typing import Final

import numpy as np

from homeostat.twin.fit_frame import FitInputError, Frame, frame

_COLUMNS: Final = {
    "generation_throughput": "throughput",
    "num_running": "running",
    "num_pending": "queue",
}


def from_log(data: bytes, file: str) -> Frame:
    """Return the frame of one run of a single engine.

    Args:
        data: The file's bytes; its first line must name the columns.
        file: Its name, for messages.

    Raises:
        FitInputError: A column is missing or a value is no number.
    """
    lines = data.decode("utf-8", errors="replace").splitlines()
    names = [cell.strip() for cell in lines[0].split(",")] if lines else []
    for name in ("timestamp", *_COLUMNS):
        if name not in names:
            raise FitInputError(file, 1, name, "missing; this is no log of a vLLM engine")
    try:
        table = np.asarray([[float(cell) for cell in line.split(",")] for line in lines[1:]])
    except ValueError as error:
        raise FitInputError(file, 2, "", f"a row is cut or holds no number ({error})") from error
    table = table.reshape(-1, len(names))
    return frame(
        source=file,
        sha256=hashlib.sha256(data).hexdigest(),
        unit="token",
        time_s=table[:, names.index("timestamp")],
        columns={ours: table[:, names.index(theirs)] for theirs, ours in _COLUMNS.items()}
        | {"replicas": np.ones(len(table))},
    )
