"""Prints VUS-PR on SMD-4: learnt on the train part, the test part scored causally, no labels.

`trained` is the autoencoder with its defaults, `untrained` the same without a round of training,
which is probabilistic PCA on the same windows, scored the same way: what training adds is the
difference. `components` is PCA as it is usually done (standardised rows, 90 % of the variance,
squared error). `either` is the larger of both scores' -log10 p with the calibration as fitted.
`--streamed` adds the detector tick by tick, with a calibration that goes on learning; `--peer` adds
PyOD's autoencoder, run by the Python of another environment.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from detection import judging, sets
from homeostat.detect.vae import Vae
from homeostat.detect.vae_config import Config
from homeostat.detect.vae_model import CALIBRATION, Model, fit, score
from homeostat.stats import conformal

CHUNK = 4096


class Machine(NamedTuple):
    """One machine: its name and file, its training part, its test part, and that part's labels."""

    name: str
    path: Path
    train: Any
    test: Any
    labels: Any


class Wanted(NamedTuple):
    """What is scored beside the two forms of ours."""

    streamed: bool = False
    peer: str = ""


def judge() -> Any:
    """Return the judge's module.

    Raises:
        FileNotFoundError: It is not there.
    """
    return judging.scorer()


def machine(path: Path, *, rows: int | None = None) -> Machine:
    """Return a machine; of each part only so many rows about its first labels, for a sample."""
    with np.load(path) as kept:
        train, test = kept["train"].astype(float), kept["test"].astype(float)
        labels = kept["label"] > 0
    if rows is not None:
        begin = max(int(np.flatnonzero(labels)[0]) - rows // 2, 0)
        train, part = train[-rows:], slice(begin, begin + rows)
        test, labels = test[part], labels[part]
    return Machine(path.stem, path, train, test, labels)


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


def methods(one: Machine, wanted: Wanted) -> Iterator[tuple[str, Any]]:
    """Yield each method's name and its scores of the test part."""
    train, test = one.train, one.test
    yield "random", np.random.default_rng(0).random(len(test))
    yield "components", components(train, test)
    for name, config in (("untrained", Config(rounds=0)), ("trained", Config())):
        started = time.process_time()
        model = fit(config, train, np.ones(len(train), dtype=bool)).model
        print(f"{one.name} {name}: fitted in {time.process_time() - started:.1f} s", flush=True)
        before = config.window - 1
        said = score(config, model, np.concatenate([train[-before:], test]))
        error, divergence = said.error[before:], said.divergence[before:]
        yield f"{name}, error", error
        yield f"{name}, divergence", divergence
        sides = (model.normal.errors, error), (model.normal.divergences, divergence)
        yield f"{name}, either", np.maximum(*(calibrated(*side) for side in sides))
        if wanted.streamed:
            yield f"{name}, streamed", streamed(config, model, train, test)
    if wanted.peer:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "scores.npy"
            peer = Path(__file__).with_name("peer.py")
            subprocess.run([wanted.peer, str(peer), str(one.path), str(out)], check=True)
            yield "PyOD VAE", np.load(out)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m detection_vae", description=__doc__)
    parser.add_argument(
        "--peer", default="", help="the Python of an environment with pyod, torch and tqdm"
    )
    parser.add_argument("--streamed", action="store_true", help="also tick by tick")
    parser.add_argument("--files", type=int, help="only the first so many machines")
    asked = parser.parse_args()
    found: dict[str, list[float]] = {}
    paths = sets.paths("smd")[: asked.files]
    for path in paths:
        one = machine(path)
        for name, scores in methods(one, Wanted(asked.streamed, asked.peer)):
            found.setdefault(name, []).append(judge().vus_pr(one.labels, scores))
    print(f"{'VUS-PR':<24}" + "".join(f"{path.stem:>14}" for path in paths) + f"{'mean':>8}")
    for name, each in found.items():
        print(f"{name:<24}" + "".join(f"{one:14.4f}" for one in each) + f"{np.mean(each):8.4f}")


if __name__ == "__main__":
    try:
        main()
    except FileNotFoundError as error:
        sys.exit(f"detection_vae: {error}")
