"""Prints nothing and writes one file: PyOD's autoencoder, its defaults, run by another Python.

Takes an NPZ file with `train` and `test`, and where to write the scores of the test part. Needs
`pyod`, `torch` and `tqdm` in the environment that runs it; nothing of ours.
"""

import sys
from importlib import import_module

import numpy as np


def main() -> None:
    """Fit on the train part, score the test part."""
    import_module("torch").set_num_threads(1)  # neither is in our environment
    kept = np.load(sys.argv[1])
    model = import_module("pyod.models.vae").VAE(random_state=0, verbose=0)
    model.fit(kept["train"].astype("float32"))
    np.save(sys.argv[2], model.decision_function(kept["test"].astype("float32")))


if __name__ == "__main__":
    main()
