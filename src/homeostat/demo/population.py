"""The people who ask for credit: inputs with true answers, and how they may drift.

Synthetic, so that every answer of a model can be judged: the probability of a default given the
inputs is a fixed function, the same before and after a shift. It bends where hardly anybody was
when the models were trained, so a linear model is good there and wrong after a shift: covariate
drift in the strict sense (the inputs move, the answers given the inputs do not).
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Name, mean, standard deviation, weight in the risk. The first four are the household's pressure,
# the direction in which people drift.
_FEATURES: Final = (
    ("utilisation", 0.35, 0.12, 0.5),
    ("debt_to_income", 0.28, 0.09, 0.5),
    ("inquiries_6m", 1.8, 0.7, 0.5),
    ("rate_offered", 7.4, 1.6, 0.5),
    ("income", 48_000.0, 15_000.0, -0.55),
    ("age", 41.0, 11.0, -0.20),
    ("tenure_months", 64.0, 30.0, -0.35),
    ("late_payments", 1.2, 0.8, 0.60),
    ("accounts_open", 5.2, 1.9, 0.10),
    ("savings", 9_500.0, 4_100.0, -0.45),
    ("instalment", 310.0, 95.0, 0.25),
    ("loan_amount", 14_000.0, 5_200.0, 0.30),
    ("loan_term", 42.0, 13.0, 0.10),
    ("years_employed", 7.5, 3.4, -0.30),
    ("dependents", 1.4, 0.9, 0.05),
    ("card_limit", 6_800.0, 2_500.0, -0.15),
)
FEATURES: Final = tuple(name for name, _, _, _ in _FEATURES)
_MEAN: Final = np.array([mean for _, mean, _, _ in _FEATURES])
_SCALE: Final = np.array([scale for _, _, scale, _ in _FEATURES])
_DRIFT: Final = np.array([0.5] * 4 + [0.0] * (len(_FEATURES) - 4))  # a unit vector
_REST: Final = np.array([0.0] * 4 + [weight for _, _, _, weight in _FEATURES[4:]])
# Chosen so that a linear model is right about 97 % of the time where it was trained, 94 % after
# a shift of 1, and 61 % after 2.5.
_PRESSURE: Final = 3.5  # weight of the pressure against the rest of the risk
_BEND: Final = (
    1.4  # where the risk turns, in standard deviations of the pressure; at twice that it is none
)
_SHARPNESS: Final = 6.0  # how surely the risk decides; the rest is luck


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Some people and what became of them.

    Attributes:
        inputs: Float64 `[person, feature]`, in the features' own units.
        defaulted: Int64 `[person]`, 1 or 0.
    """

    inputs: Floats
    defaulted: NDArray[np.int64]


def sample(count: int, seed: int, shift: float = 0.0) -> People:
    """Return people drawn at random.

    Args:
        count: How many.
        seed: Seed of the draw; the same people for the same seed, moved when `shift` moves.
        shift: How far household pressure has moved, in its standard deviations.
    """
    chance = np.random.default_rng((0xC4ED17, seed))
    z = chance.standard_normal((count, len(_FEATURES))) + shift * _DRIFT
    defaulted = (chance.random(count) < probability(z)).astype(np.int64)
    return People(inputs=_MEAN + _SCALE * z, defaulted=defaulted)


def probability(z: Any) -> Floats:
    """Return the true probability of a default for standardised inputs `[person, feature]`."""
    pressure = z @ _DRIFT
    bent = np.sin(np.clip(pressure / _BEND, -1.0, 3.0) * (np.pi / 2.0))
    risk = _PRESSURE * bent + z @ _REST
    return np.asarray(1.0 / (1.0 + np.exp(np.clip(-_SHARPNESS * risk, -500.0, 500.0))))
