"""River's change detectors on what `tests/detect` measures ours on; prints the quoted figures.

Run with the peers' Python (`make bench-detection` makes it), which has River and NumPy and not us:

    .venv-peers/bin/python benchmarks/drift_peers.py ../shared/data/drift_streams/sea_big.csv

The drawing of streams is that of tests/detect/test_drift_streams.py, number for number.
"""

import importlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

FITTED, BEFORE, AFTER, RUNS = 1000, 5000, 6000, 60
CONCEPTS = [(8.0, 9.0), (9.0, 7.0), (7.0, 9.5)]
CHANGES = [(1.0, 1.0), (2.0, 1.0), (8.0, 1.0), (0.0, 3.0), (0.0, 0.5), (0.0, 0.25)]
HEALTHY, SERIES, TICKS = 300, 40, 600


def alarms(kind: str, values: Iterable[float]) -> list[int]:
    """Return at which ticks, from 1, a detector of River alarms."""
    detector = getattr(importlib.import_module("river.drift"), kind)()
    found = []
    for tick, value in enumerate(values, start=1):
        detector.update(float(value))
        if detector.drift_detected:
            found.append(tick)
    return found


def errors(rows: Any, old: float, new: float) -> Any:
    """Return the errors of models fitted to the old concept, `[run, row]`."""
    attributes, rng, total, out = rows[:, :3], np.random.default_rng(1), FITTED + BEFORE + AFTER, []
    noise = (rows[:, 0] + rows[:, 1] <= 9.0) != (rows[:, 3] == 1.0)
    noise = noise if noise.mean() < 0.5 else ~noise
    for _ in range(RUNS):
        drawn = rng.permutation(len(rows))[:total]
        x, threshold = attributes[drawn], np.where(np.arange(total) < FITTED + BEFORE, old, new)
        label = (x[:, 0] + x[:, 1] <= threshold) ^ noise[drawn]
        design = np.column_stack([np.ones(total), x])
        weights = np.linalg.lstsq(design[:FITTED], 2.0 * label[:FITTED] - 1.0, rcond=None)[0]
        out.append((design @ weights > 0.0) != label)
    return np.array(out)[:, FITTED:]


def report(kind: str, name: str, streams: Any, onset: int) -> None:
    """Print the median delay of first alarms after the onset, and the alarms before it."""
    each = [alarms(kind, stream) for stream in streams]
    after = [[tick - onset for tick in found if tick > onset] for found in each]
    delay = np.median([found[0] if found else np.inf for found in after])
    false = sum(tick <= onset for found in each for tick in found)
    share, more = np.mean([bool(found) for found in after]), np.mean([len(f) for f in after])
    print(
        f"{kind:12} {name:24} after {delay:6.0f}, found {share:4.0%}, "
        f"{more:.2f} alarms after, {false} before"
    )


def noises(rng: Any) -> dict[str, Any]:
    """Return healthy streams `[series, tick]` by kind of noise."""
    shape = (20, 3000)
    correlated = rng.standard_normal(shape)
    for tick in range(1, shape[1]):
        own = np.sqrt(1.0 - 0.81) * correlated[:, tick]
        correlated[:, tick] = 0.9 * correlated[:, tick - 1] + own
    return {
        "normal": rng.standard_normal(shape),
        "t4": rng.standard_t(4, shape),
        "lognormal": np.exp(rng.standard_normal(shape)),
        "correlated": correlated,
    }


def main() -> None:
    """Print all tables."""
    rows = np.loadtxt(Path(sys.argv[1]), delimiter=",", skiprows=1)
    for old, new in CONCEPTS:
        report("ADWIN", f"SEA {old:g} to {new:g}", errors(rows, old, new), BEFORE)
    for kind in ("ADWIN", "PageHinkley"):
        for level, spread in CHANGES:
            values = np.random.default_rng(1).standard_normal((SERIES, HEALTHY + TICKS))
            values[:, HEALTHY:] = level + spread * values[:, HEALTHY:]
            report(kind, f"level {level:+g}, spread x{spread:g}", values, HEALTHY)
        for name, streams in noises(np.random.default_rng(2)).items():
            false = sum(len(alarms(kind, stream)) for stream in streams)
            print(f"{kind:12} {name:24} {false} alarms in {streams.size} healthy ticks")


if __name__ == "__main__":
    main()
