"""Where the line is drawn: no lower than the false-alarm budget surely allows, nor than is needed.

What is known of quiet time is a sample of quiet stretches, each by its worst tick. A line would
have been crossed by some of them; the budget is met when even the upper bound of that rate
(Garwood's for a Poisson count) is within it. So with little quiet time there is no line at all: to
promise one false alarm a day takes more than a day of watching, and the first words only show what
must not be told of. Lines fall as quiet time adds up and rise with every false alarm. A line that
the budget allows may still buy nothing: it is no lower than where it was best for what is
remembered.

Source: Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28 (1936); its gamma
quantile by Wilson & Hilferty, PNAS 17 (1931), within 1 % for every count.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from homeostat.learn.feedback_steady import SLIP

Floats = npt.NDArray[np.float64]
_DAY_H = 24.0
# Something must have been seen: three times as often in trouble as in quiet, however calm it was.
LEAST = math.log(3.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How many false alarms are allowed.

    Attributes:
        per_day: False alarms of one deployment and day, above 0.
        sure: Confidence that the budget is met, in (0.5, 1).
    """

    per_day: float = 1.0
    sure: float = 0.8

    def __post_init__(self) -> None:
        """Refuse a budget that no line meets.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        if not 0.0 < self.per_day < float("inf"):
            raise ValueError(f"feedback budget: per_day must be above 0, got {self.per_day}")
        if not 0.5 < self.sure < 1.0:  # noqa: PLR2004 - below a half it would be a hope
            raise ValueError(f"feedback budget: sure must be in (0.5, 1), got {self.sure}")


def needed(found: Floats, worst: Floats, weight: Floats, least: float) -> float:
    """Return the line with the best F1 of what is remembered; below it, more is lost than won.

    Args:
        found: Score of each remembered trouble at its worst tick, `[trouble]`.
        worst: The same of each quiet stretch, `[stretch]`.
        weight: How many stretches each of them stands for, `[stretch]`.
        least: No line is lower.
    """
    places = np.unique(found[found > least])
    if not len(places):
        return least
    true = (found[None, :] >= places[:, None]).sum(axis=1)
    false = ((worst[None, :] >= places[:, None]) * weight).sum(axis=1)
    f1 = 2.0 * true / (true + false + len(found))
    # The lowest of equals: what is to come is weaker now and then than what was.
    return float(places[int(f1.argmax())])


def allowed(budget: Budget, *, watched_h: float, raised: float) -> float:
    """Return how many stretches called quiet may have been told of.

    Args:
        budget: For false alarms.
        watched_h: Hours of quiet; hours of trouble allow no false alarms.
        raised: Alarms in that time. Of the answers to them a few are slips, which are no false
            alarms; where alarms are many, slips alone would use up the budget.
    """
    return budget.per_day * watched_h / _DAY_H + SLIP * raised


def upper(crossed: Floats, sure: float) -> Floats:
    """Return the upper bound of the mean of Poisson counts (weights may make them fractions).

    Args:
        crossed: Counts, 0 or more.
        sure: Confidence.

    >>> upper(np.array([0.0, 3.0]), 0.95).round(3).tolist()
    [2.968, 7.745]
    """
    shape = np.asarray(crossed) + 1.0
    z = NormalDist().inv_cdf(sure)
    return np.asarray(shape * (1.0 - 1.0 / (9.0 * shape) + z / (3.0 * np.sqrt(shape))) ** 3)


def line(worst: Floats, weight: Floats, allowed: float, budget: Budget, least: float) -> float:
    """Return the lowest score at which telling is surely within the budget; inf for none.

    Args:
        worst: Score of each quiet stretch at its worst tick, `[stretch]`.
        weight: How many stretches each of them stands for, `[stretch]`.
        allowed: False alarms in the time that they are a sample of; see `allowed`.
        budget: How sure it must be.
        least: No line is lower.
    """
    order = np.argsort(-worst, kind="stable")
    scores, crossed = worst[order], np.cumsum(weight[order])
    if upper(np.zeros(1), budget.sure)[0] > allowed:
        return float("inf")
    # Equal scores cross together, so the count at a score is that of its last one.
    beyond = upper(crossed, budget.sure) > allowed
    if not beyond.any():
        return least
    return max(least, float(np.nextafter(scores[int(beyond.argmax())], np.inf)))
