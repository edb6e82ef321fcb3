"""Prints VUS-PR on SMD-4: learnt on the train part, the test part scored causally, no labels.

`trained` is the autoencoder with its defaults, `untrained` the same without a round of training,
which is probabilistic PCA on the same windows, scored the same way: what training adds is the
difference. `components` is PCA as it is usually done (standardised rows, 90 % of the variance,
squared error). `either` is the larger of both scores' -log10 p with the calibration as fitted.
`--streamed` adds the detector tick by tick, with a calibration that goes on learning; `--peer` adds
PyOD's autoencoder, run by the Python of another environment.
"""

import argparse
import importlib.util
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from homeostat.detect.vae import Vae
from homeostat.detect.vae_config import Config
from homeostat.detect.vae_model import CALIBRATION, Model, fit, score
from homeostat.stats import conformal

SHARED = Path(__file__).resolve().parents[3] / "shared"
CHUNK = 4096


def judge() -> Any:
    """Return the judge's module.

    Raises:
        FileNotFoundError: It is not there.
    """
    path = SHARED / "tools" / "adscore.py"
    spec = importlib.util.spec_from_file_location("adscore", path)
    if spec is None or spec.loader is None or not path.exists():
        raise FileNotFoundError(f"the judge is not at {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def components(train: Any, test: Any) -> Any:
    """Return the squared error of each row outside the components that explain 90 %."""
    mean, spread = train.mean(axis=0), train.std(axis=0)
    spread = np.where(spread > 0.0, spread, 1.0)
    known, new = (train - mean) / spread, (test - mean) / spread
    variance, vectors = np.linalg.eigh(known.T @ known / len(known))
    share = np.cumsum(variance[::-1]) / variance.sum()
    kept = vectors[:, ::-1][:, : int(np.searchsorted(share, 0.9)) + 1]
    return np.square(new - new @ kept @ kept.T).sum(axis=1)


def calibrated(past: Any, scores: Any) -> Any:
    """Return -log10 p of scores among a past that learns nothing."""
    table = conformal.Conformal(conformal.Config(size=CALIBRATION))
    out = []
    for first in range(0, len(scores), CHUNK):
        some = scores[first : first + CHUNK]
        state = conformal.Table(
            np.repeat(past[:, None], len(some), axis=1),
            np.full(len(some), CALIBRATION, dtype=np.int32),
            np.zeros(len(some), dtype=np.int32),
        )
        out.append(table.neg_log10_p(np, state, some))
    return np.concatenate(out)


def streamed(config: Config, model: Model, train: Any, test: Any) -> Any:
    """Return -log10 p of the test part, tick by tick."""
    vae, out = Vae(config, [model]), np.zeros(len(test))
    state = vae.init(np)
    for row in train[1 - config.window :]:
        state, _ = vae.step(np, state, row[None], learn=False)
    for tick, row in enumerate(test):
        state, said = vae.step(np, state, row[None], learn=True)
        out[tick] = np.nan_to_num(said.neg_log10_p[0])
    return out


def methods(path: Path, asked: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """Yield each method's name and its scores of the test part."""
    kept = np.load(path)
    train, test = kept["train"].astype(float), kept["test"].astype(float)
    yield "random", np.random.default_rng(0).random(len(test))
    yield "components", components(train, test)
    for name, config in (("untrained", Config(rounds=0)), ("trained", Config())):
        started = time.process_time()
        model = fit(config, train, np.ones(len(train), dtype=bool)).model
        print(f"{path.stem} {name}: fitted in {time.process_time() - started:.1f} s", flush=True)
        before = config.window - 1
        said = score(config, model, np.concatenate([train[-before:], test]))
        error, divergence = said.error[before:], said.divergence[before:]
        yield f"{name}, error", error
        yield f"{name}, divergence", divergence
        sides = (model.normal.errors, error), (model.normal.divergences, divergence)
        yield f"{name}, either", np.maximum(*(calibrated(*side) for side in sides))
        if asked.streamed:
            yield f"{name}, streamed", streamed(config, model, train, test)
    if asked.peer:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "scores.npy"
            peer = Path(__file__).with_name("peer.py")
            subprocess.run([asked.peer, str(peer), str(path), str(out)], check=True)
            yield "PyOD VAE", np.load(out)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m detection_vae", description=__doc__)
    parser.add_argument("--peer", help="the Python of an environment with pyod, torch and tqdm")
    parser.add_argument("--streamed", action="store_true", help="also tick by tick")
    parser.add_argument("--files", type=int, help="only the first so many machines")
    asked = parser.parse_args()
    paths = sorted((SHARED / "data" / "smd4").glob("*.npz"))[: asked.files]
    if not paths:
        sys.exit(f"no machines in {SHARED / 'data' / 'smd4'}")
    found: dict[str, list[float]] = {}
    for path in paths:
        labels = np.load(path)["label"]
        for name, scores in methods(path, asked):
            found.setdefault(name, []).append(judge().vus_pr(labels, scores))
    print(f"{'VUS-PR':<24}" + "".join(f"{path.stem:>14}" for path in paths) + f"{'mean':>8}")
    for name, each in found.items():
        print(f"{name:<24}" + "".join(f"{one:14.4f}" for one in each) + f"{np.mean(each):8.4f}")


if __name__ == "__main__":
    main()
