"""Made entities for the tests of the autoencoder, and settings small enough for them.

Columns are functions of a few latent ones: on a curve no linear method can follow closely.
"""

from functools import cache
from typing import Any, Final

import numpy as np

from homeostat.detect.vae_config import Config
from homeostat.detect.vae_model import Fitted, fit

SMALL: Final = Config(
    window=2, components=8, latent=3, hidden=(16, 8), batch=64, steps=32, rounds=40, patience=8
)
"""Trained in a second or two; all tests share its compiled program."""

STRAIGHT: Final = Config(window=2, components=8, latent=3, hidden=(16, 8), rounds=0)
"""The same without training: probabilistic PCA, no JAX."""

NAMES: Final = tuple(f"signal_{number}" for number in range(6))
TICKS: Final = 3000


def curve(seed: int, ticks: int = TICKS, noise: float = 0.03, turn: float = 0.3) -> Any:
    """Return `[time, 6]`: an angle's sine, cosine and products, in different units.

    Some 2 / turn^2 ticks later the angle says nothing of where it was.
    """
    rng = np.random.default_rng(seed)
    angle = np.cumsum(turn * rng.standard_normal(ticks)) + rng.uniform(0.0, 2.0 * np.pi)
    sine, cosine = np.sin(angle), np.cos(angle)
    clean = np.stack([sine, cosine, sine * cosine, sine * sine, cosine**3, np.abs(sine)], axis=1)
    values = clean + noise * rng.standard_normal(clean.shape)
    return values * np.array([1.0, 20.0, 0.01, 300.0, 1.0, 5.0]) + np.array([0, 50, 0, 0, -7, 2])


@cache
def trained() -> Fitted:
    """Return a model trained on a curve."""
    return fit(SMALL, curve(1), np.ones(TICKS, dtype=bool))


@cache
def straight() -> Fitted:
    """Return the untrained model of the same curve."""
    return fit(STRAIGHT, curve(1), np.ones(TICKS, dtype=bool))
