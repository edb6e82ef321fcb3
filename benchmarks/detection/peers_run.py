"""Peers on univariate recordings: run by the Python of `.venv-peers`, which has nothing of ours.

`python peers_run.py IN.npz OUT.npz`: IN holds `values0`, `values1`, ... in time order; OUT scores
in [0, 1] of each row for each peer and recording (`river_hst-0`), and its seconds and points.
Every peer is as its documentation starts it; none sees a label or the future, but S-H-ESD, which is
a batch method and is timed only.
"""

import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

# The share of a recording that the Numenta benchmark does not score, for those that must be fitted.
_FIT = 0.15
_WINDOW = 10
# Slow peers are timed on so many rows.
_TIMED = 4032


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


_SCORED: dict[str, Callable[[Any], Any]] = {
    "river_hst": river_hst,
    "river_kswin": river_kswin,
    "pyod_ecod": pyod_ecod,
}
_TIMED_ONLY: dict[str, Callable[[Any], Any]] = {"sesd_batch": sesd_batch}


def main() -> None:
    warnings.simplefilter("ignore")
    with np.load(sys.argv[1]) as kept:
        values = [kept[f"values{k}"] for k in range(len(kept.files))]
    out: dict[str, Any] = {}
    for name, score in _SCORED.items():
        began = time.process_time()
        for k, one in enumerate(values):
            out[f"{name}-{k}"] = score(one)
        out[f"{name}-seconds"] = time.process_time() - began
        out[f"{name}-points"] = sum(map(len, values))
    for name, score in _TIMED_ONLY.items():
        began = time.process_time()
        score(values[0])
        out[f"{name}-seconds"] = time.process_time() - began
        out[f"{name}-points"] = min(len(values[0]), _TIMED)
    np.savez_compressed(sys.argv[2], **out)


if __name__ == "__main__":
    main()
