"""Plays recordings through the shipped stack, side by side, and keeps what was said.

What was said is kept in `build/`, under a digest of the data and of our code that is loaded (it is
what says it), so that scoring again is cheap and never scores an older detector. How long it took
is not kept: a rate stands beside those of peers, and is of the run that made them.
"""

import hashlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from detection.sets import Recording
from homeostat.detect.stack import Stack, StackConfig
from homeostat.detect.stack_play import play

_ROOT = Path(__file__).resolve().parents[2]
_KEPT = _ROOT / "build" / "bench-detection"


class Said(NamedTuple):
    """What was said of one recording's scored rows, `[row]`, and the seconds of computing."""

    score: Any
    evidence: Any
    alarm: Any


class Run(NamedTuple):
    """What was said of a set.

    Attributes:
        said: For each recording.
        seconds: Processor time of playing, all recordings together; None where what was said
            is from an earlier run.
        points: Values that were played.
    """

    said: list[Said]
    seconds: float | None
    points: int


def run(name: str, recordings: Sequence[Recording], *, again: bool = False) -> Run:
    """Return what the shipped stack says, from what was kept if nothing has changed."""
    path = _KEPT / f"{name}-{_digest(recordings)}.npz"
    if path.exists() and not again:
        with np.load(path) as kept:
            return _kept(kept, len(recordings))
    began = time.process_time()
    said = played(recordings, show=True)
    done = Run(said, time.process_time() - began, sum(one.values.size for one in recordings))
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {
        f"{field}{k}": getattr(one, field) for k, one in enumerate(said) for field in Said._fields
    }
    np.savez_compressed(path, points=done.points, **arrays)
    return done


def played(
    recordings: Sequence[Recording], *, show: bool = False, config: StackConfig | None = None
) -> list[Said]:
    """Return what the stack says of each recording; one setting for all, no labels.

    Args:
        recordings: To play side by side.
        show: How far it is.
        config: Its settings; None as it ships.

    Raises:
        ValueError: There is no recording, or they differ in how many columns they have.
    """
    widths = {one.values.shape[1] for one in recordings}
    if len(widths) != 1:
        raise ValueError(
            f"need recordings with as many columns as each other, got {sorted(widths) or 'none'}"
        )
    columns = recordings[0].values.shape[1]
    ticks = max(len(one.values) for one in recordings)
    table = np.full((ticks, len(recordings), columns), np.nan)
    for entity, one in enumerate(recordings):
        table[: len(one.values), entity] = one.values
    progress = _progress(ticks) if show else None
    said = play(Stack(config), table, progress=progress).said
    out = []
    for entity, one in enumerate(recordings):
        # Where nothing is known there is no score; the judge takes numbers only, so 0.
        score = np.nan_to_num(said.anomaly_score[one.rows, entity])
        evidence = np.nan_to_num(said.neg_log10_p[one.rows, entity])
        out.append(Said(score, evidence, said.alarm[one.rows, entity]))
    return out


def _progress(ticks: int) -> Any:
    def show(done: int) -> None:
        print(f"\r  {done:,} of {ticks:,} ticks", end="", file=sys.stderr, flush=True)
        if done == ticks:
            print(file=sys.stderr)

    return show


def _kept(kept: Any, count: int) -> Run:
    said = [Said(*(kept[f"{field}{k}"] for field in Said._fields)) for k in range(count)]
    return Run(said, None, int(kept["points"]))


def _digest(recordings: Sequence[Recording]) -> str:
    total = hashlib.sha256()
    loaded = (name for name in sys.modules if name.startswith("homeostat."))
    for name in sorted(loaded):
        path = sys.modules[name].__file__
        total.update(name.encode() + (Path(path).read_bytes() if path else b""))
    for one in recordings:
        total.update(one.name.encode() + np.ascontiguousarray(one.values).tobytes())
        total.update(np.asarray(one.rows).tobytes())
    return total.hexdigest()[:16]
