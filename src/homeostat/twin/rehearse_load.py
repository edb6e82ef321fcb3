"""The load that a rehearsal is played under: what is counted, less its retries, and then forecast.

The gateway counts attempts. What of them is somebody's second try is not demand: the twin makes the
retries of the failures that it plays itself, and would make those of the counted ones again. Ahead,
the rate follows the forecast where there is one, each draw at one place between its quantiles, with
the noise of the prior on top; where there is none, it stays as it is but for that noise.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from homeostat.twin.fit_frame import Floats
from homeostat.twin.rehearse_situation import Ahead, Situation
from homeostat.twin.shapes import LOAD_KNOTS
from homeostat.twin.state import RETRY_CLASSES

KNOT_S: Final = 15.0  # between knots: an hour and four minutes in all
_REACH: Final = 1.645  # normal quantile at the end of a 90 % interval
_LEAST: Final = 1e-3  # of the rate of now: below it a forecast is nobody at all


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What arrives.

    Attributes:
        knots_rps: Unique requests, 1/s, at knots `KNOT_S` apart [D, LOAD_KNOTS].
        retries: Attempts after the first that users make when one fails [D].
        notes: What was assumed, one sentence each.
    """

    knots_rps: Floats
    retries: Floats
    notes: tuple[str, ...] = ()


def load(
    now: Situation, error: float, retries: Floats, chance: np.random.Generator, seed: int
) -> Load:
    """Return draws of the load.

    Args:
        now: The deployment.
        error: Relative error of the counted rate.
        retries: Attempts after the first, as they may be [D].
        chance: For the error.
        seed: For the place between the forecast's quantiles, so that what else is drawn is the same
            with a forecast and without.
    """
    counted = now.rate_rps * np.exp(error * chance.standard_normal(len(retries)))
    notes = []
    if math.isnan(now.failing):
        retries = np.zeros_like(retries)
        notes.append(
            "no retries are played: how many attempts fail is not known, and those that were made "
            "are in the rate"
        )
    elif now.failing > 0.0:
        notes.append(
            f"{now.failing:.1%} of the attempts fail: their retries were counted, and are taken "
            "off the rate before the twin makes its own"
        )
    unique = counted / attempts(now.failing, retries)
    path = np.ones((len(retries), LOAD_KNOTS))
    if now.ahead:
        place = np.random.default_rng([seed, 3]).standard_normal(len(retries))
        path = growth(now.ahead, place)
        last = now.ahead[-1].seconds
        notes.append(f"the load follows its forecast for {last:g} s, and then stays")
    return Load(knots_rps=unique[:, None] * path, retries=retries, notes=tuple(notes))


def attempts(failing: float, retries: Floats) -> Floats:
    """Return attempts per unique request, as the twin's users make them, where so many fail [D].

    Args:
        failing: Share of attempts that fail; NaN = not known, and no retries are counted.
        retries: After the first; a half is every second user's.

    >>> attempts(0.3, np.array([0.0, 2.0])).round(2).tolist()
    [1.0, 1.39]
    """
    total = following = np.ones_like(retries)
    if math.isnan(failing):
        return total
    for number in range(RETRY_CLASSES):
        following = following * failing * np.clip(retries - number, 0.0, 1.0)
        total = total + following
    return total


def growth(ahead: tuple[Ahead, ...], place: Floats) -> Floats:
    """Return the rate over that of now at the knots, each draw at one place of the forecast.

    A draw that is high stays high: the quantiles of every horizon are met, and a whole horizon is
    as uncertain as they say. Between horizons logs are linear; after the last one it stays.

    Args:
        ahead: Quantiles over the rate of now, soonest first.
        place: Standard normal, of each draw [D].

    Returns:
        [D, LOAD_KNOTS].
    """
    at_s, logs = [0.0], [np.zeros_like(place)]
    for one in ahead:
        low, middle, high = np.log(np.maximum(one.quantiles, _LEAST))
        side = np.where(place > 0.0, high - middle, middle - low)
        at_s.append(one.seconds)
        logs.append(middle + place / _REACH * np.maximum(side, 0.0))
    knots = KNOT_S * np.arange(LOAD_KNOTS)
    table = np.stack(logs, axis=1)
    return np.asarray(np.exp(np.stack([np.interp(knots, at_s, row) for row in table])))
