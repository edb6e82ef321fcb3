"""Peers on recordings: run by the Python of `.venv-peers`, which has nothing of ours.

`python peers_run.py IN.npz OUT.npz NAME...`: IN holds `values0`, `values1`, ... in time order, and
`first0`, ... where only rows from there on are judged and those before are to be learnt from; OUT
scores of each row for each peer and recording (`river_hst-0`), those of one column in [0, 1].
`--timed REPEATS NAME...` instead: points per second of each repeat, and the versions.

Every peer is as its documentation starts it; none sees a label or the future, but S-H-ESD, which is
a batch method and is timed only.
"""

import sys
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

# The share of a recording that the Numenta benchmark does not score, for those that must be fitted.
_FIT = 0.15
_WINDOW = 10
_WORST = 5
# Slow peers are timed on so many rows of each recording.
_TIMED = 4032
_PACKAGES = ("river", "pyod", "sesd", "numpy")


def river_hst(values: Any) -> Any:
    from river import anomaly, compose, preprocessing  # type: ignore[import-not-found]  # noqa: PLC0415 - elsewhere

    model = compose.Pipeline(preprocessing.MinMaxScaler(), anomaly.HalfSpaceTrees(seed=0))
    out = np.empty(len(values))
    for row, value in enumerate(values):
        out[row] = model.score_one({"value": value})
        model.learn_one({"value": value})
    return np.clip(out, 0.0, 1.0)


def river_kswin(values: Any) -> Any:
    from river import drift  # noqa: PLC0415 - elsewhere

    model, out = drift.KSWIN(seed=0), np.zeros(len(values))
    for row, value in enumerate(values):
        model.update(float(value))
        out[row] = float(model.drift_detected)
    return out


def pyod_ecod(values: Any) -> Any:
    from pyod.models.ecod import ECOD  # type: ignore[import-not-found]  # noqa: PLC0415 - elsewhere

    padded = np.concatenate([np.full(_WINDOW - 1, values[0]), values])
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)
    first = max(int(_FIT * len(values)), 2 * _WINDOW)
    model = ECOD()
    model.fit(windows[:first])
    score = np.maximum(model.decision_function(windows), 0.0)
    return score / (score + float(np.quantile(model.decision_scores_, 0.99)) + 1e-12)


def sesd_batch(values: Any) -> Any:
    import sesd  # type: ignore[import-not-found]  # noqa: PLC0415 - elsewhere

    found = sesd.seasonal_esd(values[:_TIMED], periodicity=288, hybrid=True, max_anomalies=20)
    out = np.zeros(len(values))
    out[found] = 1.0
    return out


def pyod_ecod_trained(values: Any, first: int) -> Any:
    from pyod.models.ecod import ECOD  # noqa: PLC0415 - elsewhere

    model = ECOD()
    model.fit(values[:first])
    return model.decision_function(values)


def pyod_pca_trained(values: Any, first: int) -> Any:
    from pyod.models.pca import PCA  # type: ignore[import-not-found]  # noqa: PLC0415 - elsewhere

    moving = values[:, values[:first].std(axis=0) > 0.0]
    model = PCA(random_state=0)
    model.fit(moving[:first])
    return model.decision_function(moving)


def robust_z(values: Any, first: int) -> Any:
    """Return the mean of the five largest distances from the training part's median, in its MAD."""
    middle = np.median(values[:first], axis=0)
    away = np.abs(values - middle)
    spread = 1.4826 * np.median(away[:first], axis=0)
    # A column that hardly moves is measured by its standard deviation, or not at all.
    spread = np.where(spread > 0.0, spread, values[:first].std(axis=0))
    away = np.where(spread > 0.0, away / np.where(spread > 0.0, spread, 1.0), 0.0)
    worst = min(_WORST, values.shape[1])
    return np.sort(away, axis=1)[:, -worst:].mean(axis=1)


_ONE: dict[str, Callable[[Any], Any]] = {
    "river_hst": river_hst,
    "river_kswin": river_kswin,
    "pyod_ecod": pyod_ecod,
    "sesd_batch": sesd_batch,
}
_SEVERAL: dict[str, Callable[[Any, int], Any]] = {
    "pyod_ecod_trained": pyod_ecod_trained,
    "pyod_pca_trained": pyod_pca_trained,
    "robust_z": robust_z,
}


def scored(kept: Any, names: Sequence[str]) -> dict[str, Any]:
    count = sum(name.startswith("values") for name in kept.files)
    out = {}
    for name in names:
        for k in range(count):
            values = kept[f"values{k}"]
            if name in _ONE:
                out[f"{name}-{k}"] = _ONE[name](values)
            else:
                out[f"{name}-{k}"] = _SEVERAL[name](values, int(kept[f"first{k}"]))
    return out


def timed(kept: Any, repeats: int, names: Sequence[str]) -> dict[str, Any]:
    """Return points per second of processor time; peers in turn, so that all meet one noise."""
    values = [kept[name][:_TIMED] for name in kept.files]
    for name in names:
        _ONE[name](values[0][:600])  # imports and caches
    found: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(repeats):
        for name in names:
            began = time.process_time()
            for one in values:
                _ONE[name](one)
            found[name].append(sum(map(len, values)) / (time.process_time() - began))
    return {**found, "versions": ", ".join(f"{name} {version(name)}" for name in _PACKAGES)}


def main() -> None:
    warnings.simplefilter("ignore")
    given, taken, *words = sys.argv[1:]
    with np.load(given) as kept:
        if words[0] == "--timed":
            out = timed(kept, int(words[1]), words[2:])
        else:
            out = scored(kept, words)
    np.savez_compressed(taken, **out)


if __name__ == "__main__":
    main()
