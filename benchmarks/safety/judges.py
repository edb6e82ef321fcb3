"""The judges that are compared: ours, and what is in use, re-implemented from its documentation.

None of the others promises an error rate over the whole canary; what they say is measured.
"""

import math
from typing import Final

import numpy as np
from scipy import stats as scipy_stats

from homeostat.stats.share_bet_runs import Counts, Law, World, evidence, first

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

_EVERY: Final = 5  # minutes between two judgements of the Mann-Whitney judge
_ONE_SIDE: Final = 0.01  # of its interval of 98 %
_TOLERANCE: Final = 0.25  # of its estimate of the shift
_Z: Final = 1.6448536269514722  # one-sided 5 %


def bets(counts: Counts, *, alpha: float = 0.05, margin: float = 1.0) -> Floats:
    """Return the minute in which ours says harm, `[run]`; inf for never."""
    return first(evidence(counts, margin) >= math.log(1.0 / alpha))


def certificate(counts: Counts, below: float, *, alpha: float = 0.05) -> Floats:
    """Return the minute in which ours certifies, `[run]`; inf for never."""
    return first(evidence(counts, below, safe=True) >= math.log(1.0 / alpha))


def z_each_minute(counts: Counts) -> Floats:
    """Return the minute in which a pooled z-test of all so far first says p < 5 %, `[run]`."""
    canary, canary_bad, stable, stable_bad = np.cumsum(counts, axis=0).transpose(1, 0, 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = (canary_bad + stable_bad) / (canary + stable)
        sd = np.sqrt(pooled * (1.0 - pooled) * (1.0 / canary + 1.0 / stable))
        z = (canary_bad / canary - stable_bad / stable) / sd
    return first(z > _Z)


def mann_whitney(counts: Counts) -> Floats:
    """Return the minute in which a Mann-Whitney judge of per-minute rates says worse, `[run]`.

    Every five minutes, of all minutes so far: worse if the 98 % interval of the shift lies above
    0.25 times its estimate (Hodges-Lehmann), which is what Kayenta's judge calls High. The interval
    by the test's inversion; no correction for looking again, as there.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        canary, stable = (np.nan_to_num(counts[:, i + 1] / counts[:, i]) for i in (0, 2))
    out = np.full(counts.shape[2], np.inf)
    for minute in range(_EVERY, len(counts) + 1, _EVERY):
        open_runs = np.flatnonzero(np.isinf(out))
        if not len(open_runs):
            break
        new, old = canary[:minute, open_runs], stable[:minute, open_runs]
        shift = np.median((new[:, None] - old[None]).reshape(minute * minute, -1), axis=0)
        p = scipy_stats.mannwhitneyu(
            new - _TOLERANCE * np.abs(shift),
            old,
            alternative="greater",
            axis=0,
            method="asymptotic",
        ).pvalue
        out[open_runs[p < _ONE_SIDE]] = minute
    return out


def flagger(law: Law, runs: int, rng: np.random.Generator) -> Floats:
    """Return the minute in which Flagger's documented configuration rolls back, `[run]`.

    Success rate of the canary at least 99 % each minute, else a failed check (which is never taken
    back); ten of them roll back. A good check raises the weight by 5 points; beyond 50 it is
    promoted. The share of the law is not used: it sets its own.
    """
    world = World(law, runs, rng)
    weight, failed = np.full(runs, 0.05), np.zeros(runs)
    out, promoted = np.full(runs, np.inf), np.zeros(runs, dtype=bool)
    for minute in range(1, 121):
        total, bad, _, _ = world.minute(np.minimum(weight, 0.5))
        running = np.isinf(out) & ~promoted
        good = (total > 0.0) & (bad <= 0.01 * total)
        failed += running & ~good
        weight += 0.05 * (running & good)
        promoted |= running & (weight > 0.5 + 1e-9)
        out[running & (failed >= 10)] = minute
    return out
