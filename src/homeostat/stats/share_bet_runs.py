"""Made-up canaries, many at once: how long the share bets take, and how often they are wrong.

The world of a run: requests arrive in both arms, incidents strike each arm in proportion to its
requests and a rate that both share (slow shocks, a day's rhythm), the canary's `ratio` times as
often; an incident is one bad response or a burst of them. On top, as an adversary would have it:
noise of each pod's own, minute by minute, and pods that differ for as long as the run lasts.

NumPy; chance is the generator that is passed.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.stats.share_bet import STAKES, Floats, ln_bets, ln_mean, null_share

Counts = npt.NDArray[np.float64]
# How much of a shock is left a minute later: half after seven minutes.
_SHOCK_KEPT: Final = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """How both arms behave.

    Attributes:
        requests: A minute, both arms together.
        bad: Bad responses among stable's, on average, in (0, 1).
        ratio: The canary's over stable's.
        ramp: Shares of traffic for the canary, each for as long as the others.
        burst: Bad responses of one incident on average, 1 or more (geometric).
        shock_sd: Of the logarithm of the shared rate; shocks fade by a tenth a minute.
        rhythm: How far requests and the rate swing in a cycle of 30 minutes, in [0, 1).
        noise_sd: Of the logarithm of each pod's rate, new every minute.
        arm_sd: Of the logarithm of each whole arm's rate, new every minute. The bets do not allow
            for it: where stable jumps about by itself, dividing by it makes shares too large.
        pod_sd: Of the logarithm of each pod's rate, the same for the whole run.
        pods: Of the canary and of stable.
    """

    requests: float
    bad: float = 0.005
    ratio: float = 1.0
    ramp: tuple[float, ...] = (0.1,)
    burst: float = 1.0
    shock_sd: float = 0.6
    rhythm: float = 0.0
    noise_sd: float = 0.0
    arm_sd: float = 0.0
    pod_sd: float = 0.0
    pods: tuple[int, int] = (1, 9)

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            ValueError: Names the value and the range.
        """
        if not (self.requests > 0.0 and 0.0 < self.bad < 1.0 and 0.0 < self.ratio < np.inf):
            raise ValueError(
                "canary runs: requests > 0, 0 < bad < 1 and ratio > 0 are needed, got "
                f"{self.requests}, {self.bad} and {self.ratio}"
            )
        if not (self.ramp and all(0.0 < share < 1.0 for share in self.ramp)):
            raise ValueError(f"canary runs: shares must be in (0, 1), got {self.ramp}")
        if not (1.0 <= self.burst < np.inf and 0.0 <= self.rhythm < 1.0):
            raise ValueError(
                f"canary runs: burst >= 1 and 0 <= rhythm < 1 are needed, got {self.burst} and "
                f"{self.rhythm}"
            )


class World:
    """Many runs of one law, minute by minute.

    Args:
        law: How both arms behave.
        runs: How many.
        rng: Chance.
    """

    def __init__(self, law: Law, runs: int, rng: np.random.Generator) -> None:
        self.law, self.runs, self._rng = law, runs, rng
        self._shock = law.shock_sd * rng.standard_normal(runs)
        self._pods = [self._mean_of_pods(arm, law.pod_sd) for arm in (0, 1)]
        self._start = rng.uniform(0.0, 2.0 * np.pi, runs)
        self._minute = 0

    def minute(self, share: Floats | float) -> Counts:
        """Return one more minute's increments, `[4, run]`: canary total and bad, stable's.

        Args:
            share: Of the traffic, for the canary; one or `[run]`.
        """
        law, rng = self.law, self._rng
        swing = 1.0 + law.rhythm * np.sin(self._start + 2.0 * np.pi * self._minute / 30.0)
        rate = law.bad * swing * _mean_one(self._shock, law.shock_sd)
        out = np.empty((4, self.runs))
        for arm, part in enumerate((share, 1.0 - share)):
            total = rng.poisson(law.requests * swing * part)
            noise = self._mean_of_pods(arm, law.noise_sd)
            noise = noise * _mean_one(law.arm_sd * rng.standard_normal(self.runs), law.arm_sd)
            own = self._pods[arm] * noise * (law.ratio if arm == 0 else 1.0)
            struck = rng.poisson(np.minimum(total * rate * own, total) / law.burst)
            bad = struck if law.burst == 1.0 else _burst(struck, law.burst, rng)
            out[2 * arm] = total
            out[2 * arm + 1] = np.minimum(bad, total)
        fresh = law.shock_sd * np.sqrt(1.0 - _SHOCK_KEPT**2) * rng.standard_normal(self.runs)
        self._shock = _SHOCK_KEPT * self._shock + fresh
        self._minute += 1
        return out

    def _mean_of_pods(self, arm: int, sd: float) -> Floats:
        if sd == 0.0:
            return np.ones(self.runs)
        normal = self._rng.standard_normal((self.law.pods[arm], self.runs))
        out: Floats = _mean_one(sd * normal, sd).mean(axis=0)
        return out


def play(law: Law, *, minutes: int, runs: int, rng: np.random.Generator) -> Counts:
    """Return increments, `[minute, 4, run]`: canary total and bad, stable total and bad.

    Args:
        law: How both arms behave; each share of its ramp has an equal part of the minutes.
        minutes: Length of a run.
        runs: How many.
        rng: Chance.
    """
    world, steps = World(law, runs, rng), len(law.ramp)
    shares = [law.ramp[minute * steps // minutes] for minute in range(minutes)]
    return np.stack([world.minute(share) for share in shares])


def evidence(counts: Counts, ratio: Floats | float, *, safe: bool = False) -> Floats:
    """Return ln of the e-value after each minute, `[minute, run]`.

    Args:
        counts: From `play`.
        ratio: The margin (or what the certificate denies), one or `[run]`.
        safe: The certificate's bets instead of harm's.
    """
    runs = counts.shape[2]
    ln_won = np.zeros((STAKES, runs))
    out = np.empty((len(counts), runs))
    for minute, (canary, canary_bad, stable, stable_bad) in enumerate(counts):
        share = null_share(canary, stable, ratio)
        ln_won += ln_bets(canary_bad, stable_bad, share, safe=safe)
        out[minute] = ln_mean(ln_won, safe=safe)
    return out


def first(reached: npt.NDArray[np.bool_]) -> Floats:
    """Return the minute, from 1, in which each run first got there; inf for never, `[run]`.

    Args:
        reached: `[minute, run]`.

    >>> first(np.array([[False, False], [True, False]])).tolist()
    [2.0, inf]
    """
    out: Floats = np.where(reached.any(axis=0), reached.argmax(axis=0) + 1.0, np.inf)
    return out


def _mean_one(normal: Floats, sd: float) -> Floats:
    out: Floats = np.exp(normal - 0.5 * sd * sd)
    return out


def _burst(struck: npt.NDArray[np.int64], mean: float, rng: np.random.Generator) -> Floats:
    """Return the sum of so many geometric numbers of this mean."""
    more = rng.negative_binomial(np.maximum(struck, 1), 1.0 / mean)
    out: Floats = np.where(struck > 0, struck + more, 0).astype(np.float64)
    return out
